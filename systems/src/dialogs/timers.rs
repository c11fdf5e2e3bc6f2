//! What the timers of INVITE usages do (RFC 3261 section 13.3.1.4).

use super::send::{count, send, tell};
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, Settings, contain};
use ringworld_components::kernel::{cancel_timer, start_timer, take_fired};
use ringworld_components::sip::{AckWait, AnswerRetransmit, InviteUsage};
use std::time::Duration;

pub(super) fn run_dialog_timers(world: &mut World) {
    for usage in take_fired::<AckWait>(world) {
        if world.get_mut::<InviteUsage>(usage).is_some_and(|mut state| state.unacked.take().is_some()) {
            cancel_timer::<AnswerRetransmit>(world, usage);
            tell(world, CallEvent::NeverAcked { usage });
        }
    }
    for usage in take_fired::<AnswerRetransmit>(world) {
        contain(world, "run_dialog_timers", Some(usage), |world| answer_again(world, usage));
    }
}

fn answer_again(world: &mut World, usage: Entity) {
    let t2_ms = world.resource::<Settings>().sip.t2_ms;
    let Some(mut state) = world.get_mut::<InviteUsage>(usage) else { return };
    let Some(answer) = state.unacked.as_mut() else { return };
    answer.interval_ms = answer.interval_ms.saturating_mul(2).min(t2_ms);
    let (interval_ms, bytes, target) = (answer.interval_ms, answer.bytes.clone(), answer.target);
    start_timer::<AnswerRetransmit>(world, usage, Duration::from_millis(u64::from(interval_ms)));
    count(world, |counters| counters.retransmissions_sent += 1);
    send(world, target, bytes);
}
