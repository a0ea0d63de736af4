//! What if a stolen device writes more histories of itself than anybody keeps?
use super::story::{MINUTE, Story};
use kith_common::{
    entry::{Entry, EntryKind, Text, hash_body},
    envelope::sign,
    frame::{CarriedEntry, Frame},
    ids::{EntryId, LogId},
    time::Hlc,
};
use kith_core::engine::Input;

/// The laptop and whoever helps it lie from the beginning.
fn theft(test: &'static str) -> Story {
    let mut story = Story::new(test);
    story.world.nodes.iter_mut().for_each(|node| node.honest = false);
    story
}

impl Story {
    fn log(&self) -> LogId {
        self.world.log(self.alice, self.carol)
    }

    /// A history of the laptop that begins anew; those with other numbers are others.
    fn history(&self, number: u64, count: u64) -> Vec<CarriedEntry> {
        let (log, key) = (self.log(), self.world.nodes[self.laptop].key());
        let mut entries: Vec<CarriedEntry> = Vec::new();
        for seq in 1..=count {
            let body = Text { text: format!("thief {seq}"), reply_to: None }.encode([1; 16]);
            let entry = Entry {
                log,
                account: self.world.account(self.alice),
                seq,
                prev: entries.last().map(|entry| EntryId::of(&entry.envelope)),
                parents: vec![],
                depth: number + seq,
                hlc: Hlc::at(self.world.nodes[self.laptop].clock(self.world.now_ms())),
                account_head: EntryId::from_bytes([0; 32]),
                kind: EntryKind::TEXT,
                body_hash: hash_body(&body),
                body_bytes: body.len() as u64,
            };
            let envelope = sign(&key, entry).into_bytes();
            entries.push(CarriedEntry { envelope, body: Some(body.into()) });
        }
        entries
    }

    /// Shows entries of the laptop to a node, on the link from another one.
    fn show(&mut self, to: usize, from: usize, entries: &[CarriedEntry]) {
        let log = self.log();
        for link in self.world.links_between(to, from) {
            for part in entries.chunks(1000) {
                let bytes = Frame::Entries { log, entries: part.to_vec() }.encode();
                self.world.input(to, Input::Frame { link, bytes });
            }
        }
    }

    /// Shows Carol some short histories, and the phone a long one.
    fn show_both(&mut self, short: u64, long: u64) {
        let entries: Vec<CarriedEntry> =
            (1..=short).flat_map(|number| self.history(10 * number, 1)).collect();
        let entry = self.history(0, long);
        self.show(self.carols, self.phone, &entries);
        self.show(self.phone, self.laptop, &entry);
        self.world.set_running(self.laptop, false);
        self.world.run_ms(MINUTE);
    }
}

/// The phone is honest, and holds a history of the laptop for which Carol may have no room.
#[test]
fn an_honest_phone_that_has_a_fifth_history_is_heard() {
    for short in [3, 4] {
        let mut s = theft("an_honest_phone_that_has_a_fifth_history_is_heard");
        s.world.set_running(s.tablet, false);
        s.show_both(short, 3000);
        let links = s.world.links_between(s.carols, s.phone);
        s.world.say(s.phone, s.carol, "hello Carol");
        s.world.run_ms(10 * MINUTE);
        let shown = s.shown(s.carols);
        assert!(shown.iter().any(|text| text == "hello Carol"), "beside {short} short ones");
        assert_eq!(shown.len(), if short == 4 { 5 } else { 3004 });
        assert_eq!(s.world.links_between(s.carols, s.phone), links, "the link stays");
    }
}

/// Then the owner cuts the laptop off on both other devices.
#[test]
fn after_the_liar_is_out_the_honest_phone_is_heard() {
    let mut s = theft("after_the_liar_is_out_the_honest_phone_is_heard");
    for text in ["true one", "true two"] {
        s.world.say(s.laptop, s.carol, text);
        s.world.run_ms(MINUTE);
    }
    let since = s.world.nodes[s.phone].clock(s.world.now_ms());
    s.world.run_ms(1000);
    s.show_both(3, 3000);
    s.world.say(s.phone, s.carol, "hello Carol");
    s.world.run_ms(30 * MINUTE);
    s.untrust(s.phone, s.laptop, Some(since));
    s.untrust(s.tablet, s.laptop, Some(since));
    s.world.run_ms(60 * MINUTE);
    for node in [s.phone, s.tablet, s.carols] {
        assert_eq!(s.shown(node), ["true one", "true two", "hello Carol"]);
    }
}
