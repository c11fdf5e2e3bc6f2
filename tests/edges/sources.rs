//! Symmetric RTP over real sockets: a peer behind a NAT is heard, a hijack fails.

use super::peer::{Peer, audio_of, heard, packet, socket};
use super::{Running, config};
use ringworld::components::edge::Transport;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::from_millis(150);

struct Call {
    running: Running,
    peer: Peer,
    ours: SocketAddr,
    sequence: u16,
}

impl Call {
    /// A call to `user` whose SDP names `media`, or the peer's own socket.
    fn to(user: &str, media: Option<SocketAddr>) -> Self {
        let running = Running::start(&config(&["udp:127.0.0.1:0"]));
        let mut peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "source");
        let media = media.unwrap_or_else(|| peer.media());
        let ours = audio_of(&peer.call(user, media));
        Self { running, peer, ours, sequence: 100 }
    }

    /// Sends a packet from a socket; says whether it comes back to that socket.
    fn echoes(&mut self, socket: &UdpSocket, ssrc: u32, byte: u8) -> bool {
        self.sequence += 1;
        socket.send_to(&packet(ssrc, self.sequence, byte), self.ours).expect("it is sent");
        // The echo of another packet would be another byte.
        heard(socket, NEVER.max(Duration::from_millis(400))) == Some(byte)
    }

    fn end(mut self, user: &str) -> ringworld::engine::Summary {
        self.peer.hang_up(user);
        self.running.finish()
    }
}

#[test]
fn a_peer_behind_a_nat_is_answered_where_its_packets_come_from() {
    // The SDP names an address behind the NAT, which can't be reached from outside.
    let mut call = Call::to("echo", Some("127.9.9.9:4000".parse().unwrap()));
    let outside = socket("127.0.0.1");
    assert!(call.echoes(&outside, 7, 1));
    assert!(call.echoes(&outside, 7, 2));
    call.end("echo");
}

#[test]
fn a_stranger_neither_hears_a_call_nor_is_heard_in_it() {
    let mut call = Call::to("echo", None);
    let own = call.peer.rtp.try_clone().unwrap();
    assert!(call.echoes(&own, 7, 1));
    std::thread::sleep(Duration::from_millis(250));
    let stranger = socket("127.0.0.2");
    for attempt in 0..3 {
        // With another SSRC, and with that of the call.
        assert!(!call.echoes(&stranger, 666, 100 + attempt), "the stranger is not answered");
        assert!(!call.echoes(&stranger, 7, 110 + attempt), "not even with the right SSRC");
        assert!(call.echoes(&own, 7, 10 + attempt), "and the call goes on");
    }
    let summary = call.end("echo");
    assert_eq!(summary.media.dropped_foreign, 6, "{:?}", summary.media);
}

#[test]
fn the_source_in_the_sdp_replaces_an_earlier_source() {
    let mut call = Call::to("echo", None);
    let own = call.peer.rtp.try_clone().unwrap();
    let stranger = socket("127.0.0.2");
    call.sequence += 1;
    stranger.send_to(&packet(666, call.sequence, 9), call.ours).unwrap();
    assert_eq!(heard(&stranger, SOON), Some(9), "it is the only source yet");
    call.sequence += 1;
    own.send_to(&packet(7, call.sequence, 1), call.ours).unwrap();
    assert_eq!(heard(&own, SOON), Some(1), "the one that the SDP names is preferred");
    assert!(!call.echoes(&stranger, 666, 3));
    call.end("echo");
}

#[test]
fn a_nat_that_changes_its_mapping_is_followed_after_a_silence_and_another_host_only_with_the_same_stream() {
    let mut call = Call::to("echo", None);
    let own = call.peer.rtp.try_clone().unwrap();
    assert!(call.echoes(&own, 7, 1));
    let moved = socket("127.0.0.1");
    assert!(!call.echoes(&moved, 7, 2), "not while the old one has just been heard");
    std::thread::sleep(Duration::from_millis(1_100));
    let stranger = socket("127.0.0.2");
    assert!(!call.echoes(&stranger, 666, 3), "not another stream of another host");
    assert!(call.echoes(&moved, 666, 4), "but one of the same host");
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(call.echoes(&stranger, 666, 5), "and the same stream, wherever it comes from");
    assert!(call.echoes(&own, 7, 6), "the address that the SDP names wins");
    call.end("echo");
}

#[test]
fn another_description_moves_the_stream() {
    let mut call = Call::to("tone", None);
    let own = call.peer.rtp.try_clone().unwrap();
    assert!(heard(&own, SOON).is_some(), "to where the SDP says, before anything came");
    let elsewhere = socket("127.0.0.3");
    let (via, to) = (call.peer.own(), elsewhere.local_addr().unwrap());
    call.peer.invite("tone", &via, to, "sendrecv");
    assert!(heard(&elsewhere, SOON).is_some());
    while heard(&own, NEVER).is_some() {}
    // Hold and back, over the sockets.
    call.peer.invite("tone", &via, "0.0.0.0:4000".parse().unwrap(), "sendrecv");
    while heard(&elsewhere, NEVER).is_some() {}
    call.peer.invite("tone", &via, to, "sendrecv");
    assert!(heard(&elsewhere, SOON).is_some(), "the tone is back");
    call.end("tone");
}
