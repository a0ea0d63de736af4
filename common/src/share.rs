//! How is an account handed over as text? The shared string and the link (spec 02).
//!
//! The shared string `kith1…` (bech32m, BIP-350) holds the recovery key and the first half of the
//! account id: it pins one genesis and fits on a card. The link holds everything needed to reach
//! the account: the whole proof, a name, and addresses. Neither says whose account it really is:
//! what arrives this way is unvalidated.

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

use crate::{
    account::{Account, AccountError},
    codec::{DecodeError, Reader, Writer},
    frame::{read_addresses, read_proof, write_addresses, write_proof},
    ids::DeviceId,
    limits::{KNOCKS_PER_LINK_MAX, LINK_CHARS_MAX, NAME_BYTES_MAX},
    mail::QueueAddress,
};

const STRING_VERSION: u8 = 1;
const STRING_BYTES: usize = 1 + 32 + 16;
const LINK_PREFIX: &str = "kith:";
const CARD_VERSION: u64 = 1;

/// Why a shared string or link was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShareError {
    /// A typing error, or no Kith string at all.
    #[error("this is not a Kith id: a character is wrong or missing")]
    Checksum,
    /// Made by a later version.
    #[error("this was made by a newer Kith: update to use it")]
    Version,
    /// Not a link of the form `kith:kith1…#…`.
    #[error("this is not a whole Kith link: copy it again, from “kith:” to its end")]
    NotALink,
    /// An id alone, which says who but not where: they have to be looked for.
    #[error(
        "this is an id: it says who, not where. Looking for somebody by an id needs a bootstrap \
         (`kith bootstrap set`); or ask for the whole link"
    )]
    IdAlone,
    /// What the link holds is not well-formed.
    #[error("the link is damaged ({0}): ask for a new one")]
    Card(#[from] DecodeError),
    /// The account in the link is not proven.
    #[error("the link does not prove its account ({0}): do not use it")]
    Account(#[from] AccountError),
    /// The string in front and the account behind it are two accounts.
    #[error("the link names one account and holds another: do not use it")]
    Mismatch,
}

/// What a shared string says: enough to recognise the account, not to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedId {
    /// The account's recovery key.
    pub recovery: [u8; 32],
    /// The first half of the account id.
    pub checksum: [u8; 16],
}

impl SharedId {
    /// The shared id of an account.
    pub fn of(account: &Account) -> Self {
        let mut checksum = [0; 16];
        checksum.copy_from_slice(account.id().as_bytes().split_at(16).0);
        Self { recovery: *account.recovery(), checksum }
    }

    /// The id as bytes: the key, then the checksum.
    pub fn to_bytes(&self) -> [u8; 48] {
        let mut bytes = [0; 48];
        let (recovery, checksum) = bytes.split_at_mut(32);
        recovery.copy_from_slice(&self.recovery);
        checksum.copy_from_slice(&self.checksum);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    pub fn from_bytes(bytes: &[u8; 48]) -> Self {
        let mut id = Self { recovery: [0; 32], checksum: [0; 16] };
        let (recovery, checksum) = bytes.split_at(32);
        id.recovery.copy_from_slice(recovery);
        id.checksum.copy_from_slice(checksum);
        id
    }

    /// Writes the string, 90 characters long.
    #[expect(clippy::expect_used, reason = "49 bytes fit a bech32m string of 90 characters")]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(STRING_BYTES);
        bytes.push(STRING_VERSION);
        bytes.extend_from_slice(&self.recovery);
        bytes.extend_from_slice(&self.checksum);
        bech32::encode::<Bech32m>(prefix(), &bytes).expect("the length is constant")
    }

    /// Reads a string, in upper or lower case.
    ///
    /// # Errors
    /// If its checksum does not hold or it is of another version.
    pub fn decode(text: &str) -> Result<Self, ShareError> {
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| ShareError::Checksum)?;
        if checked.hrp() != prefix() {
            return Err(ShareError::Checksum);
        }
        let bytes: Vec<u8> = checked.byte_iter().take(STRING_BYTES + 1).collect();
        let [version, rest @ ..] = bytes.as_slice() else { return Err(ShareError::Checksum) };
        if *version != STRING_VERSION {
            return Err(ShareError::Version);
        }
        let (recovery, checksum) = rest.split_at_checked(32).ok_or(ShareError::Checksum)?;
        let shared = Self {
            recovery: recovery.try_into().map_err(|_| ShareError::Checksum)?,
            checksum: checksum.try_into().map_err(|_| ShareError::Checksum)?,
        };
        // One account has one string: the bits that pad the last character are zero.
        if shared.encode().eq_ignore_ascii_case(text) {
            Ok(shared)
        } else {
            Err(ShareError::Checksum)
        }
    }

    /// Whether an account is the one meant.
    pub fn names(&self, account: &Account) -> bool {
        *self == Self::of(account)
    }
}

#[expect(clippy::expect_used, reason = "the prefix is constant and lower case")]
fn prefix() -> Hrp {
    Hrp::parse("kith").expect("a valid prefix")
}

/// What a link hands over: an account, what it calls itself and where it may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactCard {
    /// The account, proven.
    pub account: Account,
    /// What the account calls itself; nobody vouches for it.
    pub name: String,
    /// Addresses that were good when the link was made.
    pub addresses: Vec<String>,
    /// Where devices of the account can be asked while they are not there.
    pub knocks: Vec<(DeviceId, QueueAddress)>,
}

impl ContactCard {
    /// Writes the link: `kith:`, the shared string, `#`, and the card in base64url.
    pub fn encode(&self) -> String {
        let card = BASE64URL_NOPAD.encode(&self.to_bytes());
        format!("{LINK_PREFIX}{}#{card}", SharedId::of(&self.account).encode())
    }

