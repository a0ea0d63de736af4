//! Does the codec accept exactly one form of every value?

use kith_common::codec::{DecodeError, Reader, Writer};

use crate::cbor::Value;

const STEPS_MAX: usize = 8;

/// Extensions against the slow reading, or single values by a script and back.
pub(crate) fn codec(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => extensions(bytes),
        Some((1, bytes)) => {
            let mut map = vec![0xa1, 0x18, 0x80];
            map.extend_from_slice(bytes);
            extensions(&map);
        }
        Some((_, bytes)) => script(bytes),
        None => {}
    }
}

fn extensions(bytes: &[u8]) {
    let accepted = Reader::all(bytes, |reader| reader.map(|_| Ok(()))).is_ok();
    let expected = Value::parse(bytes).is_some_and(|value| value.is_all_extensions());
    assert_eq!(accepted, expected, "{bytes:02x?}");
}

/// The first byte says how many steps, the next ones what each reads, the rest is read.
fn script(bytes: &[u8]) {
    let Some((count, rest)) = bytes.split_first() else { return };
    let Some((steps, content)) = rest.split_at_checked(usize::from(*count) % STEPS_MAX) else {
        return;
    };
    let mut writer = Writer::new();
    let read = Reader::all(content, |reader| {
        steps.iter().try_for_each(|step| copy(*step, reader, &mut writer))
    });
    if read.is_ok() {
        let values = Value::parse_all(content).expect("what was read is in the one allowed form");
        let known: Vec<u8> =
            values.into_iter().flat_map(|value| value.without_extensions().encode()).collect();
        assert_eq!(writer.finish(), known, "{content:02x?}");
    }
}

fn copy(step: u8, reader: &mut Reader<'_>, writer: &mut Writer) -> Result<(), DecodeError> {
    let written = match step % 10 {
        0 => writer.uint(reader.uint()?),
        1 => writer.int(reader.int()?),
        2 => writer.bool(reader.bool()?),
        3 => writer.bytes(reader.bytes("bytes", 300)?),
        4 => writer.text(reader.text("text", 300)?),
        5 => writer.bytes(&reader.fixed::<4>("fixed")?),
        6 => {
            let list = reader.list("list", 300, Reader::uint)?;
            list.iter().fold(writer.array(list.len()), |writer, number| writer.uint(*number))
        }
        7 => {
            reader.tuple("pair", 2)?;
            writer.array(2).uint(reader.uint()?).bool(reader.bool()?)
        }
        8 => {
            reader.tag(18)?;
            writer.tag(18).uint(reader.uint()?)
        }
        _ => {
            let (first, second) = reader.map(|m| {
                let first = m.required(0)?.uint()?;
                Ok((first, m.optional(1)?.map(Reader::int).transpose()?))
            })?;
            let writer = writer.map(1 + usize::from(second.is_some())).uint(0).uint(first);
            second.into_iter().fold(writer, |writer, second| writer.uint(1).int(second))
        }
    };
    let _: &mut Writer = written;
    Ok(())
}
