//! A disk for tests that forgets what was not flushed, tears writes, and fails when told to.
//!
//! Each file has what the system would show (its cache) and what is on the platter; each change
//! that was not flushed stands in one list, in the order in which it was made: bytes written, the
//! length of a file, a name. A power cut keeps the platter and any part of that list ([`cut`]).
//!
//! What a flush makes durable: that of a file its bytes and its length, that of a directory the
//! names in it, and neither the other's. A rename is whole or not at all, as POSIX has it. A
//! flush of a file that fails has forgotten what it was about: on the platter is all of it, some
//! of it or nothing ([`Platter`]), the cache shows it still or no more ([`Cache`]), and a later
//! flush succeeds without it. A flush of a directory that fails leaves some names on the platter,
//! and the others to a later flush.
//!
//! Bytes go through the loops of the standard library that the real files go through, so that a
//! read or write that is short or interrupted is met as on a real system.

mod bytes;
mod chance;
mod cut;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use redb::{Builder, Database, DatabaseError, StorageError};

use crate::disk::{Disk, DiskFile, Making};
use crate::fault;
use bytes::Bytes;
pub(crate) use chance::Chance;
pub(crate) use cut::BLOCKS;
use file::SimFile;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It fails; a write has written half of it.
    Error(io::ErrorKind),
    /// A read or write does a part of what was asked, and says so.
    Short,
    /// A read or write is interrupted by a signal before it did anything.
    Interrupted,
}

/// Which calls a trouble hits.
#[derive(Clone, Copy, Debug)]
enum Hits {
    /// The change of this number.
    Change(u64),
    /// The call of this number; reads and looks count as well.
    Call(u64),
    /// Each change from this number on.
    ChangesFrom(u64),
}

/// What a flush that fails leaves on the platter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platter {
    Nothing,
    Some,
    All,
}

/// What the system shows of a file behind a flush that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// What was written, as if it were flushed.
    Stays,
    /// What is on the platter.
    IsDropped,
}

/// A directory of simulated files.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    world: Arc<Mutex<World>>,
    /// The directory, with a slash behind it; empty for the top.
    below: String,
}

/// All files and names, and what is to happen to them.
#[derive(Clone, Debug)]
pub(crate) struct World {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, Entry>,
    durable_names: BTreeMap<String, Entry>,
    /// Changes that were not flushed, oldest first.
    pending: Vec<Pending>,
    next_file: u64,
    chance: Chance,
    /// Changes so far, and all calls.
    changes: u64,
    calls: u64,
    trouble: Option<(Hits, Trouble)>,
    n_hit: u64,
    failed_flush: (Platter, Cache),
    /// Flushes so far, and those that failed.
    flushes: u64,
    failed_flushes: u64,
    /// When to remember the world, for a power cut then.
    cut_at: Option<u64>,
    cut: Option<Box<World>>,
    /// The world before each change, if it is recorded.
    recorded: Option<Vec<World>>,
    /// What the test wants to remember at the cut.
    note: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    cache: Bytes,
    durable: Bytes,
    /// Whether the cache shows what a flush that failed has forgotten.
    is_forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    File(u64),
    Directory,
}

/// A change that was not flushed.
#[derive(Clone, Debug)]
enum Pending {
    Write { file: u64, offset: usize, bytes: Arc<[u8]> },
    Length { file: u64, bytes: usize },
    Name { directory: String, change: Change },
}

#[derive(Clone, Debug)]
enum Change {
    Set(String, Entry),
    Rename(String, String),
    Remove(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Entry>) {
        match self {
            Self::Set(name, entry) => drop(names.insert(name.clone(), *entry)),
            Self::Rename(from, to) => {
                if let Some(entry) = names.remove(from) {
                    names.insert(to.clone(), entry);
                }
            }
            Self::Remove(name) => drop(names.remove(name)),
        }
    }

    /// The names that it is about.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Set(name, _) | Self::Remove(name) => vec![name.clone()],
            Self::Rename(from, to) => vec![from.clone(), to.clone()],
        }
    }
}

