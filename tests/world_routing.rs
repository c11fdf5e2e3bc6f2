//! Which of several worlds gets a message: by our own tag or branch, then by the room, then by Call-ID.

mod common;

use common::callee::{answer_to, place};
use common::{Bench, Caller, header, status};
use ringworld::components::wire::sip::{Limits, parse_datagram};
use ringworld::engine::{WorldConfig, world_of_message};

const WORLDS: usize = 4;

fn world_of(text: &str) -> usize {
    let message = parse_datagram(bytes::Bytes::from(text.to_owned()), &Limits::default()).expect("a message");
    world_of_message(&message, WORLDS)
}

fn world(index: u8) -> Bench {
    Bench::with(WorldConfig { world: index, ..WorldConfig::default() })
}

#[test]
fn what_belongs_to_a_call_goes_to_its_world_by_the_tag_that_was_minted_there() {
    for index in 0..WORLDS as u8 {
        for call in 0..8 {
            let mut bench = world(index);
            let mut caller = Caller::new(call, "echo");
            let answer = bench.exchange(&caller.invite()).remove(0);
            assert_eq!(status(&answer), 200);
            caller.learn(&answer);
            for request in [caller.ack(), caller.request("INFO", ""), caller.bye()] {
                assert_eq!(world_of(&request), usize::from(index), "{request}");
            }
        }
    }
}

#[test]
fn responses_go_to_the_world_that_asked_by_its_branch_and_requests_of_the_callee_by_our_tag() {
    for index in 0..WORLDS as u8 {
        let mut bench = world(index);
        let invite = place(&mut bench);
        let call_id = header(&invite, "Call-ID").expect("a Call-ID");
        assert!(call_id.starts_with(&format!("rw{index:02x}")), "{call_id}");
        assert_eq!(world_of(&answer_to(&invite, "180 Ringing", "t1", "")), usize::from(index));
        // A proxy that answers by itself, with a tag like those of another world.
        assert_eq!(world_of(&answer_to(&invite, "408 Request Timeout", "rw03", "")), usize::from(index));
        let from = header(&invite, "From").expect("a From");
        let bye = Caller::new(1, "switch").request("BYE", "");
        let bye = bye.replace("To: <sip:switch@10.0.0.1>", &format!("To: {from}"));
        assert_eq!(world_of(&bye), usize::from(index), "{bye}");
    }
}

#[test]
fn a_room_is_in_one_world_and_other_calls_are_spread() {
    let in_room = |call| world_of(&Caller::new(call, "conf-lobby").invite());
    assert!((0..50).all(|call| in_room(call) == in_room(0)));
    let mut calls = [0; WORLDS];
    (0..400).for_each(|call| calls[world_of(&Caller::new(call, "echo").invite())] += 1);
    assert!(calls.iter().all(|&calls| calls > 50), "{calls:?}");
    let same = |call| {
        let caller = Caller::new(call, "echo");
        world_of(&caller.invite()) == world_of(&caller.request("CANCEL", ""))
    };
    assert!((0..50).all(same), "a CANCEL has no tag of ours yet and goes where its INVITE went");
}

#[test]
fn a_tag_of_a_world_that_there_is_not_does_not_lead_astray() {
    let caller = Caller { to_tag: "rwffdeadbeef".into(), ..Caller::new(1, "echo") };
    assert!(world_of(&caller.request("BYE", "")) < WORLDS);
}
