//! Sends a message again until it is answered or given up: a request (RFC 3261, section 17.1), or a final response to
//! INVITE that waits for its ACK (sections 13.3.1.4 and 17.2.1).

use std::net::SocketAddr;

use super::MS;

/// Timer T1.
pub const T1: u64 = 500 * MS;
/// Timer T2.
const T2: u64 = 4_000 * MS;
/// A transaction without an answer ends after this time (timers B and F).
pub const GIVE_UP: u64 = 64 * T1;

/// Messages to be sent, each with its destination.
pub type Outbox = Vec<(SocketAddr, Vec<u8>)>;

#[derive(Debug)]
pub struct Transaction {
    pub branch: String,
    pub hop: SocketAddr,
    bytes: Vec<u8>,
    interval: u64,
    longest_interval: u64,
    resend_at: u64,
    pub give_up_at: u64,
}

impl Transaction {
    /// Sends the message for the first time.
    pub fn start(
        now: u64,
        (hop, branch): (SocketAddr, String),
        bytes: Vec<u8>,
        (invite, reliable): (bool, bool),
        out: &mut Outbox,
    ) -> Transaction {
        out.push((hop, bytes.clone()));
        let resend_at = if reliable { u64::MAX } else { now + T1 };
        // Timer A doubles without a bound, timer E up to T2.
        let longest_interval = if invite { u64::MAX } else { T2 };
        Transaction { branch, hop, bytes, interval: T1, longest_interval, resend_at, give_up_at: now + GIVE_UP }
    }

    /// When this transaction next has something to do.
    pub fn due_at(&self) -> u64 {
        self.resend_at.min(self.give_up_at)
    }

    /// Sends again if it is time to. True if it was.
    pub fn resend(&mut self, now: u64, out: &mut Outbox) -> bool {
        if now < self.resend_at {
            return false;
        }
        out.push((self.hop, self.bytes.clone()));
        self.interval = self.interval.saturating_mul(2).min(self.longest_interval);
        self.resend_at = now.saturating_add(self.interval);
        true
    }

    /// A provisional response ends the retransmission of an INVITE and slows that of other requests to T2.
    pub fn provisional(&mut self, now: u64, invite: bool) {
        if invite {
            self.resend_at = u64::MAX;
        } else if self.resend_at != u64::MAX {
            self.interval = T2;
            self.resend_at = now + T2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resends(invite: bool, reliable: bool) -> Vec<u64> {
        let mut out = Outbox::new();
        let hop = "127.0.0.1:5060".parse().unwrap();
        let mut transaction = Transaction::start(0, (hop, "b".into()), b"x".to_vec(), (invite, reliable), &mut out);
        let mut times = Vec::new();
        while transaction.due_at() < transaction.give_up_at {
            times.push(transaction.due_at() / MS);
            assert!(!transaction.resend(transaction.due_at() - 1, &mut out));
            assert!(transaction.resend(transaction.due_at(), &mut out));
        }
        assert_eq!(out.len(), times.len() + 1);
        times
    }

    #[test]
    fn retransmissions_follow_timers_a_and_e() {
        assert_eq!(resends(true, false), [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(resends(false, false), [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert!(resends(true, true).is_empty());
    }
}
