//! Have letters, and what is sealed around them, the same bytes as elsewhere?

use kith_common::{
    ids::{AccountId, DeviceId, EntryId},
    mail::{Announcement, BlobError, Card, Letter, MailboxUrl, QueueAddress, QueueSeed, Sealed},
    service::mailbox::Days,
};
use serde::Deserialize;

use crate::{
    cases::{Hex, boxes, load_as},
    reason,
};

#[derive(Deserialize)]
struct MailFile {
    queues: Vec<SeedCase>,
    blobs: Vec<BlobCase>,
    blobs_refused: Vec<BlobCase>,
    cards: Vec<CardCase>,
    letters: Vec<LetterCase>,
    letters_refused: Vec<RefusedLetter>,
    contents: Vec<ContentCase>,
    announcements: Vec<AnnouncementCase>,
}

#[derive(Deserialize)]
struct SeedCase {
    seed: Hex,
    writer: Hex,
}

#[derive(Deserialize)]
struct BlobCase {
    name: String,
    seed: Hex,
    content: Option<Hex>,
    blob: Hex,
}

#[derive(Deserialize)]
struct CardCase {
    seed: Hex,
    package: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
struct LetterCase {
    name: String,
    fields: LetterFields,
    letter: Hex,
}

#[derive(Deserialize)]
struct LetterFields {
    from: (Hex, Hex),
    to: (Hex, Hex),
    frames: Vec<Hex>,
    packages: Vec<Hex>,
    joined: Vec<Hex>,
    heard: Option<Hex>,
    reply: Vec<QueueCase>,
    told: Option<Hex>,
}

#[derive(Deserialize)]
struct QueueCase {
    url: String,
    seed: Hex,
    days: u64,
}

#[derive(Deserialize)]
struct RefusedLetter {
    name: String,
    refusal: String,
    letter: Hex,
}

#[derive(Deserialize)]
struct ContentCase {
    welcome: Option<Hex>,
    message: Hex,
    content: Hex,
}

#[derive(Deserialize)]
struct AnnouncementCase {
    queues: Vec<QueueCase>,
    body: Hex,
}

fn file() -> MailFile {
    load_as("09-mail")
}

fn seed(hex: &Hex) -> QueueSeed {
    QueueSeed::from_bytes(hex.fixed())
}

fn queue(case: &QueueCase) -> QueueAddress {
    QueueAddress {
        url: MailboxUrl::parse(&case.url).unwrap(),
        seed: seed(&case.seed),
        days: Days::of_count(case.days).unwrap(),
    }
}

#[test]
fn keys_follow_from_seeds() {
    for case in file().queues {
        assert_eq!(*seed(&case.seed).writer().public(), case.writer.fixed::<32>());
    }
}

#[test]
fn blobs_open() {
    let file = file();
    for case in file.blobs {
        let content = case.content.unwrap().boxed();
        assert_eq!(
            seed(&case.seed).open_blob(&case.blob.boxed()).unwrap(),
            &*content,
            "{}",
            case.name
        );
    }
    for case in file.blobs_refused {
        let opened = seed(&case.seed).open_blob(&case.blob.boxed());
        assert_eq!(opened, Err(BlobError::Open), "{}", case.name);
    }
    for case in file.cards {
        let card = Card { package: case.package.boxed() };
        assert_eq!(seed(&case.seed).open_card(&case.sealed.boxed()), Ok(card));
    }
}

#[test]
fn letters_are_equal() {
    let file = file();
    for case in file.letters {
        let f = &case.fields;
        let party = |(account, device): &(Hex, Hex)| {
            (AccountId::from_bytes(account.fixed()), DeviceId::from_bytes(device.fixed()))
        };
        let letter = Letter {
            from: party(&f.from),
            to: party(&f.to),
            frames: boxes(&f.frames),
            packages: boxes(&f.packages),
            joined: boxes(&f.joined),
            heard: f.heard.as_ref().map(|heard| EntryId::from_bytes(heard.fixed())),
            reply: f.reply.iter().map(queue).collect(),
            told: f.told.as_ref().map(|told| EntryId::from_bytes(told.fixed())),
        };
        assert_eq!(*letter.encode(), *case.letter.boxed(), "{}", case.name);
        assert_eq!(Letter::decode(&case.letter.boxed()), Ok(letter), "{}", case.name);
    }
    for case in file.letters_refused {
        let refused = Letter::decode(&case.letter.boxed()).unwrap_err();
        assert_eq!(reason(&refused), case.refusal, "{}", case.name);
    }
}

#[test]
fn contents_and_announcements_are_equal() {
    let file = file();
    for case in file.contents {
        let welcome = case.welcome.as_ref().map(Hex::boxed);
        let sealed = Sealed { welcome, message: case.message.boxed() };
        assert_eq!(*sealed.encode(), *case.content.boxed());
        assert_eq!(Sealed::decode(&case.content.boxed()), Ok(sealed));
    }
    for case in file.announcements {
        let said = Announcement { queues: case.queues.iter().map(queue).collect() };
        let body = case.body.boxed();
        let (salt, _) = body.split_first_chunk().unwrap();
        assert_eq!(*said.encode(*salt), *body);
        assert_eq!(Announcement::decode(&body), Ok(said));
    }
}
