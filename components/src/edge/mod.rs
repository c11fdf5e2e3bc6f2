//! What crosses the border of a world: inputs, outputs, commands, events, packets.
//!
//! A world advances only by [`Input`]s, and everything it does to the outside is an [`Output`]. Both are plain values:
//! the same engine runs over sockets, over a log, or over a simulated network.

mod command;
mod event;
mod flow;
mod io;
mod operation;
mod operation_kind;
mod packet;
mod request;

pub use command::{Command, Refusal, Reply};
pub use event::Event;
pub use flow::{ConnId, Flow, Target, Transport};
pub use io::{Input, Inputs, Output, Outputs, RtpOut, SendFailure};
pub use operation::Operation;
pub use operation_kind::{OperationKind, OperationPriority};
pub use packet::{PACKET_BYTES_MAX, Packet, PacketHandle, PacketPool};
pub use request::{PlaceCall, RequestTarget, SendRequest};
