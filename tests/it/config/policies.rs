//! Policies as they are written, and what is said of those that cannot be meant.

use novascale::domain::policy::{
    Adjustment, Aggregate, Alert, Asks, Average, Change, Expression, Fallback, Policy, Step,
    Tolerance, Total,
};
use rstest::rstest;
use std::time::Duration;

use super::Place;

const GROUP: &str = "[cloud]\nuse = \"sandbox\"\n[group.web]\nmin = 1\nmax = 9\nflavor = \"a\"\n\
                     image = \"b\"\nnetworks = [\"c\"]\n";

fn policies(text: &str) -> Vec<Policy> {
    let loaded = Place::with(&format!("{GROUP}{text}")).load();
    loaded.unwrap_or_else(|faults| panic!("{faults}\n{text}")).config.groups[0].policies.clone()
}

fn said(text: &str) -> String {
    let faults = Place::with(&format!("{GROUP}{text}")).load();
    faults.err().unwrap_or_else(|| panic!("this was taken:\n{text}")).to_string()
}

#[test]
fn a_target_is_read_with_its_defaults() {
    let text = "[[group.web.target]]\nsignal = \"cpu\"\naverage = 60\n\
                [[group.web.target]]\nsignal = \"requests\"\nper_server = 100\naggregate = \"p90\"\n\
                window = \"3m\"\ntolerance = \"5%\"\nhold_for = \"30m\"\nfallback = 4\n";
    let all = policies(text);
    let Policy::Average(Average { reading, target, tolerance, warm_up, fallback }) = &all[0] else {
        panic!("{all:?}")
    };
    assert_eq!((reading.signal.as_str(), *target, *fallback), ("cpu", 60.0, None));
    assert_eq!(*tolerance, Tolerance { out: 0.1, into: 0.1 });
    assert_eq!((*warm_up, reading.window), (Duration::from_secs(60), Duration::ZERO));
    let Policy::Total(Total { reading, per_server, tolerance, fallback }) = &all[1] else {
        panic!("{all:?}")
    };
    assert_eq!((*per_server, tolerance.out), (100.0, 0.05));
    let three = Duration::from_secs(180);
    assert_eq!((reading.aggregate, reading.window), (Aggregate::Percentile(90), three));
    let after = Duration::from_secs(1800);
    assert_eq!(*fallback, Some(Fallback { after, capacity: 4 }));
}

#[test]
fn each_direction_may_have_a_tolerance_for_all_targets() {
    let text = "[[group.web.target]]\nsignal = \"cpu\"\naverage = 60\n\
                [[group.web.target]]\nsignal = \"requests\"\nper_server = 100\ntolerance = \"5%\"\n\
                [group.web.scale_out]\ntolerance = \"20%\"\n";
    let all = policies(text);
    let Policy::Average(average) = &all[0] else { panic!("{all:?}") };
    assert_eq!(average.tolerance, Tolerance { out: 0.2, into: 0.1 });
    let Policy::Total(total) = &all[1] else { panic!("{all:?}") };
    assert_eq!(total.tolerance, Tolerance { out: 0.05, into: 0.05 }, "its own counts");
}

#[test]
fn steps_alerts_and_expressions_are_read() {
    let text = "[[group.web.step]]\nsignal = \"cpu\"\nout = [{ from = 60, to = 70, change = 1 }, \
                { from = 70, percent = \"30%\", least = 2 }]\nin = [{ to = 30, exact = 2 }]\n\
                [[group.web.alert]]\nalert = \"Queue High\"\npercent = \"50%\"\n\
                [[group.web.alert]]\nalert = \"Peak\"\ncapacity = 6\n\
                [[group.web.expression]]\nservers = \"ceil(queue / 100)\"\n";
    let all = policies(text);
    let Policy::Step(Step { out, into, flapping_guard, .. }) = &all[0] else { panic!("{all:?}") };
    let range = |from, to, change| Adjustment { from, to, change };
    let percent = Change::Percent { by: 30.0, least: 2 };
    assert_eq!(
        out,
        &[range(Some(60.0), Some(70.0), Change::Servers(1)), range(Some(70.0), None, percent)]
    );
    assert_eq!((into, *flapping_guard), (&vec![range(None, Some(30.0), Change::Exact(2))], true));
    let Policy::Alert(Alert { alert, asks, expires_after }) = &all[1] else { panic!("{all:?}") };
    assert_eq!((alert.as_str(), expires_after.as_secs()), ("Queue High", 5 * 3600));
    let change = Change::Percent { by: 50.0, least: 0 };
    let every = Duration::from_secs(300);
    assert_eq!(*asks, Asks::More { change, every, most: 10_000 });
    assert!(matches!(&all[2], Policy::Alert(Alert { asks: Asks::Capacity(6), .. })));
    let Policy::Expression(expression) = &all[3] else { panic!("{all:?}") };
    let Expression { name, readings, .. } = &**expression;
    assert_eq!((name.as_str(), readings.len()), ("ceil(queue / 100)", 1));
}

