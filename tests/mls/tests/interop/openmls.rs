//! Suite 0x004D with members of OpenMLS, which computes with libcrux: another library, another
//! implementation of every primitive.

use std::time::SystemTime;

use kith_common::{ids::DeviceId, keys::SigningKey, time::Timestamp};
use kith_core::mls::{self, MlsError, Sending};
use openmls::prelude::{tls_codec::Deserialize, *};
use openmls_basic_credential::SignatureKeyPair;
use openmls_libcrux_crypto::Provider;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A device that uses OpenMLS.
struct Other {
    provider: Provider,
    signer: SignatureKeyPair,
}

impl Other {
    fn new(seed: u8) -> Self {
        let key = SigningKey::from_seed(&[seed; 32]);
        let signer = SignatureKeyPair::from_raw(
            SignatureScheme::ED25519,
            vec![seed; 32],
            key.public().to_vec(),
        );
        Self { provider: Provider::new().unwrap(), signer }
    }

    fn device(&self) -> DeviceId {
        DeviceId::from_bytes(self.signer.public().try_into().unwrap())
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.signer.public().to_vec()).into(),
            signature_key: self.signer.public().into(),
        }
    }

    fn package(&self) -> Vec<u8> {
        let package = KeyPackage::builder()
            .build(SUITE, &self.provider, &self.signer, self.credential())
            .unwrap();
        MlsMessageOut::from(package.key_package().clone()).to_bytes().unwrap()
    }

    fn group(&self) -> MlsGroup {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .use_ratchet_tree_extension(true)
            .build();
        let id = GroupId::from_slice(&[9; 32]);
        MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, self.credential())
            .unwrap()
    }

    fn read_package(&self, bytes: &[u8]) -> KeyPackage {
        let MlsMessageBodyIn::KeyPackage(package) = read(bytes).extract() else {
            panic!("it is a package");
        };
        package.validate(self.provider.crypto(), ProtocolVersion::Mls10).unwrap()
    }

    fn join(&self, welcome: &[u8]) -> MlsGroup {
        let MlsMessageBodyIn::Welcome(welcome) = read(welcome).extract() else {
            panic!("it is a welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(1024, 1024))
            .build();
        StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None)
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }

    fn open(&self, group: &mut MlsGroup, sealed: &[u8]) -> Vec<u8> {
        let message = read(sealed).try_into_protocol_message().unwrap();
        let opened = group.process_message(&self.provider, message).unwrap();
        match opened.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => message.into_bytes(),
            other => panic!("no message: {other:?}"),
        }
    }

    fn seal(&self, group: &mut MlsGroup, plain: &[u8]) -> Vec<u8> {
        group.create_message(&self.provider, &self.signer, plain).unwrap().to_bytes().unwrap()
    }
}

fn read(bytes: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(bytes).unwrap()
}

/// OpenMLS asks the system's clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

#[test]
fn what_we_seal_openmls_opens() {
    let (me, other) = (SigningKey::from_seed(&[1; 32]), Other::new(2));
    let package = mls::check_package(&me, &other.package(), other.device(), now()).unwrap();
    let (mut sending, welcome) = Sending::begin(&me, package, now(), &mut rng(3)).unwrap();
    let mut group = other.join(&welcome);
    assert_eq!(group.members().count(), 2);
    assert_eq!(group.group_id().as_slice(), sending.id().as_bytes());

    let sealed: Vec<_> =
        (0..20_u8).map(|n| sending.seal(&me, &[n; 300], &mut rng(n)).unwrap()).collect();
    for (number, sealed) in (0..20_u8).zip(&sealed).rev() {
        assert_eq!(other.open(&mut group, sealed), [number; 300]);
    }
}

#[test]
fn what_openmls_seals_we_open() {
    for with_path in [false, true] {
        let (me, other) = (SigningKey::from_seed(&[1; 32]), Other::new(2));
        let package = mls::make_package(&me, now(), 30 * DAY_MS, false, &mut rng(4)).unwrap();
        let mut group = other.group();
        let theirs = [other.read_package(&package.public)];
        let (_, welcome, _) = if with_path {
            group.add_members(&other.provider, &other.signer, &theirs).unwrap()
        } else {
            group.add_members_without_update(&other.provider, &other.signer, &theirs).unwrap()
        };
        group.merge_pending_commit(&other.provider).unwrap();
        let welcome = welcome.to_bytes().unwrap();
        assert_eq!(mls::welcome_package(&welcome), Ok(package.secret.reference()));
        let from = Some(other.device());
        let (mut receiving, _) = mls::join(&me, &package.secret, &welcome, from, now()).unwrap();

        let sealed: Vec<_> = (0..20_u8).map(|n| other.seal(&mut group, &[n; 300])).collect();
        for (number, sealed) in (0..20_u8).zip(&sealed).rev() {
            assert_eq!(receiving.open(&me, sealed).unwrap()[..], [number; 300]);
            let again = receiving.open(&me, sealed);
            assert_eq!(again, Err(MlsError::Opened(u32::from(number))));
        }
    }
}

#[test]
fn a_commit_of_openmls_is_refused() {
    let (me, other) = (SigningKey::from_seed(&[1; 32]), Other::new(2));
    let package = mls::make_package(&me, now(), 30 * DAY_MS, false, &mut rng(4)).unwrap();
    let mut group = other.group();
    let theirs = [other.read_package(&package.public)];
    let (_, welcome, _) =
        group.add_members_without_update(&other.provider, &other.signer, &theirs).unwrap();
    group.merge_pending_commit(&other.provider).unwrap();
    let welcome = welcome.to_bytes().unwrap();
    let (mut receiving, _) = mls::join(&me, &package.secret, &welcome, None, now()).unwrap();

    let parameters = LeafNodeParameters::default();
    let commit = group.self_update(&other.provider, &other.signer, parameters).unwrap();
    let commit = commit.into_commit().to_bytes().unwrap();
    assert_eq!(receiving.open(&me, &commit), Err(MlsError::NoMessage));
}

#[test]
fn a_group_with_a_third_member_is_refused() {
    let (me, other, third) = (SigningKey::from_seed(&[1; 32]), Other::new(2), Other::new(3));
    let package = mls::make_package(&me, now(), 30 * DAY_MS, false, &mut rng(4)).unwrap();
    let mut group = other.group();
    let theirs = [other.read_package(&third.package())];
    group.add_members_without_update(&other.provider, &other.signer, &theirs).unwrap();
    group.merge_pending_commit(&other.provider).unwrap();
    let theirs = [other.read_package(&package.public)];
    let (_, welcome, _) =
        group.add_members_without_update(&other.provider, &other.signer, &theirs).unwrap();
    let welcome = welcome.to_bytes().unwrap();
    let joined = mls::join(&me, &package.secret, &welcome, None, now());
    assert_eq!(joined.map(drop), Err(MlsError::OtherGroup));
}

#[test]
fn a_package_of_another_suite_is_refused() {
    let (me, other) = (SigningKey::from_seed(&[1; 32]), Other::new(2));
    let suite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
    let package = KeyPackage::builder()
        .build(suite, &other.provider, &other.signer, other.credential())
        .unwrap();
    let package = MlsMessageOut::from(package.key_package().clone()).to_bytes().unwrap();
    let checked = mls::check_package(&me, &package, other.device(), now());
    assert_eq!(checked.map(drop), Err(MlsError::Suite));
}
