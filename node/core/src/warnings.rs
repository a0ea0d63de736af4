//! What is a person to be told about the devices of contacts? Only of devices that were recognised.

use std::{collections::BTreeMap, fmt};

use kith_common::ids::DeviceId;

use crate::limits::KNOWN_DEVICES_MAX;

/// Something about a contact that only a person can put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// The account has more devices than can be known: the newest are left out.
    TooManyDevices,
    /// Our clock and theirs differ by so much that no session comes up.
    ClocksApart {
        /// By about how many days, from 2.
        days: u64,
    },
}

impl Warning {
    /// The warning as a sentence about somebody with this name.
    pub const fn about(self, name: &str) -> Sentence<'_> {
        Sentence { warning: self, name }
    }
}

/// A warning with the name of whom it is about; says what to do.
#[derive(Debug, Clone, Copy)]
pub struct Sentence<'a> {
    warning: Warning,
    name: &'a str,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match self.warning {
            Warning::ClocksApart { days } => write!(
                f,
                "The clock of this device or of {name}'s differs by about {days} days: check date \
                 and time"
            ),
            Warning::TooManyDevices => write!(
                f,
                "Not all devices of {name} can be known, for your contacts have too many in all \
                 ({KNOWN_DEVICES_MAX} fit): remove somebody"
            ),
        }
    }
}

/// The newest warning about each device; gone when the process ends.
#[derive(Debug, Default)]
pub(crate) struct Warnings(BTreeMap<DeviceId, Warning>);

impl Warnings {
    /// Keeps or takes back the warning about a device. Returns whether anything changed.
    pub(crate) fn set(&mut self, device: DeviceId, warning: Option<Warning>) -> bool {
        let before = match warning {
            Some(warning) => self.0.insert(device, warning),
            None => self.0.remove(&device),
        };
        before != warning
    }

    /// Forgets devices that are no longer known: there are never more warnings than known devices.
    pub(crate) fn retain(&mut self, is_known: impl Fn(DeviceId) -> bool) {
        self.0.retain(|device, _| is_known(*device));
    }

    /// The gravest warning about these devices.
    pub(crate) fn gravest(&self, devices: impl Iterator<Item = DeviceId>) -> Option<Warning> {
        devices.filter_map(|device| self.0.get(&device)).max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn device(name: u8) -> DeviceId {
        DeviceId::from_bytes([name; 32])
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut warnings = Warnings::default();
        let (two, three) = (Warning::ClocksApart { days: 2 }, Warning::ClocksApart { days: 3 });
        assert!(!warnings.set(device(1), None));
        assert!(warnings.set(device(1), Some(two)));
        assert!(!warnings.set(device(1), Some(two)));
        assert!(warnings.set(device(2), Some(three)));
        assert_eq!(warnings.gravest([1, 2, 3].map(device).into_iter()), Some(three));
        assert!(warnings.set(device(2), None));
        assert_eq!(warnings.gravest([1, 2, 3].map(device).into_iter()), Some(two));
        warnings.retain(|known| known != device(1));
        assert_eq!(warnings.gravest([1, 2, 3].map(device).into_iter()), None);
    }

    #[test]
    fn a_warning_says_what_to_do() {
        assert_eq!(
            Warning::ClocksApart { days: 3 }.about("Bob").to_string(),
            "The clock of this device or of Bob's differs by about 3 days: check date and time"
        );
        assert_eq!(
            Warning::TooManyDevices.about("Bob").to_string(),
            "Not all devices of Bob can be known, for your contacts have too many in all (4096 \
             fit): remove somebody"
        );
    }
}
