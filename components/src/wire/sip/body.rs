//! The session description in the body of a message (RFC 3261 section 7.4, RFC 5621, RFC 2046 section 5.1).

use super::Head;
use super::grammar::{params, share, trim, unquote};
use super::refusal::unfolded_lines;
use bytes::Bytes;
use std::fmt;

/// More parts than this are not looked at.
const PARTS_MAX: usize = 16;

/// Bodies in bodies in bodies: deeper ones are not looked at.
const DEPTH_MAX: usize = 3;

/// The types of bodies in which a session description is found.
pub const SESSION_BODIES: &[&str] = &["application/sdp", "multipart/mixed", "multipart/alternative"];

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BodyRefusal {
    /// A part that must be understood is of a type, a disposition or an encoding that is not.
    Unsupported,
    /// It is not in parts as its type says, or in too many.
    Malformed,
    /// There is more than one session description for the session.
    TwoDescriptions,
}

impl BodyRefusal {
    /// The status that a request with such a body is refused with.
    pub fn status(self) -> u16 {
        match self {
            Self::Unsupported => 415,
            Self::Malformed | Self::TwoDescriptions => 400,
        }
    }
}

impl fmt::Display for BodyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "a body that must be understood is not",
            Self::Malformed => "the parts of the body can't be told apart",
            Self::TwoDescriptions => "the body has two session descriptions",
        })
    }
}

impl std::error::Error for BodyRefusal {}

impl Head {
    /// The session description that the body is, or that is a part of it; none if there is none, and what else there is
    /// may be ignored (`handling=optional`).
    ///
    /// # Errors
    /// RFC 5621 section 3: something in the body must be understood, as it must by default, and is not.
    pub fn session_description(&self) -> Result<Option<Bytes>, BodyRefusal> {
        if self.body.is_empty() {
            return Ok(None);
        }
        let (disposition, encoding) = (self.header("Content-Disposition"), self.header("Content-Encoding"));
        self.as_body(disposition.as_deref(), encoding.as_deref()).description(0)
    }

    /// Whether there is a body of a type that is accepted and encoded as we can read it; none if it may be ignored.
    ///
    /// # Errors
    /// It must be understood, as it must by default (RFC 5621 section 3), and is not.
    pub fn has_body(&self, accepts: impl Fn(&[u8]) -> bool) -> Result<bool, BodyRefusal> {
        if self.body.is_empty() {
            return Ok(false);
        }
        let (disposition, encoding) = (self.header("Content-Disposition"), self.header("Content-Encoding"));
        let body = self.as_body(disposition.as_deref(), encoding.as_deref());
        match body.is_plain() && self.content_type.as_deref().is_none_or(accepts) {
            true => Ok(true),
            false if body.is_optional() => Ok(false),
            false => Err(BodyRefusal::Unsupported),
        }
    }

    fn as_body<'a>(&'a self, disposition: Option<&'a [u8]>, encoding: Option<&'a [u8]>) -> Body<'a> {
        // Before RFC 3261 the type was left out at times.
        let content_type = self.content_type.as_deref().unwrap_or(b"application/sdp");
        Body { content_type, disposition, encoding, octets: self.body.clone() }
    }
}

/// Whether a Content-Type names one of these media types, whatever its parameters are.
pub fn is_of_type(content_type: &[u8], kinds: &[&str]) -> bool {
    let kind = media_type(content_type);
    kinds.iter().any(|known| kind.eq_ignore_ascii_case(known.as_bytes()))
}

/// The media type, in lower case and without its parameters.
fn media_type(content_type: &[u8]) -> Vec<u8> {
    let end = content_type.iter().position(|&octet| octet == b';').unwrap_or(content_type.len());
    let kind = trim(content_type.get(..end).unwrap_or_default());
    kind.iter().filter(|octet| !octet.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect()
}

/// A body, or a part of one.
struct Body<'a> {
    content_type: &'a [u8],
    disposition: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    octets: Bytes,
}