    /// Writes the card alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(4 + usize::from(!self.knocks.is_empty())).uint(0).uint(CARD_VERSION);
        writer.uint(1);
        write_proof(&mut writer, self.account.proof());
        writer.uint(2).text(&self.name);
        writer.uint(3);
        write_addresses(&mut writer, &self.addresses);
        if !self.knocks.is_empty() {
            writer.uint(4).array(self.knocks.len());
            for (device, queue) in &self.knocks {
                queue.write(writer.array(2).bytes(device.as_bytes()));
            }
        }
        writer.finish()
    }

    /// Reads a link and proves its account.
    ///
    /// # Errors
    /// If it is incomplete, damaged, or holds another account than it names.
    pub fn decode(link: &str) -> Result<Self, ShareError> {
        let link = link.trim();
        if link.len() > LINK_CHARS_MAX {
            return Err(ShareError::NotALink);
        }
        let rest = link.strip_prefix(LINK_PREFIX).unwrap_or(link);
        if SharedId::decode(rest).is_ok() {
            return Err(ShareError::IdAlone);
        }
        let rest = link.strip_prefix(LINK_PREFIX).ok_or(ShareError::NotALink)?;
        let (shared, card) = rest.split_once('#').ok_or(ShareError::NotALink)?;
        let shared = SharedId::decode(shared)?;
        let card = BASE64URL_NOPAD.decode(card.as_bytes()).map_err(|_| ShareError::NotALink)?;
        let card = Self::from_bytes(&card)?;
        if shared.names(&card.account) { Ok(card) } else { Err(ShareError::Mismatch) }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made, and proves its account.
    ///
    /// # Errors
    /// If it is damaged or does not prove an account.
    pub fn from_bytes(card: &[u8]) -> Result<Self, ShareError> {
        let (proof, name, addresses, knocks) = Reader::all(card, |reader| {
            reader.map(|m| {
                if m.required(0)?.uint()? != CARD_VERSION {
                    return Err(DecodeError::Value("version"));
                }
                let proof = read_proof(m.required(1)?)?;
                let name = m.required(2)?.text("name", NAME_BYTES_MAX)?.to_owned();
                let addresses = read_addresses(m.required(3)?)?;
                let knocks = m.optional(4)?.map(read_knocks).transpose()?.unwrap_or_default();
                Ok((proof, name, addresses, knocks))
            })
        })?;
        let account = Account::fold(&proof)?;
        Ok(Self { account, name, addresses, knocks })
    }
}

fn read_knocks(reader: &mut Reader<'_>) -> Result<Vec<(DeviceId, QueueAddress)>, DecodeError> {
    let knocks = reader.list("knocks", KNOCKS_PER_LINK_MAX, |r| {
        r.tuple("knock", 2)?;
        Ok((DeviceId::from_bytes(r.fixed("device")?), QueueAddress::read(r)?))
    })?;
    if knocks.is_empty() { Err(DecodeError::Value("knocks")) } else { Ok(knocks) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::SigningKey;

    fn account(name: u8) -> Account {
        let key = |n: u8| SigningKey::from_seed(&[n; 32]);
        Account::create(&key(name), &key(name + 1), &key(name + 2), [name; 32])
    }

    #[test]
    fn a_shared_string_is_short_and_comes_back_in_any_case() {
        let shared = SharedId::of(&account(1));
        let text = shared.encode();
        assert_eq!(text.len(), 90);
        assert!(text.starts_with("kith1"));
        assert_eq!(SharedId::decode(&text), Ok(shared));
        assert_eq!(SharedId::decode(&text.to_uppercase()), Ok(shared));
    }

    #[test]
    fn every_wrong_character_is_noticed() {
        let text = SharedId::of(&account(1)).encode();
        for at in 5..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(SharedId::decode(&wrong), Err(ShareError::Checksum), "{at}");
        }
    }

    #[test]
    fn a_link_carries_a_proven_account() {
        let card = ContactCard {
            account: account(1),
            name: "Alice".to_owned(),
            addresses: vec!["/ip4/127.0.0.1/tcp/4001".to_owned()],
            knocks: Vec::new(),
        };
        let url = crate::mail::MailboxUrl::parse("https://mail.example.org").unwrap();
        let seed = crate::mail::QueueSeed::from_bytes([7; 32]);
        let queue = QueueAddress { url, seed, days: crate::service::mailbox::Days::Seven };
        let knocks = vec![(DeviceId::from_bytes([8; 32]), queue)];
        for card in [card.clone(), ContactCard { knocks, ..card }] {
            let link = card.encode();
            assert_eq!(ContactCard::decode(&format!(" {link}\n")), Ok(card));
        }
    }

    #[test]
    fn a_link_cannot_name_one_account_and_hold_another() {
        let link = |name| {
            let account = account(name);
            let name = String::new();
            ContactCard { account, name, addresses: vec![], knocks: vec![] }.encode()
        };
        let (alice, mallory) = (link(1), link(10));
        let mixed =
            format!("{}#{}", alice.split_once('#').unwrap().0, mallory.split_once('#').unwrap().1);
        assert_eq!(ContactCard::decode(&mixed), Err(ShareError::Mismatch));
        for end in 0..alice.len() {
            assert!(ContactCard::decode(&alice[..end]).is_err(), "{end} characters");
        }
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(text: String) {
            let _ = SharedId::decode(&text);
            let _ = ContactCard::decode(&format!("kith:{text}"));
        }
    }
}
