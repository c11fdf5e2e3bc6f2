//! A datagram, or one message of a stream, into a [`Message`].

use super::grammar::{decimal, is_token, list_items, share, trim};
use super::head::value_of;
use super::{Head, Malformed, MalformedReason as Reason, Message, Method, NameAddr, Refusal, Request, Response};
use super::{Scheme, Uri, Via};
use bytes::Bytes;
use sipx_sip::error::{FramingError, LimitKind, ParseError, StartLineError};
use sipx_sip::{HeaderName, Headers};
use std::sync::Arc;

/// The bounds that a message must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The whole message, in bytes.
    pub max_message_bytes: usize,
    /// How many header lines.
    pub max_headers: usize,
    /// One header line, in bytes.
    pub max_header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message_bytes: 65_535, max_headers: 128, max_header_bytes: 8_192 }
    }
}

/// How many pieces one header line may be folded into.
const MAX_FOLDS: usize = 16;

/// Parses one message: a datagram, or what [`super::StreamFramer`] cut from a stream.
///
/// Bytes behind Content-Length are ignored (RFC 3261 section 18.3). The result shares the datagram's buffer.
///
/// # Errors
/// What can't be acted on, with the reason to count, and with the answer where one is due.
pub fn parse_datagram(bytes: Bytes, limits: &Limits) -> Result<Message, Malformed> {
    let blank = bytes.iter().take_while(|octet| b"\r\n".contains(octet)).count();
    let whole = bytes.slice(blank..);
    if whole.is_empty() {
        return Err(Malformed::silent(Reason::KeepAlive));
    }
    parse_message(&whole, limits).map_err(|reason| Malformed { reason, response: Refusal::find(&whole, reason) })
}

fn parse_message(whole: &Bytes, limits: &Limits) -> Result<Message, Reason> {
    let limits = sipx_sip::Limits {
        max_message_bytes: limits.max_message_bytes,
        max_body_bytes: limits.max_message_bytes,
        max_headers: limits.max_headers,
        max_header_bytes: limits.max_header_bytes,
        max_folding_lines: MAX_FOLDS,
    };
    match sipx_sip::parse_datagram(whole.clone(), &limits).map_err(reason_of)? {
        sipx_sip::Message::Request(request) => {
            if !request.version.is_supported() {
                return Err(Reason::Version);
            }
            let line = whole.split(|&octet| octet == b'\r').next().unwrap_or_default();
            let mut words = line.split(|&octet| octet == b' ');
            let method = Method::of(share(whole, words.next().unwrap_or_default()));
            let uri = Uri::parse(share(whole, words.next().unwrap_or_default())).map_err(|_| Reason::RequestUri)?;
            if uri.scheme() == Scheme::Other {
                return Err(Reason::UriScheme);
            }
            if uri.needs_tls() {
                return Err(Reason::UriNeedsTls);
            }
            if uri.has_headers() {
                return Err(Reason::RequestUriHeaders);
            }
            let body = request.body().clone();
            let head = parse_head(request.headers, whole, body)?;
            if head.cseq_method != method {
                return Err(Reason::CSeqMethod);
            }
            if head.to.tag.is_none() && next_hop_needs_tls(&head) {
                return Err(Reason::ContactNeedsTls);
            }
            Ok(Message::Request(Request { method, uri, head }))
        }
        sipx_sip::Message::Response(response) => {
            if !response.version.is_supported() {
                return Err(Reason::Version);
            }
            let body = response.body().clone();
            let head = parse_head(response.headers, whole, body)?;
            Ok(Message::Response(Response { status: response.status.code(), reason: response.reason, head }))
        }
    }
}

