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
    limits::{
        GROUP_MS, LAST_RESORT_KEPT_MS, LAST_RESORT_MS, ONE_TIME_KEPT_MS, PACKAGE_MS,
        PACKAGE_SECRET_BYTES_MAX, PACKAGES_OUT, STOCK_MAX,
    },
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
        // Only the last resort is said again.
        let public = if to.is_none() { package.public.clone() } else { Box::default() };
        self.0.insert(name, Issued { to, made, public });
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
        store.erase_soon();
        Ok(())
    }

    /// How many packages a device is to be given. Of those that it has not used some may not have
    /// come: there is one more a day.
    pub(crate) fn wanted_by(&self, device: DeviceId, now: Timestamp) -> usize {
        let serves = |issued: &&Issued| now < issued.made.plus_millis(PACKAGE_MS);
        let unused = self.0.values().filter(|it| it.to == Some(device)).filter(serves);
        let (count, newest) =
            unused.fold((0, None), |(count, newest), it| (count + 1, newest.max(Some(it.made))));
        let is_old = newest.is_none_or(|made| made.plus_millis(GROUP_MS) <= now);
        let one_more = usize::from(is_old && count < STOCK_MAX);
        PACKAGES_OUT.saturating_sub(count).max(one_more)
    }

    /// The last resort that is not to be replaced yet.
    pub(crate) fn last_resort(&self, now: Timestamp) -> Option<&[u8]> {
        let last = self.0.values().filter(|issued| issued.to.is_none() && issued.made <= now);
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
        let public = reader.bytes("package", PACKAGE_BYTES_MAX)?;
        let public = if to.is_none() { public.into() } else { Box::default() };
        let secret = reader.bytes("secret", PACKAGE_SECRET_BYTES_MAX)?;
        Ok((Issued { to, made, public }, Zeroizing::new(secret.to_vec())))
    })
}

#[cfg(test)]
mod tests {
    use kith_common::keys::SigningKey;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{mls, store::memory::MemoryStore};

    /// What was handed to a device on a session that ended at once may not have come.
    #[test]
    fn packages_that_did_not_come_are_made_up_for() {
        let (me, reader) = (SigningKey::from_seed(&[1; 32]), DeviceId::from_bytes([2; 32]));
        let (mut packages, mut store) = (Packages::default(), MemoryStore::new());
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let begin = Timestamp::from_millis(1_700_000_000_000);
        let wanted = [(0, 3), (0, 0), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 0), (7, 0)];
        for (day, wanted) in wanted {
            let now = begin.plus_millis(day * GROUP_MS);
            assert_eq!(packages.wanted_by(reader, now), wanted, "after {day} days");
            for _ in 0..wanted {
                let package = mls::make_package(&me, now, PACKAGE_MS, false, &mut rng).unwrap();
                packages.add(&package, Some(reader), now, &mut store).unwrap();
            }
        }
        let loaded = Packages::load(&store).unwrap();
        assert_eq!(loaded.wanted_by(reader, begin.plus_millis(9 * GROUP_MS)), 0);
    }
}
