//! Where media goes: the `c=` lines (RFC 8866 section 5.7).

use std::net::{IpAddr, Ipv4Addr};

/// What a `c=` line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// An address.
    Address(IpAddr),
    /// A host name. Names are not resolved here: media is sent to where it comes from.
    Name,
    /// Nothing that media can be sent to: another kind of network, an address that is not of the family it claims, a
    /// group or broadcast address, or no name.
    Unusable,
}

impl Connection {
    /// Reads the value of a `c=` line.
    pub(crate) fn parse(value: &str) -> Self {
        let mut words = value.split_ascii_whitespace();
        let (Some("IN"), Some(family), Some(address)) = (words.next(), words.next(), words.next()) else {
            return Self::Unusable;
        };
        let is_v4 = match family {
            "IP4" => true,
            "IP6" => false,
            _ => return Self::Unusable,
        };
        let address = address.split('/').next().unwrap_or_default();
        match address.parse::<IpAddr>() {
            Ok(ip) if ip.is_ipv4() != is_v4 || ip.is_multicast() || ip == Ipv4Addr::BROADCAST => Self::Unusable,
            Ok(ip) => Self::Address(ip),
            Err(_) if is_host_name(address) => Self::Name,
            Err(_) => Self::Unusable,
        }
    }

    /// Whether media can go there from an address of this family. The null address of either family is the old way to
    /// hold (RFC 3264 section 8.4).
    pub(crate) fn is_usable_from(self, local: IpAddr) -> bool {
        match self {
            Self::Address(ip) => ip.is_unspecified() || ip.is_ipv4() == local.is_ipv4(),
            Self::Name => true,
            Self::Unusable => false,
        }
    }

    /// The address; the null address of a host name.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Address(ip) => Some(ip),
            Self::Name => Some(Ipv4Addr::UNSPECIFIED.into()),
            Self::Unusable => None,
        }
    }

    /// The connections of a description: that of the session, then one for each `m=` line, where they have one.
    pub(crate) fn of_each_section(text: &str) -> Vec<Option<Self>> {
        let mut sections = vec![None];
        // Only the first two octets of each line are looked at: a description is read for each call.
        for line in text.as_bytes().split(|octet| *octet == b'\n') {
            match line {
                [b'm', b'=', ..] => sections.push(None),
                [b'c', b'=', value @ ..] => {
                    if let (Some(last), Ok(value)) = (sections.last_mut(), std::str::from_utf8(value)) {
                        *last = Some(Self::parse(value));
                    }
                }
                _ => {}
            }
        }
        sections
    }
}

/// Labels of letters, digits and inner hyphens, with dots between (RFC 1123 section 2.1); the last one is no number.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_number = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_an_address_of_its_family_or_a_name_or_of_no_use() {
        for (value, connection) in [
            ("IN IP4 192.0.2.1", Connection::Address("192.0.2.1".parse().unwrap())),
            ("IN IP4 192.0.2.1/127", Connection::Address("192.0.2.1".parse().unwrap())),
            ("IN  IP6 2001:db8::1", Connection::Address("2001:db8::1".parse().unwrap())),
            ("IN IP4 media.example.com", Connection::Name),
            ("IN IP6 a-1.example.", Connection::Name),
            ("IN IP4 2001:db8::1", Connection::Unusable),
            ("IN IP6 192.0.2.1", Connection::Unusable),
            ("AF IP4 192.0.2.1", Connection::Unusable),
            ("IN IP7 192.0.2.1", Connection::Unusable),
            ("IN IP4 224.2.1.1/127", Connection::Unusable),
            ("IN IP4 255.255.255.255", Connection::Unusable),
            ("IN IP6 ff02::1", Connection::Unusable),
            ("IN IP4 300.1.2.3", Connection::Unusable),
            ("IN IP4 -", Connection::Unusable),
            ("IN IP4 a..b", Connection::Unusable),
            ("IN IP4 not!a!name", Connection::Unusable),
            ("IN IP4", Connection::Unusable),
            ("", Connection::Unusable),
        ] {
            assert_eq!(Connection::parse(value), connection, "{value}");
        }
    }
}
