//! Facts of this tick leave as events for those who watch from outside.

use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallEnded, CallOffered, DigitHeard, Parties, Queue, Settings, SipIdentity, StateChanged,
};
use ringworld_components::edge::{Event, Output};
use ringworld_components::kernel::StableId;

#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn publish_events(
    settings: Res<Settings>,
    mut offered: MessageReader<CallOffered>,
    mut changed: MessageReader<StateChanged>,
    mut digits: MessageReader<DigitHeard>,
    mut ended: MessageReader<CallEnded>,
    ids: Query<&StableId>,
    sessions: Query<(&StableId, &Parties, &SipIdentity)>,
    mut outputs: ResMut<Queue<Output>>,
) {
    for offered in offered.read() {
        let Ok((&session, parties, identity)) = sessions.get(offered.session) else { continue };
        if !settings.services.ask_handler {
            continue;
        }
        let (from, to, call_id) = (text(&parties.from), text(&parties.request_uri), text(&identity.call_id));
        let event = Event::Incoming { session, from, to, call_id };
        outputs.push(Output::Event(event));
    }
    for change in changed.read() {
        let Ok(&session) = ids.get(change.session) else { continue };
        let (from, to) = (change.from, change.to);
        outputs.push(Output::Event(Event::StateChanged { session, from, to }));
    }
    for digit in digits.read() {
        let Ok(&session) = ids.get(digit.session) else { continue };
        let (digit, duration_ms) = (digit.digit, digit.duration_ms);
        outputs.push(Output::Event(Event::Digit { session, digit, duration_ms }));
    }
    for ended in ended.read() {
        let Ok(&session) = ids.get(ended.session) else { continue };
        let (cause, status) = (ended.ending.cause, ended.ending.status);
        outputs.push(Output::Event(Event::Ended { session, cause, status }));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
