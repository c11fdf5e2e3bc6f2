//! The callee of a call: parses what the user wrote and finds the address.

use super::Error;
use ringworld_components::edge::Transport;

/// RFC 3261 section 19.1.2.
const DEFAULT_PORT: &str = "5060";
const EXPECTED: &str = "NAME@HOST, NAME@HOST:PORT or sip:NAME@HOST:PORT;transport=tcp";

/// A called party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Callee {
    /// The whole as a SIP URI.
    pub uri: String,
    /// A host name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub transport: Transport,
}

impl Callee {
    /// Reads what the user wrote.
    pub fn parse(given: &str) -> Result<Self, Error> {
        let refused = |expected| Error::Address { given: given.to_owned(), expected };
        if given.trim().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:")) {
            return Err(refused("NAME@HOST or sip:NAME@HOST: TLS is not supported"));
        }
        Self::read(given).ok_or_else(|| refused(EXPECTED))
    }

    fn read(given: &str) -> Option<Self> {
        let rest = without_scheme(given);
        let (address, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let host_port = address.rsplit_once('@').map_or(address, |(_, host)| host);
        let (host, port) = match host_port.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(DEFAULT_PORT))?)
            }
            None => host_port.split_once(':').unwrap_or((host_port, DEFAULT_PORT)),
        };
        if host.is_empty() || !is_clean(rest) || (!host_port.starts_with('[') && host.contains(':')) {
            return None;
        }
        let port = port.parse::<u16>().ok().filter(|&port| port != 0)?;
        let mut transport = Transport::Udp;
        for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.eq_ignore_ascii_case("transport") {
                transport = match value.to_ascii_lowercase().as_str() {
                    "udp" => Transport::Udp,
                    "tcp" => Transport::Tcp,
                    _ => return None,
                };
            }
        }
        Some(Self { uri: format!("sip:{rest}"), host: host.to_owned(), port, transport })
    }
}

/// The calling party as a SIP URI; a bare name is one at our own `host`.
pub(super) fn caller(given: &str, host: std::net::IpAddr) -> Result<String, Error> {
    let rest = without_scheme(given);
    if rest.is_empty() || !is_clean(rest) {
        let expected = "NAME, NAME@HOST or sip:NAME@HOST";
        return Err(Error::Address { given: given.to_owned(), expected });
    }
    let host = match host {
        std::net::IpAddr::V4(host) => host.to_string(),
        std::net::IpAddr::V6(host) => format!("[{host}]"),
    };
    let is_bare_name = !rest.contains('@') && !given.starts_with("sip:");
    Ok(if is_bare_name { format!("sip:{rest}@{host}") } else { format!("sip:{rest}") })
}

fn without_scheme(given: &str) -> &str {
    given.trim().strip_prefix("sip:").unwrap_or(given.trim())
}

fn is_clean(text: &str) -> bool {
    text.is_ascii() && !text.contains(|c: char| c.is_ascii_control() || " <>\"?,".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &str) -> (String, String, u16, Transport) {
        let Callee { uri, host, port, transport } = Callee::parse(given).unwrap();
        (uri, host, port, transport)
    }

    #[test]
    fn all_ways_to_write_a_callee() {
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        assert_eq!(read("bob@example.org"), ("sip:bob@example.org".into(), "example.org".into(), 5060, udp));
        assert_eq!(read("sip:bob@10.0.0.1:5080"), ("sip:bob@10.0.0.1:5080".into(), "10.0.0.1".into(), 5080, udp));
        assert_eq!(
            read("sip:bob@[::1]:5080;transport=TCP"),
            ("sip:bob@[::1]:5080;transport=TCP".into(), "::1".into(), 5080, tcp)
        );
        assert_eq!(read("localhost"), ("sip:localhost".into(), "localhost".into(), 5060, udp));
        assert_eq!(read("bob@[::1]").2, 5060);
    }

    #[test]
    fn what_can_not_be_called_is_refused_with_an_example() {
        for given in [
            "",
            "sip:",
            "bob@",
            "bob@host:0",
            "bob@host:99999",
            "bob@host:x",
            "bob@::1",
            "bob@[::1",
            "bob@[host]",
            "bob smith@host",
            "bob@host;transport=tls",
            "sips:bob@host",
            "bob@host\r\nX: y",
            "<sip:bob@host>",
        ] {
            let error = Callee::parse(given).unwrap_err().to_string();
            assert!(error.contains("NAME@HOST"), "{given:?}: {error}");
        }
    }

    #[test]
    fn a_caller_may_be_a_bare_name() {
        let here = std::net::IpAddr::from([127, 0, 0, 1]);
        assert_eq!(caller("alice", here).unwrap(), "sip:alice@127.0.0.1");
        assert_eq!(caller("alice@home.example", here).unwrap(), "sip:alice@home.example");
        assert_eq!(caller("sip:alice@home.example", here).unwrap(), "sip:alice@home.example");
        assert_eq!(caller("alice", std::net::Ipv6Addr::LOCALHOST.into()).unwrap(), "sip:alice@[::1]");
        assert!(caller("a b", here).is_err() && caller("", here).is_err());
    }
}
