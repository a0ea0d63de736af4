//! What is gone for good? Deletions on our own devices (spec 07 R7, R8).

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Account, Reason, Standing},
    codec::{DecodeError, Reader, Writer},
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
    log::Limit,
    store::{EntryRow, Place, RecordKind, StoreError},
    view,
};

/// What another device deleted and what is still here, hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trash {
    what: Rubbish,
    /// Who deleted it: it rests on while that device does not stand.
    by: DeviceId,
    /// Whether it counts though the device is out.
    in_peace: bool,
    erased_at: Timestamp,
    /// The same in this run's time.
    due: Uptime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rubbish {
    log: LogId,
    marks: Vec<Mark>,
    /// Whether everything through the marks goes, or just what they name.
    through: bool,
}

impl Rubbish {
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
        let mut marks: BTreeMap<LogId, BTreeSet<Mark>> = BTreeMap::new();
        for id in entries {
            let Some(Place { log, author, seq }) = self.find_message(cx.store, with, *id)? else {
                return Ok(Err(CommandError::UnknownMessage));
            };
            let Some(conversation) = self.conversation_of(log) else { continue };
            let device = conversation.log.device(author);
            let of_log = marks.entry(conversation.log.id()).or_default();
            of_log.extend(device.map(|device| Mark { device, seq, id: *id }));
        }
        let wanted: usize = marks.values().map(BTreeSet::len).sum();
        if self.deleted_lately(cx, self.me.device.device(), cx.now)? + wanted > DELETIONS_MAX {
            return Ok(Err(CommandError::TooManyDeletions(DELETIONS_MAX)));
        }
        let mut gone = 0;
        for (log, marks) in marks {
            let entries: Vec<Mark> = marks.into_iter().collect();
            self.tell(cx, &Own::Delete { log, entries: entries.clone() })?;
            gone += self.erase(cx, log, &entries, false)?;
        }
        Ok(Ok(Answer::Deleted(gone)))
    }

    pub(super) fn clear(
        &mut self,
        cx: &mut Context<'_>,
        with: AccountId,
        before: Option<Timestamp>,
        authority: &SigningKey,
    ) -> Outcome {
        if let Err(error) = self.check_authority(authority) {
            return Ok(Err(error));
        }
        if self.contacts.find_any(with).is_none() {
            return Ok(Err(CommandError::UnknownContact));
        }
        let mut gone = 0;
        for log in self.logs_with(with) {
            gone += self.clear_log(cx, log, before, authority)?;
        }
        Ok(Ok(Answer::Deleted(gone)))
    }

    fn clear_log(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        before: Option<Timestamp>,
        authority: &SigningKey,
    ) -> Result<usize, StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(0) };
        let through = match before {
            None => conversation.log.heads(),
            Some(before) => conversation
                .log
                .last_where(cx.store, &|row| Ok(view::open(row)?.entry.hlc.time() < before))?,
        };
        let through: Vec<Mark> = through.into_iter().take(FRONTIER_MARKS_MAX).collect();
        let account = self.me.account.id();
        let clear = Clear { account, log, through: through.clone() };
        let clear = sign(authority, clear).into_bytes();
        self.tell(cx, &Own::Clear { clear })?;
        // On the other devices it rests: nothing of it waits there to be read.
        self.tell(cx, &Own::Read { log, marks: through.clone() })?;
        self.hear_read(cx, log, &through)?;
        self.erase(cx, log, &through, true)
    }

    /// Another device of ours has deleted single messages.
    pub(super) fn hear_delete(
        &mut self,
        cx: &mut Context<'_>,
        (own, by, row): (LogId, DeviceId, &EntryRow),
        log: LogId,
        entries: &[Mark],
    ) -> Result<(), StoreError> {
        let id = row.position.id;
        let is_due = self.is_carried_out(own, by, row.place.seq)
            || self.deleted_lately(cx, by, row.received_at)? <= DELETIONS_MAX;
        if !is_due {
            let what = Rubbish { log, marks: entries.to_vec(), through: false };
            return self.put_in_trash(cx, id, by, what);
        }
        if self.trash.remove(&id).is_some() {
            cx.store.remove_record(RecordKind::Trash, id.as_bytes())?;
        }
        self.erase(cx, log, entries, false)?;
        Ok(())
    }

    /// Another device of ours has deleted the beginning of a conversation.
    pub(super) fn hear_clear(
        &mut self,
        cx: &mut Context<'_>,
        (id, author): (EntryId, DeviceId),
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let Some((by, Clear { log, through: marks, .. })) = self.read_clear(author, envelope)
        else {
            return Ok(());
        };
        if self.own_logs().contains(&log) {
            return self.hear_carried_out(cx, by, log, marks);
        }
        self.put_in_trash(cx, id, by, Rubbish { log, marks, through: true })
    }

    /// What is to be cleared, and whose word that is: also of a device that is out, as long as its
    /// key is known. The recovery key's word is that of the device that wrote it down.
    pub(super) fn read_clear(
        &self,
        author: DeviceId,
        envelope: &[u8],
    ) -> Option<(DeviceId, Clear)> {
        let clear = Signed::<Clear>::decode(envelope).ok()?.verify().ok()?;
        let account = &self.me.account;
        let by = if clear.signer() == account.recovery() {
            author
        } else {
            let of_signer = |account: &Account| {
                let mut devices = account.standings().map(|(device, _)| device);
                devices.find(|device| account.authority_of(*device) == Some(*clear.signer()))
            };
            of_signer(account).or_else(|| self.own_bygone.kept().iter().find_map(of_signer))?
        };
        self.own_person().is(clear.value().account).then(|| (by, clear.value().clone()))
    }

    fn put_in_trash(
        &mut self,
        cx: &mut Context<'_>,
        id: EntryId,
        by: DeviceId,
        what: Rubbish,
    ) -> Result<(), StoreError> {
        if self.is_void(by) {
            return Ok(());
        }
        let before = read_trash(cx, id)?;
        let erased_at = before.map_or(cx.now.plus_millis(TRASH_MS), |trash| trash.erased_at);
        let in_peace = self.went_in_peace(by);
        let trash = Trash { what, by, in_peace, erased_at, due: due_at(cx, erased_at) };
        cx.store.put_record(RecordKind::Trash, id.as_bytes(), &trash.encode())?;
        self.show_again(cx, trash.what.log);
        self.trash.insert(id, trash);
        Ok(())
    }

    fn show_again(&self, cx: &mut Context<'_>, log: LogId) {
        if let Some(conversation) = self.conversations.get(&log) {
            cx.out.push(Output::Event(Event::Rewritten(conversation.with)));
        }
    }

    /// Whether what a device ordered is void, unless another one has said that it was carried out:
    /// the device is out for good, and somebody may have wanted it so.
    fn is_void(&self, by: DeviceId) -> bool {
        let is_out = match self.me.account.standing(by) {
            Some(Standing::Former(former)) => former.is_final,
            Some(_) => false,
            None => true,
        };
        is_out && (self.is_cut(by) || !self.went_in_peace(by))
    }

    fn is_cut(&self, device: DeviceId) -> bool {
        let own = self.own_logs();
        let mut own = own.iter().filter_map(|own| self.conversations.get(own));
        own.any(|own| matches!(own.log.limit(device), Some(Limit::Cut(_))))
    }

    /// Whether a device is out and nobody has voted against it: it went by its own word, or a list
    /// of the devices forgot it.
    fn went_in_peace(&self, device: DeviceId) -> bool {
        let account = &self.me.account;
        match account.standing(device) {
            Some(Standing::Former(former)) => former.reason == Reason::Retired,
            Some(_) => false,
            None => self.own_bygone.went_in_peace(device, account.epoch()),
        }
    }

    /// Our devices are not what they were: what somebody deleted who is out comes back.
    pub(super) fn look_at_trash(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        self.hear_carried_out_again(cx)?;
        let out: Vec<EntryId> =
            self.trash.iter().filter(|(_, t)| self.is_void(t.by)).map(|(id, _)| *id).collect();
        for id in &out {
            cx.store.remove_record(RecordKind::Trash, id.as_bytes())?;
        }
        for trash in self.trash.values() {
            self.show_again(cx, trash.what.log);
        }
        self.trash.retain(|id, _| !out.contains(id));
        let in_peace: BTreeSet<DeviceId> = self.trash.values().map(|trash| trash.by).collect();
        let in_peace: BTreeSet<DeviceId> =
            in_peace.into_iter().filter(|by| self.went_in_peace(*by)).collect();
        for trash in self.trash.values_mut() {
            trash.in_peace = in_peace.contains(&trash.by);
        }
        Ok(())
    }

    /// Forgets what is in the trash, to be heard again. What is then not heard is not there any
    /// more: see [`end_of_hearing`](Self::end_of_hearing).
    pub(super) fn take_trash(&mut self) -> Vec<(EntryId, LogId)> {
        let trash = std::mem::take(&mut self.trash);
        trash.into_iter().map(|(id, trash)| (id, trash.what.log)).collect()
    }

    pub(super) fn end_of_hearing(
        &mut self,
        cx: &mut Context<'_>,
        before: Vec<(EntryId, LogId)>,
    ) -> Result<(), StoreError> {
        for (id, log) in before {
            if !self.trash.contains_key(&id) {
                cx.store.remove_record(RecordKind::Trash, id.as_bytes())?;
                self.show_again(cx, log);
            }
        }
        Ok(())
    }

    /// What somebody deleted who is out is asked for again.
    pub(super) fn want_again(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let mut deleted: BTreeSet<(LogId, Mark)> = BTreeSet::new();
        for own in self.own_logs() {
            let Some(own) = self.conversations.get(&own) else { continue };
            for place in own.log.places(cx.store)? {
                let Some(row) = cx.store.entry(place)? else { continue };
                let (kind, body) = (view::open(&row)?.entry.kind, row.body.bytes());
                if let Ok(Some(Own::Delete { log, entries })) =
                    Own::decode(kind, body.unwrap_or_default())
                {
                    deleted.extend(entries.into_iter().map(|mark| (log, mark)));
                }
            }
        }
        let trash: Vec<&Rubbish> = self.trash.values().map(|trash| &trash.what).collect();
        for (log, conversation) in &mut self.conversations {
            let is_deleted = |mark: &Mark| {
                deleted.contains(&(*log, *mark)) || trash.iter().any(|what| what.hides(*log, mark))
            };
            if conversation.log.want_again(&is_deleted, cx.store)? {
                cx.out.push(Output::Event(Event::Rewritten(conversation.with)));
            }
        }
        Ok(())
    }

    /// What in the trash counts: it was deleted by a device that stands or went in peace.
    fn rubbish(&self) -> impl Iterator<Item = (EntryId, &Trash)> {
        let counts = |trash: &&Trash| {
            self.me.account.has(trash.by) || (trash.in_peace && !self.is_cut(trash.by))
        };
        self.trash.iter().map(|(id, trash)| (*id, trash)).filter(move |(_, trash)| counts(trash))
    }

    /// Erases what has rested for a day.
    pub(super) fn empty_trash(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let due: Vec<EntryId> =
            self.rubbish().filter(|(_, trash)| trash.due <= cx.uptime).map(|(id, _)| id).collect();
        for id in due {
            let Some(Trash { what, by, .. }) = self.trash.remove(&id) else { continue };
            cx.store.remove_record(RecordKind::Trash, id.as_bytes())?;
            if !self.me.account.has(by) && self.was_ever_cut(cx, by)? {
                self.show_again(cx, what.log);
                continue;
            }
            self.erase(cx, what.log, &what.marks, what.through)?;
        }
        Ok(())
    }

    pub(super) fn load_trash(&mut self, cx: &Context<'_>) -> Result<(), StoreError> {
        for (key, _) in cx.store.records(RecordKind::Trash)? {
            let Ok(id) = <[u8; 32]>::try_from(key) else { continue };
            let id = EntryId::from_bytes(id);
            if let Some(trash) = read_trash(cx, id)? {
                let in_peace = self.went_in_peace(trash.by);
                self.trash.insert(id, Trash { in_peace, ..trash });
            }
        }
        Ok(())
    }

    /// When something in the trash is due.
    pub(super) fn trash_at(&self) -> Option<Uptime> {
        self.rubbish().map(|(_, trash)| trash.due).min()
    }

    /// Whether an entry rests in the trash.
    pub(super) fn is_hidden(&self, log: LogId, mark: &Mark) -> bool {
        self.rubbish().any(|(_, trash)| trash.what.hides(log, mark))
    }

    /// Erases the entries that marks name, or everything through them.
    fn erase(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        marks: &[Mark],
        through: bool,
    ) -> Result<usize, StoreError> {
        // What our devices tell each other is no message: what it says would be gone for all.
        let shared = !self.is_own_log(log);
        let Some(conversation) = self.conversations.get_mut(&log).filter(|_| shared) else {
            return Ok(0);
        };
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

    /// How many messages a device has deleted one by one in the day before `until`, as the self log
    /// of this device has it.
    fn deleted_lately(
        &self,
        cx: &Context<'_>,
        device: DeviceId,
        until: Timestamp,
    ) -> Result<usize, StoreError> {
        let since = Timestamp::from_millis(until.millis().saturating_sub(TRASH_MS));
        let mut rows = Vec::new();
        for own in self.own_logs() {
            if let Some(own) = self.conversations.get(&own) {
                rows.extend(own.log.received_since(device, since, cx.store)?);
            }
        }
        let mut count = 0;
        for row in rows {
            let (entry, body) = (view::open(&row)?.entry, row.body.bytes().unwrap_or_default());
            if row.received_at <= until
                && !self.is_carried_out(entry.log, device, row.place.seq)
                && let Ok(Some(Own::Delete { entries, .. })) = Own::decode(entry.kind, body)
            {
                count += entries.len();
            }
        }
        Ok(count)
    }
}

