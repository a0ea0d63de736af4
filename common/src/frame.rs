//! What do two nodes say on a link? Frames of canonical CBOR, `[number, fields]` (spec 04, 05).

use crate::{
    account::TransportCert,
    codec::{DecodeError, Fields, Reader, Writer},
    entry::Mark,
    envelope::Payload,
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{
        ABSORBED_ACCOUNTS_MAX, ACCOUNT_ENVELOPE_BYTES_MAX, ACCOUNT_PROOF_ENVELOPES_MAX,
        ADDRESS_BYTES_MAX, ADDRESSES_MAX, BODY_BYTES_MAX, CARD_SEALED_BYTES_MAX,
        ENTRY_ENVELOPE_BYTES_MAX, FRAME_ACCOUNTS_MAX, FRAME_BYTES_MAX, FRAME_ENTRIES_MAX,
        FRAME_FRONTIERS_MAX, FRAME_HEADS_MAX, FRAME_HINTS_MAX, FRAME_RECORDS_MAX,
        GREETING_BYTES_MAX, HELLO_TAGS_MAX, LINK_ACCEPT_BYTES_MAX, LINK_MESSAGE_BYTES_MAX,
        LINK_OFFER_BYTES_MAX, NAME_BYTES_MAX, PACKAGE_BYTES_MAX, PACKAGES_PER_LETTER_MAX,
        RECORD_BYTES_MAX, REQUEST_ENVELOPE_BYTES_MAX, TRANSPORT_ID_BYTES_MAX,
    },
};

/// Version of the link protocol.
pub const LINK_VERSION: u64 = 1;
/// Bytes of a recognition tag.
pub const TAG_BYTES: usize = 16;
/// Bytes that a sealed box adds.
const SEALED_BOX_BYTES: usize = 48;

/// One message between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Whom the sender knows, as tags that only those can recognise.
    Hello {
        /// One tag for each device known, and random ones as padding.
        tags: Vec<[u8; TAG_BYTES]>,
    },
    /// Who the sender is; only to a device that has been recognised.
    Certificate {
        /// Envelope of a [`TransportCert`].
        cert: Box<[u8]>,
        /// Account proof, genesis first.
        proof: Vec<Box<[u8]>>,
        /// Where the sender can be reached.
        addresses: Vec<String>,
    },
    /// A contact request for the device at the other end, sealed so that only that device opens it.
    Request {
        /// Sealed envelope of a [`ContactRequest`].
        sealed: Box<[u8]>,
    },
    /// How far the sender has received.
    Frontiers {
        /// Whether an answer with the receiver's own frontiers is wanted.
        ask: bool,
        /// Envelopes of [`Frontier`]s.
        frontiers: Vec<Box<[u8]>>,
    },
    /// Log entries, each after what it depends on.
    Entries {
        /// The log that they stand in.
        log: LogId,
        /// Envelope and body of each entry.
        entries: Vec<CarriedEntry>,
    },
    /// What proves some accounts, for whoever is concerned by them.
    Accounts {
        /// Account proofs, genesis first.
        proofs: Vec<Vec<Box<[u8]>>>,
    },
    /// What the sender knows of the accounts of contacts; only between devices of one account.
    AccountHeads {
        /// Each account with its head.
        heads: Vec<(AccountId, EntryId)>,
    },
    /// Entries whose bodies the sender lacks.
    Want {
        /// The log that they stand in.
        log: LogId,
        /// Which.
        entries: Vec<Mark>,
    },
    /// A device wants to join the account of the one at the other end (spec 08).
    Join {
        /// Sealed envelope of a join request.
        sealed: Box<[u8]>,
    },
    /// The answer to a join.
    Offer {
        /// Sealed envelope of a link offer.
        sealed: Box<[u8]>,
    },
    /// The consent of the joining device.
    Accept {
        /// Sealed envelope of a link accept.
        sealed: Box<[u8]>,
    },
    /// Where devices of contacts and of one's own were reached; only between devices of one
    /// account.
    Hints {
        /// Each device with its addresses.
        devices: Vec<(DeviceId, Vec<String>)>,
    },
    /// KeyPackages of the sender for letters of the receiver (spec 09).
    Packages {
        /// Each is used once.
        packages: Vec<Box<[u8]>>,
    },
    /// The sender looks for devices whose records the receiver may have (spec 10).
    Seek {
        /// Made by [`AddressKey::seek_token`](crate::finding::AddressKey::seek_token).
        tokens: Vec<[u8; 32]>,
    },
    /// Records that the receiver looks for.
    Records {
        /// Envelopes of [`Record`](crate::finding::Record)s.
        records: Vec<Box<[u8]>>,
    },
    /// The sender knows an id and asks whether it is the receiver's.
    Who {
        /// Proves it to whoever has the id, on this link alone.
        proof: [u8; 32],
    },
    /// The answer: a contact card, sealed for whoever knows the id.
    Card {
        /// The sealed card.
        sealed: Box<[u8]>,
    },
}

