//! What can a device do that speaks MLS itself, and encrypts anything it likes? Its packages,
//! welcomes and messages are changed before they are encrypted.

use std::sync::atomic::{AtomicUsize, Ordering};

use mls_rs::{
    CipherSuite, Client, ExtensionList,
    client_builder::MlsConfig,
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
    mls_rules::{CommitOptions, DefaultMlsRules},
};
use mls_rs_core::{
    crypto::{
        CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey,
        SignaturePublicKey, SignatureSecretKey,
    },
    extension::{Extension, ExtensionType},
};
use mls_rs_crypto_hpke::context::{ContextR, ContextS};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{
    hostile::{Change, change},
    provider::{Aead, Kdf, Provider, ProviderError, Random, Suite, XWING_SUITE, XWing},
    *,
};

type Plain<'a> = Suite<'a, XWing<'a>>;

/// Changes what is encrypted: the `turn`-th time. What says about the group which it is, is signed
/// anew.
#[derive(Clone)]
struct Insider<'a> {
    plain: Plain<'a>,
    change: &'a Change,
    turn: &'a AtomicUsize,
    signs: bool,
}

impl Insider<'_> {
    fn changed(&self, plain: &[u8]) -> Vec<u8> {
        match self.turn.fetch_sub(1, Ordering::Relaxed) {
            1 if self.signs && plain.len() > 66 => self.signed_anew(plain),
            1 if !plain.is_empty() => self.change.of(plain),
            _ => plain.to_vec(),
        }
    }

    /// `GroupInfo` of RFC 9420 §12.4.3: the signature with its length stands last.
    fn signed_anew(&self, plain: &[u8]) -> Vec<u8> {
        let (content, _) = plain.split_at(plain.len() - 66);
        let content = self.change.of(content);
        let length = 0x4000 | u16::try_from(content.len()).unwrap();
        let label = b"\x14MLS 1.0 GroupInfoTBS";
        let signed = [&label[..], &length.to_be_bytes(), &content].concat();
        let signature = self.plain.sign(&Vec::new().into(), &signed).unwrap();
        [&content[..], &[0x40, 0x40], &signature].concat()
    }
}

impl CryptoProvider for Insider<'_> {
    type CipherSuiteProvider = Self;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![XWING_SUITE]
    }

    fn cipher_suite_provider(&self, id: CipherSuite) -> Option<Self> {
        (id == XWING_SUITE).then(|| self.clone())
    }
}

macro_rules! as_before {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> $result {
            self.plain.$name($($argument),*)
        })*
    };
}

type Keys = Result<(HpkeSecretKey, HpkePublicKey), ProviderError>;
type Bytes = Result<Vec<u8>, ProviderError>;
type Secret = Result<Zeroizing<Vec<u8>>, ProviderError>;
type Signer = Result<(SignatureSecretKey, SignaturePublicKey), ProviderError>;
type Sender = Result<(Vec<u8>, ContextS<Kdf, Aead>), ProviderError>;
type Receiver = Result<ContextR<Kdf, Aead>, ProviderError>;
type Sealed = Result<HpkeCiphertext, ProviderError>;

impl CipherSuiteProvider for Insider<'_> {
    type Error = ProviderError;
    type HpkeContextS = ContextS<Kdf, Aead>;
    type HpkeContextR = ContextR<Kdf, Aead>;

    fn aead_seal(&self, key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Bytes {
        self.plain.aead_seal(key, &self.changed(data), aad, nonce)
    }

    fn hpke_seal(
        &self,
        to: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        data: &[u8],
    ) -> Sealed {
        self.plain.hpke_seal(to, info, aad, &self.changed(data))
    }

    as_before! {
        fn cipher_suite() -> CipherSuite;
        fn hash(data: &[u8]) -> Bytes;
        fn mac(key: &[u8], data: &[u8]) -> Bytes;
        fn aead_open(key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Secret;
        fn aead_key_size() -> usize;
        fn aead_nonce_size() -> usize;
        fn kdf_extract(salt: &[u8], ikm: &[u8]) -> Secret;
        fn kdf_expand(prk: &[u8], info: &[u8], len: usize) -> Secret;
        fn kdf_extract_size() -> usize;
        fn hpke_seal_psk(
            to: &HpkePublicKey, info: &[u8], aad: Option<&[u8]>, data: &[u8], psk: HpkePsk<'_>
        ) -> Sealed;
        fn hpke_open(
            data: &HpkeCiphertext, secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8],
            aad: Option<&[u8]>
        ) -> Secret;
        fn hpke_open_psk(
            data: &HpkeCiphertext, secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8],
            aad: Option<&[u8]>, psk: HpkePsk<'_>
        ) -> Secret;
        fn hpke_setup_s(to: &HpkePublicKey, info: &[u8]) -> Sender;
        fn hpke_setup_r(
            enc: &[u8], secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8]
        ) -> Receiver;
        fn kem_derive(ikm: &[u8]) -> Keys;
        fn kem_generate() -> Keys;
        fn kem_public_key_validate(key: &HpkePublicKey) -> Result<(), ProviderError>;
        fn random_bytes(out: &mut [u8]) -> Result<(), ProviderError>;
        fn signature_key_generate() -> Signer;
        fn signature_key_derive_public(
            key: &SignatureSecretKey
        ) -> Result<SignaturePublicKey, ProviderError>;
        fn sign(key: &SignatureSecretKey, data: &[u8]) -> Bytes;
        fn verify(
            key: &SignaturePublicKey, signature: &[u8], data: &[u8]
        ) -> Result<(), ProviderError>;
    }
}

