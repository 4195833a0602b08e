//! Target tracking of an average, by HPA's own cases.
//!
//! The numbers of the tables are those of Kubernetes' `replica_calculator_test.go`, by the names of
//! the cases there, in percent of a request or as plain metrics. Where HPA tells its two kinds of
//! metrics apart, it is the plain one: a missing pod counts as the target on the way in.
//! Source: <https://github.com/kubernetes/kubernetes/tree/master/pkg/controller/podautoscaler>.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use novascale::domain::signal::Command;

/// A server that serves, with what it measures; or one that does not count.
#[derive(Debug, Clone, Copy)]
enum Pod {
    Ready(f64),
    Missing,
    /// In BUILD, though it reports.
    Pending(f64),
    /// It began to serve a moment ago.
    Hot(f64),
    Failed(f64),
    Deleted(f64),
    /// It reports no more, and told this last.
    Silent(f64),
}
use Pod::{Deleted, Failed, Hot, Missing, Pending, Ready, Silent};

fn asked(desired: u32, target: f64, pods: &[Pod]) -> Claim {
    let n = u32::try_from(pods.len()).unwrap();
    let mut world = fleet(n, Policy::Average(average(target)));
    for (id, pod) in ids(&world).iter().zip(pods) {
        if let Silent(value) = pod {
            world.measure_on(std::slice::from_ref(id), "cpu", *value);
        }
    }
    world.pass_time(6 * MINUTE);
    let now = world.now.steady;
    world.memory.as_mut().unwrap().desired = Some(desired);
    for (id, pod) in ids(&world).iter().zip(pods) {
        let value = match pod {
            Missing | Silent(_) => continue,
            Ready(v) | Pending(v) | Hot(v) | Failed(v) | Deleted(v) => *v,
        };
        world.measure_on(std::slice::from_ref(id), "cpu", value);
        match pod {
            Pending(_) => status(&mut world, id, Status::Build),
            Failed(_) => status(&mut world, id, Status::Error),
            Deleted(_) => world.cloud.get_mut(id).unwrap().deleting = true,
            Hot(_) => world.known.get_mut(id).unwrap().serves_since = Some(now),
            Ready(_) | Missing | Silent(_) => {}
        }
    }
    // A build within its patience: it was seen a moment ago.
    world.known.values_mut().for_each(|known| known.first_seen = now);
    claim(&mut world)
}

#[rstest]
#[case::scale_up(3, 30.0, &[Ready(30.0), Ready(50.0), Ready(70.0)], 5)]
#[case::scale_up_unready_less_scale(3, 30.0, &[Pending(30.0), Ready(50.0), Ready(70.0)], 4)]
#[case::scale_up_hot_less_scale(3, 30.0, &[Hot(30.0), Ready(50.0), Ready(70.0)], 4)]
#[case::scale_up_unready_no_scale(3, 30.0, &[Ready(40.0), Pending(50.0), Pending(70.0)], 3)]
#[case::scale_hot_no_scale(3, 30.0, &[Ready(40.0), Hot(50.0), Hot(70.0)], 3)]
#[case::scale_up_ignores_failed(2, 30.0, &[Ready(50.0), Ready(70.0), Failed(9.0), Failed(9.0)], 4)]
#[case::scale_up_ignores_deletion(
    2, 30.0, &[Ready(50.0), Ready(70.0), Deleted(9.0), Deleted(9.0)], 4
)]
#[case::scale_up_cm(3, 15.0, &[Ready(20.0), Ready(10.0), Ready(30.0)], 4)]
#[case::scale_down(5, 50.0, &[Ready(10.0), Ready(30.0), Ready(50.0), Ready(25.0), Ready(25.0)], 3)]
#[case::scale_down_cm(
    5, 20.0, &[Ready(12.0), Ready(12.0), Ready(12.0), Ready(12.0), Ready(12.0)], 3
)]
#[case::scale_down_include_unready(
    5, 50.0, &[Ready(10.0), Ready(30.0), Ready(50.0), Pending(25.0), Pending(25.0)], 2
)]
#[case::scale_down_exclude_unscheduled(
    5, 50.0, &[Ready(10.0), Pending(0.0), Pending(0.0), Pending(0.0), Pending(0.0)], 1
)]
#[case::scale_down_ignore_hot(
    5, 50.0, &[Ready(10.0), Ready(30.0), Ready(50.0), Hot(25.0), Hot(25.0)], 2
)]
#[case::scale_down_ignores_failed(
    5,
    50.0,
    &[Ready(10.0), Ready(30.0), Ready(50.0), Ready(25.0), Ready(25.0), Failed(9.0), Failed(9.0)],
    3
)]
#[case::tolerance(3, 100.0, &[Ready(101.0), Ready(103.0), Ready(102.0)], 3)]
#[case::tolerance_cm(3, 20.0, &[Ready(20.0), Ready(21.0), Ready(21.0)], 3)]
#[case::missing(4, 100.0, &[Ready(40.0), Ready(9.5), Missing, Missing], 3)]
#[case::missing_no_change_eq(2, 100.0, &[Ready(100.0), Missing], 2)]
#[case::missing_no_change_gt(2, 100.0, &[Ready(190.0), Missing], 2)]
#[case::missing_no_change_lt(2, 100.0, &[Ready(60.0), Missing], 2)]
#[case::missing_unready_change(3, 50.0, &[Pending(10.0), Ready(45.0), Missing], 3)]
#[case::missing_hot_no_change(3, 50.0, &[Hot(10.0), Ready(45.0), Missing], 3)]
#[case::missing_unready_scale_up(3, 50.0, &[Pending(10.0), Ready(200.0), Missing], 4)]
#[case::missing_hot_scale_up(3, 50.0, &[Hot(10.0), Ready(200.0), Missing], 4)]
#[case::rolling_update_with_surge(2, 50.0, &[Ready(10.0), Ready(10.0), Missing], 2)]
fn hpa_would_say_the_same(
    #[case] desired: u32,
    #[case] target: f64,
    #[case] pods: &[Pod],
    #[case] expected: u32,
) {
    let claim = asked(desired, target, pods);
    assert_eq!(claim.wants.number(), Some(expected), "{claim}");
}

