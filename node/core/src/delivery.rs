//! Who has received what? Only signed frontiers of the other side's devices count (spec 04 R6).

use std::collections::BTreeMap;

use kith_common::{entry::Mark, frontier::Frontier, ids::DeviceId};

/// How far a message has got, as the recipients' devices themselves have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    /// On our devices only.
    Queued,
    /// On at least one device of the recipient.
    Delivered,
    /// On every device of the recipient.
    DeliveredAll,
    /// Read on at least one device, if the recipient shares that.
    Read,
}

impl DeliveryState {
    /// The word that people and programs see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::DeliveredAll => "delivered_all",
            Self::Read => "read",
        }
    }
}

/// The highest number of each chain, by the device that wrote it.
pub type Reached = BTreeMap<DeviceId, u64>;

/// What one device has signed that it received and read, in all its frontiers together: one that is
/// behind in a chain, since that was cut, takes nothing back and says the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    received: Reached,
    read: Reached,
}

impl Receipt {
    /// Takes a frontier in. Returns whether anything advanced.
    pub fn advance(&mut self, frontier: &Frontier) -> bool {
        let received = raise(&mut self.received, &frontier.received);
        let read = raise(&mut self.read, &frontier.read);
        received || read
    }

    /// How far a chain was received.
    pub fn received(&self, author: DeviceId) -> u64 {
        self.received.get(&author).copied().unwrap_or(0)
    }

    /// How far a chain was read.
    pub fn read(&self, author: DeviceId) -> u64 {
        self.read.get(&author).copied().unwrap_or(0)
    }
}

/// The state of the `seq`-th entry of `author`, given the receipts of the recipient's devices.
pub fn state<'r>(
    author: DeviceId,
    seq: u64,
    receipts: impl Iterator<Item = Option<&'r Receipt>>,
) -> DeliveryState {
    let (mut some, mut all, mut read) = (false, true, false);
    for receipt in receipts {
        let has = receipt.is_some_and(|receipt| receipt.received(author) >= seq);
        some |= has;
        all &= has;
        read |= receipt.is_some_and(|receipt| receipt.read(author) >= seq);
    }
    match (some, all, read) {
        (true, _, true) => DeliveryState::Read,
        (true, true, false) => DeliveryState::DeliveredAll,
        (true, false, false) => DeliveryState::Delivered,
        (false, ..) => DeliveryState::Queued,
    }
}

/// Returns whether anything rose.
fn raise(reached: &mut Reached, marks: &[Mark]) -> bool {
    let mut any = false;
    for mark in marks {
        let seq = reached.entry(mark.device).or_default();
        any |= mark.seq > *seq;
        *seq = mark.seq.max(*seq);
    }
    any
}

#[cfg(test)]
mod tests {
    use kith_common::ids::{EntryId, LogId};

    use super::*;

    fn device(name: u8) -> DeviceId {
        DeviceId::from_bytes([name; 32])
    }

    fn frontier(received: &[(u8, u64)], read: &[(u8, u64)]) -> Frontier {
        let marks = |list: &[(u8, u64)]| {
            list.iter()
                .map(|(name, seq)| Mark {
                    device: device(*name),
                    seq: *seq,
                    id: EntryId::from_bytes([0; 32]),
                })
                .collect()
        };
        let log = LogId::from_bytes([0; 32]);
        Frontier { log, received: marks(received), read: marks(read) }
    }

    #[test]
    fn a_receipt_only_advances() {
        let mut receipt = Receipt::default();
        assert!(receipt.advance(&frontier(&[(1, 5)], &[])));
        assert!(!receipt.advance(&frontier(&[(1, 5)], &[])));
        assert!(!receipt.advance(&frontier(&[(1, 4)], &[])));
        // What the first device wrote was cut, what the second one wrote goes on.
        assert!(receipt.advance(&frontier(&[(1, 4), (2, 9)], &[])));
        assert_eq!(receipt.received(device(1)), 5);
        assert_eq!(receipt.received(device(2)), 9);
        assert!(receipt.advance(&frontier(&[(1, 5)], &[(1, 3)])));
        assert!(receipt.advance(&frontier(&[(1, 6)], &[])));
        assert_eq!(receipt.read(device(1)), 3);
        // Read marks are shared no longer: nothing new, however often that is heard.
        assert!(!receipt.advance(&frontier(&[(1, 6)], &[])));
    }

    #[test]
    fn the_state_never_claims_more_than_the_receipts() {
        let receipt = |received: &[(u8, u64)], read: &[(u8, u64)]| {
            let mut receipt = Receipt::default();
            receipt.advance(&frontier(received, read));
            receipt
        };
        let (none, has) = (receipt(&[], &[]), receipt(&[(1, 5)], &[]));
        let read = receipt(&[(1, 5)], &[(1, 5)]);
        for (receipts, expected) in [
            (vec![None], DeliveryState::Queued),
            (vec![Some(&none), None], DeliveryState::Queued),
            (vec![Some(&has), None], DeliveryState::Delivered),
            (vec![Some(&has), Some(&none)], DeliveryState::Delivered),
            (vec![Some(&has), Some(&has)], DeliveryState::DeliveredAll),
            (vec![Some(&read), None], DeliveryState::Read),
        ] {
            assert_eq!(state(device(1), 5, receipts.clone().into_iter()), expected);
            assert_eq!(state(device(1), 6, receipts.into_iter()), DeliveryState::Queued);
        }
    }
}
