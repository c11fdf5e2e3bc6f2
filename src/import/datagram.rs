//! What frames carry: UDP datagrams and TCP segments, out of Ethernet (with VLAN tags), Linux cooked captures, PPPoE, bare
//! IP and IP within IP, put together again where IP had cut them.

use super::account::Account;
use super::capture::Frame;
use super::half::Segment;
use etherparse::defrag::IpDefragPool;
use etherparse::{EtherType, IpNumber, NetSlice, SlicedPacket, TcpSlice, TransportSlice, UdpSlice};
use pcap_file::DataLink;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a datagram may wait for its fragments (RFC 8200 section 4.5).
const FRAGMENT_PATIENCE: Duration = Duration::from_secs(60);

/// Datagrams that may wait for fragments; the capture may hold an attack.
const FRAGMENTED_MAX: usize = 4_096;

/// How many tunnels may lie around a packet.
const TUNNELS_MAX: u8 = 4;

/// A PPPoE session (RFC 2516), and the PPP protocols of IP in it.
const PPPOE_SESSION: EtherType = EtherType(0x8864);
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// The header of a Linux cooked capture of the second version.
const COOKED_V2_BYTES: usize = 20;

/// A datagram or a segment.
pub(super) struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub what: Carried,
}

/// What it carries.
pub(super) enum Carried {
    Udp(Vec<u8>),
    Tcp(Segment),
}

type Key = (IpAddr, IpAddr, u32);

/// Unwraps frames.
#[derive(Default)]
pub(super) struct Unwrapper {
    pool: IpDefragPool<Duration>,
    /// How many fragments of each datagram wait, and since when.
    waiting: BTreeMap<Key, (u64, Duration)>,
}

impl Unwrapper {
    pub fn unwrap(&mut self, frame: &Frame, account: &mut Account) -> Option<Datagram> {
        if frame.is_cut {
            account.cut_short += 1;
            return None;
        }
        let bytes = frame.bytes.as_slice();
        let sliced = match frame.link {
            DataLink::ETHERNET => SlicedPacket::from_ethernet(bytes),
            DataLink::LINUX_SLL => SlicedPacket::from_linux_sll(bytes),
            DataLink::LINUX_SLL2 => match bytes.split_at_checked(COOKED_V2_BYTES) {
                Some((&[high, low, ..], payload)) => {
                    SlicedPacket::from_ether_type(EtherType(u16::from_be_bytes([high, low])), payload)
                }
                _ => return count(&mut account.not_ip),
            },
            DataLink::NULL | DataLink::LOOP => SlicedPacket::from_ip(bytes.get(4..).unwrap_or_default()),
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => SlicedPacket::from_ip(bytes),
            other => {
                *account.unknown_links.entry(format!("{other:?}")).or_default() += 1;
                return None;
            }
        };
        let Ok(packet) = sliced else { return count(&mut account.malformed) };
        self.read(&packet, frame.at, TUNNELS_MAX, account)
    }

