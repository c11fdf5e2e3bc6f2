//! Sums that add up in a world at the end of every tick, whatever happened in it. They are counted in two ways each,
//! and cheaply: by the counters and tables that the world keeps, and by the entities themselves, an archetype at a
//! time.
//!
//! A running switch looks at them some times a second, and one that does not hold is an alarm (`watch.rs`); the
//! simulator looks at the same. They hold in a world with plugins of users, too: these have entities of their own
//! kinds.

use super::Engine;
use bevy_ecs::archetype::Archetype;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ALeg, Account, Accounts, BLeg, Charge, Dependency, Ended, Group, GroupCount, InviteUsageOf, MemberOf, Members,
    Membership, MembershipOf, ParentSession, Sequence, Session, SessionCount, StreamOf,
};
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::media::{
    Participant, ParticipantOf, Participants, PortPool, Room, RoomTable, Stream, StreamTable, VoiceOf,
};
use ringworld_components::sip::{
    Dialog, DialogTable, InviteUsage, Subscription, Transaction, TransactionTable, UsageOf, Usages,
};
use std::fmt;

/// What adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sum {
    /// Calls that came in or were placed: each has an outcome, or is alive.
    Calls,
    /// No more calls were answered than began.
    Answers,
    /// Sessions that are counted are there.
    Sessions,
    /// Every INVITE usage and every subscription is of a dialog, every INVITE usage of a session.
    Usages,
    /// Every dialog has a usage, and is found by its key.
    Dialogs,
    /// Every transaction is found by its key.
    Transactions,
    /// Every stream is of a session, and is found by its port.
    Streams,
    /// Every port in use is that of a stream.
    Ports,
    /// Every room is found by its name, and has a participant.
    Rooms,
    /// Every participant is in a room and is the voice of a stream.
    Participants,
    /// Every entity that has a name is found by it.
    Names,
    /// Every child session states its relation to its parent.
    Children,
    /// Every sequence has a leg.
    Sequences,
    /// Every group is counted and has a member.
    Groups,
    /// Every membership is in a group and is that of a session.
    Memberships,
    /// Every session is charged, and is on the accounts of a user and of an endpoint.
    Accounts,
    /// Every stream is charged for its port.
    Charges,
}

/// A sum that does not add up: the counts that should be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Which one.
    pub sum: Sum,
    /// The counts, and of what.
    pub counts: Vec<(&'static str, u64)>,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what}: {count}")).collect();
        write!(f, "{} do not add up: {}", format!("{:?}", self.sum).to_lowercase(), counts.join(", "))
    }
}

