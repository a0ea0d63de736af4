//! Who said this, and for what purpose? COSE_Sign1 (RFC 9052) with Ed25519 (spec 01).
//!
//! A [`Signed`] holds bytes as they were received: the signature is checked over them and ids are
//! hashed from them, never from a re-encoding. Only [`Signed::verify`], [`sign`] and the chain
//! rule of entries make a [`Verified`].

use core::marker::PhantomData;

use thiserror::Error;

use crate::{
    codec::{DecodeError, Reader, Writer},
    crypto::{self, SIGNATURE_BYTES},
    ids::EntryId,
    keys::SigningKey,
};

const TAG_SIGN1: u64 = 18;
const HEADER_ALGORITHM: i64 = 1;
const HEADER_KEY: i64 = 4;
const HEADER_KIND: i64 = -65_537;
const HEADER_VERSION: i64 = -65_538;
const ALGORITHM_EDDSA: i64 = -8;
const PROTECTED_BYTES_MAX: usize = 64;

/// A format that travels in an envelope.
pub trait Payload: Sized {
    /// Number of the kind in the protected header.
    const KIND: u64;
    /// Version of the format, from 1.
    const VERSION: u64;
    /// The domain label, given as `external_aad`: nothing signed for one purpose counts for another.
    const DOMAIN: &'static str;
    /// Largest envelope in bytes.
    const ENVELOPE_BYTES_MAX: usize;

    /// Reads the payload.
    ///
    /// # Errors
    /// If it is not well-formed.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Writes the payload.
    fn write(&self, writer: &mut Writer);
}

/// A signature that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// An envelope as received, well-formed but not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    bytes: Box<[u8]>,
    signer: [u8; 32],
    protected: (usize, usize),
    payload: (usize, usize),
    signature: [u8; SIGNATURE_BYTES],
    value: T,
}

impl<T: Payload> Signed<T> {
    /// Reads an envelope of kind `T`.
    ///
    /// # Errors
    /// If it is too large, not canonical, of another kind or version, or its payload is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(bytes.into())
    }

    /// As [`decode`](Self::decode), without copying.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn from_bytes(bytes: Box<[u8]>) -> Result<Self, DecodeError> {
        if bytes.len() > T::ENVELOPE_BYTES_MAX {
            return Err(DecodeError::TooLarge {
                what: "envelope",
                found: bytes.len() as u64,
                limit: T::ENVELOPE_BYTES_MAX as u64,
            });
        }
        let (protected, payload, signature) = Reader::all(&bytes, |reader| {
            reader.tag(TAG_SIGN1)?;
            reader.tuple("envelope", 4)?;
            let protected = reader.bytes("protected header", PROTECTED_BYTES_MAX)?;
            reader.map_head(0)?;
            let payload = reader.bytes("payload", T::ENVELOPE_BYTES_MAX)?;
            Ok((protected, payload, reader.fixed("signature")?))
        })?;
        let signer = Reader::all(protected, read_protected::<T>)?;
        let value = Reader::all(payload, T::read)?;
        let (protected, payload) = (span(&bytes, protected), span(&bytes, payload));
        Ok(Self { signer, protected, payload, signature, value, bytes })
    }

    /// The key that claims to have signed.
    pub const fn signer(&self) -> &[u8; 32] {
        &self.signer
    }

    /// The bytes as received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The claimed content; nothing may follow from it but where to look for the proof.
    pub const fn claim(&self) -> &T {
        &self.value
    }

    /// Checks the signature of the key named in the envelope.
    ///
    /// # Errors
    /// [`BadSignature`] with the envelope, for it may still be vouched for.
    pub fn verify(self) -> Result<Verified<T>, (BadSignature, Self)> {
        if self.signature_holds() {
            Ok(Verified { signed: self, proof: PhantomData })
        } else {
            Err((BadSignature, self))
        }
    }

    /// Whether the signature holds, with nothing consumed.
    pub fn signature_holds(&self) -> bool {
        let part = |(start, end): (usize, usize)| self.bytes.get(start..end).unwrap_or_default();
        let message = to_be_signed::<T>(part(self.protected), part(self.payload));
        crypto::verify(&self.signer, &message, &self.signature)
    }

    /// The id that the envelope would have.
    pub fn id(&self) -> EntryId {
        EntryId::of(&self.bytes)
    }

    /// Believes the envelope without its signature; the caller has another proof.
    pub(crate) const fn believed(self) -> Verified<T> {
        Verified { signed: self, proof: PhantomData }
    }
}

/// An envelope whose author is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    signed: Signed<T>,
    proof: PhantomData<()>,
}

impl<T: Payload> Verified<T> {
    /// The key that signed.
    pub const fn signer(&self) -> &[u8; 32] {
        &self.signed.signer
    }

    /// The bytes as received.
    pub fn bytes(&self) -> &[u8] {
        &self.signed.bytes
    }

    /// The bytes, taken out.
    pub fn into_bytes(self) -> Box<[u8]> {
        self.signed.bytes
    }

    /// What was said.
    pub const fn value(&self) -> &T {
        &self.signed.value
    }

    /// What was said, taken out.
    pub fn into_value(self) -> T {
        self.signed.value
    }

    /// BLAKE2b-256 of the whole envelope.
    pub fn id(&self) -> EntryId {
        EntryId::of(&self.signed.bytes)
    }
}

