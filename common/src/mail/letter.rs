//! What does one device write to one other that is not there? (spec 09)

use crate::{
    codec::{DecodeError, Reader, Writer},
    ids::{AccountId, DeviceId, EntryId},
    limits::{
        GROUP_ID_BYTES_MAX, JOINED_MAX, LETTER_BYTES_MAX, LETTER_FRAMES_MAX, PACKAGE_BYTES_MAX,
        PACKAGES_PER_LETTER_MAX, WELCOME_BYTES_MAX,
    },
    mail::QueueAddress,
};

/// What is kept with a queue for those who may write: how to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The owner's last-resort KeyPackage.
    pub package: Box<[u8]>,
}

impl Card {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(1).uint(0).bytes(&self.package);
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                Ok(Self { package: m.required(0)?.bytes("package", PACKAGE_BYTES_MAX)?.into() })
            })
        })
    }
}

/// What is inside a blob: an MLS message, and what opens the group if the reader may not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The Welcome of the group.
    pub welcome: Option<Box<[u8]>>,
    /// The message.
    pub message: Box<[u8]>,
}

impl Sealed {
    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(1 + usize::from(self.welcome.is_some()));
        if let Some(welcome) = &self.welcome {
            writer.uint(0).bytes(welcome);
        }
        writer.uint(1).bytes(&self.message);
        writer.finish()
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                let welcome = m.optional(0)?.map(|r| r.bytes("welcome", WELCOME_BYTES_MAX));
                let welcome = welcome.transpose()?.map(Into::into);
                let message = m.required(1)?.bytes("message", LETTER_BYTES_MAX)?.into();
                Ok(Self { welcome, message })
            })
        })
    }
}

/// What a device says to another one, with names of both, so that it counts nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who writes.
    pub from: (AccountId, DeviceId),
    /// To whom.
    pub to: (AccountId, DeviceId),
    /// What would be said on a link: frames of spec 04 and 05.
    pub frames: Vec<Box<[u8]>>,
    /// KeyPackages with which the reader may begin groups, each used once.
    pub packages: Vec<Box<[u8]>>,
    /// Groups of the reader's that the writer has joined.
    pub joined: Vec<Box<[u8]>>,
    /// What the reader last told of its accounts, as far as the writer has heard it.
    pub heard: Option<EntryId>,
    /// Where the writer can be written to, for who may not have the log that says so.
    pub reply: Vec<QueueAddress>,
    /// Names what this letter tells of the writer's accounts; nothing: it tells nothing of them.
    pub told: Option<EntryId>,
}

impl Letter {
    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let there = [self.heard.is_some(), !self.reply.is_empty(), self.told.is_some()];
        writer.map(7 + there.into_iter().filter(|is_there| *is_there).count());
        writer.uint(0).bytes(self.from.0.as_bytes()).uint(1).bytes(self.from.1.as_bytes());
        writer.uint(2).bytes(self.to.0.as_bytes()).uint(3).bytes(self.to.1.as_bytes());
        for (key, list) in [(4, &self.frames), (5, &self.packages), (6, &self.joined)] {
            writer.uint(key).array(list.len());
            for bytes in list {
                writer.bytes(bytes);
            }
        }
        if let Some(heard) = self.heard {
            writer.uint(7).bytes(heard.as_bytes());
        }
        if !self.reply.is_empty() {
            QueueAddress::write_list(&self.reply, writer.uint(8));
        }
        if let Some(told) = self.told {
            writer.uint(9).bytes(told.as_bytes());
        }
        writer.finish()
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                let account = |reader: &mut Reader<'_>| reader.fixed("account");
                let device = |reader: &mut Reader<'_>| reader.fixed("device");
                let from_account = AccountId::from_bytes(account(m.required(0)?)?);
                let from = (from_account, DeviceId::from_bytes(device(m.required(1)?)?));
                let to_account = AccountId::from_bytes(account(m.required(2)?)?);
                let to = (to_account, DeviceId::from_bytes(device(m.required(3)?)?));
                let frames =
                    read_parts(m.required(4)?, "frames", LETTER_FRAMES_MAX, LETTER_BYTES_MAX)?;
                let packages = read_parts(
                    m.required(5)?,
                    "packages",
                    PACKAGES_PER_LETTER_MAX,
                    PACKAGE_BYTES_MAX,
                )?;
                let joined = read_parts(m.required(6)?, "joined", JOINED_MAX, GROUP_ID_BYTES_MAX)?;
                let heard = m.optional(7)?.map(|r| r.fixed("heard").map(EntryId::from_bytes));
                let heard = heard.transpose()?;
                let reply = match m.optional(8)? {
                    None => Vec::new(),
                    Some(reader) => match QueueAddress::read_list(reader)? {
                        empty if empty.is_empty() => return Err(DecodeError::Value("reply")),
                        reply => reply,
                    },
                };
                let told = m.optional(9)?.map(|r| r.fixed("told").map(EntryId::from_bytes));
                let told = told.transpose()?;
                Ok(Self { from, to, frames, packages, joined, heard, reply, told })
            })
        })
    }
}

fn read_parts(
    reader: &mut Reader<'_>,
    what: &'static str,
    limit: usize,
    bytes_max: usize,
) -> Result<Vec<Box<[u8]>>, DecodeError> {
    reader.list(what, limit, |r| r.bytes(what, bytes_max).map(Into::into))
}
