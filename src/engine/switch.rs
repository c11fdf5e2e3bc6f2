//! Worlds between sockets and a paced clock.

use super::route::world_of_room;
use super::runner::{Runner, Shared};
use super::summary::Summary;
use super::watch::Watch;
use super::{Engine, WorldConfig, world_of_message};
use crate::config::{Config, sip_limits};
use crate::net::{Epoch, Net, NetConfig, NetError, RingSizes, TcpLimits};
use crate::replay::{FlightDump, FlightRecorder, FlightSettings, RecordError, Recorder};
use bevy_app::App;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use ringworld_components::edge::{Command, Event, Operation, Refusal, Reply, Transport};
use ringworld_components::kernel::StableId;
use std::fmt;
use std::net::SocketAddr;
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
    net: Net,
    worlds: Vec<Running>,
    numbers: AtomicU64,
}

struct Running {
    commands: Sender<Command>,
    shared: Arc<Shared>,
    thread: JoinHandle<Summary>,
}

/// Why a switch can't start.
#[derive(Debug)]
pub enum StartError {
    /// The network side: an address in use, too few file descriptors ...
    Net(NetError),
    /// The recording can't be written.
    Record(RecordError),
    /// The system gave no randomness or no thread.
    System(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
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

/// Adds a user's plugins to a world.
pub type Extend = Arc<dyn Fn(&mut App) + Send + Sync>;

impl Switch {
    /// Starts a switch with the stock plugins.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Arc::new(|_| {}))
    }

    /// Starts a switch whose worlds have the plugins that `extend` adds.
    pub fn start_with(config: &Config, extend: Extend) -> Result<Self, StartError> {
        let count = usize::from(config.network.worlds.max(1));
        let epoch = Epoch::now();
        let router = Arc::new(move |message: &_| world_of_message(message, count));
        let (net, edges) = Net::start(net_config(config), epoch, router)?;
        let mut worlds = Vec::new();
        for (index, edge) in edges.into_iter().enumerate() {
            let world = WorldConfig {
                settings: config.settings(),
                secret: random_secret()?,
                world: index as u8,
                epoch: 0,
                pool_share: config.network.packet_buffers as usize,
                began_unix_ms: unix_ms(),
            };
            let recorder = match recording_path(config, index, count) {
                Some(path) => Some(Recorder::create(&path, &world, &config.record).map_err(StartError::Record)?),
                None => None,
            };
            let shared = Arc::new(Shared::default());
            let commands = edge.commands();
            let (extend, of_thread, record) = (extend.clone(), shared.clone(), config.record.clone());
            let thread = std::thread::Builder::new()
                .name(format!("world-{index}"))
                .spawn(move || {
                    let engine = Engine::with_plugins(&world, |app| extend(app));
                    let start = |settings| {
                        FlightRecorder::start(&engine, &world, &settings, extend.clone())
                            .inspect_err(|error| tracing::warn!(%error, "there is no flight recorder"))
                    };
                    let flight = FlightSettings::of(&record).and_then(|settings| start(settings).ok());
                    let watch = Watch::new(flight, record.flight_late_ms);
                    Runner::new(engine, edge, recorder, watch, of_thread, world.pool_share).run()
                })
                .map_err(StartError::System)?;
            worlds.push(Running { commands, shared, thread });
        }
        Ok(Self { net, worlds, numbers: AtomicU64::new(1) })
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
        self.worlds.iter().find_map(|running| running.shared.failure())
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
        let (mut total, broken) = (Summary::default(), self.failure());
        for running in &self.worlds {
            running.shared.stop();
        }
        for running in self.worlds {
            match running.thread.join() {
                Ok(summary) => total.add(&summary),
                Err(panic) => total.defects.push(format!("a world panicked: {}", message_of(panic.as_ref()))),
            }
        }
        total.network = self.net.counters().snapshot();
        self.net.stop();
        debug_assert!(broken.is_some() || total.defects.is_empty(), "{:?}", total.defects);
        total
    }
}

fn net_config(config: &Config) -> NetConfig {
    let network = &config.network;
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
        ..NetConfig::default()
    }
}

/// With several worlds each records into a file of its own.
fn recording_path(config: &Config, index: usize, count: usize) -> Option<std::path::PathBuf> {
    let file = &config.record.file;
    if file.as_os_str().is_empty() {
        return None;
    }
    if count == 1 {
        return Some(file.clone());
    }
    let mut name = file.clone().into_os_string();
    name.push(format!(".{index}"));
    Some(name.into())
}

/// The time of day, for a world that begins now.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What a thread said when it panicked.
pub(super) fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it left no message")
}

fn random_secret() -> Result<[u8; 32], StartError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| StartError::System(std::io::Error::other(error)))?;
    Ok(secret)
}