/// What those that count carry asks for it, however few were desired and however young others are.
#[rstest]
#[case::at_the_target(&[Ready(99.0), Ready(99.0), Ready(99.0), Pending(0.0)], 3)]
#[case::above_it(&[Ready(110.0), Ready(110.0), Ready(110.0), Pending(0.0)], 4)]
#[case::beside_one_that_is_silent(&[Ready(99.0), Ready(99.0), Ready(99.0), Missing], 3)]
fn where_more_are_there_than_desired_a_load_that_needs_them_keeps_them(
    #[case] pods: &[Pod],
    #[case] expected: u32,
) {
    assert_eq!(asked(1, 100.0, pods).wants.number(), Some(expected));
}

/// What is assumed of the silent and the young slows, and never turns; where it turns, or comes near
/// the target, what was desired stays, and only there.
#[rstest]
#[case::the_young_bring_it_near(3, &[Ready(80.0), Ready(80.0), Pending(0.0)], 3, true)]
#[case::at_the_target_the_young_turn_nothing(3, &[Ready(50.0), Hot(0.0), Hot(0.0)], 3, true)]
#[case::the_silent_turn_it(3, &[Ready(120.0), Missing, Missing], 3, true)]
#[case::out_as_desired(3, &[Ready(70.0), Ready(70.0)], 3, false)]
#[case::out_as_desired_beside_a_silent_one(4, &[Ready(100.0), Ready(100.0), Missing], 4, false)]
#[case::in_as_desired_beside_a_silent_one(3, &[Ready(30.0), Ready(30.0), Missing], 3, false)]
#[case::a_last_word_turns_it(
    5, &[Ready(10.0), Silent(190.0), Hot(0.0), Hot(0.0), Hot(0.0)], 5, true
)]
fn what_is_assumed_turns_nothing(
    #[case] desired: u32,
    #[case] pods: &[Pod],
    #[case] expected: u32,
    #[case] stays: bool,
) {
    let claim = asked(desired, 50.0, pods);
    let Source::Average { tolerated, .. } = claim.source else { panic!("{claim}") };
    assert_eq!((claim.wants.number(), tolerated), (Some(expected), stays), "{claim}");
}

