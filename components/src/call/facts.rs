//! Facts: what has happened to calls, for every system that wants to act upon it.
//!
//! A fact goes through one recorded, ordered queue, the [`FactQueue`], and is seen by `Phase::Behaviour` exactly once:
//! in the same tick if it arose before that phase, in the next one if it arose in it or later. There it is a message of
//! its own type: a system reads `MessageReader<Answered>`. The messages are cleared after `Phase::Behaviour`, so no
//! reader finds one in another tick.

use super::{CallError, Ending, Priority, Role, SequenceState, SessionState, Ticket};
use crate::edge::{Event, Flow, OperationKind};
use crate::kernel::StableId;
use crate::record::Record;
use crate::wire::sdp::Codec;
use crate::wire::sip::Method;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use bytes::Bytes;
use std::net::SocketAddr;

/// Something that is about one entity: a fact, or a timer that fired. If the work for it panics, the call of that
/// entity is ended; see [`Operations::for_each_call`](super::Operations::for_each_call).
pub trait AboutCall {
    /// The session, or another entity whose call is meant.
    fn entity(&self) -> Entity;
}

impl<T: Send + Sync + 'static> AboutCall for crate::kernel::TimerFired<T> {
    fn entity(&self) -> Entity {
        self.owner
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Message, Record, Clone, Debug, PartialEq, Eq)]
            pub struct $name {
                /// The number of the fact in this world: facts are numbered in the order in which they arose.
                pub sequence: u64,
                /// The session; 0 if it is about none.
                pub session: StableId,
                /// The entity of the session. It may be gone when the fact is read.
                pub entity: Entity,
                $($(#[$of_field])* pub $field: $type,)*
            }

            impl $name {
                /// The fact, to be raised. Its number is given by the queue.
                #[allow(clippy::too_many_arguments, reason = "one for each field")]
                pub fn of(session: StableId, entity: Entity, $($field: $type),*) -> Fact {
                    Fact::$name(Box::new(Self { sequence: 0, session, entity, $($field),* }))
                }
            }

            impl AboutCall for $name {
                fn entity(&self) -> Entity {
                    self.entity
                }
            }
        )*

        /// A fact of any type.
        #[derive(Record, Clone, Debug, PartialEq, Eq)]
        pub enum Fact {
            $($(#[$doc])* $name(Box<$name>),)*
        }

        impl Fact {
            fn number(mut self, sequence: u64) -> Self {
                match &mut self {
                    $(Self::$name(fact) => fact.sequence = sequence,)*
                }
                self
            }

            /// Its number among the facts of its world.
            pub fn sequence(&self) -> u64 {
                match self {
                    $(Self::$name(fact) => fact.sequence,)*
                }
            }

            /// Makes it a message of its type.
            pub fn deliver(self, world: &mut World) {
                match self {
                    $(Self::$name(fact) => {
                        world.resource_mut::<Messages<$name>>().write(*fact);
                    })*
                }
            }

            /// Removes the messages of all types.
            pub fn clear_delivered(world: &mut World) {
                $(if !world.resource::<Messages<$name>>().is_empty() {
                    world.resource_mut::<Messages<$name>>().clear();
                })*
            }

            /// Adds the message types of all facts to a world.
            pub fn register(app: &mut bevy_app::App) {
                use crate::kernel::RecordApp;
                $(app.cleared_message::<$name>();)*
            }
        }
    };
}

facts! {
    /// A call came in and waits to be rung, answered or rejected.
    CallOffered {
        /// The URI of From.
        from: Bytes,
        /// The Request-URI.
        to: Bytes,
        /// The Call-ID.
        call_id: Bytes,
        /// Its priority.
        priority: Priority,
    }
    /// A session changed its state.
    StateChanged {
        /// The state it left.
        from: SessionState,
        /// The state it entered.
        to: SessionState,
    }
    /// A call was answered with a 2xx: by us if it came in, by the peer if we placed it.
    Answered {
        /// The side that placed the call.
        role: Role,
    }
    /// Offer and answer agreed on the audio of a session for the first time: packets can flow from now on. This may
    /// come before or after [`Answered`].
    MediaEstablished {
        /// The codec.
        codec: Codec,
        /// The peer's address for RTP, as described.
        remote: SocketAddr,
        /// Our RTP port.
        port: u16,
    }
    /// RTP is sent to another address from now on, and taken from there.
    SourceChanged {
        /// The address.
        source: SocketAddr,
        /// Whether it was learned from a packet of the peer, rather than named by a description.
        is_learned: bool,
    }
    /// A digit was heard (RFC 4733), or came in the body of an INFO.
    DigitHeard {
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed, in milliseconds.
        duration_ms: u32,
    }
    /// A session ended; its entity is despawned in `Phase::Cleanup` of the next tick.
    CallEnded {
        /// The cause, and the status that went with it.
        ending: Ending,
        /// The side that placed the call.
        role: Role,
    }
    /// A plugin's claim on a call has ended before the call was decided about: it was released, or its time is over.
    /// Default routing decides now.
    ClaimEnded {
        /// The name of the plugin.
        by: String,
        /// Whether the plugin released it, rather than time running out.
        is_released: bool,
    }
    /// A request came in of a method that a plugin handles (`SipMethod::raised`). It waits for an
    /// [`Operation::Respond`](crate::edge::Operation::Respond); after 32*T1 it is answered with 500. Without a session,
    /// `entity` is that of the transaction.
    RequestReceived {
        /// The server transaction, by which the response names it.
        transaction: StableId,
        /// The dialog that it is in.
        dialog: Option<StableId>,
        /// The way it came.
        flow: Flow,
        /// The method.
        method: Method,
        /// The Request-URI.
        uri: Bytes,
        /// All header fields, in the order of the message; names in their long form.
        headers: Vec<(String, Bytes)>,
        /// The body.
        body: Bytes,
    }
    /// A response came to a request of ours that is no INVITE, ACK, BYE or CANCEL; or none came, and the status is 408
    /// (time ran out) or 503 (it could not be sent), without header fields (RFC 3261 section 8.1.3.1).
    ResponseReceived {
        /// The request, as the result of [`Operation::SendRequest`](crate::edge::Operation::SendRequest) named it.
        request: StableId,
        /// The method of the request.
        method: Method,
        /// The status; below 200 another one follows.
        status: u16,
        /// All header fields, in the order of the message; names in their long form.
        headers: Vec<(String, Bytes)>,
        /// The body.
        body: Bytes,
    }
    /// A child of the session ended.
    ChildEnded {
        /// The child.
        child: StableId,
        /// The cause, and the status that went with it.
        ending: Ending,
    }
    /// A sequence that the session is the A-leg of changed its state; it is about the B-leg where there is no A-leg any
    /// more.
    SequenceChanged {
        /// The stable id of the sequence of legs.
        id: StableId,
        /// The state it left.
        from: SequenceState,
        /// The state it entered.
        to: SequenceState,
    }
    /// The session entered a group.
    GroupEntered {
        /// The group.
        group: StableId,
    }
    /// The session left a group, in whatever way.
    GroupLeft {
        /// The group.
        group: StableId,
    }
    /// A group ended: it was ended, or its last member left it. It is about no session.
    GroupEnded {
        /// The group.
        group: StableId,
    }
    /// An operation set the priority of the session.
    PriorityChanged {
        /// What it is now.
        priority: Priority,
    }
    /// An operation that a system had written was carried out, or was refused. Raised for every refusal, and for a
    /// success where a ticket was taken ([`Operations::request`](super::Operations::request)).
    OperationDone {
        /// The ticket that the system got.
        ticket: Ticket,
        /// What was asked for.
        kind: OperationKind,
        /// The session that it was about or that it made, or the request that it sent or answered; else why it was
        /// refused.
        result: Result<StableId, CallError>,
    }
}

impl RequestReceived {
    /// The value of the first header field of a name (long form, any case).
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        header(&self.headers, name)
    }
}

