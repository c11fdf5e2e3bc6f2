//! What lies where in a state folder.

use super::StateError;
use crate::replay::{Header, Tail, TailError, snapshot_file};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const WORLD: &str = "world-";
const SNAPSHOT: &str = "snapshot";
const JOURNAL: &str = "journal";
const TEMPORARY: &str = "tmp";
const DAMAGED: &str = "damaged";
const FAILED: &str = "failed";

/// A state folder that no other process can take as long as this lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: File,
}

impl StateFolder {
    /// Takes the folder, and creates it if there is none.
    ///
    /// # Errors
    /// Another process has it, or it can't be created.
    pub fn take(path: &Path) -> Result<Self, StateError> {
        create_folder(path)?;
        let file = path.join(LOCK);
        let lock = private(fs::OpenOptions::new().create(true).truncate(false).write(true), &file)
            .map_err(StateError::io(&file, "opening"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked { folder: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(StateError::io(&file, "locking")(error)),
        }
    }

    /// The folder, by the lock that the process before has handed over.
    pub(super) fn with_lock(path: &Path, lock: OwnedFd) -> Self {
        Self { path: path.to_owned(), lock: lock.into() }
    }

    /// The lock, to hand it over: whoever has it has the folder.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folders of `count` worlds. One that was used with another number of worlds is refused.
    pub fn worlds(&self, count: usize) -> Result<Vec<PathBuf>, StateError> {
        let is_world = |name: &str| name.strip_prefix(WORLD).is_some_and(|index| index.parse::<usize>().is_ok());
        let found = names(&self.path)?.iter().filter(|name| is_world(name)).count();
        if found != 0 && found != count {
            return Err(StateError::Worlds { found, asked: count });
        }
        (0..count)
            .map(|index| {
                let folder = self.path.join(format!("{WORLD}{index}"));
                create_folder(&folder).map(|()| folder)
            })
            .collect()
    }
}

/// From where on a file holds a world: in which life, and from which tick. In order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub epoch: u16,
    pub tick: u64,
}

/// The folder of one world.
#[derive(Clone, Debug)]
pub(super) struct WorldFolder(pub PathBuf);

impl WorldFolder {
    fn file(&self, place: Place, kind: &str) -> PathBuf {
        self.0.join(format!("{:05}-{:012}.{kind}", place.epoch, place.tick))
    }

    pub fn journal(&self, place: Place) -> PathBuf {
        self.file(place, JOURNAL)
    }

    pub fn snapshot(&self, place: Place) -> PathBuf {
        self.file(place, SNAPSHOT)
    }

    /// The snapshots, the oldest first.
    pub fn snapshots(&self) -> Result<Vec<Place>, StateError> {
        self.places(SNAPSHOT)
    }

    /// The journals, the oldest first.
    pub fn journals(&self) -> Result<Vec<Place>, StateError> {
        self.places(JOURNAL)
    }

