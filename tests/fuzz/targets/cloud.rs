//! The file of a simulated cloud, `<store>.cloud`.

use std::fs;
use std::path::Path;

use sexton::Timestamp;
use sexton_fleet::sim_cloud::{CloudError, SimCloud};

use crate::input::{Input, says_why, sealed};

/// The seed that the files are opened with.
const SEED: u64 = 7;

/// Reads the bytes as such a file: as they are, or as bodies of frames that check.
pub fn cloud(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let file = match input.byte() % 4 {
        0 => input.rest().to_vec(),
        1 => frames(begun(), &mut input),
        2 => frames(Vec::new(), &mut input),
        _ => return bent(input),
    };
    let place = tempfile::tempdir().expect("a place");
    let path = place.path().join("store.cloud");
    fs::write(&path, &file).expect("a place");
    open(&path, &file)
}

/// A frame around a body.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let sealed = sealed(body);
    let length = u32::try_from(sealed.len()).expect("short");
    [length.to_le_bytes().as_slice(), &sealed].concat()
}

/// The frame that every such file begins with.
fn begun() -> Vec<u8> {
    let (count, seed) = (1_u64.to_le_bytes(), SEED.to_le_bytes());
    // The first variant of a record is the seed.
    frame(&[count.as_slice(), &[0; 4], &seed].concat())
}

fn frames(mut file: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    while !input.is_empty() {
        file.extend_from_slice(&frame(input.piece()));
    }
    file
}

/// What the clouds of a file say when they are asked what they have.
fn has(cloud: &mut SimCloud) -> String {
    let now = Timestamp::from_millis(1 << 40);
    let calls = cloud.callbacks_due(now);
    let machines: Vec<_> = cloud.machines(now).collect();
    format!("{calls:?} {machines:?} {:?} {:?}", cloud.next_due(), cloud.billed(now))
}

/// Opens a file; opened once more it says the same.
fn open(path: &Path, bytes: &[u8]) -> bool {
    let opened = SimCloud::open(Some(path), SEED);
    let mut cloud = match opened {
        Ok(cloud) => cloud,
        Err(error) => {
            says_why(&error);
            if let CloudError::Damaged { path: named, at, .. } = &error {
                assert!(*named == path.display().to_string() && *at < bytes.len().max(1));
            }
            assert_eq!(fs::read(path).expect("there"), bytes, "a file that was refused changed");
            return false;
        }
    };
    let said = has(&mut cloud);
    drop(cloud);
    let mut again = SimCloud::open(Some(path), SEED).expect("it was opened before");
    assert_eq!(has(&mut again), said);
    true
}

/// A whole file with one byte changed, or cut: what its frames said up to there, or an error.
fn bent(mut input: Input<'_>) -> bool {
    let at = usize::from(input.short());
    let value = input.byte();
    let is_cut = input.byte().is_multiple_of(4);
    let mut whole = begun();
    let mut ends = vec![whole.len()];
    for _ in 0..3 {
        // Two records: the row of the trace that was applied last, and the next callback.
        let row = u64::from(input.byte()).to_le_bytes();
        let two = 2_u64.to_le_bytes();
        let (first, second) = (1_u32.to_le_bytes(), 9_u32.to_le_bytes());
        let body = [two.as_slice(), &first, &row, &second, &row].concat();
        whole.extend_from_slice(&frame(&body));
        ends.push(whole.len());
    }
    let at = at % whole.len();
    let mut changed = whole.clone();
    if is_cut {
        changed.truncate(at);
    } else {
        changed[at] = value;
    }
    let place = tempfile::tempdir().expect("a place");
    let path = place.path().join("store.cloud");
    fs::write(&path, &changed).expect("a place");
    let is_open = open(&path, &changed);
    let is_expected = if is_cut {
        // What a kill leaves of the last frame is cut off; without its first it is no such file.
        is_open == (at == 0 || at >= ends[0])
    } else if changed == whole {
        is_open
    } else {
        // A length that says more than there is looks like a frame that a kill cut short.
        let begin = ends.iter().rev().find(|end| **end <= at).copied().unwrap_or(0);
        let is_in_length = at < begin + 4;
        !is_open || (is_in_length && begin > 0)
    };
    assert!(is_expected, "byte {at} of {}, cut: {is_cut}, opened: {is_open}", whole.len());
    is_open
}
