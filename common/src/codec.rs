//! Which byte strings are well-formed? Deterministic CBOR (RFC 8949 §4.2.1), nothing else.
//!
//! [`Reader`] accepts exactly one encoding of every value: shortest lengths, definite sizes, map
//! keys ascending and unique, no floats, tags only where a format names one. Maps have small
//! unsigned keys; keys below [`CRITICAL_KEYS`] must be known, keys from there on are extensions
//! that are checked for form and passed over. [`Writer`] writes that encoding.

use minicbor::{data::Type, decode, decode::Decoder, encode::Encoder};
use thiserror::Error;

use crate::limits::{CRITICAL_KEYS, EXTENSION_DEPTH_MAX, KEYS_END};

/// Why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early, or say nothing that CBOR can say.
    #[error("the bytes are cut short or no CBOR")]
    Malformed,
    /// The value is right but not in its one allowed encoding.
    #[error("not in canonical form")]
    NotCanonical,
    /// Another type of value stands here.
    #[error("another type of value was expected")]
    WrongType,
    /// A size or number is outside its bound.
    #[error("{what} is {found}, at most {limit} is allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The size found.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// A value is outside its range.
    #[error("{0} has a value that is not allowed")]
    Value(&'static str),
    /// A required field is missing.
    #[error("field {0} is missing")]
    Missing(u64),
    /// A critical field is not known to this version.
    #[error("critical field {0} is unknown")]
    UnknownCritical(u64),
    /// Bytes follow after the value.
    #[error("bytes follow after the end")]
    Trailing,
}

