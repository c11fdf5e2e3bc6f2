//! What media are: port pairs, streams, rooms and their participants.

mod facts;
mod latch;
mod packing;
mod ports;
mod room;
mod stream;
mod wakeful;

pub use facts::{FactQueue, MediaFact};
pub use latch::{Latch, Strangers, Verdict};
pub use packing::{PacketSender, Packing, half_a_frame_later};
pub use ports::PortPool;
pub use room::{
    Participant, ParticipantOf, Participants, Room, RoomFull, RoomState, RoomTable, Vacated, Voice, VoiceOf,
};
pub use stream::{
    DigitFlush, Ear, EchoShift, Flow as MediaFlow, Hearing, MediaCounters, Mixing, Playing, RtpSilence, Sink, Speaking,
    Stream, StreamTable, frame_of, law_of,
};
pub use wakeful::Wakeful;
