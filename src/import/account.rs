//! What was used of a capture, what was not, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// What was in a capture and how much of it could be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames read.
    pub frames: u64,
    /// Where the file was found damaged, and why; nothing behind it was used.
    pub damaged: Option<String>,
    /// Packets without a time, as simple blocks of pcapng have none.
    pub without_time: u64,
    /// Frames that come behind later ones.
    pub out_of_order: u64,
    /// Times that the clock of the capture was set, by more than frames can be out of order or a host can pause.
    pub clock_jumps: u64,
    /// Frames of which only the first bytes were captured.
    pub cut_short: u64,
    /// Frames of link types that are not known, by type.
    pub unknown_links: BTreeMap<String, u64>,
    /// Frames whose headers make no sense.
    pub malformed: u64,
    /// Frames that hold no IP.
    pub not_ip: u64,
    /// IP packets of other protocols than UDP and TCP.
    pub other_protocols: u64,
    /// Packets that were in a PPPoE session, or in another IP packet.
    pub tunnelled: u64,
    /// Fragments of IP packets.
    pub fragments: u64,
    /// Packets put together from them.
    pub reassembled: u64,
    /// Fragments of packets that never became whole.
    pub fragments_lost: u64,
    /// Datagrams and segments of others.
    pub not_ours: u64,
    /// TCP connections of the host.
    pub connections: u64,
    /// Connections whose beginning was not captured.
    pub joined_late: u64,
    /// Segments seen twice.
    pub segments_again: u64,
    /// Segments of no connection.
    pub segments_ignored: u64,
    /// Gaps in connections.
    pub gaps: u64,
    /// Bytes missing in them.
    pub bytes_lost: u64,
    /// Bytes of connections that belong to no whole message.
    pub bytes_skipped: u64,
    /// Times that a connection held something that is no SIP message.
    pub unframed: u64,
    /// SIP messages that the host received.
    pub sip_to_us: u64,
    /// SIP messages that it sent.
    pub sip_from_us: u64,
    /// SIP messages between others.
    pub sip_of_others: u64,
    /// Messages that it received and that are given to the engine.
    pub sip_used: u64,
    /// Responses that it received to requests that the engine does not make.
    pub responses_unused: u64,
    /// Packets that it received on a port that one of its session descriptions names.
    pub packets_used: u64,
    /// Packets that it received on other ports, or too early.
    pub packets_unused: u64,
    /// Packets that it sent from other ports than that of SIP.
    pub packets_from_us: u64,
    /// What the engine was asked to do because the host did it of its own accord, by what it is.
    pub commands: BTreeMap<String, u64>,
    /// How many SIP messages each address received.
    addresses: BTreeMap<SocketAddr, u64>,
}

/// Addresses that are counted separately, at most.
const ADDRESSES_MAX: usize = 10_000;

impl Account {
    pub(super) fn spoke_sip(&mut self, _from: SocketAddr, to: SocketAddr) {
        if self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(&to) {
            *self.addresses.entry(to).or_default() += 1;
        }
    }

    /// The addresses that received the most SIP messages, in words; `None` if none did.
    pub(super) fn busiest(&self) -> Option<String> {
        let mut addresses: Vec<_> = self.addresses.iter().collect();
        addresses.sort_by_key(|(address, count)| (u64::MAX - **count, **address));
        let named = addresses.iter().take(5).map(|(address, count)| format!("{address} ({count} messages)"));
        let named: Vec<String> = named.collect();
        (!named.is_empty()).then(|| named.join(", "))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![format!("{} frames read", self.frames)];
        if let Some(damaged) = &self.damaged {
            lines.push(format!("THE FILE IS DAMAGED {damaged}; nothing behind that was used"));
        }
        for (count, what) in [
            (self.cut_short, "frames were cut short by the capture (its snapshot length) and not used"),
            (self.without_time, "packets have no time and were not used"),
            (self.out_of_order, "frames stand behind later ones and were moved to their time"),
            (self.clock_jumps, "times the clock of the capture jumped, and the recording does not"),
            (self.malformed, "frames have headers that make no sense"),
            (self.not_ip, "frames hold no IP"),
            (self.other_protocols, "packets are neither UDP nor TCP"),
            (self.tunnelled, "packets were in a PPPoE session or in another IP packet"),
            (self.fragments, "fragments of IP packets"),
            (self.reassembled, "packets were put together from them"),
            (self.fragments_lost, "fragments belong to packets of which a part is missing"),
            (self.not_ours, "datagrams and segments are neither from the host nor to it"),
            (self.connections, "TCP connections with the host"),
            (self.joined_late, "of them began before the capture"),
            (self.segments_again, "segments came twice"),
            (self.segments_ignored, "segments belong to no connection"),
            (self.gaps, "gaps in connections"),
            (self.bytes_lost, "bytes are missing in them"),
            (self.bytes_skipped, "bytes of connections belong to no whole message"),
            (self.unframed, "times a connection held something else than SIP"),
            (self.sip_of_others, "SIP messages are between others"),
            (self.sip_to_us, "SIP messages to the host"),
            (self.sip_used, "of them are in the recording"),
            (self.responses_unused, "of them answer requests that the engine does not make"),
            (self.sip_from_us, "SIP messages from the host, to compare with"),
            (self.packets_used, "packets to its media ports are in the recording"),
            (self.packets_unused, "packets to ports that no call of the engine stands for, and not used"),
            (self.packets_from_us, "packets from it, which the engine makes by itself"),
        ] {
            if count > 0 {
                lines.push(format!("{count} {what}"));
            }
        }
        for (link, count) in &self.unknown_links {
            lines.push(format!("{count} frames are of the link type {link}, which is not known"));
        }
        for (what, count) in &self.commands {
            lines.push(format!("{count} times the engine was asked to {what}, as the host did"));
        }
        if self.sip_to_us > 0 && self.sip_from_us == 0 {
            lines.push("THE HOST'S OWN SIDE IS MISSING: there is nothing to compare the engine's answers with".into());
        }
        f.write_str(&lines.join("\n"))
    }
}
