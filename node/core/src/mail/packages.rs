//! What can others begin with? KeyPackages of this device and their private halves (spec 09 R6).

use std::collections::BTreeMap;

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    ids::DeviceId,
    limits::PACKAGE_BYTES_MAX,
    time::Timestamp,
};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    limits::{LAST_RESORT_KEPT_MS, LAST_RESORT_MS, ONE_TIME_KEPT_MS, PACKAGE_SECRET_BYTES_MAX},
    mls::{Package, PackageRef, PackageSecret},
    store::{RecordKind, Store, StoreError},
};

/// A package that was handed out.
#[derive(Debug, Clone)]
struct Issued {
    /// For which device; `None`: the last resort, for whoever has no other.
    to: Option<DeviceId>,
    made: Timestamp,
    public: Box<[u8]>,
}

/// All of them; the private halves stay in the store.
#[derive(Debug, Default)]
pub(crate) struct Packages(BTreeMap<PackageRef, Issued>);

impl Packages {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut packages = BTreeMap::new();
        for (key, mut value) in store.records(RecordKind::Package)? {
            let issued = decode(&value).map(|(issued, _)| issued);
            value.zeroize();
            let issued =
                issued.map_err(|error| StoreError::new("Reading a KeyPackage of ours", error))?;
            if let Ok(name) = <[u8; 32]>::try_from(key) {
                packages.insert(PackageRef::from_bytes(name), issued);
            }
        }
        Ok(Self(packages))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a new package.
    pub(crate) fn add(
        &mut self,
        package: &Package,
        to: Option<DeviceId>,
        made: Timestamp,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let mut writer = Writer::new();
        writer.array(5).uint(1);
        match &to {
            Some(device) => writer.array(1).bytes(device.as_bytes()),
            None => writer.array(0),
        };
        let secret = package.secret.to_bytes();
        let secret = secret.map_err(|error| StoreError::new("Keeping a KeyPackage", error))?;
        writer.uint(made.millis()).bytes(&package.public).bytes(&secret);
        let mut value = writer.finish();
        let name = package.secret.reference();
        let put = store.put_record(RecordKind::Package, name.as_bytes(), &value);
        value.zeroize();
        put?;
        self.0.insert(name, Issued { to, made, public: package.public.clone() });
        Ok(())
    }

    /// The private half of a package.
    pub(crate) fn secret(
        &self,
        name: &PackageRef,
        store: &dyn Store,
    ) -> Result<Option<PackageSecret>, StoreError> {
        if !self.0.contains_key(name) {
            return Ok(None);
        }
        let Some(mut value) = store.record(RecordKind::Package, name.as_bytes())? else {
            return Ok(None);
        };
        let secret = decode(&value).map(|(_, secret)| secret);
        value.zeroize();
        let secret = secret.ok().and_then(|secret| PackageSecret::from_bytes(&secret).ok());
        secret.map(Some).ok_or_else(|| StoreError::new("Reading a KeyPackage of ours", "damaged"))
    }

    /// A package was used: it opens nothing any more.
    pub(crate) fn remove(
        &mut self,
        name: &PackageRef,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        self.0.remove(name);
        store.remove_record(RecordKind::Package, name.as_bytes())?;
        store.erase();
        Ok(())
    }

    /// How many packages a device has that it has not used.
    pub(crate) fn with(&self, device: DeviceId) -> usize {
        self.0.values().filter(|issued| issued.to == Some(device)).count()
    }

    /// The last resort that is not to be replaced yet.
    pub(crate) fn last_resort(&self, now: Timestamp) -> Option<&[u8]> {
        let last = self.0.values().filter(|issued| issued.to.is_none());
        let newest = last.max_by_key(|issued| issued.made);
        newest.filter(|it| now < it.made.plus_millis(LAST_RESORT_MS)).map(|it| &*it.public)
    }

    /// Forgets what nobody can have used any more.
    pub(crate) fn purge(
        &mut self,
        now: Timestamp,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let kept_ms = |issued: &Issued| {
            if issued.to.is_some() { ONE_TIME_KEPT_MS } else { LAST_RESORT_KEPT_MS }
        };
        let old = self.0.iter().filter(|(_, it)| it.made.plus_millis(kept_ms(it)) <= now);
        let old: Vec<PackageRef> = old.map(|(name, _)| *name).collect();
        old.iter().try_for_each(|name| self.remove(name, store))
    }

    /// Forgets what was handed to a device that is not to be heard any more.
    pub(crate) fn forget(
        &mut self,
        device: DeviceId,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let theirs = self.0.iter().filter(|(_, issued)| issued.to == Some(device));
        let theirs: Vec<PackageRef> = theirs.map(|(name, _)| *name).collect();
        theirs.iter().try_for_each(|name| self.remove(name, store))
    }
}

fn decode(bytes: &[u8]) -> Result<(Issued, Zeroizing<Vec<u8>>), DecodeError> {
    Reader::all(bytes, |reader| {
        reader.tuple("package", 5)?;
        reader.uint_max("version", 1)?;
        let to = match reader.array("device", 1)? {
            0 => None,
            _ => Some(DeviceId::from_bytes(reader.fixed("device")?)),
        };
        let made = Timestamp::from_millis(reader.uint()?);
        let public = reader.bytes("package", PACKAGE_BYTES_MAX)?.into();
        let secret = reader.bytes("secret", PACKAGE_SECRET_BYTES_MAX)?;
        Ok((Issued { to, made, public }, Zeroizing::new(secret.to_vec())))
    })
}