fn reason_of(error: ParseError) -> Reason {
    match error {
        ParseError::StartLine(StartLineError::Uri(_)) => Reason::RequestUri,
        ParseError::StartLine(StartLineError::StatusCode | StartLineError::MissingStatusCode) => Reason::Status,
        ParseError::StartLine(_) => Reason::StartLine,
        ParseError::HeaderSyntax { .. } => Reason::HeaderLine,
        ParseError::Framing(FramingError::ContentLengthRepeated) => Reason::ContentLengthTwice,
        ParseError::Framing(FramingError::ContentLengthMalformed) => Reason::ContentLength,
        ParseError::Framing(FramingError::BodyTruncated) => Reason::BodyTruncated,
        ParseError::Limit { limit: LimitKind::MessageBytes | LimitKind::BodyBytes, .. } => Reason::TooLarge,
        ParseError::Limit { limit: LimitKind::Headers, .. } => Reason::TooManyHeaders,
        ParseError::Limit { .. } => Reason::HeaderTooLong,
        _ => Reason::Unterminated,
    }
}

/// Fills a header that must not stand twice.
fn once(slot: &mut Option<Bytes>, value: Bytes, twice: Reason) -> Result<(), Reason> {
    if slot.replace(value).is_some() { Err(twice) } else { Ok(()) }
}

fn parse_head(headers: Headers, whole: &Bytes, body: Bytes) -> Result<Head, Reason> {
    let (mut via, mut from, mut to, mut call_id, mut cseq) = (None, None, None, None, None);
    let (mut max_forwards, mut contact, mut content_type) = (None, None, None);
    for header in headers.iter() {
        match header.name() {
            HeaderName::Via if via.is_none() => via = Some(value_of(header, whole)),
            HeaderName::From => once(&mut from, value_of(header, whole), Reason::FromTwice)?,
            HeaderName::To => once(&mut to, value_of(header, whole), Reason::ToTwice)?,
            HeaderName::CallId => once(&mut call_id, value_of(header, whole), Reason::CallIdTwice)?,
            HeaderName::CSeq => once(&mut cseq, value_of(header, whole), Reason::CSeqTwice)?,
            HeaderName::MaxForwards => {
                once(&mut max_forwards, value_of(header, whole), Reason::MaxForwardsTwice)?;
            }
            HeaderName::ContentType => once(&mut content_type, value_of(header, whole), Reason::ContentTypeTwice)?,
            HeaderName::Contact if contact.is_none() => contact = Some(value_of(header, whole)),
            HeaderName::Route | HeaderName::RecordRoute => check_route(&value_of(header, whole))?,
            _ => {}
        }
    }
    let via = first_item(&via.ok_or(Reason::ViaMissing)?).and_then(|hop| Via::parse(hop).ok()).ok_or(Reason::ViaBad)?;
    let from = NameAddr::parse(from.ok_or(Reason::FromMissing)?).map_err(|_| Reason::FromBad)?;
    let to = NameAddr::parse(to.ok_or(Reason::ToMissing)?).map_err(|_| Reason::ToBad)?;
    let call_id = call_id.ok_or(Reason::CallIdMissing)?;
    if call_id.is_empty() || call_id.iter().any(|octet| b" \t".contains(octet)) {
        return Err(Reason::CallIdBad);
    }
    let (cseq, cseq_method) = parse_cseq(&cseq.ok_or(Reason::CSeqMissing)?).ok_or(Reason::CSeqBad)?;
    let max_forwards = match max_forwards {
        Some(text) => Some(decimal(&text).and_then(|hops| u8::try_from(hops).ok()).ok_or(Reason::MaxForwardsBad)?),
        None => None,
    };
    let contact_is_star = contact.as_deref() == Some(b"*");
    let contact = match contact {
        Some(list) if !contact_is_star => {
            let first = first_item(&list).and_then(|first| NameAddr::parse(first).ok());
            Some(first.ok_or(Reason::ContactBad)?)
        }
        _ => None,
    };
    Ok(Head {
        via,
        from,
        to,
        call_id,
        cseq,
        cseq_method,
        max_forwards,
        contact,
        contact_is_star,
        content_type,
        body,
        headers: Arc::new(headers),
        whole: whole.clone(),
    })
}

fn first_item(list: &Bytes) -> Option<Bytes> {
    list_items(list).next()?.ok().map(|item| share(list, item))
}

