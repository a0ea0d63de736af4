//! How is the state of a log kept? One small record beside the entries.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    entry::Mark,
    ids::{DeviceId, EntryId, LogId},
    time::Timestamp,
};

use super::{Chain, Cut, Head, Limit, Log, Overlooked, Pending, Shelf};
use crate::{
    limits::{AUTHORS_MAX, DOOMED_MAX, MISSING_MAX},
    store::{AuthorNumber, LogNumber, Position},
};

/// Versions 1 and 2 were of accounts with one device, 3 of logs that put nothing aside, 4 of such as
/// overlooked nothing, 5 of cuts with one last entry.
const VERSION: u64 = 6;

pub(super) fn encode(log: &Log) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(11).uint(0).uint(VERSION);
    writer.uint(1).uint(u64::from(log.number.0));
    writer.uint(2).array(log.chains.len());
    for chain in &log.chains {
        write_chain(chain, &mut writer);
    }
    writer.uint(3).array(log.limits.len());
    for (device, limit) in &log.limits {
        writer.array(2).bytes(device.as_bytes());
        match limit {
            Limit::Held(seq) => writer.array(1).uint(*seq),
            Limit::Cut(Cut { lasts, is_final }) => {
                writer.array(2).bool(*is_final).array(lasts.len());
                for mark in lasts {
                    writer.array(2).uint(mark.seq).bytes(mark.id.as_bytes());
                }
                &mut writer
            }
        };
    }
    writer.uint(4).array(log.cleared.len());
    for (device, seq) in &log.cleared {
        writer.array(2).bytes(device.as_bytes()).uint(*seq);
    }
    let mut doomed: BTreeMap<DeviceId, Vec<EntryId>> = BTreeMap::new();
    for (device, id) in &log.doomed {
        doomed.entry(*device).or_default().push(*id);
    }
    writer.uint(5).array(doomed.len());
    for (device, ids) in doomed {
        writer.array(2).bytes(device.as_bytes()).array(ids.len());
        for id in ids {
            writer.bytes(id.as_bytes());
        }
    }
    writer.uint(6).array(log.missing.len());
    for (author, seq) in &log.missing {
        writer.array(2).uint(u64::from(author.0)).uint(*seq);
    }
    writer.uint(7).array(log.reads.len());
    for (device, seq) in &log.reads {
        writer.array(2).bytes(device.as_bytes()).uint(*seq);
    }
    writer.uint(8).array(log.shelves.len());
    for shelf in &log.shelves {
        writer.array(5).bytes(shelf.device.as_bytes()).uint(u64::from(shelf.author.0));
        writer.uint(shelf.first).uint(shelf.last);
        // 0: not decided.
        writer.uint(shelf.rubbish_since.map_or(0, Timestamp::millis));
    }
    writer.uint(9).array(log.absent.len());
    for (device, seq) in &log.absent {
        writer.array(2).bytes(device.as_bytes()).uint(*seq);
    }
    writer.uint(10).array(2).bool(log.overlooked.doomed).bool(log.overlooked.missing);
    writer.finish()
}

pub(super) fn decode(id: LogId, bytes: &[u8]) -> Result<Log, DecodeError> {
    Reader::all(bytes, |reader| {
        reader.map(|m| {
            if m.required(0)?.uint()? != VERSION {
                return Err(DecodeError::Value("version"));
            }
            let number = m.required(1)?.uint_max("log number", u64::from(u32::MAX))?;
            let number = u32::try_from(number).map_err(|_| DecodeError::Value("log number"))?;
            let chains = m.required(2)?.list("chains", AUTHORS_MAX, read_chain)?;
            let limits = m.required(3)?.list("limits", usize::MAX, read_limit)?;
            let cleared = m.required(4)?.list("cleared", usize::MAX, read_through)?;
            let doomed = m.required(5)?.list("doomed", usize::MAX, read_doomed)?;
            let missing = m.required(6)?.list("missing", MISSING_MAX, |r| {
                r.tuple("missing body", 2)?;
                Ok((read_number(r)?, r.uint()?))
            })?;
            let reads = m.required(7)?.list("reads", usize::MAX, read_through)?;
            let shelves = m.required(8)?.list("shelves", usize::MAX, |r| {
                r.tuple("shelf", 5)?;
                let (device, author) = (read_device(r)?, read_number(r)?);
                let (first, last, since) = (r.uint()?, r.uint()?, r.uint()?);
                let rubbish_since = (since > 0).then(|| Timestamp::from_millis(since));
                Ok(Shelf { device, author, first, last, rubbish_since })
            })?;
            let absent = m.required(9)?.list("absent", usize::MAX, read_through)?;
            let overlooked = m.required(10)?;
            overlooked.tuple("what was overlooked", 2)?;
            let overlooked = Overlooked { doomed: overlooked.bool()?, missing: overlooked.bool()? };
            let lacks_bodies = !missing.is_empty();
            let heads = chains.iter().filter(|chain| !chain.is_empty());
            Ok(Log {
                id,
                number: LogNumber(number),
                highest: heads.map(|chain| chain.head.position).max(),
                chains,
                recent: BTreeMap::new(),
                pending: Pending::default(),
                limits: limits.into_iter().collect(),
                shelves,
                lifted: BTreeSet::new(),
                absent: absent.into_iter().collect(),
                renumbered: false,
                crowded: BTreeSet::new(),
                disordered: false,
                reads: reads.into_iter().collect(),
                cleared: cleared.into_iter().collect(),
                doomed: doomed.into_iter().flatten().collect(),
                missing: missing.into_iter().collect::<BTreeSet<_>>(),
                // Nobody was asked in this run.
                lacks_bodies,
                overlooked,
                changed: false,
                is_new: false,
            })
        })
    })
}

