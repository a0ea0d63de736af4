//! What do our devices tell each other? The self log, written and read (spec 07).

use kith_common::{
    account::Account,
    codec::{Reader, Writer},
    entry::{EntryKind, Mark},
    ids::{AccountId, EntryId, LogId},
    limits::{BODY_BYTES_MAX, BODY_SALT_BYTES, TEXT_BYTES_MAX},
    own::{ContactNote, Own, Setting},
    share::SharedId,
};

use super::{Context, Engine, Event, Output, accounts::with};
use crate::{
    contacts::{Contact, Contacts, Status},
    limits::CONTACTS_MAX,
    log::Draft,
    store::{EntryRow, Place, Position, RecordKind, StoreError},
    view,
};

impl Engine {
    /// The log that our devices share with nobody else.
    pub(super) fn own_log(&self) -> LogId {
        LogId::own(self.me.account.id())
    }

    /// All self logs: of the account in use, and of those that it has absorbed.
    pub(super) fn own_logs(&self) -> Vec<LogId> {
        let before = self.own_absorbed.iter().map(|absorbed| LogId::own(absorbed.account.id()));
        std::iter::once(self.own_log()).chain(before).collect()
    }

    pub(super) fn is_own_log(&self, log: LogId) -> bool {
        self.conversations.get(&log).is_some_and(|c| c.with == self.me.account.id())
    }

