//! Suite 3 with a member that computes with RustCrypto: commits and messages, both ways.

use kith_common::keys::SigningKey;
use kith_core::mls::provider::Random;
use mls_rs::{
    CipherSuite, CipherSuiteProvider, Client, CryptoProvider, Group,
    client_builder::MlsConfig,
    crypto::{SignaturePublicKey, SignatureSecretKey},
    group::ReceivedMessage,
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::classic::Classic;

const SUITE: CipherSuite = CipherSuite::CURVE25519_CHACHA;

fn client<P: CryptoProvider + Clone>(
    provider: P,
    suite: CipherSuite,
    secret: SignatureSecretKey,
    public: SignaturePublicKey,
) -> Client<impl MlsConfig> {
    let name = BasicCredential::new(public.to_vec()).into_credential();
    Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(provider)
        .signing_identity(SigningIdentity::new(name, public), secret, suite)
        .build()
}

fn rustcrypto() -> Client<impl MlsConfig> {
    let provider = RustCryptoProvider::default();
    let (secret, public) =
        provider.cipher_suite_provider(SUITE).unwrap().signature_key_generate().unwrap();
    client(provider, SUITE, secret, public)
}

fn say<A: MlsConfig, B: MlsConfig>(from: &mut Group<A>, to: &mut Group<B>, text: &[u8]) {
    let sealed = from.encrypt_application_message(text, Vec::new()).unwrap();
    let ReceivedMessage::ApplicationMessage(opened) = to.process_incoming_message(sealed).unwrap()
    else {
        panic!("it is a message");
    };
    assert_eq!(opened.data(), text);
}

fn commit<A: MlsConfig, B: MlsConfig>(from: &mut Group<A>, to: &mut Group<B>) {
    let commit = from.commit(Vec::new()).unwrap();
    from.apply_pending_commit().unwrap();
    to.process_incoming_message(commit.commit_message().clone()).unwrap();
}

fn pair<A: MlsConfig, B: MlsConfig>(a: &Client<A>, b: &Client<B>) -> (Group<A>, Group<B>) {
    let none = mls_rs::ExtensionList::new;
    let package = b.generate_key_package_message(none(), none(), None).unwrap();
    let mut ours = a.group_builder().unwrap().build().unwrap();
    let commit = ours.commit_builder().add_member(package).unwrap().build().unwrap();
    ours.apply_pending_commit().unwrap();
    let (theirs, _) = b.join_group(None, &commit.welcome_messages()[0], None).unwrap();
    (ours, theirs)
}

fn talk<A: MlsConfig, B: MlsConfig>(one: &mut Group<A>, other: &mut Group<B>) {
    for round in 0..10_u8 {
        say(one, other, &[round]);
        commit(other, one);
        say(other, one, b"answer");
        commit(one, other);
    }
}

#[test]
fn a_member_on_rustcrypto_joins_and_is_joined() {
    let signer = SigningKey::from_seed(&[1; 32]);
    let random = Random::draw(&mut ChaCha20Rng::from_seed([2; 32]));
    let ours = Classic { signer: &signer, random: &random };
    let public = signer.public().to_vec().into();
    let ours = client(ours, SUITE, SignatureSecretKey::new(Vec::new()), public);
    let theirs = rustcrypto();

    let (mut one, mut other) = pair(&ours, &theirs);
    talk(&mut one, &mut other);
    let (mut one, mut other) = pair(&theirs, &ours);
    talk(&mut one, &mut other);
}
