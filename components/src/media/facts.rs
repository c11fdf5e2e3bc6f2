//! The only way in which media influence control.

use crate::record::Record;
use bevy_ecs::prelude::*;
use std::net::SocketAddr;

/// What `Phase::Media` found out. A recording holds the facts, so that one without payloads can still be replayed.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum MediaFact {
    /// A digit was heard on a stream.
    Digit {
        /// The stream.
        stream: Entity,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed, in milliseconds.
        duration_ms: u32,
    },
    /// A stream that should receive has been silent for too long.
    TimedOut {
        /// The stream.
        stream: Entity,
    },
    /// The source of a stream was learned from a packet.
    SourceLearned {
        /// The stream.
        stream: Entity,
        /// Where its packets come from, and go to.
        source: SocketAddr,
    },
    /// The work for a stream panicked.
    Panicked {
        /// The stream.
        stream: Entity,
        /// The system.
        system: String,
    },
}

impl MediaFact {
    /// The stream that it is about.
    pub fn stream(&self) -> Entity {
        match self {
            Self::Digit { stream, .. }
            | Self::TimedOut { stream }
            | Self::SourceLearned { stream, .. }
            | Self::Panicked { stream, .. } => *stream,
        }
    }
}

/// The facts of a tick's media; control reads them in the next tick.
#[derive(Resource, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaFacts(pub Vec<MediaFact>);
