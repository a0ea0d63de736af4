//! How does a new device come into an account? The code and the three messages (spec 08).
//!
//! ```text
//!   old device                              new device
//!   LinkCode  ────────── by eye ──────────►
//!             ◄───────── JoinRequest ──────  commits to an opening
//!   LinkOffer ───────────────────────────►  account, nonce
//!             ◄───────── LinkAccept ───────  opening, acknowledgement
//!   check number ══════ compared ══════════  check number
//! ```

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

use crate::{
    account::DeviceAck,
    codec::{DecodeError, Reader, Writer},
    crypto,
    envelope::Payload,
    frame::{read_addresses, read_proof, write_addresses, write_proof},
    ids::{AccountId, DeviceId},
    limits::{
        ACCESS_BYTES_MAX, LINK_ACCEPT_BYTES_MAX, LINK_CODE_CHARS_MAX, LINK_MESSAGE_BYTES_MAX,
        LINK_OFFER_BYTES_MAX, NAME_BYTES_MAX,
    },
    mail::QueueAddress,
    service::some_text,
};

/// Bytes of the secret that shows that somebody has read the code.
pub const TOKEN_BYTES: usize = 16;

const PREFIX: &str = "kith-device:";
const VERSION: u64 = 1;

/// What the old device shows; as secret as the account for as long as it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkCode {
    /// Public half of the one-time key to which the join is sealed, named like a device.
    pub key: DeviceId,
    /// Shows that the code was read.
    pub token: [u8; TOKEN_BYTES],
    /// Where the old device can be reached.
    pub addresses: Vec<String>,
    /// Where it can be written to while it is not there.
    pub mail: Option<CodeMail>,
}

/// How the two devices write to each other without ever being there at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeMail {
    /// A queue of the old device, for this code alone.
    pub queue: QueueAddress,
    /// The word that the server wants from who opens queues; may be empty.
    pub access: String,
}

/// Why a code was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// It is something else.
    #[error(
        "this is no code for a new device: make one with `kith device link` on a device you have"
    )]
    NotACode,
    /// Part of it is missing or was changed.
    #[error("the code is incomplete: copy the whole line ({0})")]
    Malformed(DecodeError),
}

impl LinkCode {
    /// The code as one line of text.
    pub fn encode(&self) -> String {
        let mut writer = Writer::new();
        let access = self.mail.as_ref().map_or("", |mail| mail.access.as_str());
        let more = usize::from(self.mail.is_some()) + usize::from(!access.is_empty());
        writer.map(4 + more).uint(0).uint(VERSION);
        writer.uint(1).bytes(self.key.as_bytes());
        writer.uint(2).bytes(&self.token);
        write_addresses(writer.uint(3), &self.addresses);
        if let Some(mail) = &self.mail {
            mail.queue.write(writer.uint(4));
        }
        if !access.is_empty() {
            writer.uint(5).text(access);
        }
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&writer.finish()))
    }

    /// Reads a code; blanks around it do not matter.
    ///
    /// # Errors
    /// If it is something else or damaged.
    pub fn decode(text: &str) -> Result<Self, CodeError> {
        let content = text.trim().strip_prefix(PREFIX).ok_or(CodeError::NotACode)?;
        if content.len() > LINK_CODE_CHARS_MAX {
            return Err(CodeError::NotACode);
        }
        let bytes = BASE64URL_NOPAD
            .decode(content.as_bytes())
            .map_err(|_| CodeError::Malformed(DecodeError::Malformed))?;
        Reader::all(&bytes, |reader| {
            reader.map(|m| {
                if m.required(0)?.uint()? != VERSION {
                    return Err(DecodeError::Value("version"));
                }
                let key = DeviceId::from_bytes(m.required(1)?.fixed("key")?);
                let token = m.required(2)?.fixed("token")?;
                let addresses = read_addresses(m.required(3)?)?;
                let queue = m.optional(4)?.map(QueueAddress::read).transpose()?;
                let access = m.optional(5)?.map(|r| some_text(r, "access word", ACCESS_BYTES_MAX));
                let access = access.transpose()?;
                let mail = match (queue, access) {
                    (Some(queue), access) => {
                        Some(CodeMail { queue, access: access.unwrap_or_default() })
                    }
                    (None, None) => None,
                    (None, Some(_)) => return Err(DecodeError::Value("access word")),
                };
                Ok(Self { key, token, addresses, mail })
            })
        })
        .map_err(CodeError::Malformed)
    }
}

