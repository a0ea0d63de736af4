//! Does the order of coming matter? Random DAGs in random batches against a slow, obvious order.

use proptest::prelude::*;

use super::*;

const DEVICES: u8 = 4;

/// One entry to write: by whom, behind whose newest entries, when, and whether its signature is
/// then broken.
type Stroke = (u8, Vec<bool>, u64, bool);

fn strokes() -> impl Strategy<Value = Vec<Stroke>> {
    let parents = proptest::collection::vec(any::<bool>(), usize::from(DEVICES));
    let stroke = (0..DEVICES, parents, 0..60_000_u64, proptest::bool::weighted(0.15));
    proptest::collection::vec(stroke, 1..24)
}

/// Draws the DAG; the newest entry of each device keeps its signature.
fn draw(strokes: &[Stroke]) -> (Dag, Vec<String>) {
    let (mut dag, mut names) = (Dag::default(), Vec::new());
    let mut count = [0_u64; DEVICES as usize];
    let last = |device: u8| strokes.iter().rposition(|stroke| stroke.0 == device);
    for (index, (device, with, ms, broken)) in strokes.iter().enumerate() {
        let name = |device: u8, seq: u64| format!("{}{seq}", (b'a' + device) as char);
        let parents: Vec<String> = (0..DEVICES)
            .filter(|other| other != device && with[usize::from(*other)])
            .filter(|other| count[usize::from(*other)] > 0)
            .map(|other| name(other, count[usize::from(other)]))
            .collect();
        count[usize::from(*device)] += 1;
        let own = name(*device, count[usize::from(*device)]);
        dag.write_at(&own, &parents.join(" "), *ms);
        if *broken && last(*device) != Some(index) {
            dag.spoil(&own);
        }
        names.push(own);
    }
    (dag, names)
}

/// The order by its definition: everything behind what it depends on, then by clock, then by id.
fn obvious_order(dag: &Dag) -> String {
    fn eff(dag: &Dag, id: EntryId) -> u64 {
        let entry = &dag.made[dag.name_of(id)].entry;
        let below = entry.prev.into_iter().chain(entry.parents.iter().map(|parent| parent.id));
        below.map(|below| eff(dag, below) + 1).fold(entry.hlc.bits(), u64::max)
    }
    let mut all: Vec<(u64, EntryId, &str)> = dag
        .made
        .iter()
        .map(|(name, made)| (eff(dag, made.mark.id), made.mark.id, name.as_str()))
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(.., name)| name).collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_order_of_coming_does_not_matter(
        strokes in strokes(),
        shuffle in proptest::collection::vec(any::<u16>(), 24),
        cuts in proptest::collection::vec(1..6_usize, 24),
        doubled in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let (dag, names) = draw(&strokes);
        let mut coming: Vec<&String> = names.iter().collect();
        coming.extend(names.iter().zip(&doubled).filter(|(_, twice)| **twice).map(|(name, _)| name));
        let mut order: Vec<usize> = (0..coming.len()).collect();
        order.sort_by_key(|index| (shuffle[index % 24], index.wrapping_mul(7) % 11));
        let mut coming: VecDeque<&String> =
            order.into_iter().map(|index| coming[index]).collect();
        let mut holder = Holder::new();
        for cut in cuts.iter().cycle() {
            let batch: Vec<&str> =
                coming.drain(..(*cut).min(coming.len())).map(String::as_str).collect();
            if batch.is_empty() {
                break;
            }
            holder.get(&dag, &batch.join(" "), at(HOUR_MS));
        }
        prop_assert_eq!(holder.shown(&dag), obvious_order(&dag));
        prop_assert_eq!(holder.log.pending_count(), 0);
        for row in holder.rows() {
            let made = &dag.made[dag.name_of(row.position.id)];
            prop_assert_eq!(&row.envelope, &made.carried.envelope);
            prop_assert_eq!(row.body.bytes(), made.carried.body.as_deref());
        }
        let depths: Vec<u64> = holder.rows().iter().map(|row| row.depth).collect();
        let claimed: Vec<u64> =
            holder.rows().iter().map(|row| dag.made[dag.name_of(row.position.id)].entry.depth).collect();
        prop_assert_eq!(depths, claimed);
    }
}
