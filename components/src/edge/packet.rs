//! RTP packets and the pool that their buffers live in.
//!
//! A buffer is allocated once. The network thread receives into it, moves its handle (a `Box`, eight bytes) through a
//! ring, the world reads it in place and either rewrites its header and moves it on to the sending ring or gives it
//! back. Ownership is the protocol: no payload is copied on the way and no buffer can be used twice.

use crate::wire::rtp::{self, RtpHeader};
use bevy_ecs::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};

/// The largest datagram taken from an RTP port, in bytes: more than the MTU of Ethernet, and than 200 ms of G.711, the
/// longest packet that a receiver should take (RFC 3551 section 4.2), with room for extensions. Larger ones are dropped
/// and counted.
pub const PACKET_BYTES_MAX: usize = 2_048;

/// One RTP or RTCP datagram, received or to be sent.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Our RTP port (the even one of the pair).
    pub port: u16,
    /// Whether it belongs to the RTCP port of the pair.
    pub is_rtcp: bool,
    /// The peer: where it came from, or where it goes.
    pub peer: SocketAddr,
    /// When it arrived, in microseconds since the world's beginning.
    pub arrived_us: u64,
    /// Whether its payload was made with state that is not recorded: a digest holds its header alone.
    pub is_opaque: bool,
    len: u16,
    bytes: [u8; PACKET_BYTES_MAX],
}

/// What moves through the rings in place of a packet.
pub type PacketHandle = Box<Packet>;

impl Default for Packet {
    fn default() -> Self {
        Self {
            port: 0,
            is_rtcp: false,
            peer: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            arrived_us: 0,
            is_opaque: false,
            len: 0,
            bytes: [0; PACKET_BYTES_MAX],
        }
    }
}

impl Packet {
    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The datagram, to rewrite in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..usize::from(self.len)).unwrap_or_default()
    }

    /// The whole buffer, to receive or build into; say with [`Packet::set_len`] how much of it counts.
    pub fn buffer(&mut self) -> &mut [u8; PACKET_BYTES_MAX] {
        &mut self.bytes
    }

    /// Sets the length of the datagram, at most [`PACKET_BYTES_MAX`].
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(PACKET_BYTES_MAX) as u16;
        self.is_opaque = false;
    }

    /// Builds an RTP packet; false if it is too large.
    pub fn write_rtp(&mut self, header: &RtpHeader, payload: &[u8]) -> bool {
        let Some(start) = rtp::write_header(&mut self.bytes, header) else { return false };
        let Some(place) = self.bytes.get_mut(start..start + payload.len()) else { return false };
        place.copy_from_slice(payload);
        self.set_len(start + payload.len());
        true
    }

    /// Copies a datagram in; false, and nothing copied, if it is too large.
    pub fn fill(&mut self, datagram: &[u8]) -> bool {
        let Some(place) = self.bytes.get_mut(..datagram.len()) else { return false };
        place.copy_from_slice(datagram);
        self.set_len(datagram.len());
        true
    }
}

/// The world's share of the buffers.
///
/// Taking never fails: were the pool's state visible to a system, the world would depend on the network threads. When
/// it is empty a buffer is allocated and counted; what is given back beyond the share is freed.
#[derive(Resource, Debug)]
pub struct PacketPool {
    free: Vec<PacketHandle>,
    share: usize,
    /// How often the pool was empty.
    pub misses: u64,
    /// How often a buffer was taken from the pool.
    pub hits: u64,
    /// How many buffers were given back beyond the share, and freed.
    pub freed: u64,
}

impl PacketPool {
    /// A pool that keeps up to `share` buffers. They are allocated when first needed.
    pub fn new(share: usize) -> Self {
        Self { free: Vec::new(), share, misses: 0, hits: 0, freed: 0 }
    }

    /// A buffer, of unspecified content.
    pub fn take(&mut self) -> PacketHandle {
        match self.free.pop() {
            Some(packet) => {
                self.hits += 1;
                packet
            }
            None => {
                self.misses += 1;
                Box::default()
            }
        }
    }

    /// Gives a buffer back.
    pub fn give(&mut self, packet: PacketHandle) {
        if self.free.len() < self.share {
            self.free.push(packet);
        } else {
            self.freed += 1;
        }
    }

    /// How many buffers are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes up to `count` free buffers away, to return them to the network thread.
    pub fn spare(&mut self, count: usize) -> impl Iterator<Item = PacketHandle> + '_ {
        let from = self.free.len().saturating_sub(count);
        self.free.drain(from..)
    }
}