/// Whether the first hop of what the peer is sent later needs TLS. A proxy that has put itself into the route decides about
/// what lies behind it.
fn next_hop_needs_tls(head: &Head) -> bool {
    let proxy = head.record_route().into_iter().next().and_then(|first| NameAddr::parse(first).ok());
    let needs_tls = |hop: &NameAddr| hop.uri.needs_tls();
    proxy.as_ref().map_or_else(|| head.contact.as_ref().is_some_and(needs_tls), needs_tls)
}

/// Routes are sent on as they came, so what is no address must not pass (RFC 3261 section 20.34).
fn check_route(list: &Bytes) -> Result<(), Reason> {
    for item in list_items(list) {
        let item = item.map_err(|_| Reason::RouteBad)?;
        if !item.contains(&b'<') {
            return Err(Reason::RouteBad);
        }
        NameAddr::parse(share(list, item)).map_err(|_| Reason::RouteBad)?;
    }
    Ok(())
}

/// The number, below 2^31 (RFC 3261 section 8.1.1.5), and the method.
fn parse_cseq(text: &Bytes) -> Option<(u32, Method)> {
    let blank = text.iter().position(|octet| b" \t".contains(octet))?;
    let (number, method) = text.split_at_checked(blank)?;
    let number = u32::try_from(decimal(number)?).ok().filter(|&number| number < 1 << 31)?;
    let method = trim(method);
    is_token(method).then(|| (number, Method::of(share(text, method))))
}

#[cfg(test)]
mod tests {
    use super::super::{ResponseTemplate, server_key};
    use super::*;
    use proptest::prelude::*;

    const INVITE: &str = "INVITE sip:echo@192.0.2.1:5060;transport=udp SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK77ef4c2312983.1;rport,SIP/2.0/TCP far.example;branch=z9hG4bK1\r\n\
        v: SIP/2.0/TLS farther.example\r\nRecord-Route: <sip:p1;lr>, \"x, y\" <sip:p2;lr>\r\nMax-Forwards: 70\r\n\
        f: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\nTo: <sip:echo@192.0.2.1>\r\nRecord-Route: <sip:p3>\r\n\
        i: 3848276298220188511@atlanta.example.com\r\nCSeq: 2 INVITE\r\nm: <sip:alice@10.0.0.9>, <sip:other>\r\n\
        Require: 100rel , timer\r\nExpires: 99999999999\r\nRetry-After: 18 (in a while);duration=9\r\nSubject: a\r\n \t b\r\n\
        c: Application/SDP;x=y\r\nContent-Length: 4\r\n\r\nv=0\nNOISE";

