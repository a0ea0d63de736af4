//! How is the state of a log kept? One small record beside the entries.

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    ids::{DeviceId, EntryId, LogId},
};

use super::{Author, Head, Log, Pending};
use crate::{
    limits::AUTHORS_MAX,
    store::{LogNumber, Position},
};

/// Version 1 does not count what is hidden.
const VERSION: u64 = 2;

pub(super) fn encode(log: &Log) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(3).uint(0).uint(VERSION);
    writer.uint(1).uint(u64::from(log.number.0));
    writer.uint(2).array(log.authors.len());
    for author in &log.authors {
        let Head { seq, position, depth } = author.head;
        writer.array(8).bytes(author.device.as_bytes());
        writer.uint(seq).uint(position.eff).bytes(position.id.as_bytes()).uint(depth);
        writer.bool(author.is_tip).uint(author.read).uint(author.hidden);
    }
    writer.finish()
}

pub(super) fn decode(id: LogId, bytes: &[u8]) -> Result<Log, DecodeError> {
    Reader::all(bytes, |reader| {
        reader.map(|m| {
            let version = m.required(0)?.uint()?;
            if !(1..=VERSION).contains(&version) {
                return Err(DecodeError::Value("version"));
            }
            let number = m.required(1)?.uint_max("log number", u64::from(u32::MAX))?;
            let number = u32::try_from(number).map_err(|_| DecodeError::Value("log number"))?;
            let authors =
                m.required(2)?.list("authors", AUTHORS_MAX, |r| read_author(r, version))?;
            Ok(Log {
                id,
                number: LogNumber(number),
                highest: authors.iter().map(|author| author.head.position).max(),
                authors,
                pending: Pending::default(),
                changed: false,
                is_new: false,
            })
        })
    })
}

fn read_author(reader: &mut Reader<'_>, version: u64) -> Result<Author, DecodeError> {
    let counts_hidden = version >= 2;
    reader.tuple("author", if counts_hidden { 8 } else { 7 })?;
    let device = DeviceId::from_bytes(reader.fixed("device")?);
    let seq = reader.uint()?;
    let eff = reader.uint()?;
    let position = Position { eff, id: EntryId::from_bytes(reader.fixed("entry")?) };
    let head = Head { seq, position, depth: reader.uint()? };
    let (is_tip, read) = (reader.bool()?, reader.uint()?);
    let hidden = if counts_hidden { reader.uint()? } else { 0 };
    Ok(Author { device, head, is_tip, read, hidden })
}
