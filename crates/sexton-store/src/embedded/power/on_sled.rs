//! What a power cut leaves of a store on sled: everything that was acknowledged, or a refusal.
//!
//! sled does its own input and output, so its files are real ones. They are copied at each step of
//! a checkpoint, and the copy behind our latest flush of them is the platter: a cut keeps that,
//! and any blocks and names that came since. sled as it comes flushes nothing: for it the platter
//! is what was there when the index was made.
//!
//! Seen to fail: with a journal that may begin behind the end of the index.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sexton_core::{Error, ErrorKind};

use super::{Chance, Life, Turn, check, options};
use crate::disk::{Disk, RealDisk};
use crate::embedded::shared::Shared;
use crate::embedded::{Check, EmbeddedStore, Options};
use crate::fault;
use crate::index::sled::{SledIndex, Step};
use crate::index::{Checkpoint, Index, IndexKind};
use crate::overlay::{Overlay, Records};

const GROUPS: usize = 40;

/// Files below a directory, by their path in it, with what they hold.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(top: &Path) -> Files {
    let mut found = Files::new();
    let mut left = vec![top.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if let Ok(content) = fs::read(&path) {
                // sled may have removed it meanwhile.
                let name = path.strip_prefix(top).expect("below it");
                found.insert(name.to_owned(), content);
            }
        }
    }
    found
}

fn write(top: &Path, files: &Files) {
    for (name, content) in files {
        let path = top.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, content).expect("written");
    }
}

/// A moment at which the power may go.
struct Moment {
    platter: Files,
    /// The files of sled then, and those of the journal, of which all is flushed.
    now: Files,
    journal: Files,
    /// How many batches were acknowledged.
    acknowledged: u64,
}

impl Moment {
    /// What a cut leaves of sled's files.
    fn cut(&self, platter: &Files, chance: &mut Chance) -> Files {
        let (percent, block) = (chance.pick(&[0, 20, 50, 80, 100]), chance.pick(&[512, 4_096]));
        let mut left = platter.clone();
        for (name, content) in &self.now {
            let (was, is_new) = (platter.get(name), !platter.contains_key(name));
            if is_new && !chance.is(percent) {
                continue;
            }
            let kept = left.entry(name.clone()).or_default();
            if chance.is(percent) {
                kept.resize(content.len(), 0);
            }
            for (number, part) in content.chunks(block).enumerate() {
                let range = number * block..number * block + part.len();
                let is_same = was.and_then(|was| was.get(range.clone())) == Some(part);
                if !is_same && range.end <= kept.len() && chance.is(percent) {
                    kept[range].copy_from_slice(part);
                }
            }
        }
        left.retain(|name, _| self.now.contains_key(name) || !chance.is(percent));
        left
    }
}

/// A sled index whose files are copied at each step of a checkpoint.
#[derive(Debug)]
struct Recorded {
    index: SledIndex,
    top: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    platter: Files,
    moments: Vec<Moment>,
    acknowledged: u64,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} moments", self.moments.len())
    }
}

impl Recorded {
    fn see(&self, step: Step) {
        let now = files(&self.top.join("index.sled"));
        let journal = files(&self.top.join("journal"));
        let seen = &mut *fault::lock(&self.seen);
        match step {
            Step::Written => {
                let (platter, acknowledged) = (seen.platter.clone(), seen.acknowledged);
                seen.moments.push(Moment { platter, now, journal, acknowledged });
            }
            Step::Flushed => seen.platter = now,
        }
    }
}

impl Index for Recorded {
    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        self.index.checkpoint()
    }

    fn apply(&self, writes: &Overlay, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.index.apply_in_steps(writes, checkpoint, &mut |step| self.see(step))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.index.get(key)
    }

    fn range(&self, start: &[u8], end: &[u8]) -> Result<Records<'_>, Error> {
        self.index.range(start, end)
    }

    fn bytes(&self) -> u64 {
        self.index.bytes()
    }
}

