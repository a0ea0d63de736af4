//! Does a group keep what it promises, and is everything else refused?

mod groups;
mod hostile;
mod insider;
mod secrecy;

use kith_common::{ids::DeviceId, keys::SigningKey, time::Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Far from any real clock: nothing may look at one.
const NOW: Timestamp = Timestamp::from_millis(500 * 365 * DAY_MS);

fn alice() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn bob() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

fn mallory() -> SigningKey {
    SigningKey::from_seed(&[66; 32])
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn package_of(owner: &SigningKey, seed: u8) -> Package {
    make_package(owner, NOW, 30 * DAY_MS, false, &mut rng(seed)).unwrap()
}

fn begin(me: &SigningKey, package: &[u8], owner: DeviceId, seed: u8) -> (Sending, Vec<u8>) {
    let checked = check_package(me, package, owner, NOW).unwrap();
    Sending::begin(me, checked, NOW, &mut rng(seed)).unwrap()
}

/// Alice writes, bob reads.
struct Pair {
    alice: SigningKey,
    bob: SigningKey,
    sending: Sending,
    receiving: Receiving,
    secret: PackageSecret,
    welcome: Vec<u8>,
}

fn pair() -> Pair {
    let (alice, bob) = (alice(), bob());
    let package = package_of(&bob, 7);
    let (sending, welcome) = begin(&alice, &package.public, bob.device(), 8);
    let (receiving, from) =
        join(&bob, &package.secret, &welcome, Some(alice.device()), NOW).unwrap();
    assert_eq!(from, alice.device());
    Pair { alice, bob, sending, receiving, secret: package.secret, welcome }
}

impl Pair {
    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.sending.seal(&self.alice, plain, &mut rng(9)).unwrap()
    }

    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, MlsError> {
        self.receiving.open(&self.bob, sealed).map(|plain| plain.to_vec())
    }
}