const TARGET: &str = "[[group.web.target]]\nsignal = \"cpu\"\n";
const STEP: &str = "[[group.web.step]]\nsignal = \"cpu\"\n";
const ALERT: &str = "[[group.web.alert]]\nalert = \"A\"\n";
const FORMULA: &str = "[[group.web.expression]]\n";

#[rstest]
#[case::nothing_to_reach(TARGET, "", "per_server` is missing")]
#[case::two_goals(TARGET, "per_server = 1\naverage = 2", "both `per_server` and `average`")]
#[case::warm_up_of_a_total(TARGET, "per_server = 1\nwarm_up = \"1m\"", "does not go with")]
#[case::no_window(TARGET, "average = 1\naggregate = \"avg\"", "needs a window")]
#[case::no_aggregate(TARGET, "average = 1\nwindow = \"3m\"", "needs an aggregate")]
#[case::window_of_the_last(
    TARGET,
    "average = 1\nwindow = \"3m\"\naggregate = \"last\"",
    "no meaning for the last"
)]
#[case::stale_beyond_what_is_kept(
    TARGET,
    "average = 1\nwindow = \"3m\"\naggregate = \"avg\"\nstale_after = \"2h\"",
    "is above 1 h, with a window"
)]
#[case::no_such_aggregate(
    TARGET,
    "average = 1\nwindow = \"3m\"\naggregate = \"p10\"",
    "p50 to p99"
)]
#[case::window_too_long(TARGET, "average = 1\nwindow = \"2h\"\naggregate = \"avg\"", "1 s to 1 h")]
#[case::tolerance(TARGET, "average = 1\ntolerance = \"101%\"", "0 to 100 %")]
#[case::average_zero(TARGET, "average = 0", "above 0")]
#[case::average_nan(TARGET, "average = nan", "finite number")]
#[case::hold_alone(TARGET, "average = 1\nhold_for = \"1h\"", "needs a fallback")]
#[case::fallback_alone(TARGET, "average = 1\nfallback = 2", "needs hold_for")]
#[case::no_ranges(STEP, "", "out` is missing")]
#[case::empty_range(STEP, "out = [{ from = 9, to = 9, change = 1 }]", "is empty")]
#[case::endless_range(STEP, "out = [{ change = 1 }]", "from` is missing")]
#[case::range_of_nan(STEP, "out = [{ from = nan, change = 1 }]", "finite")]
#[case::overlap(
    STEP,
    "out = [{ from = 1, to = 5, change = 1 }, { from = 4, change = 2 }]",
    "overlaps"
)]
#[case::no_gap(
    STEP,
    "out = [{ from = 5, change = 1 }]\nin = [{ to = 5, change = 1 }]",
    "leave a gap"
)]
#[case::no_change(STEP, "out = [{ from = 1 }]", "change` is missing")]
#[case::two_changes(STEP, "out = [{ from = 1, change = 1, exact = 2 }]", "says twice")]
#[case::change_of_none(STEP, "out = [{ from = 1, change = 0 }]", "must be 1 to 10000")]
#[case::least_of_a_change(STEP, "out = [{ from = 1, change = 1, least = 2 }]", "`percent` only")]
#[case::minus(STEP, "in = [{ to = 1, percent = \"-5%\" }]", "without a minus")]
#[case::alert_for_nothing(ALERT, "", "change` is missing")]
#[case::alert_twice(ALERT, "change = 1\ncapacity = 2", "does not go with `capacity`")]
#[case::alert_every(ALERT, "capacity = 2\nevery = \"5m\"", "does not go with `capacity`")]
#[case::no_formula(FORMULA, "", "servers` is missing")]
#[case::not_a_formula(FORMULA, "servers = \"queue /\"", "is no formula")]
#[case::no_signal(FORMULA, "servers = \"5 * 2\"", "names no signal")]
#[case::bad_name(FORMULA, "servers = \"{a b} * 2\"", "is no formula")]
fn what_cannot_be_meant_is_refused(
    #[case] section: &str,
    #[case] lines: &str,
    #[case] expected: &str,
) {
    let said = said(&format!("{section}{lines}\n"));
    assert!(said.contains(expected), "{said}");
}

#[rstest]
#[case(TARGET, "average = 1", TARGET, "per_server = 1", "two targets follow")]
#[case(STEP, "out = [{ from = 1, change = 1 }]", STEP, "in = [{ to = 1, change = 1 }]", "two step")]
#[case(ALERT, "change = 1", ALERT, "capacity = 1", "two policies follow the alert")]
#[case(FORMULA, "servers = \"a\"", FORMULA, "servers = \"a\"", "two expressions are called")]
fn no_two_of_a_kind_are_known_by_one_name(
    #[case] one: &str,
    #[case] lines: &str,
    #[case] other: &str,
    #[case] others: &str,
    #[case] expected: &str,
) {
    let said = said(&format!("{one}{lines}\n{other}{others}\n"));
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_group_that_nobody_could_measure_is_warned_of() {
    let text = format!("{GROUP}{TARGET}average = 60\n").replace("min = 1", "min = 0");
    let loaded = Place::with(&text).load().unwrap();
    assert!(
        loaded.warnings[0].reason.contains("may shrink to no servers"),
        "{:?}",
        loaded.warnings
    );
}
