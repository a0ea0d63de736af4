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

const VERSION: u64 = 1;

pub(super) fn encode(log: &Log) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(3).uint(0).uint(VERSION);
    writer.uint(1).uint(u64::from(log.number.0));
    writer.uint(2).array(log.authors.len());
    for author in &log.authors {
        let Head { seq, position, depth } = author.head;
        writer.array(7).bytes(author.device.as_bytes());
        writer.uint(seq).uint(position.eff).bytes(position.id.as_bytes()).uint(depth);
        writer.bool(author.is_tip).uint(author.read);
    }
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
            let authors = m.required(2)?.list("authors", AUTHORS_MAX, read_author)?;
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

fn read_author(reader: &mut Reader<'_>) -> Result<Author, DecodeError> {
    reader.tuple("author", 7)?;
    let device = DeviceId::from_bytes(reader.fixed("device")?);
    let seq = reader.uint()?;
    let eff = reader.uint()?;
    let position = Position { eff, id: EntryId::from_bytes(reader.fixed("entry")?) };
    let head = Head { seq, position, depth: reader.uint()? };
    Ok(Author { device, head, is_tip: reader.bool()?, read: reader.uint()? })
}
