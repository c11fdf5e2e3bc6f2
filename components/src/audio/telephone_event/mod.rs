//! DTMF as RTP events (RFC 4733): received digits, and digits to send.
//!
//! Plain numbers in and out; the four bytes of the payload and the RTP header around them belong to the wire format.

mod receiver;
mod sender;

pub use receiver::{EventReceiver, Heard};
pub use sender::{DIGITS_MAX, EventPacket, EventSender};

/// The event of a key: `0`-`9`, `*`, `#`, `A`-`D` (RFC 4733, section 3.2).
///
/// ```
/// use ringworld_components::audio::telephone_event::{digit_of, event_of};
///
/// assert_eq!((event_of('#'), event_of('d'), event_of('x')), (Some(11), Some(15), None));
/// assert_eq!((digit_of(10), digit_of(16)), (Some('*'), None));
/// ```
pub const fn event_of(digit: char) -> Option<u8> {
    match digit {
        '0'..='9' => Some(digit as u8 - b'0'),
        '*' => Some(10),
        '#' => Some(11),
        'A'..='D' => Some(digit as u8 - b'A' + 12),
        'a'..='d' => Some(digit as u8 - b'a' + 12),
        _ => None,
    }
}

/// The key of an event, or `None` if the event is not one of DTMF.
pub const fn digit_of(event: u8) -> Option<char> {
    match event {
        0..=9 => Some((b'0' + event) as char),
        10 => Some('*'),
        11 => Some('#'),
        12..=15 => Some((b'A' + event - 12) as char),
        _ => None,
    }
}