impl Trash {
    fn encode(&self) -> Vec<u8> {
        let Rubbish { log, marks, through } = &self.what;
        let mut writer = Writer::new();
        writer.array(6).uint(2).bytes(log.as_bytes()).bytes(self.by.as_bytes());
        writer.bool(*through).uint(self.erased_at.millis());
        writer.array(marks.len());
        for mark in marks {
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
        reader.tuple("trash", 6)?;
        if reader.uint()? != 2 {
            return Err(DecodeError::Value("version"));
        }
        let log = LogId::from_bytes(reader.fixed("log")?);
        let by = DeviceId::from_bytes(reader.fixed("device")?);
        let through = reader.bool()?;
        let erased_at = Timestamp::from_millis(reader.uint()?);
        let marks = reader.list("marks", Clear::ENVELOPE_BYTES_MAX, |r| {
            r.tuple("mark", 3)?;
            let device = DeviceId::from_bytes(r.fixed("device")?);
            let seq = r.uint()?;
            Ok(Mark { device, seq, id: EntryId::from_bytes(r.fixed("entry")?) })
        })?;
        let what = Rubbish { log, marks, through };
        Ok(Some(Trash { what, by, in_peace: false, erased_at, due: due_at(cx, erased_at) }))
    })
    .map_err(|error| StoreError::new("Reading the trash", error))
}
