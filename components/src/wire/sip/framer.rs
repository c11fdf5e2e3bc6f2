//! Messages out of a byte stream.

use super::grammar::{decimal, trim};
use super::refusal::unfolded_lines;
use super::{Limits, Malformed, MalformedReason as Reason, Refusal};
use bytes::{Buf, Bytes, BytesMut};

/// Why a stream can't be cut any further: it has to be closed, after the answer if there is one.
pub type FramingError = Malformed;

/// Cuts a stream (TCP, TLS) into messages by Content-Length, which is mandatory there (RFC 3261 section 18.3).
///
/// After an error it yields nothing any more: where the next message starts would be a guess. It holds at most one
/// message and what was pushed since the last call of `next`.
///
/// ```
/// use ringworld_components::wire::sip::{Limits, StreamFramer};
///
/// let mut framer = StreamFramer::new(Limits::default());
/// framer.push(b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 2\r\n\r\nhi");
/// assert!(framer.next().unwrap().unwrap().starts_with(b"OPTIONS"));
/// assert_eq!((framer.next().is_none(), framer.take_pings()), (true, 1));
/// ```
#[derive(Debug)]
pub struct StreamFramer {
    buffer: BytesMut,
    limits: Limits,
    /// How far the end of the headers has been looked for.
    scanned: usize,
    /// The length of the message whose headers are complete.
    needed: Option<usize>,
    /// Whether an odd number of line ends stands before the message.
    half_ping: bool,
    pings: u32,
    dead: bool,
}

impl StreamFramer {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        let buffer = BytesMut::new();
        Self { buffer, limits, scanned: 0, needed: None, half_ping: false, pings: 0, dead: false }
    }

    /// Appends what was read. Take all messages with `next` before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.dead {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// How many keep-alive pings (a double line end, RFC 5626 section 4.4.1) came since the last call; each is to be
    /// answered with one line end.
    pub fn take_pings(&mut self) -> u32 {
        std::mem::take(&mut self.pings)
    }

    /// How many bytes wait for the rest of their message: a peer that leaves them waiting is to be timed out.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// All that was pushed and has not been answered for: the pings that were not taken, then what waits for the rest
    /// of its message. Pushed into a fresh framer, it brings that one to where this one stood.
    pub fn into_rest(self) -> Bytes {
        let line_ends = 2 * self.pings as usize + usize::from(self.half_ping);
        [&b"\r\n".repeat(line_ends)[..], &self.buffer].concat().into()
    }

    fn skip_line_ends(&mut self) {
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            if self.half_ping {
                self.pings = self.pings.saturating_add(1);
            }
            self.half_ping = !self.half_ping;
        }
    }

    /// The length of the message at the front, once it can be told.
    fn measure(&mut self) -> Result<Option<usize>, Reason> {
        let Some(unseen) = self.buffer.get(self.scanned..) else { return Ok(None) };
        let Some(end) = unseen.windows(4).position(|window| window == b"\r\n\r\n") else {
            self.scanned = self.buffer.len().saturating_sub(crate::planted!(SplitUnseen ? 0, 3));
            return if self.buffer.len() > self.limits.max_message_bytes { Err(Reason::TooLarge) } else { Ok(None) };
        };
        let body_at = self.scanned + end + 4;
        let body = content_length(self.buffer.get(..body_at).unwrap_or_default())?;
        let length = usize::try_from(body).ok().and_then(|body| body.checked_add(body_at)).ok_or(Reason::TooLarge)?;
        if length > self.limits.max_message_bytes { Err(Reason::TooLarge) } else { Ok(Some(length)) }
    }
}

impl Iterator for StreamFramer {
    type Item = Result<Bytes, FramingError>;

    /// The next whole message; none until more is pushed.
    fn next(&mut self) -> Option<Self::Item> {
        if self.needed.is_none() {
            if self.scanned == 0 {
                self.skip_line_ends();
            }
            match self.measure() {
                Ok(needed) => self.needed = needed,
                Err(reason) => {
                    self.dead = true;
                    self.scanned = 0;
                    let rest = self.buffer.split().freeze();
                    return Some(Err(Malformed { reason, response: Refusal::find(&rest, reason) }));
                }
            }
        }
        let needed = self.needed.filter(|&needed| needed <= self.buffer.len())?;
        (self.needed, self.scanned, self.half_ping) = (None, 0, false);
        Some(Ok(self.buffer.split_to(needed).freeze()))
    }
}

