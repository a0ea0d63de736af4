//! What does a letter say? It is opened, and heard like what comes on a link.

use kith_common::{
    frame::Frame,
    ids::{AccountId, DeviceId, LogId},
    mail::{Letter, Sealed},
};
use zeroize::Zeroizing;

use super::{Context, Engine, Output};
use crate::{
    contacts::Status,
    engine::LinkId,
    limits::KNOWN_DEVICES_MAX,
    mail::{Lane, QueueFor, StoredGroup},
    mls,
    refusal::Refusal,
    session::Session,
    store::StoreError,
    sync::Outgoing,
};

/// Stands for a link while a letter is read.
const LETTER_LINK: LinkId = LinkId(u64::MAX);

/// A letter that was opened.
struct Opened {
    device: DeviceId,
    content: Zeroizing<Vec<u8>>,
    /// The group as it is now.
    group: StoredGroup,
    /// The package that was used up by it.
    used: Option<mls::PackageRef>,
}

impl Engine {
    /// Takes in what lay in a queue of ours. What does not open is lost, and nothing with it: only
    /// what arrives is answered.
    pub(super) fn take_blob(
        &mut self,
        cx: &mut Context<'_>,
        queue: [u8; 32],
        blob: &[u8],
    ) -> Result<(), StoreError> {
        let Some(queue) = self.mail.queues.get(&queue) else { return Ok(()) };
        let content = queue.address.seed.open_blob(blob).ok();
        let is_shared = matches!(queue.serves, QueueFor::Log(_));
        if let (Some(content), true) = (&content, queue.serves.until().is_some())
            && let Ok(Some(frame)) = Frame::decode(content)
        {
            let address = queue.address.clone();
            return self.hear_guest(cx, &address, &frame);
        }
        let sealed = content.and_then(|content| Sealed::decode(&content).ok());
        let Some(sealed) = sealed else {
            self.refusals.count(Refusal::Letter);
            return Ok(());
        };
        let opened = self.open_sealed(cx, &sealed)?;
        let letter = opened.as_ref().and_then(|opened| Letter::decode(&opened.content).ok());
        let (Some(opened), Some(letter)) = (opened, letter) else {
            self.refusals.count(Refusal::Letter);
            return Ok(());
        };
        let me = self.me.device.device();
        let meant = letter.from.1 == opened.device
            && letter.to.1 == me
            && opened.device != me
            && self.own_person().is(letter.to.0);
        if !meant {
            self.refusals.count(Refusal::Letter);
            return Ok(());
        }
        if let Some(used) = opened.used {
            self.mail.packages.remove(&used, cx.store)?;
        }
        let (device, account) = (opened.device, letter.from.0);
        let is_new = !self.mail.lanes.contains_key(&device);
        let lane = self.mail.lanes.entry(device).or_insert_with(|| Lane::new(account));
        lane.keep_group(opened.group);
        self.read_letter(cx, device, letter, is_shared)?;
        let has_room = self.mail.lanes.len() <= KNOWN_DEVICES_MAX;
        let known = self.me.account.has(device) || self.letter_owner(device).is_some();
        let asks = self.asks_to_be_known(device);
        match self.mail.lanes.get_mut(&device) {
            Some(lane) if known && has_room => lane.save(device, cx.store),
            Some(lane) if asks && has_room => {
                // For the answer packages are enough.
                lane.groups.clear();
                lane.save(device, cx.store)
            }
            // Of those whom nobody knows nothing is kept.
            Some(_) if is_new => {
                self.mail.lanes.remove(&device);
                Ok(())
            }
            // What opened it must not open it again.
            Some(lane) => lane.save(device, cx.store),
            None => Ok(()),
        }
    }

    /// Whether it is the device of somebody who waits to become a contact.
    fn asks_to_be_known(&self, device: DeviceId) -> bool {
        let contact = self.contacts.account_of(device).and_then(|it| self.contacts.find(it));
        contact.is_some_and(|contact| contact.status == Status::Pending)
    }

    fn open_sealed(
        &self,
        cx: &mut Context<'_>,
        sealed: &Sealed,
    ) -> Result<Option<Opened>, StoreError> {
        let Ok(id) = mls::group_of(&sealed.message) else { return Ok(None) };
        let mut known = self
            .mail
            .lanes
            .iter()
            .flat_map(|(device, lane)| lane.groups.iter().map(move |group| (*device, group)));
        if let Some((device, group)) = known.find(|(_, group)| *group.id == *id.as_bytes()) {
            let Ok(mut receiving) = mls::Receiving::from_bytes(&group.state) else {
                return Ok(None);
            };
            let Ok(content) = receiving.open(&self.me.device, &sealed.message) else {
                return Ok(None);
            };
            let (id, state) = (group.id.clone(), receiving.to_bytes());
            let group = StoredGroup { id, state, since: cx.now };
            return Ok(Some(Opened { device, content, group, used: None }));
        }
        let Some(welcome) = &sealed.welcome else { return Ok(None) };
        let Ok(name) = mls::welcome_package(welcome) else { return Ok(None) };
        let Some(secret) = self.mail.packages.secret(&name, cx.store)? else { return Ok(None) };
        let joined = mls::join(&self.me.device, &secret, welcome, None, cx.now);
        let Ok((mut receiving, device)) = joined else { return Ok(None) };
        let Ok(content) = receiving.open(&self.me.device, &sealed.message) else {
            return Ok(None);
        };
        let id = receiving.id().as_bytes().as_slice().into();
        let group = StoredGroup { id, state: receiving.to_bytes(), since: cx.now };
        let used = (!secret.last_resort()).then_some(name);
        Ok(Some(Opened { device, content, group, used }))
    }

