//! The built-in services: the user part of the request URI says what a call is connected to.

use bevy_ecs::prelude::*;
use ringworld_components::call::{CallOffered, CallRequest, Parties, RingThenAnswer, Service, Session, Settings};
use ringworld_components::kernel::{TimerFired, Timers};
use ringworld_components::wire::sip::Uri;
use std::time::Duration;

/// Decides about offered calls, unless a handler outside does.
pub(super) fn route_calls(
    mut offered: MessageReader<CallOffered>,
    sessions: Query<(&Session, &Parties)>,
    settings: Res<Settings>,
    mut ringing: Timers<RingThenAnswer>,
    mut requests: MessageWriter<CallRequest>,
) {
    for offered in offered.read() {
        let session = offered.session;
        // A CANCEL may have come in the same tick.
        let called = sessions.get(session).ok().filter(|(session, _)| !session.state().is_over());
        let Some((_, parties)) = called else { continue };
        if settings.services.ask_handler {
            continue;
        }
        let user = Uri::parse(parties.request_uri.clone()).ok().and_then(|uri| uri.user()).unwrap_or_default();
        let user = String::from_utf8_lossy(&user).into_owned();
        let name = if Service::named(&user).is_some() { user } else { settings.services.default.clone() };
        match Service::named(&name) {
            Some(Service::RingThenEcho { seconds }) => {
                requests.write(CallRequest::ring(session));
                ringing.start(session, Duration::from_secs(u64::from(seconds)));
            }
            Some(Service::Reject(status)) => {
                requests.write(CallRequest::reject(session, status));
            }
            Some(_) => {
                requests.write(CallRequest::answer(session, name));
            }
            None => {
                requests.write(CallRequest::reject(session, 404));
            }
        }
    }
}

/// Answers calls that have rung for as long as they should (`ring-N`).
pub(super) fn answer_after_ringing(
    mut fired: MessageReader<TimerFired<RingThenAnswer>>,
    mut requests: MessageWriter<CallRequest>,
) {
    requests.write_batch(fired.read().map(|fired| CallRequest::answer(fired.owner, "echo")));
}
