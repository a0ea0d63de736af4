//! Which deletions outlast the device that ordered them? Whoever puts it out says which were
//! carried out, for a new device cannot see that (spec 07 R8b).

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Account, Cut, Reason, Standing},
    entry::{EntryKind, Mark},
    envelope::{Signed, sign},
    ids::{DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{BODY_SALT_BYTES, FRONTIER_MARKS_MAX},
    own::{Clear, Own},
};

use super::{Context, Engine};
use crate::{
    limits::TRASH_MS,
    store::{EntryRow, StoreError},
    view,
};

/// What devices ordered that are put out now, and what was carried out here.
#[derive(Debug, Default)]
pub(super) struct CarriedOut {
    /// The last entry of each device in a self log that has been here for a day.
    marks: Vec<(LogId, Mark)>,
    /// What was cleared, by which entry of which self log.
    clears: Vec<(LogId, EntryId, Clear)>,
}

impl Engine {
    /// What was carried out here of what devices ordered that are out by what the account is now:
    /// what came a day ago or earlier, and does not rest.
    pub(super) fn carried_out(
        &self,
        cx: &Context<'_>,
        now: &Account,
    ) -> Result<CarriedOut, StoreError> {
        let mut done = CarriedOut::default();
        for device in put_out(&self.me.account, now) {
            for id in self.own_logs() {
                let Some(own) = self.conversations.get(&id) else { continue };
                self.carried_out_in(
                    cx,
                    (id, device),
                    own.log.entries_of(device, cx.store)?,
                    &mut done,
                )?;
            }
        }
        Ok(done)
    }

    fn carried_out_in(
        &self,
        cx: &Context<'_>,
        (own, device): (LogId, DeviceId),
        rows: Vec<EntryRow>,
        done: &mut CarriedOut,
    ) -> Result<(), StoreError> {
        let rests = |row: &EntryRow| {
            row.received_at.plus_millis(TRASH_MS) > cx.now
                || self.trash.contains_key(&row.position.id)
        };
        let end = rows.iter().filter(|row| rests(row)).map(|row| row.place.seq).min();
        let before = rows.iter().filter(|row| end.is_none_or(|end| row.place.seq < end));
        let last = before.max_by_key(|row| row.place.seq);
        let mark = |row: &EntryRow| Mark { device, seq: row.place.seq, id: row.position.id };
        done.marks.extend(last.map(|row| (own, mark(row))));
        for row in rows.iter().filter(|row| !rests(row)) {
            if let Some(Own::Clear { clear }) = said(row)?
                && let Some((_, mut clear)) = self.read_clear(device, &clear)
            {
                if self.own_logs().contains(&clear.log) {
                    let (log, through) = (clear.log, &mut clear.through);
                    through.retain(|mark| self.is_carried_out(log, mark.device, mark.seq));
                }
                done.clears.push((own, row.position.id, clear));
            }
        }
        Ok(())
    }

    /// Tells the other devices, those to come too. What lies beyond a cut is gone by now.
    pub(super) fn tell_carried_out(
        &mut self,
        cx: &mut Context<'_>,
        done: CarriedOut,
        key: &SigningKey,
    ) -> Result<(), StoreError> {
        let mut said: BTreeMap<LogId, BTreeMap<DeviceId, Mark>> = BTreeMap::new();
        let mut say = |log: LogId, mark: Mark| {
            let last = said.entry(log).or_default().entry(mark.device).or_insert(mark);
            *last = if last.seq < mark.seq { mark } else { *last };
        };
        for (own, mark) in done.marks {
            let Some(log) = self.conversations.get(&own).map(|own| &own.log) else { continue };
            let heads = log.heads();
            let believed = match log.named(&mark, cx.store)? {
                Some(_) => Some(mark),
                None => heads.into_iter().find(|h| h.device == mark.device && h.seq < mark.seq),
            };
            believed.into_iter().for_each(|mark| say(own, mark));
        }
        for (own, id, clear) in done.clears {
            let Some(log) = self.conversations.get(&own).map(|own| &own.log) else { continue };
            if cx.store.find(log.number(), id)?.is_some() {
                clear.through.into_iter().for_each(|mark| say(clear.log, mark));
            }
        }
        let account = self.me.account.id();
        for (log, marks) in said {
            let through: Vec<Mark> = marks.into_values().take(FRONTIER_MARKS_MAX).collect();
            let clear = sign(key, Clear { account, log, through: through.clone() }).into_bytes();
            self.tell(cx, &Own::Clear { clear })?;
            if self.own_logs().contains(&log) {
                self.hear_carried_out(cx, self.me.device.device(), log, through)?;
            }
        }
        Ok(())
    }