fn write_chain(chain: &Chain, writer: &mut Writer) {
    let Head { seq, position, depth } = chain.head;
    writer.array(10).bytes(chain.device.as_bytes()).uint(chain.first);
    // 0: no base, else its number and one.
    writer.uint(chain.base.map_or(0, |base| u64::from(base.0) + 1));
    writer.uint(seq).uint(position.eff).bytes(position.id.as_bytes()).uint(depth);
    writer.bool(chain.is_tip).uint(chain.read).uint(chain.hidden);
}

fn read_chain(reader: &mut Reader<'_>) -> Result<Chain, DecodeError> {
    reader.tuple("chain", 10)?;
    let (device, first) = (read_device(reader)?, reader.uint()?);
    let base = match reader.uint_max("base", u64::from(u16::MAX))?.checked_sub(1) {
        Some(base) => {
            let base = u16::try_from(base).map_err(|_| DecodeError::Value("base"))?;
            Some(AuthorNumber(base))
        }
        None => None,
    };
    let seq = reader.uint()?;
    let eff = reader.uint()?;
    let position = Position { eff, id: EntryId::from_bytes(reader.fixed("entry")?) };
    let head = Head { seq, position, depth: reader.uint()? };
    let (is_tip, read, hidden) = (reader.bool()?, reader.uint()?, reader.uint()?);
    Ok(Chain { device, first, base, head, is_tip, read, hidden })
}

fn read_limit(reader: &mut Reader<'_>) -> Result<(DeviceId, Limit), DecodeError> {
    reader.tuple("limit", 2)?;
    let device = read_device(reader)?;
    if reader.array("limit", 2)? == 1 {
        return Ok((device, Limit::Held(reader.uint()?)));
    }
    let is_final = reader.bool()?;
    let lasts = reader.list("last entries", usize::MAX, |r| {
        r.tuple("last entry", 2)?;
        let seq = r.uint()?;
        Ok(Mark { device, seq, id: EntryId::from_bytes(r.fixed("entry")?) })
    })?;
    Ok((device, Limit::Cut(Cut { lasts, is_final })))
}

fn read_doomed(reader: &mut Reader<'_>) -> Result<Vec<(DeviceId, EntryId)>, DecodeError> {
    reader.tuple("doomed entries", 2)?;
    let device = read_device(reader)?;
    reader.list("ids", DOOMED_MAX, |r| Ok((device, EntryId::from_bytes(r.fixed("entry")?))))
}

fn read_through(reader: &mut Reader<'_>) -> Result<(DeviceId, u64), DecodeError> {
    reader.tuple("chain and number", 2)?;
    Ok((read_device(reader)?, reader.uint()?))
}

fn read_device(reader: &mut Reader<'_>) -> Result<DeviceId, DecodeError> {
    reader.fixed("device").map(DeviceId::from_bytes)
}

fn read_number(reader: &mut Reader<'_>) -> Result<AuthorNumber, DecodeError> {
    let number = reader.uint_max("author", u64::from(u16::MAX))?;
    u16::try_from(number).map(AuthorNumber).map_err(|_| DecodeError::Value("author"))
}
