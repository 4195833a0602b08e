//! What a window of samples comes to.

use rstest::rstest;

use super::*;
use crate::deciding::world::group;
use novascale::domain::policy::Total;

/// A sample every half minute, the oldest three minutes old.
fn measured(reading: Reading) -> World {
    let mut world = World::new(group(0, 10_000), 1);
    world.group.policies = vec![Policy::Total(Total::of(reading, 1.0))];
    for value in [90.0, 10.0, 20.0, 30.0, 40.0, 50.0] {
        world.measure("load", value);
        world.pass_time(30 * SECOND);
    }
    // The listing of the next look takes a moment.
    world.now = world.now.plus(Duration::from_millis(500));
    world
}

#[rstest]
#[case::last("last", 50)]
#[case::avg("avg", 30)]
#[case::max("max", 50)]
#[case::min("min", 10)]
#[case::sum("sum", 150)]
#[case::p50("p50", 30)]
#[case::p90("p90", 50)]
#[case::p99("p99", 50)]
fn the_samples_of_the_window_count(#[case] aggregate: &str, #[case] expected: u32) {
    // All but the first.
    let mut world = measured(windowed("load", aggregate, 160 * SECOND));
    assert_eq!(wants(&mut world), Some(expected));
}

#[test]
fn percentiles_are_those_of_the_nearest_rank() {
    // Source: NIST's "nearest rank"; 15, 20, 35, 40, 50: the 30th to 40th is 20, the 50th 35.
    let of = |p: u8| Aggregate::Percentile(p).of(&mut [35.0, 50.0, 15.0, 40.0, 20.0]).unwrap();
    assert_eq!(
        (of(50), of(60), of(61), of(80), of(81), of(99)),
        (35.0, 35.0, 40.0, 40.0, 50.0, 50.0)
    );
    assert_eq!(Aggregate::Percentile(99).of(&mut []), None);
    assert!(Aggregate::parse("p49").is_none() && Aggregate::parse("p100").is_none());
}

#[test]
fn what_leaves_the_window_counts_no_more() {
    let mut world = measured(windowed("load", "max", 185 * SECOND));
    assert_eq!(wants(&mut world), Some(90));
    world.pass_time(10 * SECOND);
    assert_eq!(wants(&mut world), Some(50));
    world.pass_time(4 * MINUTE);
    assert_eq!(wants(&mut world), Some(50), "the newest is known as long as it is fresh");
    world.pass_time(2 * MINUTE);
    assert!(unknown(&claim(&mut world)), "and then nothing is");
}

#[test]
fn each_server_has_a_window_of_its_own() {
    let reading = windowed("cpu", "avg", 3 * MINUTE);
    let mut world = fleet(2, Policy::Average(Average { reading, ..average(10.0) }));
    for (one, other) in [(10.0, 40.0), (30.0, 80.0)] {
        report(&mut world, &[Some(one), Some(other)]);
        world.pass_time(MINUTE);
    }
    assert_eq!(wants(&mut world), Some(8), "20 and 60");
}

#[test]
fn a_window_is_looked_at_as_often_as_hpa_looks() {
    let mut world = measured(windowed("load", "avg", 150 * SECOND));
    world.observe();
    let decision = world.decide();
    let next = decision.next_look.since(decision.at.steady);
    assert!(next <= 15 * SECOND, "{next:?}");
}
