//! How do two accounts of one person become one? Ours, and those of contacts (spec 02 R22–R25).
//!
//! ```text
//!   account A                         account B
//!   moved-to B  ◄── both are known ──►  absorbs A
//!                        │
//!        A's devices acknowledge B, and use it; A's logs stay where they are
//! ```

use std::collections::BTreeSet;

use kith_common::{
    account::{Absorbs, Account, Seat, acknowledge, ends_up, merged},
    envelope::Signed,
    ids::{AccountId, DeviceId, LogId},
    keys::SigningKey,
    limits::{ABSORBED_ACCOUNTS_MAX, ABSORBED_DEVICES_MAX, ACCOUNT_PROOF_BYTES_MAX},
    share::SharedId,
};

use super::{
    Answer, CommandError, Context, Engine, Event, LinkId, Output, accounts::with, commands::Outcome,
};
use crate::{
    contacts::{Contact, Status},
    cuts::Cuts,
    person::Absorbed,
    store::{RecordKind, Store, StoreError},
};

impl Engine {
    /// Lets our account go over into another one that has taken this device in.
    pub(super) fn merge_into(
        &mut self,
        cx: &mut Context<'_>,
        stays: &Account,
        key: &SigningKey,
    ) -> Outcome {
        let device = self.me.device.device();
        if !stays.has_absorbed(self.me.account.id()) || !stays.has(device) {
            return Ok(Err(CommandError::NotAbsorbed));
        }
        let operation = match self.me.account.move_to(key, stays.id()) {
            Ok(operation) => operation,
            Err(error) => return Ok(Err(error.into())),
        };
        self.relatives.insert(stays.id(), stays.clone());
        self.moved(cx, operation)
    }

