//! Responses: what of a request must be kept to write them, and where they go.

use super::grammar::{list_items, share};
use super::{Request, Via};
use crate::record::Record;
use crate::wire::text::PushText;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// A header that a response takes over from the request (RFC 3261 section 8.2.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Via,
    From,
    To,
    CallId,
    CSeq,
    RecordRoute,
    Timestamp,
}

impl Field {
    /// The field that a header name means, compact forms included.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let is = |long: &[u8], short: &[u8]| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
        Some(match name {
            _ if is(b"Via", b"v") => Self::Via,
            _ if is(b"From", b"f") => Self::From,
            _ if is(b"To", b"t") => Self::To,
            _ if is(b"Call-ID", b"i") => Self::CallId,
            _ if is(b"CSeq", b"CSeq") => Self::CSeq,
            _ if is(b"Record-Route", b"Record-Route") => Self::RecordRoute,
            _ if is(b"Timestamp", b"Timestamp") => Self::Timestamp,
            _ => return None,
        })
    }

    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Via | Self::RecordRoute)
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::Via => b"Via: ",
            Self::From => b"From: ",
            Self::To => b"To: ",
            Self::CallId => b"Call-ID: ",
            Self::CSeq => b"CSeq: ",
            Self::RecordRoute => b"Record-Route: ",
            Self::Timestamp => b"Timestamp: ",
        }
    }
}

/// All that is needed to answer a request later, in a buffer of its own: the request's datagram is not kept alive.
///
/// It holds the header lines ready to send, Via with `received` and `rport` filled; 300 to 400 bytes for an ordinary
/// INVITE.
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResponseTemplate {
    /// Via, From, Call-ID, CSeq, Timestamp lines; the To line without its end; Record-Route lines.
    text: Bytes,
    to_end: u32,
    has_to: bool,
    to_has_tag: bool,
}

impl ResponseTemplate {
    /// What responses to `request`, received from `source`, are written from.
    pub fn of(request: &Request, source: SocketAddr) -> Self {
        let to_has_tag = request.head.to.tag.is_some();
        Self::compose(&request.head.via, |field| request.head.echoed(field), to_has_tag, source)
    }

