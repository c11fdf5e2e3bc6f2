//! The simple interface over loopback: against simulated callers and answerers, and the engine against itself.

use ringworld::api::simple::{
    AutoAnswerHandler, CallAction, CallEnding, CallHandler, CallMedia, CallSession, CallState, EndCause, Error,
    IncomingCall, RejectReason, SessionConfig, SessionManager,
};
use ringworld::engine::StartError;
use ringworld::load::{self, Answerer, Behaviour, Plan, Report, Service};
use ringworld::prelude::{
    App, DigitHeard, IntoScheduleConfigs, MessageReader, Operation, Operations, Phase, Plugin, Tick,
};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Ports of its own for every switch: the tests of this file run side by side.
fn ports(config: SessionConfig) -> SessionConfig {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    let first = NEXT.fetch_add(100, Ordering::Relaxed);
    config.rtp_ports(first, first + 99).unwrap().with(|config| config.network.rtp_port_stock = 16)
}

async fn server(handler: impl CallHandler, config: SessionConfig) -> (SessionManager, SocketAddr) {
    let manager = SessionManager::new(ports(config)).await.unwrap();
    manager.set_call_handler(Arc::new(handler)).await.unwrap();
    manager.start_server("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = *manager.addresses().first().unwrap();
    (manager, address)
}

fn config() -> SessionConfig {
    SessionConfig::server("127.0.0.1:0").unwrap().deferral(Duration::from_secs(1))
}

async fn client() -> SessionManager {
    SessionManager::new(ports(SessionConfig::client())).await.unwrap()
}

async fn callers(address: SocketAddr, service: Service, hold: Duration) -> Report {
    let mut plan = Plan::new(address).with(service);
    plan.hold = hold;
    tokio::task::spawn_blocking(move || load::run(&plan, |_| ())).await.unwrap().unwrap()
}

/// Stops the manager and asserts that no call left anything behind.
async fn stop_clean(manager: SessionManager) {
    assert_eq!(manager.active_calls(), Vec::new());
    let end = manager.stop().await.unwrap().end;
    assert_eq!((end.sessions, end.dialogs, end.streams, end.rooms, end.ports), (0, 0, 0, 0, 0));
}

#[tokio::test]
async fn a_server_of_three_lines_answers_and_every_caller_hears_itself() {
    let (manager, address) = server(AutoAnswerHandler, config()).await;
    let report = callers(address, Service::echo(3), Duration::from_secs(3)).await;
    assert!(report.all_right(), "{report:#?}");
    assert!(matches!(manager.start_server(address).await, Err(Error::AlreadyRunning)));
    stop_clean(manager.clone()).await;
    assert!(matches!(manager.stop().await, Err(Error::NotRunning)));
}

struct Says(CallAction);

impl CallHandler for Says {
    async fn on_incoming_call(&self, _: &IncomingCall) -> CallAction {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_refused_call_hears_why() {
    let (manager, address) = server(Says(RejectReason::Busy.into()), config()).await;
    let report = callers(address, Service::signalling("callee", 2), Duration::ZERO).await;
    assert_eq!(report.calls_by_outcome.get("486 Busy Here"), Some(&2), "{report:#?}");
    stop_clean(manager).await;
}

#[tokio::test]
async fn a_handler_may_choose_the_service() {
    let (manager, address) = server(Says(CallAction::Connect("tone-700".into())), config()).await;
    let mut service = Service::echo(1);
    (service.user, service.hears) = ("callee".into(), load::Hears::Tone(700));
    let report = callers(address, service, Duration::from_secs(3)).await;
    assert!(report.all_right(), "{report:#?}");
    stop_clean(manager).await;
}

/// Handlers that fail: by a panic, by no return, or by no decision.
enum Bad {
    Panics,
    NeverReturns,
    ForgetsToDecide,
}

impl CallHandler for Bad {
    async fn on_incoming_call(&self, _: &IncomingCall) -> CallAction {
        match self {
            Self::Panics => panic!("a handler of a test panics, as it should"),
            Self::NeverReturns => std::future::pending().await,
            Self::ForgetsToDecide => CallAction::Defer,
        }
    }
}

#[tokio::test]
async fn a_handler_that_fails_costs_its_call_and_nothing_else() {
    for bad in [Bad::Panics, Bad::NeverReturns, Bad::ForgetsToDecide] {
        let (manager, address) = server(bad, config()).await;
        let report = callers(address, Service::signalling("callee", 2), Duration::ZERO).await;
        let outcome = report.calls_by_outcome.iter().next().map(|(outcome, count)| (outcome.as_str(), *count));
        assert!(matches!(outcome, Some((text, 2)) if text.starts_with("480")), "{report:#?}");
        stop_clean(manager).await;
    }
}

#[tokio::test]
async fn a_method_that_panics_does_not_stop_the_next_one() {
    #[derive(Clone, Default)]
    struct Fragile(Arc<Mutex<Vec<CallEnding>>>);
    impl CallHandler for Fragile {
        async fn on_call_state_changed(&self, _: &CallSession, _: CallState, _: CallState) {
            panic!("a handler of a test panics, as it should")
        }
        async fn on_call_ended(&self, _: &CallSession, ending: CallEnding) {
            self.0.lock().unwrap().push(ending);
        }
    }
    let handler = Fragile::default();
    let (manager, address) = server(handler.clone(), config()).await;
    let report = callers(address, Service::signalling("callee", 1), Duration::ZERO).await;
    assert_eq!(report.completed, 1, "{report:#?}");
    stop_clean(manager).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(*handler.0.lock().unwrap(), [CallEnding { cause: EndCause::PeerHungUp, status: 0 }]);
}

/// Ends a call when the hash key is pressed.
#[derive(Clone)]
struct HashHangsUp;

impl Plugin for HashHangsUp {
    fn build(&self, app: &mut App) {
        app.add_systems(Tick, hang_up_on_hash.in_set(Phase::Behaviour));
    }
}

fn hang_up_on_hash(mut digits: MessageReader<DigitHeard>, mut operations: Operations) {
    operations.for_each_call(digits.read().filter(|heard| heard.digit == '#'), |operations, heard| {
        operations.write(Operation::hang_up(heard.session));
    });
}

#[tokio::test]
async fn the_builder_takes_a_handler_and_plugins_for_the_worlds() {
    let builder = SessionManager::builder().config(ports(config())).handler(Arc::new(AutoAnswerHandler));
    let server = builder.plugin(HashHangsUp).start().await.unwrap();
    let client = SessionManager::new(ports(SessionConfig::client().service("silence"))).await.unwrap();
    let address = *server.addresses().first().unwrap();
    let call = client.make_call("alice", &format!("bob@{address}"), None).await.unwrap();
    call.wait_for(CallState::Connected, PATIENCE).await.unwrap();
    call.send_dtmf("#").await.unwrap();
    assert_eq!(call.wait_until_ended(PATIENCE).await.unwrap().cause, EndCause::PeerHungUp);
    stop_clean(client).await;
    stop_clean(server).await;

    let twice = SessionManager::builder().config(ports(config())).plugin(HashHangsUp).plugin(HashHangsUp);
    let error = twice.start().await.err().unwrap();
    assert!(matches!(&error, Error::Start(StartError::Plugins(_))), "{error}");
    assert!(error.to_string().contains("HashHangsUp is added twice"), "{error}");
}

/// Keeps calls and notes what happens.
#[derive(Clone, Default)]
struct Keeper {
    calls: Arc<Mutex<Vec<IncomingCall>>>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Keeper {
    fn note(&self, note: String) {
        self.notes.lock().unwrap().push(note);
    }

    async fn has_noted(&self, note: &str) {
        let noted = || self.notes.lock().unwrap().iter().any(|noted| noted == note);
        let waiting = async {
            while !noted() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{note:?} is not among {:?}", self.notes.lock().unwrap());
    }
}

impl CallHandler for Keeper {
    async fn on_incoming_call(&self, call: &IncomingCall) -> CallAction {
        self.calls.lock().unwrap().push(call.clone());
        CallAction::Defer
    }
    async fn on_call_state_changed(&self, _: &CallSession, _: CallState, to: CallState) {
        self.note(to.to_string());
    }
    async fn on_call_answered(&self, call: &CallSession) {
        self.note(format!("{} was answered", call.to()));
    }
    async fn on_media_established(&self, _: &CallSession, media: CallMedia) {
        self.note(format!("{} to {}", media.codec, media.remote.ip()));
    }
    async fn on_dtmf(&self, _: &CallSession, digit: char) {
        self.note(digit.to_string());
    }
    async fn on_call_ended(&self, _: &CallSession, ending: CallEnding) {
        self.note(ending.to_string());
    }
}

#[tokio::test]
async fn the_engine_calls_itself_and_both_ends_tell_the_same_story() {
    let keeper = Keeper::default();
    let (server, address) = server(keeper.clone(), config().deferral(PATIENCE)).await;
    // Two echoes would return the digits to each other without end.
    let placer = Keeper::default();
    let config = ports(SessionConfig::client().service("silence"));
    let client = SessionManager::builder().config(config).handler(Arc::new(placer.clone())).build().await.unwrap();
    let call = client.make_call("alice@home.example", &format!("sip:bob@{address}"), None).await.unwrap();
    assert_eq!((call.from(), call.to()), ("sip:alice@home.example", format!("sip:bob@{address}").as_str()));
    assert_eq!(client.active_calls(), std::slice::from_ref(&call));

    let incoming = loop {
        if let Some(call) = keeper.calls.lock().unwrap().first().cloned() {
            break call;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((incoming.from(), incoming.dialled()), ("sip:alice@home.example", "bob"));
    assert!(!incoming.call_id().is_empty());
    assert!(matches!(incoming.session().hold().await, Err(Error::NotNow(_))));
    incoming.ring().await.unwrap();
    call.wait_for(CallState::Ringing, PATIENCE).await.unwrap();
    incoming.answer().await.unwrap();
    call.wait_for(CallState::Connected, PATIENCE).await.unwrap();
    assert!(matches!(incoming.answer().await, Err(Error::NotNow(_))), "once is enough");
    let (answered, media) = (format!("sip:bob@{address} was answered"), "PCMU to 127.0.0.1");
    for end in [&keeper, &placer] {
        end.has_noted(&answered).await;
        end.has_noted(media).await;
        let notes = end.notes.lock().unwrap().clone();
        let times = |what: &str| notes.iter().filter(|note| *note == what).count();
        assert_eq!((times(&answered), times(media)), (1, 1), "{notes:?}");
    }

    call.send_dtmf("19#").await.unwrap();
    for digit in ["1", "9", "#"] {
        keeper.has_noted(digit).await;
    }
    call.hold().await.unwrap();
    call.wait_for(CallState::OnHold, PATIENCE).await.unwrap();
    keeper.has_noted("OnHold").await;
    call.resume().await.unwrap();
    call.wait_for(CallState::Connected, PATIENCE).await.unwrap();
    call.terminate().await.unwrap();
    let ending = call.wait_until_ended(PATIENCE).await.unwrap();
    assert_eq!(ending.cause, EndCause::HungUp);
    keeper.has_noted("peer hung up").await;
    let notes = keeper.notes.lock().unwrap().clone();
    let digits: String = notes.iter().filter(|note| note.len() == 1).cloned().collect();
    assert_eq!(digits, "19#", "in order, none lost, none twice");
    assert!(matches!(call.terminate().await, Err(Error::Ended { .. })));
    stop_clean(client).await;
    stop_clean(server).await;
}

#[tokio::test]
async fn a_call_over_tcp_and_by_name_is_a_call() {
    let (server, _) = server(AutoAnswerHandler, config()).await;
    let client = client().await;
    let to = format!("bob@localhost:{};transport=tcp", server.tcp_addresses().first().unwrap().port());
    let call = client.make_call("alice", &to, None).await.unwrap();
    call.wait_for(CallState::Connected, PATIENCE).await.unwrap();
    call.terminate().await.unwrap();
    call.wait_until_ended(PATIENCE).await.unwrap();
    stop_clean(client).await;
    stop_clean(server).await;
}

#[tokio::test]
async fn a_placed_call_that_fails_says_why() {
    let client = client().await;
    let busy = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Reject(486), None).unwrap();
    let call = client.make_call("alice", &format!("bob@{}", busy.address()), None).await.unwrap();
    assert!(matches!(call.wait_for(CallState::Connected, PATIENCE).await, Err(Error::Ended { .. })));
    let refused = CallEnding { cause: EndCause::Rejected, status: 486 };
    assert_eq!(call.wait_until_ended(PATIENCE).await.unwrap(), refused);

    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let call = client.make_call("alice", &format!("bob@{closed}"), None).await.unwrap();
    let ending = call.wait_until_ended(PATIENCE).await.unwrap();
    assert_eq!(ending.cause, EndCause::TransportFailure, "{ending}");

    let unknown = client.make_call("alice", "bob@no-such-host.invalid", None).await.unwrap_err();
    assert!(unknown.to_string().contains("no-such-host.invalid"), "{unknown}");
    assert!(matches!(client.make_call("alice", "bob@", None).await, Err(Error::Address { .. })));
    assert!(matches!(client.make_call("a b", "bob@127.0.0.1", None).await, Err(Error::Address { .. })));
    stop_clean(client).await;
}

#[tokio::test]
async fn a_call_can_be_given_up_while_it_rings() {
    let ringing = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Ring(PATIENCE), None).unwrap();
    let client = client().await;
    let call = client.make_call("alice", &format!("bob@{}", ringing.address()), None).await.unwrap();
    call.wait_for(CallState::Ringing, PATIENCE).await.unwrap();
    call.terminate().await.unwrap();
    call.wait_until_ended(PATIENCE).await.unwrap();
    assert_eq!(ringing.seen().cancelled, 1);
    stop_clean(client).await;
}

#[tokio::test]
async fn stopping_says_goodbye() {
    let echo = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Echo, None).unwrap();
    let client = client().await;
    for _ in 0..3 {
        let call = client.make_call("alice", &format!("bob@{}", echo.address()), None).await.unwrap();
        call.wait_for(CallState::Connected, PATIENCE).await.unwrap();
    }
    let end = client.stop().await.unwrap().end;
    assert_eq!((end.sessions, end.ports), (0, 0));
    assert_eq!(echo.seen().byes, 3);
    assert_eq!(client.active_calls(), Vec::new());
    assert!(matches!(client.stop().await, Err(Error::NotRunning)));
}

#[tokio::test]
async fn one_s_own_session_description_is_offered_as_it_is() {
    let echo = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Echo, None).unwrap();
    let media = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = media.local_addr().unwrap().port();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    let client = client().await;
    let call = client.make_call("alice", &format!("bob@{}", echo.address()), Some(sdp)).await.unwrap();
    call.wait_for(CallState::Connected, PATIENCE).await.unwrap();
    assert_eq!(client.status().iter().map(|world| world.end.ports).sum::<u64>(), 0, "no port of ours");
    call.terminate().await.unwrap();
    call.wait_until_ended(PATIENCE).await.unwrap();
    stop_clean(client).await;
}