/// Reads strict CBOR from bytes that stay where they are.
#[derive(Debug, Clone)]
pub struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    /// A reader at the first byte.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes) }
    }

    /// Reads one value that must fill all the bytes.
    ///
    /// # Errors
    /// What `read` refuses, or [`DecodeError::Trailing`].
    pub fn all<T>(
        bytes: &'b [u8],
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut reader = Self::new(bytes);
        let value = read(&mut reader)?;
        if reader.decoder.position() == bytes.len() {
            Ok(value)
        } else {
            Err(DecodeError::Trailing)
        }
    }

    /// An unsigned number.
    ///
    /// # Errors
    /// If something else stands here or its encoding is not the shortest.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        let before = self.decoder.position();
        let value = self.decoder.u64().map_err(wrong)?;
        self.canonical(before, head_bytes(value))?;
        Ok(value)
    }

    /// An unsigned number of at most `limit`.
    ///
    /// # Errors
    /// As [`uint`](Self::uint), or if it is larger.
    pub fn uint_max(&mut self, what: &'static str, limit: u64) -> Result<u64, DecodeError> {
        let found = self.uint()?;
        if found <= limit { Ok(found) } else { Err(DecodeError::TooLarge { what, found, limit }) }
    }

    /// A negative or unsigned number that fits 64 bits.
    ///
    /// # Errors
    /// If something else stands here or its encoding is not the shortest.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        let before = self.decoder.position();
        let value = self.decoder.i64().map_err(wrong)?;
        let magnitude = if value < 0 { !value } else { value };
        self.canonical(before, head_bytes(magnitude.unsigned_abs()))?;
        Ok(value)
    }

    /// A truth value.
    ///
    /// # Errors
    /// If something else stands here.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.decoder.bool().map_err(wrong)
    }

    /// A byte string of at most `limit` bytes.
    ///
    /// # Errors
    /// If something else stands here, it is longer, or its length is not in shortest form.
    pub fn bytes(&mut self, what: &'static str, limit: usize) -> Result<&'b [u8], DecodeError> {
        let before = self.decoder.position();
        let bytes = self.decoder.bytes().map_err(wrong)?;
        bounded(what, bytes.len(), limit)?;
        self.canonical(before, head_bytes(bytes.len() as u64) + bytes.len())?;
        Ok(bytes)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// If something else stands here.
    pub fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        self.bytes(what, N)?.try_into().map_err(|_| DecodeError::Value(what))
    }

    /// A text of at most `limit` bytes of UTF-8.
    ///
    /// # Errors
    /// If something else stands here, it is longer, or its length is not in shortest form.
    pub fn text(&mut self, what: &'static str, limit: usize) -> Result<&'b str, DecodeError> {
        let before = self.decoder.position();
        let text = self.decoder.str().map_err(wrong)?;
        bounded(what, text.len(), limit)?;
        self.canonical(before, head_bytes(text.len() as u64) + text.len())?;
        Ok(text)
    }

    /// The head of an array of at most `limit` values.
    ///
    /// # Errors
    /// If something else stands here, it is longer, or of indefinite length.
    pub fn array(&mut self, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let before = self.decoder.position();
        let length = self.decoder.array().map_err(wrong)?.ok_or(DecodeError::NotCanonical)?;
        self.canonical(before, head_bytes(length))?;
        self.count(what, length, limit)
    }

    /// The head of an array of exactly `length` values.
    ///
    /// # Errors
    /// If something else stands here.
    pub fn tuple(&mut self, what: &'static str, length: usize) -> Result<(), DecodeError> {
        let found = self.array(what, length)?;
        if found == length { Ok(()) } else { Err(DecodeError::Value(what)) }
    }

    /// A list of at most `limit` values.
    ///
    /// # Errors
    /// If something else stands here, it is longer, or one of its values is refused.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let length = self.array(what, limit)?;
        (0..length).map(|_| read(self)).collect()
    }

    /// A tag of this number.
    ///
    /// # Errors
    /// If something else stands here.
    pub fn tag(&mut self, number: u64) -> Result<(), DecodeError> {
        let before = self.decoder.position();
        let found = self.decoder.tag().map_err(wrong)?.as_u64();
        self.canonical(before, head_bytes(found))?;
        if found == number { Ok(()) } else { Err(DecodeError::WrongType) }
    }

    /// The head of a map of exactly `length` pairs, read by the caller in their one order.
    ///
    /// # Errors
    /// If something else stands here.
    pub(crate) fn map_head(&mut self, length: u64) -> Result<(), DecodeError> {
        let before = self.decoder.position();
        let found = self.decoder.map().map_err(wrong)?.ok_or(DecodeError::NotCanonical)?;
        self.canonical(before, head_bytes(found))?;
        if found == length { Ok(()) } else { Err(DecodeError::Value("map")) }
    }

    /// A map with unsigned keys; `read` takes the known fields in ascending order.
    ///
    /// # Errors
    /// If something else stands here, keys are out of order, twice, or critical and unknown.
    pub fn map<T>(
        &mut self,
        read: impl FnOnce(&mut Fields<'_, 'b>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let before = self.decoder.position();
        let length = self.decoder.map().map_err(wrong)?.ok_or(DecodeError::NotCanonical)?;
        self.canonical(before, head_bytes(length))?;
        let mut fields = Fields { reader: self, left: length, key: None, last: None };
        let value = read(&mut fields)?;
        fields.finish()?;
        Ok(value)
    }

    /// Passes over one well-formed value of an extension.
    fn skip(&mut self, depth: usize) -> Result<(), DecodeError> {
        let deeper = depth.checked_sub(1).ok_or(DecodeError::Value("nesting of an extension"))?;
        match self.decoder.datatype().map_err(|_| DecodeError::Malformed)? {
            Type::Bool => self.bool().map(drop),
            Type::Bytes => self.bytes("extension", usize::MAX).map(drop),
            Type::String => self.text("extension", usize::MAX).map(drop),
            Type::Array => {
                let length = self.array("extension", usize::MAX)?;
                (0..length).try_for_each(|_| self.skip(deeper))
            }
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.uint().map(drop),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => self.int().map(drop),
            _ => Err(DecodeError::WrongType),
        }
    }

    fn count(&self, what: &'static str, found: u64, limit: usize) -> Result<usize, DecodeError> {
        let limit = limit.min(self.decoder.input().len());
        usize::try_from(found).ok().filter(|length| *length <= limit).ok_or(DecodeError::TooLarge {
            what,
            found,
            limit: limit as u64,
        })
    }

    fn canonical(&self, before: usize, expected: usize) -> Result<(), DecodeError> {
        if self.decoder.position() == before + expected {
            Ok(())
        } else {
            Err(DecodeError::NotCanonical)
        }
    }
}

/// The fields of a map that is being read.
#[derive(Debug)]
pub struct Fields<'r, 'b> {
    reader: &'r mut Reader<'b>,
    left: u64,
    key: Option<u64>,
    last: Option<u64>,
}

impl<'b> Fields<'_, 'b> {
    /// The value of a field that must be there.
    ///
    /// # Errors
    /// [`DecodeError::Missing`] if it is not.
    pub fn required(&mut self, key: u64) -> Result<&mut Reader<'b>, DecodeError> {
        self.optional(key)?.ok_or(DecodeError::Missing(key))
    }

    /// The value of a field that may be there.
    ///
    /// # Errors
    /// If a critical field before it is unknown.
    pub fn optional(&mut self, key: u64) -> Result<Option<&mut Reader<'b>>, DecodeError> {
        match self.peek()? {
            Some(found) if found == key => {
                self.key = None;
                Ok(Some(self.reader))
            }
            Some(found) if found < key => Err(DecodeError::UnknownCritical(found)),
            _ => Ok(None),
        }
    }

    fn peek(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.key.is_none() && self.left > 0 {
            self.left -= 1;
            let key = self.reader.uint()?;
            if self.last.is_some_and(|last| last >= key) {
                return Err(DecodeError::NotCanonical);
            }
            self.last = Some(key);
            self.key = Some(key);
        }
        Ok(self.key)
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        while let Some(key) = self.peek()? {
            if key < CRITICAL_KEYS {
                return Err(DecodeError::UnknownCritical(key));
            }
            if key >= KEYS_END {
                return Err(DecodeError::Value("key of an extension"));
            }
            self.key = None;
            self.reader.skip(EXTENSION_DEPTH_MAX)?;
        }
        Ok(())
    }
}

