//! Target tracking of the whole load.

use rstest::rstest;

use super::*;
use novascale::domain::policy::Total;

fn total() -> Policy {
    let tolerance = Tolerance { out: 0.1, into: 0.05 };
    Policy::Total(Total { tolerance, ..Total::of(reading("cpu"), 10.0) })
}

#[rstest]
#[case(218.0, 20, true)]
#[case(222.0, 23, false)]
#[case(191.0, 20, true)]
#[case(189.0, 19, false)]
fn a_load_near_what_those_desired_carry_moves_nothing(
    #[case] load: f64,
    #[case] expected: u32,
    #[case] stays: bool,
) {
    let mut world = fleet(20, total());
    world.measure("cpu", load);
    let claim = claim(&mut world);
    let Source::Target { tolerated, .. } = claim.source else { panic!("{claim}") };
    assert_eq!((claim.wants.number(), tolerated), (Some(expected), stays), "{claim}");
}

#[test]
fn what_is_unknown_says_how_old_its_last_sample_is() {
    let mut world = fleet(2, total());
    assert!(claim(&mut world).to_string().contains("no sample came yet"));
    world.measure("cpu", 20.0);
    world.pass_time(7 * MINUTE);
    let said = claim(&mut world).to_string();
    assert!(said.contains("its last sample is 7 min old"), "{said}");
}
