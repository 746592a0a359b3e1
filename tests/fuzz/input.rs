//! Bytes taken apart: whatever they are, they mean something, and their end is the end.

/// Bytes from which numbers and pieces are taken; behind their end there are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// So many bytes, or as many as are left.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Bytes whose number stands in two bytes before them, or as many as are left.
    pub fn piece(&mut self) -> &'a [u8] {
        let count = usize::from(self.short());
        self.take(count)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// A number of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// A number of eight bytes.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }
}

/// Pieces as [`Input::piece`] takes them apart again.
pub fn pieces<'a, I: IntoIterator<Item = &'a [u8]>>(of: I) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in of {
        let piece = &piece[..piece.len().min(usize::from(u16::MAX))];
        let count = u16::try_from(piece.len()).expect("it was made short");
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes
}

/// Any body in the envelope of a record, as `docs/format.md` has it: its checksum is right, so
/// that what is looked at is the body.
pub fn sealed(body: &[u8]) -> Vec<u8> {
    let format = 1;
    let mut checked = vec![format];
    checked.extend_from_slice(body);
    let sum = crc32fast::hash(&checked);
    [[format].as_slice(), &sum.to_le_bytes(), body].concat()
}

/// Asserts that an error says something, and the causes of it.
pub fn says_why(error: &dyn std::error::Error) {
    let line = sexton::chain(error);
    assert!(!line.trim().is_empty(), "an error without a word: {error:?}");
}
