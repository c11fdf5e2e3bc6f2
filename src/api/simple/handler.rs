//! Who decides about calls.

use super::{CallEnding, CallSession, CallState, IncomingCall};
use std::future::Future;
use std::pin::Pin;

/// What a handler's method returns: `Box::pin(async move { ... })`.
pub type HandlerFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides about incoming calls and is told what becomes of all calls. Every method has a default.
///
/// The methods run as tokio tasks. Those about one call come one after the other, except that the decision may still be
/// pending when the call ends: its future is dropped then. A method that panics or takes longer than half a minute is
/// given up and the next one runs.
///
/// ```
/// use ringworld::api::simple::{CallAction, CallHandler, HandlerFuture, IncomingCall, RejectReason};
///
/// struct FriendsOnly;
///
/// impl CallHandler for FriendsOnly {
///     fn on_incoming_call(&self, call: IncomingCall) -> HandlerFuture<'_, CallAction> {
///         Box::pin(async move {
///             if call.from().contains("alice") { CallAction::Answer } else { RejectReason::Declined.into() }
///         })
///     }
/// }
/// ```
pub trait CallHandler: Send + Sync + 'static {
    /// A call came in. The default answers it.
    fn on_incoming_call(&self, call: IncomingCall) -> HandlerFuture<'_, CallAction> {
        let _ = call;
        Box::pin(std::future::ready(CallAction::Answer))
    }

    /// A call changed its state.
    fn on_call_state_changed(&self, call: CallSession, from: CallState, to: CallState) -> HandlerFuture<'_, ()> {
        let _ = (call, from, to);
        Box::pin(std::future::ready(()))
    }

    /// A digit (`0-9 * # A-D`) was pressed at the other end.
    fn on_dtmf(&self, call: CallSession, digit: char) -> HandlerFuture<'_, ()> {
        let _ = (call, digit);
        Box::pin(std::future::ready(()))
    }

    /// A call is over. Nothing comes after this.
    fn on_call_ended(&self, call: CallSession, ending: CallEnding) -> HandlerFuture<'_, ()> {
        let _ = (call, ending);
        Box::pin(std::future::ready(()))
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

/// Why a call is refused, as the caller will be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The called party is busy (486).
    Busy,
    /// The called party does not want the call (603).
    Declined,
    /// Nobody is there (480).
    Unavailable,
    /// There is no such number (404).
    NotFound,
    /// The caller may not (403).
    Forbidden,
    /// A status of one's own choice, 300 to 699.
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
