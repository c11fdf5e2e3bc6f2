//! A world without sockets: inputs in, outputs out.

use super::switch::message_of;
use super::{Chain, ChainDigest, Plugins};
use bevy_app::App;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    Counters, Draining, Parties, Role, Session, SessionCount, SessionState, Settings, SipIdentity,
};
use ringworld_components::edge::{Event, Input, Inputs, Outputs, PacketPool};
use ringworld_components::kernel::{
    self, Anchor, Digest, Elapsed, Now, Registry, RestoreError, StableId, TimerCounts, Unregistered, WallTime,
};
use ringworld_components::media::{MediaCounters, PortPool, ReceivePath, RoomTable, RtpState, StreamTable};
use ringworld_components::planted;
use ringworld_components::sip::{DialogTable, TransactionTable};
use ringworld_systems::priority::mark_all_ports;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a world is made from. Two worlds with the same configuration, fed the same inputs, stay the same for ever.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// The settings.
    pub settings: Settings,
    /// The secret seed of all randomness.
    pub secret: [u8; 32],
    /// The index of the world among those of the process.
    pub world: u8,
    /// How often its state directory was started before.
    pub epoch: u16,
    /// How many packet buffers it keeps.
    pub pool_share: usize,
    /// The time of day at tick 0, in milliseconds since 1970 (UTC).
    pub began_unix_ms: u64,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self { settings: Settings::default(), secret: [0; 32], world: 0, epoch: 0, pool_share: 4096, began_unix_ms: 0 }
    }
}

/// A world with all stock plugins.
///
/// ```
/// use ringworld::engine::{Engine, WorldConfig};
///
/// let mut engine = Engine::new(&WorldConfig::default());
/// let outputs = engine.tick(1, Vec::new());
/// assert!(outputs.control.is_empty());
/// assert_eq!(engine.now().0, 1);
/// ```
pub struct Engine {
    app: App,
    chain: Chain,
    /// Whether a system panicked in the middle of a tick.
    is_broken: bool,
}

/// What is in a world, for summaries and for tests that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Entities with a stable id.
    pub entities: u64,
    /// Sessions.
    pub sessions: u64,
    /// Transactions.
    pub transactions: u64,
    /// Dialogs.
    pub dialogs: u64,
    /// Media streams.
    pub streams: u64,
    /// Rooms.
    pub rooms: u64,
    /// Running timers.
    pub timers: u64,
    /// RTP port pairs in use.
    pub ports: u64,
}

impl Census {
    fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            entities: with(self.entities, other.entities),
            sessions: with(self.sessions, other.sessions),
            transactions: with(self.transactions, other.transactions),
            dialogs: with(self.dialogs, other.dialogs),
            streams: with(self.streams, other.streams),
            rooms: with(self.rooms, other.rooms),
            timers: with(self.timers, other.timers),
            ports: with(self.ports, other.ports),
        }
    }

    /// The larger of each.
    pub fn max(&self, other: &Self) -> Self {
        self.zip(other, u64::max)
    }

    /// Both together.
    pub fn sum(&self, other: &Self) -> Self {
        self.zip(other, |mine, theirs| mine + theirs)
    }
}

impl Engine {
    /// A world with the stock plugins alone.
    pub fn new(config: &WorldConfig) -> Self {
        Self::with_plugins(config, |_| {})
    }

    /// A world with the stock plugins, as `extend` changes their list.
    ///
    /// # Panics
    /// The list of plugins can't be built: see [`Plugins`]. Two systems conflict and are not ordered. No plugin
    /// provides something that the engine needs.
    pub fn with_plugins(config: &WorldConfig, extend: impl FnOnce(&mut Plugins)) -> Self {
        let mut plugins = Plugins::stock(config);
        extend(&mut plugins);
        let app = plugins.build();
        insist_on_what_the_engine_reads(app.world());
        Self { app, chain: Chain::default(), is_broken: false }
    }

