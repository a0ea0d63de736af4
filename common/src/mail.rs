//! How is something written to a device that is not there? Addresses of queues and letters (spec 09).
//!
//! A mailbox-server (spec 20) keeps blobs of random bytes. What is in one is a [`Letter`] for one
//! device, sealed by MLS, and all of that sealed once more with a key that only those have who may
//! write into the queue: the server sees nothing but sizes in classes.

mod letter;
mod url;

use core::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroize;

pub use self::{
    letter::{Card, Letter, Sealed},
    url::{MailboxUrl, UrlError},
};
use crate::{
    codec::{DecodeError, Reader, Writer},
    crypto::{self, SEAL_BYTES},
    keys::{Secret, SigningKey},
    limits::{BODY_SALT_BYTES, MAILBOXES_MAX, URL_BYTES_MAX},
    service::mailbox::Days,
};

/// The capability to write into a queue, and what both ends derive from it.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueSeed([u8; 32]);

impl QueueSeed {
    /// A new one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self(seed)
    }

    /// One that was made before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes to a writer.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8; 32]) -> R) -> R {
        reader(&self.0)
    }

    fn derived(&self, purpose: &[u8; 8]) -> Secret<32> {
        crypto::derive(&Secret::copied(&self.0), purpose, 1)
    }

    /// The key that signs requests to put something into the queue.
    pub fn writer(&self) -> SigningKey {
        self.derived(b"mail-put").expose(|bytes| {
            let mut seed = [0; 32];
            seed.copy_from_slice(bytes);
            let key = SigningKey::from_seed(&seed);
            seed.zeroize();
            key
        })
    }

    /// Seals what the server is to keep; `class` is its size in bytes.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`] if the content does not fit the class.
    pub fn seal_blob(
        &self,
        content: &[u8],
        class: usize,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, BlobError> {
        let room = class.checked_sub(SEAL_BYTES).ok_or(BlobError::TooLarge)?;
        let length = u32::try_from(content.len()).map_err(|_| BlobError::TooLarge)?;
        if content.len() + LENGTH_BYTES > room {
            return Err(BlobError::TooLarge);
        }
        let mut padded = Vec::with_capacity(room);
        padded.extend_from_slice(&length.to_be_bytes());
        padded.extend_from_slice(content);
        padded.resize(room, 0);
        Ok(self.seal(b"mail-put", &padded, rng))
    }

    /// Opens what [`seal_blob`](Self::seal_blob) made.
    ///
    /// # Errors
    /// [`BlobError::Open`] if it was not sealed for this queue or is not padded as it must be.
    pub fn open_blob(&self, blob: &[u8]) -> Result<Vec<u8>, BlobError> {
        let padded = self.open(b"mail-put", blob)?;
        let (length, rest) = padded.split_first_chunk().ok_or(BlobError::Open)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BlobError::Open)?;
        let (content, padding) = rest.split_at_checked(length).ok_or(BlobError::Open)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(BlobError::Open);
        }
        Ok(content.to_vec())
    }

    /// Seals what the server keeps with the queue for whoever may write.
    pub fn seal_card(&self, card: &Card, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.seal(b"mailcard", &card.encode(), rng)
    }

    /// Opens what [`seal_card`](Self::seal_card) made.
    ///
    /// # Errors
    /// [`BlobError::Open`] if it was not sealed for this queue or is no card.
    pub fn open_card(&self, sealed: &[u8]) -> Result<Card, BlobError> {
        Card::decode(&self.open(b"mailcard", sealed)?).map_err(|_| BlobError::Open)
    }

    fn seal(&self, purpose: &[u8; 8], plain: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        crypto::seal(&self.sealing_key(), nonce, purpose, plain)
    }

    fn open(&self, purpose: &[u8; 8], sealed: &[u8]) -> Result<Vec<u8>, BlobError> {
        crypto::open(&self.sealing_key(), purpose, sealed).map_err(|_| BlobError::Open)
    }

    fn sealing_key(&self) -> Secret<32> {
        self.derived(b"mailseal")
    }
}

impl fmt::Debug for QueueSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueSeed(hidden)")
    }
}

impl Drop for QueueSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Bytes of the length in front of what is padded.
const LENGTH_BYTES: usize = 4;

/// Why a blob was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// It does not fit the size class.
    #[error("the content does not fit the size class")]
    TooLarge,
    /// It was not sealed for this queue.
    #[error("the blob was not sealed for this queue")]
    Open,
}

/// Content bytes that a blob of this size carries.
pub const fn blob_room(class: usize) -> usize {
    class.saturating_sub(SEAL_BYTES + LENGTH_BYTES)
}

/// Where a device can be written to while it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAddress {
    /// The server.
    pub url: MailboxUrl,
    /// What lets one write.
    pub seed: QueueSeed,
    /// How long the server keeps what is put there.
    pub days: Days,
}

impl QueueAddress {
    /// Reads one.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("queue", 3)?;
        let url = MailboxUrl::parse(reader.text("url", URL_BYTES_MAX)?)
            .map_err(|_| DecodeError::Value("url"))?;
        let seed = QueueSeed(reader.fixed("seed")?);
        let days = Days::of_count(reader.uint()?).ok_or(DecodeError::Value("days"))?;
        Ok(Self { url, seed, days })
    }

    /// Writes it.
    pub fn write(&self, writer: &mut Writer) {
        writer.array(3).text(self.url.as_str());
        self.seed.expose(|seed| writer.bytes(seed));
        writer.uint(self.days.count());
    }

    /// Reads a list of at most [`MAILBOXES_MAX`].
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn read_list(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        reader.list("queues", MAILBOXES_MAX, Self::read)
    }

    /// Writes a list.
    pub fn write_list(queues: &[Self], writer: &mut Writer) {
        writer.array(queues.len());
        for queue in queues {
            queue.write(writer);
        }
    }
}

/// What an entry of kind [`MAILBOX`](crate::entry::EntryKind::MAILBOX) says: where its writer can be
/// written to by those who share the log. The last one of a device counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The queues, the preferred one first; none: nowhere.
    pub queues: Vec<QueueAddress>,
}

impl Announcement {
    /// The body with its salt in front.
    pub fn encode(&self, salt: [u8; BODY_SALT_BYTES]) -> Vec<u8> {
        let mut writer = Writer::new();
        QueueAddress::write_list(&self.queues, writer.map(1).uint(0));
        let mut body = salt.to_vec();
        body.extend_from_slice(&writer.finish());
        body
    }

    /// Reads a body, salt included.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (_, content) = body.split_at_checked(BODY_SALT_BYTES).ok_or(DecodeError::Malformed)?;
        Reader::all(content, |reader| {
            reader.map(|m| Ok(Self { queues: QueueAddress::read_list(m.required(0)?)? }))
        })
    }
}

#[cfg(test)]
mod tests;
