//! What does a mailbox-server learn? Everything that it keeps, logs and is sent in a story of two
//! people with two devices each, from the first request on.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::{Duration, Instant},
};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER_PERMISSIVE};
use kith::{
    home::{self, Passphrase},
    sqlite::SqliteStore,
};
use kith_common::{
    codec::Reader,
    envelope::{Payload, Signed},
    ids::LogId,
    service::{
        Stamp,
        mailbox::{Close, Fetch, Open, Operation, Put, PutBody, SizeClass, Status},
    },
};
use kith_core::store::{RecordKind, Store};
use kith_tests::process::{Asked, Mailbox, PATIENCE, Person, Wiretap, until};
use libsodium_rs::crypto_sign;
use rusqlite::types::Value;

/// The shortest piece of a key that is looked for.
const PIECE_BYTES: usize = 8;
const GREETING: &str = "We met at the lighthouse";
const NAMES: [&str; 2] = ["Zebedee-Quillfeather", "Ottoline-Marchbanks"];
const TEXTS: [&str; 4] = [
    "The heron stands in the reeds.",
    "Ein Reiher? Wo?",
    "\u{1f9a2} behind the mill",
    "I see it, by the third willow",
];
/// Times that two devices of a person take turns until one knows what the other said.
const TURNS_MAX: usize = 4;
/// Longer than it takes to look into all queues, and to write to everybody.
const LONG_ENOUGH: Duration = Duration::from_secs(6);

/// Something that may stand nowhere.
#[derive(Default)]
struct Needles {
    texts: Vec<(String, Vec<u8>)>,
    /// All pieces of ids and keys.
    pieces: HashSet<[u8; PIECE_BYTES]>,
}

impl Needles {
    fn text(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 6, "{what} is too short to be found by chance only");
        self.texts.push((what.to_owned(), text.as_bytes().to_vec()));
    }

    fn key(&mut self, key: &[u8]) {
        self.pieces
            .extend(key.windows(PIECE_BYTES).map(|it| <[u8; PIECE_BYTES]>::try_from(it).unwrap()));
    }

    /// What of it is in these bytes, as it is or spelled in one of the usual ways.
    fn found(&self, haystack: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for bytes in spellings(haystack) {
            let holds = |text: &Vec<u8>| bytes.windows(text.len()).any(|window| window == *text);
            found.extend(self.texts.iter().filter(|(_, text)| holds(text)).map(|it| it.0.clone()));
            let pieces =
                bytes.array_windows::<PIECE_BYTES>().filter(|it| self.pieces.contains(*it));
            found.extend(pieces.map(|piece| format!("a piece of a key: {piece:02x?}")));
        }
        found
    }
}

/// The bytes, and what runs of letters in them say if they are hex or base64.
fn spellings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![bytes.to_vec()];
    let ways: [(&Encoding, usize); 3] =
        [(&HEXLOWER_PERMISSIVE, 2), (&BASE64_NOPAD, 4), (&BASE64URL_NOPAD, 4)];
    for (encoding, block) in ways {
        let symbols: HashSet<u8> = encoding
            .specification()
            .symbols
            .bytes()
            .flat_map(|b| [b, b.to_ascii_uppercase()])
            .collect();
        for run in bytes.split(|byte| !symbols.contains(byte)) {
            for begin in 0..block.min(run.len()) {
                let run = &run[begin..];
                all.extend(encoding.decode(&run[..run.len() / block * block]).ok());
            }
        }
    }
    all.retain(|bytes| bytes.len() >= PIECE_BYTES);
    all
}

