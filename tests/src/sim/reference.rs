//! What must a device show? Computed slowly, from scratch, from all that was ever said.
//!
//! Read from the specs 02, 03 and 07 and not from the code: which entries count, in which order
//! they stand, which of them a person has deleted.

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::{Account, Cut, CutWord, Last, Standing},
    entry::{Entry, EntryKind, Text},
    envelope::Signed,
    frame::Frame,
    ids::{AccountId, DeviceId, EntryId, LogId},
    limits::BODY_SALT_BYTES,
    own::{Clear, Own},
};
use kith_core::store::{EntryRow, Position};

/// An entry that somebody said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The signer.
    pub device: DeviceId,
    /// The header.
    pub entry: Entry,
    /// The body, if anybody ever had it.
    pub body: Option<Box<[u8]>>,
}

impl Said {
    /// What it says to people.
    pub fn text(&self) -> Option<String> {
        let body = self.body.as_ref().filter(|_| self.entry.kind == EntryKind::TEXT)?;
        Text::decode(body).ok().map(|text| text.text)
    }
}

/// All entries of a world.
#[derive(Debug, Default)]
pub struct Archive {
    /// By id.
    pub said: BTreeMap<EntryId, Said>,
    /// What honest devices were told to write and have written: where, and what.
    pub sent: BTreeMap<EntryId, (usize, String)>,
    /// Which node has once had which text.
    pub had: BTreeSet<(usize, EntryId)>,
}

impl Archive {
    /// Takes down what is in a frame.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        // `[5, …]`: most frames are something else.
        if !bytes.starts_with(&[0x82, 0x05]) {
            return;
        }
        let Ok(Some(Frame::Entries { entries, .. })) = Frame::decode(bytes) else { return };
        for carried in entries {
            self.put(&carried.envelope, carried.body.as_deref());
        }
    }

    /// Takes down a stored entry.
    pub(crate) fn keep(&mut self, row: &EntryRow) {
        self.put(&row.envelope, row.body.bytes());
    }

    fn put(&mut self, envelope: &[u8], body: Option<&[u8]>) {
        let id = EntryId::of(envelope);
        if let Some(known) = self.said.get_mut(&id) {
            if known.body.is_none() {
                known.body = body.map(Box::from);
            }
            return;
        }
        let Ok(signed) = Signed::<Entry>::decode(envelope) else { return };
        if !signed.signature_holds() {
            return;
        }
        let device = DeviceId::from_bytes(*signed.signer());
        let said = Said { device, entry: signed.claim().clone(), body: body.map(Box::from) };
        self.said.insert(id, said);
    }

    fn of_log(&self, log: LogId) -> impl Iterator<Item = (EntryId, &Said)> {
        self.said.iter().filter(move |(_, s)| s.entry.log == log).map(|(id, said)| (*id, said))
    }
}

/// What one log must look like, by what is known of its accounts.
#[derive(Debug)]
pub struct Reference<'w> {
    archive: &'w Archive,
    log: LogId,
    accounts: Vec<&'w Account>,
    /// Entries that devices which stand have.
    held: &'w BTreeSet<EntryId>,
    cuts: BTreeMap<DeviceId, Vec<Last>>,
}

impl<'w> Reference<'w> {
    /// One log; `held` is what devices that stand have stored of it.
    pub fn new(
        archive: &'w Archive,
        log: LogId,
        accounts: Vec<&'w Account>,
        held: &'w BTreeSet<EntryId>,
    ) -> Self {
        let mut reference = Self { archive, log, accounts, held, cuts: BTreeMap::new() };
        // A cut says something if it stands in an entry that counts, and what counts follows from
        // cuts: those of devices that stand are always there.
        reference.cuts = reference.all_cuts();
        reference
    }

    fn standing(&self, device: DeviceId) -> Option<(AccountId, Standing)> {
        self.accounts.iter().find_map(|a| Some((a.id(), a.standing(device)?)))
    }

    /// Spec 02 R18.
    fn all_cuts(&self) -> BTreeMap<DeviceId, Vec<Last>> {
        let mut words: BTreeMap<DeviceId, Vec<([u8; 32], CutWord, Cut)>> = BTreeMap::new();
        for (_, said) in self.archive.of_log(self.log) {
            let stands = self.standing(said.device).is_some_and(|(_, s)| s.stands());
            let Some(body) = said.body.as_ref().filter(|_| said.entry.kind == EntryKind::CUT)
            else {
                continue;
            };
            let Ok(cut) = Signed::<Cut>::decode(&body[BODY_SALT_BYTES..]) else { continue };
            let Ok(cut) = cut.verify() else { continue };
            let account = self.accounts.iter().find(|a| a.id() == said.entry.account);
            let word = account.and_then(|account| account.weigh(&cut));
            if let Some(word) = word.filter(|_| stands && cut.value().log == self.log) {
                let of_device = words.entry(cut.value().device).or_default();
                of_device.push((*cut.signer(), word, cut.value().clone()));
            }
        }
        let believed = |(device, words)| Some((device, believed(words)?));
        words.into_iter().filter_map(believed).collect()
    }

    /// Whether an entry leads to the cut of its device: spec 03 R13.
    fn is_before_cut(&self, id: EntryId, device: DeviceId, lasts: &[Last]) -> bool {
        for last in lasts {
            let mut next = Some(last.entry);
            while let Some(at) = next {
                if at == id {
                    return true;
                }
                let said = self.archive.said.get(&at).filter(|said| said.device == device);
                next = said.and_then(|said| said.entry.prev);
            }
        }
        false
    }

