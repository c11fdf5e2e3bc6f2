//! What the files of this folder share: responses, requests and call events on their way.

use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{CallEvent, Counters, Queue, Settings};
use ringworld_components::edge::{Output, Target};
use ringworld_components::kernel::{Now, Secret, StableId, StableIds};
use ringworld_components::sip::{
    ClientRequest, ResponseParts, Transaction, TransactionRequest, TransactionUser, mint_branch,
};
use ringworld_components::wire::sip::{Request, Warning};

/// What keys of dialogs and transactions are hashed with.
pub(super) fn seed(world: &World) -> u64 {
    world.resource::<Secret>().table_seed()
}

pub(super) fn mint(world: &mut World) -> StableId {
    world.resource_mut::<StableIds>().mint()
}

/// A branch that nothing else has.
pub(super) fn fresh_branch(world: &mut World) -> String {
    let id = mint(world);
    mint_branch(world.resource::<Secret>(), id, *world.resource::<Now>())
}

pub(super) fn count(world: &mut World, change: impl FnOnce(&mut Counters)) {
    change(&mut world.resource_mut::<Counters>());
}

/// Hands a message that belongs to no transaction to the network.
pub(super) fn send(world: &mut World, target: Target, bytes: Bytes) {
    world.resource_mut::<Queue<Output>>().push(Output::Sip { target, bytes, transaction: StableId(0) });
}

/// Tells sessions.
pub(super) fn tell(world: &mut World, event: CallEvent) {
    world.resource_mut::<Queue<CallEvent>>().push(event);
}

/// Responds to a request.
pub(super) fn respond(world: &mut World, transaction: Entity, status: u16, parts: &ResponseParts<'_>) {
    if let Some(response) = TransactionRequest::response(world, transaction, status, parts) {
        ask(world, response);
    }
}

/// Refuses a request, with the header fields that the status asks for.
pub(super) fn refuse(world: &mut World, transaction: Entity, status: u16) {
    refuse_with(world, transaction, status, None);
}

/// As [`refuse`], and says why.
pub(super) fn refuse_with(world: &mut World, transaction: Entity, status: u16, warning: Option<&Warning>) {
    if let Some(response) = TransactionRequest::refusal(world, transaction, status, warning) {
        ask(world, response);
    }
}

/// Whether our requests can be sent to the Contact of an INVITE, through `route` if there is a proxy; else it is refused
/// (section 8.1.1.8). A peer that must be reached over TLS is none for us (RFC 5630 section 4).
pub(super) fn has_target(world: &mut World, transaction: Entity, request: &Request, route: Option<&Bytes>) -> bool {
    let (status, warning) = if !request.head.has_one_target() {
        (400, Warning::miscellaneous("Contact must be one SIP URI (RFC 3261 section 8.1.1.8)"))
    } else if !request.head.can_be_reached(route) {
        (480, Warning::new(380, "SIPS Not Allowed: UDP and TCP are spoken, and no TLS"))
    } else {
        return true;
    };
    refuse_with(world, transaction, status, Some(&warning));
    false
}

/// Whether the peer takes a session description in the response to its INVITE, as it holds one; else the request is
/// refused (RFC 3261 section 21.4.7).
pub(super) fn may_describe(world: &mut World, transaction: Entity, request: &Request) -> bool {
    let may = request.head.accepts_session_description();
    if !may {
        let warning = Warning::miscellaneous("the response needs application/sdp, which Accept does not name");
        refuse_with(world, transaction, 406, Some(&warning));
    }
    may
}

/// Asks something of a transaction.
pub(super) fn ask(world: &mut World, request: TransactionRequest) {
    world.resource_mut::<Queue<TransactionRequest>>().push(request);
}

/// Begins a client transaction.
pub(super) fn begin(world: &mut World, request: ClientRequest, user: TransactionUser) -> Entity {
    let id = mint(world);
    begin_named(world, id, request, user)
}

/// Begins a client transaction whose name is given.
pub(super) fn begin_named(world: &mut World, id: StableId, request: ClientRequest, user: TransactionUser) -> Entity {
    let t1_ms = world.resource::<Settings>().sip.t1_ms;
    let transaction = Transaction::client(request, user, t1_ms, seed(world));
    let transaction = world.spawn((id, transaction)).id();
    ask(world, TransactionRequest::Begin { transaction });
    transaction
}