/// Who does not count is told beside: the young, of them those that carry load that may go, and
/// those whose load others take over.
#[rstest]
#[case(3, &[Ready(10.0), Hot(0.0), Hot(0.0), Pending(0.0), Pending(0.0), Failed(9.0)], 4, 2, 1)]
#[case(3, &[Ready(50.0), Hot(0.0), Hot(0.0)], 2, 0, 0)]
#[case(3, &[Ready(10.0), Ready(10.0), Ready(10.0), Deleted(9.0), Deleted(9.0)], 0, 0, 2)]
fn who_does_not_count_is_told(
    #[case] desired: u32,
    #[case] pods: &[Pod],
    #[case] expected_young: u32,
    #[case] expected_warming: u32,
    #[case] expected_shifting: u32,
) {
    let claim = asked(desired, 50.0, pods);
    let Source::Average { young, warming, shifting, .. } = claim.source else { panic!("{claim}") };
    let expected = (expected_young, expected_warming, expected_shifting);
    assert_eq!((young, warming, shifting), expected, "{claim}");
}

#[test]
fn a_server_counts_from_the_end_of_its_warm_up_on() {
    for (early, expected) in [(1, 2), (0, 0)] {
        let mut world = fleet(2, Policy::Average(average(60.0)));
        report(&mut world, &[Some(60.0); 2]);
        world.observe();
        let since = world.now.steady.minus(MINUTE).plus(Duration::from_millis(early));
        world.known.values_mut().for_each(|known| known.serves_since = Some(since));
        let Source::Average { young, .. } = world.decide().claims[1].source else { panic!("cpu") };
        assert_eq!(young, expected, "{early} ms early");
    }
}

#[test]
fn the_computed_tolerance_of_hpa_holds() {
    // 10 pods at 50 % of their requests: 10 % below a target of 55.5 % they stay, above they go.
    let pods = [Ready(50.0); 10];
    assert_eq!(asked(10, 55.4, &pods).wants.number(), Some(10));
    assert_eq!(asked(10, 56.0, &pods).wants.number(), Some(9));
}

/// One value for all: HPA's Object metrics with a value as their target.
#[rstest]
#[case::scale_up_cm_object(3, 15.0, 20.0, 4)]
#[case::scale_down_cm_object(5, 20.0, 12.0, 3)]
#[case::tolerance_cm_object(3, 20.0, 20.666, 3)]
#[case::scale_down_cm_external(5, 14.334, 8.6, 3)]
#[case::tolerance_cm_external(3, 8.888, 8.6, 3)]
fn one_value_for_all_is_a_load(
    #[case] n: u32,
    #[case] target: f64,
    #[case] value: f64,
    #[case] expected: u32,
) {
    let mut world = fleet(n, Policy::Average(average(target)));
    world.pass();
    world.measure("cpu", value);
    assert_eq!(wants(&mut world), Some(expected));
}

#[test]
fn a_value_counts_for_the_servers_that_were_ready_when_it_was_measured() {
    let mut world = fleet(4, Policy::Average(average(60.0)));
    world.pass();
    world.measure("cpu", 90.0);
    let decision = world.pass();
    assert_eq!(decision.desired, 6, "4 x 90 is 6 x 60");
    // The two that come share the load: the same value does not count for six of them.
    for _ in 0..5 {
        world.pass_time(5 * SECOND);
        let decision = world.pass();
        assert_eq!(decision.desired, 6, "{:#?}", decision.sentences());
    }
    assert_eq!(world.members(), 6);
    world.measure("cpu", 60.0);
    assert_eq!(world.pass().desired, 6);
}

/// Of one that no look can tell anything of, nothing tells that it stopped.
#[test]
fn one_value_counts_for_a_server_of_which_nothing_is_known_now() {
    let mut world = fleet(4, Policy::Average(average(60.0)));
    let id = ids(&world)[0].clone();
    status(&mut world, &id, Status::Unknown);
    world.measure("cpu", 90.0);
    let claim = claim(&mut world);
    let Source::Average { value, servers, .. } = claim.source else { panic!("{claim}") };
    assert_eq!((claim.wants.number(), value, servers), (Some(6), Some(90.0), 4));
}

#[test]
fn a_fleet_that_grows_asks_for_no_less_above_its_target() {
    let mut world = fleet(4, Policy::Average(average(60.0)));
    world.order(Command::Set { capacity: 0 });
    world.pass();
    world.measure("cpu", 120.0);
    assert_eq!(world.pass().desired, 8);
    world.measure("cpu", 75.0);
    let decision = world.pass();
    assert_eq!((decision.desired, decision.tally.serving), (8, 4), "5 would do for the 4");
}