    /// A device says with its authority key how far the orders of devices that were put out were
    /// carried out.
    pub(super) fn hear_carried_out(
        &mut self,
        cx: &mut Context<'_>,
        by: DeviceId,
        log: LogId,
        mut marks: Vec<Mark>,
    ) -> Result<(), StoreError> {
        if !self.me.account.has(by) {
            return Ok(());
        }
        marks.retain(|mark| self.was_put_out(mark.device));
        self.take_as_carried_out(cx, log, &marks)
    }

    /// Our devices are not what they were: what is said of their orders counts now, or no more.
    pub(super) fn hear_carried_out_again(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let own_logs = self.own_logs();
        for own in &own_logs {
            let Some(own) = self.conversations.get(own) else { continue };
            for place in own.log.places(cx.store)? {
                let Some(row) = cx.store.entry(place)? else { continue };
                if let Some(Own::Clear { clear }) = said(&row)?
                    && let Some((by, clear)) = self.read_clear(view::open(&row)?.device, &clear)
                    && own_logs.contains(&clear.log)
                {
                    self.hear_carried_out(cx, by, clear.log, clear.through)?;
                }
            }
        }
        Ok(())
    }

    fn take_as_carried_out(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        marks: &[Mark],
    ) -> Result<(), StoreError> {
        let Some(own) = self.conversations.get_mut(&log) else { return Ok(()) };
        if !own.log.mark_read_through(marks, cx.store)? {
            return Ok(());
        }
        self.touched.insert(log);
        let devices: BTreeSet<DeviceId> = marks.iter().map(|mark| mark.device).collect();
        for device in devices {
            let Some(own) = self.conversations.get(&log) else { break };
            for row in own.log.entries_of(device, cx.store)? {
                if matches!(said(&row)?, Some(Own::Delete { .. })) {
                    self.hear_row(cx, &row)?;
                }
            }
        }
        Ok(())
    }

    /// Whether what a device said at a number of a self log was carried out before it was put out.
    pub(super) fn is_carried_out(&self, own: LogId, device: DeviceId, seq: u64) -> bool {
        let own = self.conversations.get(&own).filter(|_| self.was_put_out(device));
        own.is_some_and(|own| seq <= own.log.told_read(device))
    }

    /// Whether a device is out for good and not by its own word: one voice alone puts nobody out so.
    fn was_put_out(&self, device: DeviceId) -> bool {
        match self.own_person().standing(device) {
            Some(Standing::Former(former)) => former.is_final && former.reason != Reason::Retired,
            Some(_) => false,
            None => !self.own_bygone.went_in_peace(device, self.me.account.epoch()),
        }
    }

    /// Whether anybody ever said in a self log how far a device is believed.
    pub(super) fn was_ever_cut(
        &self,
        cx: &Context<'_>,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        for own in self.own_logs() {
            let Some(own) = self.conversations.get(&own) else { continue };
            for place in own.log.places(cx.store)? {
                let Some(row) = cx.store.entry(place)? else { continue };
                let body = row.body.bytes().and_then(|body| body.split_at_checked(BODY_SALT_BYTES));
                if view::open(&row)?.entry.kind == EntryKind::CUT
                    && let Some((_, envelope)) = body
                    && let Ok(cut) = Signed::<Cut>::decode(envelope)
                    && cut.claim().device == device
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Devices that are out by one account and not by another.
fn put_out(before: &Account, now: &Account) -> BTreeSet<DeviceId> {
    let was_out = |device| matches!(before.standing(device), Some(Standing::Former(_)));
    now.former().map(|(device, _)| device).filter(|device| !was_out(*device)).collect()
}

fn said(row: &EntryRow) -> Result<Option<Own>, StoreError> {
    let kind = view::open(row)?.entry.kind;
    let body = row.body.bytes().unwrap_or_default();
    Ok(Own::decode(kind, body).ok().flatten())
}
