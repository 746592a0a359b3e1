//! Histories by chance over several lives, each ended by a power cut.
//!
//! Of the moment at which the power goes several cuts are looked at, which keep different parts of
//! what was not flushed; life goes on from one of them. The power may go while the store is made,
//! while it opens, and while it is opened after that.
//!
//! Seen to fail with: no flush of a frame, no flush of the names behind a rename, a checkpoint
//! that frees one segment too many, no flush of the marker's name, a spare whose head is written
//! before its earlier name is gone, a last frame that is not written again.

use super::{Chance, Life, SimDisk, Turn, check_cut, note, options};
use crate::embedded::{Options, Sizes};

/// How many cuts of one moment are looked at.
const CUTS_A_MOMENT: u64 = 5;
const LIVES: u64 = 4;
/// Multiplies the histories of every test here.
const MORE: &str = "SEXTON_CUTS_TIMES";

/// How many times as much was asked for.
fn times() -> u64 {
    let asked = std::env::var_os(MORE).and_then(|it| it.to_str()?.parse().ok());
    asked.unwrap_or(1)
}

impl Life {
    /// Random work; every acknowledgement is noted.
    fn work(&mut self, disk: &SimDisk, chance: &mut Chance, history: &mut Vec<Turn>) {
        let well = "a disk that does not fail";
        for _ in 0..chance.below(120) {
            if chance.is(70) {
                self.submit(chance, history).expect(well);
            } else if chance.is(15) {
                self.do_jobs();
                self.trim(disk, chance, history).expect(well);
            } else {
                self.do_jobs();
                self.flush(disk, history).expect(well);
                if chance.is(60) {
                    self.do_jobs();
                }
            }
        }
    }
}

/// Lives from seeds; how many cuts were looked at.
fn live(seeds: std::ops::Range<u64>, sizes: &[Sizes]) -> u64 {
    let mut n_cuts = 0;
    let count = seeds.end - seeds.start;
    for seed in seeds.start..seeds.start + count * times() {
        let mut chance = Chance::new(seed);
        let mut disk = SimDisk::new(seed);
        let (mut history, mut acknowledged) = (Vec::new(), 0);
        for life_number in 0..LIVES {
            let case = format!("seed {seed}, life {life_number}");
            let sizes = sizes[usize::try_from(seed + life_number).unwrap() % sizes.len()].clone();
            let options = Options { sizes, ..options() };
            disk.note(acknowledged);
            disk.cut(1 + chance.below(if life_number == 0 { 120 } else { 250 }));
            // The power may go while it opens as well.
            let mut life = Life::begin(&disk, &options).unwrap_or_else(|it| panic!("{case}: {it}"));
            let kept = super::check(&life, &history, acknowledged, &case);
            history.truncate(kept);
            // What came back is on disk now, whatever happens next.
            note(&disk, kept, life.shared.log().unwrap().begin);
            life.work(&disk, &mut chance, &mut history);
            let moment = disk.moment();
            acknowledged = moment.note();
            for number in 0..CUTS_A_MOMENT {
                let after = moment.after_some_cut(&mut chance).to_disk();
                let case = format!("{case}, cut {number}");
                n_cuts += 1;
                disk = after.after_kill();
                check_cut(&after, &history, acknowledged, &case);
            }
            if chance.is(30) {
                // Killed only: the next cut takes what lies in the caches still.
                disk = moment.to_disk();
            }
        }
    }
    n_cuts
}

fn small() -> Vec<Sizes> {
    vec![options().sizes]
}

/// Segments of different lengths from one opening to the next, and a journal that is long
/// against the index.
fn mixed() -> Vec<Sizes> {
    let sizes = |overlay_bytes, journal_bytes, segment_bytes| Sizes {
        overlay_bytes,
        journal_bytes,
        segment_bytes,
    };
    vec![sizes(6_000, 12_000, 4_096), sizes(2_500, 30_000, 2_048), sizes(20_000, 9_000, 8_192)]
}

fn survive(seeds: std::ops::Range<u64>, sizes: &[Sizes]) {
    let count = seeds.end - seeds.start;
    let n_cuts = live(seeds, sizes);
    println!("{n_cuts} power cuts survived");
    assert_eq!(n_cuts, count * times() * LIVES * CUTS_A_MOMENT);
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    survive(0..75, &small());
}

#[test]
fn what_was_acknowledged_survives_every_power_cut_of_other_seeds() {
    survive(1_000_000..1_000_075, &small());
}

#[test]
fn segments_of_other_lengths_from_one_opening_to_the_next_survive_every_power_cut() {
    survive(2_000_000..2_000_075, &mixed());
}
