//! The addresses of the switch and the agents.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// The switch's address.
pub(crate) const SWITCH: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5060));

/// What a NAT adds to a port in each generation of its bindings: more than there are RTP ports of an agent.
const STEP: u16 = 2_000;

/// Whether the agent is behind a NAT.
pub(crate) fn is_behind_nat(agent: u32) -> bool {
    agent % 3 == 2
}

fn ip(first: u8, second: u8, agent: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(first, second, (agent >> 8) as u8, agent as u8))
}

/// An agent's address as the agent knows it.
pub(crate) fn inside(agent: u32, port: u16) -> SocketAddr {
    if is_behind_nat(agent) { SocketAddr::new(ip(192, 168, agent), port) } else { outside(agent, port, 0) }
}

/// An agent's address as the switch sees it, in the `generation`-th state of its NAT (from 1).
pub(crate) fn outside(agent: u32, port: u16, generation: u16) -> SocketAddr {
    if is_behind_nat(agent) {
        SocketAddr::new(ip(45, 0, agent), port + generation * STEP)
    } else {
        SocketAddr::new(ip(10, 100, agent), port)
    }
}

/// The agent that the switch would reach at this address.
pub(super) fn agent_at(address: IpAddr, agents: usize) -> Option<u32> {
    let IpAddr::V4(address) = address else { return None };
    let [first, second, high, low] = address.octets();
    let agent = u32::from(high) << 8 | u32::from(low);
    let expected = if is_behind_nat(agent) { (45, 0) } else { (10, 100) };
    ((first, second) == expected && (agent as usize) < agents).then_some(agent)
}

/// The inner port that a packet for `address` is let through to.
pub(super) fn through(agent: u32, address: SocketAddr, generation: u16) -> Option<u16> {
    if is_behind_nat(agent) { address.port().checked_sub(generation * STEP) } else { Some(address.port()) }
}
