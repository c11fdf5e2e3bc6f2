//! Pieces of the header grammar (RFC 3261 section 25.1) over byte slices.

use bytes::Bytes;

/// Text that doesn't follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadGrammar;

/// Whether an octet may stand in a `token`.
pub(crate) fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether the text is a non-empty `token`.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&octet| is_token_octet(octet))
}

fn is_blank(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// The text without spaces and tabs at its ends.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// The first position at or after `at` that holds no space or tab.
pub(crate) fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&octet| is_blank(octet)) {
        at += 1;
    }
    at
}

/// `part` as a share of `whole`'s buffer; copied where it doesn't lie in it.
pub(crate) fn share(whole: &Bytes, part: &[u8]) -> Bytes {
    let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match offset.checked_add(part.len()) {
        Some(end) if offset < whole.len() && end <= whole.len() => whole.slice(offset..end),
        _ => Bytes::copy_from_slice(part),
    }
}

/// The position just past a quoted string that starts at `at`; none if it never ends.
pub(crate) fn quoted_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// A quoted string's content, escapes resolved; other text as it is.
pub(crate) fn unquote(text: &Bytes) -> Bytes {
    let [b'"', inner @ .., b'"'] = text.as_ref() else { return text.clone() };
    if !inner.contains(&b'\\') {
        return share(text, inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(&octet) = octets.next() {
        plain.push(if octet == b'\\' { octets.next().copied().unwrap_or(octet) } else { octet });
    }
    Bytes::from(plain)
}

/// The items of a comma-separated list, trimmed; commas in quoted strings and angle brackets don't separate. An item
/// that never closes its quote is an error and ends the list.
pub(crate) fn list_items(text: &[u8]) -> impl Iterator<Item = Result<&[u8], BadGrammar>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let (mut at, mut inside) = (0, false);
        while let Some(&octet) = text.get(at) {
            match octet {
                b'"' => match quoted_end(text, at) {
                    Some(end) => {
                        at = end;
                        continue;
                    }
                    None => return Some(Err(BadGrammar)),
                },
                b'<' => inside = true,
                b'>' => inside = false,
                b',' if !inside => {
                    rest = text.get(at + 1..);
                    break;
                }
                _ => {}
            }
            at += 1;
        }
        Some(Ok(trim(text.get(..at).unwrap_or_default())))
    })
}

/// One `;name` or `;name=value` of a header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Param<'a> {
    pub(crate) name: &'a [u8],
    /// As written, quotes included.
    pub(crate) value: Option<&'a [u8]>,
    /// Where the parameter starts (at its semicolon) in the text that was walked.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

impl Param<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Walks the parameters of `text` from `at` on; the first fault ends the walk.
pub(crate) fn params(text: &[u8], at: usize) -> impl Iterator<Item = Result<Param<'_>, BadGrammar>> {
    let mut at = Some(at);
    std::iter::from_fn(move || {
        let start = skip_blanks(text, at.take()?);
        if start >= text.len() {
            return None;
        }
        let param = one_param(text, start);
        at = param.as_ref().ok().map(|param| param.end);
        Some(param)
    })
}

fn one_param(text: &[u8], start: usize) -> Result<Param<'_>, BadGrammar> {
    if text.get(start) != Some(&b';') {
        return Err(BadGrammar);
    }
    let name_at = skip_blanks(text, start + 1);
    let name_end = run(text, name_at, is_token_octet);
    let name = text.get(name_at..name_end).filter(|name| !name.is_empty()).ok_or(BadGrammar)?;
    let equals = skip_blanks(text, name_end);
    if text.get(equals) != Some(&b'=') {
        return Ok(Param { name, value: None, start, end: name_end });
    }
    let value_at = skip_blanks(text, equals + 1);
    let end = match text.get(value_at) {
        Some(b'"') => quoted_end(text, value_at).ok_or(BadGrammar)?,
        // Wider than a token on purpose: addresses (`maddr`, `received`) and sloppy tags appear here.
        _ => {
            run(text, value_at, |octet| octet.is_ascii_graphic() && !matches!(octet, b';' | b',' | b'<' | b'>' | b'"'))
        }
    };
    let value = text.get(value_at..end).filter(|value| !value.is_empty()).ok_or(BadGrammar)?;
    Ok(Param { name, value: Some(value), start, end })
}

fn run(text: &[u8], mut at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    while text.get(at).is_some_and(|&octet| belongs(octet)) {
        at += 1;
    }
    at
}

/// Where `octet` stands first, from `from` on.
pub(crate) fn find(text: &[u8], from: usize, octet: u8) -> Option<usize> {
    text.get(from..)?.iter().position(|&other| other == octet).map(|at| at + from)
}

/// A decimal number; none where there is anything but digits, or none at all. Past `u64` it stays at the largest.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &octet| {
        octet.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(u64::from(octet - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        let text = br#" "Bell, A" <sip:a,b@c> , <sip:d> ,e"#;
        let items: Vec<_> = list_items(text).map(Result::unwrap).collect();
        assert_eq!(items, [br#""Bell, A" <sip:a,b@c>"#.as_slice(), b"<sip:d>", b"e"]);
        assert_eq!(list_items(b"a, \"b").collect::<Vec<_>>(), [Ok(b"a".as_slice()), Err(BadGrammar)]);
    }

    #[test]
    fn parameters_keep_their_places() {
        let text = b"x ; a = 1;B=\"q;\\\"\";lr";
        let all: Vec<_> = params(text, 1).map(Result::unwrap).collect();
        assert_eq!(
            all.iter().map(|p| (p.name, p.value)).collect::<Vec<_>>(),
            [(b"a".as_slice(), Some(b"1".as_slice())), (b"B", Some(b"\"q;\\\"\"")), (b"lr", None)]
        );
        assert!(all[1].is("b"));
        assert_eq!(&text[all[0].start..all[0].end], b"; a = 1");
        for bad in [";;", "; ", ";a=", ";a b", ";a=\"x", ";,"] {
            assert!(params(bad.as_bytes(), 0).any(|param| param.is_err()), "{bad}");
        }
    }

    #[test]
    fn quotes_are_removed_and_escapes_resolved() {
        for (text, plain) in [(r#""a\"b\\""#, r#"a"b\"#), ("plain", "plain"), (r#""""#, ""), (r#"""#, r#"""#)] {
            assert_eq!(unquote(&Bytes::from(text)), plain);
        }
    }

    #[test]
    fn numbers_saturate_and_refuse_signs() {
        assert_eq!(decimal(b"0070"), Some(70));
        assert_eq!(decimal(b"99999999999999999999999"), Some(u64::MAX));
        assert_eq!((decimal(b"-1"), decimal(b""), decimal(b"1 ")), (None, None, None));
    }

    #[test]
    fn a_part_is_shared_and_a_stranger_copied() {
        let whole = Bytes::from("abcdef");
        let part = share(&whole, &whole[2..4]);
        assert_eq!((part.as_ref(), part.as_ptr()), (b"cd".as_slice(), whole[2..].as_ptr()));
        assert_eq!(share(&whole, b"xyz"), "xyz");
        assert_eq!(share(&whole, &whole[6..]), "");
    }
}
