//! What a window of samples comes to.

use rstest::rstest;

use super::*;
use crate::deciding::world::group;
use novascale::domain::policy::Total;
use novascale::domain::signal::Command;

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
    let mut world = measured(windowed("load", aggregate, 130 * SECOND));
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
fn a_window_ends_with_the_newest_sample_and_silence_empties_it_not() {
    let mut world = measured(windowed("load", "sum", 130 * SECOND));
    assert_eq!(wants(&mut world), Some(150));
    world.pass_time(4 * MINUTE);
    assert_eq!(wants(&mut world), Some(150), "as long as the newest is fresh");
    world.measure("load", 7.0);
    assert_eq!(wants(&mut world), Some(7));
    world.pass_time(6 * MINUTE);
    assert!(unknown(&claim(&mut world)), "and then nothing is known");
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

/// Servers that share out a load, until one of them has left.
fn shared_out(policy: Policy) -> (World, Vec<ServerId>) {
    let mut world = fleet(7, policy);
    let all = ids(&world);
    world.measure_on(&all, "cpu", 55.0 / 7.0);
    world.pass();
    world.pass_time(MINUTE);
    world.measure_on(&all, "cpu", 55.0 / 7.0);
    world.order(Command::Set { capacity: 6 });
    world.settle(10);
    world.order(Command::Set { capacity: 0 });
    world.pass_time(MINUTE);
    let stay = ids(&world);
    assert_eq!(stay.len(), 6);
    (world, stay)
}

/// The least, the sum or the average of what each measured holds less than all carry now.
#[rstest]
#[case("min")]
#[case("avg")]
#[case("p50")]
fn a_window_that_began_before_one_left_lets_nothing_go(#[case] aggregate: &str) {
    let total = Total::of(windowed("cpu", aggregate, 3 * MINUTE), 10.0);
    let (mut world, stay) = shared_out(Policy::Total(total));
    for _ in 0..8 {
        world.measure_on(&stay, "cpu", 55.0 / 6.0);
        let decision = world.pass();
        assert_eq!(decision.desired, 6, "55 is 55: {:#?}", decision.sentences());
        world.pass_time(30 * SECOND);
    }
    let all = |claim: &Claim| matches!(claim.source, Source::Target { shifting: 0, .. });
    assert!(all(&claim(&mut world)), "all of the window was measured since it left");
}
