//! Worlds between sockets and a paced clock.

use super::Plugins;
use super::network::prepare_net;
use super::prepare::{Beginnings, prepare, state_folders};
use super::route::world_of_room;
use super::runner::{Berth, Parked, Runner, Shared};
use super::summary::Summary;
use crate::config::Config;
use crate::net::{Net, NetError, Sockets, WorldEdge};
use crate::replay::{FlightDump, RecordError};
use crate::state::{StateError, StateFolder};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use ringworld_components::edge::{Command, Event, Operation, Refusal, Reply, Transport};
use ringworld_components::kernel::StableId;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long [`Switch::command`] waits for a world's answer.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);

/// How long [`Switch::write_flight`] waits for a world.
const FLIGHT_PATIENCE: Duration = Duration::from_secs(60);

/// A running switch: its sockets, and a thread for every world.
pub struct Switch {
    pub(super) config: Config,
    pub(super) folder: Arc<Option<StateFolder>>,
    pub(super) net: Net,
    /// How often it went on after a hand-over that failed.
    pub(super) resumed: u64,
    pub(super) worlds: Vec<Running>,
    pub(super) numbers: AtomicU64,
    /// Calls that go on from an earlier life, and what was found damaged of it.
    pub(super) taken_up: (u64, Vec<String>),
}

/// A world that is ready and waits for its edge.
struct Waiting {
    shared: Arc<Shared>,
    edge: Sender<WorldEdge>,
    parked: Receiver<Parked>,
    ready: Receiver<Result<Beginnings, StartError>>,
    thread: JoinHandle<Option<Summary>>,
}

impl Waiting {
    fn run(self, edge: WorldEdge) -> Running {
        let Self { shared, edge: edges, parked, thread, .. } = self;
        let commands = edge.commands();
        // It has room for one, and a world that is ready waits for it.
        let _ = edges.send(edge);
        Running { commands, shared, edges, parked, thread }
    }
}

/// A world that runs.
pub(super) struct Running {
    pub commands: Sender<Command>,
    pub shared: Arc<Shared>,
    pub edges: Sender<WorldEdge>,
    pub parked: Receiver<Parked>,
    pub thread: JoinHandle<Option<Summary>>,
}