    fn parse(text: &str) -> Result<Message, Malformed> {
        parse_datagram(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
    }

    #[test]
    fn every_part_of_a_request_is_found() {
        let Ok(Message::Request(request)) = parse(&format!("\r\n\r\n{INVITE}")) else { panic!() };
        let head = &request.head;
        assert_eq!((request.method.as_str(), request.uri.user().unwrap()), ("INVITE", "echo".into()));
        assert_eq!(head.via.branch.as_deref(), Some(b"z9hG4bK77ef4c2312983.1".as_slice()));
        assert_eq!(
            (head.via_count(), head.max_forwards, head.cseq, &head.cseq_method),
            (3, Some(70), 2, &Method::Invite)
        );
        assert_eq!((head.from.tag.clone().unwrap(), head.to.tag.clone()), ("9fxced76sl".into(), None));
        assert_eq!(head.call_id, "3848276298220188511@atlanta.example.com");
        assert_eq!(head.contact.as_ref().unwrap().uri.as_bytes(), "sip:alice@10.0.0.9");
        assert_eq!(head.record_route(), ["<sip:p1;lr>", "\"x, y\" <sip:p2;lr>", "<sip:p3>"]);
        assert_eq!((head.require(), head.route()), (vec!["100rel".into(), "timer".into()], Vec::<Bytes>::new()));
        assert_eq!((head.expires(), head.retry_after()), (Some(u32::MAX), Some(18)));
        assert_eq!(head.header("subject").unwrap().as_ref(), b"a b");
        assert_eq!(head.headers("via").len(), 2);
        assert_eq!((head.body.as_ref(), head.session_description().is_ok()), (b"v=0\n".as_slice(), true));
        assert_eq!(head.as_bytes(), INVITE);
    }

    #[test]
    fn a_response_is_found_too() {
        let text = "sip/2.0 486 Busy, really\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: sip:a@b;tag=1\r\nTo: sip:c@d;tag=2\r\n\
            Call-ID: 1\r\nCSeq: 0 OPTIONS\r\nContact: *\r\n\r\nbody to the end";
        let Ok(Message::Response(response)) = parse(text) else { panic!() };
        assert_eq!((response.status, response.reason.as_ref()), (486, b"Busy, really".as_slice()));
        assert_eq!((response.head.cseq, response.head.max_forwards, response.head.contact_is_star), (0, None, true));
        assert_eq!(response.head.body, "body to the end");
    }

    #[test]
    fn limits_are_answered_with_513() {
        let limits = Limits { max_message_bytes: 2000, max_headers: 20, max_header_bytes: 200 };
        let cases = [
            (INVITE.replace("NOISE", &"x".repeat(2000)), Reason::TooLarge),
            (INVITE.replace("Subject", &"A: b\r\n".repeat(20).replace("Subject", "")), Reason::TooManyHeaders),
            (INVITE.replace("Subject: a", &format!("Subject: {}", "a".repeat(200))), Reason::HeaderTooLong),
            (INVITE.replace("Subject: a", &format!("Subject: a{}", "\r\n a".repeat(17))), Reason::HeaderTooLong),
        ];
        for (text, reason) in cases {
            let malformed = parse_datagram(text.into(), &limits).unwrap_err();
            assert_eq!(malformed.reason, reason);
            assert_eq!(malformed.response.unwrap().status, 513);
        }
        assert!(parse_datagram(INVITE.into(), &limits).is_ok());
    }

    #[test]
    fn nothing_but_line_ends_is_a_keep_alive() {
        for text in ["", "\r\n", "\r\n\r\n"] {
            let malformed = parse(text).unwrap_err();
            assert!(malformed.reason == Reason::KeepAlive && malformed.response.is_none());
        }
    }

    fn use_all(bytes: Vec<u8>) {
        let source = "192.0.2.1:5060".parse().unwrap();
        match parse_datagram(bytes.into(), &Limits::default()) {
            Ok(Message::Request(request)) => {
                let response = ResponseTemplate::of(&request, source).write(200, "OK", Some("t"), true, &[], None);
                let head = &request.head;
                let _ = (server_key(&request, 1), head.via_count(), head.route(), head.expires(), head.to.to_text());
                assert!(matches!(parse_datagram(response, &Limits::default()), Ok(Message::Response(_))));
            }
            Ok(Message::Response(response)) => drop((response.head.retry_after(), response.head.record_route())),
            Err(malformed) => {
                if let Some(refusal) = malformed.response {
                    let response = refusal.write(source, "t");
                    assert!(response.starts_with(b"SIP/2.0 ") && response.ends_with(b"\r\n\r\n"));
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_parse_or_fail(bytes: Vec<u8>) {
            use_all(bytes);
        }

        /// Mutations of a good message; a request that parses gets a response that parses.
        #[test]
        fn a_mutated_message_parses_or_fails(edits in prop::collection::vec((0..INVITE.len(), 0..4u8, prop::sample::select(b"\r\n \t:;,<>\"@%=/\0\xff\\*09azZ".to_vec())), 1..6)) {
            let mut bytes = INVITE.as_bytes().to_vec();
            for (at, kind, octet) in edits {
                let at = at.min(bytes.len());
                match kind {
                    0 => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = octet),
                    1 => bytes.insert(at, octet),
                    2 => drop(bytes.drain(at..bytes.len().min(at + 1))),
                    _ => bytes.truncate(at),
                }
            }
            use_all(bytes);
        }
    }
}
