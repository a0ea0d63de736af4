//! How does a device join in the middle? The real linking protocol, with people who compare digits.

use kith_common::{account::Untrust, keys::SigningKey, linking::LinkCode};
use kith_core::{
    engine::{Answer, Command, Input, LinkId},
    linking::{JoinStep, Joiner},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_core::Rng;

use super::{Node, World, address, book};

/// How long people try with one code.
const PATIENCE_MS: u64 = 60_000;

impl World {
    /// A new device joins through an old one of the same person. Returns the new node, or `None` if
    /// people gave up.
    pub fn link_device(&mut self, old: usize) -> Option<usize> {
        let answered = self.answers.len();
        self.command(old, Command::LinkDevice);
        self.run_ms(50);
        let code = self.answers.iter().skip(answered).find_map(|(node, answer)| match answer {
            Ok(Answer::LinkCode { code, .. }) if *node == old => Some(code.clone()),
            _ => None,
        })?;
        let code = LinkCode::decode(&code).expect("our own code can be read");
        let new = self.add_joiner(old, code);
        let end_ms = self.now_ms + PATIENCE_MS;
        let mut told = false;
        while self.nodes[new].joiner.is_some() && self.now_ms < end_ms {
            let there = self.nodes[old].is_running();
            if there && !self.nodes[new].links.values().any(|(wire, _)| self.wires[*wire].is_up) {
                self.dial(new, &[address(old)]);
            }
            self.run_ms(500);
            let check = self.nodes[new].joiner.as_ref().and_then(Joiner::check);
            let guest = self.nodes[old].engine.as_ref();
            let guest = guest.and_then(|engine| engine.guests().into_iter().find_map(|g| g.check));
            // People compare, and confirm once.
            if let (Some(check), Some(guest), false) = (check, guest, told) {
                assert_eq!(*check, guest, "both show the same number");
                told = true;
                let authority = self.nodes[old].authority();
                self.command(old, Command::ConfirmDevice { check: guest, authority });
            }
        }
        self.command(old, Command::CloseLinking(None));
        if let Some(joiner) = self.nodes[new].joiner.take() {
            self.cut_wires(|wire| wire.touches(new));
            // It may be in the account and not know it.
            self.ghosts.push((self.nodes[old].person, joiner.into_keys().0.device()));
            return None;
        }
        Some(new)
    }

    /// People cut off the devices of which they had given up that they come in.
    pub(crate) fn cut_ghosts(&mut self) {
        for (person, device) in std::mem::take(&mut self.ghosts) {
            for node in self.people[person].nodes.clone() {
                let authority = self.nodes[node].authority();
                let why = Untrust::Removed;
                self.command(node, Command::Untrust { device, why, since: None, authority });
            }
        }
    }

    /// A device joins the account of another one and brings its own along, which then goes over by
    /// the word of this key; without one that is never said. Meanwhile its node does not run.
    /// Returns whether it was confirmed.
    pub fn merge(&mut self, ends: usize, stays: usize, key: Option<SigningKey>) -> bool {
        let answered = self.answers.len();
        self.command(stays, Command::LinkDevice);
        self.run_ms(50);
        let code = self.answers.iter().skip(answered).find_map(|(node, answer)| match answer {
            Ok(Answer::LinkCode { code, .. }) if *node == stays => Some(code.clone()),
            _ => None,
        });
        let code = LinkCode::decode(&code.expect("a code")).expect("our own code can be read");
        let account = self.nodes[ends].engine().identity().account.clone();
        self.one.insert((self.nodes[ends].person, self.nodes[stays].person));
        self.set_running(ends, false);
        let keys = (self.nodes[ends].key(), self.nodes[ends].authority());
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        self.nodes[ends].joiner = Some(Joiner::merging(code, "old", keys, account, &mut rng));
        self.nodes[ends].merges_by = Some(key);
        let end_ms = self.now_ms + PATIENCE_MS;
        let mut told = false;
        while self.nodes[ends].joiner.is_some() && self.now_ms < end_ms {
            if !self.nodes[ends].links.values().any(|(wire, _)| self.wires[*wire].is_up) {
                self.dial(ends, &[address(stays)]);
            }
            self.run_ms(500);
            let check = self.nodes[ends].joiner.as_ref().and_then(Joiner::check);
            let guest = self.nodes[stays].engine().guests().into_iter().next();
            if let (Some(check), Some(guest), false) = (check, guest, told) {
                let shown = guest.check.expect("a guest that has answered");
                assert_eq!(*check, shown, "both show the same number");
                assert!(guest.brings.is_some(), "the person sees that an account comes along");
                told = true;
                let authority = self.nodes[stays].authority();
                self.command(stays, Command::ConfirmDevice { check: shown, authority });
            }
        }
        self.nodes[ends].joiner.is_none()
    }

    fn add_joiner(&mut self, old: usize, code: LinkCode) -> usize {
        let person = self.nodes[old].person;
        let device = self.people[person].nodes.len();
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let joiner = Joiner::new(code, "new", &mut rng);
        let mut node = Node::new(&self.people[person], person, device, rng);
        node.joiner = Some(joiner);
        node.wanted = false;
        let new = self.nodes.len();
        self.nodes.push(node);
        self.side.push(self.side[old]);
        self.book.views.push(book::View::default());
        new
    }

    /// Something comes in at a node that has no engine yet.
    pub(crate) fn joiner_hears(&mut self, node: usize, input: Input) {
        let Node { joiner: Some(joiner), rng, .. } = &mut self.nodes[node] else { return };
        match input {
            Input::LinkUp { link, .. } => {
                if let Some(bytes) = joiner.hello(rng) {
                    self.send(node, link, bytes);
                }
            }
            Input::LinkDown { link } => joiner.link_down(link),
            Input::Frame { link, bytes } => match joiner.handle(link, &bytes, rng) {
                Some(JoinStep::Compare { frame, .. }) => self.send(node, link, frame),
                Some(JoinStep::Joined(account)) => self.joined(node, *account, link),
                Some(JoinStep::SameAccount) | None => {}
            },
            Input::Tick
            | Input::Listening { .. }
            | Input::Command { .. }
            | Input::Finding { .. }
            | Input::Found { .. }
            | Input::Errand { .. } => {}
        }
    }

    fn joined(&mut self, node: usize, account: kith_common::account::Account, link: LinkId) {
        let joiner = self.nodes[node].joiner.take().expect("it joins");
        let places = joiner.code().addresses.clone();
        if let Some(key) = self.nodes[node].merges_by.take() {
            self.close(node, link);
            self.set_running(node, true);
            if let Some(key) = key {
                self.command(node, Command::MergeInto { account: Box::new(account), key });
                self.command(node, Command::LookForOwn(places));
            }
            return;
        }
        let (device, authority) = joiner.into_keys();
        let person = self.nodes[node].person;
        self.people[person].nodes.push(node);
        self.people[person].account = account.clone();
        let state = &mut self.nodes[node];
        state.take_keys(&device, &authority);
        state.prove(account);
        state.wanted = true;
        state.code_places = places;
        self.close(node, link);
        self.set_running(node, true);
    }

    /// The node of a device, if it is simulated.
    pub fn node_of(&self, device: kith_common::ids::DeviceId) -> Option<usize> {
        self.nodes.iter().position(|node| node.device == device)
    }
}