/// An entry on its way: the envelope, and the body unless it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedEntry {
    /// Envelope of the entry.
    pub envelope: Box<[u8]>,
    /// Salt and content.
    pub body: Option<Box<[u8]>>,
}

impl CarriedEntry {
    /// Bytes that the entry takes in a frame, a little more than less.
    pub fn frame_bytes(&self) -> usize {
        self.envelope.len() + self.body.as_ref().map_or(0, |body| body.len()) + 16
    }
}

impl Frame {
    /// Reads a frame; `None` if it is of a later version and may be ignored.
    ///
    /// # Errors
    /// If it is too large, not canonical, or unknown and critical.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::TooLarge {
                what: "frame",
                found: bytes.len() as u64,
                limit: FRAME_BYTES_MAX as u64,
            });
        }
        let mut reader = Reader::new(bytes);
        reader.tuple("frame", 2)?;
        let number = reader.uint()?;
        if number >= crate::limits::CRITICAL_KEYS {
            return Ok(None);
        }
        Reader::all(bytes, |reader| {
            reader.tuple("frame", 2)?;
            reader.uint()?;
            reader.map(|m| Self::read(number, m)).map(Some)
        })
    }

    fn read(number: u64, m: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        match number {
            1 => Self::read_hello(m),
            2 => Self::read_certificate(m),
            3 => {
                let limit = REQUEST_ENVELOPE_BYTES_MAX + SEALED_BOX_BYTES;
                Ok(Self::Request { sealed: m.required(0)?.bytes("request", limit)?.into() })
            }
            4 => {
                let ask = m.required(0)?.bool()?;
                let frontiers = m.required(1)?.list("frontiers", FRAME_FRONTIERS_MAX, |r| {
                    r.bytes("frontier", Frontier::ENVELOPE_BYTES_MAX).map(Into::into)
                })?;
                Ok(Self::Frontiers { ask, frontiers })
            }
            5 => {
                let log = LogId::from_bytes(m.required(0)?.fixed("log")?);
                let entries = m.required(1)?.list("entries", FRAME_ENTRIES_MAX, read_carried)?;
                Ok(Self::Entries { log, entries })
            }
            6 => {
                let proofs = m.required(0)?.list("accounts", FRAME_ACCOUNTS_MAX, read_proof)?;
                Ok(Self::Accounts { proofs })
            }
            7 => {
                let heads = m.required(0)?.list("account heads", FRAME_HEADS_MAX, |r| {
                    r.tuple("account head", 2)?;
                    let account = AccountId::from_bytes(r.fixed("account")?);
                    Ok((account, EntryId::from_bytes(r.fixed("head")?)))
                })?;
                Ok(Self::AccountHeads { heads })
            }
            8 => {
                let log = LogId::from_bytes(m.required(0)?.fixed("log")?);
                let entries = m.required(1)?.list("entries", FRAME_ENTRIES_MAX, Mark::read)?;
                Ok(Self::Want { log, entries })
            }
            9 => Ok(Self::Join { sealed: read_sealed(m, LINK_MESSAGE_BYTES_MAX)? }),
            10 => Ok(Self::Offer { sealed: read_sealed(m, LINK_OFFER_BYTES_MAX)? }),
            11 => Ok(Self::Accept { sealed: read_sealed(m, LINK_ACCEPT_BYTES_MAX)? }),
            12 => {
                let devices = m.required(0)?.list("devices", FRAME_HINTS_MAX, |r| {
                    r.tuple("hint", 2)?;
                    Ok((DeviceId::from_bytes(r.fixed("device")?), read_addresses(r)?))
                })?;
                Ok(Self::Hints { devices })
            }
            13 => {
                let packages = m.required(0)?.list("packages", PACKAGES_PER_LETTER_MAX, |r| {
                    r.bytes("package", PACKAGE_BYTES_MAX).map(Into::into)
                })?;
                Ok(Self::Packages { packages })
            }
            14 => {
                let tokens =
                    m.required(0)?.list("tokens", FRAME_RECORDS_MAX, |r| r.fixed("token"))?;
                Ok(Self::Seek { tokens })
            }
            15 => {
                let records = m.required(0)?.list("records", FRAME_RECORDS_MAX, |r| {
                    r.bytes("record", RECORD_BYTES_MAX).map(Into::into)
                })?;
                Ok(Self::Records { records })
            }
            16 => Ok(Self::Who { proof: m.required(0)?.fixed("proof")? }),
            17 => Ok(Self::Card {
                sealed: m.required(0)?.bytes("card", CARD_SEALED_BYTES_MAX)?.into(),
            }),
            _ => Err(DecodeError::UnknownCritical(number)),
        }
    }

    fn read_hello(m: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        if m.required(0)?.uint()? != LINK_VERSION {
            return Err(DecodeError::Value("link version"));
        }
        let tags = m.required(1)?.bytes("tags", HELLO_TAGS_MAX * TAG_BYTES)?;
        let (tags, rest) = tags.as_chunks::<TAG_BYTES>();
        if !rest.is_empty() {
            return Err(DecodeError::Value("tags"));
        }
        Ok(Self::Hello { tags: tags.to_vec() })
    }

    fn read_certificate(m: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let limit = TransportCert::ENVELOPE_BYTES_MAX;
        Ok(Self::Certificate {
            cert: m.required(0)?.bytes("certificate", limit)?.into(),
            proof: read_proof(m.required(1)?)?,
            addresses: read_addresses(m.required(2)?)?,
        })
    }

    /// Writes the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(2);
        match self {
            Self::Hello { tags } => {
                writer.uint(1).map(2).uint(0).uint(LINK_VERSION);
                writer.uint(1).bytes(tags.as_flattened());
            }
            Self::Certificate { cert, proof, addresses } => {
                writer.uint(2).map(3).uint(0).bytes(cert);
                writer.uint(1);
                write_proof(&mut writer, proof);
                writer.uint(2);
                write_addresses(&mut writer, addresses);
            }
            Self::Request { sealed } => write_single(&mut writer, 3, sealed),
            Self::Frontiers { ask, frontiers } => {
                writer.uint(4).map(2).uint(0).bool(*ask);
                writer.uint(1);
                write_proof(&mut writer, frontiers);
            }
            Self::Entries { log, entries } => {
                writer.uint(5).map(2).uint(0).bytes(log.as_bytes());
                writer.uint(1).array(entries.len());
                for entry in entries {
                    write_carried(&mut writer, entry);
                }
            }
            Self::Accounts { proofs } => {
                writer.uint(6).map(1).uint(0).array(proofs.len());
                for proof in proofs {
                    write_proof(&mut writer, proof);
                }
            }
            Self::AccountHeads { heads } => {
                writer.uint(7).map(1).uint(0).array(heads.len());
                for (account, head) in heads {
                    writer.array(2).bytes(account.as_bytes()).bytes(head.as_bytes());
                }
            }
            Self::Want { log, entries } => {
                writer.uint(8).map(2).uint(0).bytes(log.as_bytes());
                Mark::write_list(entries, writer.uint(1));
            }
            Self::Join { sealed } => write_single(&mut writer, 9, sealed),
            Self::Offer { sealed } => write_single(&mut writer, 10, sealed),
            Self::Accept { sealed } => write_single(&mut writer, 11, sealed),
            Self::Hints { devices } => {
                writer.uint(12).map(1).uint(0).array(devices.len());
                for (device, addresses) in devices {
                    writer.array(2).bytes(device.as_bytes());
                    write_addresses(&mut writer, addresses);
                }
            }
            Self::Packages { packages } => {
                write_parts(&mut writer, 13, packages.iter().map(|it| &**it));
            }
            Self::Seek { tokens } => {
                write_parts(&mut writer, 14, tokens.iter().map(<[u8; 32]>::as_slice));
            }
            Self::Records { records } => {
                write_parts(&mut writer, 15, records.iter().map(|it| &**it));
            }
            Self::Who { proof } => write_single(&mut writer, 16, proof),
            Self::Card { sealed } => write_single(&mut writer, 17, sealed),
        }
        writer.finish()
    }
}

