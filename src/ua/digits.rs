//! DTMF digits as telephone events (RFC 4733): sent one packet each 20 ms, and read.

/// The sixteen keys in the order of their event codes.
const KEYS: &str = "0123456789*#ABCD";

/// Packets in which a digit grows to 100 ms, repeats its end, and pauses.
const GROWING: u16 = 5;
const ENDING: u16 = 3;
const PAUSE: u16 = 5;
const FRAME: u16 = 160;
/// A level of -10 dBm0.
const VOLUME: u8 = 10;

/// A telephone event to be sent in place of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub marker: bool,
    /// The time at which the digit began; the same in all its packets.
    pub timestamp: u32,
    pub payload: [u8; 4],
}

/// Digits that wait to be sent, and the one that is being sent.
#[derive(Debug)]
pub struct Digits {
    codes: std::vec::IntoIter<u8>,
    current: Option<(u8, u32, u16)>,
}

impl Digits {
    /// The digits of a text; the error is a character that no key has.
    pub fn new(text: &str) -> Result<Digits, char> {
        let code = |key: char| KEYS.find(key.to_ascii_uppercase()).map(|code| code as u8).ok_or(key);
        let codes: Vec<u8> = text.chars().map(code).collect::<Result<_, char>>()?;
        Ok(Digits { codes: codes.into_iter(), current: None })
    }

    pub fn is_done(&self) -> bool {
        self.current.is_none() && self.codes.len() == 0
    }

    /// What to send in this 20 ms; `None` for audio.
    pub fn next(&mut self, timestamp: u32) -> Option<Event> {
        let (code, began, step) = self.current.take().or_else(|| Some((self.codes.next()?, timestamp, 0)))?;
        if step + 1 < GROWING + ENDING + PAUSE {
            self.current = Some((code, began, step + 1));
        }
        if step >= GROWING + ENDING {
            return None;
        }
        let end = if step >= GROWING { 0x80 } else { 0 };
        let [high, low] = ((step + 1).min(GROWING) * FRAME).to_be_bytes();
        Some(Event { marker: step == 0, timestamp: began, payload: [code, end | VOLUME, high, low] })
    }
}

/// Reads digits; each has its own timestamp.
#[derive(Debug, Default)]
pub struct DigitsHeard {
    last: Option<u32>,
    pub digits: String,
}

/// Digits kept.
const MOST: usize = 1_000;

impl DigitsHeard {
    /// Takes an event packet; the digit, if it is a new one.
    pub fn take(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let code = usize::from(*payload.first()?);
        let key = KEYS.get(code..code + 1)?.chars().next()?;
        let newer = self.last.is_none_or(|last| (timestamp.wrapping_sub(last) as i32) > 0);
        if !newer || self.digits.len() >= MOST {
            return None;
        }
        self.last = Some(timestamp);
        self.digits.push(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_sent_and_read_back() {
        let mut digits = Digits::new("0#d55").unwrap();
        let mut heard = DigitsHeard::default();
        let (mut timestamp, mut sent) = (u32::MAX - 1_000, Vec::new());
        while !digits.is_done() {
            if let Some(event) = digits.next(timestamp) {
                heard.take(event.timestamp, &event.payload);
                sent.push(event);
            }
            timestamp = timestamp.wrapping_add(160);
        }
        assert_eq!(heard.digits, "0#D55");
        assert_eq!(sent.len(), 5 * 8);
        assert_eq!(sent.iter().filter(|event| event.marker).count(), 5);
        assert_eq!(sent[0].payload, [0, 10, 0, 160]);
        assert!(
            sent[5..8].iter().all(|event| event.payload == [0, 0x8a, 3, 32] && event.timestamp == u32::MAX - 1_000)
        );
        assert_eq!(Digits::new("12x").err(), Some('x'));
    }

    #[test]
    fn repeated_and_reordered_packets_are_one_digit() {
        let mut heard = DigitsHeard::default();
        for (timestamp, code) in [(1_000, 1), (1_000, 1), (2_000, 1), (1_000, 1), (3_000, 16), (4_000, 2)] {
            heard.take(timestamp, &[code, 0, 0, 0]);
        }
        assert_eq!(heard.digits, "112");
        assert_eq!(heard.take(5_000, &[]), None);
    }
}
