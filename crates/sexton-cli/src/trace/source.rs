//! The bytes of one event list, unpacked if they are packed, and how many of them were read.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// What every gzip member begins with (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes read at a time. Chosen: well above a disk's block, well below what anybody notices.
const BUFFER_BYTES: usize = 64 * 1_024;

/// An opened file as text bytes.
pub(super) struct Source {
    /// The unpacked bytes.
    pub(super) reader: Box<dyn BufRead + Send>,
    /// Whether they are unpacked on the way, so that a bad read means damage.
    pub(super) is_gzip: bool,
    /// The file's size when it was opened.
    pub(super) bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Source {
    /// Opens a file; its first bytes say whether it is packed, not its name.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes_total = file.metadata()?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let mut packed = BufReader::with_capacity(BUFFER_BYTES, counted);
        let is_gzip = packed.fill_buf()?.starts_with(&GZIP_MAGIC);
        let reader: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(packed)))
        } else {
            Box::new(packed)
        };
        Ok(Self { reader, is_gzip, bytes_total, bytes_read })
    }

    /// How many of the file's bytes have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("is_gzip", &self.is_gzip)
            .field("bytes_total", &self.bytes_total)
            .field("bytes_read", &self.bytes_read())
            .finish_non_exhaustive()
    }
}

/// A file that counts what is read from it.
struct Counted {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buf)?;
        self.bytes_read.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}
