//! Decisions about calls, made outside the world.

use super::calls::News;
use super::{CallEnding, CallMedia, CallSession, CallState, IncomingCall};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

/// Decides about incoming calls and is told about the progress of all calls. Every method has a default, and can be
/// written as an `async fn`.
///
/// The methods run as tokio tasks. Those about one call come one after the other, except that the decision may still be
/// pending when the call ends: its future is dropped then. A method that panics or takes longer than half a minute is
/// given up and the next one runs.
///
/// ```
/// use ringworld::api::simple::{CallAction, CallHandler, IncomingCall, RejectReason};
///
/// struct FriendsOnly;
///
/// impl CallHandler for FriendsOnly {
///     async fn on_incoming_call(&self, call: &IncomingCall) -> CallAction {
///         if call.from().contains("alice") { CallAction::Answer } else { RejectReason::Declined.into() }
///     }
/// }
/// ```
pub trait CallHandler: Send + Sync + 'static {
    /// A call came in. The default answers it.
    fn on_incoming_call(&self, call: &IncomingCall) -> impl Future<Output = CallAction> + Send {
        let _ = call;
        ready(CallAction::Answer)
    }

    /// A call changed its state.
    fn on_call_state_changed(
        &self,
        call: &CallSession,
        from: CallState,
        to: CallState,
    ) -> impl Future<Output = ()> + Send {
        let _ = (call, from, to);
        ready(())
    }

    /// A call was answered with a 2xx: by us if it came in, by the peer if we placed it.
    fn on_call_answered(&self, call: &CallSession) -> impl Future<Output = ()> + Send {
        let _ = call;
        ready(())
    }

    /// Offer and answer agreed on the audio of a call for the first time. This may come before or after
    /// [`CallHandler::on_call_answered`].
    fn on_media_established(&self, call: &CallSession, media: CallMedia) -> impl Future<Output = ()> + Send {
        let _ = (call, media);
        ready(())
    }

    /// A digit (`0-9 * # A-D`) was pressed at the other end.
    fn on_dtmf(&self, call: &CallSession, digit: char) -> impl Future<Output = ()> + Send {
        let _ = (call, digit);
        ready(())
    }

    /// A call is over. Nothing comes after this.
    fn on_call_ended(&self, call: &CallSession, ending: CallEnding) -> impl Future<Output = ()> + Send {
        let _ = (call, ending);
        ready(())
    }
}

/// A future that owns all it needs.
pub(super) type OwnedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A [`CallHandler`] of any type. The methods of that trait return futures of types of their own, so it can't be a
/// trait object.
pub(super) trait AnyHandler: Send + Sync {
    /// Asks for the decision about a call.
    fn decide(self: Arc<Self>, call: IncomingCall) -> OwnedFuture<CallAction>;
    /// Reports the progress of a call.
    fn tell(self: Arc<Self>, call: CallSession, news: News) -> OwnedFuture<()>;
}

impl<H: CallHandler> AnyHandler for H {
    fn decide(self: Arc<Self>, call: IncomingCall) -> OwnedFuture<CallAction> {
        Box::pin(async move { self.on_incoming_call(&call).await })
    }

    fn tell(self: Arc<Self>, call: CallSession, news: News) -> OwnedFuture<()> {
        Box::pin(async move {
            match news {
                News::Changed(from, to) => self.on_call_state_changed(&call, from, to).await,
                News::Answered => self.on_call_answered(&call).await,
                News::MediaEstablished(media) => self.on_media_established(&call, media).await,
                News::Digit(digit) => self.on_dtmf(&call, digit).await,
                News::Ended(ending) => self.on_call_ended(&call, ending).await,
            }
        })
    }
}

/// The decision about an incoming call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAction {
    /// Answer it and connect it to the configured service.
    Answer,
    /// Answer it and connect it to this service: `echo`, `tone`, `tone-HZ`, `silence` or `conf-NAME`.
    Connect(String),
    /// Refuse it.
    Reject(RejectReason),
    /// Decide later, by [`IncomingCall::answer`] or [`IncomingCall::reject`], within the time of
    /// [`SessionConfig::deferral`](super::SessionConfig::deferral).
    Defer,
}

/// Why a call is refused. The caller gets the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The called party is busy (486).
    Busy,
    /// The called party does not want the call (603).
    Declined,
    /// The called party is not available (480).
    Unavailable,
    /// There is no such number (404).
    NotFound,
    /// The caller is not allowed to call (403).
    Forbidden,
    /// Any status, 400 to 699.
    Status(u16),
}

impl RejectReason {
    /// The status that the caller gets.
    pub fn status(self) -> u16 {
        match self {
            Self::Busy => 486,
            Self::Declined => 603,
            Self::Unavailable => 480,
            Self::NotFound => 404,
            Self::Forbidden => 403,
            Self::Status(status) => status,
        }
    }
}

impl From<RejectReason> for CallAction {
    fn from(reason: RejectReason) -> Self {
        Self::Reject(reason)
    }
}

/// Answers every call.
#[derive(Clone, Copy, Debug, Default)]
pub struct AutoAnswerHandler;

impl CallHandler for AutoAnswerHandler {}
