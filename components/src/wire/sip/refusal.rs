//! Answers to requests that don't parse: found by a lenient walk over the lines, off the fast path.

use super::grammar::{is_token, list_items, share, trim};
use super::keys::refusal_key;
use super::response::{Field, target};
use super::{MalformedReason, NameAddr, ResponseTemplate, Via};
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;

/// More lines than this are not looked at, whatever the limits.
const LINES_MAX: usize = 300;

/// How a malformed request is answered: without a transaction, once, from what is readable of it.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The reason phrase, which names the fault.
    pub phrase: &'static str,
    via: Via,
    fields: Vec<(Field, Bytes)>,
}

impl Refusal {
    /// Finds what an answer needs; none for a response, an ACK, or what shows no topmost Via.
    pub(crate) fn find(message: &Bytes, reason: MalformedReason) -> Option<Box<Self>> {
        let mut lines = unfolded_lines(message).take(LINES_MAX);
        let first = lines.next()?;
        let mut words = first.split(|octet| b" \t".contains(octet)).filter(|word| !word.is_empty());
        let method = words.next()?;
        let is_sip =
            words.next_back().and_then(|word| word.get(..4)).is_some_and(|word| word.eq_ignore_ascii_case(b"SIP/"));
        if !is_sip || !is_token(method) || method == b"ACK" {
            return None;
        }
        let mut fields: Vec<(Field, Bytes)> = Vec::new();
        for line in lines {
            let Some(colon) = line.iter().position(|&octet| octet == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let Some(field) = Field::named(trim(name)) else { continue };
            let value = trim(value.get(1..).unwrap_or_default());
            // Of a header that must stand once, the first is answered.
            let again = !field.is_list() && fields.iter().any(|(seen, _)| *seen == field);
            if !again && !value.is_empty() {
                fields.push((field, share(message, value)));
            }
        }
        let (_, value) = fields.iter().find(|(field, _)| *field == Field::Via)?;
        let via = Via::parse_lenient(share(value, list_items(value).next()?.ok()?)).ok()?;
        let (status, phrase) = reason.answer();
        Some(Box::new(Self { status, phrase, via, fields }))
    }

    /// What the response is written from; `source` is where the request came from.
    pub fn head(&self, source: SocketAddr) -> ResponseTemplate {
        let values = |field: Field| {
            let same = self.fields.iter().filter(move |(other, _)| *other == field);
            same.map(|(_, value)| Cow::Borrowed(value.as_ref()))
        };
        let to = self.fields.iter().find(|(field, _)| *field == Field::To);
        let to_has_tag = to.is_some_and(|(_, value)| NameAddr::parse(value.clone()).is_ok_and(|to| to.tag.is_some()));
        ResponseTemplate::compose(&self.via, values, to_has_tag, source)
    }

    /// Where the response goes (RFC 3261 section 18.2.2).
    pub fn target(&self, source: SocketAddr, reliable: bool) -> SocketAddr {
        target(&self.via, source, reliable)
    }

    /// A keyed hash of the request: to make a tag of that is the same when the request comes again (RFC 3261 section
    /// 8.2.7).
    pub fn key(&self, seed: u64) -> u128 {
        refusal_key(&self.via, self.fields.iter().map(|(_, value)| value.as_ref()), seed)
    }

    /// The whole response. No transaction stands behind it, so the tag must follow from the request.
    pub fn write(&self, source: SocketAddr, to_tag: &str) -> Bytes {
        self.head(source).write(self.status, self.phrase, Some(to_tag), false, &[], None)
    }
}

/// The lines up to the first empty one, folded ones joined, every stray control octet a blank.
pub(crate) fn unfolded_lines(message: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut raw = message
        .split(|&octet| octet == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .peekable();
    std::iter::from_fn(move || {
        let mut line = Cow::Borrowed(raw.next()?);
        while let Some(more) = raw.next_if(|next| next.starts_with(b" ") || next.starts_with(b"\t")) {
            line.to_mut().extend_from_slice(more);
        }
        if line.iter().any(|octet| b"\r\0".contains(octet)) {
            line.to_mut().iter_mut().filter(|octet| b"\r\0".contains(octet)).for_each(|octet| *octet = b' ');
        }
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(message: &str) -> Option<String> {
        let refusal = Refusal::find(&Bytes::copy_from_slice(message.as_bytes()), MalformedReason::CallIdMissing)?;
        let response = refusal.write("192.0.2.9:7000".parse().unwrap(), "t1");
        Some(String::from_utf8(response.to_vec()).unwrap())
    }

    #[test]
    fn what_is_readable_is_answered() {
        let response = refuse(
            "INVITE <sip:a@b>  SIP/2.0\r\nv: SIP/2.0/UDP\r\n 10.0.0.1;branch=z9hG4bK1;rport,SIP/2.0/TCP p\r\nno colon here\r\n\
             Via: SIP/2.0/UDP q\r\nFrom: \"x <sip:a@b>;tag=1\r\nf: other\r\nTo: sip:b\0@c\r\nCSeq: zz\r\nRecord-Route: <sip:r>\r\n\r\nTo: in the body",
        );
        assert_eq!(
            response.unwrap(),
            "SIP/2.0 400 Missing Call-ID\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport=7000;received=192.0.2.9,SIP/2.0/TCP p\r\n\
             Via: SIP/2.0/UDP q\r\nFrom: \"x <sip:a@b>;tag=1\r\nCSeq: zz\r\nTo: sip:b @c;tag=t1\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn what_must_not_be_answered_is_not() {
        let via = "\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n";
        for first in ["ACK sip:a@b SIP/2.0", "SIP/2.0 200 OK", "GET / HTTP/1.1", "", "SIP/2.0", "IN@VITE sip:a SIP/2.0"]
        {
            assert_eq!(refuse(&format!("{first}{via}")), None, "{first}");
        }
        assert_eq!(refuse("INVITE sip:a@b SIP/2.0\r\nFrom: x\r\n\r\n"), None);
        assert_eq!(refuse("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP @;;,;,,\r\n\r\n"), None);
    }
}
