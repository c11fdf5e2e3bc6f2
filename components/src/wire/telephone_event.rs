//! Telephone events: DTMF as RTP payload (RFC 4733 section 2.3).

use crate::record::Record;
use std::fmt;

/// One packet's report of an event.
///
/// ```
/// use ringworld_components::wire::telephone_event::{TelephoneEvent, digit_of, parse};
///
/// let event = parse(&[11, 0x8a, 0x03, 0x20]).unwrap();
/// assert_eq!(event, TelephoneEvent { event: 11, end: true, volume: 10, duration: 800 });
/// assert_eq!((digit_of(event.event), event.write()), (Some('#'), [11, 0x8a, 0x03, 0x20]));
/// ```
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TelephoneEvent {
    /// The event's code; 0 to 15 are DTMF.
    pub event: u8,
    /// Whether the event is over.
    pub end: bool,
    /// The power below 0 dBm0, in dB, 0 to 63.
    pub volume: u8,
    /// How long it has lasted, in units of the clock rate.
    pub duration: u16,
}

/// A payload shorter than an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TruncatedEvent;

impl fmt::Display for TruncatedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a telephone event is four octets long")
    }
}

impl std::error::Error for TruncatedEvent {}

/// Reads the first event of a payload.
pub fn parse(payload: &[u8]) -> Result<TelephoneEvent, TruncatedEvent> {
    let &[event, flags, high, low] = payload.first_chunk().ok_or(TruncatedEvent)?;
    let duration = u16::from_be_bytes([high, low]);
    Ok(TelephoneEvent { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
}

impl TelephoneEvent {
    /// The payload.
    pub fn write(&self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | (self.volume & 0x3f), high, low]
    }
}

/// The digit of a DTMF event: `0`-`9`, `*`, `#`, `A`-`D`.
pub fn digit_of(event: u8) -> Option<char> {
    b"0123456789*#ABCD".get(usize::from(event)).map(|&digit| char::from(digit))
}

/// The event of a DTMF digit, letters in either case.
pub fn event_of(digit: char) -> Option<u8> {
    (0..16).find(|&event| digit_of(event) == Some(digit.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_events_are_each_others_inverse() {
        assert!((0..16).all(|event| event_of(digit_of(event).unwrap()) == Some(event)));
        assert_eq!((digit_of(16), event_of('x'), event_of('d')), (None, None, Some(15)));
    }

    #[test]
    fn what_is_written_is_read() {
        for duration in [0, 160, 0xffff] {
            for (end, volume) in [(false, 0), (true, 63)] {
                let event = TelephoneEvent { event: 5, end, volume, duration };
                assert_eq!(parse(&event.write()), Ok(event));
            }
        }
        assert_eq!(parse(&[1, 0xff, 0, 1, 9]).unwrap().volume, 63, "the reserved bit is ignored");
        assert_eq!(parse(&[1, 2, 3]), Err(TruncatedEvent));
    }
}
