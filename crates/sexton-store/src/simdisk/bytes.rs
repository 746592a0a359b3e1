//! What a simulated file holds, in pages that copies share: a disk is copied for each cut.

use std::sync::Arc;

const PAGE_BYTES: usize = 4_096;

/// Bytes whose copy costs next to nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    pages: Vec<Arc<[u8; PAGE_BYTES]>>,
    length: usize,
}

impl Bytes {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Fills a buffer from an offset, as far as the bytes go; how far that was.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.length.saturating_sub(offset));
        let mut done = 0;
        while done < count {
            let (page, inside) = ((offset + done) / PAGE_BYTES, (offset + done) % PAGE_BYTES);
            let part = (count - done).min(PAGE_BYTES - inside);
            buffer[done..done + part].copy_from_slice(&self.pages[page][inside..inside + part]);
            done += part;
        }
        count
    }

    /// Writes at an offset; what lies before it and behind the end becomes zeros.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if offset + bytes.len() > self.length {
            self.resize(offset + bytes.len());
        }
        let mut done = 0;
        while done < bytes.len() {
            let (page, inside) = ((offset + done) / PAGE_BYTES, (offset + done) % PAGE_BYTES);
            let part = (bytes.len() - done).min(PAGE_BYTES - inside);
            let page = Arc::make_mut(&mut self.pages[page]);
            page[inside..inside + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
    }

    /// Cuts off what is too much, or adds zeros.
    pub(super) fn resize(&mut self, length: usize) {
        if length < self.length
            && let Some(last) = self.pages.get_mut(length / PAGE_BYTES)
        {
            Arc::make_mut(last)[length % PAGE_BYTES..].fill(0);
        }
        self.length = length;
        let n_pages = length.div_ceil(PAGE_BYTES);
        if n_pages <= self.pages.len() {
            self.pages.truncate(n_pages);
        } else {
            self.pages.resize(n_pages, Arc::new([0; PAGE_BYTES]));
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        self.read(0, &mut bytes);
        bytes
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut made = Self::default();
        made.write(0, bytes);
        made
    }
}