/// Everything secret, or that names somebody, in a home.
fn keep_secret(person: &Person, needles: &mut Needles) {
    let keys = home::unlock(&person.home(), &Passphrase::None).unwrap();
    keys.master.expose(|master| needles.key(master));
    keys.device.expose_seed(|seed| {
        needles.key(seed);
        let pair = crypto_sign::keypair_from_seed(seed).unwrap();
        needles.key(&crypto_sign::ed25519_sk_to_curve25519(&pair.secret_key).unwrap());
        needles.key(&crypto_sign::ed25519_pk_to_curve25519(&pair.public_key).unwrap());
    });
    needles.key(keys.device.device().as_bytes());
    if let Ok(authority) = home::authority(&person.home(), &Passphrase::None) {
        authority.expose_seed(|seed| needles.key(seed));
        needles.key(authority.public());
    }
    needles.key(keys.account.id().as_bytes());
    needles.key(keys.account.recovery());
    for device in keys.account.devices() {
        needles.key(device.as_bytes());
        keys.account.authority_of(device).iter().for_each(|key| needles.key(key));
    }
    needles.key(LogId::own(keys.account.id()).as_bytes());
    if let Some(account) = person.init["account"].as_str() {
        needles.text("an account", account);
    }
    if let Some(words) = person.init["recovery_words"].as_array() {
        let words: Vec<&str> = words.iter().filter_map(serde_json::Value::as_str).collect();
        words.windows(2).for_each(|pair| needles.text("recovery words", &pair.join(" ")));
    }
    let store = SqliteStore::open(&home::database(&person.home()), &keys.master).unwrap();
    for (_, value) in store.records(RecordKind::Queue).unwrap() {
        // The seed of the owner's key and that of the writer's: the shape is that of `kith_core`.
        let mut reader = Reader::new(&value);
        reader.tuple("queue", 11).unwrap();
        reader.uint().unwrap();
        needles.key(reader.bytes("owner", 32).unwrap());
        reader.text("url", 256).unwrap();
        needles.key(reader.bytes("seed", 32).unwrap());
    }
}

/// Public halves of the owner's keys of all queues that a home has.
fn queues_of(person: &Person) -> Vec<[u8; 32]> {
    let keys = home::unlock(&person.home(), &Passphrase::None).unwrap();
    let store = SqliteStore::open(&home::database(&person.home()), &keys.master).unwrap();
    let queues = store.records(RecordKind::Queue).unwrap();
    queues.into_iter().map(|(key, _)| key.try_into().unwrap()).collect()
}

/// What the server keeps, row by row.
fn rows(mailbox: &Mailbox) -> Vec<(String, BTreeMap<String, Value>)> {
    let database = mailbox.database();
    let mut named =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> =
        named.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Vec::new();
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| {
            columns.iter().enumerate().map(|(at, name)| Ok((name.clone(), row.get(at)?))).collect()
        };
        let found = statement.query_map([], row).unwrap();
        all.extend(found.map(|row| (table.clone(), row.unwrap())));
    }
    all
}

/// A request, taken apart: whose queue it is about, and whatever in it could differ from one queue to
/// another.
struct Request {
    signer: [u8; 32],
    operation: Operation,
    /// Bytes that are in it.
    parts: Vec<Vec<u8>>,
    /// What is set for the queue: days, blobs, bytes.
    settings: Option<(u64, u16, u64)>,
    writer: Option<[u8; 32]>,
    /// Bytes of the blob, and all others of the body.
    sizes: Option<(usize, usize)>,
}

fn signed<T: Payload + Clone>(bytes: &[u8]) -> ([u8; 32], T, Vec<u8>) {
    let Ok(verified) = Signed::<T>::decode(bytes).unwrap().verify() else {
        panic!("a signature that does not hold was sent")
    };
    // The signature comes last.
    let signature = bytes[bytes.len() - 64..].to_vec();
    (*verified.signer(), verified.value().clone(), signature)
}

