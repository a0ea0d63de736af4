//! What is gone for good? Deletions on our own devices (spec 07 R7, R8).

use std::collections::BTreeMap;

use kith_common::{
    codec::{Reader, Writer},
    entry::Mark,
    envelope::{Payload, Signed, sign},
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::FRONTIER_MARKS_MAX,
    own::{Clear, Own},
    time::{Timestamp, Uptime},
};

use super::{Answer, CommandError, Context, Engine, Event, Output, commands::Outcome};
use crate::{
    limits::{DELETIONS_MAX, TRASH_MS},
    store::{Place, RecordKind, StoreError},
    view,
};

/// What another device deleted and what is still here, hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trash {
    log: LogId,
    marks: Vec<Mark>,
    /// Whether everything through the marks goes, or just what they name.
    through: bool,
    erased_at: Timestamp,
    /// The same in this run's time.
    due: Uptime,
}

impl Trash {
    fn hides(&self, log: LogId, mark: &Mark) -> bool {
        self.log == log
            && if self.through {
                self.marks.iter().any(|m| m.device == mark.device && mark.seq <= m.seq)
            } else {
                self.marks.contains(mark)
            }
    }
}

impl Engine {
    pub(super) fn delete(
        &mut self,
        cx: &mut Context<'_>,
        with: AccountId,
        entries: &[EntryId],
    ) -> Outcome {
        let log = LogId::direct(self.me.account.id(), with);
        let Some(conversation) = self.conversations.get(&log) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        let number = conversation.log.number();
        let mut marks = Vec::new();
        for id in entries {
            let Some(Place { author, seq, .. }) = cx.store.find(number, *id)? else {
                return Ok(Err(CommandError::UnknownMessage));
            };
            let device = conversation.log.device(author);
            marks.extend(device.map(|device| Mark { device, seq, id: *id }));
        }
        marks.sort_unstable();
        marks.dedup();
        let count = self.deleted_lately(cx.now, self.me.device.device()) + marks.len();
        if count > DELETIONS_MAX {
            return Ok(Err(CommandError::TooManyDeletions(DELETIONS_MAX)));
        }
        if marks.is_empty() {
            return Ok(Ok(Answer::Deleted(0)));
        }
        self.note_deletions(cx.now, self.me.device.device(), marks.len());
        self.tell(cx, &Own::Delete { log, entries: marks.clone() })?;
        let gone = self.erase(cx, log, &marks, false)?;
        Ok(Ok(Answer::Deleted(gone)))
    }

    pub(super) fn clear(
        &mut self,
        cx: &mut Context<'_>,
        with: AccountId,
        before: Option<Timestamp>,
        at_once: bool,
        authority: &SigningKey,
    ) -> Outcome {
        if let Err(error) = self.check_authority(authority) {
            return Ok(Err(error));
        }
        let log = LogId::direct(self.me.account.id(), with);
        let Some(conversation) = self.conversations.get(&log) else {
            return Ok(Err(CommandError::UnknownContact));
        };
        let through = match before {
            None => conversation.log.heads(),
            Some(before) => conversation
                .log
                .last_where(cx.store, &|row| Ok(view::open(row)?.entry.hlc.time() < before))?,
        };
        let through: Vec<Mark> = through.into_iter().take(FRONTIER_MARKS_MAX).collect();
        let account = self.me.account.id();
        let clear = Clear { account, log, through: through.clone(), at_once };
        let clear = sign(authority, clear).into_bytes();
        self.tell(cx, &Own::Clear { clear })?;
        let gone = self.erase(cx, log, &through, true)?;
        Ok(Ok(Answer::Deleted(gone)))
    }

    /// Another device of ours has deleted single messages.
    pub(super) fn hear_delete(
        &mut self,
        cx: &mut Context<'_>,
        (by, device): (EntryId, DeviceId),
        log: LogId,
        entries: &[Mark],
    ) -> Result<(), StoreError> {
        if self.deleted_lately(cx.now, device) + entries.len() <= DELETIONS_MAX {
            self.note_deletions(cx.now, device, entries.len());
            self.erase(cx, log, entries, false)?;
            return Ok(());
        }
        self.put_in_trash(cx, by, (log, entries.to_vec(), false))
    }

    /// Another device of ours has deleted the beginning of a conversation.
    pub(super) fn hear_clear(
        &mut self,
        cx: &mut Context<'_>,
        by: EntryId,
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let Ok(clear) = Signed::<Clear>::decode(envelope) else { return Ok(()) };
        let Ok(clear) = clear.verify() else { return Ok(()) };
        let of_signer =
            |device| self.me.account.authority_of(device).as_ref() == Some(clear.signer());
        let entitled = self.me.account.devices().any(of_signer);
        let Clear { account, log, through, at_once } = clear.value();
        if !entitled || *account != self.me.account.id() {
            return Ok(());
        }
        if *at_once {
            self.erase(cx, *log, through, true)?;
            return Ok(());
        }
        self.put_in_trash(cx, by, (*log, through.clone(), true))
    }

