//! Host and port, as they stand in URIs and in Via.

use super::grammar::{decimal, find, trim};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Splits `host[:port]`; the host comes back without brackets. Blanks may surround the colon (as in a Via).
pub(crate) fn split_host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, tail) = if let [b'[', inner @ ..] = text {
        let close = find(inner, 0, b']')?;
        let host = inner.get(..close)?;
        parse_ip(host).filter(IpAddr::is_ipv6)?;
        (host, inner.get(close + 1..)?)
    } else {
        let (host, tail) = text.split_at(find(text, 0, b':').unwrap_or(text.len()));
        let host = trim(host);
        let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
        if host.is_empty() || !host.iter().all(is_name) {
            return None;
        }
        (host, tail)
    };
    match trim(tail) {
        [] => Some((host, None)),
        [b':', port @ ..] => Some((host, Some(u16::try_from(decimal(trim(port))?).ok()?))),
        _ => None,
    }
}

/// An address literal, without brackets.
pub(crate) fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.contains(':') {
        return text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let parsed = text.parse::<Ipv6Addr>().ok().or_else(|| {
        // RFC 3261's grammar allows three colons before an embedded IPv4 address, and RFC 5118 section 4.10 asks to
        // tolerate them.
        let (head, tail) = text.split_once(":::")?;
        tail.contains('.').then(|| format!("{head}::{tail}").parse().ok())?
    });
    parsed.map(IpAddr::V6)
}
