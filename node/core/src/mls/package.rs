//! What must another device have to write to us? A package: two public keys, signed by the device.
//! Whose private half is gone opens nothing any more, so one serves once, if there are enough.

use core::fmt;

use kith_common::{ids::DeviceId, keys::SigningKey, time::Timestamp};
use mls_rs::{
    CryptoProvider, KeyPackage, MlsMessage,
    crypto::HpkePublicKey,
    group::{LeafNode, LeafNodeSource},
    mls_rs_codec::{MlsDecode, MlsEncode},
    time::MlsTime,
};
use mls_rs_core::{
    extension::{Extension, ExtensionList, ExtensionType},
    key_package::KeyPackageData,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    MlsError, PackageRef,
    desk::{Desk, client, device, seconds},
    provider::{Provider, Random, XWING_SUITE},
    read,
    state::{with_sum, without_sum},
};
use crate::limits::{PACKAGE_EARLY_MS_MAX, PACKAGE_LATE_MS_MAX};
use kith_common::limits::PACKAGE_BYTES_MAX;

/// First byte of a stored private half.
const VERSION: u8 = 1;

/// A package of this device and its private half.
#[derive(Debug)]
pub struct Package {
    /// What others get.
    pub public: Box<[u8]>,
    /// What opens the welcome that was made with it.
    pub secret: PackageSecret,
}

/// The private half of a package.
pub struct PackageSecret {
    reference: PackageRef,
    last_resort: bool,
    data: KeyPackageData,
}

impl PackageSecret {
    /// The package.
    pub const fn reference(&self) -> PackageRef {
        self.reference
    }

    /// Whether it may serve more than once.
    pub const fn last_resort(&self) -> bool {
        self.last_resort
    }

    /// When the package ends.
    pub const fn ends(&self) -> Timestamp {
        Timestamp::from_millis(self.data.expiration.saturating_mul(1000))
    }

    /// For the store.
    ///
    /// # Errors
    /// [`MlsError::State`] if the library does not encode it.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(PACKAGE_BYTES_MAX + 256));
        bytes.push(VERSION);
        bytes.push(u8::from(self.last_resort));
        bytes.extend_from_slice(self.reference.as_bytes());
        self.data.mls_encode(&mut bytes).map_err(|_| MlsError::State)?;
        Ok(with_sum(bytes))
    }

    /// From the store.
    ///
    /// # Errors
    /// [`MlsError::State`] if it is not what [`to_bytes`](Self::to_bytes) made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        let (&[VERSION, last_resort @ 0..=1], rest) =
            without_sum(bytes)?.split_first_chunk().ok_or(MlsError::State)?
        else {
            return Err(MlsError::State);
        };
        let (reference, mut rest) = rest.split_first_chunk().ok_or(MlsError::State)?;
        let data = KeyPackageData::mls_decode(&mut rest).map_err(|_| MlsError::State)?;
        let reference = PackageRef::from_bytes(*reference);
        let secret = Self { reference, last_resort: last_resort == 1, data };
        rest.is_empty().then_some(secret).ok_or(MlsError::State)
    }

    pub(super) fn desk(&self, now: Timestamp) -> Result<Desk, MlsError> {
        if now > self.ends().plus_millis(PACKAGE_LATE_MS_MAX) {
            return Err(MlsError::Lifetime);
        }
        Ok(Desk::with_package(self.reference.as_bytes(), self.data.clone()))
    }
}

impl fmt::Debug for PackageSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackageSecret({:?}, ..)", self.reference)
    }
}

/// Makes a package that is good for `lifetime_ms` from now on. One of last resort may serve more
/// than once.
///
/// # Errors
/// [`MlsError::Refused`] if the library does not make it.
pub fn make_package(
    me: &SigningKey,
    now: Timestamp,
    lifetime_ms: u64,
    last_resort: bool,
    rng: &mut dyn CryptoRng,
) -> Result<Package, MlsError> {
    let (random, desk) = (Random::draw(rng), Desk::default());
    let mut extensions = ExtensionList::new();
    if last_resort {
        extensions.set(Extension::new(ExtensionType::LAST_RESORT_KEY_PACKAGE, Vec::new()));
    }
    let message = client(me, &random, &desk, lifetime_ms).generate_key_package_message(
        extensions,
        ExtensionList::new(),
        Some(seconds(now.millis())),
    )?;
    let (reference, data) = desk.take_package().ok_or(MlsError::Refused)?;
    let reference = PackageRef::read(&reference)?;
    let public = message.to_bytes()?.into_boxed_slice();
    Ok(Package { public, secret: PackageSecret { reference, last_resort, data } })
}

