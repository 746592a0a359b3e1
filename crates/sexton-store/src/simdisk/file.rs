//! A file of the simulated disk, read and written through the loops of the standard library.

use std::io;
use std::os::unix::fs::FileExt;

use redb::StorageBackend;

use super::{SimDisk, Trouble, World};
use crate::disk::DiskFile;

/// A simulated file.
#[derive(Clone, Debug)]
pub(crate) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) number: u64,
}

/// How much of so many bytes a call that is short does.
fn short(count: usize) -> usize {
    count.div_ceil(3)
}

impl FileExt for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).expect("small");
        self.disk.with(|it| {
            let wanted = match it.look() {
                Some(Trouble::Error(kind)) => return Err(kind.into()),
                Some(Trouble::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
                Some(Trouble::Short) => short(buf.len()),
                None => buf.len(),
            };
            Ok(it.content(self.number).cache.read(start, &mut buf[..wanted]))
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).expect("small");
        self.disk.with(|it| {
            let (count, done) = match it.change() {
                Some(Trouble::Error(kind)) => (buf.len() / 2, Err(kind.into())),
                Some(Trouble::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
                Some(Trouble::Short) => (short(buf.len()), Ok(())),
                None => (buf.len(), Ok(())),
            };
            it.write(self.number, start, &buf[..count]);
            done.map(|()| count)
        })
    }
}

impl DiskFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        self.disk.with(|it| {
            World::whole(it.look())?;
            Ok(u64::try_from(it.content(self.number).cache.len()).expect("small"))
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(|it| {
            let done = World::whole(it.change());
            it.flush_file(self.number, done.is_ok());
            done
        })
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.bytes()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(self, out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.with(|it| {
            World::whole(it.change())?;
            it.set_length(self.number, usize::try_from(len).expect("small"));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(self, data, offset)
    }
}
