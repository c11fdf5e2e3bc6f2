//! Writes SIP text: requests, and responses to the requests of the peer.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use super::message::{Message, Start, parameter, uri_of};

/// The methods that a user agent does.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO";

/// What all requests of one call, or of one inquiry, have in common.
#[derive(Clone, Debug)]
pub struct Identity {
    pub call_id: String,
    /// The From value, tag included.
    pub from: String,
    /// The To value; with the tag of the peer once there is one. A call that comes in takes it from the INVITE.
    pub to: String,
    /// The user part of Contact.
    pub user: String,
    /// Our own address as Via and Contact show it.
    pub local: SocketAddr,
    pub reliable: bool,
}

/// A request to be written.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    pub route: &'a [String],
    pub cseq: u32,
    pub branch: &'a str,
    pub to: &'a str,
    /// Header fields beside those of every request, with their values.
    pub headers: &'a [(String, String)],
    /// Content type and body.
    pub body: Option<(&'a str, &'a str)>,
}

/// A response to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    pub status: u16,
    /// Our tag, for a To that has none.
    pub to_tag: Option<&'a str>,
    pub contact: Option<&'a str>,
    /// Content type and body.
    pub body: Option<(&'a str, &'a str)>,
}

impl Identity {
    fn transport(&self) -> &'static str {
        if self.reliable { "TCP" } else { "UDP" }
    }

    /// Our tag (RFC 3261, section 19.3).
    pub fn tag(&self) -> &str {
        parameter(&self.from, "tag").unwrap_or_default()
    }

    pub fn contact(&self) -> String {
        let suffix = if self.reliable { ";transport=tcp" } else { "" };
        format!("<sip:{}@{}{suffix}>", self.user, self.local)
    }

    pub fn request(&self, request: &Request<'_>) -> Vec<u8> {
        let mut text = String::with_capacity(900);
        let Request { method, uri, cseq, branch, to, .. } = request;
        let (transport, local, from, call_id) = (self.transport(), self.local, &self.from, &self.call_id);
        let _ = write!(text, "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch={branch};rport\r\n");
        for route in request.route {
            let _ = write!(text, "Route: {route}\r\n");
        }
        let _ = write!(text, "Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n");
        let _ = write!(text, "CSeq: {cseq} {method}\r\n");
        if *method == "INVITE" {
            let _ = write!(text, "Contact: {}\r\nAllow: {ALLOW}\r\n", self.contact());
        }
        for (name, value) in request.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        finish(text, request.body)
    }
}

impl<'a> Reply<'a> {
    /// A response without a body.
    pub fn new(status: u16, to_tag: &'a str) -> Self {
        Self { status, to_tag: Some(to_tag), ..Self::default() }
    }

    /// Writes it: Via, From, To, Call-ID, CSeq and Record-Route of the request are copied (RFC 3261, section 8.2.6).
    pub fn to(&self, request: &Message<'_>) -> Vec<u8> {
        let mut text = String::with_capacity(700);
        let _ = write!(text, "SIP/2.0 {} {}\r\n", self.status, reason(self.status));
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers(name) {
                let tag = self.to_tag.filter(|_| name == "To" && request.tag("To").is_none());
                let _ = match tag {
                    Some(tag) => write!(text, "{name}: {value};tag={tag}\r\n"),
                    None => write!(text, "{name}: {value}\r\n"),
                };
            }
        }
        if let Some(contact) = self.contact {
            let _ = write!(text, "Contact: {contact}\r\n");
        }
        if matches!(self.status, 405 | 501) {
            let _ = write!(text, "Allow: {ALLOW}\r\n");
        }
        finish(text, self.body)
    }
}

/// The status for a method that a user agent does not do: 405 if it is one that it knows (RFC 3261, section 8.2.1).
pub fn status_of_unsupported(method: &str) -> u16 {
    match method {
        "MESSAGE" | "NOTIFY" | "PRACK" | "PUBLISH" | "REFER" | "REGISTER" | "SUBSCRIBE" | "UPDATE" => 405,
        _ => 501,
    }
}

/// What is answered to a message that belongs to no call (RFC 3261, sections 8.2 and 12.2.2); `None` of an ACK and of
/// responses.
pub fn outside_of_calls(message: &Message<'_>) -> Option<Vec<u8>> {
    let status = match message.start {
        Start::Response { .. } | Start::Request { method: "ACK", .. } => return None,
        Start::Request { method: "OPTIONS", .. } => 200,
        Start::Request { method, .. } if status_of_unsupported(method) == 405 => 405,
        Start::Request { .. } => 481,
    };
    Some(Reply::new(status, "none").to(message))
}

/// The reason phrases of the statuses that a user agent sends (RFC 3261, section 21).
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        404 => "Not Found",
        405 => "Method Not Allowed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        603 => "Decline",
        _ if status < 200 => "Progress",
        _ if status < 300 => "Accepted",
        _ => "Refused",
    }
}

