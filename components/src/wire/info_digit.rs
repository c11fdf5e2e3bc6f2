//! Digits in the body of INFO: `application/dtmf-relay` and `application/dtmf`. No RFC describes these types; what
//! phones and gateways write in them is read here.

use super::telephone_event::event_of;
use std::fmt;

/// The types of bodies that hold a digit.
pub const DIGIT_BODIES: &[&str] = &["application/dtmf-relay", "application/dtmf"];

/// One press of a key.
///
/// ```
/// use ringworld_components::wire::info_digit::{InfoDigit, parse};
/// assert_eq!(parse(b"Signal=5\r\nDuration=160\r\n"), Ok(InfoDigit { event: 5, duration_ms: 160 }));
/// assert_eq!(parse(b"#"), Ok(InfoDigit { event: 11, duration_ms: 0 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoDigit {
    /// The event, by its code in RFC 4733: 0 to 15 are digits, 16 is a flash of the hook.
    pub event: u8,
    /// How long the key was pressed, in milliseconds; 0 where the body does not say.
    pub duration_ms: u32,
}

/// A body without a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadDigit;

impl fmt::Display for BadDigit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body names no digit: Signal=5, or 5")
    }
}

impl std::error::Error for BadDigit {}

/// Reads a body of one of these types: `Signal=` and `Duration=` on lines of their own, or the digit alone.
pub fn parse(body: &[u8]) -> Result<InfoDigit, BadDigit> {
    let text = std::str::from_utf8(body).map_err(|_| BadDigit)?;
    let (mut event, mut duration_ms) = (None, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once(['=', ':']) {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("signal") => event = event.or(event_named(value)),
            Some((name, value)) if name.trim().eq_ignore_ascii_case("duration") => {
                duration_ms = value.trim().parse().unwrap_or(0);
            }
            Some(_) => {}
            None => event = event.or(event_named(line)),
        }
    }
    Ok(InfoDigit { event: event.ok_or(BadDigit)?, duration_ms })
}

/// A digit, or its code in RFC 4733.
fn event_named(value: &str) -> Option<u8> {
    let value = value.trim();
    let mut letters = value.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => event_of(letter),
        _ if value.eq_ignore_ascii_case("flash") || value.eq_ignore_ascii_case("hookflash") => Some(16),
        _ => value.parse().ok().filter(|code| (10..=16).contains(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_read_in_every_form_that_is_written() {
        for (body, event, duration_ms) in [
            ("Signal=5\r\nDuration=160\r\n", 5, 160),
            ("Signal= 5\r\nDuration= 160", 5, 160),
            ("Duration=90\nsignal=*\n", 10, 90),
            ("Signal=#", 11, 0),
            ("Signal=a\r\nDuration=x", 12, 0),
            ("Signal=11\r\nDuration=250", 11, 250),
            ("Signal:0\r\nDuration:80\r\nVolume:10", 0, 80),
            ("7", 7, 0),
            (" D \r\n", 15, 0),
            ("Signal=hookflash", 16, 0),
            ("16", 16, 0),
        ] {
            assert_eq!(parse(body.as_bytes()), Ok(InfoDigit { event, duration_ms }), "{body}");
        }
    }

    #[test]
    fn what_names_no_digit_is_refused() {
        for body in ["", "Signal=", "Signal=x", "Signal=55", "Duration=160", "Signal=17", "12345", "\u{e9}"] {
            assert_eq!(parse(body.as_bytes()), Err(BadDigit), "{body}");
        }
        assert_eq!(parse(b"\xff5"), Err(BadDigit));
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body: Vec<u8>) {
            prop_assert!(parse(&body).is_ok_and(|digit| digit.event <= 16) || parse(&body) == Err(BadDigit));
        }
    }
}
