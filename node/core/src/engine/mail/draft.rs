//! What does a device lack that is not there, as far as one letter carries it?

use std::{cell::Cell, collections::BTreeMap};

use kith_common::{
    crypto,
    entry::Mark,
    envelope::{Signed, sign},
    frame::Frame,
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{FRAME_FRONTIERS_MAX, LETTER_FRAMES_MAX},
    time::{Timestamp, Uptime},
};

use super::{Context, Engine};
use crate::{
    contacts::Status,
    conversation::Conversation,
    limits::{HAND_ON_MS, LETTER_ENTRIES_BYTES, LETTER_FRONTIERS_BYTES, LETTER_PROOFS_BYTES},
    log::Covered,
    mail::Posted,
    session::{Introduction, Link},
    store::{EntryRow, StoreError},
    sync,
};

/// What one device lacks, as far as one letter carries it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) frames: Vec<Box<[u8]>>,
    pub(super) logs: BTreeMap<LogId, Posted>,
    pub(super) asks: bool,
    /// Whether it proves our own accounts.
    pub(super) tells: bool,
    /// Whether there is any reason to write.
    pub(super) is_due: bool,
    /// When something is to be handed on that its writer may still put.
    pub(super) later: Option<Timestamp>,
}
impl Engine {
    /// What a device lacks.
    pub(super) fn draft_for(
        &self,
        cx: &mut Context<'_>,
        device: DeviceId,
        account: AccountId,
    ) -> Result<Draft, StoreError> {
        let mut draft = Draft::default();
        let Some(lane) = self.mail.lanes.get(&device) else { return Ok(draft) };
        let asking = self.contacts.find(account).filter(|c| c.status == Status::Requested);
        if let Some(contact) = asking {
            // The answer needs a way back, if there is to be one.
            let is_ready = self.profile.mailboxes.is_empty()
                || !self.open_queues(self.log_with(account)).is_empty();
            if !lane.asked && is_ready {
                draft.frames.extend(self.request_for(cx, device, account, &contact.greeting));
                draft.asks = true;
                draft.is_due = true;
            }
            return Ok(draft);
        }
        let told = self.fingerprint(account);
        if lane.told != Some(told) || lane.they_heard != Some(told) {
            self.draft_proofs(device, &mut draft);
            draft.tells = true;
        }
        draft.is_due |= lane.told != Some(told) || lane.owes_answer;
        draft.is_due |= !lane.extra.is_empty();
        draft.frames.extend(lane.extra.iter().cloned());
        let mut room = LETTER_ENTRIES_BYTES;
        let mut frontiers: Vec<Box<[u8]>> = Vec::new();
        let mut frontier_bytes = 0;
        for log in self.shared_logs(account) {
            let frames = draft.frames.len() + frontiers.len().div_ceil(FRAME_FRONTIERS_MAX);
            let is_full = room == 0 || frontier_bytes > LETTER_FRONTIERS_BYTES;
            if is_full || frames + 2 >= LETTER_FRAMES_MAX {
                // The rest goes with the next letter.
                break;
            }
            let Some(conversation) = self.conversations.get(&log) else { continue };
            let put = lane.posted.get(&log);
            let ((entries, marks), later) =
                self.entries_for(cx, conversation, (device, account), put, room)?;
            draft.later = [draft.later, later].into_iter().flatten().min();
            room = room.saturating_sub(entries.iter().map(|e| e.frame_bytes()).sum());
            let word = self.own_word(log, account);
            let is_news = word.is_some() && put.and_then(|put| put.frontier) != word;
            if entries.is_empty() && !is_news {
                continue;
            }
            draft.is_due = true;
            if !entries.is_empty() {
                draft.frames.push(Frame::Entries { log, entries }.encode().into());
            }
            let frontier = conversation.log.frontier(self.profile.read_receipts, cx.store)?;
            let frontier = sign(&self.me.device, frontier).into_bytes();
            frontier_bytes += frontier.len();
            frontiers.push(frontier);
            let before = put.map_or(&[][..], |put| &put.marks);
            let marks = conversation.log.joined_marks(before, marks, cx.store)?;
            draft.logs.insert(log, Posted { marks, frontier: word });
        }
        for part in frontiers.chunks(FRAME_FRONTIERS_MAX) {
            let frame = Frame::Frontiers { ask: false, frontiers: part.to_vec() };
            draft.frames.push(frame.encode().into());
        }
        Ok(draft)
    }