fn finish(mut text: String, body: Option<(&str, &str)>) -> Vec<u8> {
    if let Some((content_type, _)) = body {
        let _ = write!(text, "Content-Type: {content_type}\r\n");
    }
    let body = body.map_or("", |(_, body)| body);
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// The parts of a SIP URI that are needed to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriParts<'a> {
    pub host: &'a str,
    pub port: Option<u16>,
    pub reliable: bool,
}

/// Takes a `sip:` URI apart; `None` when it is none.
pub fn uri_parts(uri: &str) -> Option<UriParts<'_>> {
    let rest = uri.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("sip:")).and_then(|_| uri.get(4..))?;
    let rest = rest.split('?').next()?;
    let mut parameters = rest.rsplit_once('@').map_or(rest, |(_, host)| host).split(';');
    let host_port = parameters.next()?;
    let reliable = parameters.any(|parameter| parameter.eq_ignore_ascii_case("transport=tcp"));
    let (host, port) = match host_port.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => host_port.split_once(':').map_or((host_port, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse).transpose().ok()?;
    (!host.is_empty()).then_some(UriParts { host, port, reliable })
}

/// Where a request of the dialog goes: the first route or the target, if it is an address; else where it went before.
pub fn next_hop(target: &str, route: &[String], before: SocketAddr) -> SocketAddr {
    let uri = route.first().map_or(target, |first| uri_of(first));
    uri_parts(uri)
        .and_then(|parts| Some(SocketAddr::new(parts.host.parse::<IpAddr>().ok()?, parts.port.unwrap_or(5060))))
        .filter(|address| !address.ip().is_unspecified())
        .unwrap_or(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            call_id: "1@x".into(),
            from: "<sip:a@x>;tag=f".into(),
            to: "<sip:echo@y>".into(),
            user: "caller".into(),
            local: "[::1]:5090".parse().unwrap(),
            reliable: false,
        }
    }

    #[test]
    fn a_request_reads_back() {
        let route = ["<sip:p;lr>".to_owned()];
        let bytes = identity().request(&Request {
            method: "INVITE",
            uri: "sip:echo@y",
            route: &route,
            cseq: 3,
            branch: "z9hG4bKb",
            to: "<sip:echo@y>",
            headers: &[("Subject".to_owned(), "lunch".to_owned())],
            body: Some(("application/sdp", "v=0\r\n")),
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.start, Start::Request { method: "INVITE", uri: "sip:echo@y" });
        assert_eq!(message.branch(), Some("z9hG4bKb"));
        assert_eq!(message.cseq(), Some((3, "INVITE")));
        assert_eq!(message.header("Route"), Some("<sip:p;lr>"));
        assert_eq!(message.header("Contact"), Some("<sip:caller@[::1]:5090>"));
        assert_eq!(message.header("Subject"), Some("lunch"));
        assert_eq!(message.body, b"v=0\r\n");

        let answer = Reply { contact: Some("<sip:me>"), ..Reply::new(200, "t") }.to(&message);
        let answer = Message::parse(&answer).unwrap();
        assert_eq!((answer.tag("From"), answer.tag("To")), (Some("f"), Some("t")));
        assert_eq!(answer.branch(), Some("z9hG4bKb"));
    }

    #[test]
    fn what_belongs_to_no_call_is_answered_once_if_at_all() {
        let status = |method: &str| {
            let request = Request {
                method,
                uri: "sip:x",
                route: &[],
                cseq: 1,
                branch: "b",
                to: "<sip:x>",
                headers: &[],
                body: None,
            };
            let bytes = identity().request(&request);
            let answer = outside_of_calls(&Message::parse(&bytes).unwrap())?;
            let Start::Response { status, .. } = Message::parse(&answer).unwrap().start else { panic!() };
            Some(status)
        };
        assert_eq!(["OPTIONS", "BYE", "MESSAGE", "ACK"].map(status), [Some(200), Some(481), Some(405), None]);
    }

    #[test]
    fn uris_are_taken_apart() {
        let parts = |uri| uri_parts(uri).map(|p| (p.host.to_owned(), p.port, p.reliable));
        assert_eq!(parts("sip:echo@127.0.0.1"), Some(("127.0.0.1".into(), None, false)));
        assert_eq!(parts("SIP:[::1]:5070;transport=TCP"), Some(("::1".into(), Some(5070), true)));
        assert_eq!(parts("sip:a@b.example:5062;x=y?h=v"), Some(("b.example".into(), Some(5062), false)));
        for bad in ["", "tel:+1", "sip:", "sip:a@", "sip:a@b:port", "sip:[::1", "héé:a@b"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_next_hop_is_the_first_route_or_the_target() {
        let before = "10.0.0.1:5060".parse().unwrap();
        let hop = |target, route: &[String]| next_hop(target, route, before).to_string();
        assert_eq!(hop("sip:x@1.2.3.4:5070", &[]), "1.2.3.4:5070");
        assert_eq!(hop("sip:x@1.2.3.4:5070", &["<sip:5.6.7.8;lr>".into()]), "5.6.7.8:5060");
        assert_eq!(hop("sip:x@name.example", &[]), "10.0.0.1:5060");
    }
}
