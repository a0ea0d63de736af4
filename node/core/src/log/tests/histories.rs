//! What if a device writes more histories than there is room for?

use super::*;

/// A thief who had the account for a while wrote with 32 devices four histories each. The recovery words
/// have put them all out, and nothing of them is believed. A new device writes, at once or later.
#[test]
fn a_recovered_person_can_write_again() {
    let mut full = Holder::new();
    let devices: Vec<u8> = (b'A'..=b'Z').chain(b'!'..=b'&').collect();
    for (device, rival) in devices.iter().flat_map(|device| [0, 1, 2, 3].map(|n| (*device, n))) {
        let mut dag = Dag::default();
        let name = format!("{}1", device as char);
        dag.write_with(&name, "", |entry| entry.hlc = Hlc::at(at(1000 + rival)));
        full.get(&dag, &name, at(HOUR_MS));
    }
    assert_eq!(full.rows().len(), AUTHORS_MAX);
    let mut dag = Dag::default();
    dag.write("a1", "").write("b1", "a1");
    full.get(&dag, "a1", at(HOUR_MS));
    assert_eq!(full.refused, [Refusal::AuthorsFull]);
    for device in &devices {
        let cut = Cut { last: None, is_final: true };
        full.log.cut(key(*device).device(), cut, &mut full.store).unwrap();
    }
    for hours in [1, 26] {
        full.log.receive_waiting(at(hours * HOUR_MS), &mut full.store).unwrap();
        full.get(&dag, "a1 b1", at(hours * HOUR_MS));
        full.write(if hours == 1 { b'c' } else { b'd' }, at(hours * HOUR_MS));
    }
    assert_eq!(full.shown(&dag), "a1 b1 ? ?");
    assert!(full.log.take_renumbered(), "others are asked what they have");
    assert_eq!(full.log.chains().count(), AUTHORS_MAX);
    full.log.save(&mut full.store).unwrap();
    assert_eq!(Log::load(&full.store, LOG, LogNumber(1)).unwrap().chains, full.log.chains);
}
