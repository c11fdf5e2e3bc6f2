//! What media are: port pairs, streams, rooms and their participants.

mod facts;
mod latch;
mod ports;
mod room;
mod stream;

pub use facts::{FactQueue, MediaFact};
pub use latch::{Latch, Verdict};
pub use ports::PortPool;
pub use room::{
    Participant, ParticipantOf, Participants, Room, RoomFull, RoomState, RoomTable, Vacated, Voice, VoiceOf,
};
pub use stream::{
    DigitFlush, Ear, EchoShift, Flow as MediaFlow, Hearing, MediaCounters, Mixing, Playing, RtpSilence, Sink, Speaking,
    Stream, StreamTable, Wakeful, frame_of, law_of,
};