fn client<'a>(
    provider: impl CryptoProvider + Clone + 'a,
    key: &SigningKey,
    name: &[u8],
) -> Client<impl MlsConfig + 'a> {
    let name = BasicCredential::new(name.to_vec()).into_credential();
    let identity = SigningIdentity::new(name, key.public().to_vec().into());
    let options = CommitOptions::new().with_path_required(true);
    Client::builder()
        .crypto_provider(provider)
        .identity_provider(BasicIdentityProvider)
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .extension_type(ExtensionType::LAST_RESORT_KEY_PACKAGE)
        .signing_identity(identity, SignatureSecretKey::new(Vec::new()), XWING_SUITE)
        .build()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_an_insider_encrypts_harms_nobody(
        change in change(),
        turn in 1..8_usize,
        signs: bool,
    ) {
        let (mallory, random) = (mallory(), Random::draw(&mut rng(5)));
        let package = package_of(&bob(), 7);
        let turn = AtomicUsize::new(turn);
        let plain = Provider { signer: &mallory, random: &random }
            .cipher_suite_provider(XWING_SUITE)
            .unwrap();
        let insider = Insider { plain, change: &change, turn: &turn, signs };
        let client = client(insider, &mallory, mallory.public());
        let mut group = client.group_builder().unwrap().build().unwrap();
        let added = MlsMessage::from_bytes(&package.public).unwrap();
        let commit = group.commit_builder().add_member(added).unwrap().build().unwrap();
        group.apply_pending_commit().unwrap();
        let welcome = commit.welcome_messages()[0].to_bytes().unwrap();
        let Ok((mut receiving, from)) = join(&bob(), &package.secret, &welcome, None, NOW) else {
            return Ok(());
        };
        prop_assert_eq!(from, mallory.device());
        for _ in 0..3 {
            let sealed = group.encrypt_application_message(b"hello", Vec::new()).unwrap();
            if let Ok(opened) = receiving.open(&bob(), &sealed.to_bytes().unwrap()) {
                prop_assert_eq!(&*opened, b"hello");
            }
        }
    }
}

#[test]
fn who_is_named_otherwise_than_by_the_key_is_no_device() {
    let (mallory, random) = (mallory(), Random::draw(&mut rng(5)));
    let provider = Provider { signer: &mallory, random: &random };
    let client = client(provider, &mallory, alice().public());
    let (none, time) = (ExtensionList::new, desk::seconds(NOW.millis()));
    let package = client.generate_key_package_message(none(), none(), Some(time)).unwrap();
    let package = package.to_bytes().unwrap();
    for owner in [alice().device(), mallory.device()] {
        let checked = check_package(&bob(), &package, owner, NOW);
        assert_eq!(checked.map(drop), Err(MlsError::OtherDevice));
    }
}

#[test]
fn a_group_that_is_not_ours_is_not_joined() {
    let (mallory, random) = (mallory(), Random::draw(&mut rng(5)));
    let provider = Provider { signer: &mallory, random: &random };
    let package = package_of(&bob(), 7);
    let join_group_of = |name: &[u8], id: &[u8], extension: Option<ExtensionType>| {
        let client = client(provider, &mallory, name);
        let mut extensions = ExtensionList::new();
        if let Some(kind) = extension {
            extensions.set(Extension::new(kind, vec![1]));
        }
        let mut group = client
            .group_builder()?
            .with_group_id(id.to_vec())
            .with_group_context_extensions(extensions)
            .build()?;
        let added = MlsMessage::from_bytes(&package.public)?;
        let commit = group.commit_builder().add_member(added)?.build()?;
        let welcome = commit.welcome_messages()[0].to_bytes()?;
        join(&bob(), &package.secret, &welcome, None, NOW).map(drop)
    };
    assert_eq!(join_group_of(mallory.public(), &[9; 32], None), Ok(()));
    assert_eq!(join_group_of(mallory.public(), &[9; 16], None), Err(MlsError::OtherGroup));
    let known = Some(ExtensionType::LAST_RESORT_KEY_PACKAGE);
    assert_eq!(join_group_of(mallory.public(), &[9; 32], known), Err(MlsError::OtherGroup));
    assert_eq!(join_group_of(alice().public(), &[9; 32], None), Err(MlsError::OtherDevice));
}

#[test]
fn a_message_with_something_beside_it_is_refused() {
    let (mallory, random) = (mallory(), Random::draw(&mut rng(5)));
    let client = client(Provider { signer: &mallory, random: &random }, &mallory, mallory.public());
    let package = package_of(&bob(), 7);
    let mut group = client.group_builder().unwrap().build().unwrap();
    let added = MlsMessage::from_bytes(&package.public).unwrap();
    let commit = group.commit_builder().add_member(added).unwrap().build().unwrap();
    group.apply_pending_commit().unwrap();
    let welcome = commit.welcome_messages()[0].to_bytes().unwrap();
    let (mut receiving, _) = join(&bob(), &package.secret, &welcome, None, NOW).unwrap();
    let mut open = |sealed: MlsMessage| receiving.open(&bob(), &sealed.to_bytes().unwrap());

    let beside = group.encrypt_application_message(b"hello", b"beside".to_vec()).unwrap();
    assert_eq!(open(beside), Err(MlsError::Refused));
    let public = group.commit(Vec::new()).unwrap().commit_message().clone();
    assert_eq!(open(public), Err(MlsError::Malformed));
    group.clear_pending_commit();
    let plain = group.encrypt_application_message(b"hello", Vec::new()).unwrap();
    assert_eq!(&*open(plain).unwrap(), b"hello");
}