/// A package that may be used.
#[derive(Clone)]
pub struct CheckedPackage {
    owner: DeviceId,
    reference: PackageRef,
    last_resort: bool,
    from: Timestamp,
    until: Timestamp,
    message: MlsMessage,
}

impl CheckedPackage {
    /// Whose it is.
    pub const fn owner(&self) -> DeviceId {
        self.owner
    }

    /// Its name.
    pub const fn reference(&self) -> PackageRef {
        self.reference
    }

    /// Whether it may serve more than once.
    pub const fn last_resort(&self) -> bool {
        self.last_resort
    }

    /// When it ends.
    pub const fn ends(&self) -> Timestamp {
        self.until
    }

    pub(super) fn into_message(self, now: Timestamp) -> Result<(MlsMessage, Timestamp), MlsError> {
        let moment = self.moment(now)?;
        Ok((self.message, moment))
    }

    /// The moment at which it is used: a clock that is behind that of its owner counts as right.
    fn moment(&self, now: Timestamp) -> Result<Timestamp, MlsError> {
        let early = now.plus_millis(PACKAGE_EARLY_MS_MAX) < self.from;
        (!early && now <= self.until).then(|| now.max(self.from)).ok_or(MlsError::Lifetime)
    }
}

impl fmt::Debug for CheckedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedPackage({:?} of {:?})", self.reference, self.owner)
    }
}

/// Reads a package as received, and tries whether a group of `me` with its owner can be made of it.
///
/// # Errors
/// [`MlsError::TooLarge`], [`MlsError::Malformed`], [`MlsError::Suite`],
/// [`MlsError::OtherDevice`], [`MlsError::Lifetime`], [`MlsError::Forged`], [`MlsError::Refused`].
pub fn check_package(
    me: &SigningKey,
    bytes: &[u8],
    owner: DeviceId,
    now: Timestamp,
) -> Result<CheckedPackage, MlsError> {
    let message = read(bytes, PACKAGE_BYTES_MAX)?;
    let package = message.as_key_package().ok_or(MlsError::Malformed)?;
    if package.cipher_suite() != XWING_SUITE {
        return Err(MlsError::Suite);
    }
    if device(package.signing_identity()) != Some(owner) || me.device() == owner {
        return Err(MlsError::OtherDevice);
    }
    let (from, until) = lifetime(package)?;
    let last_resort = package.extensions.has_extension(ExtensionType::LAST_RESORT_KEY_PACKAGE);
    let reference = reference(me, package)?;
    let checked = CheckedPackage { owner, reference, last_resort, from, until, message };
    let moment = checked.moment(now)?;
    // The library checks a package only when it adds its owner; this group is thrown away.
    let (random, desk) = (Random::none(), Desk::default());
    super::sending::pair(me, checked.message.clone(), moment, &random, &desk)?;
    Ok(checked)
}

fn reference(me: &SigningKey, package: &KeyPackage) -> Result<PackageRef, MlsError> {
    let random = Random::none();
    let suite = Provider { signer: me, random: &random }
        .cipher_suite_provider(XWING_SUITE)
        .ok_or(MlsError::Suite)?;
    PackageRef::read(&package.to_reference(&suite)?)
}

/// From when until when it is good: the leaf says so, which stands behind version, suite and key.
fn lifetime(package: &KeyPackage) -> Result<(Timestamp, Timestamp), MlsError> {
    let bytes = package.mls_encode_to_vec().map_err(|_| MlsError::Malformed)?;
    let (_, mut rest) = bytes.split_at_checked(4).ok_or(MlsError::Malformed)?;
    HpkePublicKey::mls_decode(&mut rest).map_err(|_| MlsError::Malformed)?;
    let leaf = LeafNode::mls_decode(&mut rest).map_err(|_| MlsError::Malformed)?;
    let LeafNodeSource::KeyPackage(lifetime) = leaf.leaf_node_source else {
        return Err(MlsError::Malformed);
    };
    Ok((timestamp(lifetime.not_before), timestamp(lifetime.not_after)))
}

fn timestamp(time: MlsTime) -> Timestamp {
    Timestamp::from_millis(time.seconds_since_epoch().saturating_mul(1000))
}