/// Why a switch can't start.
#[derive(Debug)]
pub enum StartError {
    /// The network side: an address in use, too few file descriptors ...
    Net(NetError),
    /// The recording can't be written.
    Record(RecordError),
    /// The state folder can't be used.
    State(StateError),
    /// A world can't be built from its list of plugins.
    Plugins(String),
    /// The system gave no randomness or no thread.
    System(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Plugins(why) => write!(f, "a world can't be built: {why}"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<NetError> for StartError {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Changes the list of plugins of a world. It is called for every world of a switch, and again for a world that is
/// restored.
pub type Extend = Arc<dyn Fn(&mut Plugins) + Send + Sync>;

impl Switch {
    /// Starts a switch with the stock plugins.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Arc::new(|_| {}))
    }

    /// Starts a switch whose worlds have the plugins that `extend` leaves in the list.
    pub fn start_with(config: &Config, extend: Extend) -> Result<Self, StartError> {
        Self::begin(config, extend, None, Sockets::default(), || Ok(()))
    }

    /// Starts with the folder and the sockets that there are already. No world runs before `commit` says so.
    pub(super) fn begin(
        config: &Config,
        extend: Extend,
        folder: Option<StateFolder>,
        sockets: Sockets,
        commit: impl FnOnce() -> Result<(), StateError>,
    ) -> Result<Self, StartError> {
        let count = usize::from(config.network.worlds.max(1));
        let (folder, folders) = state_folders(config, count, folder)?;
        let folder = Arc::new(folder);
        let mut waiting = Vec::new();
        for (index, own_folder) in folders.into_iter().enumerate() {
            let (config, extend, lock) = (config.clone(), extend.clone(), folder.clone());
            let shared = Arc::new(Shared::default());
            let of_thread = shared.clone();
            let ((tell, ready), (edge, edges), (tell_parked, parked)) = (bounded(1), bounded(1), bounded(1));
            let thread = std::thread::Builder::new().name(format!("world-{index}")).spawn(move || {
                // Locked as long as any world runs.
                let _locked = lock;
                let prepare = || prepare(&config, index, own_folder.as_deref(), &extend, &of_thread);
                let prepared = catch_unwind(AssertUnwindSafe(prepare))
                    .unwrap_or_else(|panic| Err(StartError::Plugins(message_of(panic.as_ref()).to_owned())));
                let (world, beginnings) = match prepared {
                    Ok(prepared) => prepared,
                    Err(error) => {
                        let _ = tell.send(Err(error));
                        return None;
                    }
                };
                let _ = tell.send(Ok(beginnings));
                // Without an edge the network did not start.
                let edge = edges.recv().ok()?;
                let berth = Berth { edges, parked: tell_parked };
                Some(Runner::new(world, edge, berth, of_thread, config.network.packet_buffers as usize).run())
            });
            waiting.push(Waiting { shared, edge, parked, ready, thread: thread.map_err(StartError::System)? });
        }
        let mut beginnings = Vec::new();
        for world in &waiting {
            let gone = |_| StartError::System(std::io::Error::other("the thread of a world has ended"));
            beginnings.push(world.ready.recv().map_err(gone)??);
        }
        let (mut net, edges) = prepare_net(config, &beginnings, 0, sockets)?;
        commit()?;
        net.open();
        let worlds = waiting.into_iter().zip(edges).map(|(world, edge)| world.run(edge)).collect();
        let sessions = beginnings.iter().map(|world| world.sessions).sum();
        let notes = beginnings.iter_mut().flat_map(|world| std::mem::take(&mut world.notes)).collect();
        let (config, numbers, taken_up) = (config.clone(), AtomicU64::new(1), (sessions, notes));
        Ok(Self { config, folder, net, resumed: 0, worlds, numbers, taken_up })
    }

    /// How many calls go on from an earlier life of the state folder, and what was found damaged, in sentences.
    pub fn taken_up(&self) -> (u64, &[String]) {
        (self.taken_up.0, &self.taken_up.1)
    }

    /// The addresses for SIP, with the ports that the system chose.
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        self.net.sip_addresses()
    }

    /// Our address towards a peer.
    pub fn local_towards(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        self.net.local_towards(transport, remote)
    }

    /// How many worlds there are.
    pub fn worlds(&self) -> usize {
        self.worlds.len()
    }

    /// The world that a room of that name is in.
    pub fn world_of_room(&self, name: &str) -> usize {
        world_of_room(name, self.worlds())
    }

    /// Asks a world to do something and waits for its answer, some milliseconds usually.
    pub fn command(&self, world: usize, operation: Operation) -> Result<StableId, Refusal> {
        let running = self.worlds.get(world).ok_or(Refusal::NotTaken("there is no such world"))?;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = bounded(1);
        running.shared.expect(number, tell);
        if let Err(error) = running.commands.try_send(Command { number, operation }) {
            running.shared.forget(number);
            let is_full = matches!(error, TrySendError::Full(_));
            return Err(Refusal::NotTaken(if is_full { "too many are waiting" } else { "the world has stopped" }));
        }
        let reply: Result<Reply, _> = told.recv_timeout(REPLY_PATIENCE);
        running.shared.forget(number);
        reply.map_err(|_| Refusal::NoAnswer)?.result.map_err(Refusal::World)
    }

    /// Asks the world that holds a session.
    pub fn command_session(&self, session: StableId, operation: Operation) -> Result<StableId, Refusal> {
        self.command(usize::from(session.world()), operation)
    }

    /// All events from now on. A reader that falls `capacity` events behind loses events; each world counts them.
    pub fn subscribe(&self, capacity: usize) -> Receiver<Event> {
        let (tell, told) = bounded(capacity.max(1));
        for running in &self.worlds {
            running.shared.subscribe(tell.clone());
        }
        told
    }

    /// What each world holds and has counted, as of some milliseconds ago.
    pub fn status(&self) -> Vec<Summary> {
        self.worlds.iter().map(|running| running.shared.status()).collect()
    }

    /// Has the flight recording of every world written out, and says where each is.
    pub fn write_flight(&self) -> Vec<FlightDump> {
        let ask = |running: &Running| {
            let (tell, told) = bounded(1);
            running.shared.wish(tell);
            told
        };
        let told: Vec<Receiver<FlightDump>> = self.worlds.iter().map(ask).collect();
        let late = || Err("the world did not answer in time".to_owned());
        told.into_iter().map(|told| told.recv_timeout(FLIGHT_PATIENCE).unwrap_or_else(|_| late())).collect()
    }

    /// Why a world has stopped by itself: a system of it panicked. The switch is of no use any more then.
    pub fn failure(&self) -> Option<String> {
        let ended =
            |running: &Running| running.thread.is_finished().then(|| "the thread of a world has ended".to_owned());
        self.worlds.iter().find_map(|running| running.shared.failure().or_else(|| ended(running)))
    }

    /// From now on refuses new calls, and ends the others with BYE.
    pub fn begin_drain(&self) {
        for running in &self.worlds {
            // A world whose queue is full of commands drains when it has worked through them.
            let drain = Command { number: 0, operation: Operation::Drain };
            let _ = running.commands.send_timeout(drain, REPLY_PATIENCE);
        }
    }

    /// Whether draining has begun and no call is left.
    pub fn is_drained(&self) -> bool {
        self.worlds.iter().all(|running| running.shared.has_drained() && running.shared.sessions() == 0)
    }

    /// Refuses new calls, ends the others with BYE, waits until all are gone, but not longer than `patience`, and
    /// stops.
    pub fn drain(self, patience: Duration) -> Summary {
        self.begin_drain();
        let deadline = Instant::now() + patience;
        while !self.is_drained() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop()
    }

    /// Stops at once and returns the summary.
    pub fn stop(self) -> Summary {
        let (mut total, broken) = (Summary::default(), self.failure());
        for running in &self.worlds {
            running.shared.stop();
        }
        for running in self.worlds {
            match running.thread.join() {
                Ok(summary) => summary.iter().for_each(|summary| total.add(summary)),
                Err(panic) => total.defects.push(format!("a world panicked: {}", message_of(panic.as_ref()))),
            }
        }
        total.network = self.net.counters().snapshot();
        self.net.stop();
        debug_assert!(broken.is_some() || total.defects.is_empty(), "{:?}", total.defects);
        total
    }
}

/// The time of day, for a world that begins now.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The message of a panic.
pub(super) fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it left no message")
}
