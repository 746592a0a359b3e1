//! A disk for tests that forgets what was not flushed, tears writes, and fails when told to.
//!
//! Each file has what the system would show (its cache) and what is on the platter. A power cut
//! keeps the platter, plus any sectors of unflushed writes and any unflushed changes of names
//! that chance chooses. A failed flush forgets which writes it was about, as some systems do.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskFile};
use crate::fault;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Numbers from a seed (xorshift).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }

    /// True in `percent` of all cases.
    pub(crate) fn is(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A directory of simulated files.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<World>>);

#[derive(Clone, Debug)]
struct World {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Changes of names since the directory was flushed.
    changes: Vec<Change>,
    next_file: u64,
    chance: Chance,
    /// Changing operations so far.
    operations: u64,
    fault: Option<(u64, io::ErrorKind)>,
    /// When to remember what a power cut would leave, and what that is.
    cut_at: Option<u64>,
    cut: Option<Box<World>>,
    /// What the test wants to remember at the cut.
    note: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    cache: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last flush.
    dirty: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Change {
    Set(String, u64),
    Rename(String, String),
    Remove(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Set(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => drop(names.remove(name)),
        }
    }
}

fn write_into(bytes: &mut Vec<u8>, offset: usize, part: &[u8]) {
    let end = offset + part.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(part);
}

impl World {
    /// Counts an operation, and fails it if it is the one that shall fail.
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.cut_at == Some(self.operations) {
            self.cut = Some(Box::new(self.after_power_cut()));
        }
        match self.fault {
            Some((at, kind)) if at == self.operations => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn after_power_cut(&mut self) -> Self {
        let percent = [0, 20, 50, 80, 100][usize::try_from(self.chance.below(5)).expect("small")];
        let mut names = self.durable_names.clone();
        for change in &self.changes {
            if self.chance.is(percent) {
                change.apply(&mut names);
            }
        }
        let mut files = BTreeMap::new();
        for (number, content) in &self.files {
            let mut durable = content.durable.clone();
            for (offset, bytes) in &content.dirty {
                for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                    if self.chance.is(percent) {
                        write_into(&mut durable, offset + index * SECTOR_BYTES, sector);
                    }
                }
            }
            files.insert(*number, Content { cache: durable.clone(), durable, dirty: vec![] });
        }
        Self {
            files,
            names: names.clone(),
            durable_names: names,
            changes: Vec::new(),
            next_file: self.next_file,
            chance: Chance::new(self.chance.below(u64::MAX)),
            operations: 0,
            fault: None,
            cut_at: None,
            cut: None,
            note: self.note,
        }
    }
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            next_file: 0,
            chance: Chance::new(seed),
            operations: 0,
            fault: None,
            cut_at: None,
            cut: None,
            note: 0,
        })))
    }

    /// Lets the changing operation `after` from now fail.
    pub(crate) fn fail(&self, after: u64, kind: io::ErrorKind) {
        let world = &mut *fault::lock(&self.0);
        world.fault = Some((world.operations + after, kind));
    }

    /// Whether the operation that should fail has.
    pub(crate) fn has_failed(&self) -> bool {
        let world = fault::lock(&self.0);
        world.fault.is_some_and(|(at, _)| world.operations >= at)
    }

    /// Lets the power go before the changing operation `after` from now.
    pub(crate) fn cut(&self, after: u64) {
        let world = &mut *fault::lock(&self.0);
        world.cut_at = Some(world.operations + after);
    }

    /// Remembers a number across a power cut.
    pub(crate) fn note(&self, note: u64) {
        fault::lock(&self.0).note = note;
    }

    /// The disk after the power went, where [`cut`](Self::cut) said, or now; and the note then.
    pub(crate) fn after_power_cut(&self) -> (Self, u64) {
        let world = &mut *fault::lock(&self.0);
        let after = match world.cut.take() {
            Some(cut) => *cut,
            None => world.after_power_cut(),
        };
        let note = after.note;
        (Self(Arc::new(Mutex::new(after))), note)
    }

    /// The disk as it is, for a process that was killed: caches and all. A copy, so that the
    /// process may still run.
    pub(crate) fn after_kill(&self) -> Self {
        let mut world = fault::lock(&self.0).clone();
        (world.fault, world.cut_at, world.cut) = (None, None, None);
        Self(Arc::new(Mutex::new(world)))
    }

    /// Changes what a file holds behind everybody's back.
    pub(crate) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let world = &mut *fault::lock(&self.0);
        let number = world.names[name];
        let content = world.files.get_mut(&number).expect("a name has a file");
        change(&mut content.cache);
        content.durable.clone_from(&content.cache);
        content.dirty.clear();
    }

    /// A file by name, made if it is not there.
    pub(crate) fn file(&self, name: &str) -> io::Result<SimFile> {
        let number = fault::lock(&self.0).names.get(name).copied();
        match number {
            Some(number) => Ok(SimFile { disk: self.clone(), number }),
            None => self.make(name),
        }
    }

    fn make(&self, name: &str) -> io::Result<SimFile> {
        let world = &mut *fault::lock(&self.0);
        world.step()?;
        let number = world.next_file;
        world.next_file += 1;
        world.files.insert(number, Content::default());
        Self::change(world, Change::Set(name.to_owned(), number));
        Ok(SimFile { disk: self.clone(), number })
    }

    fn change(world: &mut World, change: Change) {
        change.apply(&mut world.names);
        world.changes.push(change);
    }

    fn has(&self, name: &str) -> bool {
        fault::lock(&self.0).names.contains_key(name)
    }
}

