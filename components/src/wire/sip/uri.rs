//! SIP, SIPS and tel URIs.

use super::grammar::{find, share};
use super::host::{parse_ip, split_host_port};
use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bytes::Bytes;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// What a URI's scheme is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966).
    Tel,
    /// Any other: a 416 where it is the Request-URI.
    Other,
}

/// Text that is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadUri;

impl fmt::Display for BadUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a URI")
    }
}

impl std::error::Error for BadUri {}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    from: u16,
    to: u16,
}

impl Span {
    fn new(from: usize, to: usize) -> Result<Self, BadUri> {
        match (u16::try_from(from), u16::try_from(to)) {
            (Ok(from), Ok(to)) if from <= to => Ok(Self { from, to }),
            _ => Err(BadUri),
        }
    }

    fn of(self, text: &[u8]) -> &[u8] {
        text.get(usize::from(self.from)..usize::from(self.to)).unwrap_or_default()
    }
}

/// A URI (RFC 3261 section 19.1): its text, and where its parts lie in it. A clone shares the text.
///
/// Two are equal when their text is, which is stricter than RFC 3261 section 19.1.4 (that relation is not transitive).
///
/// ```
/// use ringworld_components::wire::sip::Uri;
///
/// let uri = Uri::parse("sip:conf-1@[2001:db8::1]:5070;transport=tcp;lr".into()).unwrap();
/// assert_eq!(uri.user().unwrap(), "conf-1");
/// assert_eq!((uri.ip(), uri.port(), uri.has_lr()), ("2001:db8::1".parse().ok(), Some(5070), true));
/// ```
#[derive(Clone)]
pub struct Uri {
    text: Bytes,
    scheme: Scheme,
    has_user: bool,
    user: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

impl Uri {
    /// Parses a URI that stands alone: no brackets, no blanks around it. At most 64 KiB.
    pub fn parse(text: Bytes) -> Result<Self, BadUri> {
        if !text.iter().all(|octet| octet.is_ascii_graphic() && !b"<>\"".contains(octet)) || !escapes_are_whole(&text) {
            return Err(BadUri);
        }
        let colon = find(&text, 0, b':').ok_or(BadUri)?;
        let name = text.get(..colon).unwrap_or_default();
        let scheme = match name {
            _ if name.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            _ if name.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            _ if name.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            [first, rest @ ..]
                if first.is_ascii_alphabetic()
                    && rest.iter().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(octet)) =>
            {
                Scheme::Other
            }
            _ => return Err(BadUri),
        };
        let none = Span::default();
        let (start, end) = (colon + 1, text.len());
        let mut uri =
            Self { text, scheme, has_user: false, user: none, host: none, port: None, params: none, headers: none };
        match scheme {
            Scheme::Sip | Scheme::Sips => uri.parse_sip(start)?,
            Scheme::Tel => {
                let semicolon = find(&uri.text, start, b';').unwrap_or(end);
                uri.user = Span::new(start, semicolon)?;
                uri.has_user = true;
                uri.params = Span::new((semicolon + 1).min(end), end)?;
                let digits = uri.user.of(&uri.text);
                if !digits.iter().any(|octet| octet.is_ascii_hexdigit() || b"*#".contains(octet)) {
                    return Err(BadUri);
                }
            }
            Scheme::Other => drop(Span::new(start, end)?),
        }
        Ok(uri)
    }

