//! The network threads of a switch: how they are set up for worlds that are ready.

use super::prepare::Beginnings;
use super::world_of_message;
use crate::config::{Config, sip_limits};
use crate::net::{Epoch, Marks, Net, NetConfig, NetError, RingSizes, Sockets, TcpLimits, WorldEdge, monotonic_ns};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// The worlds' time on this machine's clock: that of the first, from which the others' differ by some ticks at most.
fn epoch_of(beginnings: &[Beginnings]) -> Epoch {
    let lived_ms = beginnings.first().map_or(0, |world| world.lived_ms);
    Epoch::at_ns((monotonic_ns() as i64).saturating_sub_unsigned(lived_ms.saturating_mul(1_000_000)))
}

/// Prepares the network for worlds that are ready; it begins with [`Net::open`]. `turn` distinguishes the TCP
/// connections of one life from those of another.
pub(super) fn prepare_net(
    config: &Config,
    beginnings: &[Beginnings],
    turn: u64,
    sockets: Sockets,
) -> Result<(Net, Vec<WorldEdge>), NetError> {
    let count = beginnings.len();
    let router = Arc::new(move |message: &_| world_of_message(message, count));
    let network = net_config(config, beginnings);
    let conn_base = network.conn_base | (turn << 32);
    Net::prepare(NetConfig { conn_base, ..network }, epoch_of(beginnings), router, sockets)
}

fn net_config(config: &Config, beginnings: &[Beginnings]) -> NetConfig {
    let network = &config.network;
    let in_use = beginnings.iter().enumerate().flat_map(|(world, of)| of.ports.iter().map(move |port| (world, *port)));
    let life = beginnings.iter().map(|world| u64::from(world.epoch)).max().unwrap_or(0);
    NetConfig {
        sip: network.sip.iter().map(|listen| (listen.transport, listen.address)).collect(),
        rtp_ports: (network.rtp_ports.first, network.rtp_ports.last),
        rtp_bind: rtp_bind(network.sip.iter().map(|listen| listen.address.ip())),
        advertised: config.sip.advertised_address,
        worlds: usize::from(network.worlds.max(1)),
        rtp_threads: usize::from(network.rtp_threads.max(1)),
        port_stock: network.rtp_port_stock as usize,
        marks: Marks {
            signalling: network.dscp_signalling,
            voice: network.dscp_voice,
            video: network.dscp_video,
            expedited: network.dscp_expedited,
        },
        limits: sip_limits(&config.sip),
        tcp: TcpLimits {
            connections_max: network.tcp_connections_max as usize,
            idle: Duration::from_secs(u64::from(network.tcp_idle_s)),
            ..TcpLimits::default()
        },
        rings: RingSizes { pool: network.packet_buffers as usize, ..RingSizes::default() },
        in_use: in_use.collect(),
        conn_base: life << 40,
        ..NetConfig::default()
    }
}

/// The address for RTP, by those for SIP: the same if there is one, as that is the one that descriptions name; all of
/// them if there are several.
fn rtp_bind(mut sip: impl Iterator<Item = IpAddr>) -> IpAddr {
    let all = Ipv6Addr::UNSPECIFIED.into();
    sip.next().filter(|first| sip.all(|other| other == *first)).unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_is_bound_to_the_one_address_of_sip() {
        let bind = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            rtp_bind(addresses.into_iter()).to_string()
        };
        assert_eq!(bind(&["127.0.0.1"]), "127.0.0.1");
        assert_eq!(bind(&["192.0.2.1", "192.0.2.1"]), "192.0.2.1", "UDP and TCP");
        assert_eq!(bind(&["0.0.0.0"]), "0.0.0.0");
        assert_eq!(bind(&["0.0.0.0", "::"]), "::");
        assert_eq!(bind(&["192.0.2.1", "127.0.0.1"]), "::");
        assert_eq!(bind(&[]), "::");
    }
}
