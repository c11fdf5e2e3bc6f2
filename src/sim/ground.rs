//! The ground under a simulated state folder: files in memory, a clock that the run sets, and one thread for all. When
//! told to, it stops the process in the middle of whatever is being written.

use crate::replay::ReadAt;
use crate::state::{Ground as GroundOfState, Pursuit};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The point at which the process is killed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// In writing to a file with this ending, when so many thousandths of what is to be written were taken.
    Writing(&'static str, u64),
    /// In the first writing to a journal that was created after now.
    Beginning(u64),
    /// Before or after a snapshot gets its name.
    Naming { after: bool },
    /// Before or after a file is removed.
    Removing { after: bool },
}

/// The files of one folder, and the state of the simulated process.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground(Arc<Mutex<Inner>>);

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Default)]
struct Inner {
    unix_ms: u64,
    files: BTreeMap<PathBuf, Content>,
    is_full: bool,
    refused: u64,
    blow: Option<Blow>,
    is_dead: bool,
    pursuit: Option<Pursuit>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("files", &self.files.keys()).field("is_dead", &self.is_dead).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Nothing of a killed process reaches the disk.
    fn alive(&self) -> io::Result<()> {
        if self.is_dead { Err(io::Error::other("the process was killed")) } else { Ok(()) }
    }

    /// Kills the process if this is the point.
    fn meet(&mut self, place: Blow) -> io::Result<()> {
        if self.blow == Some(place) {
            (self.blow, self.is_dead) = (None, true);
        }
        self.alive()
    }

