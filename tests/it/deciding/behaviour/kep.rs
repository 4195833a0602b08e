//! The stories of KEP-853 (kubernetes/enhancements, `keps/sig-autoscaling/853-configurable-hpa-scale-velocity`),
//! and the examples of "Horizontal Pod Autoscaling", "Configurable scaling behavior", on kubernetes.io.

use novascale::domain::behaviour::{Rates, Select};
use novascale::domain::plan::Tempering;

use super::super::world::World;
use super::{MINUTE, SECOND, at, count, max, percent, select, wants};

/// What is desired at each of so many looks, `pause` apart.
fn looks(world: &mut World, wanted: u32, pause: u32, most: usize) -> Vec<u32> {
    let look = |_| {
        let desired = wants(world, wanted).desired;
        world.now = world.now.plus(pause * SECOND);
        desired
    };
    (0..most).map(look).collect()
}

fn out(current: u32, rates: Rates) -> World {
    let mut world = at(current, 1, 1000);
    world.group.behaviour.scale_out.rates = rates;
    world
}

fn into(current: u32, rates: Rates) -> World {
    let mut world = at(current, 1, 1000);
    world.group.behaviour.scale_in.rates = rates;
    world
}

#[test]
fn story_1_as_fast_as_possible() {
    let mut world = out(1, max(&[percent(900.0, 60)]));
    assert_eq!(looks(&mut world, 1000, 60, 4), [10, 100, 1000, 1000]);
}

#[test]
fn story_2_very_gradually_in() {
    let mut world = into(1000, max(&[count(1, 600)]));
    let desired = looks(&mut world, 1, 60, 21);
    assert_eq!(desired[..10], [999; 10]);
    assert_eq!(desired[10..20], [998; 10]);
    assert_eq!(desired[20], 997);
}

#[test]
fn story_3_very_gradually_out() {
    let mut world = out(1, max(&[count(1, 300)]));
    assert_eq!(looks(&mut world, 100, 300, 4), [2, 3, 4, 5]);
}

#[test]
fn story_4_out_as_usual_and_never_in() {
    let mut world = into(5, select(Select::Disabled, &[]));
    assert_eq!(looks(&mut world, 8, 60, 2), [8, 8]);
    assert_eq!(looks(&mut world, 1, 600, 10), [8; 10]);
    let said = wants(&mut world, 1).tempering;
    assert_eq!(said, [Tempering::Disabled { from: 1, to: 8 }]);
}

#[test]
fn story_5_stabilized_before_the_way_in() {
    let mut world = into(10, max(&[count(5, 60)]));
    world.group.behaviour.scale_in.stabilization = 10 * MINUTE;
    for wanted in [10, 9, 8, 9, 9, 8, 9, 8, 9, 8, 7] {
        assert_eq!(wants(&mut world, wanted).desired, 10);
        world.now = world.now.plus(MINUTE);
    }
    assert_eq!(wants(&mut world, 7).desired, 9, "ten minutes after 10 were wanted last");
}

#[test]
fn story_6_no_false_alarms() {
    let mut world = out(2, max(&[count(20, 60)]));
    world.group.behaviour.scale_out.stabilization = 5 * MINUTE;
    for wanted in [2, 3, 19, 10, 3, 4] {
        assert_eq!(wants(&mut world, wanted).desired, 2);
        world.now = world.now.plus(MINUTE);
    }
    assert_eq!(wants(&mut world, 7).desired, 3, "five minutes after 2 were wanted last");
}

/// "percent 10 or 4 pods a minute": from 80 to 10.
#[test]
fn the_larger_of_a_share_and_a_count() {
    let mut world = into(80, max(&[count(4, 60), percent(10.0, 60)]));
    let desired = looks(&mut world, 10, 60, 15);
    assert_eq!(desired, [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10, 10]);
}

/// "to ensure that no more than 5 pods are removed per minute", and not more than 10 %.
#[test]
fn the_smaller_of_a_share_and_a_count() {
    let mut world = into(80, select(Select::Min, &[count(5, 60), percent(10.0, 60)]));
    assert_eq!(looks(&mut world, 10, 60, 6), [75, 70, 65, 60, 55, 50]);
    let mut world = into(40, select(Select::Min, &[count(5, 60), percent(10.0, 60)]));
    assert_eq!(looks(&mut world, 10, 60, 3), [36, 32, 28], "10 % of 36 and of 32, rounded up");
}

/// The default behaviour of HPA's way out: 4 or 100 % in 15 s.
#[test]
fn the_default_of_hpa() {
    let mut world = out(1, max(&[count(4, 15), percent(100.0, 15)]));
    assert_eq!(looks(&mut world, 100, 15, 6), [5, 10, 20, 40, 80, 100]);
}