/// A frame that is one byte string.
fn write_single(writer: &mut Writer, number: u64, bytes: &[u8]) {
    writer.uint(number).map(1).uint(0).bytes(bytes);
}

/// A frame that is a list of byte strings.
fn write_parts<'a>(
    writer: &mut Writer,
    number: u64,
    parts: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    writer.uint(number).map(1).uint(0).array(parts.len());
    for part in parts {
        writer.bytes(part);
    }
}

fn read_sealed(m: &mut Fields<'_, '_>, limit: usize) -> Result<Box<[u8]>, DecodeError> {
    m.required(0)?.bytes("sealed message", limit + SEALED_BOX_BYTES).map(Into::into)
}

fn read_carried(reader: &mut Reader<'_>) -> Result<CarriedEntry, DecodeError> {
    reader.map(|m| {
        let envelope = m.required(0)?.bytes("entry", ENTRY_ENVELOPE_BYTES_MAX)?.into();
        let body =
            m.optional(1)?.map(|r| r.bytes("body", BODY_BYTES_MAX)).transpose()?.map(Into::into);
        Ok(CarriedEntry { envelope, body })
    })
}

fn write_carried(writer: &mut Writer, entry: &CarriedEntry) {
    writer.map(1 + usize::from(entry.body.is_some()));
    writer.uint(0).bytes(&entry.envelope);
    if let Some(body) = &entry.body {
        writer.uint(1).bytes(body);
    }
}