fn on_sled() -> Options {
    Options { index: IndexKind::Sled, check: Check::Whole, ..options() }
}

/// A store on sled, and every moment of its life; behind them the whole history.
fn recorded() -> (Files, Vec<Moment>, Vec<Turn>) {
    let place = tempfile::tempdir().expect("a place");
    let top = place.path().join("store");
    // Made as a store is made, so that everything of it is flushed.
    drop(EmbeddedStore::open(&top, &on_sled()).expect("made"));
    let first = files(&top.join("index.sled"));
    let index = SledIndex::open(&top.join("index.sled"), Check::Quick).expect("opens");
    let seen = Arc::new(Mutex::new(Seen { platter: first.clone(), ..Seen::default() }));
    let index = Recorded { index, top: top.clone(), seen: Arc::clone(&seen) };
    let disk = RealDisk::new(top).below("journal");
    let sizes = options().sizes;
    let shared = Shared::recover("sled".to_owned(), sizes, disk, Box::new(index)).expect("opens");
    let mut life = Life::over(shared).expect("claimed");
    let (mut history, mut chance) = (Vec::new(), Chance::new(9));
    for _ in 0..GROUPS {
        for _ in 0..8 {
            life.submit(&mut chance, &mut history).expect("taken");
        }
        life.shared.flush().expect("flushed");
        fault::lock(&seen).acknowledged = u64::try_from(history.len()).expect("small");
        life.do_jobs();
    }
    drop(life);
    let moments = std::mem::take(&mut fault::lock(&seen).moments);
    (first, moments, history)
}

/// Opens what a cut left; whether it opened. If it did, everything is there, and if it did not,
/// the error says so.
fn survives(moment: &Moment, index: &Files, history: &[Turn], case: &str) -> bool {
    let place = tempfile::tempdir().expect("a place");
    let marker = b"sexton store\nformat: 2\nindex: sled\nshards: 4096\n".to_vec();
    write(place.path(), &[(PathBuf::from("sexton-store"), marker)].into());
    write(&place.path().join("journal"), &moment.journal);
    fs::create_dir_all(place.path().join("index.sled")).expect("made");
    write(&place.path().join("index.sled"), index);
    match Life::begin(&RealDisk::new(place.path().to_owned()), &on_sled()) {
        Ok(life) => {
            check(&life, history, moment.acknowledged << 32, case);
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{case}: {text}");
            let names = ["index.sled", "journal"];
            assert!(names.iter().any(|name| text.contains(name)), "{case}: {text}");
            false
        }
    }
}

#[test]
fn a_store_on_sled_has_everything_after_a_power_cut_or_is_refused() {
    let (first, moments, history) = recorded();
    assert!(moments.len() > 60, "only {} moments", moments.len());
    let mut chance = Chance::new(4);
    let (mut n_opened, mut n_cuts) = (0, 0);
    let (mut n_unflushed, mut n_unflushed_cuts) = (0, 0);
    for (number, moment) in moments.iter().enumerate() {
        for cut in 0..2 {
            let case = format!("moment {number}, cut {cut}");
            let left = moment.cut(&moment.platter, &mut chance);
            n_opened += u32::from(survives(moment, &left, &history, &case));
            n_cuts += 1;
        }
        if number % 4 == 3 {
            let case = format!("moment {number}, sled as it comes");
            let left = moment.cut(&first, &mut chance);
            n_unflushed += u32::from(survives(moment, &left, &history, &case));
            n_unflushed_cuts += 1;
        }
    }
    println!("on sled, flushed by us: {n_opened} of {n_cuts} power cuts survived, others refused");
    println!("on sled as it comes: {n_unflushed} of {n_unflushed_cuts}, others refused");
    assert!(n_opened * 2 > n_cuts, "{n_opened} of {n_cuts}");
    assert!(n_unflushed < n_unflushed_cuts, "a platter that was never flushed has everything");
}