/// Writes canonical CBOR. The caller writes map keys in ascending order.
#[derive(Debug)]
pub struct Writer {
    encoder: Encoder<Vec<u8>>,
}

macro_rules! write_method {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) => $method:ident($value:expr)) => {
        $(#[$doc])*
        pub fn $name(&mut self, $($argument: $type),*) -> &mut Self {
            let written = self.encoder.$method($value);
            debug_assert!(written.is_ok(), "memory takes every byte");
            self
        }
    };
}

impl Writer {
    /// A writer with nothing written.
    pub fn new() -> Self {
        Self { encoder: Encoder::new(Vec::with_capacity(256)) }
    }

    write_method!(
        /// An unsigned number.
        uint(value: u64) => u64(value)
    );
    write_method!(
        /// A negative or unsigned number.
        int(value: i64) => i64(value)
    );
    write_method!(
        /// A truth value.
        bool(value: bool) => bool(value)
    );
    write_method!(
        /// A byte string.
        bytes(value: &[u8]) => bytes(value)
    );
    write_method!(
        /// A text.
        text(value: &str) => str(value)
    );
    write_method!(
        /// The head of an array.
        array(length: usize) => array(length as u64)
    );
    write_method!(
        /// The head of a map.
        map(length: usize) => map(length as u64)
    );
    write_method!(
        /// A tag.
        tag(number: u64) => tag(minicbor::data::Tag::new(number))
    );

