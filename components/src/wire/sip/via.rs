//! One hop of the Via header.

use super::grammar::{BadGrammar, is_token, params, share, skip_blanks, trim, unquote};
use super::host::{parse_ip, split_host_port};
use crate::wire::text::PushText;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// A hop that a message has taken (RFC 3261 section 20.42).
#[derive(Clone, Debug)]
pub struct Via {
    /// The transport as written, `UDP` for example.
    pub transport: Bytes,
    /// The host of sent-by as written, without the brackets of an IPv6 reference.
    pub host: Bytes,
    /// The port of sent-by, if one is written.
    pub port: Option<u16>,
    /// The transaction's branch.
    pub branch: Option<Bytes>,
    /// Whether `rport` is present, with or without a value (RFC 3581).
    pub rport: bool,
    /// The `received` parameter: where the request really came from.
    pub received: Option<Bytes>,
    text: Bytes,
    params_at: usize,
}

impl Via {
    /// Parses one hop, without the commas of a list.
    pub(crate) fn parse(text: Bytes) -> Result<Self, BadGrammar> {
        if params(&text, params_start(&text)).any(|param| param.is_err()) {
            return Err(BadGrammar);
        }
        Self::parse_lenient(text)
    }

    /// Parses one hop as far as its parameters can be read: enough to answer it.
    pub(crate) fn parse_lenient(text: Bytes) -> Result<Self, BadGrammar> {
        let params_at = params_start(&text);
        let mut fields = text.get(..params_at).unwrap_or_default().splitn(3, |&octet| octet == b'/').map(trim);
        let (Some(name), Some(version), Some(rest)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(BadGrammar);
        };
        let blank = rest.iter().position(|octet| b" \t".contains(octet)).ok_or(BadGrammar)?;
        let (transport, sent_by) = rest.split_at_checked(blank).ok_or(BadGrammar)?;
        if ![name, version, transport].into_iter().all(is_token) {
            return Err(BadGrammar);
        }
        let sent_by = sent_by.get(skip_blanks(sent_by, 0)..).unwrap_or_default();
        let (host, port) = split_host_port(sent_by).ok_or(BadGrammar)?;
        let (transport, host) = (share(&text, transport), share(&text, host));
        let mut via =
            Self { transport, host, port, branch: None, rport: false, received: None, text: Bytes::new(), params_at };
        for param in params(&text, params_at).flatten() {
            let value = || param.value.map(|value| unquote(&share(&text, value)));
            if param.is("branch") {
                via.branch = via.branch.or_else(value);
            } else if param.is("received") {
                via.received = via.received.or_else(value);
            } else if param.is("rport") {
                via.rport = true;
            }
        }
        via.text = text;
        Ok(via)
    }

    /// Whether the branch is one of RFC 3261 (section 8.1.1.7), not of an older sender.
    pub fn has_magic_cookie(&self) -> bool {
        self.branch.as_ref().is_some_and(|branch| branch.len() > 7 && branch.starts_with(b"z9hG4bK"))
    }

    /// Whether the transport keeps order and retransmits by itself.
    pub fn is_reliable(&self) -> bool {
        !self.transport.eq_ignore_ascii_case(b"UDP")
    }

    /// The host of sent-by as an address, if it is a literal.
    pub fn ip(&self) -> Option<IpAddr> {
        parse_ip(&self.host)
    }

    /// The port of sent-by, or the one that its transport implies (RFC 3261 section 18.2.2).
    pub fn port_or_default(&self) -> u16 {
        let is = |name: &[u8]| self.transport.eq_ignore_ascii_case(name);
        self.port.unwrap_or(if is(b"TLS") || is(b"WSS") { 5061 } else { 5060 })
    }

    /// A parameter's value, without quotes; empty for one without a value.
    pub fn param(&self, name: &str) -> Option<Bytes> {
        let found = params(&self.text, self.params_at).flatten().find(|param| param.is(name))?;
        Some(found.value.map(|value| unquote(&share(&self.text, value))).unwrap_or_default())
    }