impl World {
    fn new(files: BTreeMap<u64, Content>, names: BTreeMap<String, Entry>, seed: u64) -> Self {
        Self {
            files,
            names: names.clone(),
            durable_names: names,
            pending: Vec::new(),
            next_file: 0,
            chance: Chance::new(seed),
            changes: 0,
            calls: 0,
            trouble: None,
            n_hit: 0,
            failed_flush: (Platter::Nothing, Cache::Stays),
            flushes: 0,
            failed_flushes: 0,
            cut_at: None,
            cut: None,
            recorded: None,
            note: 0,
        }
    }

    /// The world, with nothing that is to happen to it.
    fn untroubled(&self) -> Self {
        Self {
            files: self.files.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending: self.pending.clone(),
            chance: self.chance.clone(),
            trouble: None,
            n_hit: 0,
            cut_at: None,
            cut: None,
            recorded: None,
            changes: 0,
            calls: 0,
            ..*self
        }
    }

    /// A disk in this state.
    pub(crate) fn to_disk(&self) -> SimDisk {
        SimDisk { world: Arc::new(Mutex::new(self.untroubled())), below: String::new() }
    }

    /// What was noted last.
    pub(crate) fn note(&self) -> u64 {
        self.note
    }

    /// Whether nothing was flushed or noted from here to a later world.
    pub(crate) fn leads_to(&self, later: &Self) -> bool {
        self.flushes == later.flushes && self.note == later.note
    }

    /// Counts a call that changes nothing; the trouble that hits it.
    fn look(&mut self) -> Option<Trouble> {
        self.calls += 1;
        let (hits, trouble) = self.trouble?;
        let is_hit = matches!(hits, Hits::Call(at) if at == self.calls);
        self.n_hit += u64::from(is_hit);
        is_hit.then_some(trouble)
    }

    /// Counts a call that changes something; the trouble that hits it.
    fn change(&mut self) -> Option<Trouble> {
        self.calls += 1;
        self.changes += 1;
        let before = self.recorded.as_ref().map(|_| self.untroubled());
        if let Some(recorded) = &mut self.recorded {
            recorded.extend(before);
        }
        if self.cut_at == Some(self.changes) {
            self.cut = Some(Box::new(self.untroubled()));
        }
        let (hits, trouble) = self.trouble?;
        let is_hit = match hits {
            Hits::Change(at) => at == self.changes,
            Hits::Call(at) => at == self.calls,
            Hits::ChangesFrom(at) => at <= self.changes,
        };
        self.n_hit += u64::from(is_hit);
        is_hit.then_some(trouble)
    }

    /// Counts a call that is done whole or not at all.
    fn whole(trouble: Option<Trouble>) -> io::Result<()> {
        match trouble {
            Some(Trouble::Error(kind)) => Err(kind.into()),
            // Nothing of it can be left over, and the standard library tries again by itself.
            Some(Trouble::Short | Trouble::Interrupted) | None => Ok(()),
        }
    }

    fn rename(&mut self, directory: &str, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(Pending::Name { directory: directory.to_owned(), change });
    }

    fn content(&mut self, file: u64) -> &mut Content {
        self.files.get_mut(&file).expect("a file stays while it is open")
    }

    fn write(&mut self, file: u64, offset: usize, bytes: &[u8]) {
        let content = self.content(file);
        let (was, end) = (content.cache.len(), offset + bytes.len());
        content.cache.write(offset, bytes);
        if end > was {
            self.pending.push(Pending::Length { file, bytes: end });
        }
        self.pending.push(Pending::Write { file, offset, bytes: bytes.into() });
    }

    fn set_length(&mut self, file: u64, bytes: usize) {
        self.content(file).cache.resize(bytes);
        self.pending.push(Pending::Length { file, bytes });
    }

    /// Flushes a file, or fails to.
    fn flush_file(&mut self, file: u64, is_well: bool) {
        self.flushes += 1;
        self.failed_flushes += u64::from(!is_well);
        let (platter, cache) = self.failed_flush;
        if is_well && !self.files[&file].is_forgotten {
            let content = self.content(file);
            content.durable = content.cache.clone();
        } else {
            let mut chance = Chance::new(self.chance.below(u64::MAX));
            let percent = chance.pick(&[20, 50, 80]);
            let durable = self.platter(file, &mut || match platter {
                Platter::Some if !is_well => chance.is(percent),
                Platter::Nothing if !is_well => false,
                Platter::All | Platter::Some | Platter::Nothing => true,
            });
            let content = self.content(file);
            content.durable = durable;
            content.is_forgotten = true;
            if !is_well && cache == Cache::IsDropped {
                content.cache = content.durable.clone();
                content.is_forgotten = false;
            }
        }
        self.pending.retain(|it| it.file() != Some(file));
    }

