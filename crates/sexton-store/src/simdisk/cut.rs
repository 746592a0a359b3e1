//! What a power cut leaves: the platter, and any part of what was not flushed.
//!
//! A write is torn into blocks, at multiples of 512 or of 4,096 bytes of the file, of which each
//! is kept or not; so are a change of a length and of a name. A length may be kept without the
//! bytes, which are zeros then; bytes without the length are behind the end, and lost.

use std::collections::BTreeMap;

use super::bytes::Bytes;
use super::{Chance, Content, Pending, World};

/// What a disk may write whole or not at all.
pub(crate) const BLOCKS: [usize; 2] = [512, 4_096];

/// The smallest piece of what was not flushed that is kept or not by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Of which change.
    pending: usize,
    /// For a write, which of its bytes.
    from: usize,
    to: usize,
}

impl World {
    /// All pieces, oldest first, with blocks of so many bytes.
    pub(crate) fn pieces(&self, block: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (pending, change) in self.pending.iter().enumerate() {
            let Pending::Write { offset, bytes, .. } = change else {
                pieces.push(Piece { pending, from: 0, to: 0 });
                continue;
            };
            let mut from = 0;
            while from < bytes.len() {
                let to = (((offset + from) / block + 1) * block - offset).min(bytes.len());
                pieces.push(Piece { pending, from, to });
                from = to;
            }
        }
        pieces
    }

    /// The world after a cut that keeps the platter and, of the pieces, those of which `keeps`
    /// says so.
    pub(crate) fn after_cut(&self, pieces: &[Piece], mut keeps: impl FnMut(usize) -> bool) -> Self {
        let mut names = self.durable_names.clone();
        let mut files: BTreeMap<u64, Partly> = BTreeMap::new();
        for (number, piece) in pieces.iter().enumerate() {
            if !keeps(number) {
                continue;
            }
            match &self.pending[piece.pending] {
                Pending::Name { change, .. } => change.apply(&mut names),
                Pending::Length { file, bytes } => self.partly(&mut files, *file).set(*bytes),
                Pending::Write { file, offset, bytes } => self
                    .partly(&mut files, *file)
                    .write(offset + piece.from, &bytes[piece.from..piece.to]),
            }
        }
        // What lies in a directory that is not there is not there.
        let all = names.clone();
        names.retain(|name, _| {
            name.rsplit_once('/').is_none_or(|(above, _)| all.contains_key(above))
        });
        let contents = self.files.iter().map(|(number, content)| {
            let durable = match files.remove(number) {
                Some(partly) => partly.end(),
                None => content.durable.clone(),
            };
            (*number, Content { cache: durable.clone(), durable, is_forgotten: false })
        });
        let mut after = Self::new(contents.collect(), names, self.changes);
        after.chance = self.chance.clone();
        (after.next_file, after.note) = (self.next_file, self.note);
        after.failed_flush = self.failed_flush;
        after
    }

    fn partly<'a>(&self, files: &'a mut BTreeMap<u64, Partly>, file: u64) -> &'a mut Partly {
        files.entry(file).or_insert_with(|| {
            let bytes = self.files[&file].durable.clone();
            Partly { length: bytes.len(), bytes }
        })
    }

    /// What is on the platter of a file with those of its pieces that are kept.
    pub(super) fn platter(&self, file: u64, keeps: &mut dyn FnMut() -> bool) -> Bytes {
        let pieces: Vec<Piece> = self
            .pieces(BLOCKS[0])
            .into_iter()
            .filter(|piece| self.pending[piece.pending].file() == Some(file))
            .collect();
        let after = self.after_cut(&pieces, |_| keeps());
        after.files[&file].durable.clone()
    }

    /// The world after a cut that keeps what chance chooses: a part of everything, or everything
    /// up to some point.
    pub(crate) fn after_some_cut(&self, chance: &mut Chance) -> Self {
        let pieces = self.pieces(chance.pick(&BLOCKS));
        if chance.is(25) {
            let count = u64::try_from(pieces.len()).expect("small");
            let end = usize::try_from(chance.below(count + 1)).expect("small");
            return self.after_cut(&pieces, |number| number < end);
        }
        let percent = chance.pick(&[0, 20, 50, 80, 100]);
        self.after_cut(&pieces, |_| chance.is(percent))
    }
}

/// A file of which not everything was flushed.
struct Partly {
    bytes: Bytes,
    /// Its length, as far as that was kept.
    length: usize,
}

impl Partly {
    fn set(&mut self, length: usize) {
        if length < self.bytes.len() {
            // What was cut off is zeros when the file grows again.
            self.bytes.resize(length);
        }
        self.length = length;
    }

    fn write(&mut self, offset: usize, part: &[u8]) {
        self.bytes.write(offset, part);
    }

    fn end(mut self) -> Bytes {
        self.bytes.resize(self.length);
        self.bytes
    }
}
