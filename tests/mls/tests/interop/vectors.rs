//! Published vectors: what MLS computes with its primitives, and X-Wing.

use data_encoding::HEXLOWER;
use kith_common::{crypto::suite, keys::SigningKey};
use kith_core::mls::provider::Random;
use mls_rs::{
    CipherSuiteProvider,
    crypto::{HpkeCiphertext, HpkePublicKey, HpkeSecretKey},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;

use crate::classic::{Classic, ClassicSuite};

const BASICS: &str = include_str!("../../vectors/crypto-basics.json");
const XWING: &str = include_str!("../../vectors/xwing.json");

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    HEXLOWER.decode(value[field].as_str().unwrap().as_bytes()).unwrap()
}

/// A key, whose length stands before it.
fn key(value: &Value, field: &str) -> [u8; 32] {
    bytes(value, field)[1..].try_into().unwrap()
}

/// A vector of fewer than 64 bytes, with its length (RFC 9420 §2.1.2).
fn short(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 64);
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn label(value: &Value) -> Vec<u8> {
    short(format!("MLS 1.0 {}", value["label"].as_str().unwrap()).as_bytes())
}

fn expand(suite: &ClassicSuite<'_>, value: &Value, context: &[u8], length: u16) -> Vec<u8> {
    let info = [&length.to_be_bytes()[..], &label(value), &short(context)].concat();
    suite.kdf_expand(&bytes(value, "secret"), &info, usize::from(length)).unwrap().to_vec()
}

#[test]
fn the_working_groups_vectors_come_out() {
    let vectors: Value = serde_json::from_str(BASICS).unwrap();
    let signed = &vectors["sign_with_label"];
    let signer = SigningKey::from_seed(&key(signed, "priv"));
    let random = Random::draw(&mut ChaCha20Rng::from_seed([1; 32]));
    let suite = Classic { signer: &signer, random: &random }.suite();

    let derived = &vectors["derive_secret"];
    assert_eq!(expand(&suite, derived, b"", 32), bytes(derived, "out"));
    let expanded = &vectors["expand_with_label"];
    let context = bytes(expanded, "context");
    assert_eq!(expand(&suite, expanded, &context, 32), bytes(expanded, "out"));
    let tree = &vectors["derive_tree_secret"];
    let generation = u32::try_from(tree["generation"].as_u64().unwrap()).unwrap();
    assert_eq!(expand(&suite, tree, &generation.to_be_bytes(), 32), bytes(tree, "out"));

    let hashed = &vectors["ref_hash"];
    let name = short(hashed["label"].as_str().unwrap().as_bytes());
    let input = [name, short(&bytes(hashed, "value"))].concat();
    assert_eq!(suite.hash(&input).unwrap(), bytes(hashed, "out"));

    let content = [label(signed), short(&bytes(signed, "content"))].concat();
    let public = key(signed, "pub").to_vec().into();
    let signature = suite.sign(&Vec::new().into(), &content).unwrap();
    assert_eq!(signature, bytes(signed, "signature"));
    suite.verify(&public, &signature, &content).unwrap();
}

#[test]
fn the_working_groups_ciphertext_opens() {
    let vectors: Value = serde_json::from_str(BASICS).unwrap();
    let sealed = &vectors["encrypt_with_label"];
    let signer = SigningKey::from_seed(&[1; 32]);
    let random = Random::draw(&mut ChaCha20Rng::from_seed([1; 32]));
    let suite = Classic { signer: &signer, random: &random }.suite();
    let info = [label(sealed), short(&bytes(sealed, "context"))].concat();
    let secret = HpkeSecretKey::from(key(sealed, "priv").to_vec());
    let public = HpkePublicKey::from(key(sealed, "pub").to_vec());
    let ciphertext = HpkeCiphertext {
        kem_output: bytes(sealed, "kem_output"),
        ciphertext: bytes(sealed, "ciphertext"),
    };
    let plain = bytes(sealed, "plaintext");
    assert_eq!(suite.hpke_open(&ciphertext, &secret, &public, &info, None).unwrap()[..], plain);
    let ours = suite.hpke_seal(&public, &info, None, &plain).unwrap();
    assert_eq!(suite.hpke_open(&ours, &secret, &public, &info, None).unwrap()[..], plain);
}

#[test]
fn the_drafts_x_wing_vectors_come_out() {
    let vectors: Vec<Value> = serde_json::from_str(XWING).unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in &vectors {
        let (secret, public) = suite::xwing_keypair(&bytes(vector, "seed")).unwrap();
        assert_eq!(*secret, bytes(vector, "sk"));
        assert_eq!(public, bytes(vector, "pk"));
        let (ciphertext, shared) =
            suite::xwing_encapsulate(&public, &bytes(vector, "eseed")).unwrap();
        assert_eq!(ciphertext, bytes(vector, "ct"));
        assert_eq!(*shared, bytes(vector, "ss"));
        assert_eq!(*suite::xwing_decapsulate(&ciphertext, &secret).unwrap(), bytes(vector, "ss"));
    }
}
