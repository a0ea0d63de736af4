//! Where does fuzzing of the engine begin? With lives of Alice's device, honest ones and others.

use super::operation::{Edit, EntryPlan, MarkPlan, Operation};
use crate::source::Blob;

/// What happens to Alice's device, as operations that the target reads.
pub(crate) fn runs() -> Vec<Vec<u8>> {
    let runs = [honest(), forged(), meeting(), strangers(), floods(), broken(), seeking()];
    runs.iter()
        .map(|run| {
            let mut out = Vec::new();
            run.iter().for_each(|operation| operation.write(&mut out));
            out
        })
        .collect()
}

fn text(text: &str) -> Blob {
    Blob(text.as_bytes().to_vec())
}

const fn plan() -> EntryPlan {
    EntryPlan {
        device: 0,
        seq: 0,
        prev: 0,
        parents: 0,
        depth: 0,
        hlc: 0,
        kind: 0,
        body: 0,
        flaws: 0,
    }
}

const fn tick(ms: u16) -> Operation {
    Operation::Tick { ms }
}

fn command(what: u8, person: u8, choice: u8, words: &str) -> Operation {
    Operation::Command { what, person, choice, text: text(words) }
}

/// Alice and Bob talk, and Alice starts again.
fn honest() -> Vec<Operation> {
    vec![
        Operation::Listening { count: 2 },
        command(0, 0, 0, "how are you?"),
        Operation::Peer { what: 0, text: text("fine") },
        Operation::Carry { count: 31, fate: 0 },
        tick(10),
        Operation::Peer { what: 21, text: text("") },
        Operation::Peer { what: 7, text: text("") },
        Operation::Carry { count: 31, fate: 0 },
        command(7, 0, 0, ""),
        command(0, 0, 0x81, "an answer"),
        Operation::Restart { backup: false },
        Operation::Carry { count: 31, fate: 0x42 },
        tick(5000),
        Operation::Restart { backup: true },
        Operation::Carry { count: 31, fate: 0 },
    ]
}

/// Alice and Bob tell each other where their records lie, and look for each other and for strangers.
fn seeking() -> Vec<Operation> {
    let found = |key, record| Operation::Found { key, record, edits: Vec::new() };
    let bent = Edit { what: 0, at: 40, byte: 1 };
    vec![
        Operation::Listening { count: 3 },
        Operation::Finding { is_on: true },
        tick(5000),
        Operation::Carry { count: 31, fate: 0 },
        tick(5000),
        Operation::Carry { count: 31, fate: 0 },
        Operation::LinkDown { link: 0 },
        tick(2000),
        found(0, 0),
        found(0xff, 0),
        found(0xff, 1),
        Operation::Found { key: 0xff, record: 0, edits: vec![bent] },
        command(9, 2, 0, "hello"),
        tick(2000),
        found(1, 2),
        command(12, 0, 1, ""),
        Operation::Listening { count: 5 },
        tick(60_000),
        command(11, 0, 0, ""),
        command(5, 0, 0, ""),
        Operation::Restart { backup: false },
        Operation::Finding { is_on: true },
        tick(60_000),
    ]
}

