//! Which devices speak for whom? What is learned of accounts, and what follows from it.

use kith_common::{
    account::{Account, Believed, Cut, Last, Standing},
    codec::{DecodeError, Reader, Writer},
    entry::Mark,
    envelope::Signed,
    frame::Frame,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::{BODY_SALT_BYTES, FRAME_ACCOUNTS_MAX, FRAME_HEADS_MAX},
};

use super::{Context, Engine, Event, LinkId, Output};
use crate::{
    bygone::Bygone,
    contacts::Contact,
    conversation::Conversation,
    cuts::Cuts,
    log::{self, SaidCut},
    person::{Absorbed, Person},
    refusal::Refusal,
    store::{RecordKind, Store, StoreError},
};

/// How our own account is kept. Version 2 kept one older proof of each account.
const OWN_VERSION: u64 = 3;
/// Bytes of account proofs in one frame.
const PROOF_BYTES: usize = 900 * 1024;

impl Engine {
    /// What is known of an account, ours or a contact's.
    pub(super) fn account(&self, id: AccountId) -> Option<&Account> {
        if id == self.me.account.id() {
            return Some(&self.me.account);
        }
        self.contacts.find_any(id).map(|contact| &contact.account)
    }

    /// The same, also of an account that another one has absorbed.
    fn account_by_any_name(&self, id: AccountId) -> Option<&Account> {
        let own = self.own_absorbed.iter();
        let absorbed = own.chain(self.contacts.all().flat_map(|contact| &contact.absorbed));
        let before = || absorbed.map(|old| &old.account).find(|account| account.id() == id);
        self.account(id).or_else(before)
    }

