//! The cloud's own file: frames of records, appended before anything is answered.
//!
//! ```text
//! frame:  length:4 (little-endian)  sealed records
//! ```
//!
//! Written to the operating system and not flushed to the disk: the cloud outlives the control
//! plane's process, and not its machine. A frame that a killed process left half written is the
//! last one and shorter than it says, and is cut off.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sexton_core::codec::{self, CodecError};

use super::CloudError;
use super::world::{Record, World};

/// How much a file may grow over twice its live size. Chosen: a rewrite is rare and short.
const SLACK_BYTES: u64 = 64 * 1_024 * 1_024;
/// The most records of a frame of a rewritten file. Chosen: far below a record's limit.
const RECORDS_PER_FRAME: usize = 1_000;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The file's size when it was last rewritten.
    live_bytes: u64,
}

fn io(what: &str, path: &Path, source: std::io::Error) -> CloudError {
    CloudError::Io { what: format!("{what} {}", path.display()), source }
}

impl Journal {
    /// Reads a file into `world` and begins it anew; one that is refused stays as it is.
    pub(super) fn open(path: &Path, world: &mut World, seed: u64) -> Result<Self, CloudError> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => {
                file.read_to_end(&mut bytes).map_err(|error| io("read", path, error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("open", path, error)),
        }
        replay(&bytes, path, world)?;
        if !bytes.is_empty() && world.seed.is_none() {
            // It begins with its seed, always: this was never such a file, or its beginning is gone.
            let path = path.display().to_string();
            let (what, why) = ("file of a simulated cloud", "it does not begin as one".to_owned());
            return Err(CloudError::Damaged {
                path,
                at: 0,
                source: CodecError::Mismatch { what, why },
            });
        }
        match world.seed {
            Some(file) if file != seed => Err(CloudError::Seed { file, asked: seed }),
            Some(_) | None => Self::rewrite(path, world),
        }
    }

    fn rewrite(path: &Path, world: &World) -> Result<Self, CloudError> {
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".rewritten");
        let fresh = PathBuf::from(fresh);
        let mut bytes = Vec::new();
        for records in world.records().chunks(RECORDS_PER_FRAME) {
            bytes.extend(frame(records)?);
        }
        let write = || {
            let mut file = File::create(&fresh)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)?;
            OpenOptions::new().append(true).open(path)
        };
        let file = write().map_err(|error| io("rewrite", path, error))?;
        let bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Self { path: path.to_owned(), file, bytes, live_bytes: bytes })
    }

    /// Appends a change; whole or, after a kill, absent.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), CloudError> {
        let bytes = frame(records)?;
        self.file.write_all(&bytes).map_err(|error| io("append to", &self.path, error))?;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Begins the file anew when what it holds is mostly past.
    pub(super) fn compact(&mut self, world: &World) -> Result<(), CloudError> {
        if self.bytes > self.live_bytes * 2 + SLACK_BYTES {
            *self = Self::rewrite(&self.path, world)?;
        }
        Ok(())
    }
}

fn frame(records: &[Record]) -> Result<Vec<u8>, CloudError> {
    let sealed = codec::seal(&records)?;
    let length = u32::try_from(sealed.len()).expect("a record is at most 16 MiB");
    Ok([length.to_le_bytes().as_slice(), &sealed].concat())
}

fn replay(bytes: &[u8], path: &Path, world: &mut World) -> Result<(), CloudError> {
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some(sealed) = behind.get(..length) else { break };
        match codec::open::<Vec<Record>>(sealed) {
            Ok(records) => {
                for record in records {
                    world.apply(record);
                }
            }
            Err(source) => {
                let at = bytes.len() - rest.len();
                let path = path.display().to_string();
                return Err(CloudError::Damaged { path, at, source });
            }
        }
        rest = &behind[length..];
    }
    Ok(())
}
