//! Both ends of every dialog, compared once the network has healed and all transactions have ended.

use super::{Breach, Invariant, of_agent};
use crate::engine::Engine;
use crate::sim::agent::{Agent, Call};
use crate::sim::invariants::Invariants;
use crate::ua::State;
use ringworld_components::call::{InviteUsageOf, Negotiation, PendingInvite, Session, SessionState};
use ringworld_components::kernel::StableId;
use ringworld_components::sip::{Dialog, DialogState, UsageOf};
use std::collections::{BTreeMap, BTreeSet};

/// What the switch knows of a dialog.
struct Known {
    session: StableId,
    state: SessionState,
    we_hold: bool,
    peer_holds: bool,
    is_busy: bool,
    peer_tag: String,
}

/// Compares. Returns the number of dialogs that both ends agreed upon.
pub(in crate::sim) fn check(engine: &Engine, agents: &[Agent], watchers: &Invariants) -> Result<u64, Breach> {
    let known = known_to_the_switch(engine);
    let mut agreed = 0;
    for agent in agents.iter().filter(|agent| agent.is_honest() && !agent.is_tainted) {
        for call in agent.calls.iter().filter(|call| call.ua.is_sure && call.ua.is_calm()) {
            let disagree = |what: String| {
                let involved = [of_agent(agent.number), format!("Call-ID {}", call.ua.identity.call_id)];
                Breach::new(Invariant::BothAgree, what, involved)
            };
            let dialog = known.get(&call.ua.identity.call_id);
            match (call.ua.state, dialog) {
                (State::Confirmed, None) if !watchers.wire.said_bye(&call.ua.identity.call_id) => {
                    return Err(disagree("the agent is in a call that the switch does not know of".to_owned()));
                }
                (State::Confirmed, Some(dialog)) if !dialog.is_busy && !dialog.state.is_over() => {
                    agreed += 1;
                    same(call, dialog).map_err(disagree)?;
                }
                (State::Ended, Some(dialog)) if !dialog.is_busy && !dialog.state.is_over() => {
                    return Err(disagree(format!(
                        "session {} is {} though the agent's call is over",
                        dialog.session, dialog.state
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(agreed)
}

/// The Call-IDs of all calls that are up.
pub(in crate::sim) fn calls_up(engine: &Engine) -> BTreeSet<String> {
    let known = known_to_the_switch(engine).into_iter();
    known.filter(|(_, dialog)| !dialog.state.is_over()).map(|(call_id, _)| call_id).collect()
}

fn same(call: &Call, dialog: &Known) -> Result<(), String> {
    if call.tag() != dialog.peer_tag {
        return Err(format!("the agent's tag is {}, for the switch it is {}", call.tag(), dialog.peer_tag));
    }
    let (agents, switchs) = ((call.ua.we_hold, call.ua.they_hold), (dialog.peer_holds, dialog.we_hold));
    // While the switch holds the agent, it can't tell whether the agent holds it, too.
    if agents != switchs && !(dialog.we_hold && call.ua.we_hold && call.ua.they_hold) {
        return Err(format!("(agent holds, switch holds): the agent says {agents:?}, the switch {switchs:?}"));
    }
    let on_hold = dialog.state == SessionState::OnHold;
    if on_hold != (dialog.we_hold || dialog.peer_holds) {
        return Err(format!("session {} is {}, holding {switchs:?}", dialog.session, dialog.state));
    }
    Ok(())
}

/// The confirmed dialogs by Call-ID.
fn known_to_the_switch(engine: &Engine) -> BTreeMap<String, Known> {
    let world = engine.world();
    let mut known = BTreeMap::new();
    let Some(mut query) = world.try_query::<(&Negotiation, &UsageOf, &InviteUsageOf)>() else { return known };
    for (negotiation, of_dialog, InviteUsageOf(owner)) in query.iter(world) {
        let dialog = world.get::<Dialog>(of_dialog.0).filter(|dialog| dialog.state == DialogState::Confirmed);
        let Some(dialog) = dialog else { continue };
        let (Some(session), Some(id)) = (world.get::<Session>(*owner), world.get::<StableId>(*owner)) else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_busy = world.get::<PendingInvite>(*owner).is_some_and(|pending| !pending.is_none());
        let state = session.state();
        let of_usage = Known {
            session: *id,
            state,
            we_hold: negotiation.we_hold(),
            peer_holds: negotiation.peer_holds(),
            is_busy,
            peer_tag: text(&dialog.remote_tag),
        };
        known.insert(text(&dialog.call_id), of_usage);
    }
    known
}
