//! One direction of a TCP connection: segments in whatever order they were captured become SIP messages.

use super::account::Account;
use bytes::Bytes;
use ringworld_components::wire::sip::{Limits, StreamFramer};
use std::collections::BTreeMap;

/// What may wait for a lost segment, in bytes; behind it the segment is given up.
const WAITING_MAX: usize = 256 * 1024;

/// A segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    pub sequence: u32,
    /// What it acknowledges of the other direction.
    pub acknowledges: Option<u32>,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub bytes: Vec<u8>,
}

/// One direction of a connection.
pub(super) struct Half {
    limits: Limits,
    /// The sequence numbers of the first byte, if the beginning was captured, and of the next one, once it is known.
    first: Option<u32>,
    next: Option<u32>,
    /// Up to where the other end has acknowledged all bytes, whatever the capture has.
    acknowledged: Option<u32>,
    /// The sequence number behind the last byte, once its end was seen.
    end: Option<u32>,
    /// Segments ahead of a gap, by their sequence number.
    waiting: BTreeMap<u32, Vec<u8>>,
    waiting_bytes: usize,
    framer: StreamFramer,
    /// Whether it is unknown where a message begins.
    is_adrift: bool,
}

/// Whether `a` does not come before `b`, where numbers wrap.
fn is_at_or_behind(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) <= u32::MAX / 2
}

impl Half {
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            first: None,
            next: None,
            acknowledged: None,
            end: None,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            framer: StreamFramer::new(*limits),
            is_adrift: true,
        }
    }

    /// Whether all of it has come.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && self.end == self.next
    }

    /// The messages that a segment completes.
    pub fn take(&mut self, segment: Segment, account: &mut Account) -> Vec<Bytes> {
        let Segment { mut sequence, syn, fin, bytes, .. } = segment;
        let mut messages = Vec::new();
        if syn {
            sequence = sequence.wrapping_add(1);
            if self.first != Some(sequence) {
                self.begin(sequence, account);
            }
        }
        if fin {
            self.end = Some(sequence.wrapping_add(bytes.len() as u32));
            self.next.get_or_insert(sequence);
        }
        if bytes.is_empty() {
            return messages;
        }
        let next = *self.next.get_or_insert(sequence);
        if !is_at_or_behind(sequence, next) {
            // It was seen before, at least in part.
            let seen = next.wrapping_sub(sequence) as usize;
            match bytes.get(seen..) {
                Some(rest) if !rest.is_empty() => self.append(rest, account, &mut messages),
                _ => account.segments_again += 1,
            }
        } else if sequence == next {
            self.append(&bytes, account, &mut messages);
        } else {
            self.waiting_bytes += bytes.len();
            if let Some(double) = self.waiting.insert(sequence, bytes) {
                self.waiting_bytes -= double.len();
            }
        }
        self.join(false, account, &mut messages);
        messages
    }

    /// The other end has everything before `number`: what the capture lacks of it will not come any more.
    pub fn acknowledge(&mut self, number: u32, account: &mut Account) -> Vec<Bytes> {
        if self.acknowledged.is_none_or(|known| is_at_or_behind(number, known)) {
            self.acknowledged = Some(number);
        }
        let mut messages = Vec::new();
        self.join(false, account, &mut messages);
        messages
    }

    /// Nothing more comes: gaps are given up, and what is no whole message is counted.
    pub fn finish(&mut self, account: &mut Account) -> Vec<Bytes> {
        let mut messages = Vec::new();
        self.join(true, account, &mut messages);
        self.lose_track(account);
        messages
    }

    /// A connection begins: the first one, or another one between the same ports.
    fn begin(&mut self, sequence: u32, account: &mut Account) {
        self.lose_track(account);
        *self = Self { first: Some(sequence), next: Some(sequence), is_adrift: false, ..Self::new(&self.limits) };
    }

    /// Appends what had to wait, and gives up a gap that nothing will fill or too much waits for.
    fn join(&mut self, is_last: bool, account: &mut Account, messages: &mut Vec<Bytes>) {
        while let Some(next) = self.next {
            let nearest = self.waiting.keys().copied().min_by_key(|at| at.wrapping_sub(next).wrapping_add(1 << 31));
            let Some(at) = nearest else { return };
            let is_ahead = at != next && is_at_or_behind(at, next);
            if is_ahead {
                let is_confirmed = self.acknowledged.is_some_and(|number| is_at_or_behind(number, at));
                if !is_last && !is_confirmed && self.waiting_bytes <= WAITING_MAX {
                    return;
                }
                account.gaps += 1;
                account.bytes_lost += u64::from(at.wrapping_sub(next));
                self.next = Some(at);
                self.lose_track(account);
            }
            let Some(bytes) = self.waiting.remove(&at) else { return };
            self.waiting_bytes -= bytes.len();
            let seen = if is_ahead { 0 } else { next.wrapping_sub(at) as usize };
            if let Some(rest) = bytes.get(seen..).filter(|rest| !rest.is_empty()) {
                self.append(rest, account, messages);
            }
        }
    }

    fn append(&mut self, bytes: &[u8], account: &mut Account, messages: &mut Vec<Bytes>) {
        self.next = self.next.map(|next| next.wrapping_add(bytes.len() as u32));
        // Where the stream was joined in its middle, or after a gap, the next message that begins with a segment
        // counts.
        if self.is_adrift {
            if !is_sip(bytes) {
                account.bytes_skipped += bytes.len() as u64;
                return;
            }
            self.is_adrift = false;
        }
        self.framer.push(bytes);
        loop {
            match self.framer.next() {
                Some(Ok(message)) => messages.push(message),
                Some(Err(_)) => {
                    account.unframed += 1;
                    self.lose_track(account);
                    return;
                }
                None => return,
            }
        }
    }

    fn lose_track(&mut self, account: &mut Account) {
        account.bytes_skipped += self.framer.pending() as u64;
        self.framer = StreamFramer::new(self.limits);
        self.is_adrift = true;
    }
}

