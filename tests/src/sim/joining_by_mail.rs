//! How does a device join whose other one is never there at the same time? Two systems of one
//! computer, and a mailbox.

use kith_common::{account::Account, keys::SigningKey, linking::LinkCode, time::Uptime};
use kith_core::{
    engine::{Answer, Command},
    linking::{JoinStep, MailJoiner},
    mail::{ErrandError, ErrandId},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_core::Rng;

use super::{Happening, Node, World, book};

impl World {
    /// A device shows a code by mail.
    ///
    /// # Panics
    /// If it does not.
    pub fn code_by_mail(&mut self, node: usize) -> LinkCode {
        let answered = self.answers.len();
        self.command(node, Command::LinkDeviceByMail);
        self.run_ms(50);
        let code = self.answers.iter().skip(answered).find_map(|(who, answer)| match answer {
            Ok(Answer::LinkCode { code, .. }) if *who == node => Some(code.clone()),
            _ => None,
        });
        LinkCode::decode(&code.expect("a code")).expect("our own code can be read")
    }

    /// A new device of a person reads a code; it is switched off.
    ///
    /// # Panics
    /// If the code is none by mail.
    pub fn reads_code(&mut self, old: usize, code: LinkCode) -> usize {
        let person = self.nodes[old].person;
        let device = self.people[person].nodes.len();
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let mut node = Node::new(&self.people[person], person, device, rng.clone());
        let now = node.clock(self.now_ms);
        let places = code.addresses.clone();
        let joiner = MailJoiner::new(code, "new", None, now, &mut rng).expect("a code by mail");
        node.joining = joiner.save().expect("it can be kept").to_vec();
        node.code_places = places;
        node.wanted = false;
        self.nodes.push(node);
        self.side.push(self.side[old]);
        self.book.views.push(book::View::default());
        self.nodes.len() - 1
    }

    /// A device with an account reads a code of another one, into which its account is to go over by
    /// this key; it is switched off.
    ///
    /// # Panics
    /// If the code is none by mail.
    pub fn reads_code_to_merge(
        &mut self,
        ends: usize,
        stays: usize,
        code: LinkCode,
        by: SigningKey,
    ) {
        let account = self.nodes[ends].engine().identity().account.clone();
        self.one.insert((self.nodes[ends].person, self.nodes[stays].person));
        self.set_running(ends, false);
        let now_ms = self.now_ms;
        let node = &mut self.nodes[ends];
        let old = Some(((node.key(), node.authority()), account));
        let now = node.clock(now_ms);
        let places = code.addresses.clone();
        let joiner = MailJoiner::new(code, "old", old, now, &mut node.rng).expect("a code by mail");
        node.joining = joiner.save().expect("it can be kept").to_vec();
        node.code_places = places;
        node.merges_by = Some(Some(by));
    }

    /// Switches a device that joins on or off; one that has joined runs as any other.
    ///
    /// # Panics
    /// If what it kept cannot be read.
    pub fn set_joining(&mut self, node: usize, on: bool) {
        if !self.is_joining(node) {
            self.set_running(node, on);
            return;
        }
        self.tell(node, || format!("joins: {on}"));
        let state = &mut self.nodes[node];
        state.stop();
        if on {
            state.started_ms = self.now_ms;
            let joiner = MailJoiner::load(&state.joining).expect("what was kept can be read");
            state.mail_joiner = Some(joiner);
            self.poll_joiner(node);
        }
    }

    /// Whether a device has read a code and not been taken in yet.
    pub fn is_joining(&self, node: usize) -> bool {
        let merges = self.nodes[node].merges_by.is_some();
        let person = &self.people[self.nodes[node].person];
        merges || !person.nodes.contains(&node)
    }

    /// The number that a joining device shows, running or not.
    pub fn joining_check(&self, node: usize) -> Option<String> {
        MailJoiner::load(&self.nodes[node].joining).ok()?.check().map(str::to_owned)
    }

    /// The numbers that the guests of a device show.
    pub fn guest_checks(&self, node: usize) -> Vec<String> {
        let guests = self.nodes[node].engine().guests();
        guests.into_iter().filter_map(|guest| guest.check).collect()
    }

    /// The person confirms the guest that shows this number.
    pub fn confirm(&mut self, node: usize, check: &str) {
        let authority = self.nodes[node].authority();
        self.command(node, Command::ConfirmDevice { check: check.to_owned(), authority });
    }

    pub(crate) fn poll_joiner(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let state = &mut self.nodes[node];
        let now = (state.clock(now_ms), Uptime::from_millis(now_ms - state.started_ms));
        let Some(joiner) = &mut state.mail_joiner else { return };
        state.joining = joiner.save().expect("it can be kept").to_vec();
        let due = joiner.poll(now, &mut state.rng);
        if let Some(at) = joiner.deadline() {
            let at_ms = (state.started_ms + at.millis()).max(now_ms + 1);
            state.wake_at_ms = Some(at_ms);
            self.at(at_ms - now_ms, Happening::Wake(node));
        }
        for errand in due {
            self.run_errand(node, errand);
        }
    }

    pub(crate) fn joiner_answered(
        &mut self,
        node: usize,
        id: ErrandId,
        reply: Result<Vec<u8>, ErrandError>,
    ) {
        let now_ms = self.now_ms;
        let state = &mut self.nodes[node];
        let now = (state.clock(now_ms), Uptime::from_millis(now_ms - state.started_ms));
        let Some(joiner) = &mut state.mail_joiner else { return };
        let step = joiner.handle((id, reply), now, &mut state.rng);
        match step {
            Some(JoinStep::Joined(account)) => self.joined_by_mail(node, *account),
            Some(JoinStep::Compare { .. } | JoinStep::SameAccount) | None => self.poll_joiner(node),
        }
    }

    fn joined_by_mail(&mut self, node: usize, account: Account) {
        self.tell(node, || "has joined".to_owned());
        let state = &mut self.nodes[node];
        state.stop();
        if let Some(key) = state.merges_by.take() {
            self.set_running(node, true);
            let key = key.expect("a key to merge by");
            self.command(node, Command::MergeInto { account: Box::new(account), key });
            return;
        }
        let joiner = MailJoiner::load(&state.joining).expect("what was kept can be read");
        let ((device, authority), _) = joiner.into_parts().expect("it has accepted");
        state.take_keys(&device, &authority);
        state.prove(account.clone());
        let person = state.person;
        self.people[person].nodes.push(node);
        self.people[person].account = account;
        self.set_running(node, true);
    }

    /// What a home keeps until its node has it.
    pub(crate) fn go_on_by_mail(&mut self, node: usize) {
        if self.nodes[node].joining.is_empty() {
            return;
        }
        let joiner = MailJoiner::load(&self.nodes[node].joining).expect("it was kept");
        if let Some((_, came)) = joiner.into_parts() {
            self.command(node, Command::ComeByMail(Box::new(came)));
        }
    }
}