impl Body<'_> {
    fn description(&self, depth: usize) -> Result<Option<Bytes>, BodyRefusal> {
        let found = match (media_type(self.content_type).as_slice(), self.is_plain()) {
            (b"application/sdp", true) if self.is_for_the_session() => Ok(Some(self.octets.clone())),
            (b"multipart/mixed", true) if depth < DEPTH_MAX => self.all_parts(depth),
            (b"multipart/alternative", true) if depth < DEPTH_MAX => self.best_part(depth),
            _ => Err(BodyRefusal::Unsupported),
        };
        if self.is_optional() { Ok(found.unwrap_or(None)) } else { found }
    }

    /// Whether its octets are as they are: compressed bodies, or base64, are not understood.
    fn is_plain(&self) -> bool {
        let plain: [&[u8]; 4] = [b"identity", b"binary", b"8bit", b"7bit"];
        self.encoding.is_none_or(|encoding| plain.iter().any(|name| trim(encoding).eq_ignore_ascii_case(name)))
    }

    /// `session` is the disposition of a session description that names none (RFC 3261 section 20.11).
    fn is_for_the_session(&self) -> bool {
        let Some(disposition) = self.disposition else { return true };
        let end = disposition.iter().position(|&octet| octet == b';').unwrap_or(disposition.len());
        trim(disposition.get(..end).unwrap_or_default()).eq_ignore_ascii_case(b"session")
    }

    /// Whether it may be ignored. What says nothing must be understood (RFC 5621 section 4.2).
    fn is_optional(&self) -> bool {
        let Some(disposition) = self.disposition else { return false };
        param(disposition, "handling").is_some_and(|handling| handling.eq_ignore_ascii_case(b"optional"))
    }

    /// `multipart/mixed`: every part counts.
    fn all_parts(&self, depth: usize) -> Result<Option<Bytes>, BodyRefusal> {
        let mut found = None;
        for part in self.parts()? {
            if let Some(description) = part.description(depth + 1)?
                && found.replace(description).is_some()
            {
                return Err(BodyRefusal::TwoDescriptions);
            }
        }
        Ok(found)
    }

    /// `multipart/alternative`: the last part that is understood counts (RFC 2046 section 5.1.4).
    fn best_part(&self, depth: usize) -> Result<Option<Bytes>, BodyRefusal> {
        let parts = self.parts()?;
        let mut understood = parts.iter().rev().filter_map(|part| part.description(depth + 1).ok());
        understood.next().ok_or(BodyRefusal::Unsupported)
    }

    fn parts(&self) -> Result<Vec<Part>, BodyRefusal> {
        let boundary = param(self.content_type, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()));
        let boundary = boundary.ok_or(BodyRefusal::Malformed)?;
        let delimiter = [b"--", boundary.as_ref()].concat();
        let mut parts = Vec::new();
        let mut begun = None;
        for (at, end, line) in lines(&self.octets) {
            let Some(rest) = line.strip_prefix(delimiter.as_slice()) else { continue };
            let is_last = rest.starts_with(b"--");
            // The boundary may be the beginning of another one, which is not ours.
            if !is_last && !trim(rest).is_empty() {
                continue;
            }
            if let Some(start) = begun {
                if parts.len() == PARTS_MAX {
                    return Err(BodyRefusal::Malformed);
                }
                // The line end before a delimiter belongs to the delimiter.
                let octets = self.octets.get(start..at).unwrap_or_default();
                let octets = octets.strip_suffix(b"\n").map_or(octets, |it| it.strip_suffix(b"\r").unwrap_or(it));
                parts.push(Part::parse(&share(&self.octets, octets)));
            }
            if is_last {
                return if parts.is_empty() { Err(BodyRefusal::Malformed) } else { Ok(parts) };
            }
            begun = Some(end);
        }
        Err(BodyRefusal::Malformed)
    }
}