    /// The names of its plugins, in the order in which they were added.
    pub fn plugins(&self) -> &[String] {
        self.world().resource::<Registry>().plugins()
    }

    /// Advances the world by `elapsed` ticks with these inputs, and takes what it puts out.
    pub fn tick(&mut self, elapsed: u32, inputs: Vec<Input>) -> Outputs {
        self.chain.add_inputs(elapsed, &inputs);
        let world = self.app.world_mut();
        world.resource_mut::<Elapsed>().0 = elapsed.max(1);
        world.resource_mut::<Inputs>().0 = inputs;
        self.app.update();
        let outputs = std::mem::take(&mut *self.app.world_mut().resource_mut::<Outputs>());
        self.chain.add_outputs(&outputs);
        outputs
    }

    /// As [`Engine::tick`]; a panic of a system is caught.
    ///
    /// # Errors
    /// The message of the panic. The world is broken then: it can be looked at, but not run any more.
    pub fn tick_or_break(&mut self, elapsed: u32, inputs: Vec<Input>) -> Result<Outputs, String> {
        catch_unwind(AssertUnwindSafe(|| self.tick(elapsed, inputs))).map_err(|panic| {
            self.is_broken = true;
            message_of(panic.as_ref()).to_owned()
        })
    }

    /// The digests of everything that went in and came out so far. Cheap; see [`Engine::digest`] for the world itself.
    pub fn chain(&self) -> ChainDigest {
        self.chain.digest()
    }

    /// Goes on from these digests, after [`Engine::restore`].
    pub fn resume_chain(&mut self, chain: ChainDigest) {
        self.chain = Chain::resume(chain);
    }

    /// The digests of the whole world as it is.
    pub fn digest(&self) -> Digest {
        kernel::digest(self.world())
    }