impl ResponseReceived {
    /// The value of the first header field of a name (long form, any case).
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(String, Bytes)], name: &str) -> Option<&'a Bytes> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The facts that no system has seen yet, in the order in which they arose.
///
/// There are as many as the inputs and operations of one tick cause: all are delivered in the next tick at the latest.
#[derive(Resource, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct FactQueue {
    raised: u64,
    /// How many of the facts raised have been looked at for events.
    published: u64,
    waiting: Vec<Fact>,
}

impl FactQueue {
    /// Puts a fact in.
    pub fn raise(&mut self, fact: Fact) {
        self.waiting.push(fact.number(self.raised));
        self.raised += 1;
    }

    /// Takes all facts out.
    pub fn take(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.waiting)
    }

    /// The events of those among `facts` that were not looked at yet. Each fact is looked at once, in the tick in which
    /// it arose. An offered call is an event only if `announces` says so.
    pub fn publish(&mut self, facts: &[Fact], announces: bool) -> Vec<Event> {
        let fresh = facts.iter().filter(|fact| fact.sequence() >= self.published);
        let told = fresh.filter(|fact| announces || !matches!(fact, Fact::CallOffered(_)));
        let events = told.filter_map(Fact::event).collect();
        self.published = self.raised;
        events
    }

    /// The events of the facts that still wait.
    pub fn publish_waiting(&mut self, announces: bool) -> Vec<Event> {
        let waiting = self.take();
        let events = self.publish(&waiting, announces);
        self.waiting = waiting;
        events
    }

    /// Whether no fact waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Fact {
    /// The event for observers outside.
    fn event(&self) -> Option<Event> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Some(match self {
            Self::CallOffered(fact) => Event::Incoming {
                session: fact.session,
                from: text(&fact.from),
                to: text(&fact.to),
                call_id: text(&fact.call_id),
            },
            Self::StateChanged(fact) => Event::StateChanged { session: fact.session, from: fact.from, to: fact.to },
            Self::Answered(fact) => Event::Answered { session: fact.session },
            Self::MediaEstablished(fact) => {
                Event::MediaEstablished { session: fact.session, codec: fact.codec, remote: fact.remote }
            }
            Self::DigitHeard(fact) => {
                Event::Digit { session: fact.session, digit: fact.digit, duration_ms: fact.duration_ms }
            }
            Self::CallEnded(fact) => {
                Event::Ended { session: fact.session, cause: fact.ending.cause, status: fact.ending.status }
            }
            Self::ClaimEnded(_)
            | Self::RequestReceived(_)
            | Self::ResponseReceived(_)
            | Self::OperationDone(_)
            | Self::SourceChanged(_)
            | Self::ChildEnded(_)
            | Self::SequenceChanged(_)
            | Self::GroupEntered(_)
            | Self::GroupLeft(_)
            | Self::GroupEnded(_)
            | Self::PriorityChanged(_) => return None,
        })
    }
}
