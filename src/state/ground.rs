//! What a state folder stands on: a disk, the time of day, and a thread for the follower. The simulator puts another
//! ground under the same keeper, which fails when it is told to.

use super::follower::Pursuit;
use crate::engine::unix_ms;
use crate::replay::ReadAt;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The ground under the folder of a world.
pub(crate) trait Ground: fmt::Debug + Send + Sync {
    /// The time of day, in milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// The time since a fixed moment, to measure how long things take.
    fn elapsed(&self) -> Duration;

    /// The names of all files in a folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Creates a file that only its owner can read, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>>;

    /// Opens a file to read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt + Send>>;

    /// Returns when a file or the list of a folder would outlive a loss of power.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Lets a follower run beside the world; the thread that it runs on, if it has one of its own.
    fn follow(&self, pursuit: Pursuit) -> io::Result<Option<JoinHandle<()>>>;
}

/// The machine that we run on.
#[derive(Debug)]
pub(super) struct Machine;

impl Ground for Machine {
    fn unix_ms(&self) -> u64 {
        unix_ms()
    }

    fn elapsed(&self) -> Duration {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        BEGAN.get_or_init(Instant::now).elapsed()
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(folder)?.map(name).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn follow(&self, pursuit: Pursuit) -> io::Result<Option<JoinHandle<()>>> {
        let thread = std::thread::Builder::new().name(pursuit.name());
        thread.spawn(move || pursuit.run()).map(Some)
    }
}