impl Sum {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Calls,
        Self::Answers,
        Self::Sessions,
        Self::Usages,
        Self::Dialogs,
        Self::Transactions,
        Self::Streams,
        Self::Ports,
        Self::Rooms,
        Self::Participants,
        Self::Names,
        Self::Children,
        Self::Sequences,
        Self::Groups,
        Self::Memberships,
        Self::Accounts,
        Self::Charges,
    ];

    /// `None` if it adds up.
    ///
    /// ```
    /// use ringworld::engine::{Engine, Sum, WorldConfig};
    /// let mut engine = Engine::new(&WorldConfig::default());
    /// engine.tick(1, Vec::new());
    /// assert!(Sum::ALL.iter().all(|sum| sum.check(&engine).is_none()));
    /// ```
    pub fn check(self, engine: &Engine) -> Option<Imbalance> {
        let counts = self.counts(engine);
        let first = counts.first().map(|(_, count)| *count);
        let adds_up = counts.iter().all(|(_, count)| Some(*count) == first);
        (!adds_up).then_some(Imbalance { sum: self, counts })
    }

    /// What must be the same number.
    fn counts(self, engine: &Engine) -> Vec<(&'static str, u64)> {
        let (world, census, counters) = (engine.world(), engine.census(), engine.counters());
        let begun = counters.calls_in + counters.calls_out;
        match self {
            Self::Calls => {
                let ended: u64 = counters.outcomes.values().sum();
                // One that has ended has its outcome, but stays to the end of the next tick.
                let leaving = world.resource::<Ended>();
                let leaving = (leaving.fresh.len() + leaving.stale.len()) as u64;
                let living = u64::from(world.resource::<SessionCount>().sessions).saturating_sub(leaving);
                vec![("begun", begun), ("with an outcome or alive", ended + living)]
            }
            Self::Answers => {
                vec![("answered", counters.calls_answered), ("at most those begun", counters.calls_answered.min(begun))]
            }
            Self::Sessions => vec![("counted", census.sessions), ("entities", count::<Session>(world))],
            Self::Usages => {
                let subscriptions = count::<Subscription>(world);
                vec![
                    ("entities", count::<InviteUsage>(world) + subscriptions),
                    ("of a dialog", count::<UsageOf>(world)),
                    ("subscriptions or of a session", count::<InviteUsageOf>(world) + subscriptions),
                ]
            }
            Self::Dialogs => vec![
                ("in the table", world.resource::<DialogTable>().len() as u64),
                ("entities", count::<Dialog>(world)),
                ("with a usage", count_both::<Dialog, Usages>(world)),
            ],
            Self::Transactions => vec![
                ("in the table", world.resource::<TransactionTable>().len() as u64),
                ("entities", count::<Transaction>(world)),
            ],
            Self::Streams => vec![
                ("in the table", world.resource::<StreamTable>().len() as u64),
                ("entities", count::<Stream>(world)),
                ("of a session", count::<StreamOf>(world)),
            ],
            Self::Ports => {
                vec![("in use", u64::from(world.resource::<PortPool>().in_use())), ("streams", count::<Stream>(world))]
            }
            Self::Rooms => vec![
                ("in the table", world.resource::<RoomTable>().len() as u64),
                ("entities", count::<Room>(world)),
                ("with participants", count_both::<Room, Participants>(world)),
            ],
            Self::Participants => vec![
                ("entities", count::<Participant>(world)),
                ("in a room", count::<ParticipantOf>(world)),
                ("with a stream", count::<VoiceOf>(world)),
            ],
            Self::Names => vec![
                ("in the table", world.resource::<StableIds>().living() as u64),
                ("entities", count::<StableId>(world)),
            ],
            Self::Children => vec![
                ("with a parent", count::<ParentSession>(world)),
                ("with a dependency", count_both::<ParentSession, Dependency>(world)),
            ],
            Self::Sequences => vec![
                ("entities", count::<Sequence>(world)),
                ("with a leg", count_either::<Sequence, ALeg, BLeg>(world)),
            ],
            Self::Groups => vec![
                ("counted", world.get_resource::<GroupCount>().map_or(0, |count| u64::from(count.0))),
                ("entities", count::<Group>(world)),
                ("with a member", count_both::<Group, Members>(world)),
            ],
            Self::Memberships => vec![
                ("entities", count::<Membership>(world)),
                ("in a group", count::<MemberOf>(world)),
                ("of a session", count::<MembershipOf>(world)),
            ],
            Self::Accounts => {
                let accounts = world.resource::<Accounts>();
                vec![
                    ("charged", accounts.used().sessions),
                    ("entities", count_both::<Session, Charge>(world)),
                    ("sessions", count::<Session>(world)),
                    ("on accounts", u64::from(accounts.sessions())),
                    ("with an account", count_both::<Session, Account>(world)),
                ]
            }
            Self::Charges => vec![
                ("charged", world.resource::<Accounts>().used().ports),
                ("streams", count_both::<Stream, Charge>(world)),
            ],
        }
    }
}

/// How many entities have a component. Costs as much as there are kinds of entities, however many there are of each.
fn count<C: Component>(world: &World) -> u64 {
    count_both::<C, C>(world)
}

/// How many entities have both.
fn count_both<A: Component, B: Component>(world: &World) -> u64 {
    let Some((a, b)) = world.component_id::<A>().zip(world.component_id::<B>()) else { return 0 };
    let archetypes = world.archetypes().iter().filter(|kind| kind.contains(a) && kind.contains(b));
    archetypes.map(|kind| kind.len() as u64).sum()
}