    /// The sequence number of the request.
    pub fn cseq(&self) -> Option<u32> {
        self.line(Field::CSeq)?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// The Call-ID of the request, where it is text.
    pub fn call_id(&self) -> Option<&str> {
        self.line(Field::CallId).map(str::trim_end)
    }

    fn line(&self, field: Field) -> Option<&str> {
        let line = self.text.split(|&octet| octet == b'\n').find_map(|line| line.strip_prefix(field.name()))?;
        std::str::from_utf8(line).ok()
    }

    /// `values` yields what the request has of a header, in order.
    pub(crate) fn compose<'a, I>(top: &Via, values: impl Fn(Field) -> I, to_has_tag: bool, source: SocketAddr) -> Self
    where
        I: Iterator<Item = Cow<'a, [u8]>>,
    {
        let mut out = Vec::with_capacity(1024);
        let line = |out: &mut Vec<u8>, field: Field, value: &[u8]| {
            out.extend_from_slice(field.name());
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        for (index, value) in values(Field::Via).enumerate() {
            if index > 0 {
                line(&mut out, Field::Via, &value);
                continue;
            }
            out.extend_from_slice(Field::Via.name());
            top.write_received(source, &mut out);
            for hop in list_items(&value).skip(1).flatten() {
                out.push(b',');
                out.extend_from_slice(hop);
            }
            out.extend_from_slice(b"\r\n");
        }
        for field in [Field::From, Field::CallId, Field::CSeq, Field::Timestamp] {
            for value in values(field).take(1) {
                line(&mut out, field, &value);
            }
        }
        let mut has_to = false;
        for value in values(Field::To).take(1) {
            out.extend_from_slice(Field::To.name());
            out.extend_from_slice(&value);
            has_to = true;
        }
        let to_end = out.len() as u32;
        for value in values(Field::RecordRoute) {
            line(&mut out, Field::RecordRoute, &value);
        }
        Self { text: Bytes::copy_from_slice(&out), to_end, has_to, to_has_tag }
    }

    /// Whether the request's To has a tag, so that no response adds one.
    pub fn to_has_tag(&self) -> bool {
        self.to_has_tag
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is nothing in it; never so when made from a request.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Writes a response. `to_tag` is added where the request's To has none (leave it out for 100); `extra` are further
    /// headers; the body is `(content type, octets)`. Content-Length is always there. Line ends in a value become
    /// blanks, so no value can add a header.
    pub fn write(
        &self,
        status: u16,
        reason: &str,
        to_tag: Option<&str>,
        with_record_route: bool,
        extra: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> Bytes {
        let (fixed, routes) = self.text.split_at_checked(self.to_end as usize).unwrap_or((&self.text, &[]));
        let size =
            self.text.len() + 160 + extra.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let mut out = Vec::with_capacity(size + body.map_or(0, |(kind, octets)| kind.len() + octets.len()));
        out.push_text("SIP/2.0 ");
        out.push_number(status.into());
        out.push_text(" ");
        push_value(&mut out, reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(fixed);
        if self.has_to {
            if let Some(tag) = to_tag.filter(|_| !self.to_has_tag) {
                out.extend_from_slice(b";tag=");
                push_value(&mut out, tag.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        if with_record_route {
            out.extend_from_slice(routes);
        }
        push_tail(&mut out, extra, body);
        Bytes::from(out)
    }
}

/// Appends a header value; what would end its line becomes a blank.
pub(crate) fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(value);
    for octet in out.iter_mut().skip(start).filter(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        *octet = b' ';
    }
}

/// Appends further headers, Content-Type and Content-Length, the empty line and the body.
pub(crate) fn push_tail(out: &mut Vec<u8>, extra: &[(&str, &str)], body: Option<(&str, &[u8])>) {
    for (name, value) in extra {
        push_value(out, name.as_bytes());
        out.extend_from_slice(b": ");
        push_value(out, value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some((kind, _)) = body {
        out.extend_from_slice(b"Content-Type: ");
        push_value(out, kind.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let octets = body.map_or(&[][..], |(_, octets)| octets);
    out.push_text("Content-Length: ");
    out.push_number(octets.len() as u64);
    out.push_text("\r\n\r\n");
    out.extend_from_slice(octets);
}

/// Where a response to `request`, received from `source`, goes (RFC 3261 section 18.2.2, RFC 3581 section 4).
///
/// Over a `reliable` transport that is the connection's other end. `maddr` is followed to multicast groups only: a
/// unicast one would let any sender direct our responses, and their retransmissions, to a third party.
pub fn response_target(request: &Request, source: SocketAddr, reliable: bool) -> SocketAddr {
    target(&request.head.via, source, reliable)
}

pub(crate) fn target(via: &Via, source: SocketAddr, reliable: bool) -> SocketAddr {
    if reliable {
        return source;
    }
    let group = via.param("maddr").and_then(|maddr| super::host::parse_ip(&share(&maddr, unbracketed(&maddr))));
    if let Some(group) = group.filter(IpAddr::is_multicast) {
        return SocketAddr::new(group, via.port_or_default());
    }
    let mut target = source;
    if !via.rport {
        target.set_port(via.port_or_default());
    }
    target
}

fn unbracketed(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Message, parse_datagram};
    use super::*;
    use crate::record::{from_bytes, to_bytes};

    fn request(via: &str, to: &str) -> Request {
        let text = format!(
            "INVITE sip:echo@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/TCP far;branch=z9hG4bK9\r\nRecord-Route: <sip:p;lr>\r\n\
             From: <sip:a@b>;tag=1\r\nTo: {to}\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n"
        );
        let Ok(Message::Request(request)) = parse_datagram(text.into(), &Limits::default()) else { panic!() };
        request
    }

    fn source(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_response_takes_over_what_it_must() {
        let request = request("SIP/2.0/UDP h;branch=z9hG4bK1;rport, SIP/2.0/UDP i", "<sip:c@d>");
        let head = ResponseTemplate::of(&request, source("192.0.2.9:6000"));
        assert_eq!(from_bytes::<ResponseTemplate>(&to_bytes(&head)).unwrap(), head);
        let fixed = "Via: SIP/2.0/UDP h;branch=z9hG4bK1;rport=6000;received=192.0.2.9,SIP/2.0/UDP i\r\nVia: SIP/2.0/TCP far;branch=z9hG4bK9\r\n\
            From: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nTimestamp: 54\r\n";
        assert_eq!(
            head.write(100, "Trying", None, false, &[], None),
            format!("SIP/2.0 100 Trying\r\n{fixed}To: <sip:c@d>\r\nContent-Length: 0\r\n\r\n")
        );
        assert_eq!(
            head.write(200, "OK", Some("9"), true, &[("Contact", "<sip:me>")], Some(("application/sdp", b"v=0"))),
            format!(
                "SIP/2.0 200 OK\r\n{fixed}To: <sip:c@d>;tag=9\r\nRecord-Route: <sip:p;lr>\r\nContact: <sip:me>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"
            )
        );
    }

    #[test]
    fn a_tag_is_never_doubled_and_no_value_adds_a_header() {
        let head = ResponseTemplate::of(&request("SIP/2.0/UDP h", "<sip:c@d>;tag=theirs"), source("192.0.2.9:6000"));
        assert!(head.to_has_tag());
        let text = head.write(486, "Busy\r\nEvil: 1", Some("ours"), false, &[("X", "y\nEvil: 2\0")], None);
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains("To: <sip:c@d>;tag=theirs\r\n") && !text.contains("\nEvil"), "{text}");
    }

    #[test]
    fn it_is_small_and_keeps_nothing_alive() {
        let request = request("SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK77ef4c2312983.1;rport", "<sip:c@d>");
        let whole = request.head.as_bytes().clone();
        let head = ResponseTemplate::of(&request, source("10.0.0.9:5060"));
        drop(request);
        assert!(whole.is_unique(), "the datagram is free again");
        assert!(
            head.len() < 300 && size_of::<ResponseTemplate>() <= 40,
            "{} {}",
            head.len(),
            size_of::<ResponseTemplate>()
        );
    }

    #[test]
    fn a_damaged_recording_writes_something_and_never_panics() {
        let head = ResponseTemplate { text: Bytes::from("abc"), to_end: 99, has_to: true, to_has_tag: false };
        assert!(head.write(200, "OK", Some("x"), true, &[], None).ends_with(b"Content-Length: 0\r\n\r\n"));
    }

    #[test]
    fn responses_go_back_where_the_rfcs_say() {
        for (via, from, reliable, expected) in [
            ("SIP/2.0/UDP 10.0.0.1:5070;rport", "192.0.2.9:6000", false, "192.0.2.9:6000"),
            ("SIP/2.0/UDP 10.0.0.1:5070", "192.0.2.9:6000", false, "192.0.2.9:5070"),
            ("SIP/2.0/UDP name.example", "192.0.2.9:6000", false, "192.0.2.9:5060"),
            ("SIP/2.0/UDP name.example", "[2001:db8::9]:6000", false, "[2001:db8::9]:5060"),
            ("SIP/2.0/TCP 10.0.0.1:5070", "192.0.2.9:6000", true, "192.0.2.9:6000"),
            ("SIP/2.0/UDP 10.0.0.1;maddr=224.0.1.75;rport", "192.0.2.9:6000", false, "224.0.1.75:5060"),
            ("SIP/2.0/UDP 10.0.0.1;maddr=203.0.113.66;rport", "192.0.2.9:6000", false, "192.0.2.9:6000"),
        ] {
            assert_eq!(response_target(&request(via, "<sip:c@d>"), source(from), reliable), source(expected), "{via}");
        }
    }
}
