//! Journals whose bytes are not what was written.
//!
//! Goal: what is torn at the very end is left out, and everything else is told with file and
//! offset; never a panic, never an item that was not written. Method: every cut and every bit of
//! a small journal.

use std::sync::Arc;

use sexton_core::{Epoch, Error, ErrorKind};

use super::{
    FRAME_HEAD_BYTES, Item, Journal, SEGMENT_HEAD_BYTES, SegmentHead, Start, replay, survey,
    write_claim,
};
use crate::disk::Disk;
use crate::simdisk::SimDisk;

const SEGMENT_BYTES: u64 = 1_024;
const BEGINNING: Start = Start { position: 0, generation: 1 };

/// A journal into which groups of claims were written, numbered through.
fn journal(groups: &[u32]) -> (SimDisk, Journal) {
    let disk = SimDisk::new(1);
    let mut journal = Journal::create(Arc::new(disk.clone()), SEGMENT_BYTES).expect("made");
    append(&mut journal, 1, groups);
    (disk, journal)
}

fn append(journal: &mut Journal, mut position: u64, groups: &[u32]) {
    for items in groups {
        let mut frame = vec![0; FRAME_HEAD_BYTES];
        for number in position..position + u64::from(*items) {
            write_claim(&mut frame, Epoch(u64::MAX - number));
        }
        journal.append(&mut frame, position, *items).expect("written");
        position += u64::from(*items);
    }
}

/// Reads a copy of the disk: the numbers found, and the journal.
fn read(disk: &SimDisk, start: Start) -> Result<(Vec<u64>, Journal), Error> {
    let mut found = Vec::new();
    let disk: Arc<dyn Disk> = Arc::new(disk.after_kill());
    let (journal, reached) = replay(disk, SEGMENT_BYTES, start, &mut |position, item| {
        assert_eq!(
            item,
            Item::Claim(Epoch(u64::MAX - position)),
            "never an item that was not written"
        );
        found.push(position);
        Ok(())
    })?;
    assert_eq!(found.last().copied().unwrap_or(start.position), reached);
    Ok((found, journal))
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    range.collect()
}

/// Bytes of a frame with so many claims.
fn frame_bytes(items: usize) -> usize {
    (FRAME_HEAD_BYTES + items * 9).next_multiple_of(8)
}

#[test]
fn a_last_frame_that_is_torn_anywhere_is_left_out() {
    let (disk, _) = journal(&[2, 3, 4]);
    let last = SEGMENT_HEAD_BYTES + frame_bytes(2) + frame_bytes(3);
    let end = last + FRAME_HEAD_BYTES + 4 * 9;
    for cut in last..end {
        for (fill, byte) in [("zeros", 0), ("garbage", 0xa5)] {
            let torn = disk.after_kill();
            torn.tamper("journal-0000000001", |bytes| bytes[cut..].fill(byte));
            let (found, mut journal) = read(&torn, BEGINNING).unwrap();
            assert_eq!(found, numbers(1..=5), "{fill} at {cut}");
            // It goes on behind what was found, over what was torn.
            append(&mut journal, 6, &[1, 40, 40]);
            let disk: Arc<dyn Disk> = Arc::clone(&journal.disk);
            let mut n_found = 0;
            let count = &mut |_, _| {
                n_found += 1;
                Ok(())
            };
            let (_, reached) = replay(disk, SEGMENT_BYTES, BEGINNING, count).unwrap();
            assert_eq!((n_found, reached), (86, 86), "{fill} at {cut}");
        }
    }
}

