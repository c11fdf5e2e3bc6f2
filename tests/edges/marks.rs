//! The packets of a call are marked by its class, from the rule that gave it to the wire.

use super::dscp::{dscp, tell_marks};
use super::peer::Peer;
use super::{Running, config};
use ringworld::components::call::{PriorityLevel, QosClass};
use ringworld::components::edge::{Event, Operation, Transport};
use std::time::Duration;

/// The mark of the packets of the call, once those that were sent before have been read.
fn settles_at(peer: &Peer, expected: u8) {
    let seen: Vec<u8> = (0..100).map(|_| dscp(&peer.rtp)).take_while(|mark| *mark != expected).collect();
    assert!(seen.len() < 100, "it never was {expected}: {seen:?}");
    assert_eq!([dscp(&peer.rtp), dscp(&peer.rtp)], [expected; 2], "it stays so");
}

#[test]
fn a_rule_and_then_an_operation_decide_how_the_packets_of_a_call_are_marked() {
    let mut config = config(&["udp:127.0.0.1:0"]);
    config.priority.rules = vec!["to tone high video".parse().unwrap()];
    (config.network.dscp_signalling, config.network.dscp_expedited) = (26, 44);
    let running = Running::start(&config);
    let events = running.switch.subscribe(64);
    let mut peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "marked");
    tell_marks(&peer.rtp);
    let media = peer.media();
    peer.call("tone", media);
    settles_at(&peer, 34);
    let session = loop {
        if let Event::StateChanged { session, .. } = events.recv_timeout(Duration::from_secs(5)).unwrap() {
            break session;
        }
    };
    for (class, expected) in [(QosClass::ExpeditedForwarding, 44), (QosClass::Voice, 46)] {
        let operation = Operation::SetPriority { session, level: PriorityLevel::Normal, class };
        running.switch.command_session(session, operation).unwrap();
        settles_at(&peer, expected);
    }
    tell_marks(&peer.sip);
    peer.send(&peer.request("OPTIONS", "tone", &peer.own(), ""));
    assert_eq!(dscp(&peer.sip), 26, "signalling has a mark of its own");
    peer.hang_up("tone");
    let summary = running.finish();
    assert_eq!(summary.network.marks_refused, 0);
}
