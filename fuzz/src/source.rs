//! How does a list of operations become bytes and back? Small forms, so that a mutation stays small.

/// Bytes that are used up from the front; behind the end everything is zero.
#[derive(Debug)]
pub struct Source<'b> {
    rest: &'b [u8],
}

impl<'b> Source<'b> {
    /// All the bytes.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next byte, or `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Two bytes of length, then as many bytes, or what is left.
    pub fn bytes(&mut self) -> &'b [u8] {
        let length = usize::from(u16::read(self)).min(self.rest.len());
        let (here, rest) = self.rest.split_at(length);
        self.rest = rest;
        here
    }
}

/// Something that is written as a few bytes and always read.
pub trait Form: Sized {
    /// Reads one.
    fn read(source: &mut Source<'_>) -> Self;
    /// Writes it.
    fn write(&self, out: &mut Vec<u8>);
}

impl Form for u8 {
    fn read(source: &mut Source<'_>) -> Self {
        source.byte().unwrap_or(0)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl Form for u16 {
    fn read(source: &mut Source<'_>) -> Self {
        Self::from_be_bytes([u8::read(source), u8::read(source)])
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl Form for i16 {
    fn read(source: &mut Source<'_>) -> Self {
        u16::read(source).cast_signed()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.cast_unsigned().write(out);
    }
}

impl Form for bool {
    fn read(source: &mut Source<'_>) -> Self {
        u8::read(source) & 1 == 1
    }

    fn write(&self, out: &mut Vec<u8>) {
        u8::from(*self).write(out);
    }
}

/// Any bytes, with their length in two bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Form for Blob {
    fn read(source: &mut Source<'_>) -> Self {
        Self(source.bytes().to_vec())
    }

    fn write(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        length.write(out);
        out.extend_from_slice(&self.0[..usize::from(length)]);
    }
}

/// At most 15 forms, with their number in one byte.
impl<T: Form> Form for Vec<T> {
    fn read(source: &mut Source<'_>) -> Self {
        (0..u8::read(source) % 16).map(|_| T::read(source)).collect()
    }

    fn write(&self, out: &mut Vec<u8>) {
        let count = self.len().min(15);
        out.push(u8::try_from(count).unwrap_or(0));
        self.iter().take(count).for_each(|form| form.write(out));
    }
}