    fn parse_sip(&mut self, start: usize) -> Result<(), BadUri> {
        let text = &self.text;
        // An `@` stands nowhere else unescaped, while `;`, `?` and `/` may stand in the user part.
        let at = find(text, start, b'@');
        let host_at = match at {
            Some(at) => {
                let user_end = find(text, start, b':').map_or(at, |colon| colon.min(at));
                self.user = Span::new(start, user_end)?;
                self.has_user = true;
                if user_end == start {
                    return Err(BadUri);
                }
                at + 1
            }
            None => start,
        };
        let end = text.len();
        let headers_at = find(text, host_at, b'?').unwrap_or(end);
        let params_at = find(text, host_at, b';').map_or(headers_at, |semicolon| semicolon.min(headers_at));
        self.headers = Span::new((headers_at + 1).min(end), end)?;
        self.params = Span::new((params_at + 1).min(headers_at), headers_at)?;
        if params_at < headers_at && self.params.of(text).split(|&octet| octet == b';').any(|param| !is_param(param)) {
            return Err(BadUri);
        }
        let host_port = text.get(host_at..params_at).unwrap_or_default();
        let (host, port) = split_host_port(host_port).ok_or(BadUri)?;
        let host_from = host_at + usize::from(host_port.starts_with(b"["));
        self.host = Span::new(host_from, host_from + host.len())?;
        self.port = port;
        Ok(())
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it is a SIPS URI.
    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// The user part without the password, percent escapes resolved (so any octet, NUL too); the number of a tel URI.
    pub fn user(&self) -> Option<Bytes> {
        let raw = self.user.of(&self.text);
        if !self.has_user {
            None
        } else if raw.contains(&b'%') {
            Some(unescape(raw))
        } else {
            Some(share(&self.text, raw))
        }
    }

    /// The host as written, without the brackets of an IPv6 reference; empty for a tel URI.
    pub fn host(&self) -> Bytes {
        share(&self.text, self.host.of(&self.text))
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host as an address, if it is a literal.
    pub fn ip(&self) -> Option<IpAddr> {
        parse_ip(self.host.of(&self.text))
    }

    /// The `transport` parameter, as written.
    pub fn transport(&self) -> Option<Bytes> {
        self.param("transport")
    }

    /// Whether what is sent there must go over TLS: a SIPS URI, or one with `transport=tls` (RFC 3261 section 26.2.2).
    pub fn needs_tls(&self) -> bool {
        self.is_sips() || self.transport().is_some_and(|transport| transport.eq_ignore_ascii_case(b"tls"))
    }

    /// Whether it asks for loose routing (RFC 3261 section 16.12).
    pub fn has_lr(&self) -> bool {
        self.param("lr").is_some()
    }

    /// A parameter's value as written, empty for one without a value. Names compare without case.
    pub fn param(&self, name: &str) -> Option<Bytes> {
        self.params.of(&self.text).split(|&octet| octet == b';').find_map(|param| {
            let equals = find(param, 0, b'=').unwrap_or(param.len());
            let (key, value) = param.split_at_checked(equals)?;
            key.eq_ignore_ascii_case(name.as_bytes()).then(|| share(&self.text, value.get(1..).unwrap_or_default()))
        })
    }

    /// Whether it carries `?name=value` headers, which a Request-URI must not (RFC 3261 section 19.1.1).
    pub fn has_headers(&self) -> bool {
        self.headers.from < self.headers.to
    }

    /// The text, exactly as parsed.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// The same URI in a buffer of its own, so that it doesn't keep the message alive that it came in.
    pub fn detached(&self) -> Self {
        Self { text: Bytes::copy_from_slice(&self.text), ..self.clone() }
    }
}

fn is_param(param: &[u8]) -> bool {
    !param.is_empty() && !param.starts_with(b"=")
}

fn escapes_are_whole(text: &[u8]) -> bool {
    let mut octets = text.iter();
    while octets.any(|&octet| octet == b'%') {
        if !(0..2).all(|_| octets.next().is_some_and(u8::is_ascii_hexdigit)) {
            return false;
        }
    }
    true
}

fn unescape(text: &[u8]) -> Bytes {
    let mut plain = Vec::with_capacity(text.len());
    let mut octets = text.iter();
    let digit = |octet: Option<&u8>| octet.and_then(|&octet| char::from(octet).to_digit(16)).unwrap_or(0) as u8;
    while let Some(&octet) = octets.next() {
        plain.push(match octet {
            b'%' => digit(octets.next()) << 4 | digit(octets.next()),
            other => other,
        });
    }
    Bytes::from(plain)
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({self})")
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text).unwrap_or_default())
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl Hash for Uri {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Record for Uri {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.bytes(&self.text);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::parse(Bytes::copy_from_slice(from.bytes()?)).map_err(|_| DecodeError::Invalid("uri"))
    }
    fn shape(to: &mut Shape) {
        to.leaf("uri");
    }
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
