//! How does somebody find us who knows our id alone, and we them? (spec 10 R8 to R10)

use kith_common::{
    finding::{Day, FindKey},
    frame::Frame,
    share::{ContactCard, SharedId},
};

use super::{Announcer, Context, Engine, LinkId, Made, Output};
use crate::{
    contacts::Status,
    engine::{
        Answer, CommandError, Event,
        commands::{Outcome, shortened},
    },
    finding::{Sought, is_relayed},
    limits::SOUGHT_MAX,
    names::chosen_name,
    store::{RecordKind, StoreError},
};

impl Engine {
    /// Whether strangers who know our id may find us.
    fn is_findable(&self) -> bool {
        self.finding.is_on && self.profile.findable && self.belongs()
    }

    /// Leaves our relayed addresses, and never others, under our id.
    pub(super) fn make_for_strangers(
        &self,
        cx: &mut Context<'_>,
        days: &[Day],
        announcer: &Announcer,
        made: &mut Made,
    ) {
        let relayed: Vec<String> =
            self.addresses.iter().filter(|address| is_relayed(address)).cloned().collect();
        if !self.is_findable() || relayed.is_empty() {
            return;
        }
        let find = FindKey::of(&self.own_id());
        let [slot, ..] = *self.me.device.device().as_bytes();
        for day in days {
            let signer = find.signer(*day, slot);
            // Our other devices take the same slot by chance: the later record counts.
            made.seal(cx, &find.addresses(), (&signer, *day), (&relayed, announcer));
        }
    }

    /// Looks for somebody of whom nothing is known but an id.
    pub(in crate::engine) fn look_for(
        &mut self,
        cx: &mut Context<'_>,
        id: SharedId,
        name: Option<&str>,
        greeting: &str,
    ) -> Outcome {
        if id == self.own_id() {
            return Ok(Err(CommandError::OwnLink));
        }
        let known = self.contacts.iter().find(|it| SharedId::of(&it.account) == id);
        let known = known.map(|it| (it.account.id(), it.name.clone(), it.status));
        if let Some((account, called, status)) = known {
            return match status {
                Status::Pending => self.accept(cx, account),
                Status::Blocked => Ok(Err(CommandError::IsBlocked(called))),
                Status::Requested | Status::Contact => Ok(Err(CommandError::AlreadyThere(called))),
                Status::Removed => Ok(Err(CommandError::UnknownContact)),
            };
        }
        if !self.finding.is_on {
            return Ok(Err(CommandError::NoBootstrap));
        }
        if self.finding.sought.len() >= SOUGHT_MAX && !self.finding.sought.contains_key(&id) {
            return Ok(Err(CommandError::TooManySought(SOUGHT_MAX)));
        }
        let name = match name.map(chosen_name).transpose() {
            Ok(name) => name,
            Err(error) => return Ok(Err(error.into())),
        };
        let sought = Sought { name, greeting: shortened(greeting) };
        sought.save(&id, cx.store)?;
        self.finding.sought.insert(id, sought);
        self.finding.searches.remove(&super::Target::Person(id));
        self.finding.is_stale = true;
        self.ask_links_again(cx);
        cx.out.push(Output::Event(Event::Sought));
        Ok(Ok(Answer::Looking(id)))
    }

    /// Looks for somebody no more.
    pub(in crate::engine) fn stop_looking(
        &mut self,
        cx: &mut Context<'_>,
        id: SharedId,
    ) -> Outcome {
        if self.forget_sought(cx, id)?.is_none() {
            return Ok(Err(CommandError::UnknownContact));
        }
        Ok(Ok(Answer::Done))
    }

    pub(in crate::engine) fn forget_sought(
        &mut self,
        cx: &mut Context<'_>,
        id: SharedId,
    ) -> Result<Option<Sought>, StoreError> {
        let Some(sought) = self.finding.sought.remove(&id) else { return Ok(None) };
        cx.store.remove_record(RecordKind::Sought, &id.to_bytes())?;
        self.finding.is_stale = true;
        cx.out.push(Output::Event(Event::Sought));
        Ok(Some(sought))
    }

    /// Links without a session may lead to somebody who is looked for since now.
    fn ask_links_again(&mut self, cx: &mut Context<'_>) {
        let unknown = self.links.iter().filter(|(_, link)| link.session.is_none());
        let unknown: Vec<LinkId> = unknown.map(|(id, _)| *id).collect();
        unknown.into_iter().for_each(|link| self.ask_who(cx, link));
    }

    /// Asks whoever is at the other end of a link whether it is somebody we look for.
    pub(in crate::engine) fn ask_who(&self, cx: &mut Context<'_>, id: LinkId) {
        let Some(link) = self.links.get(&id).filter(|_| self.belongs()) else { return };
        for (_, find) in self.finding.find_keys() {
            let (own, peer) = link.transports();
            let proof = find.proof(own, peer);
            cx.out.push(Output::Send { link: id, bytes: Frame::Who { proof }.encode() });
        }
    }

    /// Somebody asks whether we are whom they look for: they may be told how to ask us, by a card
    /// that says nothing of where we live.
    pub(in crate::engine) fn asked_who(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        proof: &[u8; 32],
    ) {
        if !self.is_findable() {
            return;
        }
        let find = FindKey::of(&self.own_id());
        let Some(link) = self.links.get_mut(&id) else { return };
        let (own, peer) = link.transports();
        // An answer at an address of ours would tell a stranger who lives there.
        if link.card_sent || !link.relayed || !find.proves(proof, peer, own) {
            return;
        }
        let addresses = self.addresses.iter().filter(|at| is_relayed(at)).cloned().collect();
        let (own, peer): (Box<[u8]>, Box<[u8]>) = (own.into(), peer.into());
        link.card_sent = true;
        let card = ContactCard {
            account: self.me.account.clone(),
            name: self.profile.name.clone(),
            addresses,
            knocks: self.knocks(),
        };
        let sealed = find.seal_card(&card, (&peer, &own), cx.rng);
        cx.out.push(Output::Send { link: id, bytes: Frame::Card { sealed }.encode() });
    }

    /// Somebody says to be whom we look for, and how to ask them.
    pub(in crate::engine) fn hear_card(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let opened = self.finding.find_keys().find_map(|(sought, find)| {
            find.open_card(&sought, sealed, link.transports()).ok().map(|card| (sought, card))
        });
        let Some((sought, card)) = opened else { return Ok(()) };
        let Some(wanted) = self.finding.sought.get(&sought).cloned() else { return Ok(()) };
        match self.add(cx, card, wanted.name, &wanted.greeting)? {
            Ok(_) | Err(CommandError::AlreadyThere(_)) => {
                self.forget_sought(cx, sought)?;
            }
            Err(error) => tracing::debug!(%error, "somebody was found and not added"),
        }
        Ok(())
    }

    /// Whether there is anywhere to look for others.
    pub const fn looks_for_others(&self) -> bool {
        self.finding.is_on
    }

    /// Who is looked for by an id.
    pub fn sought(&self) -> impl Iterator<Item = (&SharedId, &Sought)> {
        self.finding.sought.iter()
    }
}