/// The new device's first word; signed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The token of the code.
    pub token: [u8; TOKEN_BYTES],
    /// [`commitment`] to what is opened later.
    pub commitment: [u8; 32],
    /// What the new device is called; at most 64 bytes.
    pub name: String,
    /// A queue of the new device, for the answers to this request alone.
    pub reply: Option<QueueAddress>,
}

impl Payload for JoinRequest {
    const KIND: u64 = 14;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/join-request/1";
    const ENVELOPE_BYTES_MAX: usize = LINK_MESSAGE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                token: m.required(0)?.fixed("token")?,
                commitment: m.required(1)?.fixed("commitment")?,
                name: m.required(2)?.text("name", NAME_BYTES_MAX)?.to_owned(),
                reply: m.optional(3)?.map(QueueAddress::read).transpose()?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3 + usize::from(self.reply.is_some())).uint(0).bytes(&self.token);
        writer.uint(1).bytes(&self.commitment).uint(2).text(&self.name);
        if let Some(reply) = &self.reply {
            reply.write(writer.uint(3));
        }
    }
}

/// The old device's answer; signed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkOffer {
    /// The account that may be joined.
    pub account: AccountId,
    /// The authority key that will take the device in.
    pub inviter: [u8; 32],
    /// Random; chosen after the commitment was seen.
    pub nonce: [u8; 32],
    /// What proves the account.
    pub proof: Vec<Box<[u8]>>,
    /// [`crypto::hash_plain`] of the join request's envelope.
    pub request: [u8; 32],
}

impl Payload for LinkOffer {
    const KIND: u64 = 15;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/link-offer/1";
    const ENVELOPE_BYTES_MAX: usize = LINK_OFFER_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                account: AccountId::from_bytes(m.required(0)?.fixed("account")?),
                inviter: m.required(1)?.fixed("inviter")?,
                nonce: m.required(2)?.fixed("nonce")?,
                proof: read_proof(m.required(3)?)?,
                request: m.required(4)?.fixed("request")?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(5).uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(&self.inviter).uint(2).bytes(&self.nonce);
        write_proof(writer.uint(3), &self.proof);
        writer.uint(4).bytes(&self.request);
    }
}

/// The new device's consent; signed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAccept {
    /// What the commitment hid.
    pub opening: [u8; 32],
    /// Envelope of the [`DeviceAck`].
    pub acknowledgement: Box<[u8]>,
    /// What proves the account that the device has and that is to go over into the other one;
    /// empty for a device that has none.
    pub brings: Vec<Box<[u8]>>,
}

impl Payload for LinkAccept {
    const KIND: u64 = 16;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/link-accept/1";
    const ENVELOPE_BYTES_MAX: usize = LINK_ACCEPT_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let opening = m.required(0)?.fixed("opening")?;
            let limit = DeviceAck::ENVELOPE_BYTES_MAX;
            let acknowledgement = m.required(1)?.bytes("acknowledgement", limit)?.into();
            let brings = match m.optional(2)? {
                Some(reader) => read_proof(reader)?,
                None => return Ok(Self { opening, acknowledgement, brings: Vec::new() }),
            };
            if brings.is_empty() {
                return Err(DecodeError::NotCanonical);
            }
            Ok(Self { opening, acknowledgement, brings })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(2 + usize::from(!self.brings.is_empty()));
        writer.uint(0).bytes(&self.opening).uint(1).bytes(&self.acknowledgement);
        if !self.brings.is_empty() {
            write_proof(writer.uint(2), &self.brings);
        }
    }
}

/// Hides an opening and the keys of the new device until the old one has chosen its nonce.
pub fn commitment(opening: &[u8; 32], device: DeviceId, authority: &[u8; 32]) -> [u8; 32] {
    crypto::hash_parts(b"kith/link-commitment/1", &[opening, device.as_bytes(), authority])
}

