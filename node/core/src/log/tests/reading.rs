//! What counts as not yet read?

use super::*;

/// A kind that this version does not know.
const UNKNOWN: EntryKind = EntryKind(200);

fn unread(holder: &Holder) -> u64 {
    holder.log.unread(|device| device == key(b'a').device())
}

fn reopened(mut holder: Holder) -> Holder {
    holder.log.save(&mut holder.store).unwrap();
    let log = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
    Holder { log, ..holder }
}

/// ```text
/// a1 ─► a2 ─► a3 ─► a4 ─► a5        a2 and a4: of a kind from the future
/// ```
#[test]
fn what_is_not_shown_is_not_unread() {
    let mut dag = Dag::default();
    dag.write("a1", "").write_with("a2", "", |entry| entry.kind = UNKNOWN).write("a3", "");
    dag.write_with("a4", "", |entry| entry.kind = UNKNOWN).write("a5", "");
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 a3", at(HOUR_MS));
    assert_eq!(unread(&holder), 2);
    let mut holder = reopened(holder);
    assert_eq!(unread(&holder), 2, "that survives a restart");
    assert!(holder.log.mark_read());
    assert_eq!(unread(&holder), 0);
    holder.get(&dag, "a4", at(HOUR_MS));
    assert_eq!(unread(&holder), 0);
    holder.get(&dag, "a5", at(HOUR_MS));
    assert_eq!(unread(&holder), 1);
    assert!(holder.log.mark_read());
    assert!(!holder.log.mark_read());
    assert_eq!(unread(&reopened(holder)), 0);
}