    fn is_excluded(&self, id: EntryId, device: DeviceId) -> bool {
        let cut = self.cuts.get(&device);
        cut.is_some_and(|lasts| !self.is_before_cut(id, device, lasts))
    }

    /// Whether the writer may have written it.
    fn is_by_a_writer(&self, id: EntryId, said: &Said) -> bool {
        match self.standing(said.device) {
            Some((account, _)) if account != said.entry.account => false,
            Some((_, standing)) if standing.stands() => true,
            // Disputed: what was held remains; former: the same, unless it is cut.
            _ => match self.cuts.get(&said.device) {
                Some(lasts) => self.is_before_cut(id, said.device, lasts),
                None => self.held.contains(&id),
            },
        }
    }

    /// Every entry that counts, in the order of the log.
    pub fn order(&self) -> BTreeMap<Position, EntryId> {
        let mut placed: BTreeMap<EntryId, u64> = BTreeMap::new();
        let mut waiting: Vec<(EntryId, &Said)> = self
            .archive
            .of_log(self.log)
            .filter(|(id, said)| self.is_by_a_writer(*id, said))
            .collect();
        loop {
            let before = waiting.len();
            waiting.retain(|(id, said)| match self.eff(said, &placed) {
                Some(eff) => placed.insert(*id, eff).is_some(),
                None => true,
            });
            if waiting.len() == before {
                break;
            }
        }
        placed.into_iter().map(|(id, eff)| (Position { eff, id }, id)).collect()
    }

    /// Spec 03 R5 and R7; `None` if something that counts is not there.
    fn eff(&self, said: &Said, placed: &BTreeMap<EntryId, u64>) -> Option<u64> {
        let mut eff = said.entry.hlc.bits();
        if let Some(prev) = said.entry.prev {
            eff = eff.max(placed.get(&prev)? + 1);
        }
        for parent in &said.entry.parents {
            match placed.get(&parent.id) {
                Some(parent) => eff = eff.max(parent + 1),
                None if self.is_excluded(parent.id, parent.device) => {}
                None => return None,
            }
        }
        Some(eff)
    }
}

/// What a person has deleted, by what their own log says (spec 07 R7, R8).
#[derive(Debug, Default)]
pub struct Deleted {
    single: BTreeSet<EntryId>,
    through: BTreeMap<(LogId, DeviceId), u64>,
}

impl Deleted {
    /// By these entries of the self log.
    pub fn by(
        archive: &Archive,
        account: &Account,
        entries: impl Iterator<Item = EntryId>,
    ) -> Self {
        let mut deleted = Self::default();
        for id in entries {
            let Some(said) = archive.said.get(&id) else { continue };
            let Some(body) = &said.body else { continue };
            match Own::decode(said.entry.kind, body) {
                Ok(Some(Own::Delete { entries, .. })) => {
                    deleted.single.extend(entries.iter().map(|mark| mark.id));
                }
                Ok(Some(Own::Clear { clear })) => deleted.clear(&clear, account),
                _ => {}
            }
        }
        deleted
    }

    /// By all that any device of the person ever said.
    pub fn by_anybody(archive: &Archive, account: &Account) -> Self {
        let own = archive.of_log(LogId::own(account.id()));
        Self::by(archive, account, own.map(|(id, _)| id))
    }

    fn clear(&mut self, envelope: &[u8], account: &Account) {
        let Ok(Ok(clear)) = Signed::<Clear>::decode(envelope).map(Signed::verify) else { return };
        let by = |device| account.authority_of(device).as_ref() == Some(clear.signer());
        if !account.devices().any(by) {
            return;
        }
        for mark in &clear.value().through {
            let slot = self.through.entry((clear.value().log, mark.device)).or_default();
            *slot = (*slot).max(mark.seq);
        }
    }

    /// Whether an entry is gone.
    pub fn has(&self, id: EntryId, said: &Said) -> bool {
        let through = self.through.get(&(said.entry.log, said.device));
        self.single.contains(&id) || through.is_some_and(|through| said.entry.seq <= *through)
    }
}

/// Spec 02 R18, of the words about one device: who said them, and in whose right. `None` if nobody
/// has decided.
fn believed(words: Vec<([u8; 32], CutWord, Cut)>) -> Option<Vec<Last>> {
    let mut by_signer: BTreeMap<[u8; 32], BTreeMap<u64, (CutWord, Cut)>> = BTreeMap::new();
    for (signer, word, cut) in words {
        let same = by_signer.entry(signer).or_default().entry(cut.since.millis());
        let known = same.or_insert_with(|| (word, cut.clone()));
        if known.1.lasts < cut.lasts {
            *known = (word, cut);
        }
    }
    let mut counting: Vec<(CutWord, Cut)> = Vec::new();
    for of_signer in by_signer.into_values() {
        let count = of_signer.len();
        let ends = of_signer.into_values().enumerate();
        counting.extend(ends.filter(|(at, _)| *at < 2 || at + 2 >= count).map(|(_, word)| word));
    }
    let since_by = |right: CutWord| {
        counting.iter().filter(|(word, _)| *word == right).map(|(_, cut)| cut.since).min()
    };
    let since = since_by(CutWord::Recovery).or_else(|| since_by(CutWord::Device))?;
    let lasts = counting.iter().flat_map(|(_, cut)| cut.lasts.clone());
    Some(lasts.filter(|last| last.received < since).collect())
}