/// How many entities have the first, and one of the others.
fn count_either<A: Component, B: Component, C: Component>(world: &World) -> u64 {
    let Some(a) = world.component_id::<A>() else { return 0 };
    let others = [world.component_id::<B>(), world.component_id::<C>()];
    let has_other = |kind: &Archetype| others.iter().flatten().any(|&other| kind.contains(other));
    let archetypes = world.archetypes().iter().filter(|kind| kind.contains(a) && has_other(kind));
    archetypes.map(|kind| kind.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::WorldConfig;
    use bytes::Bytes;
    use ringworld_components::call::{Amounts, Counters, EndingRule, GroupKind, SequenceState};
    use ringworld_components::edge::{ConnId, Flow, Input, Transport};
    use ringworld_components::kernel::Now;
    use ringworld_components::media::RoomState;
    use ringworld_components::wire::sip::{Limits, parse_datagram};

    /// A call to the echo.
    fn invite() -> Input {
        let body = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let text = format!(
            "INVITE sip:echo@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@10.0.0.2>;tag=a\r\nTo: <sip:echo@10.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@10.0.0.2>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (local, remote) = ("10.0.0.1:5060".parse().unwrap(), "10.0.0.2:5060".parse().unwrap());
        let flow = Flow { transport: Transport::Udp, local, remote, conn: ConnId::NONE };
        let bytes = Bytes::from(text);
        Input::Sip { flow, message: Box::new(parse_datagram(bytes.clone(), &Limits::default())), bytes }
    }

    /// What breaks one sum, and possibly others with it.
    type Break = fn(&mut World);

    const BREAKS: [(Sum, Break); 17] = [
        (Sum::Calls, |world| world.resource_mut::<Counters>().calls_in += 1),
        (Sum::Answers, |world| world.resource_mut::<Counters>().calls_answered += 1),
        (Sum::Sessions, |world| world.resource_mut::<SessionCount>().sessions += 1),
        (Sum::Usages, |world| {
            let session = world.spawn_empty().id();
            world.spawn(InviteUsageOf(session));
        }),
        (Sum::Dialogs, |world| world.insert_resource(DialogTable::default())),
        (Sum::Transactions, |world| world.insert_resource(TransactionTable::default())),
        (Sum::Streams, |world| {
            let session = world.spawn_empty().id();
            world.spawn(StreamOf(session));
        }),
        (Sum::Ports, |world| {
            world.resource_mut::<PortPool>().offer(10_002);
            world.resource_mut::<PortPool>().take();
        }),
        (Sum::Rooms, |world| {
            world.spawn(Room { name: "a".into(), state: RoomState::Active, created: Now(1), phase: 0 });
        }),
        (Sum::Participants, |world| {
            let stream = world.spawn_empty().id();
            world.spawn(VoiceOf(stream));
        }),
        (Sum::Names, |world| world.insert_resource(StableIds::new(0, 0))),
        (Sum::Children, |world| {
            let parent = world.spawn_empty().id();
            world.spawn(ParentSession(parent));
        }),
        (Sum::Sequences, |world| {
            world.spawn(Sequence::new(SequenceState::Waiting, EndingRule::Apart, Now(1)));
        }),
        (Sum::Groups, |world| {
            world.spawn(Group { kind: GroupKind::Bridge, created: Now(1) });
        }),
        (Sum::Memberships, |world| {
            let session = world.spawn_empty().id();
            world.spawn(MembershipOf(session));
        }),
        (Sum::Accounts, |world| world.insert_resource(Accounts::default())),
        (Sum::Charges, |world| {
            world.spawn(Charge(Amounts { ports: 1, ..Amounts::default() }));
        }),
    ];

    #[test]
    fn each_sum_is_broken_by_what_it_is_about() {
        for (sum, break_it) in BREAKS {
            let mut engine = Engine::new(&WorldConfig::default());
            engine.tick(1, vec![Input::PortOpened(10_000), invite()]);
            engine.tick(1, Vec::new());
            assert_eq!((engine.census().sessions, engine.census().streams), (1, 1));
            assert!(Sum::ALL.iter().all(|sum| sum.check(&engine).is_none()), "{sum:?}");
            break_it(engine.app_mut().world_mut());
            let found = sum.check(&engine).expect("it does not add up").to_string();
            assert!(found.starts_with(&format!("{sum:?} do not add up: ").to_lowercase()), "{found}");
            // It would complain about what was done to it.
            std::mem::forget(engine);
        }
    }
}
