//! The rings between the network and the world: the same kinds as in `net`, full at the same point, counted the same
//! way.

use crossbeam::channel::{Receiver, Sender, bounded};
use ringworld_components::edge::{Input, PacketHandle};
use rtrb::{Consumer, Producer, RingBuffer};

/// Inputs of one kind that a tick takes in at most.
const PER_TICK_MAX: usize = 8192;

/// The world's end and the network's end; there is only one thread.
pub(super) struct Rings {
    ports: Vec<u16>,
    control: (Sender<Input>, Receiver<Input>),
    rtp: (Producer<PacketHandle>, Consumer<PacketHandle>),
    /// What found a ring full.
    pub lost: u64,
}

impl Rings {
    /// Rings with room for so many messages and packets.
    pub fn new(room: usize) -> Self {
        Self { ports: Vec::new(), control: bounded(room), rtp: RingBuffer::new(room), lost: 0 }
    }

    /// Offers a port pair. A pair is offered once before it is taken, so there is always room.
    pub fn offer_port(&mut self, port: u16) {
        self.ports.push(port);
    }

    /// Offers signalling; returns whether there was room.
    pub fn push(&mut self, input: Input) -> bool {
        let fits = self.control.0.try_send(input).is_ok();
        self.lost += u64::from(!fits);
        fits
    }

    /// Offers a packet; gives it back if there is no room.
    pub fn push_rtp(&mut self, packet: PacketHandle) -> Result<(), PacketHandle> {
        self.rtp.0.push(packet).map_err(|rtrb::PushError::Full(packet)| {
            self.lost += 1;
            packet
        })
    }

    /// What a tick takes in, in the order of the live edge: ports, signalling, packets.
    pub fn drain(&mut self) -> Vec<Input> {
        let mut inputs: Vec<Input> = self.ports.drain(..).map(Input::PortOpened).collect();
        inputs.extend(self.control.1.try_iter().take(PER_TICK_MAX));
        let count = self.rtp.1.slots().min(PER_TICK_MAX);
        if let Ok(chunk) = self.rtp.1.read_chunk(count) {
            inputs.extend(chunk.into_iter().map(Input::Rtp));
        }
        inputs
    }

    /// The process that held them was killed: all that waited is lost.
    pub fn clear(&mut self) {
        self.ports.clear();
        self.control.1.try_iter().for_each(drop);
        while self.rtp.1.pop().is_ok() {}
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.control.1.is_empty() && self.rtp.1.is_empty()
    }
}
