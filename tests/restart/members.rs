//! Members of rooms that send and receive RTP all the time, and note when each packet was heard.

use crate::common::{Caller, audio_port, header, status};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A packet that was heard.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    marker: bool,
    sequence: u16,
}

struct Member {
    caller: Caller,
    rtp: UdpSocket,
    switch: SocketAddr,
    sequence: u16,
    heard: Vec<Heard>,
}

/// Every gap in the audio must be shorter than this when a process ends and another goes on.
const GAP_MAX: Duration = Duration::from_secs(1);

/// Runs `attempt` until the gap in the audio that it returns is short enough. Other processes may need the processor
/// during one attempt, but not during several in a row.
pub fn with_a_short_gap(mut attempt: impl FnMut() -> Duration) {
    let gaps: Vec<Duration> = (0..3).map(|_| attempt()).take_while(|gap| *gap >= GAP_MAX).collect();
    assert!(gaps.len() < 3, "the gaps in the audio were {gaps:?}");
}

/// All members, driven by one thread.
pub struct Members {
    sip: UdpSocket,
    people: Vec<Member>,
    next_frame: Instant,
}

impl Members {
    /// So many members call rooms of five each.
    pub fn join(count: u32, switch: SocketAddr) -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        sip.connect(switch).expect("an address");
        sip.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let local = sip.local_addr().expect("an address").to_string();
        let people = (0..count).map(|number| {
            let rtp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            rtp.set_nonblocking(true).expect("a socket");
            let mut caller = Caller::new(number, &format!("conf-{}", number / 5));
            caller.peer.clone_from(&local);
            caller.rtp_port = rtp.local_addr().expect("an address").port();
            Member { caller, rtp, switch, sequence: 0, heard: Vec::new() }
        });
        let mut members = Self { people: people.collect(), sip, next_frame: Instant::now() };
        for number in 0..members.people.len() {
            let invite = members.people[number].caller.invite();
            let answer = members.ask(&invite, 200);
            let member = &mut members.people[number];
            member.caller.learn(&answer);
            member.switch.set_port(audio_port(&answer));
            members.sip.send(members.people[number].caller.ack().as_bytes()).expect("sent");
        }
        members
    }

    /// Sends a request until it has a final response, which must be the expected one.
    fn ask(&self, request: &str, expected: u16) -> String {
        let (call, cseq) = (header(request, "Call-ID"), header(request, "CSeq"));
        let mut buffer = [0; 4_096];
        for _ in 0..20 {
            self.sip.send(request.as_bytes()).ok();
            while let Ok(length) = self.sip.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let is_ours = header(&text, "Call-ID") == call && header(&text, "CSeq") == cseq;
                if is_ours && status(&text) >= 200 {
                    assert_eq!(status(&text), expected, "{request}\n{text}");
                    return text;
                }
            }
        }
        panic!("no answer to {request}");
    }

    /// All members speak and listen for a while.
    pub fn talk(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::sleep(self.next_frame.saturating_duration_since(Instant::now()));
            self.next_frame =
                (self.next_frame + Duration::from_millis(20)).max(Instant::now() - Duration::from_secs(1));
            for member in &mut self.people {
                member.speak();
                member.listen();
            }
        }
    }

    /// All members speak and listen until `is_so` holds, or for ten seconds.
    pub fn talk_until(&mut self, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so() && Instant::now() < deadline {
            self.talk(Duration::from_millis(200));
        }
    }

    /// The longest time that a member heard nothing, from that moment on. Asserts that every member still hears audio
    /// three seconds later, and that the sequence numbers have no gap. `lost_max` is how many packets may be missing
    /// where the audio begins anew after that moment: those of the last ticks of a process that was killed after it
    /// wrote their inputs to the journal and before their packets left.
    pub fn longest_gap_after(&self, moment: Instant, lost_max: u16) -> Duration {
        let mut longest = Duration::ZERO;
        for heard in self.people.iter().map(|member| &member.heard[..]) {
            assert!(heard.iter().any(|packet| packet.at > moment + Duration::from_secs(3)), "silent afterwards");
            for pair in heard.windows(2) {
                let [before, after] = pair else { continue };
                let lost = after.sequence.wrapping_sub(before.sequence).wrapping_sub(1);
                let allowed = if after.marker && after.at > moment { lost_max } else { 0 };
                assert!(lost <= allowed, "{lost} packets are missing between {before:?} and {after:?}");
                if after.at > moment {
                    longest = longest.max(after.at - before.at);
                }
            }
        }
        longest
    }

    /// Whether all members heard a talkspurt begin after that moment.
    pub fn have_heard_a_marker_after(&self, moment: Instant) -> bool {
        let has = |member: &Member| member.heard.iter().any(|packet| packet.at > moment && packet.marker);
        self.people.iter().all(has)
    }

    /// All members hold and resume by re-INVITE, then hang up; each request must be answered with 200.
    pub fn leave(mut self) {
        for number in 0..self.people.len() {
            for direction in ["sendonly", "sendrecv"] {
                let caller = &mut self.people[number].caller;
                caller.next();
                let request = caller.request("INVITE", &caller.sdp(direction));
                let ack = caller.ack();
                self.ask(&request, 200);
                self.sip.send(ack.as_bytes()).expect("sent");
            }
            let bye = self.people[number].caller.bye();
            self.ask(&bye, 200);
        }
    }
}

impl Member {
    fn speak(&mut self) {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&self.caller.call.to_be_bytes());
        // A loud square wave of 500 Hz.
        packet.extend((0..160).map(|sample| if sample % 16 < 8 { 0x90 } else { 0x10 }));
        self.sequence = self.sequence.wrapping_add(1);
        // While the switch is down the port is closed.
        let _ = self.rtp.send_to(&packet, self.switch);
    }

    fn listen(&mut self) {
        let mut packet = [0; 1_000];
        while let Ok(length) = self.rtp.recv(&mut packet) {
            assert!(length > 12, "RTP");
            let sequence = u16::from_be_bytes([packet[2], packet[3]]);
            self.heard.push(Heard { at: Instant::now(), marker: packet[1] & 0x80 != 0, sequence });
        }
    }
}
