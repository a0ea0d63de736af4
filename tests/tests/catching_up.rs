//! How much is on its way to a device that catches up?
#![expect(clippy::unwrap_used, reason = "a test says where it fails")]

use kith_common::frame::Frame;
use kith_core::{
    engine::{Command, Input, LinkId, Output},
    limits::{SYNC_FRAME_BYTES, SYNC_WINDOW_BYTES},
    store::memory::MemoryStore,
};
use kith_tests::pair::{Side, devices, frames};

const LINK: LinkId = LinkId(1);
const CONVERSATIONS: u8 = 8;
const MESSAGES: usize = 12;
/// Bytes of one message.
const TEXT_BYTES: usize = 50_000;

fn up(own: &[u8], peer: &[u8]) -> Input {
    Input::LinkUp {
        link: LINK,
        own_transport: own.into(),
        peer_transport: peer.into(),
        relayed: false,
    }
}

fn received(frames: Vec<Vec<u8>>) -> Vec<Input> {
    frames.into_iter().map(|bytes| Input::Frame { link: LINK, bytes }).collect()
}

fn entries_bytes(frames: &[Vec<u8>]) -> usize {
    let is_entries =
        |bytes: &&Vec<u8>| matches!(Frame::decode(bytes).unwrap(), Some(Frame::Entries { .. }));
    frames.iter().filter(is_entries).map(Vec::len).sum()
}

/// A link that takes less than a window for each conversation would be closed as too slow.
#[test]
fn many_conversations_share_one_window() {
    let [phone, tablet] = devices();
    let mut phone = Side::of(phone, MemoryStore::new());
    for letter in 1..=CONVERSATIONS {
        let other = Side::new(letter, MemoryStore::new());
        phone.befriend(other.engine.card());
        for _ in 0..MESSAGES {
            let text = "x".repeat(TEXT_BYTES);
            phone.command(Command::Send { to: other.account(), text, reply_to: None });
        }
    }
    let mut tablet = Side::of(tablet, MemoryStore::new());
    let mut to_tablet = frames(phone.handle(up(b"phone", b"tablet")));
    let mut to_phone = frames(tablet.handle(up(b"tablet", b"phone")));
    let (mut most, mut all, mut came) = (0, 0, 0);
    while !to_tablet.is_empty() || !to_phone.is_empty() {
        let bytes = entries_bytes(&to_tablet);
        (most, all) = (most.max(bytes), all + bytes);
        let mut out = tablet.handle_all(received(std::mem::take(&mut to_tablet)));
        out.extend(tablet.pass(10));
        came += out.iter().filter(|output| matches!(output, Output::Event(_))).count();
        to_phone.extend(frames(out));
        to_tablet.extend(frames(phone.handle_all(received(std::mem::take(&mut to_phone)))));
        to_tablet.extend(frames(phone.pass(10)));
    }
    let (least, bound) = (SYNC_WINDOW_BYTES, SYNC_WINDOW_BYTES + 2 * SYNC_FRAME_BYTES);
    assert!(all > 2 * SYNC_WINDOW_BYTES, "{all} bytes in all are too few to tell");
    assert!((least..bound).contains(&most), "{most} bytes were on their way");
    assert!(came >= usize::from(CONVERSATIONS) * MESSAGES, "everything has come");
}