impl Request {
    fn read(asked: &Asked) -> Self {
        let operation = asked.operation().unwrap();
        let body = asked.body.as_slice();
        let of = |(signer, stamp, signature): ([u8; 32], Stamp, Vec<u8>)| {
            assert_eq!(stamp.time.millis() % 60_000, 0, "a clock shows in what is beyond a minute");
            Self {
                signer,
                operation,
                parts: vec![signer.to_vec(), stamp.nonce.to_vec(), signature],
                settings: None,
                writer: None,
                sizes: None,
            }
        };
        match operation {
            Operation::Open => {
                let (signer, open, signature) = signed::<Open>(body);
                let mut request = of((signer, open.stamp, signature));
                request.parts.extend([open.writer.to_vec(), open.card.unwrap().to_vec()]);
                request.settings = Some((open.days.count(), open.blobs_max, open.bytes_max));
                request.writer = Some(open.writer);
                assert_eq!(open.access, None);
                request
            }
            Operation::Put => {
                let PutBody { put, blob } = PutBody::decode(body).unwrap();
                let (signer, put, signature) = signed::<Put>(put);
                let mut request = of((signer, put.stamp, signature));
                request.parts.extend([put.hash.to_vec(), blob.to_vec()]);
                request.sizes = Some((blob.len(), body.len() - blob.len()));
                request
            }
            Operation::Fetch => {
                let (signer, fetch, signature) = signed::<Fetch>(body);
                assert_eq!(fetch.wait_ms, 50_000);
                of((signer, fetch.stamp, signature))
            }
            Operation::Status => {
                let (signer, status, signature) = signed::<Status>(body);
                of((signer, status.stamp, signature))
            }
            Operation::Close => {
                let (signer, close, signature) = signed::<Close>(body);
                of((signer, close.stamp, signature))
            }
        }
    }
}

/// Two people with two devices each, of whom never two are there at once but to link.
struct Story {
    /// Alice's phone and laptop, and Bob's.
    devices: [Person; 4],
    mailbox: Mailbox,
    tap: Wiretap,
    /// What the server kept, at several times.
    kept: Vec<(String, BTreeMap<String, Value>)>,
}

impl Story {
    fn begin() -> Self {
        let mailbox = Mailbox::start_with("trace", &[]);
        let tap = Wiretap::before(mailbox.port());
        let [alice, bob] = NAMES.map(|name| {
            let mut phone = Person::with_mail(name);
            phone.chooses(&[&tap.url()]);
            let mut laptop = phone.gets("laptop");
            laptop.has_open_queues();
            laptop.down();
            phone.down();
            [phone, laptop]
        });
        let [[a, b], [c, d]] = [alice, bob];
        Self { devices: [a, b, c, d], mailbox, tap, kept: Vec::new() }
    }

    fn look(&mut self) {
        self.kept.extend(rows(&self.mailbox));
    }

    fn with(&self, device: usize) -> &Person {
        &self.devices[if device < 2 { 2 } else { 0 }]
    }

    /// A device is there alone and does something of which a letter comes.
    fn alone(&mut self, device: usize, action: impl FnOnce(&Person, &Person)) {
        self.devices[device].up();
        self.devices[device].has_open_queues();
        let (one, other) = (&self.devices[device], self.with(device));
        // One for the contact, and one for the person's other device.
        self.mailbox.gets_in(2, || action(one, other));
        self.look();
        self.devices[device].down();
    }

    fn tell(&mut self) {
        self.devices[2].up();
        self.devices[2].has_open_queues();
        let link = self.devices[2].link();
        self.devices[2].down();
        self.alone(0, |alice, _| {
            alice.kith(&["contact", "add", &link, "--greeting", GREETING]).json();
        });
        self.alone(2, |bob, alice| {
            bob.sees(alice, "status", "pending");
            bob.kith(&["contact", "accept", &alice.name]).json();
            bob.says(alice, TEXTS[0]);
        });
        self.alone(0, |alice, bob| {
            alice.sees(bob, "status", "contact");
            alice.says(bob, TEXTS[1]);
        });
        // Bob's laptop has not heard yet where Alice can be written to: his phone can.
        for (device, text, queues) in [(3, TEXTS[2], 1), (1, TEXTS[3], 2)] {
            self.devices[device].up();
            self.devices[device].has_open_queues();
            let (one, other) = (&self.devices[device], self.with(device));
            until("a laptop knows the contact", PATIENCE, || {
                (one.contact(other)["status"] == "contact").then_some(())
            });
            self.mailbox.gets_in(queues, || one.says(other, text));
            self.look();
            self.devices[device].down();
        }
        for (phone, laptop, text) in [(2, 3, TEXTS[2]), (0, 1, TEXTS[3])] {
            self.arrives(phone, laptop, text);
        }
    }