    /// Agrees to what another device of ours has begun.
    pub(super) fn agree_to_move(&mut self, cx: &mut Context<'_>, key: &SigningKey) -> Outcome {
        let Some(pending) = self.me.account.pending_moves().first() else {
            return Ok(Err(CommandError::NoMerge));
        };
        match self.me.account.move_to(key, pending.to) {
            Ok(operation) => self.moved(cx, operation),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn moved(&mut self, cx: &mut Context<'_>, operation: Box<[u8]>) -> Outcome {
        let before = self.me.account.id();
        let moved = with(&self.me.account, &[operation]);
        self.learn(cx, &moved)?;
        self.join_people(cx, &[])?;
        let waits = self.me.account.id() == before;
        let pending = self.me.account.pending_moves().first().filter(|_| waits);
        Ok(Ok(pending.map_or(Answer::Done, |pending| Answer::Waits {
            have: pending.signed.len(),
            need: pending.quorum,
        })))
    }

    /// Something is said of an account that is neither ours nor a contact's: perhaps one that has
    /// gone over into such a one, or will.
    pub(super) fn learn_of_relative(
        &mut self,
        cx: &mut Context<'_>,
        said: &Account,
    ) -> Result<bool, StoreError> {
        let id = said.id();
        if !self.is_relative(id) {
            return Ok(false);
        }
        let known = self.relatives.get(&id);
        let joined = known.map_or_else(|| said.clone(), |known| with(known, said.proof()));
        let mut bygone = self.relatives_bygone.get(&id).cloned().unwrap_or_default();
        let older = bygone.note(known.unwrap_or(said), &joined) | bygone.note(said, &joined);
        let news = older || known.is_none_or(|known| known.head() != joined.head());
        if news && (known.is_some() || self.relatives.len() < ABSORBED_ACCOUNTS_MAX) {
            self.relatives.insert(id, joined);
            self.relatives_bygone.insert(id, bygone);
            self.save_own_account(cx)?;
            cx.out.push(Output::Event(Event::Account));
        }
        Ok(news)
    }

    /// Whether an account may become one with ours: one that ours names, or one of ours that is.
    pub(super) fn is_relative(&self, id: AccountId) -> bool {
        let names = |own: &Account| {
            own.moved_to() == Some(id)
                || own.pending_moves().iter().any(|pending| pending.to == id)
                || own.has_absorbed(id)
        };
        // What has ended says nothing any more.
        !self.own_person().is(id) && (self.family().any(names) || self.own_bygone.vouches_for(id))
    }

    /// Draws the consequence where accounts are one person's; `said` are accounts that were said
    /// together, whether they are known or not.
    pub(super) fn join_people(
        &mut self,
        cx: &mut Context<'_>,
        said: &[Account],
    ) -> Result<(), StoreError> {
        self.acknowledge_again(cx)?;
        let me = self.me.account.id();
        let ends = ends_up(self.family());
        let stays = ends.get(&me).copied().unwrap_or(me);
        if stays == me {
            for (id, _) in ends.into_iter().filter(|(_, end)| *end == me) {
                if self.family().any(|stays| stays.vouches_for(id)) {
                    self.absorb_own(cx, id)?;
                }
            }
            for id in self.forgotten_accounts() {
                self.absorb_own(cx, id)?;
            }
        } else {
            self.go_over(cx, stays)?;
        }
        // One that has gone over may have gone over again.
        for _ in 0..=said.len() {
            for (ends, stays) in self.moved_contacts(said) {
                self.merge_contact(cx, ends, &stays)?;
            }
        }
        Ok(())
    }

    /// Accounts that are one with ours by an older proof, of which a seat by the words alone could
    /// not know.
    fn forgotten_accounts(&self) -> Vec<AccountId> {
        let me = &self.me.account;
        let is_ours = |account: &&Account| {
            account.moved_to() == Some(me.id())
                && self.own_bygone.vouches_for(account.id())
                && !me.leaves_out(account)
        };
        let room = ABSORBED_ACCOUNTS_MAX.saturating_sub(self.own_absorbed.len());
        self.relatives.values().filter(is_ours).map(Account::id).take(room).collect()
    }

    /// Logs that may belong to the conversation with a contact, since the self log that would say
    /// it went with the devices that were lost: anybody may have known us under an account that we
    /// have only by the recovery key's word, or by an older proof.
    pub(super) fn lost_pairs(&self, with: AccountId) -> Vec<(AccountId, AccountId)> {
        let by_seat = |id: AccountId| {
            let seats = self.me.account.proof().iter();
            let mut seats = seats.filter_map(|bytes| Signed::<Seat>::decode(bytes).ok());
            seats.any(|seat| seat.claim().absorbed.contains(&id))
        };
        let is_lost = |id: &AccountId| {
            let told = self.conversations.get(&LogId::own(*id));
            let told = told.is_some_and(|own| !own.log.heads().is_empty());
            !told && (self.own_bygone.vouches_for(*id) || by_seat(*id))
        };
        let absorbed = self.own_absorbed.iter().map(|absorbed| absorbed.account.id());
        absorbed.filter(is_lost).map(|ours| (ours, with)).collect()
    }

    /// The recovery key has left accounts out: what they were to us ends.
    pub(super) fn leave_out(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let before = std::mem::take(&mut self.own_absorbed);
        let (out, kept): (Vec<Absorbed>, Vec<Absorbed>) =
            before.into_iter().partition(|old| self.me.account.leaves_out(&old.account));
        self.own_absorbed = kept;
        for old in &out {
            self.discard_log(cx, LogId::own(old.account.id()))?;
        }
        if out.is_empty() { Ok(()) } else { self.hear_all_again(cx) }
    }

    /// A log is ours no more: it goes, with all that is kept of it.
    fn discard_log(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        self.links.values_mut().for_each(|link| drop(link.outgoing.remove(&log)));
        self.touched.remove(&log);
        self.drafts.remove(&log);
        cx.store.remove_record(RecordKind::Draft, log.as_bytes())?;
        match self.conversations.remove(&log) {
            Some(conversation) => conversation.discard(cx.store),
            None => Ok(()),
        }
    }

    /// Our account, and those that are or may become one with it.
    fn family(&self) -> impl Iterator<Item = &Account> {
        let absorbed = self.own_absorbed.iter().map(|absorbed| &absorbed.account);
        std::iter::once(&self.me.account).chain(self.relatives.values()).chain(absorbed)
    }

    /// Contacts that have gone over into an account that is known too, or was said beside.
    fn moved_contacts(&self, said: &[Account]) -> Vec<(AccountId, Account)> {
        let moved = self.contacts.all().filter_map(|contact| {
            let to = contact.account.moved_to()?;
            let known = self.contacts.find_any(to).map(|contact| &contact.account);
            let stays = said.iter().find(|account| account.id() == to).or(known)?;
            let one = merged(&contact.account, stays) && stays.vouches_for(contact.account.id());
            // Of two that name each other, the one with the smaller id stays.
            let ring = merged(stays, &contact.account) && contact.account.id() < to;
            (one && !ring).then(|| (contact.account.id(), stays.clone()))
        });
        moved.collect()
    }

    /// Our account has gone over into another one: from now on this device uses that.
    fn go_over(&mut self, cx: &mut Context<'_>, to: AccountId) -> Result<(), StoreError> {
        let Some(stays) = self.relatives.remove(&to) else { return Ok(()) };
        let of_stays = self.relatives_bygone.remove(&to).unwrap_or_default();
        let stays = self.acknowledged(cx, stays, &self.me.account);
        let before = std::mem::replace(&mut self.me.account, stays);
        let bygone = std::mem::replace(&mut self.own_bygone, of_stays);
        let ended = before.id();
        self.own_absorbed.push(Absorbed { account: before, bygone });
        self.relatives.retain(|id, _| self.me.account.has_absorbed(*id));
        self.relatives_bygone.retain(|id, _| self.relatives.contains_key(id));
        // We are no contact of our own.
        self.forget_ourselves(cx, to)?;
        let contacts: Vec<Contact> = self.contacts.all().cloned().collect();
        for mut contact in contacts {
            contact.earlier.insert((ended, contact.account.id()));
            self.contacts.keep(cx.store, contact)?;
        }
        for conversation in self.conversations.values_mut().filter(|c| c.with == ended) {
            conversation.with = to;
        }
        self.dialers.remove(&ended);
        self.save_own_account(cx)?;
        // Everybody is greeted anew, under the account that is in use now.
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.close(cx, link);
        }
        self.profile.begin_anew();
        self.profile.save(cx.store)?;
        self.open_all(cx)?;
        self.account_changed(cx, to)?;
        if self.belongs() {
            // What was alone ours so far.
            let logs: Vec<LogId> = self.conversations.keys().copied().collect();
            for log in logs {
                self.tell_read(cx, log)?;
            }
        }
        Ok(())
    }

    /// The account that stays with our consent to belong to it, if it asks for that.
    fn acknowledged(&self, cx: &mut Context<'_>, stays: Account, ended: &Account) -> Account {
        let (device, from) = (self.me.device.device(), ended.id());
        if stays.standing(device).is_some() {
            return stays;
        }
        let invited = |bytes: &[u8]| {
            let absorbs = Signed::<Absorbs>::decode(bytes).ok()?;
            let Absorbs { from: named, devices, .. } = absorbs.claim();
            (*named == from && devices.contains(&device)).then(|| *absorbs.signer())
        };
        let Some(authority) = ended.authority_of(device) else { return stays };
        let inviters: Vec<[u8; 32]> =
            stays.proof().iter().filter_map(|bytes| invited(bytes)).collect();
        inviters.into_iter().fold(stays, |stays, inviter| {
            let mut nonce = [0; 32];
            cx.rng.fill_bytes(&mut nonce);
            let ack = acknowledge(&self.me.device, inviter, authority, nonce, stays.id());
            with(&stays, &[ack.into_bytes()])
        })
    }

    /// Our consent went with the base on which we were asked, and we are asked again.
    fn acknowledge_again(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let known = self.me.account.clone();
        if known.standing(self.me.device.device()).is_none() {
            let ended = self.own_absorbed.iter().map(|absorbed| &absorbed.account);
            let joined = ended.fold(known, |stays, ended| self.acknowledged(cx, stays, ended));
            self.learn(cx, &joined)?;
        }
        Ok(())
    }

    /// Another account of ours has gone over into the one in use.
    fn absorb_own(&mut self, cx: &mut Context<'_>, id: AccountId) -> Result<(), StoreError> {
        let Some(account) = self.relatives.remove(&id) else { return Ok(()) };
        self.forget_ourselves(cx, id)?;
        let bygone = self.relatives_bygone.remove(&id).unwrap_or_default();
        self.own_absorbed.push(Absorbed { account, bygone });
        self.save_own_account(cx)?;
        let contacts: Vec<Contact> = self.contacts.all().cloned().collect();
        for contact in contacts {
            self.store_contact(cx, contact)?;
        }
        if !self.lost_pairs(id).is_empty() {
            // Whoever is on a link may have logs that nobody knew of when the session began.
            let links: Vec<LinkId> = self.links.keys().copied().collect();
            links.into_iter().for_each(|link| self.close(cx, link));
        }
        self.open_all(cx)?;
        self.account_changed(cx, self.me.account.id())
    }

    /// Opens every log that belongs to what we know now.
    fn open_all(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let own = self.me.account.id();
        for log in self.own_logs() {
            self.open_log(cx, log, own)?;
        }
        let people: Vec<AccountId> = self.contacts.all().map(|c| c.account.id()).collect();
        for account in people {
            self.open_conversation(cx, account)?;
        }
        Ok(())
    }

    /// Two accounts of ours may have known each other: what they wrote to each other goes, for no
    /// conversation is with oneself.
    fn forget_ourselves(&mut self, cx: &mut Context<'_>, id: AccountId) -> Result<(), StoreError> {
        let Some(contact) = self.contacts.find_any(id) else { return Ok(()) };
        let shared = SharedId::of(&contact.account);
        let with = self.conversations.iter().filter(|(_, conversation)| conversation.with == id);
        let logs: Vec<LogId> = with.map(|(log, _)| *log).collect();
        for log in logs {
            self.discard_log(cx, log)?;
        }
        self.dialers.remove(&id);
        self.contacts.forget(cx.store, id)?;
        cx.out.push(Output::Event(Event::ContactRemoved(shared)));
        Ok(())
    }

    /// A contact has gone over into another account, which we may know already.
    fn merge_contact(
        &mut self,
        cx: &mut Context<'_>,
        ends: AccountId,
        stays: &Account,
    ) -> Result<(), StoreError> {
        let id = stays.id();
        if self.own_person().is(id) || !self.contacts.has_room_for(stays) {
            return Ok(());
        }
        let Some(gone) = self.contacts.find_any(ends).cloned() else { return Ok(()) };
        let listed = gone.status != Status::Removed;
        let shared = SharedId::of(&gone.account);
        let known = self.contacts.find_any(id).cloned();
        let mut contact = gone.merged(stays, known);
        contact.account = with(&contact.account, stays.proof());
        contact.earlier.insert((self.me.account.id(), ends));
        self.take_hints(&mut contact);
        self.contacts.forget(cx.store, ends)?;
        self.contacts.keep(cx.store, contact)?;
        for conversation in self.conversations.values_mut().filter(|c| c.with == ends) {
            conversation.with = id;
        }
        self.dialers.remove(&ends);
        self.open_conversation(cx, id)?;
        // Sessions under the account that has ended begin anew under the other one.
        let of_ended = |link: &crate::session::Link| {
            link.session.is_some_and(|session| session.account == ends || session.account == id)
        };
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| of_ended(link)).map(|(link, _)| *link).collect();
        for link in links {
            self.close(cx, link);
        }
        if listed {
            cx.out.push(Output::Event(Event::ContactRemoved(shared)));
        }
        self.account_changed(cx, id)?;
        cx.out.push(Output::Event(Event::Rewritten(id)));
        Ok(())
    }

