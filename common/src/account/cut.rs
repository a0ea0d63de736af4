//! How far is a former device's chain believed? (spec 02 R18)

use core::cmp::Reverse;

use crate::{
    codec::{DecodeError, Reader, Writer},
    envelope::Payload,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{OPERATION_ENVELOPE_BYTES_MAX, SEQ_MAX},
    time::Timestamp,
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
    /// Since when the device is not believed, if a person chose that; otherwise a program took
    /// what it had. Later than [`Last::received`].
    pub since: Option<Timestamp>,
}

/// The last entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    /// Its number, from 1.
    pub seq: u64,
    /// Its id.
    pub entry: EntryId,
    /// When it came to who signs the cut, by the clock there.
    pub received: Timestamp,
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
            let received = m.optional(5)?.map(time).transpose()?;
            let since = m.optional(6)?.map(time).transpose()?;
            let last = match (seq, entry.map(EntryId::from_bytes), received) {
                (0, None, None) => None,
                (0, ..) => return Err(DecodeError::Value("last entry")),
                (_, None, _) => return Err(DecodeError::Missing(4)),
                (_, _, None) => return Err(DecodeError::Missing(5)),
                (_, Some(entry), Some(received)) => Some(Last { seq, entry, received }),
            };
            let is_later = |since| last.is_none_or(|last| last.received < since);
            if !since.is_none_or(is_later) {
                return Err(DecodeError::Value("since"));
            }
            Ok(Self { account, log, device, last, since })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(4 + 2 * usize::from(self.last.is_some()) + usize::from(self.since.is_some()));
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.log.as_bytes());
        writer.uint(2).bytes(self.device.as_bytes());
        writer.uint(3).uint(self.last.map_or(0, |last| last.seq));
        if let Some(last) = self.last {
            writer.uint(4).bytes(last.entry.as_bytes());
            writer.uint(5).uint(last.received.millis());
        }
        if let Some(since) = self.since {
            writer.uint(6).uint(since.millis());
        }
    }
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    Ok(Timestamp::from_millis(reader.uint_max("time", Timestamp::LAST.millis())?))
}

/// Whose word a cut is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutWord {
    /// A settled device.
    Device,
    /// The recovery key.
    Recovery,
}

/// Where a chain ends by all cuts of it that count; `None` if there are none, `Some(None)` if
/// nothing of the chain is believed.
pub fn combine(cuts: &[(CutWord, &Cut)]) -> Option<Option<Last>> {
    let of_recovery = cuts.iter().filter(|(word, _)| *word == CutWord::Recovery);
    if let Some(last) = of_recovery.map(|(_, cut)| cut.last).min() {
        return Some(last);
    }
    let since = cuts.iter().filter_map(|(_, cut)| cut.since).min();
    let was_there = |last: &Last| since.is_none_or(|since| last.received < since);
    let lasts = cuts.iter().filter_map(|(_, cut)| cut.last).filter(was_there);
    // Of two entries with one number the smaller id.
    let last = lasts.max_by_key(|last| (last.seq, Reverse(last.entry)));
    (!cuts.is_empty()).then_some(last)
}