impl Disk for SimDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(fault::lock(&self.0).names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        if !self.has(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(self.file(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        if self.has(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(self.make(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let world = &mut *fault::lock(&self.0);
        world.step()?;
        Self::change(world, Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let world = &mut *fault::lock(&self.0);
        world.step()?;
        Self::change(world, Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let world = &mut *fault::lock(&self.0);
        world.step()?;
        world.changes.clear();
        world.durable_names = world.names.clone();
        Ok(())
    }
}

/// A simulated file.
#[derive(Clone, Debug)]
pub(crate) struct SimFile {
    disk: SimDisk,
    number: u64,
}

impl SimFile {
    fn with<T>(&self, run: impl FnOnce(&mut Content) -> T) -> T {
        let world = &mut *fault::lock(&self.disk.0);
        run(world.files.get_mut(&self.number).expect("a file stays while it is open"))
    }

    fn step(&self) -> io::Result<()> {
        fault::lock(&self.disk.0).step()
    }
}

impl DiskFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.with(|it| it.cache.len())).expect("small"))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).expect("small");
        self.with(|it| {
            let part = it.cache.get(start..start + buffer.len());
            let part = part.ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(part);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).expect("small");
        let done = self.step();
        // One that fails has written some of it.
        let bytes = if done.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.with(|it| {
            write_into(&mut it.cache, start, bytes);
            it.dirty.push((start, bytes.to_vec()));
        });
        done
    }

    fn sync(&self) -> io::Result<()> {
        let done = self.step();
        self.with(|it| {
            // A flush that failed has forgotten what it was about: a later one does not mend it.
            for (offset, bytes) in it.dirty.drain(..) {
                if done.is_ok() {
                    write_into(&mut it.durable, offset, &bytes);
                }
            }
        });
        done
    }
}

impl redb::StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.bytes()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step()?;
        let len = usize::try_from(len).expect("small");
        self.with(|it| {
            it.cache.resize(len, 0);
            // A length is kept at once: the harder case for a file that got shorter is a rename.
            it.durable.resize(len, 0);
            it.dirty.retain(|(offset, bytes)| offset + bytes.len() <= len);
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_at(offset, data)
    }
}