/// Bob's devices and Alice's tablet write, in order and out of order, true and false.
fn forged() -> Vec<Operation> {
    let beside = EntryPlan { device: 1, parents: 0x11, body: 3, ..plan() };
    let joined = EntryPlan { device: 2, parents: 0x13, ..plan() };
    let entries = vec![plan(), beside.clone(), joined.clone(), plan()];
    let ahead = EntryPlan { hlc: 0xde, ..plan() };
    let doubtful = EntryPlan { flaws: 1, ..plan() };
    let wrong = vec![
        EntryPlan { depth: 0xc5, ..plan() },
        EntryPlan { seq: 0xa0, body: 1, ..plan() },
        EntryPlan { flaws: 2, ..plan() },
        EntryPlan { flaws: 4, ..plan() },
        EntryPlan { flaws: 32, ..plan() },
        EntryPlan { parents: 0x41, device: 1, ..plan() },
        EntryPlan { parents: 0x81, ..plan() },
        EntryPlan { kind: 0xc8, device: 1, ..plan() },
    ];
    let true_mark = MarkPlan { entry: 0, flaws: 0 };
    let marks = vec![true_mark.clone(), MarkPlan { entry: 9, flaws: 0 }];
    let false_marks = vec![MarkPlan { entry: 3, flaws: 0xc0 }, MarkPlan { entry: 1, flaws: 0xe0 }];
    let frontier = |manner, received: &[MarkPlan], read: &[MarkPlan]| Operation::Frontier {
        link: 0,
        device: 0,
        manner,
        received: received.to_vec(),
        read: read.to_vec(),
    };
    vec![
        Operation::Entries { link: 0, entries },
        Operation::Again { link: 0, which: vec![3, 2, 1, 0], bare: true },
        Operation::Entries { link: 0, entries: vec![doubtful, plan(), ahead] },
        frontier(1, &marks, &[true_mark]),
        frontier(0, &marks, &[]),
        Operation::Entries { link: 0, entries: wrong },
        frontier(0, &false_marks, &[]),
        tick(200),
        Operation::Clock { minutes: -2000 },
        command(0, 0, 0, "back in time"),
        Operation::Clock { minutes: 2000 },
        Operation::Entries { link: 0, entries: vec![plan(), joined, beside] },
    ]
}

/// Bob's tablet and Alice's tablet come on links of their own.
fn meeting() -> Vec<Operation> {
    let mut run = Vec::new();
    for (link, device) in [(1, 1), (2, 2)] {
        run.push(Operation::LinkUp { peer: device });
        run.push(Operation::Hello { link, device, others: 3 });
        run.push(Operation::Certificate { link, device, flaws: 0 });
    }
    let entry = EntryPlan { device: 1, parents: 1, ..plan() };
    run.push(Operation::Entries { link: 1, entries: vec![entry] });
    run.push(Operation::Frontier {
        link: 1,
        device: 1,
        manner: 1,
        received: vec![MarkPlan { entry: 0, flaws: 0 }],
        read: Vec::new(),
    });
    run.push(Operation::Certificate { link: 1, device: 1, flaws: 1 });
    run.push(Operation::LinkDown { link: 0 });
    run.push(command(3, 0, 0, ""));
    run.push(command(4, 0, 0, ""));
    run.push(command(5, 0, 0, ""));
    run.push(command(1, 0, 3, "Bob again"));
    run
}

/// Mallory asks, is accepted, talks and lies; Alice asks Carol.
fn strangers() -> Vec<Operation> {
    let entry = |body, seq| EntryPlan { device: 3, seq, body, ..plan() };
    vec![
        Operation::LinkUp { peer: 3 },
        Operation::Hello { link: 1, device: 3, others: 63 },
        Operation::Request { link: 1, device: 3, flaws: 0, text: text("Mallory, a friend") },
        Operation::Request { link: 1, device: 3, flaws: 0x10, text: text("again") },
        command(2, 1, 0, ""),
        Operation::Certificate { link: 1, device: 3, flaws: 0 },
        Operation::Entries { link: 1, entries: vec![entry(0, 0), entry(0, 0), entry(8, 0xa0)] },
        command(0, 1, 0, "what?"),
        command(6, 1, 0, "Bob"),
        command(1, 2, 1, "Carol"),
        Operation::LinkUp { peer: 9 },
        tick(3000),
        tick(60_000),
        command(3, 1, 0, ""),
    ]
}

fn floods() -> Vec<Operation> {
    let flood = |count, manner| Operation::Flood { link: 0, device: 0, count, manner };
    vec![flood(30, 9), flood(0xffff, 8), Operation::Restart { backup: false }]
}

/// Genuine frames come changed.
fn broken() -> Vec<Operation> {
    let change = |frame, what| Operation::Changed {
        link: 1,
        frame,
        edits: vec![Edit { what, at: 50, byte: 0x20 }],
    };
    let connect = |peer| Operation::LinkUp { peer };
    vec![
        Operation::Changed { link: 0, frame: 4, edits: Vec::new() },
        connect(8),
        change(0, 0),
        change(1, 0),
        connect(9),
        change(2, 1),
        change(3, 2),
        Operation::Raw { link: 0, bytes: Blob(vec![0x82, 0x18, 0xc8, 0xa0]) },
    ]
}
