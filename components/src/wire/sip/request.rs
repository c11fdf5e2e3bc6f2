//! Requests, written.

use super::Method;
use super::response::{push_tail, push_value};
use bytes::Bytes;

/// All that a request is written from. Line ends in a value become blanks, so no value can add a header.
#[derive(Debug, Clone)]
pub struct OutgoingRequest<'a> {
    /// The method, of the request line and of CSeq.
    pub method: &'a Method,
    /// The Request-URI.
    pub uri: &'a [u8],
    /// `UDP`, `TCP`, ...
    pub via_transport: &'a str,
    /// Where responses go: host and, if not the default, port.
    pub via_sent_by: &'a str,
    /// The branch, magic cookie included.
    pub branch: &'a str,
    /// The whole value of From, tag included.
    pub from: &'a [u8],
    /// The whole value of To, with the tag if there is one.
    pub to: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// The sequence number.
    pub cseq: u32,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// The route set, each a `name-addr`, in order.
    pub route: &'a [Bytes],
    /// The value of Contact.
    pub contact: Option<&'a str>,
    /// Further headers.
    pub extra: &'a [(&'a str, &'a str)],
    /// Content type and octets.
    pub body: Option<(&'a str, &'a [u8])>,
}

impl OutgoingRequest<'_> {
    /// The request as bytes; its Via asks for `rport`, and Content-Length is always there.
    pub fn write(&self) -> Bytes {
        let routes: usize = self.route.iter().map(|route| route.len() + 9).sum();
        let body = self.body.map_or(0, |(_, octets)| octets.len());
        let texts = self.uri.len() + self.from.len() + self.to.len() + self.call_id.len();
        let mut out = Vec::with_capacity(400 + routes + body + texts);
        let method = self.method.as_str().as_bytes();
        let max_forwards = self.max_forwards.to_string();
        let cseq = self.cseq.to_string();
        let mut push = |parts: &[&[u8]]| {
            for part in parts {
                push_value(&mut out, part);
            }
            out.extend_from_slice(b"\r\n");
        };
        push(&[method, b" ", self.uri, b" SIP/2.0"]);
        push(&[
            b"Via: SIP/2.0/",
            self.via_transport.as_bytes(),
            b" ",
            self.via_sent_by.as_bytes(),
            b";branch=",
            self.branch.as_bytes(),
            b";rport",
        ]);
        push(&[b"Max-Forwards: ", max_forwards.as_bytes()]);
        for route in self.route {
            push(&[b"Route: ", route]);
        }
        push(&[b"From: ", self.from]);
        push(&[b"To: ", self.to]);
        push(&[b"Call-ID: ", self.call_id]);
        push(&[b"CSeq: ", cseq.as_bytes(), b" ", method]);
        if let Some(contact) = self.contact {
            push(&[b"Contact: ", contact.as_bytes()]);
        }
        push_tail(&mut out, self.extra, self.body);
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Message, parse_datagram};
    use super::*;

    fn line<'a>(method: &'a Method, route: &'a [Bytes]) -> OutgoingRequest<'a> {
        OutgoingRequest {
            method,
            uri: b"sip:bob@biloxi.example",
            via_transport: "UDP",
            via_sent_by: "[2001:db8::1]:5070",
            branch: "z9hG4bKabc",
            from: b"\"A\" <sip:a@b>;tag=1",
            to: b"<sip:bob@biloxi.example>",
            call_id: b"x@y",
            cseq: 7,
            max_forwards: 70,
            route,
            contact: Some("<sip:a@[2001:db8::1]:5070>"),
            extra: &[("User-Agent", "ringworld")],
            body: Some(("application/sdp", b"v=0\r\n")),
        }
    }

    #[test]
    fn what_is_written_parses_back() {
        let route = ["<sip:p1;lr>".into(), "<sip:p2;lr>".into()];
        let bytes = line(&Method::Invite, &route).write();
        let Ok(Message::Request(request)) = parse_datagram(bytes, &Limits::default()) else { panic!() };
        let head = &request.head;
        assert_eq!((head.via.rport, head.via.port, head.via.ip()), (true, Some(5070), "2001:db8::1".parse().ok()));
        assert_eq!((head.route(), head.cseq, head.max_forwards), (route.to_vec(), 7, Some(70)));
        assert_eq!((head.from.tag.clone().unwrap(), head.body.clone()), ("1".into(), "v=0\r\n".into()));
        assert_eq!(head.header("user-agent").unwrap().as_ref(), b"ringworld");
    }

    #[test]
    fn no_value_adds_a_header() {
        let evil = OutgoingRequest {
            to: b"<sip:a>\r\nEvil: 1\r\n\r\nbody",
            contact: Some("x\nEvil: 2"),
            ..line(&Method::Options, &[])
        };
        let text = String::from_utf8(evil.write().to_vec()).unwrap();
        assert!(!text.contains("\nEvil"), "{text}");
        assert_eq!(text.matches("\r\n\r\n").count(), 1);
    }
}