    fn read(
        &mut self,
        packet: &SlicedPacket<'_>,
        at: Duration,
        tunnels: u8,
        account: &mut Account,
    ) -> Option<Datagram> {
        if let (Some(inner), Some(left)) = (inner_ip(packet), tunnels.checked_sub(1)) {
            account.tunnelled += 1;
            return self.read_ip(inner, at, left, account);
        }
        let (from, to) = match &packet.net {
            Some(NetSlice::Ipv4(ip)) => {
                (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
            }
            Some(NetSlice::Ipv6(ip)) => {
                (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
            }
            _ => return count(&mut account.not_ip),
        };
        if let Some(key) = fragment_key(packet, from, to) {
            return self.gather(packet, key, at, tunnels, account);
        }
        match &packet.transport {
            Some(TransportSlice::Udp(udp)) => Some(of_udp(from, to, udp)),
            Some(TransportSlice::Tcp(tcp)) => Some(of_tcp(from, to, tcp)),
            _ => count(&mut account.other_protocols),
        }
    }

    fn read_ip(&mut self, bytes: &[u8], at: Duration, tunnels: u8, account: &mut Account) -> Option<Datagram> {
        match SlicedPacket::from_ip(bytes) {
            Ok(packet) => self.read(&packet, at, tunnels, account),
            Err(_) => count(&mut account.malformed),
        }
    }

    /// A fragment: of what was gathered before it may make a whole.
    fn gather(
        &mut self,
        packet: &SlicedPacket<'_>,
        key: Key,
        at: Duration,
        tunnels: u8,
        account: &mut Account,
    ) -> Option<Datagram> {
        account.fragments += 1;
        self.waiting.entry(key).or_insert((0, at)).0 += 1;
        if self.waiting.len() > FRAGMENTED_MAX {
            let oldest = at.saturating_sub(FRAGMENT_PATIENCE);
            self.pool.retain(|&since| since >= oldest);
            self.waiting.retain(|_, (_, since)| *since >= oldest);
        }
        match self.pool.process_sliced_packet(packet, at, ()) {
            Ok(Some(whole)) => {
                self.waiting.remove(&key);
                account.reassembled += 1;
                let (from, to) = (key.0, key.1);
                match whole.ip_number {
                    IpNumber::UDP => UdpSlice::from_slice(&whole.payload).ok().map(|udp| of_udp(from, to, &udp)),
                    IpNumber::TCP => TcpSlice::from_slice(&whole.payload).ok().map(|tcp| of_tcp(from, to, &tcp)),
                    IpNumber::IPV4 | IpNumber::IPV6 if tunnels > 0 => {
                        account.tunnelled += 1;
                        self.read_ip(&whole.payload, at, tunnels - 1, account)
                    }
                    _ => count(&mut account.other_protocols),
                }
            }
            Ok(None) => None,
            Err(_) => count(&mut account.malformed),
        }
    }

    /// Counts what never became whole.
    pub fn finish(&self, account: &mut Account) {
        account.fragments_lost += self.waiting.values().map(|(count, _)| count).sum::<u64>();
    }
}

fn count(counter: &mut u64) -> Option<Datagram> {
    *counter += 1;
    None
}

/// The IP packet that a packet carries: in a PPPoE session, or IP within IP (RFC 2003, RFC 4213).
fn inner_ip<'p>(packet: &SlicedPacket<'p>) -> Option<&'p [u8]> {
    if packet.net.is_none() {
        let pppoe = packet.ether_payload().filter(|payload| payload.ether_type == PPPOE_SESSION)?;
        let [_, _, _, _, high, low, protocol @ ..] = pppoe.payload.get(..8)? else { return None };
        let protocol = u16::from_be_bytes(protocol.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let inner = pppoe.payload.get(8..length.checked_add(6)?)?;
        return matches!(protocol, PPP_IPV4 | PPP_IPV6).then_some(inner);
    }
    let payload = packet.ip_payload()?;
    let is_ip = !payload.fragmented && matches!(payload.ip_number, IpNumber::IPV4 | IpNumber::IPV6);
    is_ip.then_some(payload.payload)
}

/// What the fragments of one datagram have in common; `None` of a whole one.
fn fragment_key(packet: &SlicedPacket<'_>, from: IpAddr, to: IpAddr) -> Option<Key> {
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) if ip.header().is_fragmenting_payload() => {
            Some((from, to, u32::from(ip.header().identification())))
        }
        Some(NetSlice::Ipv6(ip)) => ip.extensions().clone().into_iter().find_map(|extension| match extension {
            etherparse::Ipv6ExtensionSlice::Fragment(fragment) if fragment.is_fragmenting_payload() => {
                Some((from, to, fragment.identification()))
            }
            _ => None,
        }),
        _ => None,
    }
}

fn of_udp(from: IpAddr, to: IpAddr, udp: &UdpSlice<'_>) -> Datagram {
    Datagram {
        from: SocketAddr::new(from, udp.source_port()),
        to: SocketAddr::new(to, udp.destination_port()),
        what: Carried::Udp(udp.payload().to_vec()),
    }
}

fn of_tcp(from: IpAddr, to: IpAddr, tcp: &TcpSlice<'_>) -> Datagram {
    Datagram {
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        what: Carried::Tcp(Segment {
            sequence: tcp.sequence_number(),
            acknowledges: tcp.ack().then(|| tcp.acknowledgment_number()),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            bytes: tcp.payload().to_vec(),
        }),
    }
}