    /// The hop as written.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// Writes the hop as a response carries it: `received` where the source is not what sent-by says, or `rport` asks
    /// for it; `rport` filled (RFC 3261 section 18.2.1, RFC 3581 section 4). Values that the sender put there are
    /// dropped.
    pub(crate) fn write_received(&self, source: SocketAddr, out: &mut Vec<u8>) {
        out.extend_from_slice(trim(self.text.get(..self.params_at).unwrap_or_default()));
        for param in params(&self.text, self.params_at).flatten() {
            if !param.is("received") && !param.is("rport") {
                out.extend_from_slice(self.text.get(param.start..param.end).unwrap_or_default());
            }
        }
        let ip = source.ip().to_canonical();
        if self.rport {
            out.push_text(";rport=");
            out.push_number(source.port().into());
        }
        if self.rport || self.ip() != Some(ip) {
            out.push_text(";received=");
            out.push_ip(ip);
        }
    }
}

fn params_start(text: &[u8]) -> usize {
    text.iter().position(|&octet| octet == b';').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn via(text: &str) -> Via {
        Via::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn the_parts_are_found() {
        let one = via(
            "SIP  / 2.0  / TCP     spindle.example.com : 5070  ;\t branch  =   z9hG4bK9ikj8; RPORT;maddr=224.2.0.1",
        );
        assert_eq!(
            (one.transport.as_ref(), one.host.as_ref(), one.port),
            (b"TCP".as_slice(), b"spindle.example.com".as_slice(), Some(5070))
        );
        assert!(one.rport && one.has_magic_cookie() && one.is_reliable());
        assert_eq!(one.param("maddr").unwrap(), "224.2.0.1");
        let six = via("SIP/2.0/TLS [2001:db8::9]:5061;branch=390skdjuw;received=[::1];rport=9");
        assert_eq!((six.ip(), six.has_magic_cookie(), six.rport), ("2001:db8::9".parse().ok(), false, true));
        assert_eq!((via("SIP/2.0/TLS h").port_or_default(), via("SIP/2.0/UDP h").port_or_default()), (5061, 5060));
        assert!(!via("SIP/2.0/UDP h;branch=z9hG4bK").has_magic_cookie(), "the cookie alone identifies nothing");
    }

    #[test]
    fn what_is_no_hop_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0 h",
            "SIP/2.0/UDP h;;,;,,",
            "SIP/2.0/UDP h;branch=",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP a b",
            "/2.0/UDP h",
            "SIP/2.0/UDP h i;x",
        ] {
            assert!(Via::parse(text.to_owned().into()).is_err(), "{text}");
        }
    }

    #[test]
    fn received_and_rport_are_filled() {
        let table = [
            (
                "SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKk",
                "192.0.2.1:9988",
                ";branch=z9hG4bKk;rport=9988;received=192.0.2.1",
            ),
            ("SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKk", "10.1.1.1:9", ";branch=z9hG4bKk"),
            (
                "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKk;rport",
                "10.1.1.1:4540",
                ";branch=z9hG4bKk;rport=4540;received=10.1.1.1",
            ),
            (
                "SIP/2.0/UDP 10.1.1.1:4540;received=6.6.6.6;rport=66;x",
                "[::ffff:10.1.1.1]:5",
                ";x;rport=5;received=10.1.1.1",
            ),
            ("SIP/2.0/UDP 10.1.1.1:4540 ;x=1", "[2001:db8::5]:5", ";x=1;received=2001:db8::5"),
        ];
        for (text, source, tail) in table {
            let mut out = Vec::new();
            via(text).write_received(source.parse().unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("SIP/2.0/UDP 10.1.1.1:4540{tail}"), "{text}");
        }
        let mut out = Vec::new();
        via("SIP/2.0/UDP host.example;branch=z9hG4bKk").write_received("10.1.1.1:5060".parse().unwrap(), &mut out);
        assert!(out.ends_with(b";received=10.1.1.1"), "a name is never trusted to be the source");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes: Vec<u8>) {
            let _ = Via::parse(bytes.into());
        }

        #[test]
        fn we_agree_with_sipx(text in "SIP ?/ ?2.0/[A-Z]{2,3} {1,2}([a-z.]{1,5}|\\[::1\\]|1.2.3.4)( ?: ?[0-9]{1,6})?( ?; ?(branch|received|rport|ttl)( ?= ?[a-zA-Z0-9:]{1,9})?){0,3}") {
            if let (Ok(ours), Ok(theirs)) = (Via::parse(Bytes::copy_from_slice(text.as_bytes())), sipx_sip::Via::parse_one(text.as_bytes())) {
                prop_assert_eq!(&ours.transport[..], &theirs.transport[..]);
                prop_assert_eq!(ours.port, theirs.port);
                prop_assert_eq!(ours.rport, theirs.rport().is_some());
            }
        }
    }
}