    /// What proves our own accounts, as far as a letter carries it.
    fn draft_proofs(&self, device: DeviceId, draft: &mut Draft) {
        let mut room = LETTER_PROOFS_BYTES;
        for proofs in self.proofs_for(Some(device), self.me.account.id()) {
            let mut frame = Frame::Accounts { proofs }.encode();
            if frame.len() > room && draft.frames.is_empty() {
                // The account in use at least.
                let proofs = vec![self.me.account.proof().to_vec()];
                frame = Frame::Accounts { proofs }.encode();
            }
            if frame.len() > room {
                break;
            }
            room = room.saturating_sub(frame.len());
            draft.frames.push(frame.into());
        }
    }

    fn request_for(
        &self,
        cx: &mut Context<'_>,
        device: DeviceId,
        account: AccountId,
        greeting: &str,
    ) -> Option<Box<[u8]>> {
        let introduction = Introduction {
            name: self.profile.name.clone(),
            greeting: greeting.to_owned(),
            addresses: self.addresses.clone(),
            absorbed: self.short_proofs_of_absorbed(),
        };
        let link = self.letter_link(device, cx.uptime);
        let request = link.request(&self.me, (account, device), introduction, cx.rng)?;
        Some(request.encode().into())
    }

    /// What stands for a link when a letter is written or read: its ends are the two devices.
    pub(in crate::engine) fn letter_link(&self, device: DeviceId, uptime: Uptime) -> Link {
        let own = self.me.device.device();
        Link::new(own.as_bytes().as_slice().into(), device.as_bytes().as_slice().into(), uptime)
    }

    /// What says how much we know of our own accounts, to a device of this one.
    pub(in crate::engine) fn fingerprint(&self, account: AccountId) -> EntryId {
        let mut heads: Vec<&[u8]> = Vec::new();
        let own = self.own_person();
        let proofs = own.proofs();
        let relatives = self.relatives.values().filter(|_| account == self.me.account.id());
        let relatives: Vec<Vec<Box<[u8]>>> = relatives.map(|it| it.proof().to_vec()).collect();
        for envelope in proofs.iter().chain(&relatives).flatten() {
            heads.push(envelope);
        }
        EntryId::from_bytes(crypto::hash_parts(b"kith/told/1", &heads))
    }

    /// How far we are with what devices of somebody have written: they may put it again as long as
    /// they do not know.
    pub(in crate::engine) fn own_word(&self, log: LogId, account: AccountId) -> Option<[u8; 32]> {
        let conversation = self.conversations.get(&log)?;
        let person = self.person(account)?;
        let me = self.me.device.device();
        let theirs = |mark: &Mark| mark.device != me && person.standing(mark.device).is_some();
        let heads: Vec<Mark> = conversation.log.heads().into_iter().filter(theirs).collect();
        if heads.is_empty() {
            return None;
        }
        let ids: Vec<&[u8]> = heads.iter().map(|mark| mark.id.as_bytes().as_slice()).collect();
        Some(crypto::hash_parts(b"kith/word/1", &ids))
    }

    /// Entries of a log that a device lacks, each after what it depends on.
    fn entries_for(
        &self,
        cx: &Context<'_>,
        conversation: &Conversation,
        (device, account): (DeviceId, AccountId),
        put: Option<&Posted>,
        room: usize,
    ) -> Result<(sync::Batch, Option<Timestamp>), StoreError> {
        let mut has = covered_by(conversation, device, cx)?;
        // A new device of ours gets everything at once: who wrote it may never come.
        let is_new = has.is_empty() && account == self.me.account.id();
        let marks = put.map_or(&[][..], |put| &put.marks);
        for (author, seq) in conversation.log.covered(marks, cx.store)? {
            let known = has.entry(author).or_default();
            *known = (*known).max(seq);
        }
        let me = self.me.device.device();
        let now = cx.now;
        let later = Cell::new(None);
        let may_go = |author: DeviceId, row: &EntryRow| {
            let at = row.received_at.plus_millis(HAND_ON_MS);
            let goes = author == me || is_new || at <= now;
            if !goes {
                later.set(Some(later.get().map_or(at, |before: Timestamp| before.min(at))));
            }
            goes
        };
        let log = &conversation.log;
        let batch = sync::entries_above(log, cx.store, &has, (&may_go, device), room)?;
        Ok((batch, later.get()))
    }
}

/// What a device has, by its own word.
pub(super) fn covered_by(
    conversation: &Conversation,
    device: DeviceId,
    cx: &Context<'_>,
) -> Result<Covered, StoreError> {
    let mut covered = Covered::new();
    for envelope in conversation.stored_frontiers(cx.store, device)? {
        let Ok(frontier) = Signed::<Frontier>::decode(&envelope) else { continue };
        for (author, seq) in conversation.log.covered(&frontier.claim().received, cx.store)? {
            let known = covered.entry(author).or_default();
            *known = (*known).max(seq);
        }
    }
    Ok(covered)
}