    /// The whole world as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        kernel::encode_world(self.world())
    }

    /// As [`Engine::snapshot`], into memory that is there already.
    pub fn snapshot_with(&self, buffers: &mut kernel::EncodeBuffers) -> Vec<u8> {
        kernel::encode_world_with(self.world(), buffers)
    }

    /// Restores a snapshot into this world, which must be fresh. `order` permutes the order of spawning, for tests.
    pub fn restore(
        &mut self,
        snapshot: &[u8],
        order: Option<&dyn Fn(usize) -> Vec<usize>>,
    ) -> Result<(), RestoreError> {
        kernel::restore_world(self.app.world_mut(), snapshot, order)
    }

    /// Begins another life of a restored world: ids of a new epoch, today's settings, and no port at its disposal but
    /// those in use. A world that was draining takes calls again. What its jitter buffers held is out of date, and is
    /// not heard any more.
    pub fn begin_epoch(&mut self, epoch: u16, settings: Settings) {
        let world = self.app.world_mut();
        let mut streams = world.query::<(&mut ReceivePath, &mut RtpState)>();
        for (mut hearing, mut flow) in streams.iter_mut(world) {
            if planted!(PastIsHeard) {
                continue;
            }
            hearing.forget_audio();
            if let Some(packetizer) = &mut flow.packetizer {
                packetizer.clear();
            }
        }
        world.resource_mut::<kernel::StableIds>().begin_epoch(epoch);
        world.resource_mut::<PortPool>().forget_offers();
        world.resource_mut::<Draining>().0 = false;
        world.insert_resource(settings);
        mark_all_ports(world);
    }

    /// The RTP ports of all streams, in order.
    pub fn ports_in_use(&self) -> Vec<u16> {
        self.world().resource::<StreamTable>().ports()
    }

    /// The calls that the application outside has still to decide about, as they were announced.
    pub fn undecided(&mut self) -> Vec<Event> {
        let world = self.app.world_mut();
        if !world.resource::<Settings>().services.ask_handler {
            return Vec::new();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut sessions = world.query::<(&StableId, &Session, &Parties, &SipIdentity)>();
        let mut undecided: Vec<_> = sessions
            .iter(world)
            .filter(|(_, session, ..)| session.role == Role::Incoming)
            .filter(|(_, session, ..)| matches!(session.state(), SessionState::Initializing | SessionState::Ringing))
            .map(|(&session, _, parties, identity)| {
                let (from, to, call_id) = (text(&parties.from), text(&parties.request_uri), text(&identity.call_id));
                Event::Incoming { session, from, to, call_id }
            })
            .collect();
        undecided.sort_unstable_by_key(|event| if let Event::Incoming { session, .. } = event { session.0 } else { 0 });
        undecided
    }

    /// What is in the world that is neither recorded nor declared not to be.
    pub fn unregistered(&self) -> Vec<Unregistered> {
        let registry = self.world().resource::<Registry>();
        registry.unregistered(self.world())
    }

    /// A hash of the names and shapes of everything recorded.
    pub fn schema(&self) -> u64 {
        self.world().resource::<Registry>().schema()
    }

    /// The tick that must run next if no input comes. Those before it may be skipped and counted in its `elapsed`.
    pub fn next_due(&self) -> Now {
        kernel::next_due(self.world())
    }

    /// The tick that the world is at.
    pub fn now(&self) -> Now {
        *self.world().resource::<Now>()
    }

    /// The time of day, by the anchor and the ticks since.
    pub fn time(&self) -> WallTime {
        self.world().resource::<Anchor>().time_of(self.now())
    }

    /// What is in the world.
    pub fn census(&self) -> Census {
        let world = self.world();
        Census {
            entities: world.resource::<kernel::StableIds>().living() as u64,
            sessions: u64::from(world.resource::<SessionCount>().sessions),
            transactions: world.resource::<TransactionTable>().len() as u64,
            dialogs: world.resource::<DialogTable>().len() as u64,
            streams: world.resource::<StreamTable>().len() as u64,
            rooms: world.resource::<RoomTable>().len() as u64,
            timers: TimerCounts::running(world) as u64,
            ports: u64::from(world.resource::<PortPool>().in_use()),
        }
    }

    /// The counters of signalling.
    pub fn counters(&self) -> &Counters {
        self.world().resource::<Counters>()
    }

    /// The counters of media.
    pub fn media_counters(&self) -> &MediaCounters {
        self.world().resource::<MediaCounters>()
    }

    /// The pool of packet buffers, to give back what was sent.
    pub fn pool(&mut self) -> Mut<'_, PacketPool> {
        self.app.world_mut().resource_mut::<PacketPool>()
    }

    /// The world, to read.
    pub fn world(&self) -> &World {
        self.app.world()
    }

    /// The application, to build upon and to test.
    pub fn app_mut(&mut self) -> &mut App {
        &mut self.app
    }
}

/// If a plugin is disabled, another one must provide what the engine itself reads.
fn insist_on_what_the_engine_reads(world: &World) {
    fn insist_on<R: Resource>(world: &World) {
        let name = std::any::type_name::<R>();
        assert!(world.contains_resource::<R>(), "no plugin of this world provides {name}, which the engine reads");
    }
    insist_on::<Counters>(world);
    insist_on::<TransactionTable>(world);
    insist_on::<DialogTable>(world);
    insist_on::<SessionCount>(world);
    insist_on::<Draining>(world);
    insist_on::<StreamTable>(world);
    insist_on::<PortPool>(world);
    insist_on::<MediaCounters>(world);
    insist_on::<RoomTable>(world);
}

/// In debug builds every world is checked against the registry when it is dropped: what is neither recorded
/// nor declared not to be, and scratch that is not empty, is a defect.
#[cfg(debug_assertions)]
impl Drop for Engine {
    fn drop(&mut self) {
        #[cfg(feature = "planted-faults")]
        if ringworld_components::planted::planted().is_some() {
            return;
        }
        if !std::thread::panicking() && !self.is_broken {
            assert_eq!(self.unregistered(), [], "a world held what it must not");
            assert_eq!(self.leaks(), [], "a world held what nothing will clean up");
        }
    }
}
