//! Do letters and blobs come back, and nothing else?

use proptest::prelude::*;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;
use crate::{
    ids::{AccountId, DeviceId, EntryId},
    limits::LETTER_BYTES_MAX,
    service::mailbox::{Days, SizeClass},
};

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

fn queue(seed: u8) -> QueueAddress {
    let url = MailboxUrl::parse("https://mail.example.org").unwrap();
    QueueAddress { url, seed: QueueSeed::from_bytes([seed; 32]), days: Days::Seven }
}

fn letter() -> Letter {
    Letter {
        from: (AccountId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32])),
        to: (AccountId::from_bytes([3; 32]), DeviceId::from_bytes([4; 32])),
        frames: vec![vec![5].into(), vec![6; 100].into()],
        packages: vec![vec![7; 2700].into()],
        joined: vec![vec![8; 32].into()],
        heard: Some(EntryId::from_bytes([9; 32])),
        reply: vec![queue(10)],
        told: Some(EntryId::from_bytes([11; 32])),
    }
}

#[test]
fn blobs_have_their_class_and_nothing_shows_through() {
    let (seed, mut rng) = (QueueSeed::from_bytes([1; 32]), rng());
    for class in SizeClass::ALL {
        let content = vec![0; blob_room(class.bytes())];
        let blob = seed.seal_blob(&content, class.bytes(), &mut rng).unwrap();
        assert_eq!(blob.len(), class.bytes());
        assert_eq!(seed.open_blob(&blob).unwrap(), content);
        let more = vec![0; content.len() + 1];
        assert_eq!(seed.seal_blob(&more, class.bytes(), &mut rng), Err(BlobError::TooLarge));
    }
    let one = seed.seal_blob(b"same", 4096, &mut rng).unwrap();
    let other = seed.seal_blob(b"same", 4096, &mut rng).unwrap();
    assert_ne!(one, other);
    assert_eq!(QueueSeed::from_bytes([2; 32]).open_blob(&one), Err(BlobError::Open));
    assert_eq!(seed.open_blob(&one[1..]), Err(BlobError::Open));
}

#[test]
fn what_is_sealed_as_a_card_is_no_blob() {
    let (seed, mut rng) = (QueueSeed::from_bytes([1; 32]), rng());
    let card = Card { package: vec![3; 2700].into() };
    let sealed = seed.seal_card(&card, &mut rng);
    assert_eq!(seed.open_card(&sealed).unwrap(), card);
    assert_eq!(seed.open_blob(&sealed), Err(BlobError::Open));
    assert!(!format!("{seed:?}").contains('1'));
}

#[test]
fn letters_and_announcements_come_back() {
    let whole = letter();
    assert_eq!(Letter::decode(&whole.encode()), Ok(whole.clone()));
    let bare = Letter { heard: None, reply: Vec::new(), told: None, ..whole };
    assert_eq!(Letter::decode(&bare.encode()), Ok(bare));
    for queues in [vec![], vec![queue(1), queue(2)]] {
        let said = Announcement { queues };
        assert_eq!(Announcement::decode(&said.encode([0; BODY_SALT_BYTES])), Ok(said));
    }
    for welcome in [None, Some(vec![1; 4000].into())] {
        let sealed = Sealed { welcome, message: vec![2; 500].into() };
        assert_eq!(Sealed::decode(&sealed.encode()), Ok(sealed));
    }
    assert!(Sealed::decode(&vec![0; LETTER_BYTES_MAX]).is_err());
}

proptest! {
    #[test]
    fn decoding_anything_never_panics(bytes: Vec<u8>) {
        let _ = Letter::decode(&bytes);
        let _ = Sealed::decode(&bytes);
        let _ = Announcement::decode(&bytes);
        let _ = QueueSeed::from_bytes([1; 32]).open_blob(&bytes);
    }

    #[test]
    fn a_changed_letter_is_refused_or_one_of_its_own(at in 0_usize..3500, bit in 0_u8..8) {
        let mut bytes = letter().encode();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Letter::decode(&bytes) {
            prop_assert_eq!(Letter::decode(&other.encode()), Ok(other));
        }
    }

    #[test]
    fn addresses_are_read_as_they_are_written(text: String) {
        if let Ok(url) = MailboxUrl::parse(&text) {
            prop_assert_eq!(url.as_str(), text.as_str());
        }
        let _ = MailboxUrl::typed(&text);
    }
}