#[test]
fn a_segment_that_is_shorter_than_it_was_made_is_told() {
    // No power cut does this: a segment has its length before it counts.
    let (disk, _) = journal(&[2, 3, 4]);
    for length in 0..usize::try_from(SEGMENT_BYTES).unwrap() {
        let short = disk.after_kill();
        short.tamper("journal-0000000001", |bytes| bytes.truncate(length));
        let error = read(&short, BEGINNING).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let place = format!("journal-0000000001 is damaged at byte {length}: it ends");
        assert!(error.to_string().contains(&place), "{error}");
        // What stands before it can still be read.
        let mut n_found = 0;
        let found = survey(&short, Some(BEGINNING), &mut |_, _| {
            n_found += 1;
            Ok(())
        });
        let (mut end, mut whole) = (SEGMENT_HEAD_BYTES, 0);
        for items in [2, 3, 4] {
            // The padding behind a frame does not matter.
            whole += if end + FRAME_HEAD_BYTES + items * 9 <= length { items } else { 0 };
            end += frame_bytes(items);
        }
        assert_eq!(n_found, whole, "{length}");
        assert!(found.damage.iter().any(|it| it.place == u64::try_from(length).ok()));
        assert_eq!(found.remains, None);
    }
    // A file from before its length was written into its head is read as ever.
    let old = disk.after_kill();
    old.tamper("journal-0000000001", |bytes| {
        let head = SegmentHead { generation: 1, first: 1, bytes: 0 };
        bytes[..SEGMENT_HEAD_BYTES].copy_from_slice(&head.to_bytes());
        bytes.truncate(SEGMENT_HEAD_BYTES + frame_bytes(2));
    });
    assert_eq!(read(&old, BEGINNING).unwrap().0, numbers(1..=2));
}

#[test]
fn what_stands_behind_the_end_is_noted_unless_it_is_of_an_earlier_use() {
    let noted = |disk: &SimDisk, start| {
        let mut damage = Vec::new();
        let found = survey(disk, Some(start), &mut |_, _| Ok(()));
        damage.extend(found.damage);
        let read = super::read(disk, start, &mut |_, _| Ok(()));
        assert_eq!((damage, read.as_ref().ok()), (Vec::new(), Some(&found.remains)));
        found.remains
    };
    let (disk, mut journal) = journal(&[2, 3, 4]);
    assert_eq!(noted(&disk, BEGINNING), None, "zeros");
    let last = SEGMENT_HEAD_BYTES + frame_bytes(2) + frame_bytes(3);
    for at in last..last + FRAME_HEAD_BYTES + 4 * 9 {
        let bent = disk.after_kill();
        bent.tamper("journal-0000000001", |bytes| bytes[at] ^= 4);
        let note = noted(&bent, BEGINNING).expect("something stands there");
        assert_eq!(note.place, u64::try_from(last).unwrap());
        assert!(note.to_string().ends_with("never acknowledged, or damage"), "{note}");
    }
    let torn = disk.after_kill();
    torn.tamper("journal-0000000001", |bytes| bytes[last..last + 24].fill(0));
    let note = noted(&torn, BEGINNING).expect("something stands there");
    assert!(note.what.contains("an earlier use of the file"), "{note}");
    // Segments that were full are used again: what is left of that is no news.
    append(&mut journal, 10, &[8; 22]);
    journal.free(185).unwrap();
    append(&mut journal, 186, &[60, 1]);
    let start = Start { position: 185, generation: journal.generation() };
    assert!(journal.generation() > 3, "a segment was used again");
    assert_eq!(noted(&disk, start), None, "frames of an earlier use");
    let name = super::segment_name(journal.generation());
    let torn = SEGMENT_HEAD_BYTES + frame_bytes(60);
    disk.tamper(&name, |bytes| bytes[torn + FRAME_HEAD_BYTES] ^= 1);
    let note = noted(&disk, start).expect("a frame that does not check");
    assert!(note.what.ends_with("never acknowledged, or damage"), "{note}");
}

