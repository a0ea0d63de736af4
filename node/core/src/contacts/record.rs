//! How is a contact kept? One record for a person.

use kith_common::{
    account::Account,
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId, EntryId},
    limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, GREETING_BYTES_MAX, NAME_BYTES_MAX},
};

use super::{Contact, Status, Validity, Words};
use crate::{bygone::Bygone, person::Absorbed, store::Position};

/// Version 1 was of accounts with one device, 2 of people with one account, 3 kept the doubts of
/// merging among the words, 4 kept one older proof of each account.
const VERSION: u64 = 5;

impl Contact {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let optional = [self.before_block.is_some(), self.request_number.is_some()];
        writer.map(13 + optional.map(usize::from).iter().sum::<usize>()).uint(0).uint(VERSION);
        writer.uint(1).array(self.account.proof().len());
        for envelope in self.account.proof() {
            writer.bytes(envelope);
        }
        writer.uint(2).text(&self.name);
        writer.uint(3).uint(self.status as u64);
        writer.uint(4).uint(self.validity as u64);
        writer.uint(5).text(&self.greeting);
        writer.uint(6).array(self.hints.len());
        for address in &self.hints {
            writer.text(address);
        }
        if let Some(status) = self.before_block {
            writer.uint(7).uint(status as u64);
        }
        if let Some(number) = self.request_number {
            writer.uint(8).uint(number);
        }
        writer.uint(9).array(self.addresses.len());
        for (device, addresses) in &self.addresses {
            writer.array(2).bytes(device.as_bytes()).array(addresses.len());
            for address in addresses {
                writer.text(address);
            }
        }
        writer.uint(10).bool(self.met);
        self.words.write(writer.uint(11));
        self.bygone.write(writer.uint(12));
        writer.uint(13).array(self.absorbed.len());
        for absorbed in &self.absorbed {
            absorbed.write(&mut writer);
        }
        writer.uint(14).array(self.earlier.len());
        for (ours, theirs) in &self.earlier {
            writer.array(2).bytes(ours.as_bytes()).bytes(theirs.as_bytes());
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                if m.required(0)?.uint()? != VERSION {
                    return Err(DecodeError::Value("version"));
                }
                let proof = m
                    .required(1)?
                    .list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX))?;
                let account =
                    Account::fold(&proof).map_err(|_| DecodeError::Value("account proof"))?;
                Ok(Self {
                    account: account.clone(),
                    name: m.required(2)?.text("name", NAME_BYTES_MAX)?.to_owned(),
                    status: Status::read(m.required(3)?)?,
                    validity: Validity::read(m.required(4)?)?,
                    greeting: m.required(5)?.text("greeting", GREETING_BYTES_MAX)?.to_owned(),
                    hints: read_addresses(m.required(6)?)?,
                    before_block: m.optional(7)?.map(Status::read).transpose()?,
                    request_number: m.optional(8)?.map(Reader::uint).transpose()?,
                    addresses: m
                        .required(9)?
                        .list("devices", usize::MAX, |r| {
                            r.tuple("device", 2)?;
                            Ok((DeviceId::from_bytes(r.fixed("device")?), read_addresses(r)?))
                        })?
                        .into_iter()
                        .collect(),
                    met: m.required(10)?.bool()?,
                    words: Words::read(m.required(11)?)?,
                    bygone: Bygone::read(m.required(12)?, &account)?,
                    absorbed: m.required(13)?.list("absorbed", usize::MAX, Absorbed::read)?,
                    earlier: m
                        .required(14)?
                        .list("earlier logs", usize::MAX, |r| {
                            r.tuple("two accounts", 2)?;
                            let ours = AccountId::from_bytes(r.fixed("account")?);
                            Ok((ours, AccountId::from_bytes(r.fixed("account")?)))
                        })?
                        .into_iter()
                        .collect(),
                })
            })
        })
    }
}

impl Words {
    fn write(&self, writer: &mut Writer) {
        writer.array(5);
        for word in [self.name, self.status, self.greeting] {
            match word {
                Some(Position { eff, id }) => writer.array(2).uint(eff).bytes(id.as_bytes()),
                None => writer.array(0),
            };
        }
        writer.array(self.validity.len());
        for (id, validity) in &self.validity {
            writer.array(2).bytes(id.as_bytes()).uint(*validity as u64);
        }
        writer.array(self.doubts.len());
        for (id, answered) in &self.doubts {
            writer.array(2).bytes(id.as_bytes()).bool(*answered);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tuple("words", 5)?;
        let mut word = || match reader.array("word", 2)? {
            0 => Ok(None),
            _ => {
                let eff = reader.uint()?;
                Ok(Some(Position { eff, id: EntryId::from_bytes(reader.fixed("entry")?) }))
            }
        };
        let (name, status, greeting) = (word()?, word()?, word()?);
        let validity = reader.list("validity", usize::MAX, |r| {
            r.tuple("validity", 2)?;
            Ok((EntryId::from_bytes(r.fixed("entry")?), Validity::read(r)?))
        })?;
        let doubts = reader.list("doubts", usize::MAX, |r| {
            r.tuple("doubt", 2)?;
            Ok((EntryId::from_bytes(r.fixed("account")?), r.bool()?))
        })?;
        let (validity, doubts) = (validity.into_iter().collect(), doubts.into_iter().collect());
        Ok(Self { name, status, greeting, validity, doubts })
    }
}

fn read_addresses(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    reader.list("addresses", ADDRESSES_MAX, |r| {
        r.text("address", ADDRESS_BYTES_MAX).map(str::to_owned)
    })
}