    fn put_in_trash(
        &mut self,
        cx: &mut Context<'_>,
        by: EntryId,
        (log, marks, through): (LogId, Vec<Mark>, bool),
    ) -> Result<(), StoreError> {
        let before = read_trash(cx, by)?;
        let erased_at = before.map_or(cx.now.plus_millis(TRASH_MS), |trash| trash.erased_at);
        let due = due_at(cx, erased_at);
        let trash = Trash { log, marks, through, erased_at, due };
        cx.store.put_record(RecordKind::Trash, by.as_bytes(), &trash.encode())?;
        self.trash.insert(by, trash);
        if let Some(conversation) = self.conversations.get(&log) {
            cx.out.push(Output::Event(Event::Rewritten(conversation.with)));
        }
        Ok(())
    }

    /// Erases what has rested for a day.
    pub(super) fn empty_trash(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let due: Vec<EntryId> = self
            .trash
            .iter()
            .filter(|(_, trash)| trash.due <= cx.uptime)
            .map(|(by, _)| *by)
            .collect();
        for by in due {
            let Some(Trash { log, marks, through, .. }) = self.trash.remove(&by) else { continue };
            cx.store.remove_record(RecordKind::Trash, by.as_bytes())?;
            self.erase(cx, log, &marks, through)?;
        }
        Ok(())
    }

    pub(super) fn load_trash(&mut self, cx: &Context<'_>) -> Result<(), StoreError> {
        for (key, _) in cx.store.records(RecordKind::Trash)? {
            let Ok(by) = <[u8; 32]>::try_from(key) else { continue };
            let by = EntryId::from_bytes(by);
            if let Some(trash) = read_trash(cx, by)? {
                self.trash.insert(by, trash);
            }
        }
        Ok(())
    }

    /// When something in the trash is due.
    pub(super) fn trash_at(&self) -> Option<Uptime> {
        self.trash.values().map(|trash| trash.due).min()
    }

    /// Whether an entry rests in the trash.
    pub(super) fn is_hidden(&self, log: LogId, mark: &Mark) -> bool {
        self.trash.values().any(|trash| trash.hides(log, mark))
    }

    /// Erases the entries that marks name, or everything through them.
    fn erase(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        marks: &[Mark],
        through: bool,
    ) -> Result<usize, StoreError> {
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(0) };
        let gone = if through {
            conversation.log.clear(marks, cx.store)?
        } else {
            conversation.log.delete(marks, cx.store)?
        };
        self.erased(cx, log, gone.len())
    }

    fn erased(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        count: usize,
    ) -> Result<usize, StoreError> {
        self.touched.insert(log);
        if count > 0
            && let Some(conversation) = self.conversations.get(&log)
        {
            cx.out.push(Output::Event(Event::Rewritten(conversation.with)));
        }
        Ok(count)
    }

    /// How many messages a device has deleted one by one within a day.
    fn deleted_lately(&self, now: Timestamp, device: DeviceId) -> usize {
        let recent = |(at, _): &&(Timestamp, usize)| at.plus_millis(TRASH_MS) > now;
        let deletions = self.deletions.get(&device).into_iter().flatten();
        deletions.filter(recent).map(|(_, count)| count).sum()
    }

    fn note_deletions(&mut self, now: Timestamp, device: DeviceId, count: usize) {
        let deletions = self.deletions.entry(device).or_default();
        deletions.retain(|(at, _)| at.plus_millis(TRASH_MS) > now);
        deletions.push((now, count));
    }
}

impl Trash {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(5).uint(1).bytes(self.log.as_bytes());
        writer.bool(self.through).uint(self.erased_at.millis());
        writer.array(self.marks.len());
        for mark in &self.marks {
            writer.array(3).bytes(mark.device.as_bytes()).uint(mark.seq).bytes(mark.id.as_bytes());
        }
        writer.finish()
    }
}

fn due_at(cx: &Context<'_>, at: Timestamp) -> Uptime {
    cx.uptime.plus_millis(at.millis().saturating_sub(cx.now.millis()))
}

fn read_trash(cx: &Context<'_>, by: EntryId) -> Result<Option<Trash>, StoreError> {
    let Some(bytes) = cx.store.record(RecordKind::Trash, by.as_bytes())? else { return Ok(None) };
    Reader::all(&bytes, |reader| {
        reader.tuple("trash", 5)?;
        reader.uint_max("version", 1)?;
        let log = LogId::from_bytes(reader.fixed("log")?);
        let through = reader.bool()?;
        let erased_at = Timestamp::from_millis(reader.uint()?);
        let marks = reader.list("marks", Clear::ENVELOPE_BYTES_MAX, |r| {
            r.tuple("mark", 3)?;
            let device = DeviceId::from_bytes(r.fixed("device")?);
            let seq = r.uint()?;
            Ok(Mark { device, seq, id: EntryId::from_bytes(r.fixed("entry")?) })
        })?;
        Ok(Some(Trash { log, marks, through, erased_at, due: due_at(cx, erased_at) }))
    })
    .map_err(|error| StoreError::new("Reading the trash", error))
}

/// When messages were deleted one by one, by device.
pub(super) type Deletions = BTreeMap<DeviceId, Vec<(Timestamp, usize)>>;
