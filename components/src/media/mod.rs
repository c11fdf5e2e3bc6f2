//! What media are: port pairs, streams, rooms and their participants.

mod active_set;
mod facts;
mod latch;
mod packetizer;
mod ports;
mod recent_sources;
mod room;
mod stream;

pub use active_set::ActiveSet;
pub use facts::{MediaFact, MediaFacts};
pub use latch::{Latch, Sent, Verdict};
pub use packetizer::{Encoded, PacketSender, Packetizer, half_a_frame_later};
pub use ports::{PortChanges, PortPool};
pub use recent_sources::RecentSources;
pub use room::{
    Participant, ParticipantOf, Participants, Room, RoomFull, RoomState, RoomTable, Vacated, Voice, VoiceOf,
};
pub use stream::{
    DigitFlush, EchoShift, MediaCounters, Mixing, Playback, ReceivePath, ReceivedAudio, RtpPause, RtpSilence, RtpState,
    Sink, SpeechActivity, Stream, StreamTable, frame_of, tick_of,
};
