//! Inputs and outputs of a world.

use super::{Command, ConnId, Event, Flow, PacketHandle, Reply, Target};
use crate::call::QosClass;
use crate::kernel::StableId;
use crate::record::Record;
use crate::wire::sip;
use bevy_ecs::prelude::*;
use bytes::Bytes;

/// One thing that happened outside. The order in which a tick's inputs are drained is part of the recording.
#[derive(Debug)]
pub enum Input {
    /// A SIP message, as received and as parsed by the network thread. The log keeps the bytes and parses them again.
    Sip {
        /// The way it came.
        flow: Flow,
        /// As received: one datagram, or one message framed out of a stream.
        bytes: Bytes,
        /// As parsed.
        message: Box<Result<sip::Message, sip::Malformed>>,
    },
    /// A TCP connection was opened, by a peer or for us.
    ConnOpened(Flow),
    /// A TCP connection is gone.
    ConnClosed(ConnId),
    /// An output could not be sent.
    SendFailed {
        /// The transaction that sent it.
        transaction: StableId,
        /// Why.
        failure: SendFailure,
    },
    /// A pair of RTP and RTCP ports is open and at our disposal; the number is that of the even (RTP) port.
    PortOpened(u16),
    /// A datagram on an RTP or RTCP port.
    Rtp(PacketHandle),
    /// A command from outside.
    Command(Command),
}

/// Why a SIP message could not be sent.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendFailure {
    /// No connection could be opened, or it broke.
    Connection,
    /// The peer's port is closed (ICMP) or the network is unreachable.
    Unreachable,
    /// A queue or table on the way was full.
    Full,
}

/// The inputs of the tick to come, in the order in which they are taken in. Emptied by `Phase::Ingress`.
#[derive(Resource, Debug, Default)]
pub struct Inputs(pub Vec<Input>);

/// One thing that the world does to the outside.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send a SIP message.
    Sip {
        /// Where to.
        target: Target,
        /// What.
        bytes: Bytes,
        /// The transaction to name in [`Input::SendFailed`]; 0 if a failure is not to be reported.
        transaction: StableId,
    },
    /// The pair at this RTP port was taken out of stock; keep the stock filled.
    PortTaken(u16),
    /// The pair at this RTP port is no longer in use: drain what is still arriving and offer it again.
    PortReleased(u16),
    /// The packets of the pair at this RTP port, which was taken, are of another class than voice, or of another one
    /// than before.
    PortMarked(u16, QosClass),
    /// An event for observers.
    Event(Event),
    /// The answer to a command.
    Reply(Reply),
}

/// A packet to send from the RTP port `packet.port` to `packet.peer`.
#[derive(Debug)]
pub struct RtpOut(pub PacketHandle);

/// The outputs of the last tick, in order. Taken away by the code that runs the world.
#[derive(Resource, Debug, Default)]
pub struct Outputs {
    /// Signalling, ports, events, replies.
    pub control: Vec<Output>,
    /// Packets.
    pub rtp: Vec<RtpOut>,
}
