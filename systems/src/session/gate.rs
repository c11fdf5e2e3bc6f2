//! The gate: whether a new call is admitted, whatever asks for it.

use bevy_ecs::prelude::*;
use ringworld_components::call::{
    Account, Accounts, AdmissionRefusal, Charge, Counters, Draining, MeasuredLoad, SessionCount, Settings,
};
use ringworld_components::sip::{DialogTable, TransactionTable};
use ringworld_components::wire::sdp::Codec;

/// Admits a new call of this account, or says why not, and counts that. Nothing is reserved: what is admitted is
/// charged in the same system, before anything else is admitted.
pub(super) fn admit(world: &mut World, account: &Account, is_placed: bool) -> Result<(), AdmissionRefusal> {
    let verdict = look(world, account, is_placed);
    if let Err(refusal) = verdict {
        world.resource_mut::<Counters>().hit_limit(refusal.limit());
    }
    verdict
}

fn look(world: &World, account: &Account, is_placed: bool) -> Result<(), AdmissionRefusal> {
    let settings = world.resource::<Settings>();
    let limits = &settings.limits;
    let refuse = |is_reached: bool, refusal: AdmissionRefusal| if is_reached { Err(refusal) } else { Ok(()) };
    refuse(world.resource::<Draining>().0, AdmissionRefusal::Draining)?;
    refuse(world.resource::<SessionCount>().sessions >= limits.sessions, AdmissionRefusal::Sessions)?;
    refuse(world.resource::<DialogTable>().len() >= limits.dialogs as usize, AdmissionRefusal::Dialogs)?;
    // An INVITE that came in has its transaction already.
    let is_full = world.resource::<TransactionTable>().len() >= limits.transactions as usize;
    refuse(is_placed && is_full, AdmissionRefusal::Transactions)?;
    let load_max = settings.resources.load_permille_max;
    let load = world.get_resource::<MeasuredLoad>().copied().unwrap_or_default();
    let is_loaded = load_max > 0 && load.cpu_permille >= load_max;
    refuse(is_loaded, AdmissionRefusal::Load)?;
    let accounts = world.resource::<Accounts>();
    let is_at = |count: u32, limit: u32| limit > 0 && count >= limit;
    refuse(is_at(accounts.of_user(&account.user), limits.sessions_per_user), AdmissionRefusal::User)?;
    refuse(is_at(accounts.of_endpoint(account.endpoint), limits.sessions_per_endpoint), AdmissionRefusal::Endpoint)?;
    // The call will want a stream, too; that is charged when it is made.
    let wanted = settings.resources.of_session().plus(settings.of_new_stream());
    settings.resources.exceeded(accounts.used().plus(wanted)).map_or(Ok(()), Err)
}

/// What a session is charged from its beginning on.
pub(super) fn charge_of_session(world: &World) -> Charge {
    Charge(world.resource::<Settings>().resources.of_session())
}

/// What a new stream is charged, or the budget that has no room for it.
pub(super) fn charge_of_stream(world: &mut World) -> Result<Charge, AdmissionRefusal> {
    let used = world.resource::<Accounts>().used();
    let settings = world.resource::<Settings>();
    let amounts = settings.of_new_stream();
    let Some(refusal) = settings.resources.exceeded(used.plus(amounts)) else {
        return Ok(Charge(amounts));
    };
    world.resource_mut::<Counters>().hit_limit(refusal.limit());
    Err(refusal)
}

/// Whether a stream may have this codec: the budgets have room for what it costs beyond what the stream is charged.
pub(super) fn affords(world: &World, stream: Entity, codec: Codec) -> bool {
    let settings = world.resource::<Settings>();
    let charged = world.get::<Charge>(stream).map(|charge| charge.0).unwrap_or_default();
    let amounts = settings.resources.of_stream(codec, settings.media.ptime_ms);
    let used = world.resource::<Accounts>().used().minus(charged).plus(amounts);
    amounts.bandwidth_kbit_s <= charged.bandwidth_kbit_s || settings.resources.exceeded(used).is_none()
}