    /// Phone and laptop are there in turn until the one has what the other said.
    fn arrives(&mut self, phone: usize, laptop: usize, text: &str) {
        for _ in 0..TURNS_MAX {
            self.devices[phone].up();
            let (one, other) = (&self.devices[phone], self.with(phone));
            let has = || one.history(other).iter().any(|message| message.text == text);
            let is_there = soon(&has);
            self.look();
            self.devices[phone].down();
            if is_there {
                return;
            }
            // What was on its way when it ended is put again.
            let puts = self.mailbox.puts();
            self.devices[laptop].up();
            soon(&|| self.mailbox.puts() > puts);
            self.look();
            self.devices[laptop].down();
        }
        panic!("what the laptop said does not arrive");
    }
}

/// Waits until something is so; whether it came to that.
fn soon(is_so: &dyn Fn() -> bool) -> bool {
    let end = Instant::now() + LONG_ENOUGH;
    until("something is so, or takes long enough", PATIENCE, || {
        let found = is_so();
        (found || Instant::now() > end).then_some(found)
    })
}

/// The queue of each request on each connection; fails where one carries requests of two.
fn requests(tap: &Wiretap) -> Vec<Request> {
    let mut all = Vec::new();
    let host = tap.url().strip_prefix("http://").unwrap().to_owned();
    for carried in tap.carried() {
        let asked = carried.asked();
        let asked = asked.into_iter().filter(|asked| !asked.head.starts_with("GET /v1/info "));
        let mut signer = None;
        for asked in asked {
            let request = Request::read(&asked);
            let path = request.operation.path();
            let expected = format!(
                "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/cbor\r\n\
                 accept: application/cbor\r\ncontent-length: {}\r\n\r\n",
                asked.body.len()
            );
            assert_eq!(asked.head, expected, "a head says more than what is asked");
            assert_eq!(*signer.get_or_insert(request.signer), request.signer, "two queues");
            all.push(request);
        }
    }
    all
}

/// Pieces that are in what was said about two or more queues of one person, and of nobody else.
fn links(parts: &BTreeMap<[u8; 32], Vec<Vec<u8>>>, owner: &dyn Fn(&[u8; 32]) -> usize) -> usize {
    let mut seen: BTreeMap<&[u8], BTreeSet<&[u8; 32]>> = BTreeMap::new();
    for (queue, parts) in parts {
        for piece in parts.iter().flat_map(|part| part.windows(PIECE_BYTES)) {
            seen.entry(piece).or_default().insert(queue);
        }
    }
    let tells = |queues: &&BTreeSet<&[u8; 32]>| {
        let owners: BTreeSet<usize> = queues.iter().map(|queue| owner(queue)).collect();
        queues.len() > 1 && owners.len() == 1
    };
    seen.values().filter(tells).count()
}

