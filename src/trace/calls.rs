//! The calls of a recording, one after the other.

use crate::engine::Engine;
use crate::replay::{Player, ReplayError, Witness};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Parties, Role, Session, SipIdentity};
use ringworld_components::edge::{Event, Input, Output, Outputs};
use ringworld_components::kernel::{Now, StableId, StableIds};
use std::collections::BTreeMap;

/// A call of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCall {
    /// Its session.
    pub session: StableId,
    /// Its Call-ID.
    pub call_id: String,
    /// Whether the peer has placed it.
    pub is_incoming: bool,
    /// The URI of the caller.
    pub from: String,
    /// The URI that is called.
    pub to: String,
    /// When it began; for a call that is older than the recording, when the recording did.
    pub began: Now,
    /// When it was answered, if the recording holds that.
    pub answered: Option<Now>,
    /// When it ended, and how.
    pub ended: Option<(Now, String)>,
}

/// Plays a recording to its end and lists the calls that got a session, in the order in which they began.
///
/// # Errors
/// As [`Player::step`], with the calls until then.
pub fn calls(player: &mut Player) -> (Vec<ListedCall>, Result<(), ReplayError>) {
    let mut list = List::default();
    let (world, now) = (player.engine().world(), player.engine().now());
    let living = world.iter_entities().filter(|entity| entity.contains::<Session>());
    let ids: Vec<StableId> = living.filter_map(|entity| entity.get::<StableId>().copied()).collect();
    ids.into_iter().for_each(|id| drop(list.of(world, now, id)));
    let played = loop {
        match player.step_before(&mut list) {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let mut calls: Vec<ListedCall> = list.0.into_values().collect();
    calls.sort_by_key(|call| (call.began, call.session));
    (calls, played)
}

#[derive(Default)]
struct List(BTreeMap<StableId, ListedCall>);

impl List {
    /// The call of a session, which is looked up when it is met for the first time.
    fn of(&mut self, world: &World, now: Now, id: StableId) -> Option<&mut ListedCall> {
        if !self.0.contains_key(&id) {
            let entity = world.resource::<StableIds>().find(id)?;
            let (session, parties) = (world.get::<Session>(entity)?, world.get::<Parties>(entity)?);
            let identity = world.get::<SipIdentity>(entity)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let call = ListedCall {
                session: id,
                call_id: text(&identity.call_id),
                is_incoming: session.role == Role::Incoming,
                from: text(&parties.from),
                to: text(&parties.request_uri),
                began: now,
                answered: None,
                ended: None,
            };
            self.0.insert(id, call);
        }
        self.0.get_mut(&id)
    }
}

impl Witness for List {
    fn takes(&mut self, _: &Engine, _: u32, _: &[Input]) {}

    fn gives(&mut self, engine: &Engine, outputs: &Outputs) {
        let (world, now) = (engine.world(), engine.now());
        for output in &outputs.control {
            match output {
                Output::Event(Event::StateChanged { session, .. } | Event::Incoming { session, .. }) => {
                    let _ = self.of(world, now, *session);
                }
                Output::Event(Event::Answered { session }) => {
                    if let Some(call) = self.of(world, now, *session) {
                        call.answered = Some(now);
                    }
                }
                Output::Event(Event::Ended { session, cause, status }) => {
                    if let Some(call) = self.of(world, now, *session) {
                        let status = if *status == 0 { String::new() } else { format!(" ({status})") };
                        call.ended = Some((now, format!("{}{status}", cause.as_str())));
                    }
                }
                _ => {}
            }
        }
    }
}
