//! Short histories, and every cut at each change of the disk.
//!
//! Each history makes at most 200 changes. Before each of them, and behind the last, the power
//! goes, keeping each prefix of what was not flushed, and 64 parts of it by chance: 32 with blocks
//! of 512 bytes and 32 with blocks of 4,096 (or every part, where there are fewer). What is kept
//! may be the length of a file without its bytes, and any name. A prefix that was tried at the
//! moment before is not tried again.
//!
//! Seen to fail, each with another history: without the flush of a frame, without that of the
//! names behind a rename, when segments are freed before their checkpoint is durable, when what an
//! earlier making left may outlive its marker, when a marker's name is not flushed, when an orderly end
//! frees what it was written to without flushing the name of what comes next.

use super::{Chance, Cursor, Life, MARKER, SimDisk, Turn, check, check_cut, note, options};
use crate::disk::Disk;
use crate::embedded::{Options, Sizes};
use crate::simdisk::{BLOCKS, World};

const CHANGES_MAX: usize = 200;
/// The parts by chance of one moment, for each size of blocks.
const PARTS: u64 = 32;

/// A history that is being made: the disk, the store, what was submitted.
pub(super) struct Story {
    pub(super) disk: SimDisk,
    pub(super) history: Vec<Turn>,
    pub(super) chance: Chance,
}

impl Story {
    pub(super) fn begin() -> Self {
        Self { disk: SimDisk::new(1), history: Vec::new(), chance: Chance::new(1) }
    }

    pub(super) fn open(&self) -> Life {
        Life::begin(&self.disk, &options()).expect("a disk that does not fail")
    }

    /// Submits so many batches and flushes them as one group.
    pub(super) fn group(&mut self, life: &mut Life, count: usize) {
        for _ in 0..count {
            life.submit(&mut self.chance, &mut self.history).expect("taken");
        }
        life.flush(&self.disk, &self.history).expect("flushed");
    }

    /// Tries all cuts of what was recorded, with blocks of these sizes.
    fn try_all(&self, blocks: &[usize]) {
        let worlds = self.disk.recorded();
        assert!(worlds.len() <= CHANGES_MAX + 1, "{} changes", worlds.len() - 1);
        let mut n_cuts = 0;
        let mut chance = Chance::new(7);
        for (number, world) in worlds.iter().enumerate() {
            let before = number.checked_sub(1).map(|before| &worlds[before]);
            for &block in blocks {
                for kept in parts(world, before, block, &mut chance) {
                    let case = format!("change {number}, blocks of {block}, kept {kept:?}");
                    let after = world.after_cut(&world.pieces(block), |at| kept[at]).to_disk();
                    check_cut(&after, &self.history, world.note(), &case);
                    n_cuts += 1;
                }
            }
        }
        println!("{n_cuts} power cuts survived at {} moments", worlds.len());
        assert!(n_cuts > 5 * worlds.len(), "only {n_cuts} cuts");
    }

    /// Kills the process at each change, opens the store again, which sees what is in the caches,
    /// and then lets the power go: what was seen stays, and what was acknowledged since.
    fn try_all_killed(&self) {
        let (mut n_cuts, mut chance) = (0, Chance::new(7));
        for (number, world) in self.disk.recorded().iter().enumerate() {
            let case = format!("killed at change {number}");
            let disk = world.to_disk();
            let mut life =
                Life::begin(&disk, &options()).unwrap_or_else(|it| panic!("{case}: {it}"));
            let kept = check(&life, &self.history, world.note(), &case);
            let mut history = self.history[..kept].to_vec();
            life.submit(&mut chance, &mut history).expect("taken");
            life.flush(&disk, &history).expect("flushed");
            life.do_jobs();
            let moment = disk.moment();
            for part in 0..4 {
                let pieces = moment.pieces(BLOCKS[0]);
                let after =
                    moment.after_cut(&pieces, |_| part > 0 && chance.is(30 * part)).to_disk();
                check_cut(&after, &history, moment.note(), &format!("{case}, part {part}"));
                n_cuts += 1;
            }
        }
        println!("{n_cuts} power cuts survived behind a kill");
        assert!(n_cuts > 100, "only {n_cuts} cuts");
    }
}

/// What the cuts of one moment keep: each prefix that was not tried at the moment before, and
/// parts by chance.
fn parts(
    world: &World,
    before: Option<&World>,
    block: usize,
    chance: &mut Chance,
) -> Vec<Vec<bool>> {
    let count = world.pieces(block).len();
    let tried = before.filter(|before| before.leads_to(world));
    let first = tried.map_or(0, |before| before.pieces(block).len() + 1);
    let prefix = |end: usize| (0..count).map(|at| at < end).collect();
    let mut parts: Vec<Vec<bool>> = (first..=count).map(prefix).collect();
    let all = u32::try_from(count).ok().and_then(|it| 1_u64.checked_shl(it));
    match all.filter(|all| *all <= PARTS) {
        Some(all) => {
            parts.extend((0..all).map(|bits| (0..count).map(|at| bits >> at & 1 == 1).collect()));
        }
        None => parts.extend((0..PARTS).map(|_| {
            let percent = chance.pick(&[10, 50, 90]);
            (0..count).map(|_| chance.is(percent)).collect()
        })),
    }
    parts
}

