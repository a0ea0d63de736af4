//! How far is a former device's chain believed? (spec 02 R18)

use crate::{
    codec::{DecodeError, Reader, Writer},
    envelope::Payload,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{CUT_ENVELOPE_BYTES_MAX, HISTORIES_MAX, SEQ_MAX},
    time::Timestamp,
};

/// What is believed of a former device in one log, and since when it is not believed. By the
/// recovery key or the authority key of a device it decides, by the signing key it witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The account of the device.
    pub account: AccountId,
    /// The log.
    pub log: LogId,
    /// The former device.
    pub device: DeviceId,
    /// The last entry of each of its histories that the signer has received before
    /// [`since`](Self::since), ascending; at most [`HISTORIES_MAX`].
    pub lasts: Vec<Last>,
    /// Since when the device is not believed.
    pub since: Timestamp,
}

/// The last entry of a history.
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
    const ENVELOPE_BYTES_MAX: usize = CUT_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            let account = AccountId::from_bytes(m.required(0)?.fixed("account")?);
            let log = LogId::from_bytes(m.required(1)?.fixed("log")?);
            let device = DeviceId::from_bytes(m.required(2)?.fixed("device")?);
            let lasts = m.required(3)?.list("last entries", HISTORIES_MAX, |r| {
                r.tuple("last entry", 3)?;
                let seq = r.uint_max("last number", SEQ_MAX)?;
                let entry = EntryId::from_bytes(r.fixed("last entry")?);
                Ok(Last { seq, entry, received: time(r)? })
            })?;
            if !lasts.is_sorted_by(|one, other| one < other) {
                return Err(DecodeError::NotCanonical);
            }
            let since = time(m.required(4)?)?;
            if lasts.iter().any(|last| last.seq == 0 || last.received >= since) {
                return Err(DecodeError::Value("last entry"));
            }
            Ok(Self { account, log, device, lasts, since })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(5);
        writer.uint(0).bytes(self.account.as_bytes());
        writer.uint(1).bytes(self.log.as_bytes());
        writer.uint(2).bytes(self.device.as_bytes());
        writer.uint(3).array(self.lasts.len());
        for last in &self.lasts {
            writer.array(3).uint(last.seq).bytes(last.entry.as_bytes());
            writer.uint(last.received.millis());
        }
        writer.uint(4).uint(self.since.millis());
    }
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    Ok(Timestamp::from_millis(reader.uint_max("time", Timestamp::LAST.millis())?))
}

/// Whose word a cut is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutWord {
    /// A device that stands says what it has.
    Witness,
    /// A settled device decides.
    Device,
    /// The recovery key decides.
    Recovery,
}

/// What is believed of a former device, and since when it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    /// Entries through which its histories are believed, ascending; several may be of one history.
    pub lasts: Vec<Last>,
    /// Since when it is not believed.
    pub since: Timestamp,
}

impl Believed {
    /// By all cuts that count; `None` if nobody has decided.
    pub fn by(cuts: &[(CutWord, &Cut)]) -> Option<Self> {
        let times = |word: CutWord| {
            cuts.iter().filter(move |(other, _)| *other == word).map(|(_, cut)| cut.since).min()
        };
        let since = times(CutWord::Recovery).or_else(|| times(CutWord::Device))?;
        let lasts = cuts.iter().flat_map(|(_, cut)| &cut.lasts);
        let mut lasts: Vec<Last> = lasts.filter(|last| last.received < since).copied().collect();
        lasts.sort_unstable();
        lasts.dedup_by_key(|last| last.entry);
        Some(Self { lasts, since })
    }
}
