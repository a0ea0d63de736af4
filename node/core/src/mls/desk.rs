//! What does the MLS library see of us? A table with one package or one group on it, for the
//! length of one operation.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kith_common::{ids::DeviceId, keys::SigningKey};
use mls_rs::{
    Client,
    client_builder::{MlsConfig, PaddingMode},
    identity::{CredentialType, SigningIdentity, basic::BasicCredential},
    mls_rules::{DefaultMlsRules, EncryptionOptions},
    time::MlsTime,
};
use mls_rs_core::{
    crypto::SignatureSecretKey,
    error::IntoAnyError,
    extension::{ExtensionList, ExtensionType},
    group::{EpochRecord, GroupState, GroupStateStorage},
    identity::{IdentityProvider, MemberValidationContext},
    key_package::{KeyPackageData, KeyPackageStorage},
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::provider::{Provider, Random, XWING_SUITE};

/// What the library put down or finds: a package's private half, a group's state.
#[derive(Default)]
pub(super) struct Desk(Mutex<Items>);

#[derive(Default)]
struct Items {
    package: Option<(Vec<u8>, KeyPackageData)>,
    state: Option<Zeroizing<Vec<u8>>>,
}

impl Desk {
    pub(super) fn with_state(state: &[u8]) -> Self {
        let state = Some(Zeroizing::new(state.to_vec()));
        Self(Mutex::new(Items { package: None, state }))
    }

    pub(super) fn with_package(reference: &[u8], package: KeyPackageData) -> Self {
        let package = Some((reference.to_vec(), package));
        Self(Mutex::new(Items { package, state: None }))
    }

    pub(super) fn take_state(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.items().state.take()
    }

    pub(super) fn take_package(&self) -> Option<(Vec<u8>, KeyPackageData)> {
        self.items().package.take()
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library as this device. Its key stays outside: the provider signs.
pub(super) fn client<'a>(
    me: &'a SigningKey,
    random: &'a Random,
    desk: &'a Desk,
    lifetime_ms: u64,
) -> Client<impl MlsConfig + 'a> {
    // Padding is done where the size of the whole blob is known.
    let plain_size = EncryptionOptions::new(true, PaddingMode::None);
    Client::builder()
        .crypto_provider(Provider { signer: me, random })
        .identity_provider(Devices)
        .key_package_repo(OnDesk(desk))
        .group_state_storage(OnDesk(desk))
        .mls_rules(DefaultMlsRules::new().with_encryption_options(plain_size))
        .extension_type(ExtensionType::LAST_RESORT_KEY_PACKAGE)
        .key_package_lifetime(core::time::Duration::from_millis(lifetime_ms))
        .signing_identity(identity(me.device()), SignatureSecretKey::new(Vec::new()), XWING_SUITE)
        .build()
}

fn identity(device: DeviceId) -> SigningIdentity {
    let name = BasicCredential::new(device.as_bytes().to_vec());
    SigningIdentity::new(name.into_credential(), device.as_bytes().to_vec().into())
}

/// The device that a leaf names: its name is its signing key.
pub(super) fn device(identity: &SigningIdentity) -> Option<DeviceId> {
    let name = &identity.credential.as_basic()?.identifier;
    let key: [u8; 32] = identity.signature_key[..].try_into().ok()?;
    (name[..] == key).then(|| DeviceId::from_bytes(key))
}

pub(super) fn seconds(millis: u64) -> MlsTime {
    MlsTime::from(millis / 1000)
}

/// A leaf names no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no device")]
pub(super) struct NoDevice;

impl IntoAnyError for NoDevice {}

/// Who may be a member: a device under the name that is its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Devices;

impl IdentityProvider for Devices {
    type Error = NoDevice;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), NoDevice> {
        device(identity).map(|_| ()).ok_or(NoDevice)
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), NoDevice> {
        Err(NoDevice)
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, NoDevice> {
        device(identity).map(|device| device.as_bytes().to_vec()).ok_or(NoDevice)
    }

    fn valid_successor(
        &self,
        one: &SigningIdentity,
        other: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, NoDevice> {
        Ok(device(one).is_some() && one == other)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

/// The desk as the library's storage.
#[derive(Clone, Copy)]
struct OnDesk<'a>(&'a Desk);

impl KeyPackageStorage for OnDesk<'_> {
    type Error = NoDevice;

    fn delete(&mut self, _: &[u8]) -> Result<(), NoDevice> {
        self.0.items().package = None;
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, package: KeyPackageData) -> Result<(), NoDevice> {
        self.0.items().package = Some((id, package));
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, NoDevice> {
        let items = self.0.items();
        let found = items.package.as_ref().filter(|(reference, _)| reference == id);
        Ok(found.map(|(_, package)| package.clone()))
    }
}

impl GroupStateStorage for OnDesk<'_> {
    type Error = NoDevice;

    fn state(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, NoDevice> {
        Ok(self.0.items().state.clone())
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, NoDevice> {
        Ok(None)
    }

    fn write(
        &mut self,
        state: GroupState,
        _: Vec<EpochRecord>,
        _: Vec<EpochRecord>,
    ) -> Result<(), NoDevice> {
        self.0.items().state = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, NoDevice> {
        Ok(None)
    }
}