#[test]
fn a_flipped_bit_anywhere_but_in_the_last_frame_is_told_with_file_and_offset() {
    let (disk, _) = journal(&[2, 3, 4]);
    let first = SEGMENT_HEAD_BYTES;
    let last = first + frame_bytes(2) + frame_bytes(3);
    for at in 0..last {
        // Padding means nothing.
        let is_padding = (first + FRAME_HEAD_BYTES + 18..first + frame_bytes(2)).contains(&at)
            || (last - frame_bytes(3) + FRAME_HEAD_BYTES + 27..last).contains(&at);
        let bent = disk.after_kill();
        bent.tamper("journal-0000000001", |bytes| bytes[at] ^= 0x10);
        match read(&bent, BEGINNING) {
            Ok((found, _)) => assert!(is_padding && found == numbers(1..=9), "byte {at}"),
            Err(error) => {
                let offset = if at < first {
                    0
                } else if at < first + frame_bytes(2) {
                    first
                } else {
                    first + frame_bytes(2)
                };
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                let text = error.to_string();
                let place = format!("/simulated/journal-0000000001 is damaged at byte {offset}:");
                assert!(text.starts_with(&place), "byte {at}: {text}");
            }
        }
    }
}

#[test]
fn damage_in_an_earlier_segment_is_told() {
    // A frame of 60 claims takes some 570 bytes: one a segment.
    let (disk, _) = journal(&[60, 60, 60]);
    let whole = read(&disk, BEGINNING).unwrap();
    assert_eq!((whole.0, whole.1.generation()), (numbers(1..=180), 3));
    let bent = disk.after_kill();
    bent.tamper("journal-0000000002", |bytes| bytes[100] ^= 1);
    let error = read(&bent, BEGINNING).unwrap_err().to_string();
    assert!(error.contains("journal-0000000002 is damaged at byte 64"), "{error}");
    assert!(error.contains("ends with 60") || error.contains("end with 60"), "{error}");
}

#[test]
fn segments_that_are_missing_are_told() {
    let (disk, _) = journal(&[60, 60, 60]);
    let without = |name: &str, start| {
        let disk = disk.after_kill();
        disk.remove(name).unwrap();
        let error = read(&disk, start).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        error.to_string()
    };
    let first = without("journal-0000000001", BEGINNING);
    assert!(first.contains("begins with commit 61, and the index ends with 0"), "{first}");
    let middle = without("journal-0000000002", BEGINNING);
    assert!(middle.contains("journal-0000000002 is missing"), "{middle}");
    let last = without("journal-0000000003", Start { position: 130, generation: 3 });
    assert!(last.contains("journal-0000000003 is missing"), "{last}");
    let many = without("journal-0000000003", Start { position: 130, generation: u64::MAX });
    assert!(many.contains("journal-0000000003 is missing, and 18446744073709551612"), "{many}");
    let short = Start { position: 200, generation: 3 };
    let error = read(&disk, short).unwrap_err().to_string();
    assert!(error.contains("end with commit 180, and the index has 200"), "{error}");
}

#[test]
fn what_a_checkpoint_has_is_not_read_again() {
    let (disk, mut journal) = journal(&[60, 60, 60]);
    let start = Start { position: 130, generation: 2 };
    assert_eq!(read(&disk, start).unwrap().0, numbers(131..=180));
    journal.free(130).unwrap();
    assert_eq!(journal.spares.len(), 2);
    assert_eq!(read(&disk, start).unwrap().0, numbers(131..=180));
    assert_eq!(read(&disk, BEGINNING).unwrap_err().kind(), ErrorKind::Corrupt);
    // The freed segments are used again, and what lies in them from before never counts.
    append(&mut journal, 181, &[60, 10, 60, 2]);
    assert_eq!(read(&disk, start).unwrap().0, numbers(131..=312));
    assert_eq!(journal.generation(), 5);
}

#[test]
fn a_group_larger_than_a_segment_gets_one_of_its_own() {
    let (disk, mut journal) = journal(&[1, 1_000, 1, 1_000, 3]);
    assert_eq!(read(&disk, BEGINNING).unwrap().0, numbers(1..=2_005));
    let bytes = journal.bytes();
    journal.free(2_005).unwrap();
    assert!(journal.bytes() < bytes, "large ones are not kept");
}