fn blob(value: Option<&Value>) -> Option<Vec<u8>> {
    match value {
        Some(Value::Blob(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

/// What is set for queues is the same for everybody, and sizes are those of the classes.
fn settings_are_alike(requests: &[Request], owners: &BTreeMap<[u8; 32], usize>) {
    let mut settings: [BTreeSet<(u64, u16, u64)>; 2] = Default::default();
    let mut around: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for request in requests {
        if let Some(set) = request.settings {
            settings[owners[&request.signer]].insert(set);
        }
        if let Some((blob, rest)) = request.sizes {
            assert!(SizeClass::of_blob(blob).is_some(), "{blob} is no class");
            around.entry(blob).or_default().insert(rest);
        }
    }
    assert_eq!(settings[0], settings[1]);
    assert_eq!(settings[0].len(), 2, "for strangers, and for all others");
    assert!(around.values().all(|rest| rest.len() == 1), "{around:?}");
}

#[test]
fn a_server_learns_neither_who_nor_what_nor_which_queues_are_of_one_person() {
    let mut story = Story::begin();
    story.tell();
    let Story { devices, mailbox, tap, kept } = &mut story;

    let mut needles = Needles::default();
    NAMES.iter().for_each(|name| needles.text("a name", name));
    TEXTS.iter().for_each(|text| needles.text("a text", text));
    needles.text("the greeting", GREETING);
    needles.text("a device's name", "laptop");
    devices.iter().for_each(|device| keep_secret(device, &mut needles));
    assert!(needles.pieces.len() > 1000, "{} pieces to look for", needles.pieces.len());

    // Nothing of it is kept, logged or sent.
    let cells = kept.iter().flat_map(|(_, row)| row.values());
    let mut cell_count = 0;
    for cell in cells {
        let bytes = match cell {
            Value::Blob(bytes) => bytes.clone(),
            Value::Text(text) => text.clone().into_bytes(),
            Value::Null | Value::Integer(_) | Value::Real(_) => continue,
        };
        cell_count += 1;
        assert_eq!(needles.found(&bytes), [""; 0], "in a cell");
    }
    assert!(cell_count > 50, "{cell_count} cells");
    let log = mailbox.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log tells something");
    assert_eq!(needles.found(log.as_bytes()), [""; 0], "in the log");
    for carried in tap.carried() {
        assert_eq!(needles.found(&carried.there), [""; 0], "in what was asked");
        assert_eq!(needles.found(&carried.back), [""; 0], "in what was answered");
    }

    // Which queue is whose is known here from the homes; the server sees two keys of each.
    let owners: BTreeMap<[u8; 32], usize> = devices
        .iter()
        .enumerate()
        .flat_map(|(at, device)| queues_of(device).into_iter().map(move |queue| (queue, at / 2)))
        .collect();
    let requests = requests(tap);
    let opened = requests.iter().filter_map(|it| Some((it.writer?, it.signer)));
    let queue_of_writer: BTreeMap<[u8; 32], [u8; 32]> = opened.collect();
    let mut parts: BTreeMap<[u8; 32], Vec<Vec<u8>>> = BTreeMap::new();
    for request in &requests {
        let queue = queue_of_writer.get(&request.signer).unwrap_or(&request.signer);
        parts.entry(*queue).or_default().extend(request.parts.iter().cloned());
    }
    let mut names = BTreeMap::new();
    for (_, row) in kept.iter().filter(|(table, _)| table == "queues") {
        let owner: [u8; 32] = blob(row.get("owner")).unwrap().try_into().unwrap();
        names.insert(integer(&row["id"]), owner);
        let cells = row.values().filter_map(|cell| blob(Some(cell)));
        parts.entry(owner).or_default().extend(cells);
    }
    for (_, row) in kept.iter().filter(|(table, _)| table == "blobs") {
        let queue = integer(&row["id"]) >> 32;
        let cells = row.values().filter_map(|cell| blob(Some(cell)));
        parts.entry(names[&queue]).or_default().extend(cells);
    }
    assert_eq!(parts.len(), 12, "each device has a queue for strangers, itself and the contact");
    assert_eq!(links(&parts, &|queue| owners[queue]), 0, "something links two queues");
    // The search would find it: the same bytes in two queues of one person.
    let mut told = parts.clone();
    for queue in queues_of(&devices[0]) {
        told.get_mut(&queue).unwrap().push(b"a thread".to_vec());
    }
    assert_eq!(links(&told, &|queue| owners[queue]), 1);

    settings_are_alike(&requests, &owners);
}

#[test]
fn a_piece_of_a_key_is_found_however_it_is_spelled() {
    let mut needles = Needles::default();
    let key: Vec<u8> = (100..132).collect();
    needles.key(&key);
    let hex = HEXLOWER_PERMISSIVE.encode(&key[3..14]);
    let base64 = BASE64_NOPAD.encode(&key[5..17]);
    for said in [key[9..17].to_vec(), hex.clone().into(), hex.to_uppercase().into(), base64.into()]
    {
        let said = [b"it says x: ".as_slice(), &said, b" and more"].concat();
        assert!(!needles.found(&said).is_empty(), "{said:?}");
    }
    assert_eq!(needles.found(&key[9..16]), [""; 0]);
}
