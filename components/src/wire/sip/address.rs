//! `name-addr` and `addr-spec` with their parameters: From, To, Contact, Route and their like.

use super::Uri;
use super::grammar::{BadGrammar, Param, is_token_octet, params, quoted_end, share, skip_blanks, trim, unquote};
use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bytes::Bytes;
use std::fmt;

/// Text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadAddress;

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a SIP address")
    }
}

impl std::error::Error for BadAddress {}

impl From<BadGrammar> for BadAddress {
    fn from(_: BadGrammar) -> Self {
        Self
    }
}

/// A display name, a URI and header parameters (RFC 3261 sections 20.10, 20.20, 20.39).
///
/// ```
/// use ringworld_components::wire::sip::NameAddr;
///
/// let from = NameAddr::parse("\"Bell, A.\" <sip:bell@example.com;lr>;tag=7;x=1".into()).unwrap();
/// assert_eq!((from.display.clone().unwrap(), from.tag.clone().unwrap()), ("Bell, A.".into(), "7".into()));
/// assert_eq!(from.to_text(), "\"Bell, A.\" <sip:bell@example.com;lr>;x=1");
/// ```
#[derive(Clone, Debug)]
pub struct NameAddr {
    /// The URI.
    pub uri: Uri,
    /// The display name, without quotes and escapes.
    pub display: Option<Bytes>,
    /// The `tag` parameter.
    pub tag: Option<Bytes>,
    text: Bytes,
    params_at: u32,
    tag_at: (u32, u32),
}

impl NameAddr {
    /// Parses one address with its parameters.
    ///
    /// Without angle brackets, what follows a semicolon belongs to the header, and the URI may hold neither a comma
    /// nor a question mark (RFC 3261 section 20.10).
    pub fn parse(text: Bytes) -> Result<Self, BadAddress> {
        let text = share(&text, trim(&text));
        let (display, open) = display_name(&text)?;
        let (uri, params_at) = match open {
            Some(open) => {
                let inner = text.get(open + 1..).ok_or(BadAddress)?;
                let close = inner.iter().position(|&octet| octet == b'>').ok_or(BadAddress)?;
                (inner.get(..close).ok_or(BadAddress)?, open + 1 + close + 1)
            }
            None => {
                let end = text.iter().position(|&octet| octet == b';').unwrap_or(text.len());
                let uri = trim(text.get(..end).ok_or(BadAddress)?);
                if uri.iter().any(|octet| matches!(octet, b',' | b'?')) {
                    return Err(BadAddress);
                }
                (uri, end)
            }
        };
        let uri = Uri::parse(share(&text, uri)).map_err(|_| BadAddress)?;
        let position = |at: usize| u32::try_from(at).map_err(|_| BadAddress);
        let (mut tag, mut tag_at) = (None, (0, 0));
        for param in params(&text, params_at) {
            let param = param?;
            if param.is("tag") {
                if tag.is_some() {
                    return Err(BadAddress);
                }
                tag = Some(share(&text, param.value.ok_or(BadAddress)?));
                tag_at = (position(param.start)?, position(param.end)?);
            }
        }
        Ok(Self { uri, display, tag, params_at: position(params_at)?, tag_at, text })
    }

    /// A header parameter's value, without quotes; empty for one without a value.
    pub fn param(&self, name: &str) -> Option<Bytes> {
        let found: Param<'_> = params(&self.text, self.params_at as usize).flatten().find(|param| param.is(name))?;
        Some(found.value.map(|value| unquote(&share(&self.text, value))).unwrap_or_default())
    }

    /// As written on the wire, without the tag.
    pub fn to_text(&self) -> Bytes {
        let (from, to) = (self.tag_at.0 as usize, self.tag_at.1 as usize);
        let (Some(before), Some(after)) = (self.text.get(..from), self.text.get(to..)) else {
            return self.text.clone();
        };
        if before.is_empty() {
            return self.text.clone();
        }
        if after.is_empty() { share(&self.text, trim(before)) } else { Bytes::from([before, after].concat()) }
    }

    /// The same address in a buffer of its own, so that it doesn't keep the message alive that it came in.
    pub fn detached(&self) -> Self {
        // The copy parses as the original did.
        Self::parse(Bytes::copy_from_slice(&self.text)).unwrap_or_else(|_| self.clone())
    }

    /// The whole value as written, the tag included.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }
}

/// The display name, and where the angle bracket opens.
fn display_name(text: &Bytes) -> Result<(Option<Bytes>, Option<usize>), BadAddress> {
    if text.first() == Some(&b'"') {
        let end = quoted_end(text, 0).ok_or(BadAddress)?;
        let open = skip_blanks(text, end);
        let quoted = text.get(..end).filter(|_| text.get(open) == Some(&b'<')).ok_or(BadAddress)?;
        return Ok((Some(unquote(&share(text, quoted))), Some(open)));
    }
    // An angle bracket behind a quote belongs to a parameter's value, not to the address.
    match text.iter().position(|octet| matches!(octet, b'<' | b'"')) {
        Some(open) if text.get(open) == Some(&b'<') => {
            let words = trim(text.get(..open).ok_or(BadAddress)?);
            // Beyond tokens only what UTF-8 names need; a comma here is a quote forgotten (RFC 4475 section 3.1.2.15).
            if !words.iter().all(|&octet| is_token_octet(octet) || b" \t".contains(&octet) || octet >= 0x80) {
                return Err(BadAddress);
            }
            Ok(((!words.is_empty()).then(|| share(text, words)), Some(open)))
        }
        _ => Ok((None, None)),
    }
}