    fn read_letter(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        letter: Letter,
        is_shared: bool,
    ) -> Result<(), StoreError> {
        let frames: Vec<Frame> = letter
            .frames
            .iter()
            .filter_map(|bytes| Frame::decode(bytes).ok().flatten())
            .filter(may_stand_in_letters)
            .collect();
        // Who may write to a contact's queue may speak for an account that the contact's is part of now.
        let is_known = is_shared
            || self.contacts.account_of(device).is_some()
            || self.own_person().is(letter.from.0)
            || self.contacts.find(self.contacts.current(letter.from.0)).is_some();
        let (proofs, frames): (Vec<Frame>, Vec<Frame>) =
            frames.into_iter().partition(|frame| matches!(frame, Frame::Accounts { .. }));
        for frame in proofs.into_iter().filter(|_| is_known) {
            if let Frame::Accounts { proofs } = frame {
                self.learn_accounts(cx, &proofs)?;
            }
        }
        let owner = self.letter_owner(device);
        let mut link = self.letter_link(device, cx.uptime);
        if let Some(account) = owner {
            link.recognised = Some(device);
            link.session = Some(Session { account, device });
            self.meet(cx, account, device, Vec::new())?;
            if account != self.me.account.id() {
                self.open_conversation(cx, account)?;
            }
            for log in self.shared_logs(account) {
                link.outgoing.insert(log, Outgoing::new(cx.uptime));
            }
        }
        let owed: Vec<LogId> = frames.iter().filter_map(log_of_entries).collect();
        let asks = frames.iter().any(|frame| matches!(frame, Frame::Request { .. }));
        self.hear_frames(cx, device, link, frames)?;
        if let Some(lane) = self.mail.lanes.get_mut(&device) {
            if asks {
                // Whoever is a contact already is answered by a letter.
                lane.told = None;
            }
            if is_known && letter.told.is_some() {
                lane.heard = letter.told;
                lane.owes_answer = true;
            }
            for log in owed {
                lane.owe_word(log, device, cx.store)?;
            }
        }
        if let Some(account) = owner {
            // Nobody is there, for all that was heard.
            self.reach(cx.uptime, account);
        }
        self.keep_what_letters_bring(cx, device, &letter)
    }

    /// Whose device it is, if it speaks for somebody with whom we talk and we for ourselves.
    pub(in crate::engine) fn letter_owner(&self, device: DeviceId) -> Option<AccountId> {
        if !self.belongs() {
            return None;
        }
        if self.me.account.has(device) {
            return Some(self.me.account.id());
        }
        let account = self.contacts.account_of(device)?;
        let contact = self.contacts.find(account)?;
        (contact.status.is_known() && contact.account.has(device)).then_some(account)
    }

    /// What would be heard on a link; what would be said there is not, but for what was asked for.
    fn hear_frames(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        link: crate::session::Link,
        frames: Vec<Frame>,
    ) -> Result<(), StoreError> {
        let wants = frames.iter().any(|frame| matches!(frame, Frame::Want { .. }));
        self.links.insert(LETTER_LINK, link);
        for frame in frames {
            if self.links.contains_key(&LETTER_LINK) {
                self.frame(cx, LETTER_LINK, &frame.encode())?;
            }
        }
        self.take_gathered(cx)?;
        if self.links.remove(&LETTER_LINK).is_none() {
            // It was closed: nothing was said to anybody.
            self.mail.left.remove(&device);
        }
        let mut said = Vec::new();
        cx.out.retain(|output| match output {
            Output::Send { link, bytes } if *link == LETTER_LINK => {
                said.push(bytes.clone());
                false
            }
            Output::Close { link } => *link != LETTER_LINK,
            _ => true,
        });
        if wants && let Some(lane) = self.mail.lanes.get_mut(&device) {
            let entries =
                |bytes: &Vec<u8>| matches!(Frame::decode(bytes), Ok(Some(Frame::Entries { .. })));
            lane.extra = said.into_iter().filter(entries).map(Into::into).take(1).collect();
            self.mail.stirred.insert(device);
        }
        Ok(())
    }

    fn keep_what_letters_bring(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        letter: &Letter,
    ) -> Result<(), StoreError> {
        let known = self.me.account.has(device) || self.contacts.account_of(device).is_some();
        if !known {
            return Ok(());
        }
        let own = self.me.account.id();
        let account = self.contacts.account_of(device).unwrap_or(own);
        let log = self.log_shared_with(account);
        if !letter.reply.is_empty() {
            self.mail.places.take_reply((log, device), letter.reply.clone(), cx.store)?;
        }
        let Some(lane) = self.mail.lanes.get_mut(&device) else { return Ok(()) };
        lane.account = account;
        for package in &letter.packages {
            if mls::check_package(&self.me.device, package, device, cx.now).is_ok() {
                lane.keep_package(package.clone());
            }
        }
        if let Some(outbox) = &mut lane.outbox
            && letter.joined.contains(&outbox.group.id)
        {
            outbox.joined = true;
        }
        lane.they_heard = letter.heard.or(lane.they_heard);
        lane.hear();
        self.mail.stirred.insert(device);
        Ok(())
    }
}

/// The log of which a frame carries entries.
const fn log_of_entries(frame: &Frame) -> Option<LogId> {
    match frame {
        Frame::Entries { log, .. } => Some(*log),
        _ => None,
    }
}

/// Frames that make sense without a link.
const fn may_stand_in_letters(frame: &Frame) -> bool {
    matches!(
        frame,
        Frame::Accounts { .. }
            | Frame::Entries { .. }
            | Frame::Frontiers { .. }
            | Frame::Request { .. }
            | Frame::Want { .. }
            | Frame::Hints { .. }
    )
}