/// Signs a payload.
pub fn sign<T: Payload>(key: &SigningKey, value: T) -> Verified<T> {
    let mut writer = Writer::new();
    writer.map(4);
    writer.int(HEADER_ALGORITHM).int(ALGORITHM_EDDSA);
    writer.int(HEADER_KEY).bytes(key.public());
    writer.int(HEADER_KIND).uint(T::KIND);
    writer.int(HEADER_VERSION).uint(T::VERSION);
    let protected = writer.finish();
    value.write(&mut writer);
    let payload = writer.finish();
    let signature = key.sign(&to_be_signed::<T>(&protected, &payload));
    writer.tag(TAG_SIGN1).array(4);
    writer.bytes(&protected).map(0).bytes(&payload).bytes(&signature);
    let bytes: Box<[u8]> = writer.finish().into();
    debug_assert!(bytes.len() <= T::ENVELOPE_BYTES_MAX, "the payload's own bounds keep it small");
    let payload_end = bytes.len() - 2 - SIGNATURE_BYTES;
    let payload_span = (payload_end - payload.len(), payload_end);
    let protected_span = (4, 4 + protected.len());
    Verified {
        signed: Signed {
            signer: *key.public(),
            protected: protected_span,
            payload: payload_span,
            signature,
            value,
            bytes,
        },
        proof: PhantomData,
    }
}

/// The kind number of an envelope, to tell apart what may stand in one place.
///
/// # Errors
/// If it is not an envelope at all.
pub fn kind(bytes: &[u8]) -> Result<u64, DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.tag(TAG_SIGN1)?;
    reader.tuple("envelope", 4)?;
    let protected = reader.bytes("protected header", PROTECTED_BYTES_MAX)?;
    Reader::all(protected, |reader| Ok(read_header(reader)?.1))
}

fn read_protected<T: Payload>(reader: &mut Reader<'_>) -> Result<[u8; 32], DecodeError> {
    let (signer, kind, version) = read_header(reader)?;
    if kind != T::KIND {
        return Err(DecodeError::Value("kind"));
    }
    if version != T::VERSION {
        return Err(DecodeError::Value("version"));
    }
    Ok(signer)
}

/// Four fields and no other; negative keys sort behind positive ones (RFC 8949 §4.2.1).
fn read_header(reader: &mut Reader<'_>) -> Result<([u8; 32], u64, u64), DecodeError> {
    fn expect(reader: &mut Reader<'_>, key: i64) -> Result<(), DecodeError> {
        if reader.int()? == key { Ok(()) } else { Err(DecodeError::Value("protected header")) }
    }
    reader.map_head(4)?;
    expect(reader, HEADER_ALGORITHM)?;
    if reader.int()? != ALGORITHM_EDDSA {
        return Err(DecodeError::Value("algorithm"));
    }
    expect(reader, HEADER_KEY)?;
    let signer = reader.fixed("key id")?;
    expect(reader, HEADER_KIND)?;
    let kind = reader.uint()?;
    expect(reader, HEADER_VERSION)?;
    Ok((signer, kind, reader.uint()?))
}

/// `Sig_structure` of RFC 9052 §4.4.
fn to_be_signed<T: Payload>(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(4).text("Signature1").bytes(protected);
    writer.bytes(T::DOMAIN.as_bytes()).bytes(payload);
    writer.finish()
}

fn span(whole: &[u8], part: &[u8]) -> (usize, usize) {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    (start, start.wrapping_add(part.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Note(u64);

    impl Payload for Note {
        const KIND: u64 = 9000;
        const VERSION: u64 = 1;
        const DOMAIN: &'static str = "kith/test-note/1";
        const ENVELOPE_BYTES_MAX: usize = 256;

        fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
            reader.map(|m| Ok(Self(m.required(0)?.uint()?)))
        }

        fn write(&self, writer: &mut Writer) {
            writer.map(1).uint(0).uint(self.0);
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct SameShape(u64);

    impl Payload for SameShape {
        const KIND: u64 = 9000;
        const VERSION: u64 = 1;
        const DOMAIN: &'static str = "kith/test-other/1";
        const ENVELOPE_BYTES_MAX: usize = 256;

        fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
            Note::read(reader).map(|note| Self(note.0))
        }

        fn write(&self, writer: &mut Writer) {
            Note(self.0).write(writer);
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    #[test]
    fn a_signed_payload_comes_back_verified() {
        let signed = sign(&key(), Note(7));
        let read = Signed::<Note>::decode(signed.bytes()).unwrap();
        assert_eq!(read.signer(), key().public());
        assert_eq!(read.verify().unwrap(), signed);
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let signed = sign(&key(), Note(7));
        for at in 0..signed.bytes().len() {
            for flip in [1, 0x80] {
                let mut bytes = signed.bytes().to_vec();
                bytes[at] ^= flip;
                let accepted = Signed::<Note>::decode(&bytes).is_ok_and(|s| s.verify().is_ok());
                assert!(!accepted, "byte {at} flipped by {flip}");
            }
        }
    }

    #[test]
    fn every_prefix_and_any_suffix_is_refused() {
        let bytes = sign(&key(), Note(7)).into_bytes().into_vec();
        for end in 0..bytes.len() {
            assert!(Signed::<Note>::decode(&bytes[..end]).is_err(), "{end} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Signed::<Note>::decode(&longer), Err(DecodeError::Trailing));
    }

    #[test]
    fn a_signature_counts_for_one_purpose_only() {
        let signed = sign(&key(), Note(7));
        let other = Signed::<SameShape>::decode(signed.bytes()).unwrap();
        assert!(other.verify().is_err());
    }

    #[test]
    fn the_unprotected_header_stays_empty() {
        let bytes = sign(&key(), Note(7)).into_bytes().into_vec();
        let at = 4 + bytes[3] as usize;
        assert_eq!(bytes[at], 0xa0);
        let mut with = bytes[..at].to_vec();
        with.extend_from_slice(&[0xa1, 0x05, 0x41, 0x00]);
        with.extend_from_slice(&bytes[at + 1..]);
        assert!(Signed::<Note>::decode(&with).is_err());
    }
}
