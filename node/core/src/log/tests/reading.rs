//! What counts as not yet read?

use kith_common::codec::Writer;

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

#[test]
fn a_log_that_was_kept_without_that_count_can_be_read() {
    let mut writer = Writer::new();
    writer.map(3).uint(0).uint(1).uint(1).uint(7).uint(2).array(1);
    writer.array(7).bytes(key(b'a').device().as_bytes());
    writer.uint(5).uint(9).bytes(&[1; 32]).uint(5).bool(true).uint(2);
    let mut holder = Holder::new();
    holder.store.put_record(RecordKind::Log, LOG.as_bytes(), &writer.finish()).unwrap();
    holder.log = Log::load(&holder.store, LOG, LogNumber(1)).unwrap();
    assert_eq!((holder.log.number(), unread(&holder)), (LogNumber(7), 3));
}