    /// Flushes the names of a directory, or fails to. What is left to a later flush holds back
    /// whatever came of it: a file is not renamed on the platter before it has its first name there.
    fn flush_names(&mut self, directory: &str, is_well: bool) {
        self.flushes += 1;
        self.failed_flushes += u64::from(!is_well);
        let (mut kept, mut held) = (Vec::new(), BTreeSet::new());
        for pending in std::mem::take(&mut self.pending) {
            match &pending {
                Pending::Name { directory: of, change } if of == directory => {
                    let is_kept = is_well
                        || match self.failed_flush.0 {
                            Platter::All => true,
                            Platter::Some => self.chance.is(50),
                            Platter::Nothing => false,
                        };
                    let names = change.names();
                    if is_kept && !names.iter().any(|name| held.contains(name)) {
                        change.apply(&mut self.durable_names);
                    } else {
                        held.extend(names);
                        kept.push(pending);
                    }
                }
                Pending::Name { .. } | Pending::Write { .. } | Pending::Length { .. } => {
                    kept.push(pending);
                }
            }
        }
        self.pending = kept;
    }
}

impl Pending {
    /// The file that it is about, if it is about what one holds.
    fn file(&self) -> Option<u64> {
        match self {
            Self::Write { file, .. } | Self::Length { file, .. } => Some(*file),
            Self::Name { .. } => None,
        }
    }
}

