//! Reads SIP text: as much of RFC 3261 as a user agent needs, by plain string handling.

use std::borrow::Cow;

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    Request { method: &'a str, uri: &'a str },
    Response { status: u16, reason: &'a str },
}

/// A message in the bytes it came in.
#[derive(Debug)]
pub struct Message<'a> {
    pub start: Start<'a>,
    headers: Vec<(&'a str, Cow<'a, str>)>,
    pub body: &'a [u8],
}

/// Names and their compact forms (RFC 3261, section 7.3.3) that a user agent looks at.
const COMPACT: [(&str, &str); 7] = [
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("Contact", "m"),
    ("Content-Type", "c"),
    ("Content-Length", "l"),
];

impl<'a> Message<'a> {
    /// Reads one whole message; the error says what is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, &'static str> {
        let (head_end, body_start) = head_end(bytes).ok_or("no empty line after the headers")?;
        let head = bytes.get(..head_end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("not UTF-8")?;
        let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let start = Start::parse(lines.next().unwrap_or_default()).ok_or("bad first line")?;
        let mut headers: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(16);
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut().ok_or("folded line without a header")?;
                value.to_mut().push(' ');
                value.to_mut().push_str(line.trim());
            } else {
                let (name, value) = line.split_once(':').ok_or("header without a colon")?;
                headers.push((name.trim(), Cow::Borrowed(value.trim())));
            }
        }
        let mut message = Message { start, headers, body: bytes.get(body_start..).unwrap_or_default() };
        if let Some(length) = message.header("Content-Length") {
            let length: usize = length.parse().map_err(|_| "bad Content-Length")?;
            message.body = message.body.get(..length).ok_or("shorter than Content-Length")?;
        }
        Ok(message)
    }

    /// All values of a header, in order.
    pub fn headers<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        let compact = COMPACT.iter().find(|(long, _)| long.eq_ignore_ascii_case(name)).map(|&(_, compact)| compact);
        self.headers
            .iter()
            .filter(move |(found, _)| {
                found.eq_ignore_ascii_case(name) || compact.is_some_and(|compact| found.eq_ignore_ascii_case(compact))
            })
            .map(|(_, value)| value.as_ref())
    }

    /// The first value of a header.
    pub fn header<'m>(&'m self, name: &'m str) -> Option<&'m str> {
        self.headers(name).next()
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once(|c: char| c.is_ascii_whitespace())?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// The tag of From or To.
    pub fn tag<'m>(&'m self, name: &'m str) -> Option<&'m str> {
        parameter(self.header(name)?, "tag")
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        parameter(first_of_list(self.header("Via")?), "branch")
    }

    /// The entries of the Record-Route headers, top to bottom.
    pub fn record_route(&self) -> Vec<String> {
        self.headers("Record-Route").flat_map(split_list).map(str::to_owned).collect()
    }
}

impl<'a> Start<'a> {
    fn parse(line: &'a str) -> Option<Start<'a>> {
        let (first, rest) = line.split_once(' ')?;
        if first == "SIP/2.0" {
            let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let status = status.parse().ok().filter(|status| (100..700).contains(status))?;
            return Some(Start::Response { status, reason });
        }
        let (uri, version) = rest.split_once(' ')?;
        (version == "SIP/2.0").then_some(Start::Request { method: first, uri })
    }
}

/// Where the head ends and where the body starts.
fn head_end(bytes: &[u8]) -> Option<(usize, usize)> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| (at, at + 4))
}

/// Splits a list header at its commas, but not within `<>` or quotes.
fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut angled) = (false, false);
    value
        .split(move |c: char| {
            match c {
                '"' => quoted = !quoted,
                '<' if !quoted => angled = true,
                '>' if !quoted => angled = false,
                _ => {}
            }
            c == ',' && !quoted && !angled
        })
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn first_of_list(value: &str) -> &str {
    split_list(value).next().unwrap_or(value)
}

/// The value of a header parameter (outside `<>`); empty for one without a value.
pub fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let after = value.rfind('>').and_then(|at| value.get(at + 1..)).unwrap_or(value);
    after.split(';').skip(1).find_map(|parameter| {
        let (found, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        found.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The URI of a From, To, Contact or Route value.
pub fn uri_of(value: &str) -> &str {
    let value = first_of_list(value);
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "SIP/2.0 200 All right\r\n\
        v: SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bK-7;rport=5071, SIP/2.0/UDP far;branch=other\r\n\
        f: \"a;tag=no\" <sip:a@b;tag=no>;tag=here\r\n\
        To: <sip:echo@b>\r\n \t;tag=there\r\n\
        i: 7@x\r\n\
        CSeq: 12  INVITE\r\n\
        Record-Route: <sip:p1;lr>, \"x, y\" <sip:p2,z;lr>\r\n\
        record-route: <sip:p3;lr>\r\n\
        Contact: <sip:1.2.3.4:5070;transport=udp>;expires=3\r\n\
        Content-Length: 3\r\n\r\nv=0trailing";

    #[test]
    fn reads_what_a_user_agent_needs() {
        let message = Message::parse(OK.as_bytes()).unwrap();
        assert_eq!(message.start, Start::Response { status: 200, reason: "All right" });
        assert_eq!(message.branch(), Some("z9hG4bK-7"));
        assert_eq!(message.tag("From"), Some("here"));
        assert_eq!(message.tag("To"), Some("there"));
        assert_eq!(message.header("call-id"), Some("7@x"));
        assert_eq!(message.cseq(), Some((12, "INVITE")));
        assert_eq!(message.record_route(), ["<sip:p1;lr>", "\"x, y\" <sip:p2,z;lr>", "<sip:p3;lr>"]);
        assert_eq!(message.header("Contact").map(uri_of), Some("sip:1.2.3.4:5070;transport=udp"));
        assert_eq!(message.body, b"v=0");
        assert_eq!(uri_of("sip:a@b;tag=1"), "sip:a@b");
    }

    #[test]
    fn refuses_what_is_not_sip() {
        let bad = [
            "",
            "\r\n\r\n",
            "SIP/2.0 99 Low\r\n\r\n",
            "INVITE sip:a HTTP/1.1\r\n\r\n",
            "SIP/2.0 200 OK\r\nVia\r\n\r\n",
            "SIP/2.0 200 OK\r\n",
            "SIP/2.0 200 OK\r\nl: 5\r\n\r\nabc",
            "SIP/2.0 200 OK\r\n folded\r\n\r\n",
        ];
        for text in bad {
            assert!(Message::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, cut in 0usize..600, flip in 0usize..600) {
            let _ = Message::parse(&bytes);
            let mut text = OK.as_bytes().to_vec();
            text.truncate(cut);
            if let Some(byte) = text.get_mut(flip) { *byte ^= 0x15; }
            if let Ok(message) = Message::parse(&text) {
                let _ = (message.branch(), message.cseq(), message.tag("To"), message.record_route());
            }
        }
    }
}
