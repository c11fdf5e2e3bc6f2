//! What a test of a plugin needs: a world in virtual time, with phones that are driven by one line each.
//!
//! The phones are a SIP user agent that shares no code with the switch. Nothing here has a socket, a thread or a clock:
//! a minute of a quiet call takes no time, and a test gives the same result every time it is run.
//!
//! ```
//! use ringworld::prelude::*;
//! use ringworld::testkit::Testkit;
//!
//! /// Hangs up when the hash key is pressed.
//! struct HashHangsUp;
//!
//! impl Plugin for HashHangsUp {
//!     fn build(&self, app: &mut App) {
//!         app.add_systems(Tick, hang_up_on_hash.in_set(Phase::Behaviour));
//!     }
//! }
//!
//! fn hang_up_on_hash(mut digits: MessageReader<DigitHeard>, mut operations: Operations) {
//!     operations.for_each_call(digits.read().filter(|heard| heard.digit == '#'), |operations, heard| {
//!         operations.write(Operation::hang_up(heard.session));
//!     });
//! }
//!
//! let kit = Testkit::with(|plugins| { plugins.add(HashHangsUp); });
//! let alice = kit.phone("alice");
//! alice.calls("echo").await_answer();
//! alice.presses("1#").await_end();
//! kit.assert_nothing_left();
//! ```

mod awaits;
mod device;
mod lab;
mod ladder;
mod message;
mod phone;
mod sound;

pub use device::OnCall;
pub use message::SipText;
pub use phone::Phone;

use crate::engine::{Census, Engine, Plugins, WorldConfig};
use bevy_ecs::component::Component;
use device::Device;
use lab::{Lab, SWITCH};
use ringworld_components::call::{CallError, Session, SessionState};
use ringworld_components::edge::{Event, Operation, PlaceCall};
use ringworld_components::kernel::{Digest, StableId, StableIds};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// How long transactions of an ended call may linger (64*T1 and T4 of RFC 3261), and what else takes its time.
const LINGERING: Duration = Duration::from_secs(60);

/// A world and its phones.
pub struct Testkit {
    lab: Rc<RefCell<Lab>>,
}

impl Default for Testkit {
    fn default() -> Self {
        Self::with(|_| {})
    }
}

impl Testkit {
    /// A world with the stock plugins and those that `extend` adds.
    ///
    /// `extend` is called again for every restart and replay.
    pub fn with(extend: impl Fn(&mut Plugins) + 'static) -> Self {
        Self::configured(WorldConfig::default(), extend)
    }

    /// As [`Testkit::with`], made from this configuration.
    pub fn configured(config: WorldConfig, extend: impl Fn(&mut Plugins) + 'static) -> Self {
        let make = move || Engine::with_plugins(&config, &extend);
        Self { lab: Rc::new(RefCell::new(Lab::new(Box::new(make)))) }
    }

    /// A new phone over UDP. Its user name is `name`.
    pub fn phone(&self, name: &str) -> Phone {
        self.new_phone(name, false)
    }

    /// A new phone over TCP.
    pub fn phone_over_tcp(&self, name: &str) -> Phone {
        self.new_phone(name, true)
    }

    fn new_phone(&self, name: &str, reliable: bool) -> Phone {
        let mut lab = self.lab.borrow_mut();
        let index = lab.devices.len();
        let number = u8::try_from(index + 1).expect("a testkit has at most 255 phones");
        lab.devices.push(Device::new(number, name, reliable));
        Phone::new(Rc::clone(&self.lab), index)
    }

    /// Goes on for so long.
    pub fn runs(&self, time: Duration) -> &Self {
        self.lab.borrow_mut().run(time.as_nanos() as u64);
        self
    }

    /// How much time has passed in the world.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.lab.borrow().now())
    }

    /// Has an operation carried out, in one tick.
    ///
    /// # Errors
    /// What the world refused it with.
    pub fn issue(&self, operation: Operation) -> Result<StableId, CallError> {
        self.lab.borrow_mut().issue(operation)
    }

    /// The switch calls a phone, and connects it to a service once it has answered. The session. What the phone awaits
    /// is looked for from here on.
    ///
    /// # Panics
    /// If the call cannot be placed.
    #[track_caller]
    pub fn calls(&self, phone: &Phone, service: &str) -> StableId {
        self.places(phone, service).unwrap_or_else(|error| panic!("{} cannot be called: {error}", phone.name()))
    }

    /// As [`Testkit::calls`], for a call that may be refused.
    ///
    /// # Errors
    /// What the world refused it with.
    pub fn places(&self, phone: &Phone, service: &str) -> Result<StableId, CallError> {
        let (to, remote, since) = (phone.uri(), phone.address(), self.lab.borrow().ladder.len());
        phone.device(|device| device.since = since);
        let over_tcp = phone.device(|device| device.reliable);
        let call = PlaceCall {
            from: "sip:switch@10.0.0.1".to_owned(),
            to,
            remote,
            over_tcp,
            local: SWITCH.into(),
            service: service.to_owned(),
            sdp: None,
        };
        self.issue(Operation::Place(call))
    }

    /// The state of a session; `None` once it has been removed.
    pub fn state(&self, session: StableId) -> Option<SessionState> {
        self.get::<Session>(session).map(|session| session.state())
    }

    /// A copy of a component of a session; `None` if it has none, or has been removed.
    pub fn get<C: Component + Clone>(&self, session: StableId) -> Option<C> {
        self.look(|engine| {
            let entity = engine.world().resource::<StableIds>().find(session)?;
            engine.world().get::<C>(entity).cloned()
        })
    }

    /// All events of the world so far.
    pub fn events(&self) -> Vec<Event> {
        self.lab.borrow().events.clone()
    }

    /// Looks into the world.
    pub fn look<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        look(&self.lab.borrow().engine)
    }

    /// What is in the world.
    pub fn census(&self) -> Census {
        self.look(Engine::census)
    }

    /// The digests of the world as it is.
    pub fn digest(&self) -> Digest {
        self.look(Engine::digest)
    }

    /// The messages so far, as a failure shows them.
    pub fn ladder(&self) -> String {
        self.lab.borrow().tell()
    }

    /// Encodes the world, drops it, and goes on with a fresh one that is restored from the bytes, in which entities are
    /// spawned in another order. What a plugin keeps outside of recorded components and resources is lost here.
    ///
    /// # Panics
    /// If the restored world is another one.
    pub fn restart(&self) -> &Self {
        self.lab.borrow_mut().restart();
        self
    }

    /// Gives a fresh world the same inputs, restarts included, and compares what comes out of every tick, and the
    /// digests at the end. A plugin that reads a clock, or lets the order of a hash map reach an output, is found here.
    ///
    /// # Panics
    /// If something differs; it names the tick.
    #[track_caller]
    pub fn replays(&self) -> &Self {
        let replayed = self.lab.borrow().replay();
        if let Err(tick) = replayed {
            panic!("tick {tick} came out differently when it was played again\n{}", self.ladder());
        }
        self
    }

    /// Waits until transactions are over, and checks that the world holds what it held before the first call: no
    /// entity, port or timer more, and nothing that is not registered.
    ///
    /// # Panics
    /// If something is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        self.runs(LINGERING);
        let (census, unregistered) = self.look(|engine| (engine.census(), engine.unregistered()));
        let baseline = self.lab.borrow().baseline;
        assert!(census == baseline, "something is left: {census:?}\nwhere {baseline:?} was\n{}", self.ladder());
        assert!(unregistered.is_empty(), "not registered: {unregistered:?}");
    }
}
