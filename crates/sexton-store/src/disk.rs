//! The few things that the journal asks of a file system, so that a test can take them away.
//!
//! Two calls are flushes: [`DiskFile::sync`] for what a file holds, [`Disk::sync`] for which
//! files there are. Everything else may be lost, in any part and order, when the power goes.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError, StorageError};

/// One directory and the files in it.
pub(crate) trait Disk: Send + Sync + Debug {
    /// The full path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// The names of all files, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Whether something of this name is there.
    fn has(&self, name: &str) -> bool;
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a file that was not there.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name; a file that had it is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes an empty directory in it.
    fn make_directory(&self, name: &str) -> io::Result<()>;
    /// Removes a file, or a directory with all that is in it.
    fn remove_all(&self, name: &str) -> io::Result<()>;
    /// A directory in it.
    fn below(&self, name: &str) -> Arc<dyn Disk>;
    /// Makes durable which files there are, and under which names.
    fn sync(&self) -> io::Result<()>;
    /// Lets redb open a file, or make it.
    fn database(
        &self,
        name: &str,
        making: Making,
        builder: &Builder,
    ) -> Result<Database, DatabaseError>;
}

/// Whether a file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    /// It is, and was not there.
    New,
    /// It is not.
    Never,
}

/// One file, read and written at offsets.
pub(crate) trait DiskFile: Send + Sync + Debug {
    /// How long it is.
    fn bytes(&self) -> io::Result<u64>;
    /// Fills the buffer from an offset.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of the bytes at an offset; the file grows if it must.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable what it holds and how long it is.
    fn sync(&self) -> io::Result<()>;
}

/// A real directory.
#[derive(Debug)]
pub(crate) struct RealDisk {
    path: PathBuf,
}

impl RealDisk {
    /// The directory at `path`, which exists.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Disk for RealDisk {
    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path.clone() } else { self.path.join(name) }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Box::new(file))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        Ok(Box::new(options.open(self.path.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    fn remove_all(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }

    fn below(&self, name: &str) -> Arc<dyn Disk> {
        Arc::new(Self::new(self.path.join(name)))
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn database(
        &self,
        name: &str,
        making: Making,
        builder: &Builder,
    ) -> Result<Database, DatabaseError> {
        match making {
            Making::New => builder.create(self.path(name)),
            Making::Never => builder.open(self.path(name)),
        }
    }
}

/// A real directory in which nothing is ever changed.
#[derive(Debug)]
pub(crate) struct ReadOnlyDisk(RealDisk);

impl ReadOnlyDisk {
    /// The directory at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(RealDisk::new(path))
    }
}

impl Disk for ReadOnlyDisk {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn has(&self, name: &str) -> bool {
        self.0.has(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        // The system refuses writes to a file that is opened like this.
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn create(&self, _name: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn make_directory(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove_all(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn below(&self, name: &str) -> Arc<dyn Disk> {
        Arc::new(Self::new(self.path(name)))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn database(
        &self,
        _name: &str,
        _making: Making,
        _builder: &Builder,
    ) -> Result<Database, DatabaseError> {
        Err(StorageError::Io(io::ErrorKind::ReadOnlyFilesystem.into()).into())
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes durable which files a directory holds.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
