//! Cuts a stream into SIP messages (RFC 3261, section 18.3).

/// The longest message that is taken from a stream, in bytes.
const LONGEST_MESSAGE: usize = 65_536;

/// Takes the first whole message out of a stream, and drops keep-alives before it. The error says why the stream cannot
/// be cut any further.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, &'static str> {
    let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    buffer.drain(..blank);
    let whole = length_of_first(buffer)?;
    Ok(whole.filter(|&whole| buffer.len() >= whole).map(|whole| buffer.drain(..whole).collect()))
}

/// How long the message is that begins here; `Ok(None)` when its header is not complete.
pub fn length_of_first(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_MESSAGE { Err("header too long") } else { Ok(None) };
    };
    let head = bytes.get(..head_end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("not UTF-8")?;
    let is_length = |name: &str| name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l");
    let headers = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let (_, length) = headers.into_iter().find(|(name, _)| is_length(name.trim())).ok_or("no Content-Length")?;
    let length: usize = length.trim().parse().map_err(|_| "bad Content-Length")?;
    match length.checked_add(head_end + 4) {
        Some(whole) if whole <= LONGEST_MESSAGE => Ok(Some(whole)),
        _ => Err("message too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"SIP/2.0 200 OK\r\nVia: x\r\nl : 3\r\n\r\nabc";

    #[test]
    fn a_stream_is_cut_into_messages() {
        let mut stream = b"\r\n\r\n".to_vec();
        stream.extend(WHOLE);
        stream.extend(b"\r\n");
        stream.extend(WHOLE);
        let mut buffer = Vec::new();
        let mut messages = Vec::new();
        for byte in stream {
            buffer.push(byte);
            messages.extend(take(&mut buffer).unwrap());
        }
        assert_eq!(messages, [WHOLE, WHOLE]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_stream_without_lengths_is_an_error() {
        for bad in [
            &b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n"[..],
            b"SIP/2.0 200 OK\r\nl: 99999999999999999999\r\n\r\n",
            b"SIP/2.0 200 OK\r\nl: 18446744073709551615\r\n\r\n",
            b"\xff\xff\r\n\r\n",
        ] {
            assert!(take(&mut bad.to_vec()).is_err(), "{bad:?}");
        }
        assert!(take(&mut vec![b'x'; LONGEST_MESSAGE + 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn framing_never_panics(mut bytes: Vec<u8>) {
            let _ = take(&mut bytes);
        }
    }
}