/// Reads an account proof within its bounds.
///
/// # Errors
/// If it is not well-formed.
pub fn read_proof(reader: &mut Reader<'_>) -> Result<Vec<Box<[u8]>>, DecodeError> {
    reader.list("account proof", ACCOUNT_PROOF_ENVELOPES_MAX, |r| {
        r.bytes("account envelope", ACCOUNT_ENVELOPE_BYTES_MAX).map(Into::into)
    })
}

/// Writes an account proof.
pub fn write_proof(writer: &mut Writer, proof: &[Box<[u8]>]) {
    writer.array(proof.len());
    for envelope in proof {
        writer.bytes(envelope);
    }
}

pub(crate) fn read_addresses(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    reader.list("addresses", ADDRESSES_MAX, |r| {
        r.text("address", ADDRESS_BYTES_MAX).map(str::to_owned)
    })
}

pub(crate) fn write_addresses(writer: &mut Writer, addresses: &[String]) {
    writer.array(addresses.len());
    for address in addresses {
        writer.text(address);
    }
}

/// A stranger's wish to become a contact; signed by the stranger's device and travelling sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// The account asked.
    pub to_account: AccountId,
    /// The device that the request is sealed to.
    pub to_device: DeviceId,
    /// Transport id of the sender on this link.
    pub transport: Box<[u8]>,
    /// Transport id of the receiver on this link: the request serves on one link only.
    pub audience: Box<[u8]>,
    /// Account proof of the sender.
    pub proof: Vec<Box<[u8]>>,
    /// What proves accounts that the sender's has absorbed; at most [`ABSORBED_ACCOUNTS_MAX`].
    pub absorbed: Vec<Vec<Box<[u8]>>>,
    /// What the sender calls itself.
    pub name: String,
    /// What the sender says first; may be empty.
    pub greeting: String,
    /// Where the sender can be reached.
    pub addresses: Vec<String>,
}

