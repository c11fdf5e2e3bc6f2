//! One call, seen from outside the world.

use super::manager::Inner;
use super::{Error, RejectReason};
use ringworld_components::call::{EndCause, is_refusal};
use ringworld_components::edge::Operation;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// The name of a call: `#` and a hexadecimal number, as in logs and in `ringworld replay --inspect`.
pub use ringworld_components::kernel::StableId as SessionId;

/// The state of a call.
pub use ringworld_components::call::SessionState as CallState;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallEnding {
    /// The cause.
    pub cause: EndCause,
    /// The SIP status that went with it, 0 if none.
    pub status: u16,
}

impl fmt::Display for CallEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.as_str())?;
        if self.status == 0 { Ok(()) } else { write!(f, " ({})", self.status) }
    }
}

/// What offer and answer agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallMedia {
    /// The name of the codec as it is registered, such as `PCMU`.
    pub codec: &'static str,
    /// The peer's address for RTP, as it described it.
    pub remote: SocketAddr,
}

/// What is known of a call at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub state: CallState,
    pub ending: Option<CallEnding>,
}

/// Caller and callee of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Parties {
    pub from: String,
    pub to: String,
    pub call_id: String,
}

/// What all handles of a call share.
#[derive(Debug)]
pub(super) struct Record {
    pub id: SessionId,
    pub parties: OnceLock<Parties>,
    pub standing: watch::Sender<Standing>,
}

impl Record {
    pub fn new(id: SessionId) -> Self {
        let standing = Standing { state: CallState::Initializing, ending: None };
        Self { id, parties: OnceLock::new(), standing: watch::Sender::new(standing) }
    }

    fn party(&self, of: fn(&Parties) -> &String) -> &str {
        self.parties.get().map_or("", |parties| of(parties))
    }
}

/// A call. Cheap to clone; all clones are the same call.
#[derive(Clone)]
pub struct CallSession {
    pub(super) record: Arc<Record>,
    pub(super) manager: Weak<Inner>,
}

impl CallSession {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// The caller, as a URI.
    pub fn from(&self) -> &str {
        self.record.party(|parties| &parties.from)
    }

    /// The callee, as a URI.
    pub fn to(&self) -> &str {
        self.record.party(|parties| &parties.to)
    }

    /// The state that it is in, as of some milliseconds ago.
    pub fn state(&self) -> CallState {
        self.record.standing.borrow().state
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<CallEnding> {
        self.record.standing.borrow().ending
    }

    /// Answers an incoming call that was deferred, and connects it to the configured service.
    pub async fn answer(&self) -> Result<(), Error> {
        let service = self.manager()?.service_name().to_owned();
        self.connect(&service).await
    }

    /// Answers an incoming call that was deferred, and connects it to this service.
    pub async fn connect(&self, service: &str) -> Result<(), Error> {
        let service = service.to_owned();
        self.operate(|session| Operation::Answer { session, service }).await
    }

    /// Tells the caller of a deferred call that the phone is ringing.
    pub async fn ring(&self) -> Result<(), Error> {
        self.operate(|session| Operation::Ring { session }).await
    }

    /// Refuses an incoming call that was deferred.
    pub async fn reject(&self, reason: RejectReason) -> Result<(), Error> {
        let status = reason.status();
        if !is_refusal(status) {
            return Err(Error::Invalid(format!("a call can't be refused with {status}; take 400 to 699")));
        }
        self.operate(|session| Operation::Reject { session, status }).await
    }

    /// Ends the call, whatever its state.
    pub async fn terminate(&self) -> Result<(), Error> {
        self.operate(|session| Operation::HangUp { session }).await
    }

    /// Puts the other end on hold. Done when the state is [`CallState::OnHold`].
    pub async fn hold(&self) -> Result<(), Error> {
        self.operate(|session| Operation::Hold { session }).await
    }

    /// Resumes the call from hold. Done when the state is [`CallState::Connected`].
    pub async fn resume(&self) -> Result<(), Error> {
        self.operate(|session| Operation::Resume { session }).await
    }

    /// Sends digits (`0-9 * # A-D`), one after the other.
    pub async fn send_dtmf(&self, digits: &str) -> Result<(), Error> {
        let digits = digits.to_ascii_uppercase();
        let is_digit = |c: char| c.is_ascii_digit() || "*#ABCD".contains(c);
        if digits.is_empty() || !digits.chars().all(is_digit) {
            return Err(Error::Invalid(format!("{digits:?} can't be dialled; digits are 0-9 * # A-D")));
        }
        self.operate(|session| Operation::SendDtmf { session, digits }).await
    }

    /// Waits until the call is in `state`. An error if it ends before, or if that takes too long.
    pub async fn wait_for(&self, state: CallState, patience: Duration) -> Result<(), Error> {
        let mut standing = self.record.standing.subscribe();
        let reached = standing.wait_for(|now| now.state == state || now.ending.is_some());
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(now)) if now.state == state => Ok(()),
            Ok(_) => Err(self.over()),
            Err(_) => Err(self.timed_out(state, patience)),
        }
    }

    /// Waits until the call is over.
    pub async fn wait_until_ended(&self, patience: Duration) -> Result<CallEnding, Error> {
        let mut standing = self.record.standing.subscribe();
        let ended = standing.wait_for(|now| now.ending.is_some());
        match tokio::time::timeout(patience, ended).await {
            Ok(Ok(now)) => now.ending.ok_or_else(|| self.over()),
            Ok(Err(_)) => Err(self.over()),
            Err(_) => Err(self.timed_out(CallState::Terminated, patience)),
        }
    }

    fn over(&self) -> Error {
        Error::Ended { call: self.id(), ending: self.ending() }
    }

    fn timed_out(&self, awaited: CallState, waited: Duration) -> Error {
        Error::TimedOut { call: self.id(), state: self.state(), awaited, waited }
    }

    fn manager(&self) -> Result<Arc<Inner>, Error> {
        self.manager.upgrade().ok_or(Error::NotRunning)
    }

    async fn operate(&self, operation: impl FnOnce(SessionId) -> Operation) -> Result<(), Error> {
        if self.ending().is_some() {
            return Err(self.over());
        }
        let id = self.id();
        self.manager()?.command(usize::from(id.world()), operation(id)).await.map(drop)
    }
}