    /// Our own accounts and devices.
    pub(super) fn own_person(&self) -> Person<'_> {
        Person { account: &self.me.account, bygone: &self.own_bygone, absorbed: &self.own_absorbed }
    }

    /// Whose account this is: ours or a contact's.
    pub(super) fn person(&self, id: AccountId) -> Option<Person<'_>> {
        if id == self.me.account.id() {
            return Some(self.own_person());
        }
        self.contacts.find_any(id).map(Contact::person)
    }

    /// Whether more than its own proof belongs to what proves somebody's account.
    pub(super) fn has_more_proofs(&self, id: AccountId) -> bool {
        let relatives = id == self.me.account.id() && !self.relatives.is_empty();
        relatives || self.person(id).is_some_and(|person| person.proofs().len() > 1)
    }

    /// Sends what proves somebody's accounts, and who once belonged to them.
    pub(super) fn send_proofs(&self, cx: &mut Context<'_>, link: LinkId, id: AccountId) {
        for proofs in self.proofs_for(self.at_the_end_of(link), id) {
            cx.out.push(Output::Send { link, bytes: Frame::Accounts { proofs }.encode() });
        }
    }

    /// What proves somebody's accounts, in parts that fit a frame. Each begins with the account in
    /// use, an account that has ended stands behind those into which it went, and an older proof
    /// behind the newest one: a part serves without the others.
    pub(super) fn proofs_for(&self, to: Option<DeviceId>, id: AccountId) -> Vec<Proofs> {
        let Some(person) = self.person(id) else { return Vec::new() };
        let newest = person.account.proof().to_vec();
        let mut units = with_older(vec![], person.bygone);
        for old in person.absorbed {
            units.extend(with_older(way(&person, old), &old.bygone));
        }
        if id == self.me.account.id() && to.is_some_and(|to| self.is_family(to)) {
            let none = Bygone::default();
            for (id, account) in &self.relatives {
                let bygone = self.relatives_bygone.get(id).unwrap_or(&none);
                units.extend(with_older(vec![account.proof().to_vec()], bygone));
            }
        }
        let mut parts = vec![vec![newest.clone()]];
        for unit in units {
            let Some(part) = parts.last_mut() else { break };
            let new: Proofs = unit.into_iter().filter(|proof| !part.contains(proof)).collect();
            let is_full = part.len() + new.len() > FRAME_ACCOUNTS_MAX
                || proof_bytes(part) + proof_bytes(&new) > PROOF_BYTES;
            if is_full && part.len() > 1 {
                parts.push([vec![newest.clone()], new].concat());
            } else {
                part.extend(new);
            }
        }
        parts.iter_mut().for_each(|part| part.truncate(FRAME_ACCOUNTS_MAX));
        parts
    }

    /// Whose the other end of a link is, if that is known.
    fn at_the_end_of(&self, link: LinkId) -> Option<DeviceId> {
        let state = self.links.get(&link)?;
        state.session.map(|session| session.device).or(state.recognised)
    }

    /// Whether a device is one of ours, or of an account that may become one with ours: nobody else
    /// hears of that account before they are one.
    fn is_family(&self, device: DeviceId) -> bool {
        let own = self.own_person().standing(device);
        own.is_some_and(Standing::stands)
            || self.relatives.values().any(|account| account.has(device))
    }

    /// Whether this device speaks for our account.
    pub(super) fn belongs(&self) -> bool {
        self.me.account.has(self.me.device.device())
    }

    pub(super) fn save_own_account(&self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(7).uint(OWN_VERSION);
        write_proof(&mut writer, self.me.account.proof());
        writer.array(self.own_places.len());
        for (device, addresses) in &self.own_places {
            writer.array(2).bytes(device.as_bytes()).array(addresses.len());
            for address in addresses {
                writer.text(address);
            }
        }
        writer.array(self.own_hints.len());
        for address in &self.own_hints {
            writer.text(address);
        }
        self.own_bygone.write(&mut writer);
        writer.array(self.own_absorbed.len());
        for absorbed in &self.own_absorbed {
            absorbed.write(&mut writer);
        }
        writer.array(self.relatives.len());
        for (id, account) in &self.relatives {
            let bygone = self.relatives_bygone.get(id).cloned().unwrap_or_default();
            Absorbed { account: account.clone(), bygone }.write(&mut writer);
        }
        cx.store.put_record(RecordKind::Account, b"", &writer.finish())
    }

    pub(super) fn load_own_account(&mut self, cx: &Context<'_>) -> Result<(), StoreError> {
        let Some(bytes) = cx.store.record(RecordKind::Account, b"")? else { return Ok(()) };
        let begun = &self.me.account;
        let stored = Reader::all(&bytes, |reader| {
            reader.tuple("account", 7)?;
            if reader.uint()? != OWN_VERSION {
                return Err(DecodeError::Value("version"));
            }
            // The account that the home was made with may have gone over into another one.
            let proof = read_proof(reader)?;
            let stored = Account::fold(&proof).map_err(|_| DecodeError::Value("account proof"))?;
            let account = if stored.id() == begun.id() { with(begun, &proof) } else { stored };
            let places = reader.list("places", usize::MAX, |r| {
                r.tuple("place", 2)?;
                let device = DeviceId::from_bytes(r.fixed("device")?);
                Ok((device, read_addresses(r)?))
            })?;
            let hints = read_addresses(reader)?;
            let bygone = Bygone::read(reader, &account)?;
            let absorbed = reader.list("absorbed", usize::MAX, Absorbed::read)?;
            let relatives = reader.list("relatives", usize::MAX, Absorbed::read)?;
            Ok((account, places, hints, bygone, absorbed, relatives))
        });
        let (account, places, hints, bygone, absorbed, relatives) =
            stored.map_err(|error| StoreError::new("Reading our account", error))?;
        self.me.account = account;
        self.own_bygone = bygone;
        self.own_absorbed = absorbed;
        for Absorbed { account, bygone } in relatives {
            self.relatives_bygone.insert(account.id(), bygone);
            self.relatives.insert(account.id(), account);
        }
        self.own_places = places.into_iter().collect();
        self.own_hints = hints;
        Ok(())
    }

    /// What somebody says of accounts: it proves itself, whoever says it.
    pub(super) fn learn_accounts(
        &mut self,
        cx: &mut Context<'_>,
        proofs: &[Vec<Box<[u8]>>],
    ) -> Result<(), StoreError> {
        let said: Vec<Account> =
            proofs.iter().filter_map(|proof| Account::fold(proof).ok()).collect();
        for account in &said {
            self.learn(cx, account)?;
        }
        self.join_people(cx, &said)
    }

    /// Joins what is said of an account to what is known. Returns whether anything is new.
    pub(super) fn learn(
        &mut self,
        cx: &mut Context<'_>,
        said: &Account,
    ) -> Result<bool, StoreError> {
        let id = said.id();
        if self.is_relative(id) {
            // It may be a contact at the same time.
            self.learn_of_relative(cx, said)?;
        }
        let Some(Person { account: known, bygone, .. }) = self.person(id) else {
            return Ok(self.learn_of_relative(cx, said)? || self.learn_of_ended(cx, said)?);
        };
        if known.head() == said.head() {
            return Ok(false);
        }
        let joined = with(known, said.proof());
        let mut bygone = bygone.clone();
        let older = bygone.note(known, &joined) | bygone.note(said, &joined);
        if joined.head() == known.head() && !older {
            return Ok(false);
        }
        if id == self.me.account.id() {
            self.me.account = joined;
            self.own_bygone = bygone;
            self.leave_out(cx)?;
            self.save_own_account(cx)?;
        } else if let Some(contact) = self.contacts.find_any(id).cloned() {
            if !self.contacts.has_room_for(&joined) {
                self.refusals.count(Refusal::DevicesFull);
                return Ok(false);
            }
            let mut contact = Contact { account: joined, bygone, ..contact };
            contact.absorbed.retain(|old| !contact.account.leaves_out(&old.account));
            self.take_hints(&mut contact);
            self.contacts.keep(cx.store, contact)?;
        }
        self.account_changed(cx, id)?;
        Ok(true)
    }

    /// An account that has ended says nothing any more; but whoever once belonged to it wrote in its
    /// name.
    fn learn_of_ended(&mut self, cx: &mut Context<'_>, said: &Account) -> Result<bool, StoreError> {
        let note = |old: &mut Absorbed| old.account.id() == said.id() && old.note(said);
        if self.own_absorbed.iter_mut().any(note) {
            self.save_own_account(cx)?;
            self.account_changed(cx, self.me.account.id())?;
            return Ok(true);
        }
        let current = self.contacts.current(said.id());
        let Some(mut contact) = self.contacts.find_any(current).cloned() else { return Ok(false) };
        if !contact.absorbed.iter_mut().any(note) {
            return Ok(false);
        }
        self.contacts.keep(cx.store, contact)?;
        self.account_changed(cx, current)?;
        Ok(true)
    }

    /// An account is not what it was: whom we know, what we believe and whom we serve follow.
    pub(super) fn account_changed(
        &mut self,
        cx: &mut Context<'_>,
        id: AccountId,
    ) -> Result<(), StoreError> {
        self.refresh_recognition();
        self.rearrange();
        self.push_account(cx, id);
        let logs: Vec<LogId> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| id == self.me.account.id() || conversation.with == id)
            .map(|(log, _)| *log)
            .collect();
        // What is deleted is heard again when everything that comes back is there.
        let (own, shared): (Vec<LogId>, Vec<LogId>) =
            logs.into_iter().partition(|log| self.is_own_log(*log));
        for log in shared.into_iter().chain(own) {
            self.refresh_limits(cx, log)?;
        }
        self.close_former(cx);
        let own = id == self.me.account.id();
        cx.out.push(Output::Event(if own { Event::Account } else { Event::Contact(id) }));
        if own {
            self.reach_anew(cx.uptime, id);
        } else {
            self.reach(cx.uptime, id);
        }
        self.greet_again(cx);
        if own {
            self.look_at_trash(cx)?;
            self.notice_own_standing(cx);
        }
        Ok(())
    }

    pub(super) fn notice_own_standing(&self, cx: &mut Context<'_>) {
        let me = self.me.device.device();
        let is_final = match self.me.account.standing(me) {
            Some(Standing::Former(former)) => former.is_final,
            // The newest seat does not know this device.
            None if self.own_bygone.has(me) && !self.is_forgotten(me) => true,
            _ => return,
        };
        cx.out.push(Output::Event(Event::CutOff { is_final }));
    }

    /// Whether a checkpoint was made before it was known that a device had come over: it is asked
    /// again, and not out. Who was out already when it was forgotten stays so.
    pub(super) fn is_forgotten(&self, device: DeviceId) -> bool {
        let epoch = self.me.account.epoch();
        self.away().contains(&device) && self.own_bygone.has_unaccused(device, epoch)
    }

    /// Hands what proves an account to everybody on a link who is concerned by it.
    fn push_account(&self, cx: &mut Context<'_>, id: AccountId) {
        let Some(person) = self.person(id) else { return };
        let own = self.me.account.id();
        let mut concerned = Vec::new();
        for (link, state) in &self.links {
            let peer = state.session.map(|session| session.account);
            let peer = peer.or_else(|| {
                let device = state.recognised?;
                person.names(device).then_some(id)
            });
            if peer.is_some_and(|peer| peer == own || peer == id || id == own) {
                concerned.push(*link);
            }
        }
        concerned.into_iter().for_each(|link| self.send_proofs(cx, link, id));
    }

    /// Ends sessions with devices that speak for nobody any more.
    fn close_former(&mut self, cx: &mut Context<'_>) {
        let former: Vec<LinkId> = self
            .links
            .iter()
            .filter_map(|(id, link)| {
                let session = link.session?;
                let stands = self.account(session.account)?.has(session.device);
                (!stands).then_some(*id)
            })
            .collect();
        for link in former {
            self.close(cx, link);
        }
    }

    /// How far each former device is believed in a log.
    pub(super) fn refresh_limits(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
    ) -> Result<(), StoreError> {
        let Some(with) = self.conversations.get(&log).map(|c| c.with) else { return Ok(()) };
        let own = self.me.account.id();
        let mut devices: Vec<(DeviceId, Option<log::Cut>)> = Vec::new();
        let mut standing = Vec::new();
        let mut ids = vec![self.me.account.id(), with];
        ids.dedup();
        for id in ids {
            let Some(person) = self.person(id) else { continue };
            let is_ours = id == own;
            standing.extend(person.devices());
            standing.extend(person.disputed());
            // What this device wrote is its own: whoever believes it again gets it from here.
            let me = self.me.device.device();
            standing.push(me);
            let former = person.former().map(|(device, how, by)| (device, how.is_final, by));
            // Who was cut may be forgotten since: that is never for good.
            let bygone = person.bygone().map(|(device, by)| (device, false, by));
            for (device, is_final, account) in former.chain(bygone).filter(|(one, ..)| *one != me) {
                let cuts = Cuts::load(cx.store, account.id(), (log, device))?;
                let mut lasts = marks(device, cuts.believed(account));
                if lasts.is_none() && is_ours && self.was_cut_before(cx.store, log, device)? {
                    lasts = Some(Vec::new());
                }
                devices.push((device, lasts.map(|lasts| log::Cut { lasts, is_final })));
            }
        }
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(()) };
        let mut trimmed = false;
        for device in standing {
            conversation.log.trust(device);
        }
        for (device, cut) in devices {
            match cut {
                Some(cut) => trimmed |= conversation.log.cut(device, cut, cx.store)?,
                None => conversation.log.hold(device),
            }
        }
        self.touched.insert(log);
        let mut received = conversation.log.receive_waiting(cx.now, cx.store)?;
        received.trimmed |= trimmed;
        self.came_in(cx, log, None, received)?;
        self.witness_all(cx, log)
    }

    /// Says in a log what this device knows of former ones of ours.
    fn witness_all(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        let mut any = false;
        for device in self.own_person().past().collect::<Vec<_>>() {
            any |= self.witness(cx, log, device)?;
        }
        if any { self.refresh_limits(cx, log) } else { Ok(()) }
    }

    /// Whether a self log of ours says that a device is cut off, of which nothing is in a log: it was
    /// cut before that began, and has nothing to say there.
    fn was_cut_before(
        &self,
        store: &dyn Store,
        log: LogId,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        let anything = |c: &Conversation| c.log.has_anything_of(device);
        if self.conversations.get(&log).is_none_or(anything) {
            return Ok(false);
        }
        let before = self.own_absorbed.iter().map(|old| &old.account);
        for account in std::iter::once(&self.me.account).chain(before) {
            let own = (LogId::own(account.id()), device);
            if Cuts::load(store, account.id(), own)?.believed(account).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Entries of a log have gone or changed their places.
    pub(super) fn rewritten(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        if self.is_own_log(log) {
            return self.hear_all_again(cx);
        }
        if let Some(conversation) = self.conversations.get(&log) {
            cx.out.push(Output::Event(Event::Rewritten(conversation.with)));
        }
        Ok(())
    }

    /// An entry of a log says how far a device is believed.
    pub(super) fn hear_cut(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        said: &SaidCut,
    ) -> Result<(), StoreError> {
        let Some((_, envelope)) = said.body.split_at_checked(BODY_SALT_BYTES) else {
            return Ok(());
        };
        let Ok(cut) = Signed::<Cut>::decode(envelope) else { return Ok(()) };
        let Ok(cut) = cut.verify() else { return Ok(()) };
        let Some(account) = self.account_by_any_name(said.account) else { return Ok(()) };
        let concerns = cut.value().log == log && cut.value().account == said.account;
        if concerns && Cuts::keep(cut, account, cx.store)? {
            self.refresh_limits(cx, log)?;
        }
        Ok(())
    }

    /// Tells a device of ours what we know of contacts' accounts.
    pub(super) fn send_heads(&self, cx: &mut Context<'_>, link: LinkId) {
        let heads = self.contacts.all().take(FRAME_HEADS_MAX);
        let heads: Vec<(AccountId, EntryId)> =
            heads.map(|contact| (contact.account.id(), contact.account.head())).collect();
        if !heads.is_empty() {
            cx.out.push(Output::Send { link, bytes: Frame::AccountHeads { heads }.encode() });
        }
        let more = |contact: &&Contact| contact.person().proofs().len() > 1;
        for contact in self.contacts.all().filter(more) {
            self.send_proofs(cx, link, contact.account.id());
        }
    }

    /// Another device of ours says what it knows: it gets what it does not.
    pub(super) fn heads(
        &mut self,
        cx: &mut Context<'_>,
        link: LinkId,
        heads: &[(AccountId, EntryId)],
    ) {
        let ours = self.links.get(&link).and_then(|state| state.session);
        if ours.is_none_or(|session| session.account != self.me.account.id()) {
            self.refuse(cx, link, Refusal::NoSession);
            return;
        }
        let differs = heads.iter().filter_map(|(id, head)| {
            let contact = self.contacts.find_any(self.contacts.current(*id))?;
            let differs = contact.account.head() != *head;
            differs.then(|| self.proofs_for(None, contact.account.id()))
        });
        let mut proofs: Vec<Vec<Box<[u8]>>> = Vec::new();
        let mut bytes = 0;
        // What proves one person stays together.
        for person in differs.flatten() {
            let size = proof_bytes(&person);
            if proofs.len() + person.len() > FRAME_ACCOUNTS_MAX || bytes + size > PROOF_BYTES {
                let proofs = std::mem::take(&mut proofs);
                cx.out.push(Output::Send { link, bytes: Frame::Accounts { proofs }.encode() });
                bytes = 0;
            }
            bytes += size;
            proofs.extend(person);
        }
        if !proofs.is_empty() {
            cx.out.push(Output::Send { link, bytes: Frame::Accounts { proofs }.encode() });
        }
    }
}

/// Account proofs.
type Proofs = Vec<Vec<Box<[u8]>>>;

/// What proves an account, alone and with each of its older proofs.
fn with_older(newest: Proofs, bygone: &Bygone) -> Vec<Proofs> {
    let older = bygone.proofs().map(|older| [newest.clone(), vec![older.to_vec()]].concat());
    let units: Vec<Proofs> = older.collect();
    if units.is_empty() { vec![newest] } else { units }
}

/// What proves an account that has ended, behind those into which it went, without the one in use.
fn way(person: &Person<'_>, ended: &Absorbed) -> Proofs {
    let mut way = vec![ended];
    let mut to = ended.account.moved_to();
    while let Some(next) = person.absorbed.iter().find(|old| Some(old.account.id()) == to) {
        if way.iter().any(|known| known.account.id() == next.account.id()) {
            break;
        }
        way.push(next);
        to = next.account.moved_to();
    }
    way.into_iter().rev().map(|old| old.account.proof().to_vec()).collect()
}

fn proof_bytes(proofs: &[Vec<Box<[u8]>>]) -> usize {
    proofs.iter().flatten().map(|envelope| envelope.len() + 8).sum()
}

/// An account with what somebody else knows of it.
pub(super) fn with(account: &Account, envelopes: &[Box<[u8]>]) -> Account {
    account.join(envelopes).unwrap_or_else(|_| account.clone())
}

fn write_proof(writer: &mut Writer, proof: &[Box<[u8]>]) {
    writer.array(proof.len());
    for envelope in proof {
        writer.bytes(envelope);
    }
}

fn read_proof(reader: &mut Reader<'_>) -> Result<Vec<Box<[u8]>>, DecodeError> {
    reader.list("proof", usize::MAX, |r| r.bytes("envelope", usize::MAX).map(Box::from))
}

fn read_addresses(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    reader.list("addresses", usize::MAX, |r| r.text("address", usize::MAX).map(str::to_owned))
}

/// The entries through which a device is believed.
fn marks(device: DeviceId, believed: Option<Believed>) -> Option<Vec<Mark>> {
    let mark = |last: Last| Mark { device, seq: last.seq, id: last.entry };
    Some(believed?.lasts.into_iter().map(mark).collect())
}
