//! A file that is read and never changed: what is written to it stays in memory.
//!
//! A redb file that was not closed is mended when it is opened; over this, it is mended for the
//! one who reads it, and the file stays as it is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::Mutex;

use crate::disk::DiskFile;
use crate::fault;

/// What is kept in memory as a whole once a byte of it was written. Chosen: a page of redb.
const PAGE_BYTES: usize = 4_096;

/// A file and what was written over it.
#[derive(Debug)]
pub(crate) struct CopyOnWrite {
    file: Box<dyn DiskFile>,
    above: Mutex<Above>,
}

/// What lies above the file.
#[derive(Debug)]
struct Above {
    bytes: u64,
    /// How much of the file still shows.
    shows: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

/// The part of a page that a range of bytes covers.
struct Part {
    page: u64,
    /// Where it begins in the page.
    offset: usize,
    count: usize,
}

impl CopyOnWrite {
    /// Over a file that nobody changes meanwhile.
    pub(crate) fn over(file: Box<dyn DiskFile>) -> io::Result<Self> {
        let bytes = file.bytes()?;
        let above = Mutex::new(Above { bytes, shows: bytes, pages: BTreeMap::new() });
        Ok(Self { file, above })
    }

    /// A page as the file has it, with zeros behind the file's end.
    fn page(&self, page: u64, shows: u64) -> io::Result<Vec<u8>> {
        let mut content = vec![0; PAGE_BYTES];
        let start = page * page_bytes();
        let count = usize::try_from(shows.saturating_sub(start)).unwrap_or(usize::MAX);
        let part = content.get_mut(..count.min(PAGE_BYTES)).unwrap_or_default();
        self.file.read_at(start, part)?;
        Ok(content)
    }
}

fn page_bytes() -> u64 {
    u64::try_from(PAGE_BYTES).expect("a page is small")
}

/// The parts of pages that a range of bytes covers, in order.
fn parts(offset: u64, count: usize) -> impl Iterator<Item = Part> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + u64::try_from(done).ok()?;
        let inside = usize::try_from(at % page_bytes()).ok()?;
        let part = (count - done).min(PAGE_BYTES - inside);
        done += part;
        (part > 0).then(|| Part { page: at / page_bytes(), offset: inside, count: part })
    })
}

impl ::redb::StorageBackend for CopyOnWrite {
    fn len(&self) -> io::Result<u64> {
        Ok(fault::lock(&self.above).bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = fault::lock(&self.above);
        let end = offset.checked_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
        if end.is_none_or(|end| end > above.bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for part in parts(offset, rest.len()) {
            let (to, behind) = rest.split_at_mut(part.count);
            rest = behind;
            let range = part.offset..part.offset + part.count;
            let below;
            let page = if let Some(page) = above.pages.get(&part.page) {
                page
            } else {
                below = self.page(part.page, above.shows)?;
                &below
            };
            to.copy_from_slice(page.get(range).unwrap_or_default());
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let above = &mut *fault::lock(&self.above);
        above.bytes = len;
        above.shows = above.shows.min(len);
        drop(above.pages.split_off(&len.div_ceil(page_bytes())));
        if let Some(last) = above.pages.get_mut(&(len / page_bytes())) {
            let kept = usize::try_from(len % page_bytes()).unwrap_or(0);
            last.get_mut(kept..).unwrap_or_default().fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::renamed_function_params, reason = "the name of the trait says nothing")]
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let above = &mut *fault::lock(&self.above);
        let mut rest = bytes;
        for part in parts(offset, bytes.len()) {
            let (from, behind) = rest.split_at(part.count);
            rest = behind;
            let page = match above.pages.entry(part.page) {
                Entry::Occupied(page) => page.into_mut(),
                Entry::Vacant(place) => place.insert(self.page(part.page, above.shows)?),
            };
            if let Some(to) = page.get_mut(part.offset..part.offset + part.count) {
                to.copy_from_slice(from);
            }
        }
        let end = offset + u64::try_from(bytes.len()).unwrap_or(0);
        above.bytes = above.bytes.max(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ::redb::StorageBackend;

    use super::*;

    #[test]
    fn it_reads_what_was_written_and_the_file_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let mut model: Vec<u8> =
            (0..10_000_usize).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let before = model.clone();
        std::fs::write(&path, &model).unwrap();
        let file = CopyOnWrite::over(Box::new(std::fs::File::open(&path).unwrap())).unwrap();
        let changes = [(4_000, 200), (0, 1), (9_990, 10), (8_100, 500), (4_095, 2)];
        for (number, (offset, count)) in (1..).zip(changes) {
            let bytes = vec![number; count];
            file.write(u64::try_from(offset).unwrap(), &bytes).unwrap();
            model[offset..offset + count].copy_from_slice(&bytes);
        }
        for (shorter, longer) in [(9_000, 9_500), (4_097, 20_000), (4_096, 5_000)] {
            for length in [shorter, longer] {
                file.set_len(u64::try_from(length).unwrap()).unwrap();
                model.resize(length, 0);
            }
            let mut found = vec![0; model.len()];
            file.read(0, &mut found).unwrap();
            assert!(found == model, "{shorter} {longer}");
        }
        assert!(file.read(4_999, &mut [0; 2]).is_err(), "behind the end");
        assert!(std::fs::read(&path).unwrap() == before);
    }
}