impl PartialEq for CallSession {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for CallSession {}

impl fmt::Debug for CallSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} from {:?} to {:?}, {}", self.id(), self.from(), self.to(), self.state())
    }
}

/// A call that came in and waits for a decision. Cheap to clone; keep one to decide later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCall {
    pub(super) session: CallSession,
}

impl IncomingCall {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.session.id()
    }

    /// The caller, as a URI.
    pub fn from(&self) -> &str {
        self.session.from()
    }

    /// The callee, as a URI.
    pub fn to(&self) -> &str {
        self.session.to()
    }

    /// The name or number that was dialled: the URI's part before `@`.
    pub fn dialled(&self) -> &str {
        let to = self.to();
        let to = to.split_once(':').map_or(to, |(_, rest)| rest);
        to.split_once('@').map_or("", |(user, _)| user.split([';', ':']).next().unwrap_or_default())
    }

    /// The Call-ID, which is the name of the call in the peer's logs.
    pub fn call_id(&self) -> &str {
        self.session.record.party(|parties| &parties.call_id)
    }

    /// The call, to be followed after the decision.
    pub fn session(&self) -> &CallSession {
        &self.session
    }

    /// Answers it after [`CallAction::Defer`](super::CallAction::Defer), and connects it to the configured service.
    pub async fn answer(&self) -> Result<(), Error> {
        self.session.answer().await
    }

    /// Answers it after [`CallAction::Defer`](super::CallAction::Defer), and connects it to this service.
    pub async fn connect(&self, service: &str) -> Result<(), Error> {
        self.session.connect(service).await
    }

    /// Tells the caller that the phone is ringing.
    pub async fn ring(&self) -> Result<(), Error> {
        self.session.ring().await
    }

    /// Refuses it after [`CallAction::Defer`](super::CallAction::Defer).
    pub async fn reject(&self, reason: RejectReason) -> Result<(), Error> {
        self.session.reject(reason).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call_to(to: &str) -> IncomingCall {
        let record = Record::new(SessionId(7));
        let parties = Parties { to: to.to_owned(), ..Parties::default() };
        record.parties.set(parties).unwrap();
        IncomingCall { session: CallSession { record: Arc::new(record), manager: Weak::new() } }
    }

    #[test]
    fn what_was_dialled_is_the_user_part() {
        assert_eq!(call_to("sip:echo@host:5060").dialled(), "echo");
        assert_eq!(call_to("sip:+49123;phone-context=x@host").dialled(), "+49123");
        assert_eq!(call_to("sip:host").dialled(), "");
    }

    #[tokio::test]
    async fn a_call_without_a_switch_says_so_and_waits_have_an_end() {
        let session = call_to("sip:a@b").session;
        assert!(matches!(session.terminate().await, Err(Error::NotRunning)));
        assert!(matches!(session.send_dtmf("1x").await, Err(Error::Invalid(_))));
        assert!(matches!(session.reject(RejectReason::Status(200)).await, Err(Error::Invalid(_))));
        let waited = session.wait_for(CallState::Connected, Duration::from_millis(1)).await;
        assert!(matches!(waited, Err(Error::TimedOut { .. })));
        let ending = CallEnding { cause: EndCause::HungUp, status: 0 };
        session.record.standing.send_modify(|now| now.ending = Some(ending));
        assert!(matches!(
            session.wait_for(CallState::Connected, Duration::from_secs(9)).await,
            Err(Error::Ended { .. })
        ));
        assert_eq!(session.wait_until_ended(Duration::from_secs(9)).await.unwrap(), ending);
        assert!(matches!(session.hold().await, Err(Error::Ended { .. })));
    }
}