/// Whether this begins as a SIP message does.
pub(super) fn is_sip(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u32) -> Vec<u8> {
        format!("OPTIONS sip:{n} SIP/2.0\r\nContent-Length: 2\r\n\r\nhi").into_bytes()
    }

    fn segment(sequence: u32, bytes: &[u8]) -> Segment {
        Segment { sequence, bytes: bytes.to_vec(), ..Segment::default() }
    }

    fn taken(segments: Vec<Segment>) -> (usize, Account) {
        let mut account = Account::default();
        let mut half = Half::new(&Limits::default());
        let messages = segments.into_iter().flat_map(|segment| half.take(segment, &mut account)).count();
        (messages + half.finish(&mut account).len(), account)
    }

    #[test]
    fn segments_in_any_order_and_twice_make_the_same_messages() {
        let stream: Vec<u8> = (0..4).flat_map(message).collect();
        let start = u32::MAX - 20;
        let syn = Segment { sequence: start.wrapping_sub(1), syn: true, ..Segment::default() };
        let cut = |from: usize, to: usize| segment(start.wrapping_add(from as u32), &stream[from..to]);
        let (messages, account) =
            taken(vec![syn.clone(), cut(0, 10), cut(50, 90), cut(10, 60), syn, cut(0, 10), cut(90, stream.len())]);
        assert_eq!((messages, account.segments_again, account.gaps, account.bytes_skipped), (4, 1, 0, 0));
    }

    #[test]
    fn a_stream_that_is_joined_late_begins_with_the_next_message() {
        let (messages, account) = taken(vec![segment(5, b"rest of one"), segment(16, &message(1))]);
        assert_eq!((messages, account.bytes_skipped), (1, 11));
    }

    #[test]
    fn a_lost_segment_is_given_up_once_too_much_waits_or_nothing_more_comes() {
        let one = message(1);
        let behind = one.len() as u32 + 100;
        let (messages, account) = taken(vec![segment(0, &one), segment(behind, &one)]);
        assert_eq!((messages, account.gaps, account.bytes_lost), (2, 1, 100));
        let mut half = Half::new(&Limits::default());
        let (mut account, mut messages, mut at) =
            (Account::default(), half.take(segment(0, &one), &mut Account::default()).len(), behind);
        while messages == 1 {
            messages += half.take(segment(at, &one), &mut account).len();
            at += one.len() as u32;
        }
        assert!(at as usize > WAITING_MAX && messages * one.len() > WAITING_MAX, "{at} {messages}");
        assert_eq!((account.gaps, account.bytes_lost), (1, 100));
    }

    #[test]
    fn what_the_other_end_acknowledges_and_the_capture_lacks_is_given_up_at_once() {
        let (one, mut account) = (message(1), Account::default());
        let (length, mut half) = (one.len() as u32, Half::new(&Limits::default()));
        assert_eq!(half.take(segment(0, &one), &mut account).len(), 1);
        assert_eq!(half.take(segment(length + 100, &one), &mut account).len(), 0);
        assert_eq!(half.acknowledge(length + 50, &mut account).len(), 0, "a part of the gap is under way");
        assert_eq!(half.acknowledge(2 * length + 100, &mut account).len(), 1);
        assert_eq!((account.gaps, account.bytes_lost, account.bytes_skipped), (1, 100, 0));
    }

    #[test]
    fn an_end_waits_for_what_comes_before_it() {
        let (one, mut account) = (message(1), Account::default());
        let (length, mut half) = (one.len() as u32, Half::new(&Limits::default()));
        half.take(Segment { sequence: 9, syn: true, ..Segment::default() }, &mut account);
        half.take(Segment { sequence: 10 + length, fin: true, ..Segment::default() }, &mut account);
        assert!(!half.is_over());
        assert_eq!(half.take(segment(10, &one), &mut account).len(), 1);
        assert!(half.is_over());
    }

    #[test]
    fn nonsense_on_a_stream_is_skipped_and_counted() {
        let (messages, account) =
            taken(vec![segment(0, b"OPTIONS sip:1 SIP/2.0\r\nContent-Length: x\r\n\r\n"), segment(44, &message(1))]);
        assert_eq!((messages, account.unframed), (1, 1));
    }
}
