//! Warnings: why a request was refused, in words (RFC 3261 section 20.43).

use std::borrow::Cow;
use std::fmt;

/// The agent that a warning is of: a pseudonym, because a host name would tell strangers about the network.
const AGENT: &str = "ringworld";

/// A value of Warning.
///
/// ```
/// use ringworld_components::wire::sip::Warning;
/// assert_eq!(Warning::new(305, "no codec").to_string(), "305 ringworld \"no codec\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    code: u16,
    text: Cow<'static, str>,
}

impl Warning {
    /// A warning of this code (section 27.2): 300 to 399.
    pub fn new(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }

    /// One that has no code of its own.
    pub fn miscellaneous(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(399, text)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {AGENT} \"", self.code)?;
        for letter in self.text.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                _ if letter.is_control() => f.write_str(" ")?,
                _ => write!(f, "{letter}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_quoted_string() {
        let warning = Warning::miscellaneous("a \"b\" \\ c\r\nd");
        assert_eq!(warning.to_string(), "399 ringworld \"a \\\"b\\\" \\\\ c  d\"");
    }
}