    /// The bytes written.
    pub fn finish(&mut self) -> Vec<u8> {
        core::mem::take(self.encoder.writer_mut())
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

const fn head_bytes(value: u64) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

const fn bounded(what: &'static str, found: usize, limit: usize) -> Result<(), DecodeError> {
    if found <= limit {
        Ok(())
    } else {
        Err(DecodeError::TooLarge { what, found: found as u64, limit: limit as u64 })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn wrong(error: decode::Error) -> DecodeError {
    if error.is_type_mismatch() { DecodeError::WrongType } else { DecodeError::Malformed }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_shortest_number_is_read() {
        for (bytes, expected) in [
            ("17", Ok(23)),
            ("1817", Err(DecodeError::NotCanonical)),
            ("1818", Ok(24)),
            ("190018", Err(DecodeError::NotCanonical)),
            ("1b0000000100000000", Ok(1 << 32)),
            ("1b00000000ffffffff", Err(DecodeError::NotCanonical)),
            ("20", Err(DecodeError::WrongType)),
            ("18", Err(DecodeError::Malformed)),
            ("1700", Err(DecodeError::Trailing)),
        ] {
            assert_eq!(Reader::all(&hex(bytes), Reader::uint), expected, "{bytes}");
        }
    }

    #[test]
    fn strings_have_definite_short_lengths() {
        for (bytes, expected) in [
            ("4101", Ok(vec![1])),
            ("580101", Err(DecodeError::NotCanonical)),
            ("5f4101ff", Err(DecodeError::WrongType)),
            ("6101", Err(DecodeError::WrongType)),
            ("4201", Err(DecodeError::Malformed)),
        ] {
            let read = Reader::all(&hex(bytes), |r| r.bytes("x", 10).map(<[u8]>::to_vec));
            match expected {
                Ok(value) => assert_eq!(read, Ok(value), "{bytes}"),
                Err(_) => assert!(read.is_err(), "{bytes}"),
            }
        }
        let long = hex("43010203");
        let refused = Reader::all(&long, |r| r.bytes("x", 2).map(<[u8]>::to_vec));
        assert_eq!(refused, Err(DecodeError::TooLarge { what: "x", found: 3, limit: 2 }));
    }

    fn read_map(bytes: &str) -> Result<(u64, Option<u64>), DecodeError> {
        let bytes = hex(bytes);
        Reader::all(&bytes, |r| {
            r.map(|m| {
                let first = m.required(0)?.uint()?;
                let second = m.optional(1)?.map(Reader::uint).transpose()?;
                Ok((first, second))
            })
        })
    }

    #[test]
    fn maps_are_ordered_and_critical_fields_known() {
        for (bytes, expected) in [
            ("a10005", Ok((5, None))),
            ("a200050106", Ok((5, Some(6)))),
            ("a201060005", Err(DecodeError::Missing(0))),
            ("a200050005", Err(DecodeError::NotCanonical)),
            ("a200050206", Err(DecodeError::UnknownCritical(2))),
            ("a20005188006", Ok((5, None))),
            ("a20005190100f6", Err(DecodeError::Value("key of an extension"))),
            ("a20005188081818101", Ok((5, None))),
            ("a2000518808181818101", Err(DecodeError::Value("nesting of an extension"))),
            ("bf0005ff", Err(DecodeError::NotCanonical)),
            ("a0", Err(DecodeError::Missing(0))),
        ] {
            assert_eq!(read_map(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn a_huge_promised_length_costs_nothing() {
        let bytes = hex("9b7fffffffffffffff");
        assert!(Reader::all(&bytes, |r| r.list("x", usize::MAX, Reader::uint)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, signed: i64, bytes: Vec<u8>, text: String) {
            let mut writer = Writer::new();
            writer.array(4).uint(number).int(signed).bytes(&bytes).text(&text);
            let written = writer.finish();
            let read = Reader::all(&written, |r| {
                r.tuple("all", 4)?;
                Ok((r.uint()?, r.int()?, r.bytes("b", 1 << 16)?.to_vec(), r.text("t", 1 << 16)?.to_owned()))
            });
            prop_assert_eq!(read, Ok((number, signed, bytes, text)));
        }

        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.skip(EXTENSION_DEPTH_MAX);
            let _ = Reader::new(&bytes).map(|m| m.required(0)?.uint());
        }
    }
}
