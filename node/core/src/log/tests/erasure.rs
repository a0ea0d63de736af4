//! What is deleted?

use super::*;

fn bodies(holder: &Holder, dag: &Dag) -> String {
    let rows = holder.rows();
    let shown = rows.iter().map(|row| {
        let name = dag.name_of(row.position.id);
        match row.body {
            Body::Here(_) => name.to_owned(),
            Body::Missing => format!("?{name}"),
            Body::Deleted => format!("-{name}"),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn four() -> Dag {
    let mut dag = Dag::default();
    dag.write("a1", "").write("a2", "").write("b1", "a2").write("a3", "b1");
    dag
}

#[test]
fn a_body_goes_and_its_header_stays() {
    let dag = four();
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 b1 a3", at(HOUR_MS));
    let gone = holder.log.delete(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(bodies(&holder, &dag), "a1 -a2 b1 a3");
    // Whoever offers it again is not heard.
    holder.get(&dag, "a1 a2 b1 a3", at(HOUR_MS));
    assert_eq!(bodies(&holder, &dag), "a1 -a2 b1 a3");
    assert!(holder.log.delete(&[dag.made["a2"].mark], &mut holder.store).unwrap().is_empty());
}

#[test]
fn what_is_deleted_before_it_comes_comes_without_its_body() {
    let dag = four();
    let mut holder = Holder::new();
    holder.log.delete(&[dag.made["a2"].mark], &mut holder.store).unwrap();
    holder.log.save(&mut holder.store).unwrap();
    let log = Log::load(&holder.store, LOG, holder.log.number()).unwrap();
    let mut holder = Holder { log, ..holder };
    holder.get(&dag, "a1 a2 b1 a3", at(HOUR_MS));
    assert_eq!(bodies(&holder, &dag), "a1 -a2 b1 a3");
}

#[test]
fn a_log_is_cleared_through_marks_whatever_has_come() {
    let dag = four();
    for before in ["", "a1", "a1 a2 b1 a3"] {
        let mut holder = Holder::new();
        holder.get(&dag, before, at(HOUR_MS));
        let through = [dag.made["a2"].mark, dag.made["b1"].mark];
        holder.log.clear(&through, &mut holder.store).unwrap();
        holder.get(&dag, "a1 a2 b1 a3", at(HOUR_MS));
        assert_eq!(bodies(&holder, &dag), "-a1 -a2 -b1 a3", "before: {before}");
        assert_eq!(holder.log.unread(|_| true), 1);
    }
}

#[test]
fn a_body_that_is_missing_is_taken_from_the_next_who_has_it() {
    let mut dag = four();
    let whole = dag.batch("a2");
    dag.made.get_mut("a2").unwrap().carried.body = None;
    let mut holder = Holder::new();
    holder.get(&dag, "a1 a2 b1", at(HOUR_MS));
    assert_eq!(bodies(&holder, &dag), "a1 ?a2 b1");
    assert_eq!(holder.log.missing().count(), 1);
    let received = holder.receive(whole, at(HOUR_MS));
    assert_eq!(received.filled.len(), 1);
    assert_eq!(bodies(&holder, &dag), "a1 a2 b1");
    assert_eq!(holder.log.missing().count(), 0);
}

#[test]
fn what_another_device_has_read_is_read_here_when_it_comes() {
    let dag = four();
    let mut holder = Holder::new();
    holder.get(&dag, "a1", at(HOUR_MS));
    let marks = [dag.made["a2"].mark];
    assert!(holder.log.mark_read_through(&marks, &holder.store).unwrap());
    assert!(!holder.log.mark_read_through(&marks, &holder.store).unwrap());
    assert_eq!(holder.log.unread(|_| true), 0);
    holder.get(&dag, "a2 b1 a3", at(HOUR_MS));
    assert_eq!(holder.log.unread(|_| true), 2);
}
