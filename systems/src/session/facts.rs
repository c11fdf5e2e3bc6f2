//! What media found out in the last tick becomes facts about calls, and endings.

use super::ending::terminate;
use super::faults;
use super::state::raise;
use bevy_ecs::prelude::*;
use ringworld_components::call::{Counters, DigitHeard, EndCause, Fault, SourceChanged, StreamOf, contain};
use ringworld_components::media::{MediaFact, MediaFacts};

pub(super) fn take_media_facts(world: &mut World) {
    for fact in std::mem::take(&mut world.resource_mut::<MediaFacts>().0) {
        contain(world, "take_media_facts", Some(fact.stream()), |world| take(world, fact));
    }
}

fn take(world: &mut World, fact: MediaFact) {
    match fact {
        MediaFact::Digit { stream, digit, duration_ms } => {
            if let Some(session) = session_of_stream(world, stream) {
                raise(world, session, |id| DigitHeard::of(id, session, digit, duration_ms));
            }
        }
        MediaFact::TimedOut { stream } => {
            if let Some(session) = session_of_stream(world, stream) {
                terminate(world, session, EndCause::MediaTimeout, 0);
            }
        }
        MediaFact::Panicked { stream, system } => {
            world.resource_mut::<Counters>().panicked(&system);
            faults::end_behind(world, &Fault { culprit: stream, system });
        }
        MediaFact::SourceLearned { stream, source } => {
            if let Some(session) = session_of_stream(world, stream) {
                raise(world, session, |id| SourceChanged::of(id, session, source, true));
            }
        }
    }
}

fn session_of_stream(world: &World, stream: Entity) -> Option<Entity> {
    world.get::<StreamOf>(stream).map(|of| of.0)
}
