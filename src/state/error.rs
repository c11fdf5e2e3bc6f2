//! What can be wrong with a state folder, in sentences that say what to do next.

use ringworld_components::kernel::{PluginDifference, RestoreError};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a switch can't start on a state folder.
#[derive(Debug)]
pub enum StateError {
    /// Something in the folder can't be read or written.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// Another process runs on it.
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// It holds another number of worlds than the switch shall have.
    Worlds {
        /// How many it holds.
        found: usize,
        /// How many there shall be.
        asked: usize,
    },
    /// None of the snapshots can be read.
    NoSnapshot {
        /// The folder of the world.
        folder: PathBuf,
        /// What is wrong with the youngest one.
        why: String,
    },
    /// The snapshot is of a build that writes another format.
    Format {
        /// The snapshot.
        path: PathBuf,
        /// Which format.
        why: String,
    },
    /// The snapshot is of a build that records other things, or of a world with other plugins.
    Schema {
        /// The snapshot.
        path: PathBuf,
        /// What differs.
        error: RestoreError,
    },
    /// What came after the snapshot was written by another build, and only the same one comes to the same world again.
    OtherBuild {
        /// The journal.
        path: PathBuf,
        /// The build that wrote it.
        theirs: String,
        /// This build.
        ours: String,
    },
    /// What came after the snapshot was written by a world with other plugins, and only the same ones come to the same
    /// world.
    OtherPlugins {
        /// The journal.
        path: PathBuf,
        /// The first difference.
        difference: PluginDifference,
    },
    /// A journal does not go on where the world stands: there is a gap.
    Gap {
        /// The journal.
        path: PathBuf,
        /// Where the world stands.
        tick: u64,
    },
    /// A journal comes to another world than the one that wrote it.
    Diverged {
        /// The journal.
        path: PathBuf,
        /// The first tick that differs.
        tick: u64,
    },
    /// No process runs on the folder that could be taken over.
    NoProcess {
        /// Its socket.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The running process refused to be taken over.
    TurnedAway {
        /// The reason that it gave.
        why: String,
    },
    /// The running process has sockets that this configuration does not have: their calls would be dead.
    OtherAddresses {
        /// What differs.
        what: String,
    },
    /// SIP has no fixed port: peers would not find the switch again.
    NoPort,
}

impl StateError {
    pub(super) fn io(path: impl Into<PathBuf>, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, doing, error }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, doing, error } => write!(f, "{doing} {} failed: {error}", path.display()),
            Self::Locked { folder } => write!(
                f,
                "another process runs on the state folder {}; stop it, or name another folder",
                folder.display()
            ),
            Self::Worlds { found, asked } => write!(
                f,
                "the state folder holds {found} world(s) and the switch shall have {asked}: a call lives in one world for \
                 life; start with --worlds {found}, or name another folder"
            ),
            Self::NoSnapshot { folder, why } => write!(
                f,
                "no snapshot in {} can be read ({why}); to begin anew, without the calls, move it away",
                folder.display()
            ),
            Self::Format { path, why } => write!(
                f,
                "{} is of another build: {why}; start that build, or move the folder away to begin anew, without the calls",
                path.display()
            ),
            Self::Schema { path, error } => write!(
                f,
                "{} can't be taken up: {error}; start the build that wrote it, or one with a migration",
                path.display()
            ),
            Self::OtherBuild { path, theirs, ours } => write!(
                f,
                "{} was written by build {theirs} and this is {ours}: a journal leads to the same calls only in the build \
                 that wrote it; start that one again and stop it in order, which leaves a snapshot behind, or remove the \
                 journal to go on from the snapshot before it",
                path.display()
            ),
            Self::OtherPlugins { path, difference } => write!(
                f,
                "{} can't be replayed: {difference}; start with those plugins and stop in order, which leaves a snapshot \
                 behind, or remove the journal to go on from the snapshot before it",
                path.display()
            ),
            Self::Gap { path, tick } => write!(
                f,
                "{} does not begin where the world stands, at tick {tick}: a file is missing; remove it and those after \
                 it to go on without what they hold",
                path.display()
            ),
            Self::Diverged { path, tick } => write!(
                f,
                "{} leads to another world at tick {tick} than when it was written, which is a defect; keep it to \
                 report that, and move it away to go on from the snapshot before it",
                path.display()
            ),
            Self::NoProcess { path, error } => write!(
                f,
                "no running switch answers at {} ({error}); start without --take-over",
                path.display()
            ),
            Self::TurnedAway { why } => write!(f, "the running switch goes on by itself: {why}"),
            Self::OtherAddresses { what } => write!(
                f,
                "{what}: its calls would be dead; take over with the addresses and ports that it has, or stop it in order and \
                 start without --take-over"
            ),
            Self::NoPort => f.write_str(
                "with a state folder SIP needs fixed ports, or the peers do not find the switch again; give each --sip a \
                 port that is not 0",
            ),
        }
    }
}

impl std::error::Error for StateError {}
