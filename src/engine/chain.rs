//! A running digest of what goes into a world and what comes out of it.

use ringworld_components::edge::{Input, Output, Outputs, Packet};
use ringworld_components::record::{Encoder, Record};
use ringworld_components::wire::rtp::HEADER_BYTES;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Chains the inputs and outputs of each tick to those before. Two runs whose chains agree at a tick have taken in and
/// put out the same bytes up to it.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    digest: ChainDigest,
    scratch: Vec<u8>,
}

/// The two chains: signalling and packets.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChainDigest {
    /// Everything but RTP.
    pub control: u64,
    /// RTP.
    pub media: u64,
}

impl Chain {
    /// Both chains as they are.
    pub fn digest(&self) -> ChainDigest {
        self.digest
    }

    /// Goes on from digests of earlier.
    pub fn resume(digest: ChainDigest) -> Self {
        Self { digest, scratch: Vec::new() }
    }

    /// Chains what a tick took in.
    pub fn add_inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        self.scratch.clear();
        let to = &mut Encoder::new(&mut self.scratch);
        elapsed.encode(to);
        for input in inputs {
            match input {
                Input::Sip { flow, bytes, .. } => {
                    to.byte(1);
                    flow.encode(to);
                    to.bytes(bytes);
                }
                Input::ConnOpened(flow) => {
                    to.byte(2);
                    flow.encode(to);
                }
                Input::ConnClosed(conn) => {
                    to.byte(3);
                    conn.encode(to);
                }
                Input::SendFailed { transaction, failure } => {
                    to.byte(4);
                    transaction.encode(to);
                    failure.encode(to);
                }
                Input::PortOpened(port) => {
                    to.byte(5);
                    port.encode(to);
                }
                Input::Command(command) => {
                    to.byte(6);
                    command.encode(to);
                }
                Input::Rtp(packet) => self.digest.media = chain_packet(self.digest.media, packet),
            }
        }
        self.digest.control = xxh3_64_with_seed(&self.scratch, self.digest.control);
    }

    /// Chains what a tick put out.
    pub fn add_outputs(&mut self, outputs: &Outputs) {
        if !outputs.control.is_empty() {
            self.scratch.clear();
            let to = &mut Encoder::new(&mut self.scratch);
            for output in &outputs.control {
                match output {
                    Output::Sip { target, bytes, .. } => {
                        to.byte(1);
                        target.encode(to);
                        to.bytes(bytes);
                    }
                    Output::PortTaken(port) => {
                        to.byte(2);
                        port.encode(to);
                    }
                    Output::PortReleased(port) => {
                        to.byte(3);
                        port.encode(to);
                    }
                    Output::Event(event) => {
                        to.byte(5);
                        event.encode(to);
                    }
                    Output::PortMarked(port, class) => {
                        to.byte(7);
                        port.encode(to);
                        class.encode(to);
                    }
                    Output::Reply(reply) => {
                        to.byte(6);
                        reply.encode(to);
                    }
                }
            }
            self.digest.control = xxh3_64_with_seed(&self.scratch, self.digest.control);
        }
        for packet in &outputs.rtp {
            self.digest.media = chain_packet(self.digest.media, &packet.0);
        }
    }
}

fn chain_packet(chain: u64, packet: &Packet) -> u64 {
    let port_of = |peer: SocketAddr| u64::from(peer.port());
    let seed =
        chain.rotate_left(7) ^ (u64::from(packet.port) << 32) ^ (port_of(packet.peer) << 1) ^ u64::from(packet.is_rtcp);
    let bytes = packet.bytes();
    if packet.is_opaque {
        // The length follows from the codec and the packet time.
        return xxh3_64_with_seed(bytes.get(..HEADER_BYTES).unwrap_or_default(), seed ^ bytes.len() as u64);
    }
    xxh3_64_with_seed(bytes, seed)
}
