//! Rewrites what peers sent to the host so that it fits the engine. Lines are replaced whole; all others, and the body,
//! stay as they are, byte for byte.

use crate::capture::message;
use bytes::Bytes;

/// A request within a dialog: the tag that the host chose becomes the engine's, and so does the Call-ID where the
/// engine placed the call.
pub(super) fn request(message: &[u8], call_id: &[u8], to_tag: Option<&[u8]>) -> Bytes {
    edited(message, |name, value, out| match name {
        Name::CallId => line(out, b"Call-ID: ", call_id),
        Name::To => match (to_tag, message::tag(value)) {
            (Some(ours), Some(_)) => line(out, b"To: ", &with_tag(value, ours)),
            _ => false,
        },
        _ => false,
    })
}

/// A response to a request of the host becomes one to the engine's.
pub(super) fn response(message: &[u8], request: &[u8]) -> Bytes {
    let mut has_via = false;
    let tag = message::header(message, "To").and_then(message::tag).map(<[u8]>::to_vec);
    edited(message, |name, _, out| {
        let of_request = |name| message::header(request, name).unwrap_or_default();
        let to = of_request("To");
        match name {
            // Our requests have one Via; what a peer's response has more of is not ours.
            Name::Via if std::mem::replace(&mut has_via, true) => true,
            Name::Via => line(out, b"Via: ", of_request("Via")),
            Name::From => line(out, b"From: ", of_request("From")),
            Name::To => match (&tag, message::tag(to)) {
                (Some(tag), None) => line(out, b"To: ", &[to, b";tag=", tag].concat()),
                _ => line(out, b"To: ", to),
            },
            Name::CallId => line(out, b"Call-ID: ", of_request("Call-ID")),
            Name::CSeq => line(out, b"CSeq: ", of_request("CSeq")),
            Name::Other => false,
        }
    })
}

enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Other,
}

impl Name {
    fn of(name: &[u8]) -> Self {
        let is = |long: &str| message::is_named(name, long);
        match () {
            () if is("Via") => Self::Via,
            () if is("From") => Self::From,
            () if is("To") => Self::To,
            () if is("Call-ID") => Self::CallId,
            () if is("CSeq") => Self::CSeq,
            () => Self::Other,
        }
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> bool {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    true
}

/// The message without folded header fields (RFC 3261 section 7.3.1): all of a field is in its line.
pub(super) fn unfolded(message: &Bytes) -> Bytes {
    let head = message.len() - message::body(message).len();
    let (head, body) = message.split_at_checked(head).unwrap_or((message, &[]));
    let is_folded = |at: usize| matches!(head.get(at..at + 3), Some([b'\r', b'\n', b' ' | b'\t']));
    if !(0..head.len()).any(is_folded) {
        return message.clone();
    }
    let mut out = Vec::with_capacity(message.len());
    let mut at = 0;
    while let Some(&byte) = head.get(at) {
        if is_folded(at) {
            at += 2;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    out.extend_from_slice(body);
    Bytes::from(out)
}

/// Copies a message; `edit` gets name and value of each header field and writes another one instead, or says that it
/// leaves it.
fn edited(message: &[u8], mut edit: impl FnMut(Name, &[u8], &mut Vec<u8>) -> bool) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut rest = message;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let Some((whole, behind)) = rest.split_at_checked(end + 1) else { break };
        rest = behind;
        let text = whole.trim_ascii_end();
        // The first line may hold a colon, too, but nothing in front of it is the name of a field.
        let is_replaced = message::field(text).is_some_and(|(name, value)| edit(Name::of(name), value, &mut out));
        if !is_replaced {
            out.extend_from_slice(whole);
        }
        if text.is_empty() {
            break;
        }
    }
    out.extend_from_slice(rest);
    Bytes::from(out)
}

/// A To value with another tag.
fn with_tag(value: &[u8], tag: &[u8]) -> Vec<u8> {
    let Some(old) = message::tag(value) else { return value.to_vec() };
    // The tag is the part of `value` that was found in it, so its place is known.
    let from = value.windows(old.len() + 4).rposition(|window| {
        let (name, found) = window.split_at(4);
        name.eq_ignore_ascii_case(b"tag=") && found == old
    });
    let Some(from) = from.map(|from| from + 4) else { return value.to_vec() };
    let (before, behind) = value.split_at(from);
    [before, tag, behind.get(old.len()..).unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_and_the_call_id_of_a_request_change() {
        let to = b"BYE sip:a@h SIP/2.0\r\nf: <sip:p>;tag=p1\r\nt: <sip:h>;tag=h1;z\r\ni: c\r\nl: 0\r\n\r\nTo: body";
        let out = request(to, b"ours", Some(b"rw1"));
        let expected =
            b"BYE sip:a@h SIP/2.0\r\nf: <sip:p>;tag=p1\r\nTo: <sip:h>;tag=rw1;z\r\nCall-ID: ours\r\nl: 0\r\n\r\nTo: body";
        assert_eq!(out, expected.as_slice());
        let folded = Bytes::from_static(b"BYE sip:a@h SIP/2.0\r\nt: <sip:h;tag=h1>\r\n ;tag=h1\r\n\r\nx\r\n y");
        let plain = unfolded(&folded);
        assert_eq!(plain, b"BYE sip:a@h SIP/2.0\r\nt: <sip:h;tag=h1> ;tag=h1\r\n\r\nx\r\n y".as_slice());
        assert!(request(&plain, b"c", Some(b"rw1")).ends_with(b"To: <sip:h;tag=h1> ;tag=rw1\r\n\r\nx\r\n y"));
        let initial = b"INVITE sip:a@h SIP/2.0\r\nTo: <sip:h>\r\nCall-ID: c\r\n\r\n";
        assert_eq!(request(initial, b"c", None), initial.as_slice());
    }

    #[test]
    fn a_response_answers_the_engines_request() {
        let theirs =
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=b1\r\nVia: SIP/2.0/UDP g;branch=b0\r\nFrom: <h>;tag=1\r\n\
            To: <p>;tag=p9\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContact: <sip:p>\r\n\r\nbody";
        let ours = b"INVITE sip:p SIP/2.0\r\nVia: SIP/2.0/UDP r;branch=z9\r\nFrom: <r>;tag=rw\r\nTo: <p>\r\nCall-ID: o\r\nCSeq: 1 INVITE\r\n\r\n";
        let expected = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP r;branch=z9\r\nFrom: <r>;tag=rw\r\nTo: <p>;tag=p9\r\n\
            Call-ID: o\r\nCSeq: 1 INVITE\r\nContact: <sip:p>\r\n\r\nbody";
        assert_eq!(response(theirs, ours), expected.as_slice());
    }
}