    fn places(&self, kind: &str) -> Result<Vec<Place>, StateError> {
        let place = |name: &String| {
            let (epoch, tick) = name.strip_suffix(kind)?.strip_suffix('.')?.split_once('-')?;
            Some(Place { epoch: epoch.parse().ok()?, tick: tick.parse().ok()? })
        };
        let mut places: Vec<Place> = names(&self.0)?.iter().filter_map(place).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Writes a snapshot so that it is there as a whole or not at all, power or no power.
    pub fn write_snapshot(&self, place: Place, header: &Header) -> io::Result<()> {
        self.leave_snapshot(place, header, File::sync_all)?;
        File::open(&self.0)?.sync_all()
    }

    /// Writes a snapshot for a process that waits for it, and will soon have written one that outlives a loss of power.
    pub fn pass_snapshot(&self, place: Place, header: &Header) -> io::Result<()> {
        self.leave_snapshot(place, header, |_| Ok(()))
    }

    fn leave_snapshot(
        &self,
        place: Place,
        header: &Header,
        sync: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = self.file(place, TEMPORARY);
        let written = snapshot_file(header).and_then(|bytes| {
            let mut file = private(fs::OpenOptions::new().create(true).truncate(true).write(true), &temporary)?;
            io::Write::write_all(&mut file, &bytes)?;
            sync(&file)
        });
        if written.is_err() {
            // The disk may be full of it.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        fs::rename(&temporary, self.snapshot(place))
    }

    /// Reads a snapshot: a header with a world in it.
    pub fn read_snapshot(&self, place: Place) -> Result<Header, TailError> {
        match Tail::open(&self.snapshot(place))? {
            Some((_, header)) => Ok(header),
            None => Err(TailError::Damaged { offset: 0, error: ringworld_components::record::DecodeError::Truncated }),
        }
    }

    /// Leaves word that the journal has failed, for the next start. The disk that is full takes a name more often than not.
    pub fn mark_failed(&self, why: &str) {
        let path = self.0.join(FAILED);
        let written = fs::write(&path, why);
        if written.is_err() {
            let _ = private(fs::OpenOptions::new().create(true).truncate(false).write(true), &path);
        }
    }

    /// Whether the journal had failed in the life before, in a sentence. Asked once.
    pub fn failure(&self) -> Option<String> {
        let why = fs::read_to_string(self.0.join(FAILED)).ok()?;
        let _ = fs::remove_file(self.0.join(FAILED));
        Some(format!("the journal had failed before the last end ({why}): calls are older than that end"))
    }

    /// The youngest life that has left something here.
    pub fn last_epoch(&self) -> Result<u16, StateError> {
        let places = self.snapshots()?.into_iter().chain(self.journals()?);
        Ok(places.map(|place| place.epoch).max().unwrap_or(0))
    }

    /// Puts a damaged file aside, for whoever wants to look at it.
    pub fn put_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(DAMAGED);
        fs::rename(path, &name)?;
        Ok(name.into())
    }

    /// Removes what lives after this one have written: they never began.
    pub fn remove_after(&self, epoch: u16) -> Result<(), StateError> {
        let later = |places: Vec<Place>| places.into_iter().filter(move |place| place.epoch > epoch);
        // In this order a kill in between leaves a journal without a tick, which is no harm.
        let snapshots = later(self.snapshots()?).map(|place| self.snapshot(place));
        let journals = later(self.journals()?).map(|place| self.journal(place));
        for path in snapshots.chain(journals) {
            fs::remove_file(&path).map_err(StateError::io(&path, "removing"))?;
        }
        Ok(())
    }

    /// Removes all that is older than the last snapshot but one.
    pub fn prune(&self) -> Result<(), StateError> {
        let snapshots = self.snapshots()?;
        let Some(&oldest) = snapshots.iter().rev().nth(1) else { return Ok(()) };
        let stale = |places: Vec<Place>| places.into_iter().filter(move |place| *place < oldest);
        let journals = stale(self.journals()?).map(|place| self.journal(place));
        let snapshots = stale(snapshots).map(|place| self.snapshot(place));
        for path in journals.chain(snapshots) {
            fs::remove_file(&path).map_err(StateError::io(&path, "removing"))?;
        }
        Ok(())
    }
}

fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let entries = fs::read_dir(folder).map_err(StateError::io(folder, "reading"))?;
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
    entries.map(name).collect::<io::Result<_>>().map_err(StateError::io(folder, "reading"))
}

fn create_folder(path: &Path) -> Result<(), StateError> {
    let mut builder = fs::DirBuilder::new();
    // What lies here holds the worlds' secrets.
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(StateError::io(path, "creating the folder"))
}

fn private(options: &mut fs::OpenOptions, path: &Path) -> io::Result<File> {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ringworld-state-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_folder_is_one_process_s_alone() {
        let path = scratch("lock");
        let taken = StateFolder::take(&path).unwrap();
        let error = StateFolder::take(&path).unwrap_err();
        assert!(matches!(error, StateError::Locked { .. }) && error.to_string().contains("another process"), "{error}");
        drop(taken);
        StateFolder::take(&path).unwrap();
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn the_number_of_worlds_is_for_life() {
        let path = scratch("worlds");
        let folder = StateFolder::take(&path).unwrap();
        assert_eq!(folder.worlds(2).unwrap().len(), 2);
        assert!(matches!(folder.worlds(1), Err(StateError::Worlds { found: 2, asked: 1 })));
        assert!(folder.worlds(2).is_ok());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn the_last_two_snapshots_are_kept_with_what_follows_them() {
        let path = scratch("prune");
        fs::create_dir_all(&path).unwrap();
        let folder = WorldFolder(path.clone());
        let place = |epoch, tick| Place { epoch, tick };
        for (epoch, tick) in [(1, 0), (1, 800), (2, 900), (2, 1_700)] {
            fs::write(folder.journal(place(epoch, tick)), "").unwrap();
            if tick < 1_700 {
                fs::write(folder.snapshot(place(epoch, tick)), "").unwrap();
            }
        }
        fs::write(path.join("notes.txt"), "").unwrap();
        folder.prune().unwrap();
        assert_eq!(folder.snapshots().unwrap(), [place(1, 800), place(2, 900)]);
        assert_eq!(folder.journals().unwrap(), [place(1, 800), place(2, 900), place(2, 1_700)]);
        assert!(path.join("notes.txt").exists(), "what is not ours stays");
        fs::remove_dir_all(path).unwrap();
    }
}