/// The first opening, and some commits.
fn made() -> Story {
    let mut story = Story::begin();
    story.disk.record();
    let mut life = story.open();
    for count in [1, 3, 2] {
        story.group(&mut life, count);
    }
    story
}

/// An opening that finds what a making left that was cut short just before it counted.
fn remade() -> Story {
    let mut story = Story::begin();
    story.disk.record();
    drop(story.open());
    let worlds = story.disk.recorded();
    let unmade = worlds.iter().rfind(|it| !it.to_disk().has(MARKER)).expect("the first one");
    story.disk = unmade.after_cut(&unmade.pieces(BLOCKS[0]), |_| true).to_disk();
    assert!(story.disk.files().len() > 2, "nothing was left");
    story.disk.record();
    let mut life = story.open();
    story.group(&mut life, 2);
    story
}

/// Commits over several segments: some are made while nobody waits, some by the flush that needs
/// them.
fn rolled() -> Story {
    let mut story = Story::begin();
    let mut life = story.open();
    story.disk.record();
    for count in [4, 6, 1, 5, 9, 2] {
        story.group(&mut life, count);
        life.do_jobs();
    }
    story
}

/// Checkpoints, segments that are freed and used again, a log that is trimmed.
fn recycled() -> Story {
    let mut story = Story::begin();
    let mut life = story.open();
    let mut was = life.shared.figures().bytes;
    let mut n_freed = 0;
    for round in 0..11 {
        if round == 6 {
            story.disk.record();
        }
        story.group(&mut life, 9);
        if round % 4 == 3 {
            life.trim(&story.disk, &mut story.chance, &story.history).expect("trimmed");
        }
        life.do_jobs();
        let bytes = life.shared.figures().bytes;
        n_freed += u32::from(bytes < was);
        was = bytes;
    }
    assert!(n_freed > 0, "no segment was freed");
    story
}

/// An opening that replays more than memory holds, so that it brings the index up to date
/// meanwhile; and a second one.
fn recovered() -> Story {
    let mut story = Story::begin();
    // Nothing of this goes to the index.
    let large = Sizes { overlay_bytes: 1 << 20, journal_bytes: 1 << 20, ..options().sizes };
    let options = Options { sizes: large, ..options() };
    let mut life = Life::begin(&story.disk, &options).expect("a disk that does not fail");
    for _ in 0..8 {
        story.group(&mut life, 4);
    }
    drop(life);
    story.disk = story.disk.after_kill();
    note(&story.disk, story.history.len(), Cursor::BEGINNING);
    story.disk.record();
    let life = story.open();
    drop(life);
    let mut life = story.open();
    story.group(&mut life, 2);
    life.do_jobs();
    story
}

/// Orderly ends, which leave a short segment, and commits behind each; the second one has nothing
/// to write but the claim.
fn closed() -> Story {
    let mut story = Story::begin();
    let mut life = story.open();
    story.group(&mut life, 5);
    story.disk.record();
    life.close().expect("closed");
    let lengths = |disk: &SimDisk| {
        let files = disk.files().into_iter();
        let segments = files.filter(|(name, _)| name.contains("journal-"));
        segments.map(|(_, bytes)| bytes.len()).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&story.disk), [1_024], "only a short segment is read when it is opened");
    story.group(&mut life, 4);
    life.close().expect("closed");
    drop(life);
    story.open().close().expect("closed");
    assert_eq!(lengths(&story.disk), [1_024]);
    let mut life = story.open();
    story.group(&mut life, 3);
    story
}

#[test]
fn an_orderly_end_survives_every_cut() {
    closed().try_all(&BLOCKS);
}

#[test]
fn the_making_of_a_store_and_its_first_commits_survive_every_cut() {
    made().try_all(&BLOCKS);
}

#[test]
fn the_making_of_a_store_over_an_earlier_one_survives_every_cut() {
    remade().try_all(&BLOCKS);
}

#[test]
fn new_segments_survive_every_cut() {
    rolled().try_all(&BLOCKS);
}

#[test]
fn checkpoints_and_segments_that_are_used_again_survive_every_cut_into_small_blocks() {
    recycled().try_all(&BLOCKS[..1]);
}

#[test]
fn checkpoints_and_segments_that_are_used_again_survive_every_cut_into_large_blocks() {
    recycled().try_all(&BLOCKS[1..]);
}

#[test]
fn an_opening_that_replays_survives_every_cut_into_small_blocks() {
    recovered().try_all(&BLOCKS[..1]);
}

#[test]
fn an_opening_that_replays_survives_every_cut_into_large_blocks() {
    recovered().try_all(&BLOCKS[1..]);
}

#[test]
fn what_was_seen_after_a_kill_survives_a_cut() {
    for story in [made(), remade(), rolled(), recycled(), recovered(), closed()] {
        story.try_all_killed();
    }
}