impl PartialEq for NameAddr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NameAddr {}

impl Record for NameAddr {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.bytes(&self.text);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::parse(Bytes::copy_from_slice(from.bytes()?)).map_err(|_| DecodeError::Invalid("name-addr"))
    }
    fn shape(to: &mut Shape) {
        to.leaf("name-addr");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{from_bytes, to_bytes};
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<NameAddr, BadAddress> {
        NameAddr::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_forms_are_told_apart() {
        let table = [
            ("sip:a@b;tag=1", "sip:a@b", None, Some("1"), "sip:a@b"),
            ("<sip:a@b;tag=1>", "sip:a@b;tag=1", None, None, "<sip:a@b;tag=1>"),
            ("caller<sip:a@b>;tag=9;y", "sip:a@b", Some("caller"), Some("9"), "caller<sip:a@b>;y"),
            (
                "\"J \\\"R\\\" \\\\\" <sip:a@b> ; TAG = x",
                "sip:a@b",
                Some("J \"R\" \\"),
                Some("x"),
                "\"J \\\"R\\\" \\\\\" <sip:a@b>",
            ),
            ("Two  Words <sip:a@b>;tag=1", "sip:a@b", Some("Two  Words"), Some("1"), "Two  Words <sip:a@b>"),
            ("sip:a@b;x=\"<y>\";tag=1", "sip:a@b", None, Some("1"), "sip:a@b;x=\"<y>\""),
            ("<sip:a,b@c?Route=x>", "sip:a,b@c?Route=x", None, None, "<sip:a,b@c?Route=x>"),
        ];
        for (text, uri, display, tag, without) in table {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.uri.as_bytes(), uri, "{text}");
            assert_eq!(parsed.display, display.map(Bytes::from), "{text}");
            assert_eq!(parsed.tag, tag.map(Bytes::from), "{text}");
            assert_eq!(parsed.to_text(), without, "{text}");
            assert_eq!(from_bytes::<NameAddr>(&to_bytes(&parsed)).unwrap(), parsed);
        }
        assert_eq!(parse("<sip:a@b>;x=\"q, r\";y").unwrap().param("X").unwrap(), "q, r");
        assert_eq!(parse("<sip:a@b>;x=1;y").unwrap().param("y").unwrap(), "");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "\"Mr. J. User <sip:j@x>",
            "Bell, Alexander <sip:a@b>;tag=43",
            "<sip:a@b",
            "\"W\" < sip:a@b >",
            "sip:user@example.com?Route=%3Csip:x%3E",
            "<sip:a@b>;;",
            "<sip:a@b>;tag=1;tag=2",
            "<sip:a@b>;tag",
            "\"x\"",
            "<sip:a@b> x",
            "sip:a@b, sip:c@d",
            "<>",
        ] {
            assert_eq!(parse(text), Err(BadAddress), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes: Vec<u8>) {
            let _ = NameAddr::parse(bytes.into());
        }

        #[test]
        fn the_tag_is_what_text_and_address_differ_in(text in "(\"[a-z<>,;\\\\\\\\ ]{0,5}\" |[a-z]{0,3} ?)<sip:[a-z]{1,3}@[a-z]{1,3}>( ?;[a-z]{1,3}=[a-z0-9]{1,3}){0,3};tag=[a-z0-9]{1,4}(;[b-z]{1,2}){0,2}") {
            if let Ok(parsed) = parse(&text) {
                let without = NameAddr::parse(parsed.to_text()).unwrap();
                prop_assert_eq!(without.tag, None);
                prop_assert_eq!(without.uri, parsed.uri);
                prop_assert_eq!(without.display, parsed.display);
            }
        }

        #[test]
        fn we_agree_with_sipx(text in "(\"[a-z<,; ]{0,5}\" ?|[a-z ]{0,3})<?sip:[a-z,]{1,3}@[a-z]{1,3}(;[a-z]{1,2})?>?( ?; ?[a-z]{1,3}=[a-z0-9]{1,3}){0,2}(;tag=[a-z0-9]{1,4})?") {
            use sipx_sip::message::TypedHeader;
            if let (Ok(ours), Ok(theirs)) = (parse(&text), sipx_sip::headers::From::decode(text.as_bytes())) {
                prop_assert_eq!(ours.tag.as_deref(), theirs.tag());
                prop_assert_eq!(ours.uri.as_bytes(), &theirs.uri.to_bytes());
                prop_assert_eq!(ours.display.as_deref(), theirs.display_name.as_deref());
            }
        }
    }
}