    fn file(&self, path: &Path) -> io::Result<&Content> {
        self.files.get(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Ground {
    /// The time of day.
    pub fn set_time(&self, unix_ms: u64) {
        lock(&self.0).unix_ms = unix_ms;
    }

    /// Whether the disk takes nothing.
    pub fn set_full(&self, is_full: bool) {
        lock(&self.0).is_full = is_full;
    }

    /// How often a full disk has refused something since this was asked last.
    pub fn refused(&self) -> u64 {
        std::mem::take(&mut lock(&self.0).refused)
    }

    /// Has the process killed where the blow says.
    pub fn strike(&self, blow: Blow) {
        lock(&self.0).blow = Some(blow);
    }

    /// The process is killed, or one that was killed is started again. No blow is left.
    pub fn set_dead(&self, is_dead: bool) {
        let mut inner = lock(&self.0);
        (inner.is_dead, inner.blow) = (is_dead, None);
    }

    pub fn is_dead(&self) -> bool {
        lock(&self.0).is_dead
    }

    /// The follower that waits to be driven, if one was begun.
    pub fn pursuit(&self) -> Option<Pursuit> {
        lock(&self.0).pursuit.take()
    }

    /// How many files have this ending.
    pub fn count(&self, ending: &str) -> usize {
        lock(&self.0).files.keys().filter(|path| has_ending(path, ending)).count()
    }

    /// Changes a byte near the end of the youngest file with this ending; `bits` says which, and how. False if there is
    /// none.
    pub fn damage(&self, ending: &str, bits: u64) -> bool {
        let inner = lock(&self.0);
        let Some((_, content)) = inner.files.iter().rfind(|(path, _)| has_ending(path, ending)) else { return false };
        let mut content = lock(content);
        let back = 1 + (bits >> 8) as usize % content.len().clamp(1, 600);
        let place = content.len().checked_sub(back).and_then(|at| content.get_mut(at));
        place.map(|byte| *byte ^= 1 << (bits & 7)).is_some()
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension() == Some(OsStr::new(ending))
}

/// A file that is open, to write or to read.
struct OpenFile {
    ground: Arc<Mutex<Inner>>,
    content: Content,
    ending: &'static str,
    is_fresh: bool,
}

impl Write for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut ground = lock(&self.ground);
        ground.alive()?;
        if ground.is_full {
            ground.refused += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let is_fresh = std::mem::take(&mut self.is_fresh);
        let part = match ground.blow {
            Some(Blow::Writing(ending, part)) if ending == self.ending => Some(part),
            Some(Blow::Beginning(part)) if is_fresh && self.ending == "journal" => Some(part),
            _ => None,
        };
        let count = part.map_or(bytes.len(), |part| bytes.len() * part as usize / 1000);
        lock(&self.content).extend_from_slice(bytes.get(..count).unwrap_or_default());
        if part.is_some() {
            (ground.blow, ground.is_dead) = (None, true);
        }
        if count == bytes.len() { Ok(count) } else { ground.alive().map(|()| count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for OpenFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.content);
        let rest = usize::try_from(offset).ok().and_then(|from| content.get(from..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..count), rest.get(..count)) {
            into.copy_from_slice(rest);
        }
        Ok(count)
    }
}

impl GroundOfState for Ground {
    fn unix_ms(&self) -> u64 {
        lock(&self.0).unix_ms
    }

    /// Nothing takes any time here: the speed of the machine must not decide anything.
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inner = lock(&self.0);
        let inside = inner.files.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let mut inner = lock(&self.0);
        inner.alive()?;
        let content = inner.files.entry(path.to_owned()).or_default().clone();
        lock(&content).clear();
        let ending = if has_ending(path, "journal") { "journal" } else { "tmp" };
        Ok(Box::new(OpenFile { ground: self.0.clone(), content, ending, is_fresh: true }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt + Send>> {
        let content = lock(&self.0).file(path)?.clone();
        Ok(Box::new(OpenFile { ground: self.0.clone(), content, ending: "", is_fresh: false }))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let inner = lock(&self.0);
        inner.alive()?;
        if path.extension().is_none() { Ok(()) } else { inner.file(path).map(|_| ()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = lock(&self.0);
        inner.meet(Blow::Naming { after: false })?;
        let content = inner.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.files.insert(to.to_owned(), content);
        inner.meet(Blow::Naming { after: true })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = lock(&self.0);
        inner.meet(Blow::Removing { after: false })?;
        inner.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
        inner.meet(Blow::Removing { after: true })
    }

    fn follow(&self, pursuit: Pursuit) -> io::Result<Option<JoinHandle<()>>> {
        lock(&self.0).pursuit = Some(pursuit);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Extend, WorldConfig};
    use crate::state::{Keeper, WorldFolder, recover_asleep};

    fn written(ground: &Ground, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; 100];
        let count = ground.open(Path::new(name)).and_then(|file| file.read_at(&mut bytes, 0)).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn it_gives_way_in_the_middle_of_a_write_and_nothing_comes_after() {
        let ground = Ground::default();
        let mut journal = ground.create(Path::new("a/1.journal")).unwrap();
        journal.write_all(b"whole").unwrap();
        ground.strike(Blow::Writing("journal", 500));
        ground.create(Path::new("a/1.tmp")).unwrap().write_all(b"not this").unwrap();
        assert!(journal.write_all(b"half").is_err() && ground.is_dead());
        assert!(journal.write_all(b"more").is_err() && ground.create(Path::new("a/2.journal")).is_err());
        assert_eq!(written(&ground, "a/1.journal"), b"wholeha");
        ground.set_dead(false);
        assert!(ground.rename(Path::new("a/1.tmp"), Path::new("a/1.snapshot")).is_ok());
        assert_eq!(ground.names(Path::new("a")).unwrap(), ["1.journal", "1.snapshot"]);
    }

    #[test]
    fn a_full_disk_takes_names_and_no_bytes_until_there_is_room() {
        let ground = Ground::default();
        ground.set_full(true);
        let mut journal = ground.create(Path::new("1.journal")).unwrap();
        assert_eq!(journal.write(b"x").map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
        ground.set_full(false);
        journal.write_all(b"y").unwrap();
        assert!(ground.damage("journal", 3) && !ground.damage("snapshot", 3));
        assert_eq!(written(&ground, "1.journal"), [b'y' ^ 8]);
    }

    /// A world that is kept on this ground, a second before its next journal is due; some of its ticks are idle.
    fn kept(ground: &Ground) -> (Engine, Keeper, WorldFolder) {
        let folder = WorldFolder::on(Arc::new(ground.clone()), Path::new("state"));
        let mut engine = Engine::new(&WorldConfig::default());
        let extend: Extend = Arc::new(|_| {});
        let mut keeper =
            Keeper::start_in(folder.clone(), &WorldConfig::default(), &engine, Some(0), extend, None).unwrap();
        live(&mut engine, &mut keeper, 7);
        (0..600).for_each(|_| live(&mut engine, &mut keeper, 1));
        (engine, keeper, folder)
    }

    fn live(engine: &mut Engine, keeper: &mut Keeper, elapsed: u32) {
        keeper.live(engine, elapsed, Vec::new()).unwrap();
        if keeper.is_due(engine) {
            keeper.begin_next(engine);
        }
    }

    fn tick_of_recovered(folder: &WorldFolder) -> u64 {
        recover_asleep(folder, &WorldConfig::default(), &(Arc::new(|_: &mut _| {}) as Extend))
            .unwrap()
            .unwrap()
            .engine
            .now()
            .0
    }

    #[test]
    fn a_kill_where_one_journal_follows_another_leaves_no_gap_behind_idle_ticks() {
        let ground = Ground::default();
        let (mut engine, mut keeper, folder) = kept(&ground);
        ground.strike(Blow::Beginning(1000));
        while !ground.is_dead() {
            live(&mut engine, &mut keeper, 1);
        }
        ground.set_dead(false);
        assert_eq!((engine.now().0, tick_of_recovered(&folder)), (800, 800));
    }

    #[test]
    fn a_disk_that_is_full_when_a_journal_is_due_leaves_no_stub_of_one() {
        let ground = Ground::default();
        let (mut engine, mut keeper, folder) = kept(&ground);
        ground.set_full(true);
        (0..300).for_each(|_| live(&mut engine, &mut keeper, 1));
        ground.set_full(false);
        (0..3).for_each(|_| live(&mut engine, &mut keeper, 7));
        assert_eq!(ground.count("journal"), 2, "the first, and one behind it");
        assert_eq!(tick_of_recovered(&folder), engine.now().0);
    }
}
