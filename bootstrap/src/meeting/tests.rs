//! Do registrations keep within their bounds, and are they found?

use libp2p::identity::Keypair;

use super::*;

struct Case {
    meetings: Meetings,
    now: Instant,
}

impl Case {
    fn new(registrations_max: usize) -> Self {
        Self { meetings: Meetings::new(registrations_max), now: Instant::now() }
    }

    fn asking(&self, peer: PeerId, source: Option<Source>) -> Asking {
        Asking { peer, source, now: self.now }
    }

    fn register(
        &mut self,
        key: &Keypair,
        namespace: &str,
        source: Option<Source>,
    ) -> Result<u64, Refusal> {
        let request = Request::Register {
            namespace: namespace.to_owned(),
            signed: signed(key),
            seconds: None,
        };
        let asking = self.asking(key.public().into(), source);
        match self.meetings.answer(asking, request) {
            Some(Answer::Registered(registered)) => registered,
            other => panic!("{other:?}"),
        }
    }

    fn found(&mut self, namespace: &str, limit: Option<u64>) -> Result<Vec<PeerId>, Refusal> {
        let request = Request::Discover { namespace: namespace.to_owned(), limit };
        match self.meetings.answer(self.asking(PeerId::random(), None), request) {
            Some(Answer::Discovered(found)) => found.map(|(told, found)| {
                assert_eq!(told, namespace);
                found.iter().map(|one| signer(&one.signed).unwrap()).collect()
            }),
            other => panic!("{other:?}"),
        }
    }
}

fn key(number: u16) -> Keypair {
    let [a, b] = number.to_be_bytes();
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&[a, b]);
    Keypair::ed25519_from_bytes(seed).unwrap()
}

fn id(number: u16) -> PeerId {
    key(number).public().into()
}

fn signed(key: &Keypair) -> Vec<u8> {
    let addresses = vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()];
    let record = PeerRecord::new(key, addresses).unwrap();
    record.into_signed_envelope().into_protobuf_encoding()
}

fn source(number: u8) -> Option<Source> {
    Some(Source::Network([192, 0, 2, number].into()))
}

#[test]
fn those_who_know_the_same_place_find_each_other() {
    let mut case = Case::new(10);
    assert_eq!(case.register(&key(1), "here", None), Ok(REGISTRATION_SECONDS_MAX));
    case.now += Duration::from_secs(1);
    assert_eq!(case.register(&key(2), "here", None), Ok(REGISTRATION_SECONDS_MAX));
    assert_eq!(case.found("here", None), Ok(vec![id(2), id(1)]), "the newest first");
    assert_eq!(case.found("here", Some(1)), Ok(vec![id(2)]));
    assert_eq!(case.found("there", None), Ok(vec![]));
    assert_eq!(case.found("", None), Err(Refusal::Namespace), "nobody is told all");
    let gone = Request::Unregister { namespace: "here".to_owned() };
    assert_eq!(case.meetings.answer(case.asking(id(2), None), gone), None);
    assert_eq!(case.found("here", None), Ok(vec![id(1)]));
}

#[test]
fn nobody_registers_anybody_else() {
    let mut case = Case::new(10);
    let forged = |signed: Vec<u8>, namespace: &str| Request::Register {
        namespace: namespace.to_owned(),
        signed,
        seconds: Some(1),
    };
    let mut bent = signed(&key(1));
    *bent.last_mut().unwrap() ^= 1;
    let long = vec![0; REGISTRATION_BYTES_MAX + 1];
    for (signed, namespace, refusal) in [
        (signed(&key(2)), "here", Refusal::NotAuthorised),
        (bent, "here", Refusal::NotAuthorised),
        (long, "here", Refusal::NotAuthorised),
        (vec![], "here", Refusal::NotAuthorised),
        (signed(&key(1)), "", Refusal::Namespace),
        (signed(&key(1)), &"x".repeat(NAMESPACE_BYTES_MAX + 1), Refusal::Namespace),
    ] {
        let asking = case.asking(id(1), None);
        let answer = case.meetings.answer(asking, forged(signed, namespace));
        assert_eq!(answer, Some(Answer::Registered(Err(refusal))));
    }
    assert_eq!(case.meetings.len(), 0);
    let refused: u64 = case.meetings.refused().map(|(_, count)| count).sum();
    assert_eq!(refused, 6);
}

#[test]
fn a_registration_ends() {
    let mut case = Case::new(1);
    case.register(&key(1), "here", source(1)).unwrap();
    assert_eq!(case.register(&key(2), "there", None), Err(Refusal::Full));
    case.now += Duration::from_secs(REGISTRATION_SECONDS_MAX);
    assert_eq!(case.found("here", None), Ok(vec![]));
    case.meetings.sweep(case.now);
    assert_eq!(case.register(&key(2), "there", None), Ok(REGISTRATION_SECONDS_MAX));
    assert!(case.meetings.sources.is_empty() && case.meetings.peers.len() == 1);
}

#[test]
fn registering_again_takes_no_more_room() {
    let mut case = Case::new(NAMESPACES_PER_PEER_MAX);
    for _ in 0..3 {
        for number in 0..NAMESPACES_PER_PEER_MAX {
            assert!(case.register(&key(1), &number.to_string(), source(1)).is_ok());
        }
    }
    assert_eq!(case.register(&key(1), "one more", None), Err(Refusal::PeerFull));
    assert_eq!(case.meetings.len(), NAMESPACES_PER_PEER_MAX);
    assert_eq!(case.meetings.sources.values().sum::<usize>(), NAMESPACES_PER_PEER_MAX);
}

#[test]
fn a_source_has_its_share() {
    let mut case = Case::new(10_000);
    let peers = u16::try_from(REGISTRATIONS_PER_SOURCE_MAX).unwrap();
    for number in 0..peers {
        assert!(case.register(&key(number), &number.to_string(), source(1)).is_ok());
    }
    assert_eq!(case.register(&key(peers), "more", source(1)), Err(Refusal::PeerFull));
    assert!(case.register(&key(peers), "more", source(2)).is_ok());
    assert!(case.register(&key(0), "0", source(1)).is_ok(), "again");
}

#[test]
fn in_a_crowded_place_the_oldest_goes() {
    let mut case = Case::new(1000);
    let crowd = u16::try_from(REGISTRATIONS_PER_NAMESPACE_MAX).unwrap();
    for number in 0..=crowd {
        case.now += Duration::from_secs(1);
        case.register(&key(number), "here", None).unwrap();
    }
    let found = case.found("here", None).unwrap();
    assert_eq!(found.len(), REGISTRATIONS_PER_NAMESPACE_MAX);
    assert!(!found.contains(&id(0)) && found.contains(&id(crowd)));
    assert_eq!(case.meetings.len(), REGISTRATIONS_PER_NAMESPACE_MAX);
}