/// A part of a body, with header fields of its own.
struct Part {
    content_type: Vec<u8>,
    disposition: Option<Vec<u8>>,
    encoding: Option<Vec<u8>>,
    octets: Bytes,
}

impl Part {
    fn parse(whole: &Bytes) -> Self {
        // The header fields end with the first empty line, which may be the first of all.
        let octets_at = lines(whole).find(|(.., line)| line.is_empty()).map_or(whole.len(), |(_, end, _)| end);
        let head = whole.get(..octets_at).unwrap_or_default();
        let mut part = Self {
            content_type: b"text/plain".to_vec(),
            disposition: None,
            encoding: None,
            octets: whole.slice(octets_at..),
        };
        if lines(whole).next().is_some_and(|(.., line)| line.is_empty()) {
            return part;
        }
        for line in unfolded_lines(head) {
            let Some(colon) = line.iter().position(|&octet| octet == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let value = trim(value.get(1..).unwrap_or_default()).to_vec();
            match trim(name).to_ascii_lowercase().as_slice() {
                b"content-type" | b"c" => part.content_type = value,
                b"content-disposition" => part.disposition = Some(value),
                b"content-transfer-encoding" | b"content-encoding" | b"e" => part.encoding = Some(value),
                _ => {}
            }
        }
        part
    }

    fn description(&self, depth: usize) -> Result<Option<Bytes>, BodyRefusal> {
        let body = Body {
            content_type: &self.content_type,
            disposition: self.disposition.as_deref(),
            encoding: self.encoding.as_deref(),
            octets: self.octets.clone(),
        };
        body.description(depth)
    }
}

/// The lines of a text, without their ends: where each begins, where the next one does, and the line.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut at = 0;
    text.split_inclusive(|&octet| octet == b'\n').map(move |line| {
        let start = at;
        at += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        (start, at, line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// A parameter of a header value, quotes removed.
pub(super) fn param(value: &[u8], name: &str) -> Option<Bytes> {
    let start = value.iter().position(|&octet| octet == b';')?;
    let found = params(value, start).map_while(Result::ok).find(|param| param.is(name))?;
    Some(unquote(&Bytes::copy_from_slice(found.value?)))
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Message, parse_datagram};
    use super::*;
    use proptest::prelude::*;

    const SDP: &str = "v=0\r\ns=-\r\n";

    fn read(headers: &str, body: &str) -> Result<Option<Bytes>, BodyRefusal> {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n\
             Call-ID: 1\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        match parse_datagram(text.into(), &Limits::default()) {
            Ok(Message::Request(request)) => request.head.session_description(),
            other => panic!("{other:?}"),
        }
    }

    fn mixed(parts: &[&str]) -> String {
        let mut text = String::from("a preamble\r\n");
        for part in parts {
            text += &format!("--b1\r\n{part}\r\n");
        }
        text + "--b1--\r\nan epilogue"
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=\"b1\"\r\n";

    #[test]
    fn a_plain_body_is_taken_by_its_type_disposition_and_encoding() {
        let sdp = || Ok(Some(Bytes::from(SDP)));
        for (headers, found) in [
            ("", sdp()),
            ("Content-Type: application/sdp\r\n", sdp()),
            ("c: Application / SDP ;charset=utf-8\r\n", sdp()),
            ("Content-Type: application/sdp\r\nContent-Disposition: session;handling=required\r\n", sdp()),
            ("Content-Type: application/sdp\r\nContent-Encoding: identity\r\n", sdp()),
            ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", Err(BodyRefusal::Unsupported)),
            ("Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n", Err(BodyRefusal::Unsupported)),
            ("Content-Type: application/sdp\r\nContent-Disposition: early-session ; handling = Optional\r\n", Ok(None)),
            ("Content-Type: application/isup\r\n", Err(BodyRefusal::Unsupported)),
            ("Content-Type: application/isup\r\nContent-Disposition: signal; handling=optional\r\n", Ok(None)),
            ("Content-Type: multipart/mixed\r\n", Err(BodyRefusal::Malformed)),
            (
                "Content-Type: multipart/mixed;boundary=x\r\nContent-Disposition: session;handling=optional\r\n",
                Ok(None),
            ),
        ] {
            assert_eq!(read(headers, SDP), found, "{headers}");
        }
        assert_eq!(read("Content-Type: application/isup\r\n", ""), Ok(None), "no body, no type");
        assert_eq!(BodyRefusal::Unsupported.status(), 415);
    }

    #[test]
    fn the_description_is_found_among_parts() {
        let sdp = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
        let isup = "Content-Type: application/isup;version=x\r\nContent-Disposition: signal;\r\n handling=optional\r\n\r\n\u{1}\u{2}";
        let isup_required = "Content-Type: application/isup\r\n\r\nx";
        let early =
            "content-type: application/sdp\r\nContent-Disposition: early-session;handling=optional\r\n\r\nv=1\r\n";
        let text = "\r\njust text";
        let found = || Ok(Some(Bytes::from(SDP)));
        for (parts, outcome) in [
            (&[sdp.as_str()][..], found()),
            (&[&sdp, isup], found()),
            (&[isup, early, &sdp], found()),
            (&[isup], Ok(None)),
            (&[&sdp, isup_required], Err(BodyRefusal::Unsupported)),
            (&[&sdp, text], Err(BodyRefusal::Unsupported)),
            (&[&sdp, &sdp], Err(BodyRefusal::TwoDescriptions)),
            (
                &[&sdp.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n")],
                Err(BodyRefusal::Unsupported),
            ),
            (&[&sdp.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: binary\r\n\r\n")], found()),
            (&[], Err(BodyRefusal::Malformed)),
        ] {
            assert_eq!(read(MIXED, &mixed(parts)), outcome, "{parts:?}");
        }
        assert_eq!(read(MIXED, &mixed(&[&sdp]).replace("\r\n", "\n")), Ok(Some(SDP.replace("\r\n", "\n").into())));
        assert_eq!(read(MIXED, "--b1\r\n\r\nnever ends"), Err(BodyRefusal::Malformed));
        let (many, most) = (vec![isup; PARTS_MAX + 1], vec![isup; PARTS_MAX]);
        assert_eq!((read(MIXED, &mixed(&many)), read(MIXED, &mixed(&most))), (Err(BodyRefusal::Malformed), Ok(None)));
    }

    #[test]
    fn parts_may_be_in_parts_to_a_depth_and_the_last_alternative_counts() {
        let sdp = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
        let nested = |inner: &str, depth: usize| {
            (1..depth).fold(inner.to_owned(), |inner, level| {
                format!(
                    "Content-Type: multipart/mixed; boundary=n{level}\r\n\r\n--n{level}\r\n{inner}\r\n--n{level}--\r\n"
                )
            })
        };
        assert_eq!(read(MIXED, &mixed(&[&nested(&sdp, DEPTH_MAX)])), Ok(Some(SDP.into())));
        assert_eq!(read(MIXED, &mixed(&[&nested(&sdp, DEPTH_MAX + 1)])), Err(BodyRefusal::Unsupported));
        let better = "Content-Type: application/sdpng\r\n\r\n<x/>";
        let other = format!("Content-Type: application/sdp\r\n\r\n{SDP}a=x\r\n");
        let alternative = MIXED.replace("mixed", "alternative");
        assert_eq!(read(&alternative, &mixed(&[&sdp, &other, better])), Ok(Some(format!("{SDP}a=x\r\n").into())));
        assert_eq!(read(&alternative, &mixed(&[better])), Err(BodyRefusal::Unsupported));
    }

    proptest! {
        #[test]
        fn any_parts_are_read_or_refused(body in "(--b1(--)?|[a-zA-Z:/; =-]{0,20}|\r|\n|\r\n){0,40}") {
            let _ = read(MIXED, &body);
        }
    }
}
