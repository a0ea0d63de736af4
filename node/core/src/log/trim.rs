//! What if a device is believed no further? Its entries beyond the cut go, and what stands behind
//! them takes the place it would have without them (spec 03 R13).

use std::collections::{BTreeMap, BTreeSet};

use kith_common::{
    account::Last,
    entry::Mark,
    ids::{DeviceId, EntryId},
    limits::HISTORIES_MAX,
};

use super::{Cut, Head, Limit, Log};
use crate::{
    limits::AUTHORS_MAX,
    store::{AuthorNumber, EntryRow, Place, Position, Store, StoreError},
    view,
};

impl Log {
    /// A device is a former one, and nothing is cut yet: what is held now counts.
    pub(crate) fn hold(&mut self, device: DeviceId) {
        if let Some(Limit::Held(_)) = self.limits.get(&device) {
            return;
        }
        let last = self.last_seq(device).max(self.last_aside(device));
        self.limits.insert(device, Limit::Held(last));
        self.lifted.insert(device);
        self.changed = true;
    }

    /// A trusted device says that it has these entries: of former devices that are not cut, they
    /// count. Returns whether anything that waits may now come in.
    pub(crate) fn vouch(&mut self, marks: &[Mark]) -> bool {
        let mut any = false;
        for mark in marks {
            if let Some(Limit::Held(through)) = self.limits.get_mut(&mark.device)
                && mark.seq > *through
            {
                *through = mark.seq;
                any = true;
            }
        }
        self.changed |= any;
        any
    }

    /// A device is trusted again, or was never more than suspected.
    pub(crate) fn trust(&mut self, device: DeviceId) {
        if self.limits.remove(&device).is_some() {
            self.lifted.insert(device);
            self.changed = true;
        }
    }

    /// Believes a device through an entry and no further. Returns whether entries went: they
    /// are put aside, and erased a day after the device is out for good.
    pub(crate) fn cut(
        &mut self,
        device: DeviceId,
        cut: Cut,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let limit = Limit::Cut(cut);
        if self.limits.get(&device) != Some(&limit) {
            self.limits.insert(device, limit);
            self.lifted.insert(device);
            self.changed = true;
        }
        self.trim(device, store)
    }

    /// Removes what stands beyond the cut of a device, on every branch.
    pub(super) fn trim(
        &mut self,
        device: DeviceId,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        let Some(Limit::Cut(Cut { lasts, .. })) = self.limits.get(&device).cloned() else {
            return Ok(false);
        };
        let kept = self.kept(device, &lasts, store)?;
        let chains: Vec<(AuthorNumber, u64)> =
            self.chains_of(device).map(|(number, chain)| (number, chain.head.seq)).collect();
        let mut any = false;
        for (number, last) in chains {
            let keep = kept.get(&number).copied().unwrap_or(0);
            let Some(chain) = self.chain_mut(number) else { continue };
            let from = (keep + 1).max(chain.first);
            if last < from {
                continue;
            }
            any = true;
            self.put_aside(number, from, store)?;
            let gone = self.absent.entry(device).or_default();
            *gone = (*gone).max(last);
            store.truncate_chain(Place { log: self.number, author: number, seq: from })?;
            let head = self.head_at_row(number, from - 1, store)?;
            let mut read = 0;
            if let Some(chain) = self.chain_mut(number) {
                chain.head = head.unwrap_or(Head::before(chain.first));
                read = chain.read;
                chain.read = chain.read.min(chain.head.seq);
            }
            // If the device is believed again, what was read stays read.
            let goal = self.reads.entry(device).or_default();
            *goal = (*goal).max(read);
            let hidden = self.count_hidden(number, read.min(from - 1), store)?;
            if let Some(chain) = self.chain_mut(number) {
                chain.hidden = hidden;
            }
        }
        if any {
            self.recent.clear();
            self.changed = true;
            self.missing.retain(|(number, seq)| {
                self.chains.get(usize::from(number.0)).is_some_and(|chain| *seq <= chain.head.seq)
            });
            self.reorder(store)?;
        }
        Ok(any)
    }

