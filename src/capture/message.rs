//! The first line and the header of a SIP message.

/// Header fields that have a compact form (RFC 3261 section 7.3.3, RFC 4028 section 4).
const COMPACT: [(&str, &str); 6] =
    [("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Contact", "m"), ("Session-Expires", "x")];

/// Whether a header field is written under this name, or under its compact form.
pub(crate) fn is_named(found: &[u8], name: &str) -> bool {
    let compact = COMPACT.iter().find(|(long, _)| long.eq_ignore_ascii_case(name)).map(|&(_, compact)| compact);
    found.eq_ignore_ascii_case(name.as_bytes())
        || compact.is_some_and(|compact| found.eq_ignore_ascii_case(compact.as_bytes()))
}

/// The name and the value of a line of the header; `None` if it has no colon.
pub(crate) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii()))
}

/// The lines before the body.
pub(crate) fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = message.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take_while(|line| !line.is_empty())
}

/// The values of all header fields of a name, in order.
pub(crate) fn headers<'m>(message: &'m [u8], name: &'m str) -> impl Iterator<Item = &'m [u8]> {
    lines(message).skip(1).filter_map(field).filter(move |(found, _)| is_named(found, name)).map(|(_, value)| value)
}

/// The value of the first header field of a name.
pub(crate) fn header<'m>(message: &'m [u8], name: &'m str) -> Option<&'m [u8]> {
    headers(message, name).next()
}

/// What comes behind the empty line.
pub(crate) fn body(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    end.and_then(|end| message.get(end + 4..)).unwrap_or_default()
}

/// The Call-ID.
pub(crate) fn call_id(message: &[u8]) -> Option<&[u8]> {
    header(message, "Call-ID")
}

/// The status of a response; `None` of a request.
pub(crate) fn status(message: &[u8]) -> Option<u16> {
    let rest = message.strip_prefix(b"SIP/2.0 ")?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

/// The number and the method of CSeq.
pub(crate) fn cseq(message: &[u8]) -> Option<(u32, String)> {
    let value = std::str::from_utf8(header(message, "CSeq")?).ok()?;
    let (number, method) = value.split_once(char::is_whitespace)?;
    Some((number.parse().ok()?, method.trim().to_owned()))
}

/// The tag in a From or To value.
pub(crate) fn tag(value: &[u8]) -> Option<&[u8]> {
    // Not in the display name or the URI: behind the bracket, or behind the first parameter of a bare URI.
    let from = value.iter().rposition(|&byte| byte == b'>').unwrap_or(0);
    value.get(from..)?.split(|&byte| byte == b';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"tag=").then(|| value.trim_ascii())
    })
}

/// The URI in a From or To value.
pub(crate) fn uri(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value).into_owned();
    let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(uri, _)| uri.to_owned());
    inner.unwrap_or_else(|| text.split(';').next().unwrap_or_default().to_owned())
}

/// How many hops a message has come.
pub(crate) fn hops(message: &[u8]) -> usize {
    headers(message, "Via").map(|value| value.iter().filter(|&&byte| byte == b',').count() + 1).sum()
}

/// What a message is, in a few words: `INVITE sip:echo@host`, `200 OK to INVITE`.
pub(crate) fn title(message: &[u8]) -> String {
    let first = String::from_utf8_lossy(lines(message).next().unwrap_or_default()).into_owned();
    match status(message) {
        Some(_) => {
            let of = cseq(message).map(|(_, method)| format!(" to {method}")).unwrap_or_default();
            format!("{}{of}", first.trim_start_matches("SIP/2.0 "))
        }
        None => first.trim_end_matches(" SIP/2.0").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:echo@h SIP/2.0\r\nv: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nVia: c\r\n\
        f: \"a;tag=no\" <sip:a@b;tag=no>;TAG=c1 ;x\r\ni : call-1\r\nCSeq: 7 INVITE\r\n\r\nv=0\r\n";

    #[test]
    fn fields_are_found_under_both_names_and_never_in_the_body() {
        assert_eq!(call_id(INVITE), Some(&b"call-1"[..]));
        assert_eq!(cseq(INVITE), Some((7, "INVITE".to_owned())));
        assert_eq!(header(INVITE, "v=0"), None);
        assert_eq!(header(INVITE, "From").and_then(tag), Some(&b"c1"[..]));
        assert_eq!(header(INVITE, "From").map(uri).as_deref(), Some("sip:a@b;tag=no"));
        assert_eq!(hops(INVITE), 3);
        assert_eq!(tag(b"<sip:a@b>"), None);
        assert_eq!((tag(b"sip:a@b;tag=9"), uri(b"sip:a@b;tag=9").as_str()), (Some(&b"9"[..]), "sip:a@b"));
    }

    #[test]
    fn a_message_is_summed_up() {
        assert_eq!(title(INVITE), "INVITE sip:echo@h");
        assert_eq!(title(b"SIP/2.0 200 OK\r\nCSeq: 7 BYE\r\n\r\n"), "200 OK to BYE");
        assert_eq!((status(INVITE), status(b"SIP/2.0 486 Busy")), (None, Some(486)));
    }

    #[test]
    fn noise_says_nothing() {
        for noise in [&b""[..], b"\r\n\r\n", b"SIP/2.0 ", b":", b"x\r\n:\r\ni", b"\xff\xfe"] {
            assert_eq!((call_id(noise), cseq(noise)), (None, None));
            let _ = title(noise);
        }
    }
}