impl Payload for ContactRequest {
    const KIND: u64 = 7;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/contact-request/1";
    const ENVELOPE_BYTES_MAX: usize = REQUEST_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                to_account: AccountId::from_bytes(m.required(0)?.fixed("account")?),
                to_device: DeviceId::from_bytes(m.required(1)?.fixed("device")?),
                transport: m.required(2)?.bytes("transport id", TRANSPORT_ID_BYTES_MAX)?.into(),
                audience: m.required(3)?.bytes("transport id", TRANSPORT_ID_BYTES_MAX)?.into(),
                proof: read_proof(m.required(4)?)?,
                name: m.required(5)?.text("name", NAME_BYTES_MAX)?.to_owned(),
                greeting: m.required(6)?.text("greeting", GREETING_BYTES_MAX)?.to_owned(),
                addresses: read_addresses(m.required(7)?)?,
                absorbed: match m.optional(8)? {
                    Some(reader) => {
                        let absorbed =
                            reader.list("absorbed accounts", ABSORBED_ACCOUNTS_MAX, read_proof)?;
                        if absorbed.is_empty() {
                            return Err(DecodeError::NotCanonical);
                        }
                        absorbed
                    }
                    None => Vec::new(),
                },
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(8 + usize::from(!self.absorbed.is_empty()));
        writer.uint(0).bytes(self.to_account.as_bytes());
        writer.uint(1).bytes(self.to_device.as_bytes());
        writer.uint(2).bytes(&self.transport);
        writer.uint(3).bytes(&self.audience);
        writer.uint(4);
        write_proof(writer, &self.proof);
        writer.uint(5).text(&self.name);
        writer.uint(6).text(&self.greeting);
        writer.uint(7);
        write_addresses(writer, &self.addresses);
        if !self.absorbed.is_empty() {
            writer.uint(8).array(self.absorbed.len());
            for proof in &self.absorbed {
                write_proof(writer, proof);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comes_back(frame: &Frame) {
        assert_eq!(Frame::decode(&frame.encode()), Ok(Some(frame.clone())));
    }

    #[test]
    fn frames_come_back() {
        comes_back(&Frame::Hello { tags: vec![[1; TAG_BYTES]; 64] });
        comes_back(&Frame::Certificate {
            cert: [1; 200].into(),
            proof: vec![[2; 300].into()],
            addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
        });
        comes_back(&Frame::Request { sealed: [3; 100].into() });
        comes_back(&Frame::Frontiers { ask: true, frontiers: vec![[4; 90].into()] });
        let with = CarriedEntry { envelope: [5; 250].into(), body: Some([6; 40].into()) };
        let without = CarriedEntry { envelope: [5; 250].into(), body: None };
        let log = LogId::from_bytes([7; 32]);
        comes_back(&Frame::Entries { log, entries: vec![with, without] });
        let proof = vec![[2; 300].into(), [3; 200].into()];
        comes_back(&Frame::Accounts { proofs: vec![proof.clone(), proof] });
        let head = (AccountId::from_bytes([8; 32]), EntryId::from_bytes([9; 32]));
        comes_back(&Frame::AccountHeads { heads: vec![head] });
        let device = DeviceId::from_bytes([1; 32]);
        let mark = Mark { device, seq: 3, id: EntryId::from_bytes([2; 32]) };
        comes_back(&Frame::Want { log, entries: vec![mark] });
        comes_back(&Frame::Join { sealed: [1; 300].into() });
        comes_back(&Frame::Offer { sealed: [2; 3000].into() });
        comes_back(&Frame::Accept { sealed: [3; 300].into() });
        let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
        comes_back(&Frame::Hints { devices: vec![(device, addresses)] });
        comes_back(&Frame::Packages { packages: vec![[7; 2700].into()] });
        comes_back(&Frame::Seek { tokens: vec![[1; 32]] });
        comes_back(&Frame::Records { records: vec![[7; 955].into()] });
        comes_back(&Frame::Who { proof: [2; 32] });
        comes_back(&Frame::Card { sealed: [7; 500].into() });
    }

    #[test]
    fn later_frames_are_ignored_and_unknown_critical_ones_refused() {
        let frame = |number: u64| {
            let mut writer = Writer::new();
            writer.array(2).uint(number).map(0);
            writer.finish()
        };
        assert_eq!(Frame::decode(&frame(200)), Ok(None));
        assert_eq!(Frame::decode(&frame(100)), Err(DecodeError::UnknownCritical(100)));
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(bytes: Vec<u8>) {
            let _ = Frame::decode(&bytes);
        }
    }
}
