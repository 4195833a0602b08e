//! Schedules: what is written, what it means, and what is said of it.

use std::time::Duration;

use novascale::domain::group::Group;
use novascale::domain::schedule::{Lead, When};
use novascale::domain::time::Wall;
use rstest::rstest;

use super::{Place, right};

fn group(extra: &str) -> Group {
    let loaded = Place::with(&right(extra)).load().unwrap_or_else(|faults| panic!("{faults}"));
    loaded.config.groups.into_iter().next().unwrap()
}

fn at(text: &str) -> Wall {
    Wall::parse(text).unwrap()
}

#[test]
fn a_window_that_comes_again_and_again_is_read() {
    let web = group(
        "[[group.web.schedule]]\nname = \"office\"\ncron = \"0 8 * * MON-FRI\"\n\
         end = \"0 18 * * MON-FRI\"\ntimezone = \"Europe/Paris\"\nmin = 4\n",
    );
    let office = &web.schedules[0];
    let window = office.when.next(at("2026-11-27T12:00:00Z")).unwrap();
    assert_eq!(window.from, at("2026-11-30T07:00:00Z"));
    assert_eq!(window.until, Some(at("2026-11-30T17:00:00Z")));
    let given = (office.gives.min, office.gives.max, office.gives.capacity);
    assert_eq!((given, office.lead), ((Some(4), None, None), Lead::Learned));
}

#[test]
fn a_window_that_comes_once_is_read_by_its_zone_or_its_offset() {
    let web = group(
        "[[group.web.schedule]]\nfrom = 2026-12-24T18:00:00\nduration = \"6h\"\n\
         timezone = \"America/New_York\"\nmax = 20\ncapacity = 12\nlead = \"10m\"\n\
         [[group.web.schedule]]\nfrom = \"2026-12-24T18:00:00+01:00\"\nmin = 5\n",
    );
    let (from, until) = (at("2026-12-24T23:00:00Z"), Some(at("2026-12-25T05:00:00Z")));
    assert_eq!(web.schedules[0].when, When::Once { from, until });
    assert_eq!(web.schedules[0].lead, Lead::Fixed(Duration::from_secs(600)));
    let from = at("2026-12-24T17:00:00Z");
    assert_eq!(web.schedules[1].when, When::Once { from, until: None });
    assert_eq!(web.schedules[1].name, "2026-12-24T17:00:00Z");
}

#[test]
fn the_bounds_at_a_time_are_those_of_the_windows_that_are_open() {
    let web = group(
        "[[group.web.schedule]]\ncron = \"0 8 * * *\"\nduration = \"1h\"\nmin = 3\nmax = 500\n",
    );
    assert_eq!(web.bounds_at(at("2026-11-27T07:59:59Z")), web.bounds);
    let open = web.bounds_at(at("2026-11-27T08:00:00Z"));
    assert_eq!((open.min, open.max, web.max_ever()), (3, 500, 500));
}

const CRON: &str = "cron = \"0 8 * * *\"\nmin = 2\n";
const ONCE: &str = "from = 2026-12-24T18:00:00Z\nmin = 2\n";

#[rstest]
#[case("min = 2", "schedule[0].cron` is missing")]
#[case("cron = \"0 8 * * *\"\nduration = \"1h\"", "changes nothing while it is open")]
#[case(CRON, "opens a window that nothing closes")]
#[case(&format!("{CRON}{ONCE}").replacen("min = 2\n", "", 1), "both `cron` and `from`")]
#[case(&format!("{CRON}duration = \"1h\"\nend = \"0 9 * * *\""), "both close the window")]
#[case(&format!("{CRON}until = 2026-12-24T18:00:00Z"), "does not go with `cron`")]
#[case(&format!("{CRON}end = \"0 8 * * *\""), "it closes whenever it opens")]
#[case(&format!("{CRON}duration = \"0s\""), "must be 1 s to 366 d")]
#[case(&format!("{CRON}duration = \"1h\"\nlead = \"2h\""), "is 2 h, but must be 0 s to 1 h")]
#[case(&format!("{CRON}duration = \"1h\"\ntimezone = \"Europe/Pari\""), "mean \"Europe/Paris\"")]
#[case("cron = \"0 25 * * *\"\nduration = \"1h\"\nmin = 1", "its hour, \"25\", is none (0 to 23)")]
#[case("cron = \"0 0 30 2 *\"\nduration = \"1h\"\nmin = 1", "no such date ever comes")]
#[case(&format!("{ONCE}end = \"0 8 * * *\""), "is a cron expression, which goes with `cron`")]
#[case(&format!("{ONCE}until = 2026-12-24T17:00:00Z"), "is not after")]
#[case("from = \"tomorrow\"\nmin = 2", "is no date and time")]
#[case(&format!("{ONCE}max = 10001"), "must be 0 to 10000")]
fn a_bad_schedule_is_refused(#[case] schedule: &str, #[case] said: &str) {
    let refused = Place::with(&right(&format!("[[group.web.schedule]]\n{schedule}\n"))).refused();
    assert!(refused.contains(said), "{refused}");
    assert!(refused.contains("\n1 fault:"), "{refused}");
}

#[test]
fn two_of_one_name_are_refused_and_more_than_max_warns() {
    let one = format!("[[group.web.schedule]]\nname = \"a\"\n{CRON}duration = \"1h\"\n");
    let refused = Place::with(&right(&format!("{one}{one}"))).refused();
    assert!(refused.contains("two schedules are called \"a\""), "{refused}");
    let warnings = Place::with(&right(&format!("{one}capacity = 5000\n"))).warnings();
    assert!(warnings[0].contains("5000, above the group's max"), "{warnings:?}");
}
