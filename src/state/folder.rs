//! The files of a state folder.

use super::StateError;
use super::ground::{Ground, Machine};
use crate::replay::{Header, Journal, Tail, TailError, snapshot_file};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOCK: &str = "lock";
const WORLD: &str = "world-";
const SNAPSHOT: &str = "snapshot";
const JOURNAL: &str = "journal";
const TEMPORARY: &str = "tmp";
const DAMAGED: &str = "damaged";
const FAILED: &str = "failed";

/// How much is read of the reason why a journal had failed.
const WHY_BYTES_MAX: usize = 1_000;

/// A state folder. No other process can take it while this exists.
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

    /// The lock, to hand it over: the process that holds it has the folder.
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
        let names = Machine.names(&self.path).map_err(StateError::io(&self.path, "reading"))?;
        let found = names.iter().filter(|name| is_world(name)).count();
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
pub(crate) struct WorldFolder {
    path: PathBuf,
    ground: Arc<dyn Ground>,
}

impl WorldFolder {
    /// A folder of this machine.
    pub fn new(path: &Path) -> Self {
        Self::on(Arc::new(Machine), path)
    }

    /// A folder on another ground.
    pub fn on(ground: Arc<dyn Ground>, path: &Path) -> Self {
        Self { path: path.to_owned(), ground }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ground that it is on.
    pub fn ground(&self) -> &dyn Ground {
        self.ground.as_ref()
    }

    fn file(&self, place: Place, kind: &str) -> PathBuf {
        self.path.join(format!("{:05}-{:012}.{kind}", place.epoch, place.tick))
    }

    pub(super) fn journal(&self, place: Place) -> PathBuf {
        self.file(place, JOURNAL)
    }

    pub(super) fn snapshot(&self, place: Place) -> PathBuf {
        self.file(place, SNAPSHOT)
    }

    /// The snapshots, the oldest first.
    pub(super) fn snapshots(&self) -> Result<Vec<Place>, StateError> {
        self.places(SNAPSHOT)
    }

    /// The journals, the oldest first.
    pub(super) fn journals(&self) -> Result<Vec<Place>, StateError> {
        self.places(JOURNAL)
    }

    fn places(&self, kind: &str) -> Result<Vec<Place>, StateError> {
        let place = |name: &String| {
            let (epoch, tick) = name.strip_suffix(kind)?.strip_suffix('.')?.split_once('-')?;
            Some(Place { epoch: epoch.parse().ok()?, tick: tick.parse().ok()? })
        };
        let names = self.ground.names(&self.path).map_err(StateError::io(&self.path, "reading"))?;
        let mut places: Vec<Place> = names.iter().filter_map(place).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Writes a snapshot so that it is there as a whole or not at all, power or no power.
    pub(super) fn write_snapshot(&self, place: Place, header: &Header) -> io::Result<()> {
        self.leave_snapshot(place, snapshot_file(header, true), |temporary| self.ground.sync(temporary))?;
        self.ground.sync(&self.path)
    }

    /// Writes a snapshot for a process that waits for it, and will soon have written one that is packed and outlives a
    /// loss of power.
    pub(super) fn pass_snapshot(&self, place: Place, header: &Header) -> io::Result<()> {
        self.leave_snapshot(place, snapshot_file(header, false), |_| Ok(()))
    }

    fn leave_snapshot(
        &self,
        place: Place,
        bytes: io::Result<Vec<u8>>,
        sync: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = self.file(place, TEMPORARY);
        let written = bytes.and_then(|bytes| {
            self.ground.create(&temporary)?.write_all(&bytes)?;
            sync(&temporary)
        });
        if written.is_err() {
            // The disk may be full of it.
            let _ = self.ground.remove(&temporary);
        }
        written?;
        self.ground.rename(&temporary, &self.snapshot(place))
    }

    /// Reads a snapshot: a header with a world in it.
    pub(super) fn read_snapshot(&self, place: Place) -> Result<Header, TailError> {
        match Tail::open(self.ground.open(&self.snapshot(place)))? {
            Some((_, header)) => Ok(header),
            None => Err(TailError::Damaged { offset: 0, error: ringworld_components::record::DecodeError::Truncated }),
        }
    }

    /// Creates a journal, with a header that says where the world stands.
    pub(super) fn begin_journal(&self, place: Place, header: &Header) -> io::Result<Journal> {
        let path = self.journal(place);
        let begun = Journal::begin(self.ground.create(&path)?, header);
        if begun.is_err() {
            // A recovery would take it for a journal that continues here.
            let _ = self.ground.remove(&path);
        }
        begun
    }

    /// Reads the header of a journal; `None` if that is not there as a whole.
    pub(super) fn read_journal(&self, place: Place) -> Result<Option<(Tail, Header)>, TailError> {
        Tail::open(self.ground.open(&self.journal(place)))
    }

    /// Marks the journal as failed, for the next start. The disk that is full takes a name more often than not.
    pub(super) fn mark_failed(&self, why: &str) {
        let _ = self.ground.create(&self.path.join(FAILED)).and_then(|mut file| file.write_all(why.as_bytes()));
    }

    /// Whether the journal had failed in the previous life, and why, in a sentence. Asked once.
    pub(super) fn failure(&self) -> Option<String> {
        let path = self.path.join(FAILED);
        let file = self.ground.open(&path).ok()?;
        let mut why = [0; WHY_BYTES_MAX];
        let length = file.read_at(&mut why, 0).unwrap_or(0);
        let _ = self.ground.remove(&path);
        let why = String::from_utf8_lossy(why.get(..length).unwrap_or_default()).into_owned();
        Some(format!("the journal had failed before the last end ({why}): calls are older than that end"))
    }

    /// The youngest life that has left something here.
    pub(super) fn last_epoch(&self) -> Result<u16, StateError> {
        let places = self.snapshots()?.into_iter().chain(self.journals()?);
        Ok(places.map(|place| place.epoch).max().unwrap_or(0))
    }

    /// Renames a damaged file, so that it can be examined.
    pub(super) fn put_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(DAMAGED);
        self.ground.rename(path, Path::new(&name))?;
        Ok(name.into())
    }

    /// Removes what lives after this one have written: none of them began.
    pub(super) fn remove_after(&self, epoch: u16) -> Result<(), StateError> {
        let later = |places: Vec<Place>| places.into_iter().filter(move |place| place.epoch > epoch);
        // In this order a kill in between leaves a journal without a tick, which does no harm.
        let snapshots = later(self.snapshots()?).map(|place| self.snapshot(place));
        let journals = later(self.journals()?).map(|place| self.journal(place));
        for path in snapshots.chain(journals) {
            self.ground.remove(&path).map_err(StateError::io(&path, "removing"))?;
        }
        Ok(())
    }

    /// Removes all that is older than the last snapshot but one.
    pub(super) fn prune(&self) -> Result<(), StateError> {
        let snapshots = self.snapshots()?;
        let Some(&oldest) = snapshots.iter().rev().nth(1) else { return Ok(()) };
        let stale = |places: Vec<Place>| places.into_iter().filter(move |place| *place < oldest);
        let journals = stale(self.journals()?).map(|place| self.journal(place));
        let snapshots = stale(snapshots).map(|place| self.snapshot(place));
        for path in journals.chain(snapshots) {
            self.ground.remove(&path).map_err(StateError::io(&path, "removing"))?;
        }
        Ok(())
    }
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
        let folder = WorldFolder::new(&path);
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
