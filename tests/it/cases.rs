//! The table of what went wrong elsewhere (`tests/CASES.md`) tells the truth: every case has its
//! line, and every test, fault and broken controller that a line names exists.

use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../CASES.md");
const CASES: usize = 50;

/// One line of the table: its cells.
struct Case<'t> {
    number: usize,
    covered: &'t str,
    real: &'t str,
}

fn cases(table: &str) -> Vec<Case<'_>> {
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let number = cells.first()?.parse().ok()?;
        let [_, _, _, _, covered, real] = cells[..] else { panic!("six cells: {line}") };
        Some(Case { number, covered, real })
    });
    rows.collect()
}

/// What stands in backquotes.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
}

/// A test `file::name`, a `fault NAME` of the simulation, or a `broken NAME`.
fn exists(thing: &str) -> bool {
    if let Some(fault) = thing.strip_prefix("fault ") {
        source("tests/sim/faults.rs").contains(&format!("\"{fault}\""))
    } else if let Some(broken) = thing.strip_prefix("broken ") {
        source("tests/sim/broken.rs").contains(&format!("Broken::{broken},"))
    } else {
        let (path, name) = thing.split_once("::").unwrap_or((thing, ""));
        !name.is_empty() && source(path).contains(&format!("fn {name}("))
    }
}

#[test]
fn every_case_has_its_line() {
    let numbers: Vec<usize> = cases(TABLE).iter().map(|case| case.number).collect();
    assert_eq!(numbers, (0..CASES).collect::<Vec<_>>());
}

#[test]
fn whatever_a_line_names_exists() {
    let cases = cases(TABLE);
    let things = cases.iter().flat_map(|c| named(c.covered).chain(named(c.real)));
    let missing: Vec<&str> = things.filter(|thing| !exists(thing)).collect();
    assert!(missing.is_empty(), "the table names what is not there: {missing:#?}");
}

/// What has no test says with what it comes.
#[test]
fn every_case_is_covered_or_says_when_it_will_be() {
    for case in cases(TABLE) {
        let covered = named(case.covered).count() > 0 || case.covered.starts_with("comes with ");
        assert!(covered, "case {}: {}", case.number, case.covered);
        assert!(!case.real.is_empty(), "case {}", case.number);
    }
}

/// The gate itself must be able to fail.
#[test]
fn what_is_named_and_is_not_there_is_found() {
    for nothing in [
        "tests/it/cases.rs::no_such_test",
        "tests/it/no_such_file.rs::every_case_has_its_line",
        "tests/it/cases.rs",
        "fault no-such-fault",
        "broken NoSuchController",
    ] {
        assert!(!exists(nothing), "{nothing}");
    }
    let row = "| 7 | what | who | I1 | `fault list-lags`, `a::b` | `c::d` |";
    let case = &cases(row)[0];
    assert_eq!(named(case.covered).collect::<Vec<_>>(), ["fault list-lags", "a::b"]);
    assert_eq!((case.number, case.real), (7, "`c::d`"));
}
