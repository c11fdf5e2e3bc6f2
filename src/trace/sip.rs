//! What the lines of a SIP message say, for people: of malformed messages, too, so nothing here parses more than it must.

use std::net::SocketAddr;

/// The value of the first header field of a name, or of its compact form.
pub(crate) fn header<'m>(message: &'m [u8], name: &str, compact: &str) -> Option<&'m [u8]> {
    lines(message).skip(1).find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (found, value) = line.split_at_checked(colon)?;
        let found = found.trim_ascii();
        let is_named = found.eq_ignore_ascii_case(name.as_bytes()) || found.eq_ignore_ascii_case(compact.as_bytes());
        is_named.then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// The lines before the body.
pub(crate) fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = message.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take_while(|line| !line.is_empty())
}

/// What comes behind the empty line.
pub(crate) fn body(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    end.and_then(|end| message.get(end + 4..)).unwrap_or_default()
}

/// The Call-ID.
pub(crate) fn call_id(message: &[u8]) -> Option<&[u8]> {
    header(message, "Call-ID", "i")
}

/// The status of a response; `None` of a request.
pub(crate) fn status(message: &[u8]) -> Option<u16> {
    let rest = message.strip_prefix(b"SIP/2.0 ")?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

/// The number and the method of CSeq.
pub(crate) fn cseq(message: &[u8]) -> Option<(u32, String)> {
    let value = std::str::from_utf8(header(message, "CSeq", "CSeq")?).ok()?;
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

/// What its session description says, in a few words: `sendonly, PCMU PCMA 101, 10.0.0.2:4000`.
pub(crate) fn description(message: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body(message)).into_owned();
    let line = |prefix: &str| body.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let mut media = line("m=audio ")?.split_ascii_whitespace();
    let port = media.next()?.split('/').next()?.to_owned();
    let formats = media.skip(1).map(|format| {
        let map = format!("a=rtpmap:{format} ");
        let encoding = line(&map).and_then(|map| map.split('/').next());
        match (encoding, format) {
            (Some(encoding), _) => encoding.to_owned(),
            (None, "0") => "PCMU".to_owned(),
            (None, "8") => "PCMA".to_owned(),
            (None, other) => other.to_owned(),
        }
    });
    let formats = formats.collect::<Vec<_>>().join(" ");
    let in_v6 = line("c=IN IP6 ").map(|host| format!("[{host}]"));
    let host = line("c=IN IP4 ").map(str::to_owned).or(in_v6).unwrap_or_else(|| "?".to_owned());
    let direction = body.lines().find_map(|line| {
        let name = line.trim().strip_prefix("a=")?;
        ["sendonly", "recvonly", "inactive"].contains(&name).then(|| format!("{name}, "))
    });
    Some(format!("{}{formats}, {host}:{port}", direction.unwrap_or_default()))
}

/// The RTP port of its audio.
pub(crate) fn audio_port(message: &[u8]) -> Option<u16> {
    let media = body(message).split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"m=audio "))?;
    let digits = media.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The payload type that it names for digits (RFC 4733).
pub(crate) fn digit_type(message: &[u8]) -> Option<u8> {
    body(message).split(|&byte| byte == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line.strip_prefix(b"a=rtpmap:")?).ok()?;
        let (number, encoding) = line.split_once(' ')?;
        let is_it = encoding.trim().to_ascii_lowercase().starts_with("telephone-event/");
        is_it.then(|| number.parse().ok()).flatten()
    })
}

/// Where its sender wants its audio.
pub(crate) fn audio_address(message: &[u8]) -> Option<SocketAddr> {
    let connection = body(message).split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"c=IN IP"))?;
    let ip = std::str::from_utf8(connection).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(SocketAddr::new(ip, audio_port(message)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:echo@h SIP/2.0\r\nf: \"a;tag=no\" <sip:a@b;tag=no>;TAG=c1 ;x\r\ni : call-1\r\n\
        CSeq: 7 INVITE\r\n\r\nv=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 4000 RTP/AVP 0 101\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";

    #[test]
    fn fields_are_found_under_both_names_and_never_in_the_body() {
        assert_eq!(call_id(INVITE), Some(&b"call-1"[..]));
        assert_eq!(cseq(INVITE), Some((7, "INVITE".to_owned())));
        assert_eq!(header(INVITE, "v=0", "c"), None);
        assert_eq!(header(INVITE, "From", "f").and_then(tag), Some(&b"c1"[..]));
        assert_eq!(tag(b"<sip:a@b>"), None);
        assert_eq!(tag(b"sip:a@b;tag=9"), Some(&b"9"[..]));
    }

    #[test]
    fn a_message_is_summed_up() {
        assert_eq!(title(INVITE), "INVITE sip:echo@h");
        let six = b"\r\n\r\nc=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 8\r\n";
        assert_eq!(description(six).as_deref(), Some("PCMA, [2001:db8::1]:4000"));
        assert_eq!(title(b"SIP/2.0 200 OK\r\nCSeq: 7 BYE\r\n\r\n"), "200 OK to BYE");
        assert_eq!(description(INVITE).as_deref(), Some("sendonly, PCMU telephone-event, 10.0.0.2:4000"));
        assert_eq!(audio_address(INVITE), Some("10.0.0.2:4000".parse().unwrap()));
        assert_eq!((digit_type(INVITE), digit_type(six)), (Some(101), None));
        assert_eq!((audio_port(INVITE), status(INVITE), status(b"SIP/2.0 486 Busy")), (Some(4000), None, Some(486)));
    }

    #[test]
    fn noise_says_nothing() {
        for noise in [&b""[..], b"\r\n\r\n", b"SIP/2.0 ", b":", b"x\r\n:\r\ni", b"\xff\xfe"] {
            assert_eq!((call_id(noise), description(noise), audio_port(noise)), (None, None, None));
            let _ = title(noise);
        }
    }
}
