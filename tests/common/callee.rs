//! The peer that the switch calls, as it answers in each test.

use super::{Bench, Caller, header};
use ringworld::components::call::Session;
use ringworld::components::edge::{Operation, PlaceCall};
use ringworld::components::kernel::StableId;

/// What the peer answers to a request of the switch.
pub fn answer_to(request: &str, status_line: &str, tag: &str, body: &str) -> String {
    let take = |name: &str| header(request, name).unwrap_or_default().to_owned();
    let to = if take("To").contains(";tag=") { take("To") } else { format!("{};tag={tag}", take("To")) };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status_line}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:callee@10.0.0.2:5070>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        take("Via"),
        take("From"),
        take("Call-ID"),
        take("CSeq"),
        body.len()
    )
}

/// A call to the peer, to be placed.
pub fn call_to_peer(service: &str, over_tcp: bool) -> PlaceCall {
    PlaceCall {
        from: "sip:switch@10.0.0.1".into(),
        to: "sip:callee@10.0.0.2:5070".into(),
        remote: super::PEER.parse().expect("an address"),
        over_tcp,
        local: super::SWITCH.parse().expect("an address"),
        service: service.into(),
        sdp: None,
    }
}

/// The switch calls the peer; the INVITE that it sends.
pub fn place(bench: &mut Bench) -> String {
    place_over(bench, false)
}

pub fn place_over(bench: &mut Bench, over_tcp: bool) -> String {
    place_call(bench, call_to_peer("tone", over_tcp))
}

pub fn place_call(bench: &mut Bench, call: PlaceCall) -> String {
    bench.ask(Operation::Place(call));
    bench.tick();
    let invite = bench.take_sent().pop().unwrap_or_default();
    assert!(invite.starts_with("INVITE sip:callee@10.0.0.2:5070 SIP/2.0"), "{invite}");
    invite
}

pub fn sdp() -> String {
    Caller::new(5, "callee").sdp("sendrecv")
}

/// Requests an operation of the oldest session.
pub fn command(bench: &mut Bench, operation: impl Fn(StableId) -> Operation) {
    let world = bench.engine.app_mut().world_mut();
    let sessions = world.query::<(&StableId, &Session)>().iter(world).map(|(id, _)| *id).min();
    let session = sessions.unwrap_or(StableId(1));
    bench.ask(operation(session));
    bench.tick();
}
