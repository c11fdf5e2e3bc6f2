//! Offers and answers of the peer, and what a test looks for in those of the switch.

use super::callee::answer_to;
use super::party::Party;
use super::{Bench, Caller, status};

/// The lines of a description from the first `m=` line on.
pub fn media_of(text: &str) -> &str {
    text.find("\r\nm=").and_then(|at| text.get(at + 2..)).unwrap_or_default()
}

/// The version in the `o=` line.
pub fn version_of(text: &str) -> u64 {
    let origin = text.lines().find_map(|line| line.strip_prefix("o=")).expect("an o= line");
    origin.split(' ').nth(2).and_then(|version| version.parse().ok()).expect("a version")
}

/// A description of the peer.
pub fn described(version: u32, media: &str) -> String {
    format!("v=0\r\no=- 7 {version} IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n{media}")
}

pub fn find<'a>(sent: &'a [String], start: &str) -> &'a str {
    sent.iter().find(|text| text.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {sent:?}"))
}

/// Ends the call from the peer's side, and waits until all of it is gone.
pub fn hang_up(bench: &mut Bench, mut caller: Caller) {
    let bye = caller.bye();
    assert_eq!(status(&bench.exchange(&bye)[0]), 200);
    bench.run_quiet_s(40);
    bench.assert_baseline();
}

/// The call ends by a BYE of the switch, which the peer answers.
pub fn assert_ends_with_bye(bench: &mut Bench, sent: &[String]) {
    let bye = find(sent, "BYE ").to_owned();
    bench.exchange(&answer_to(&bye, "200 OK", "t", ""));
    bench.run_quiet_s(40);
    bench.assert_baseline();
}

/// A re-INVITE of the peer; the response, acknowledged.
pub fn reinvite(bench: &mut Bench, caller: &mut Caller, sdp: &str) -> String {
    caller.next();
    let answer = bench.exchange(&caller.request("INVITE", sdp)).remove(0);
    if status(&answer) == 200 {
        assert!(bench.exchange(&caller.ack()).is_empty());
    } else {
        bench.exchange(&caller.ack_of_refusal());
    }
    answer
}

/// Whether a packet of the party is echoed to where it came from.
pub fn is_echoed(bench: &mut Bench, party: &mut Party) -> bool {
    bench.rtp.clear();
    party.send(bench, &[0x20; 160]);
    bench.run_ms(20);
    bench.rtp.iter().any(|packet| packet.port == party.port && packet.peer.to_string() == party.address())
}