    /// Says to the other end of a link which accounts are ours: it may know us under another one.
    pub(super) fn say_absorbed(&self, cx: &mut Context<'_>, link: LinkId) {
        if !self.own_absorbed.is_empty() {
            self.send_proofs(cx, link, self.me.account.id());
        }
    }

    /// What proves the accounts that ours has absorbed, as far as it fits beside ours into a request.
    pub(super) fn short_proofs_of_absorbed(&self) -> Vec<Vec<Box<[u8]>>> {
        let bytes = |account: &Account| account.proof().iter().map(|e| e.len() + 8).sum::<usize>();
        let mut taken = bytes(&self.me.account);
        let accounts = self.own_absorbed.iter().map(|absorbed| &absorbed.account);
        let fits = |account: &&Account| {
            taken += bytes(account);
            taken <= ACCOUNT_PROOF_BYTES_MAX
        };
        accounts
            .filter(fits)
            .take(ABSORBED_ACCOUNTS_MAX)
            .map(|account| account.proof().to_vec())
            .collect()
    }

    /// Takes the devices of other accounts in that are to come over and have not yet: what was said
    /// of them on an earlier base is void. Who was cut off is not asked again.
    pub(super) fn absorb_rest(
        &self,
        store: &dyn Store,
        mut account: Account,
        authority: &SigningKey,
    ) -> Result<Account, StoreError> {
        let before = self.own_absorbed.iter().map(|absorbed| &absorbed.account);
        for ended in before.chain(self.relatives.values()) {
            let mut new = Vec::new();
            for device in ended.devices().filter(|one| account.standing(*one).is_none()) {
                if !account.invites(device) && !self.was_cut_off(store, ended, device)? {
                    new.push(device);
                }
            }
            let is_ours = self.own_person().is(ended.id());
            // Said again if whoever said it is out.
            let is_said = account.vouches_for(ended.id());
            // What only an older proof says is remembered, and said by the recovery key or never: a
            // thief may have made it.
            let is_remembered = self.own_bygone.vouches_for(ended.id());
            if !is_said && (!is_ours || is_remembered) {
                continue;
            }
            let mut said: Vec<&[DeviceId]> = new.chunks(ABSORBED_DEVICES_MAX).collect();
            if said.is_empty() && !is_said {
                said.push(&[]);
            }
            for devices in said {
                if let Ok(absorbs) = account.absorb(authority, ended.id(), devices) {
                    account = with(&account, &[absorbs]);
                }
            }
        }
        Ok(account)
    }

    /// Whether the account in use, or one on the way there, has put a device of an account that
    /// ends out. A checkpoint forgets who was never settled; the cut in the self log stays.
    fn was_cut_off(
        &self,
        store: &dyn Store,
        ended: &Account,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        let mut asked = vec![&self.me.account];
        let mut at = ended;
        while let Some(next) = self.family().find(|one| at.moved_to() == Some(one.id())) {
            if asked.iter().any(|known| known.id() == next.id()) {
                break;
            }
            asked.push(next);
            at = next;
        }
        for account in asked {
            let out = account.standing(device).is_some_and(|standing| !standing.stands());
            let own = (LogId::own(account.id()), device);
            if out || Cuts::load(store, account.id(), own)?.said_by(account) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Devices of absorbed accounts that the one in use does not name, and that are to come over.
    pub(super) fn away(&self) -> BTreeSet<DeviceId> {
        let account = &self.me.account;
        let stood = self.own_absorbed.iter().flat_map(|old| old.account.devices());
        let is_away = |one: &DeviceId| account.standing(*one).is_none();
        stood.filter(is_away).collect()
    }
}