#[test]
fn who_falls_silent_counts_with_its_last_word_on_the_way_in() {
    let mut world = fleet(4, Policy::Average(average(60.0)));
    report(&mut world, &[Some(90.0), Some(10.0), Some(10.0), Some(10.0)]);
    assert_eq!(wants(&mut world), Some(2), "120 in all");
    world.pass_time(6 * MINUTE);
    let silent = ids(&world)[0].clone();
    let others: Vec<_> = ids(&world).into_iter().skip(1).collect();
    world.measure_on(&others, "cpu", 10.0);
    let claim = claim(&mut world);
    assert_eq!(claim.wants.number(), Some(2), "{silent} may still measure 90: {claim}");
    assert!(claim.to_string().contains("1 server reports nothing"), "{claim}");
}

/// One more stands than is desired: HPA's rule, that what is assumed never turns the direction, is
/// kept all the same.
#[test]
fn where_those_who_measure_need_more_the_silent_and_the_young_take_nothing_away() {
    let pods = [Ready(8.4), Missing, Hot(1.0), Hot(1.0), Hot(1.0), Hot(1.0)];
    let claim = asked(5, 8.0, &pods);
    assert_eq!(claim.wants.number(), Some(5), "{claim}");
    let pods = [Ready(9.9), Missing, Hot(1.0), Hot(1.0), Hot(1.0), Hot(1.0)];
    let claim = asked(5, 8.0, &pods);
    assert_eq!(claim.wants.number(), Some(5), "{claim}");
}

#[test]
fn without_a_server_that_counts_it_is_unknown() {
    let mut world = fleet(2, Policy::Average(average(60.0)));
    assert!(unknown(&claim(&mut world)), "nobody has measured");
    report(&mut world, &[Some(0.0), Some(0.0)]);
    let now = world.now.steady;
    world.known.values_mut().for_each(|known| known.serves_since = Some(now));
    let young = claim(&mut world);
    assert!(unknown(&young) && young.blind(), "{young}");
    report(&mut world, &[Some(5.0), None]);
    let busy = claim(&mut world);
    assert_eq!(busy.wants.number(), Some(1), "there is work: {busy}");
    assert!(busy.blind(), "and nobody can tell how much");
}

#[test]
fn one_value_measured_while_nobody_was_ready_tells_of_work_at_most() {
    let mut world = settled(0, 10, 0);
    world.group.policies = vec![Policy::Average(average(60.0))];
    world.pass();
    world.measure("cpu", 80.0);
    let decision = world.pass();
    assert_eq!(decision.desired, 1, "{:#?}", decision.sentences());
    let mut world = settled(0, 10, 0);
    world.group.policies = vec![Policy::Average(average(60.0))];
    world.pass();
    world.measure("cpu", 0.0);
    assert!(unknown(&claim(&mut world)));
}

#[test]
fn nothing_goes_before_those_that_came_count() {
    let mut world = fleet(4, Policy::Average(average(60.0)));
    world.order(Command::Set { capacity: 0 });
    report(&mut world, &[Some(92.5); 4]);
    assert_eq!(world.pass().desired, 7);
    for _ in 0..4 {
        world.pass_time(5 * SECOND);
        world.pass();
    }
    report(&mut world, &[Some(52.9); 7]);
    let decision = world.pass();
    assert_eq!(decision.desired, 7, "{:?}", decision.sentences());
    world.pass_time(2 * MINUTE);
    report(&mut world, &[Some(52.9); 7]);
    assert_eq!(world.pass().desired, 7, "and now they do");
}

#[test]
fn what_nobody_could_build_is_no_need_of_an_average() {
    let mut world = fleet(5, Policy::Average(average(60.0)));
    world.quota = 5;
    world.order(Command::Set { capacity: 20 });
    report(&mut world, &[Some(58.0); 5]);
    world.pass();
    world.order(Command::Set { capacity: 0 });
    report(&mut world, &[Some(58.0); 5]);
    assert_eq!(wants(&mut world), Some(5));
}

#[test]
fn while_load_shifts_nothing_is_taken() {
    let mut world = fleet(6, Policy::Average(average(60.0)));
    world.order(Command::Set { capacity: 1 });
    report(&mut world, &[Some(50.0); 6]);
    assert_eq!(world.pass().desired, 5);
    assert_eq!(world.cloud.values().filter(|s| s.deleting).count(), 1, "one is on its way out");
    // Its load is with the others before they have told so.
    let decision = world.pass();
    assert_eq!(decision.desired, 5, "{:#?}", decision.sentences());
}

