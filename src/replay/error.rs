//! What can go wrong, in sentences that say what to do next.

use ringworld_components::kernel::{PluginDifference, RestoreError};
use ringworld_components::record::DecodeError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why nothing can be recorded.
#[derive(Debug)]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub error: io::Error,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, error } = self;
        write!(f, "can't record into {}: {error}; name another file with --record, or leave it out", path.display())
    }
}

impl std::error::Error for RecordError {}

/// Why a recording can't be replayed, or is not repeated by its replay.
#[derive(Debug)]
pub enum ReplayError {
    /// The file can't be read.
    Io {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// It is no recording at all.
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// Its format is of another version.
    Version {
        /// The version found.
        found: u8,
    },
    /// It was made by a build that records other things, or by a world with other plugins.
    Unlike {
        /// The version of that build.
        build: String,
        /// The first difference.
        unlike: Unlike,
    },
    /// The file is damaged or truncated. What comes before can be replayed.
    Damaged {
        /// Where the damage was found, in bytes.
        offset: u64,
        /// The last tick that could be read.
        readable_to: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The snapshot that the recording begins with, or one made on the way, can't be restored.
    Restore(RestoreError),
    /// The replay came to something else than what was recorded.
    Differs(Divergence),
    /// The world broke: a system panicked.
    Panicked {
        /// The tick.
        tick: u64,
        /// The panic's message.
        message: String,
    },
}

/// In what two builds are unlike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlike {
    /// A component, resource or kind of input has another shape.
    Shape {
        /// Its name.
        name: String,
    },
    /// It is in the recording but not in this build.
    Missing {
        /// Its name.
        name: String,
    },
    /// It is in this build but not in the recording.
    Added {
        /// Its name.
        name: String,
    },
    /// The worlds have other plugins.
    Plugins(PluginDifference),
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// It ends within a chunk.
    Truncated,
    /// It ends behind a whole chunk, but without saying that this is the end.
    NoEnd,
    /// A chunk does not have the checksum that was written with it, or is not where it belongs.
    Checksum,
    /// A chunk can't be unpacked.
    Packetizer,
    /// A chunk holds something that is not what it should be.
    Content(DecodeError),
}

/// The first thing in which a replay differs from its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// Signalling, ports, events or replies that came out of this tick, with all that went before.
    Control {
        /// The tick.
        tick: u64,
    },
    /// The packets that came out of this tick, with all that went before.
    Media {
        /// The tick.
        tick: u64,
    },
    /// The facts that the media of this tick produced.
    Facts {
        /// The tick.
        tick: u64,
    },
    /// The world itself at this tick, though everything that came out of it is the same.
    World {
        /// The tick.
        tick: u64,
        /// Whether it is its control part, rather than jitter buffers and the like.
        is_control: bool,
        /// The last tick at which the worlds were seen to be the same.
        same_at: u64,
    },
    /// The recording counts its ticks differently at its end.
    Ticks {
        /// Where the replay stands.
        tick: u64,
        /// Where the recording stood.
        recorded: u64,
    },
}

impl Divergence {
    /// The first tick that is known to differ.
    pub fn tick(&self) -> u64 {
        match *self {
            Self::Control { tick }
            | Self::Media { tick }
            | Self::Facts { tick }
            | Self::World { tick, .. }
            | Self::Ticks { tick, .. } => tick,
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Control { tick } => {
                write!(f, "tick {tick} is the first that differs: other signalling came out of it")
            }
            Self::Media { tick } => write!(f, "tick {tick} is the first that differs: other packets came out of it"),
            Self::Facts { tick } => write!(f, "tick {tick} is the first that differs: its media found other facts"),
            Self::World { tick, is_control, same_at } => {
                let what = if is_control { "control state" } else { "media state" };
                write!(f, "the world's {what} differs at tick {tick}; at tick {same_at} it was still the same")
            }
            Self::Ticks { tick, recorded } => {
                write!(f, "the replay ends at tick {tick}, the recording at tick {recorded}")
            }
        }
    }
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { name } => write!(f, "{name:?} has another shape in this build"),
            Self::Missing { name } => write!(f, "it holds {name:?}, which this build does not know"),
            Self::Added { name } => write!(f, "it lacks {name:?}, which this build records"),
            Self::Plugins(difference) => difference.fmt(f),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends in the middle of a chunk"),
            Self::NoEnd => f.write_str("it stops without an end: its writer was killed, or is still writing"),
            Self::Checksum => f.write_str("a checksum is wrong"),
            Self::Packetizer => f.write_str("a chunk can't be unpacked"),
            Self::Content(error) => write!(f, "a chunk makes no sense: {error}"),
        }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "can't read {}: {error}", path.display()),
            Self::NotARecording { path } => write!(f, "{} is not a recording of Ringworld", path.display()),
            Self::Version { found } => write!(
                f,
                "the recording has format version {found}, this build reads version {}: replay it with the build that made it",
                super::file::VERSION
            ),
            Self::Unlike { build, unlike } => write!(
                f,
                "the recording (of build {build}) is refused: {unlike}; replay it with the build and the plugins that made it"
            ),
            Self::Damaged { offset, readable_to: 0, damage } => {
                write!(f, "the recording is damaged at byte {offset}: {damage}; nothing of it can be replayed")
            }
            Self::Damaged { offset, readable_to, damage } => write!(
                f,
                "the recording is damaged at byte {offset}: {damage}; it can be replayed up to tick {readable_to}"
            ),
            Self::Restore(error) => write!(f, "the recording can't be taken up: {error}"),
            Self::Differs(divergence) => divergence.fmt(f),
            Self::Panicked { tick, message } => write!(f, "the world breaks in tick {tick}: {message}"),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<RestoreError> for ReplayError {
    fn from(error: RestoreError) -> Self {
        Self::Restore(error)
    }
}

impl From<Divergence> for ReplayError {
    fn from(divergence: Divergence) -> Self {
        Self::Differs(divergence)
    }
}