    /// Whether a cut believes each of these entries, by what is here.
    pub(crate) fn believes(
        &self,
        device: DeviceId,
        lasts: &[Last],
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let Some(Limit::Cut(Cut { lasts: believed, .. })) = self.limits.get(&device) else {
            return Ok(true);
        };
        let mut kept = super::Covered::new();
        for mark in believed {
            if let Some((number, _)) = self.named(mark, store)? {
                self.cover(&mut kept, number, mark.seq);
            }
        }
        for last in lasts {
            let mark = Mark { device, seq: last.seq, id: last.entry };
            let at = self.named(&mark, store)?.and_then(|(number, _)| kept.get(&number));
            if at.is_none_or(|through| *through < last.seq) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn head_at_row(
        &self,
        number: AuthorNumber,
        seq: u64,
        store: &dyn Store,
    ) -> Result<Option<Head>, StoreError> {
        let first = self.chain(number).map_or(1, |chain| chain.first);
        if seq < first {
            Ok(None)
        } else {
            Ok(self.row(number, seq, store)?.as_ref().map(Head::of))
        }
    }

    /// How far each chain of the device is kept.
    fn kept(
        &mut self,
        device: DeviceId,
        lasts: &[Mark],
        store: &dyn Store,
    ) -> Result<super::Covered, StoreError> {
        let mut kept = super::Covered::new();
        let is_full = self.histories(device) >= HISTORIES_MAX;
        self.crowded.remove(&device);
        for mark in lasts {
            match self.named(mark, store)? {
                Some((number, _)) => self.cover(&mut kept, number, mark.seq),
                // There is no room for it: what may lead there comes again.
                None if is_full => {
                    self.crowded.insert(device);
                }
                // Not there yet: every branch may still turn out to lead to it, except where it is
                // known to lead elsewhere.
                None => {
                    for (number, _) in self.chains_of(device) {
                        let through = kept.entry(number).or_default();
                        *through = (*through).max(mark.seq - 1);
                    }
                }
            }
        }
        Ok(kept)
    }

    /// What these marks name is not here: should it come, it stands below what is here.
    pub(super) fn note_absent(&mut self, marks: &[Mark]) {
        for mark in marks {
            let is_stranger =
                |device: &DeviceId| !self.is_here(*device) && !self.limits.contains_key(device);
            if !self.absent.contains_key(&mark.device) && is_stranger(&mark.device) {
                // Of more devices that are not here than a log has chains, nothing is kept.
                let strangers = self.absent.keys().filter(|known| is_stranger(known)).count();
                if strangers >= AUTHORS_MAX {
                    continue;
                }
            }
            let through = self.absent.entry(mark.device).or_default();
            *through = (*through).max(mark.seq);
        }
    }

    /// Puts every entry where it belongs with what is here now.
    pub(super) fn reorder(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let mut placed: BTreeMap<EntryId, u64> = BTreeMap::new();
        let mut named: BTreeSet<EntryId> = BTreeSet::new();
        for place in self.places(store)? {
            self.put_behind(place, (&mut placed, &mut named), store)?;
        }
        for chain in &mut self.chains {
            chain.is_tip = !chain.is_empty() && !named.contains(&chain.head.position.id);
        }
        self.recent.clear();
        self.highest = self.chains.iter().filter(|c| !c.is_empty()).map(|c| c.head.position).max();
        Ok(())
    }

    /// Puts an entry behind what it names, and that first behind what it names in turn.
    fn put_behind(
        &mut self,
        place: Place,
        (placed, named): (&mut BTreeMap<EntryId, u64>, &mut BTreeSet<EntryId>),
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let mut waiting = vec![place];
        while let Some(place) = waiting.last().copied() {
            let Some(row) = store.entry(place)?.filter(|r| !placed.contains_key(&r.position.id))
            else {
                waiting.pop();
                continue;
            };
            let entry = view::open(&row)?.entry;
            let below = entry.prev.into_iter().chain(entry.parents.iter().map(|mark| mark.id));
            let below: Vec<EntryId> = below.collect();
            let mut first = Vec::new();
            for id in below.iter().filter(|id| !placed.contains_key(id)) {
                first.extend(store.find(self.number, *id)?);
            }
            if !first.is_empty() {
                waiting.extend(first);
                continue;
            }
            waiting.pop();
            let above = below.iter().filter_map(|id| placed.get(id));
            let eff = above.fold(entry.hlc.bits(), |eff, below| eff.max(below.saturating_add(1)));
            placed.insert(row.position.id, eff);
            named.extend(below);
            if eff != row.position.eff {
                self.put(EntryRow { position: Position { eff, ..row.position }, ..row }, store)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, row: EntryRow, store: &mut dyn Store) -> Result<(), StoreError> {
        if let Some(chain) = self.chain_mut(row.place.author)
            && chain.head.seq == row.place.seq
        {
            chain.head.position = row.position;
        }
        store.replace_entry(&row)
    }
}