    /// Writes something into the self log. Returns where it stands.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>, own: &Own) -> Result<Position, StoreError> {
        self.write_entry(cx, self.own_log(), own.kind(), |salt| own.encode(salt))
            .map(|(_, position)| position)
    }

    /// Writes an entry of this device into a log that is open.
    pub(super) fn write_entry(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        kind: EntryKind,
        body: impl FnOnce([u8; BODY_SALT_BYTES]) -> Vec<u8>,
    ) -> Result<(Place, Position), StoreError> {
        let mut salt = [0; BODY_SALT_BYTES];
        cx.rng.fill_bytes(&mut salt);
        let draft = Draft {
            account: self.me.account.id(),
            account_head: self.me.account.head(),
            kind,
            body: body(salt),
        };
        if draft.body.len() > BODY_BYTES_MAX {
            return Err(StoreError::new("Writing an entry", "it is too long"));
        }
        let Some(conversation) = self.conversations.get_mut(&log) else {
            return Err(StoreError::new("Writing an entry", "the log is not open"));
        };
        let (place, _) = conversation.log.write(&self.me.device, cx.now, draft, cx.store)?;
        self.touched.insert(log);
        let position = cx.store.entry(place)?.map(|row| row.position);
        let position = position.ok_or_else(|| StoreError::new("Writing an entry", "it is gone"))?;
        Ok((place, position))
    }

    /// Keeps a contact, new or changed, and tells our other devices what is new about it.
    pub(super) fn keep_contact(
        &mut self,
        cx: &mut Context<'_>,
        mut contact: Contact,
    ) -> Result<(), StoreError> {
        let before = self.contacts.find_any(contact.account.id());
        if let Some(note) = contact.note_since(before) {
            let note = Box::new(note);
            let position = self.tell(cx, &Own::Contact(note.clone()))?;
            let number = contact.request_number;
            let before_block = contact.before_block;
            contact.take_note(&note, position);
            (contact.request_number, contact.before_block) = (number, before_block);
        }
        self.store_contact(cx, contact)
    }

    /// Keeps what only this device needs to know of a contact.
    pub(super) fn store_contact(
        &mut self,
        cx: &mut Context<'_>,
        mut contact: Contact,
    ) -> Result<(), StoreError> {
        let account = contact.account.id();
        contact.earlier.extend(self.lost_pairs(account));
        self.contacts.keep(cx.store, contact)?;
        self.refresh_recognition();
        self.rearrange();
        cx.out.push(Output::Event(Event::Contact(account)));
        Ok(())
    }

    /// Takes in entries of the self log that other devices of ours have written.
    pub(super) fn hear(
        &mut self,
        cx: &mut Context<'_>,
        places: &[Place],
    ) -> Result<(), StoreError> {
        for place in places {
            if let Some(row) = cx.store.entry(*place)? {
                self.hear_row(cx, &row)?;
            }
        }
        Ok(())
    }

    pub(super) fn hear_row(
        &mut self,
        cx: &mut Context<'_>,
        row: &EntryRow,
    ) -> Result<(), StoreError> {
        let Some(body) = row.body.bytes() else { return Ok(()) };
        let opened = view::open(row)?;
        // What a later version says is kept and not understood; so is what makes no sense.
        let Ok(Some(own)) = Own::decode(opened.entry.kind, body) else { return Ok(()) };
        let in_use = opened.entry.log == self.own_log();
        if let Some(log) = own.about().filter(|log| !self.conversations.contains_key(log)) {
            return self.hear_later(cx, log);
        }
        match own {
            Own::Contact(note) => self.hear_contact(cx, (opened.entry.log, &note), row.position),
            Own::Read { log, .. } if self.is_own_log(log) => Ok(()),
            Own::Read { log, marks } => self.hear_read(cx, log, &marks),
            // The account that stays keeps its name and settings.
            Own::Setting(_) if !in_use => Ok(()),
            Own::Setting(setting) => self.hear_setting(cx, &setting, row.position),
            Own::DeviceName { device, name } => {
                if self.profile.name_device(device, &name, row.position) {
                    self.profile.save(cx.store)?;
                    cx.out.push(Output::Event(Event::Account));
                }
                Ok(())
            }
            Own::Draft { log, text } => self.hear_draft(cx, log, &text, row.position),
            Own::Delete { log, entries } => {
                self.hear_delete(cx, (opened.entry.log, opened.device, row), log, &entries)
            }
            Own::Clear { clear } => self.hear_clear(cx, (row.position.id, opened.device), &clear),
        }
    }

    /// A device of ours was asked by somebody whom this one does not know yet.
    fn hear_later(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        if self.unheard.len() < CONTACTS_MAX && self.unheard.insert(log) {
            cx.store.put_record(RecordKind::Unheard, log.as_bytes(), b"")?;
        }
        Ok(())
    }

    /// Reads what our devices said of a log before it was open here.
    pub(super) fn hear_what_waited(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
    ) -> Result<(), StoreError> {
        if !self.unheard.remove(&log) {
            return Ok(());
        }
        cx.store.remove_record(RecordKind::Unheard, log.as_bytes())?;
        self.hear_about(cx, log)
    }

    /// Reads again what our devices said of a log.
    pub(super) fn hear_about(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
    ) -> Result<(), StoreError> {
        for own in self.own_logs() {
            let Some(own) = self.conversations.get(&own) else { continue };
            for place in own.log.places(cx.store)? {
                let Some(row) = cx.store.entry(place)? else { continue };
                let (kind, body) = (view::open(&row)?.entry.kind, row.body.bytes());
                let said = Own::decode(kind, body.unwrap_or_default());
                if matches!(said, Ok(Some(own)) if own.about() == Some(log)) {
                    self.hear_row(cx, &row)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn load_unheard(&mut self, cx: &Context<'_>) -> Result<(), StoreError> {
        for (key, _) in cx.store.records(RecordKind::Unheard)? {
            self.unheard.extend(<[u8; 32]>::try_from(key).map(LogId::from_bytes));
        }
        Ok(())
    }

    fn hear_contact(
        &mut self,
        cx: &mut Context<'_>,
        (of, note): (LogId, &ContactNote),
        position: Position,
    ) -> Result<(), StoreError> {
        if self.own_person().is(note.account) {
            return Ok(());
        }
        let id = self.contacts.current(note.account);
        let known = self.contacts.find_any(id).cloned();
        let told = Account::fold(&note.proof).ok().filter(|told| told.id() == id);
        let mut contact = match (known, told) {
            (Some(known), Some(told)) => {
                let account = with(&known.account, told.proof());
                Contact { account, ..known }
            }
            (Some(known), None) => known,
            (None, Some(told)) if self.contacts.len() < CONTACTS_MAX => {
                self.owes_heads = true;
                Contact::new(told, String::new(), Status::Removed)
            }
            (None, _) => return Ok(()),
        };
        let before = contact.status;
        contact.take_note(note, position);
        if before == Status::Pending && contact.status != before {
            self.take_what_was_said(cx, &mut contact)?;
        }
        let ours = self.own_absorbed.iter().map(|absorbed| absorbed.account.id());
        let ours = ours.chain([self.me.account.id()]).find(|account| LogId::own(*account) == of);
        contact.earlier.extend(ours.map(|ours| (ours, note.account)));
        contact.earlier.remove(&(self.me.account.id(), id));
        self.take_hints(&mut contact);
        let (account, status) = (id, contact.status);
        let shared = SharedId::of(&contact.account);
        self.store_contact(cx, contact)?;
        self.open_conversation(cx, account)?;
        if status == Status::Removed && before != Status::Removed {
            cx.out.push(Output::Event(Event::ContactRemoved(shared)));
        }
        if status.is_known() && !before.is_known() {
            self.reach_anew(cx.uptime, account);
            self.greet_again(cx);
        } else if !status.is_known() && before.is_known() {
            self.cut_off(cx, account);
        }
        Ok(())
    }

    /// The name and the greeting of a request are this device's own. Now what all of ours have heard
    /// counts again.
    fn take_what_was_said(
        &self,
        cx: &Context<'_>,
        contact: &mut Contact,
    ) -> Result<(), StoreError> {
        if let Some(position) = contact.words.name
            && let Some(ContactNote { account, name, .. }) = self.said_of_contact(cx, position)?
        {
            contact.take_note(&ContactNote { name, ..ContactNote::about(account) }, position);
        }
        if let Some(position) = contact.words.greeting
            && let Some(ContactNote { account, greeting, .. }) =
                self.said_of_contact(cx, position)?
        {
            contact.take_note(&ContactNote { greeting, ..ContactNote::about(account) }, position);
        }
        Ok(())
    }

    /// What an entry of one of our self logs says of a contact.
    fn said_of_contact(
        &self,
        cx: &Context<'_>,
        position: Position,
    ) -> Result<Option<ContactNote>, StoreError> {
        for own in self.own_logs().iter().filter_map(|id| self.conversations.get(id)) {
            let Some(place) = cx.store.find(own.log.number(), position.id)? else { continue };
            let Some(row) = cx.store.entry(place)? else { continue };
            let kind = view::open(&row)?.entry.kind;
            let said = row.body.bytes().map(|body| Own::decode(kind, body));
            if let Some(Ok(Some(Own::Contact(note)))) = said {
                return Ok(Some(*note));
            }
        }
        Ok(None)
    }

    pub(super) fn hear_read(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        marks: &[Mark],
    ) -> Result<(), StoreError> {
        let Some(conversation) = self.conversations.get_mut(&log) else { return Ok(()) };
        if conversation.log.mark_read_through(marks, cx.store)? {
            self.touched.insert(log);
            cx.out.push(Output::Event(Event::Contact(conversation.with)));
        }
        Ok(())
    }

    pub(super) fn tell_read(&mut self, cx: &mut Context<'_>, log: LogId) -> Result<(), StoreError> {
        let shared = !self.is_own_log(log);
        let conversation = self.conversations.get_mut(&log).filter(|_| shared);
        let Some(conversation) = conversation else { return Ok(()) };
        let marks = conversation.log.read_marks(cx.store)?;
        if !marks.is_empty() && self.me.account.standings().len() > 1 {
            conversation.log.mark_read_through(&marks, cx.store)?;
            self.touched.insert(log);
            self.tell(cx, &Own::Read { log, marks })?;
        }
        Ok(())
    }

    fn hear_setting(
        &mut self,
        cx: &mut Context<'_>,
        setting: &Setting,
        position: Position,
    ) -> Result<(), StoreError> {
        if self.profile.take_setting(setting, position) {
            self.rearrange();
            self.profile.save(cx.store)?;
            cx.out.push(Output::Event(Event::Account));
        }
        Ok(())
    }

    pub(super) fn hear_draft(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        text: &str,
        position: Position,
    ) -> Result<(), StoreError> {
        let known = self.drafts.get(&log).map(|(word, _)| *word);
        let Some(with) = self.conversations.get(&log).map(|c| c.with) else { return Ok(()) };
        if known.is_some_and(|word| word > position) {
            return Ok(());
        }
        self.drafts.insert(log, (position, text.to_owned()));
        let mut writer = Writer::new();
        writer.array(4).uint(1).uint(position.eff).bytes(position.id.as_bytes()).text(text);
        cx.store.put_record(RecordKind::Draft, log.as_bytes(), &writer.finish())?;
        cx.out.push(Output::Event(Event::Contact(with)));
        Ok(())
    }

    /// Entries of the self log have gone or changed their places: what it says is read anew.
    pub(super) fn hear_all_again(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        let logs: Vec<LogId> = self.conversations.keys().copied().collect();
        for log in &logs {
            let Some(conversation) = self.conversations.get_mut(log) else { continue };
            if conversation.take_read_note() {
                self.tell_read(cx, *log)?;
            }
            let Some(conversation) = self.conversations.get_mut(log) else { continue };
            conversation.log.forget_reads();
            conversation.log.forget_doomed();
        }
        self.profile.forget_words();
        for log in std::mem::take(&mut self.unheard) {
            cx.store.remove_record(RecordKind::Unheard, log.as_bytes())?;
        }
        for log in std::mem::take(&mut self.drafts).into_keys() {
            cx.store.remove_record(RecordKind::Draft, log.as_bytes())?;
        }
        let trash = self.take_trash();
        let told: Vec<Contact> =
            self.contacts.all().filter(|contact| contact.words.are_there()).cloned().collect();
        for contact in told {
            let mut words = contact.words.clone();
            words.forget();
            let validity = words.validity();
            let (name, greeting) = (String::new(), String::new());
            let contact =
                Contact { status: Status::Removed, words, validity, name, greeting, ..contact };
            self.contacts.keep(cx.store, contact)?;
        }
        self.read_own_log(cx)?;
        self.end_of_hearing(cx, trash)?;
        self.want_again(cx)?;
        for log in logs {
            let Some(conversation) = self.conversations.get_mut(&log) else { continue };
            conversation.log.read_as_heard(cx.store)?;
            self.touched.insert(log);
        }
        self.profile.save(cx.store)?;
        self.contacts = Contacts::load(cx.store)?;
        self.rearrange();
        self.refresh_recognition();
        let known: Vec<AccountId> = self.contacts.iter().map(|c| c.account.id()).collect();
        for account in known {
            cx.out.push(Output::Event(Event::Contact(account)));
            self.reach(cx.uptime, account);
        }
        cx.out.push(Output::Event(Event::Account));
        Ok(())
    }

    fn read_own_log(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        for log in self.own_logs() {
            let Some(own) = self.conversations.get(&log) else { continue };
            let places = own.log.places(cx.store)?;
            self.hear(cx, &places)?;
        }
        Ok(())
    }

    /// What every device of ours should know from the beginning on.
    pub(super) fn tell_name(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        if !self.profile.is_told() {
            let setting = Setting::Name(self.profile.name.clone());
            let position = self.tell(cx, &Own::Setting(setting.clone()))?;
            self.profile.take_setting(&setting, position);
            self.profile.save(cx.store)?;
        }
        Ok(())
    }

    /// What is being written to somebody, on whichever device.
    pub fn draft(&self, to: AccountId) -> Option<&str> {
        let drafts = self.logs_with(to).into_iter().filter_map(|log| self.drafts.get(&log));
        let newest = drafts.max_by_key(|(word, _)| *word);
        newest.map(|(_, text)| text.as_str()).filter(|text| !text.is_empty())
    }

    /// Reads the drafts of the self log once, when the node starts.
    pub(super) fn load_drafts(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        for (key, value) in cx.store.records(RecordKind::Draft)? {
            let Ok(log) = <[u8; 32]>::try_from(key) else { continue };
            let draft = Reader::all(&value, |reader| {
                reader.tuple("draft", 4)?;
                reader.uint_max("version", 1)?;
                let position = Position {
                    eff: reader.uint()?,
                    id: EntryId::from_bytes(reader.fixed("entry")?),
                };
                Ok((position, reader.text("text", TEXT_BYTES_MAX)?.to_owned()))
            });
            let draft = draft.map_err(|error| StoreError::new("Reading a draft", error))?;
            self.drafts.insert(LogId::from_bytes(log), draft);
        }
        Ok(())
    }
}
