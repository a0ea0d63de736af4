//! How far is a former device's chain believed? (spec 02 R18)

use crate::{
    codec::{DecodeError, Reader, Writer},
    envelope::Payload,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{OPERATION_ENVELOPE_BYTES_MAX, SEQ_MAX},
};

/// The last entry of a former device in one log that is believed; signed by an authority key or
/// the recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The account of the device.
    pub account: AccountId,
    /// The log.
    pub log: LogId,
    /// The former device.
    pub device: DeviceId,
    /// Its last entry that is believed; `None` if none is.
    pub last: Option<Last>,
    /// Whether a person chose it, or a program took what it had.
    pub chosen: bool,
}

/// The last entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    /// Its number, from 1.
    pub seq: u64,
    /// Its id.
    pub entry: EntryId,
}

impl Payload for Cut {
    const KIND: u64 = 12;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/cut/1";
    const ENVELOPE_BYTES_MAX: usize = OPERATION_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let log = LogId::from_bytes(m.required(1)?.fixed("log")?);
            let device = DeviceId::from_bytes(m.required(2)?.fixed("device")?);
            let seq = m.required(3)?.uint_max("last number", SEQ_MAX)?;
            let entry = m.optional(4)?.map(|r| r.fixed("last entry")).transpose()?;
            let last = match (seq, entry.map(EntryId::from_bytes)) {
                (0, None) => None,
                (0, Some(_)) => return Err(DecodeError::Value("last entry")),
                (_, None) => return Err(DecodeError::Missing(4)),
                (_, Some(entry)) => Some(Last { seq, entry }),
            };
            Ok(Self { account, log, device, last, chosen: m.required(5)?.bool()? })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(5 + usize::from(self.last.is_some()));
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.log.as_bytes());
        writer.uint(2).bytes(self.device.as_bytes());
        writer.uint(3).uint(self.last.map_or(0, |last| last.seq));
        if let Some(last) = self.last {
            writer.uint(4).bytes(last.entry.as_bytes());
        }
        writer.uint(5).bool(self.chosen);
    }
}

/// Whose word a cut is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutWord {
    /// A program of a settled device took what it had.
    Taken,
    /// A person chose on a settled device.
    Chosen,
    /// The recovery key.
    Recovery,
}

/// Where a chain ends by all cuts of it that count; `None` if there are none, `Some(None)` if
/// nothing of the chain is believed.
pub fn combine(cuts: &[(CutWord, Option<Last>)]) -> Option<Option<Last>> {
    let word = cuts.iter().map(|(word, _)| *word).max()?;
    let of_word = cuts.iter().filter(|(other, _)| *other == word).map(|(_, last)| *last);
    match word {
        // Of two entries with one number the smaller id, in both directions.
        CutWord::Taken => {
            of_word.max_by_key(|last| last.map(|l| (l.seq, core::cmp::Reverse(l.entry))))
        }
        CutWord::Chosen | CutWord::Recovery => of_word.min(),
    }
}
