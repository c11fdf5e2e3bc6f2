//! Worlds between sockets and a paced clock.

use super::prepare::{Beginnings, prepare, state_folders};
use super::route::world_of_room;
use super::runner::{Berth, Runner, Shared};
use super::summary::Summary;
use super::world_of_message;
use crate::config::{Config, sip_limits};
use crate::net::{Epoch, Net, NetConfig, NetError, RingSizes, Sockets, TcpLimits, WorldEdge, monotonic_ns};
use crate::replay::RecordError;
use crate::state::{Door, Legacy, StateError, StateFolder, Successor};
use bevy_app::App;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use ringworld_components::edge::{Command, Event, Operation, Refusal, Reply, Transport};
use ringworld_components::kernel::StableId;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long [`Switch::command`] waits for a world's answer.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);

/// A running switch: its sockets, and a thread for every world.
pub struct Switch {
    config: Config,
    folder: Arc<Option<StateFolder>>,
    net: Net,
    /// How often it went on after nobody took it over.
    resumed: u64,
    worlds: Vec<Running>,
    numbers: AtomicU64,
    /// Calls that go on from an earlier life, and what was found damaged of it.
    taken_up: (u64, Vec<String>),
}

/// A world that is ready and waits for its end of the network.
struct Waiting {
    shared: Arc<Shared>,
    edge: Sender<WorldEdge>,
    parked: Receiver<Result<Beginnings, String>>,
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

/// What became of a switch that somebody wanted to take over.
pub enum HandOver {
    /// The process of that number has it now; this was its summary.
    Gone(u32, Box<Summary>),
    /// It goes on by itself, for this reason.
    Stays(Box<Switch>, String),
}

struct Running {
    commands: Sender<Command>,
    shared: Arc<Shared>,
    edges: Sender<WorldEdge>,
    parked: Receiver<Result<Beginnings, String>>,
    thread: JoinHandle<Option<Summary>>,
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
    /// The system gave no randomness or no thread.
    System(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
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

/// Adds a user's plugins to a world.
pub type Extend = Arc<dyn Fn(&mut App) + Send + Sync>;

impl Switch {
    /// Starts a switch with the stock plugins.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Arc::new(|_| {}))
    }

    /// Starts a switch whose worlds have the plugins that `extend` adds.
    pub fn start_with(config: &Config, extend: Extend) -> Result<Self, StartError> {
        Self::begin(config, extend, None, Sockets::default(), || Ok(()))
    }

    /// Takes over from the process that runs on the state folder: its sockets, its calls. If that can't be, it goes on.
    pub fn take_over(config: &Config, extend: Extend) -> Result<Self, StartError> {
        let (folder, sockets, verdict) = Legacy::ask(&config.state.folder)?.split();
        let switch = Self::begin(config, extend, Some(folder), sockets, || verdict.ready());
        if let Err(error) = &switch {
            verdict.refuse(error.to_string());
        }
        switch
    }

    /// Starts with the folder and the sockets that there are already. No world runs before `commit` says so.
    fn begin(
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
                let (world, beginnings) = match prepare(&config, index, own_folder.as_deref(), &extend, &of_thread) {
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
        let (net, edges) = start_net(config, &beginnings, 0, sockets)?;
        commit()?;
        let worlds = waiting.into_iter().zip(edges).map(|(world, edge)| world.run(edge)).collect();
        let sessions = beginnings.iter().map(|world| world.sessions).sum();
        let notes = beginnings.iter_mut().flat_map(|world| std::mem::take(&mut world.notes)).collect();
        let (config, numbers, taken_up) = (config.clone(), AtomicU64::new(1), (sessions, notes));
        Ok(Self { config, folder, net, resumed: 0, worlds, numbers, taken_up })
    }

    /// Opens the way in for who wants to take over; `None` without a state folder.
    pub fn open_door(&self) -> Option<Result<Door, StateError>> {
        self.folder.as_ref().as_ref().map(Door::open)
    }

    /// Stops at a tick and hands everything over, or goes on if the other refuses.
    ///
    /// # Errors
    /// The other did not take it, and the network could not be started again.
    pub fn hand_over(self, to: &Successor) -> Result<HandOver, StartError> {
        for running in &self.worlds {
            running.shared.park();
        }
        let gone = |_| Err("the thread of a world has ended".to_owned());
        let parked: Vec<_> = self.worlds.iter().map(|running| running.parked.recv().unwrap_or_else(gone)).collect();
        let Self { config, folder, net, resumed, worlds, numbers, taken_up } = self;
        let counted = net.counters().snapshot();
        let sockets = net.halt();
        let mut beginnings = Vec::new();
        let mut why = None;
        for world in parked {
            match world {
                Ok(world) => beginnings.push(world),
                Err(error) => {
                    beginnings.push(Beginnings::default());
                    why = Some(error);
                }
            }
        }
        let given = match (folder.as_ref(), why) {
            (Some(folder), None) => to.give(folder, &sockets),
            (_, why) => {
                let why = why.unwrap_or_else(|| "there is no state folder".to_owned());
                to.turn_away(&why);
                Err(why)
            }
        };
        // From here on the other may run: nothing may keep us from ending.
        let given = given.and_then(|process| to.let_go().map(|()| process).map_err(|error| error.to_string()));
        match given {
            Ok(process) => {
                let mut total = Summary::default();
                for Running { edges, thread, .. } in worlds {
                    drop(edges);
                    if let Ok(Some(summary)) = thread.join() {
                        total.add(&summary);
                    }
                }
                total.network = counted;
                Ok(HandOver::Gone(process, Box::new(total)))
            }
            Err(why) => {
                let resumed = resumed + 1;
                let (net, edges) = start_net(&config, &beginnings, resumed, sockets)?;
                let worlds = worlds.into_iter().zip(edges).map(|(running, edge)| {
                    let commands = edge.commands();
                    let _ = running.edges.send(edge);
                    Running { commands, ..running }
                });
                let worlds = worlds.collect();
                let switch = Self { config, folder, net, resumed, worlds, numbers, taken_up };
                Ok(HandOver::Stays(Box::new(switch), why))
            }
        }
    }

    /// How many calls go on from an earlier life of the state folder, and what was found damaged of it, in sentences.
    pub fn taken_up(&self) -> (u64, &[String]) {
        (self.taken_up.0, &self.taken_up.1)
    }

    /// Where SIP is spoken, with the ports that the system chose.
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
        let running = self.worlds.get(world).ok_or(Refusal::NoSuchSession)?;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = bounded(1);
        running.shared.expect(number, tell);
        if let Err(error) = running.commands.try_send(Command { number, operation }) {
            running.shared.forget(number);
            let what = if matches!(error, TrySendError::Full(_)) { "waiting commands" } else { "worlds" };
            return Err(Refusal::Limit(what.to_owned()));
        }
        let reply: Result<Reply, _> = told.recv_timeout(REPLY_PATIENCE);
        running.shared.forget(number);
        reply.map_err(|_| Refusal::Limit("the time to answer a command".to_owned()))?.result
    }

    /// Asks the world that a session lives in.
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

    /// Refuses new calls, ends the others with BYE, waits until all are gone, but not longer than `patience`, and stops.
    pub fn drain(self, patience: Duration) -> Summary {
        self.begin_drain();
        let deadline = Instant::now() + patience;
        while !self.is_drained() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop()
    }

    /// Stops at once and tells what was.
    pub fn stop(self) -> Summary {
        let mut total = Summary::default();
        for running in &self.worlds {
            running.shared.stop();
        }
        for running in self.worlds {
            if let Ok(Some(summary)) = running.thread.join() {
                total.add(&summary);
            }
        }
        total.network = self.net.counters().snapshot();
        self.net.stop();
        total
    }
}

/// The worlds' time on this machine's clock: the first one's, from which the others' are some ticks away at most.
fn epoch_of(beginnings: &[Beginnings]) -> Epoch {
    let lived_ms = beginnings.first().map_or(0, |world| world.lived_ms);
    Epoch::at_ns((monotonic_ns() as i64).saturating_sub_unsigned(lived_ms.saturating_mul(1_000_000)))
}

/// Starts the network for worlds that are ready. `turn` tells the TCP connections of one life apart.
fn start_net(
    config: &Config,
    beginnings: &[Beginnings],
    turn: u64,
    sockets: Sockets,
) -> Result<(Net, Vec<WorldEdge>), NetError> {
    let count = beginnings.len();
    let router = Arc::new(move |message: &_| world_of_message(message, count));
    let network = net_config(config, beginnings);
    let conn_base = network.conn_base | (turn << 32);
    Net::start_with(NetConfig { conn_base, ..network }, epoch_of(beginnings), router, sockets)
}

fn net_config(config: &Config, beginnings: &[Beginnings]) -> NetConfig {
    let network = &config.network;
    let in_use = beginnings.iter().enumerate().flat_map(|(world, of)| of.ports.iter().map(move |port| (world, *port)));
    let life = beginnings.iter().map(|world| u64::from(world.epoch)).max().unwrap_or(0);
    NetConfig {
        sip: network.sip.iter().map(|listen| (listen.transport, listen.address)).collect(),
        rtp_ports: (network.rtp_ports.first, network.rtp_ports.last),
        advertised: config.sip.advertised_address,
        worlds: usize::from(network.worlds.max(1)),
        rtp_threads: usize::from(network.rtp_threads.max(1)),
        port_stock: network.rtp_port_stock as usize,
        limits: sip_limits(&config.sip),
        tcp: TcpLimits {
            connections_max: network.tcp_connections_max as usize,
            idle: Duration::from_secs(u64::from(network.tcp_idle_s)),
            ..TcpLimits::default()
        },
        rings: RingSizes { pool: network.packet_buffers as usize, ..RingSizes::default() },
        in_use: in_use.collect(),
        conn_base: life << 40,
        ..NetConfig::default()
    }
}
