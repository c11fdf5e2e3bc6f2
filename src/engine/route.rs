//! Which of several worlds a SIP message belongs to.

use ringworld_components::call::Service;
use ringworld_components::sip::world_of;
use ringworld_components::wire::sip::{Message, Method, Request};
use xxhash_rust::xxh3::xxh3_64;

/// The world of a message: by our own tag or branch, then by the name of the room, then by Call-ID. A call stays in one
/// world until it ends.
pub fn world_of_message(message: &Message, worlds: usize) -> usize {
    if worlds <= 1 {
        return 0;
    }
    let (tags, branch) = match message {
        Message::Request(request) => ([&request.head.to.tag, &request.head.from.tag], None),
        Message::Response(response) => {
            ([&response.head.from.tag, &response.head.to.tag], response.head.via.branch.as_deref())
        }
    };
    let minted = branch.and_then(world_of).or_else(|| tags.into_iter().flatten().find_map(|tag| world_of(tag)));
    match (minted.map(usize::from), message) {
        (Some(world), _) if world < worlds => world,
        (_, Message::Request(request)) => world_of_new(request, worlds),
        (_, Message::Response(response)) => spread(&response.head.call_id, worlds),
    }
}

/// Participants of one room come together in one world; bindings are kept in the first.
fn world_of_new(request: &Request, worlds: usize) -> usize {
    if request.method == Method::Register {
        return 0;
    }
    let user = request.uri.user().unwrap_or_default();
    match std::str::from_utf8(&user).ok().and_then(Service::named) {
        Some(Service::Conference(name)) => world_of_room(&name, worlds),
        _ => spread(&request.head.call_id, worlds),
    }
}

/// The world that a room of that name is in.
pub fn world_of_room(name: &str, worlds: usize) -> usize {
    spread(name.as_bytes(), worlds.max(1))
}

fn spread(key: &[u8], worlds: usize) -> usize {
    (xxh3_64(key) % worlds as u64) as usize
}