#[test]
fn load_of_one_that_left_is_missed_until_the_others_have_told() {
    let mut world = fleet(6, Policy::Average(average(60.0)));
    world.order(Command::Set { capacity: 1 });
    report(&mut world, &[Some(40.0); 6]);
    assert_eq!(world.pass().desired, 4);
    for _ in 0..3 {
        let decision = world.pass();
        assert_eq!(decision.desired, 4, "{:#?}", decision.sentences());
        world.pass_time(6 * SECOND);
    }
    assert_eq!(world.members(), 4, "they are gone");
    report(&mut world, &[Some(40.0); 4]);
    assert_eq!(world.pass().desired, 3);
}

#[test]
fn the_sentence_says_what_it_rests_on() {
    let average = Average { reading: windowed("cpu", "avg", 3 * MINUTE), ..average(60.0) };
    let mut world = fleet(5, Policy::Average(average));
    report(&mut world, &[Some(84.0); 5]);
    let decision = world.pass();
    let said = decision.sentences();
    assert_eq!(
        said[0],
        "7 wanted: cpu averaged 84 over the last 3 min on 5 servers, at its target 60 that wants 7."
    );
}

fn pod() -> impl Strategy<Value = Pod> {
    prop_oneof![
        4 => (0.0..200.0f64).prop_map(Ready),
        1 => Just(Missing),
        1 => (0.0..200.0f64).prop_map(Pending),
        1 => (0.0..200.0f64).prop_map(Hot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// More load on whoever reports never asks for fewer servers.
    #[test]
    fn more_load_never_asks_for_fewer(
        pods in proptest::collection::vec(pod(), 1..8),
        desired in 1u32..10,
        target in 1.0..150.0f64,
        more in 0.0..100.0f64,
        which in any::<prop::sample::Index>(),
    ) {
        let mut heavier = pods.clone();
        let at = which.index(pods.len());
        if let Ready(value) = &mut heavier[at] {
            *value += more;
        }
        let less = asked(desired, target, &pods);
        let more = asked(desired, target, &heavier);
        prop_assert!(
            less.wants.number() <= more.wants.number(), "{less} but with more load {more}"
        );
    }
}

/// 36 in all, then 22: the one that left with the first is not missed twice with the second.
#[test]
fn who_left_before_a_sample_was_measured_is_not_taken_off_it_again() {
    // It may also be long on its way.
    for delete_hangs in [0, 100] {
        let mut world = fleet(5, Policy::Average(average(10.0)));
        world.faults.delete_hangs = delete_hangs;
        world.order(Command::Set { capacity: 0 });
        world.measure("cpu", 36.0 / 5.0);
        assert_eq!(world.pass().desired, 4);
        for _ in 0..5 {
            world.pass_time(6 * SECOND);
            world.measure("cpu", 36.0 / 4.0);
            assert_eq!(world.pass().desired, 4);
        }
        world.measure("cpu", 22.0 / 4.0);
        let decision = world.pass();
        assert_eq!((decision.desired, decision.plan.len()), (3, 1));
        world.pass_time(SECOND);
        let decision = world.pass();
        assert_eq!(decision.desired, 3, "{:#?}", decision.sentences());
    }
}

/// The count of before holds until the pass that finds more, though one was told to go meanwhile.
#[test]
fn who_came_meanwhile_was_not_ready_before() {
    let mut world = fleet(4, Policy::Average(average(60.0)));
    world.faults.delete_hangs = 100;
    world.order(Command::Set { capacity: 0 });
    world.measure("cpu", 40.0);
    let told = world.pass();
    assert_eq!((told.desired, told.plan.len()), (3, 1));
    world.add_by_hand();
    world.add_by_hand();
    world.pass_time(6 * SECOND);
    assert_eq!(world.pass().tally.serving, 5);
    let memory = world.memory.unwrap();
    assert_eq!(memory.ready_at(told.at.steady.plus(SECOND)), Some(4));
}

/// 27 in all: what all measure on average is told right after one was told to go.
#[test]
fn who_was_told_to_go_is_not_ready_any_more_when_the_next_sample_is_measured() {
    let mut world = fleet(4, Policy::Average(average(10.0)));
    world.order(Command::Set { capacity: 0 });
    world.measure("cpu", 27.0 / 4.0);
    let decision = world.pass();
    assert_eq!((decision.desired, decision.plan.len()), (3, 1));
    world.pass_time(SECOND);
    world.measure("cpu", 27.0 / 3.0);
    for _ in 0..10 {
        let decision = world.pass();
        assert_eq!(decision.desired, 3, "{:#?}", decision.sentences());
        world.pass_time(6 * SECOND);
    }
    assert_eq!(world.members(), 3);
}
