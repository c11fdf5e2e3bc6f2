//! Whether two URIs name the same resource (RFC 3261 section 19.1.4).

use super::{Scheme, Uri};

/// Names and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Parameters that must stand in both URIs or in neither.
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri {
    /// Whether it is equivalent to another one by RFC 3261 section 19.1.4: the case of scheme, host and parameters, the
    /// order of parameters and header fields, and the escaping of octets that need none do not count. The relation is
    /// not transitive, so it makes no key.
    ///
    /// ```
    /// use ringworld_components::wire::sip::Uri;
    /// let uri = |text: &'static str| Uri::parse(text.into()).unwrap();
    /// assert!(uri("sip:%61lice@atlanta.com;transport=TCP").is_equivalent(&uri("sip:alice@AtLanTa.CoM;Transport=tcp")));
    /// assert!(!uri("sip:bob@biloxi.com").is_equivalent(&uri("sip:bob@biloxi.com:5060")));
    /// ```
    pub fn is_equivalent(&self, other: &Uri) -> bool {
        match (self.scheme(), other.scheme()) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => {
                plain(self.userinfo()) == plain(other.userinfo())
                    && self.userinfo().is_some() == other.userinfo().is_some()
                    && has_same_host(self, other)
                    && self.port() == other.port()
                    && have_matching_params(self, other)
                    && headers_of(self) == headers_of(other)
            }
            // RFC 3966 section 5: without regard to case and to visual separators.
            (Scheme::Tel, Scheme::Tel) => number_of(self) == number_of(other),
            _ => self == other,
        }
    }
}

/// The octets as they compare: those that need no escape without it, the digits of other escapes in upper case.
fn plain(text: Option<&[u8]>) -> Vec<u8> {
    let text = text.unwrap_or_default();
    let digit = |at: usize| text.get(at).and_then(|&octet| char::from(octet).to_digit(16));
    let mut octets = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        at += 1;
        let escaped = if octet == b'%' { digit(at).zip(digit(at + 1)) } else { None };
        let Some((high, low)) = escaped else {
            octets.push(octet);
            continue;
        };
        at += 2;
        let value = (high << 4 | low) as u8;
        if value.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&value) {
            octets.push(value);
        } else {
            octets.extend_from_slice(format!("%{value:02X}").as_bytes());
        }
    }
    octets
}

fn lower(text: &[u8]) -> Vec<u8> {
    plain(Some(text)).to_ascii_lowercase()
}

fn has_same_host(one: &Uri, other: &Uri) -> bool {
    match (one.ip(), other.ip()) {
        (Some(one), Some(other)) => one == other,
        _ => one.host().eq_ignore_ascii_case(&other.host()),
    }
}

/// The names and values of `name=value` pieces, in lower case.
fn pairs(text: &[u8], separator: u8) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    text.split(move |&octet| octet == separator).filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = pair.iter().position(|&octet| octet == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(equals);
        (lower(name), lower(value.get(1..).unwrap_or_default()))
    })
}

fn have_matching_params(one: &Uri, other: &Uri) -> bool {
    let (ours, theirs): (Pairs, Pairs) = (pairs(one.params(), b';').collect(), pairs(other.params(), b';').collect());
    let fits_in = |(name, value): &(Vec<u8>, Vec<u8>), others: &[(Vec<u8>, Vec<u8>)]| {
        let found = others.iter().find(|(other, _)| other == name);
        found.map_or(!NEVER_IGNORED.iter().any(|kept| kept.as_bytes() == name), |(_, other)| other == value)
    };
    ours.iter().all(|param| fits_in(param, &theirs)) && theirs.iter().all(|param| fits_in(param, &ours))
}

/// Header fields are never ignored; their order is.
fn headers_of(uri: &Uri) -> Pairs {
    let mut headers: Pairs = pairs(uri.header_fields(), b'&').collect();
    headers.sort_unstable();
    headers
}

fn number_of(uri: &Uri) -> (Vec<u8>, Pairs) {
    let digits = lower(&uri.user().unwrap_or_default());
    let mut params: Pairs = pairs(uri.params(), b';').collect();
    params.sort_unstable();
    (digits.into_iter().filter(|octet| !b"-.()".contains(octet)).collect(), params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text.to_owned().into()).unwrap_or_else(|_| panic!("{text}"))
    }

    fn assert_all(pairs: &[(&str, &str)], expected: bool) {
        for (one, other) in pairs {
            assert_eq!(uri(one).is_equivalent(&uri(other)), expected, "{one} {other}");
            assert_eq!(uri(other).is_equivalent(&uri(one)), expected, "{other} {one}");
        }
    }

    #[test]
    fn uris_that_section_19_1_4_calls_equivalent_are() {
        assert_all(
            &[
                ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
                ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
                ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
                (
                    "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                    "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
                ),
                (
                    "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                    "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
                ),
                ("SIP:a@h", "sip:a@H"),
                ("sip:a%3bb@h", "sip:a%3Bb@h"),
                ("sip:a@[2001:DB8::1]:5070", "sip:a@[2001:db8:0:0::1]:5070"),
                ("tel:+1-201-555-0123", "TEL:+12015550123"),
            ],
            true,
        );
    }

    #[test]
    fn uris_that_section_19_1_4_tells_apart_are_not() {
        assert_all(
            &[
                ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
                ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
                ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
                ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
                ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
                ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
                ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
                ("sip:a@h", "sips:a@h"),
                ("sip:a@h", "sip:h"),
                ("sip:a:pw@h", "sip:a@h"),
                ("sip:a@h;maddr=192.0.2.1", "sip:a@h"),
                ("sip:a%3Bb@h", "sip:a;b@h"),
                ("tel:+12015550123", "tel:+12015550123;ext=1"),
                ("mailto:a@h", "mailto:a@H"),
            ],
            false,
        );
    }
}
