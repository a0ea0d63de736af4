//! What follows from an id alone? Enough to look for whoever has it, and to prove that one knows it.

use rand_core::CryptoRng;

use super::{AddressKey, Day, RecordKey, copy_of, in_parts, signing_key};
use crate::{
    codec::DecodeError,
    crypto,
    keys::{Secret, SigningKey},
    limits::{CARD_SEALED_BYTES_MAX, FIND_SLOTS},
    share::{ContactCard, ShareError, SharedId},
};

/// All that follows from an id.
#[derive(Debug)]
pub struct FindKey(Secret<32>);

impl FindKey {
    /// What follows from this one.
    pub fn of(id: &SharedId) -> Self {
        let parts = [id.recovery.as_slice(), &id.checksum];
        Self(Secret::copied(&crypto::hash_parts(b"kith/find/1", &parts)))
    }

    /// The key that signs the record of a day in one of the slots.
    pub fn signer(&self, day: Day, slot: u8) -> SigningKey {
        let number = u64::from(FIND_SLOTS) * u64::from(day.0) + u64::from(slot % FIND_SLOTS);
        signing_key(&crypto::derive(&self.0, b"findable", number))
    }

    /// Where records of a day lie.
    pub fn keys(&self, day: Day) -> impl Iterator<Item = RecordKey> {
        (0..FIND_SLOTS).map(move |slot| RecordKey::of(self.signer(day, slot).public()))
    }

    /// What opens them.
    pub fn addresses(&self) -> AddressKey {
        AddressKey::from_bytes(*copy_of(&crypto::derive(&self.0, b"findaddr", 1)))
    }

    /// Proves on one link that the asker knows the id.
    pub fn proof(&self, asker: &[u8], answerer: &[u8]) -> [u8; 32] {
        let key = crypto::derive(&self.0, b"find-who", 1);
        crypto::keyed_hash(&key, &in_parts(&[b"kith/who/1", asker, answerer]))
    }

    /// Whether a proof holds.
    pub fn proves(&self, proof: &[u8; 32], asker: &[u8], answerer: &[u8]) -> bool {
        crypto::equal(proof, &self.proof(asker, answerer))
    }

    /// Seals the card for whoever has asked on a link.
    pub fn seal_card(
        &self,
        card: &ContactCard,
        (asker, answerer): (&[u8], &[u8]),
        rng: &mut dyn CryptoRng,
    ) -> Box<[u8]> {
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let context = in_parts(&[b"kith/card/1", asker, answerer]);
        crypto::seal(&self.card_key(), nonce, &context, &card.to_bytes()).into()
    }

    /// Opens a card; the account in it is the one that the id names.
    ///
    /// # Errors
    /// If it was not sealed with this id for this link, or proves another account.
    pub fn open_card(
        &self,
        id: &SharedId,
        sealed: &[u8],
        (asker, answerer): (&[u8], &[u8]),
    ) -> Result<ContactCard, ShareError> {
        if sealed.len() > CARD_SEALED_BYTES_MAX {
            return Err(ShareError::Card(DecodeError::Malformed));
        }
        let context = in_parts(&[b"kith/card/1", asker, answerer]);
        let card = crypto::open(&self.card_key(), &context, sealed)
            .map_err(|_| ShareError::Card(DecodeError::Malformed))?;
        let card = ContactCard::from_bytes(&card)?;
        if id.names(&card.account) { Ok(card) } else { Err(ShareError::Mismatch) }
    }

    fn card_key(&self) -> Secret<32> {
        crypto::derive(&self.0, b"findcard", 1)
    }
}