impl SimDisk {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        World::new(BTreeMap::new(), BTreeMap::new(), seed).to_disk()
    }

    fn with<T>(&self, run: impl FnOnce(&mut World) -> T) -> T {
        run(&mut fault::lock(&self.world))
    }

    /// Lets the change `after` from now meet a trouble.
    pub(crate) fn fail(&self, after: u64, trouble: Trouble) {
        self.with(|it| it.trouble = Some((Hits::Change(it.changes + after), trouble)));
    }

    /// Lets the call `after` from now, which may be a read or a look, meet a trouble.
    pub(crate) fn fail_call(&self, after: u64, trouble: Trouble) {
        self.with(|it| it.trouble = Some((Hits::Call(it.calls + after), trouble)));
    }

    /// Lets every change fail, from the one `after` from now on.
    pub(crate) fn fail_from(&self, after: u64, kind: io::ErrorKind) {
        let trouble = Trouble::Error(kind);
        self.with(|it| it.trouble = Some((Hits::ChangesFrom(it.changes + after), trouble)));
    }

    /// From here on nothing fails any more.
    pub(crate) fn heal(&self) {
        self.with(|it| it.trouble = None);
    }

    /// Says what a flush that fails leaves behind.
    pub(crate) fn failed_flush_leaves(&self, platter: Platter, cache: Cache) {
        self.with(|it| it.failed_flush = (platter, cache));
    }

    /// Whether a call met the trouble.
    pub(crate) fn has_failed(&self) -> bool {
        self.with(|it| it.n_hit > 0)
    }

    /// Whether that was a flush.
    pub(crate) fn has_failed_to_flush(&self) -> bool {
        self.with(|it| it.failed_flushes > 0)
    }

    /// How many calls there were that change something.
    pub(crate) fn changes(&self) -> u64 {
        self.with(|it| it.changes)
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.with(|it| it.calls)
    }

    /// Lets the power go before the change `after` from now.
    pub(crate) fn cut(&self, after: u64) {
        self.with(|it| it.cut_at = Some(it.changes + after));
    }

    /// Remembers a number across a power cut.
    pub(crate) fn note(&self, note: u64) {
        self.with(|it| it.note = note);
    }

    /// Remembers from here on the world before each change.
    pub(crate) fn record(&self) {
        self.with(|it| it.recorded = Some(Vec::new()));
    }

    /// The worlds that were recorded, and the one now.
    pub(crate) fn recorded(&self) -> Vec<World> {
        self.with(|it| {
            let mut worlds = it.recorded.take().unwrap_or_default();
            worlds.push(it.untroubled());
            worlds
        })
    }

    /// The world at the moment at which the power went: where [`cut`](Self::cut) said, or now.
    pub(crate) fn moment(&self) -> World {
        self.with(|it| it.cut.take().map_or_else(|| it.untroubled(), |cut| *cut))
    }

    /// The disk as it is, for a process that was killed: caches and all. A copy, so that the
    /// process may still run.
    pub(crate) fn after_kill(&self) -> Self {
        self.with(|it| it.to_disk())
    }

    /// Changes what a file holds behind everybody's back.
    pub(crate) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.number(name).expect("a file");
        self.with(|it| {
            it.pending.retain(|it| it.file() != Some(file));
            let content = it.content(file);
            let mut bytes = content.cache.to_vec();
            change(&mut bytes);
            content.cache = Bytes::of(&bytes);
            content.durable = content.cache.clone();
        });
    }

    /// The names of all files at any depth, from the top, with what they hold.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|it| {
            let file = |entry: &Entry| match entry {
                Entry::File(file) => Some(it.files[file].cache.to_vec()),
                Entry::Directory => None,
            };
            it.names.iter().filter_map(|(name, entry)| Some((name.clone(), file(entry)?))).collect()
        })
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.below)
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let name = self.full(name);
        self.with(|it| it.names.get(&name).copied())
    }

    fn number(&self, name: &str) -> io::Result<u64> {
        match self.entry(name) {
            Some(Entry::File(number)) => Ok(number),
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn opened(&self, name: &str) -> io::Result<SimFile> {
        self.with(|it| World::whole(it.look()))?;
        Ok(SimFile { disk: self.clone(), number: self.number(name)? })
    }

    fn made(&self, name: &str) -> io::Result<SimFile> {
        if self.entry(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let name = self.full(name);
        self.with(|it| {
            World::whole(it.change())?;
            let number = it.next_file;
            it.next_file += 1;
            it.files.insert(number, Content::default());
            it.rename(&self.below, Change::Set(name, Entry::File(number)));
            Ok(SimFile { disk: self.clone(), number })
        })
    }
}

impl Disk for SimDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/simulated/{}", self.full(name)).trim_end_matches('/'))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.with(|it| {
            World::whole(it.look())?;
            let names = it.names.keys().filter_map(|name| name.strip_prefix(&self.below));
            Ok(names.filter(|it| !it.contains('/')).map(str::to_owned).collect())
        })
    }

    fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.opened(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.made(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let change = Change::Rename(self.full(from), self.full(to));
        self.with(|it| {
            World::whole(it.change())?;
            it.rename(&self.below, change);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.entry(name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = Change::Remove(self.full(name));
        self.with(|it| {
            World::whole(it.change())?;
            it.rename(&self.below, change);
            Ok(())
        })
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        let change = Change::Set(self.full(name), Entry::Directory);
        self.with(|it| {
            World::whole(it.change())?;
            it.rename(&self.below, change);
            Ok(())
        })
    }

    fn remove_all(&self, name: &str) -> io::Result<()> {
        if self.entry(name) == Some(Entry::Directory) {
            let directory =
                SimDisk { world: Arc::clone(&self.world), below: self.full(name) + "/" };
            for name in directory.names()? {
                directory.remove_all(&name)?;
            }
        }
        self.remove(name)
    }

    fn below(&self, name: &str) -> Arc<dyn Disk> {
        Arc::new(Self { world: Arc::clone(&self.world), below: self.full(name) + "/" })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|it| {
            let done = World::whole(it.change());
            it.flush_names(&self.below, done.is_ok());
            done
        })
    }

    fn database(
        &self,
        name: &str,
        making: Making,
        builder: &Builder,
    ) -> Result<Database, DatabaseError> {
        let file = match making {
            Making::New => self.made(name).map_err(StorageError::Io)?,
            Making::Never => self.opened(name).map_err(StorageError::Io)?,
        };
        if making == Making::Never && file.bytes().map_err(StorageError::Io)? == 0 {
            return Err(StorageError::Io(io::ErrorKind::InvalidData.into()).into());
        }
        builder.create_with_backend(file)
    }
}