fn content_length(head: &[u8]) -> Result<u64, Reason> {
    let mut length = None;
    for line in unfolded_lines(head).skip(1) {
        let Some(colon) = line.iter().position(|&octet| octet == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = trim(name);
        if name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l") {
            let value = decimal(trim(value.get(1..).unwrap_or_default())).ok_or(Reason::ContentLength)?;
            if length.replace(value).is_some() {
                return Err(Reason::ContentLengthTwice);
            }
        }
    }
    length.ok_or(Reason::ContentLengthMissing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nCSeq: 1 INFO\r\n";

    fn message(length: &str, body: &str) -> String {
        format!("{HEAD}{length}\r\n\r\n{body}")
    }

    fn all(framer: &mut StreamFramer) -> Vec<Bytes> {
        framer.map(Result::unwrap).collect()
    }

    #[test]
    fn messages_are_cut_wherever_the_stream_is_split() {
        let one = message("Content-Length : 9", "a\r\n\r\nINFO");
        let two = message("L:\r\n 0", "");
        let stream = format!("\r\n{one}\r\n\r\n\r\n{two}{one}\r\n\r");
        for split in 0..stream.len() {
            let mut framer = StreamFramer::new(Limits::default());
            let mut messages = Vec::new();
            for part in [&stream[..split], &stream[split..]] {
                framer.push(part.as_bytes());
                messages.extend(all(&mut framer));
            }
            assert_eq!(messages, [&one, &two, &one], "split at {split}");
            assert_eq!((framer.take_pings(), framer.take_pings(), framer.pending()), (1, 0, 1), "split at {split}");
        }
    }

    #[test]
    fn one_octet_at_a_time() {
        let one = message("Content-Length: 2", "ab");
        let mut framer = StreamFramer::new(Limits::default());
        let mut messages = Vec::new();
        for octet in format!("\r\n\r\n{one}\r\n\r\n\r\n\r\n{one}").bytes() {
            framer.push(&[octet]);
            messages.extend(all(&mut framer));
        }
        assert_eq!((messages.len(), framer.take_pings()), (2, 3));
    }

    #[test]
    fn another_framer_goes_on_wherever_one_left_off() {
        let one = message("Content-Length: 9", "a\r\n\r\nINFO");
        let stream = format!("\r\n\r\n\r\n{one}\r\n\r\n\r\n{one}\r\n\r");
        for split in 0..=stream.len() {
            let mut first = StreamFramer::new(Limits::default());
            first.push(&stream.as_bytes()[..split]);
            let mut messages = all(&mut first);
            let mut second = StreamFramer::new(Limits::default());
            second.push(&first.into_rest());
            // Looked at before the rest comes, as a connection does.
            messages.extend(all(&mut second));
            second.push(&stream.as_bytes()[split..]);
            messages.extend(all(&mut second));
            assert_eq!(messages, [&one, &one], "split at {split}");
            assert_eq!((second.take_pings(), second.pending()), (2, 1), "split at {split}");
        }
    }

    #[test]
    fn lost_framing_ends_the_stream() {
        let limits = Limits { max_message_bytes: 300, ..Limits::default() };
        let table = [
            (message("Subject: x", ""), Reason::ContentLengthMissing, Some(400)),
            (message("Content-Length: -1", ""), Reason::ContentLength, Some(400)),
            (message("Content-Length: 1\r\nl: 1", "x"), Reason::ContentLengthTwice, Some(400)),
            (message("Content-Length: 99999999999999999999999", ""), Reason::TooLarge, Some(513)),
            (message("Content-Length: 301", ""), Reason::TooLarge, Some(513)),
            (
                message(&format!("Subject: {}", "x".repeat(300)), "").replace("\r\n\r\n", ""),
                Reason::TooLarge,
                Some(513),
            ),
            ("x".repeat(301), Reason::TooLarge, None),
            ("GET / HTTP/1.1\r\n\r\n".into(), Reason::ContentLengthMissing, None),
        ];
        for (text, reason, status) in table {
            let mut framer = StreamFramer::new(limits);
            framer.push(text.as_bytes());
            let error = framer.next().unwrap().unwrap_err();
            assert_eq!((error.reason, error.response.map(|refusal| refusal.status)), (reason, status));
            framer.push(message("l: 0", "").as_bytes());
            assert!(framer.next().is_none() && framer.pending() == 0, "a dead stream stays dead and holds nothing");
        }
    }

    proptest! {
        #[test]
        fn any_stream_is_cut_or_ends(chunks: Vec<Vec<u8>>) {
            let mut framer = StreamFramer::new(Limits { max_message_bytes: 64, ..Limits::default() });
            for chunk in chunks {
                framer.push(&chunk);
                framer.push(b"\r\nl:1\r\n\r\n");
                prop_assert!(framer.by_ref().take(1000).count() < 1000);
            }
        }
    }
}