/// The six digits that both devices show, from the envelopes of request and offer (spec 08 R5).
pub fn check_number(request: &[u8], offer: &[u8], opening: &[u8; 32]) -> String {
    let parts = [&crypto::hash_plain(request)[..], &crypto::hash_plain(offer), opening];
    let hash = crypto::hash_parts(b"kith/link-check/1", &parts);
    let mut first = [0; 8];
    first.copy_from_slice(hash.split_at(8).0);
    format!("{:06}", u64::from_be_bytes(first) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        envelope::{Signed, sign},
        keys::SigningKey,
        limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, URL_BYTES_MAX},
        mail::{MailboxUrl, QueueSeed},
        service::mailbox::Days,
    };

    fn code() -> LinkCode {
        LinkCode {
            key: SigningKey::from_seed(&[1; 32]).device(),
            token: [2; TOKEN_BYTES],
            addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
            mail: None,
        }
    }

    fn queue(url: &str) -> QueueAddress {
        let url = MailboxUrl::parse(url).unwrap();
        QueueAddress { url, seed: QueueSeed::from_bytes([3; 32]), days: Days::Seven }
    }

    #[test]
    fn a_code_comes_back() {
        let text = code().encode();
        assert_eq!(LinkCode::decode(&format!("  {text}\n")), Ok(code()));
        assert_eq!(LinkCode::decode("kith:kith1q"), Err(CodeError::NotACode));
        let (cut, _) = text.split_at(text.len() - 3);
        assert!(matches!(LinkCode::decode(cut), Err(CodeError::Malformed(_))));
    }

    #[test]
    fn a_code_by_mail_comes_back() {
        for access in ["", "word"] {
            let mail = CodeMail { queue: queue("https://box.org"), access: access.to_owned() };
            let code = LinkCode { mail: Some(mail), ..code() };
            assert_eq!(LinkCode::decode(&code.encode()), Ok(code));
        }
    }

    #[test]
    fn the_largest_code_and_request_fit() {
        let host = ["a"; 124].join(".");
        let url = format!("https://{host}");
        assert!(url.len() > URL_BYTES_MAX - 2);
        let address = "a".repeat(ADDRESS_BYTES_MAX);
        let mail = CodeMail { queue: queue(&url), access: "a".repeat(ACCESS_BYTES_MAX) };
        let addresses = vec![address; ADDRESSES_MAX];
        let code = LinkCode { addresses, mail: Some(mail), ..code() };
        assert_eq!(LinkCode::decode(&code.encode()), Ok(code));
        let name = "a".repeat(NAME_BYTES_MAX);
        let reply = Some(queue(&url));
        let request = JoinRequest { token: [1; 16], commitment: [2; 32], name, reply };
        let signed = sign(&SigningKey::from_seed(&[1; 32]), request.clone());
        assert_eq!(*Signed::<JoinRequest>::decode(signed.bytes()).unwrap().claim(), request);
    }

    #[test]
    fn messages_come_back() {
        let key = SigningKey::from_seed(&[1; 32]);
        let name = "tablet".to_owned();
        let request =
            JoinRequest { token: [1; 16], commitment: [2; 32], name: name.clone(), reply: None };
        let reply = Some(queue("https://box.org"));
        let by_mail = JoinRequest { token: [1; 16], commitment: [2; 32], name, reply };
        for request in [&request, &by_mail] {
            let signed = sign(&key, request.clone());
            assert_eq!(Signed::<JoinRequest>::decode(signed.bytes()).unwrap().claim(), request);
        }
        let offer = LinkOffer {
            account: AccountId::from_bytes([3; 32]),
            inviter: [4; 32],
            nonce: [5; 32],
            proof: vec![[6; 300].into()],
            request: [7; 32],
        };
        let accept = LinkAccept {
            opening: [8; 32],
            acknowledgement: [9; 250].into(),
            brings: vec![[7; 99].into()],
        };
        assert_eq!(
            *Signed::<LinkOffer>::decode(sign(&key, offer.clone()).bytes()).unwrap().claim(),
            offer
        );
        assert_eq!(
            *Signed::<LinkAccept>::decode(sign(&key, accept.clone()).bytes()).unwrap().claim(),
            accept
        );
    }

    #[test]
    fn the_check_number_depends_on_everything() {
        let number = check_number(b"request", b"offer", &[1; 32]);
        assert_eq!(number.len(), 6);
        assert_ne!(number, check_number(b"Request", b"offer", &[1; 32]));
        assert_ne!(number, check_number(b"request", b"Offer", &[1; 32]));
        assert_ne!(number, check_number(b"request", b"offer", &[2; 32]));
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(text: String, bytes: Vec<u8>) {
            let _ = LinkCode::decode(&text);
            let _ = LinkCode::decode(&format!("{PREFIX}{text}"));
            let _ = Signed::<JoinRequest>::decode(&bytes);
            let _ = Signed::<LinkOffer>::decode(&bytes);
            let _ = Signed::<LinkAccept>::decode(&bytes);
        }
    }
}
