//! Request methods.

use crate::record::Record;
use bytes::Bytes;
use std::fmt;

/// A request method (RFC 3261 section 7.1 and its extensions). Methods are case-sensitive.
///
/// ```
/// use ringworld_components::wire::sip::Method;
///
/// assert_eq!(Method::parse(b"INVITE"), Method::Invite);
/// assert_eq!(Method::parse(b"Invite").as_str(), "Invite");
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 3261.
    Invite,
    /// RFC 3261.
    Ack,
    /// RFC 3261.
    Bye,
    /// RFC 3261.
    Cancel,
    /// RFC 3261.
    Options,
    /// RFC 6086.
    Info,
    /// RFC 3261.
    Register,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Notify,
    /// RFC 6665.
    Subscribe,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// Any other token.
    Other(Bytes),
}

impl Method {
    /// The method that a token names.
    pub fn parse(token: &[u8]) -> Self {
        Self::known(token).unwrap_or_else(|| Self::Other(Bytes::copy_from_slice(token)))
    }

    /// [`Method::parse`] without a copy.
    pub(crate) fn of(token: Bytes) -> Self {
        Self::known(&token).unwrap_or(Self::Other(token))
    }

    fn known(token: &[u8]) -> Option<Self> {
        Some(match token {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"INFO" => Self::Info,
            b"REGISTER" => Self::Register,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            b"REFER" => Self::Refer,
            b"NOTIFY" => Self::Notify,
            b"SUBSCRIBE" => Self::Subscribe,
            b"MESSAGE" => Self::Message,
            b"PUBLISH" => Self::Publish,
            _ => return None,
        })
    }

    /// The token as text; a parsed method is always ASCII.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Register => "REGISTER",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(token) => std::str::from_utf8(token).unwrap_or("UNKNOWN"),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_token_names_itself() {
        for token in
            "INVITE ACK BYE CANCEL OPTIONS INFO REGISTER UPDATE PRACK REFER NOTIFY SUBSCRIBE MESSAGE PUBLISH".split(' ')
        {
            let method = Method::parse(token.as_bytes());
            assert!(!matches!(method, Method::Other(_)), "{token}");
            assert_eq!(method.as_str(), token);
        }
        let odd = "!interesting-Method0123456789_*+`.%indeed'~";
        assert_eq!(Method::parse(odd.as_bytes()).as_str(), odd);
    }
}
