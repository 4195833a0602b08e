//! The import law: which part may know which, and what the pure core must never call.
//!
//! It reads the `use` lines and paths of every file below `src/`. Test modules at the
//! foot of a file are judged like the rest: a part that needs another one to be tested
//! is tested in `tests/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use novascale::killpoint;

/// Part of the crate → the parts it may name. `store::` and `cloud::` have seams of their
/// own, checked below.
const LAW: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("decide", &["domain"]),
    ("config", &["domain"]),
    ("cloud", &["domain", "config", "killpoint"]),
    ("store", &["domain", "killpoint"]),
    ("control", &["domain", "decide", "cloud", "store", "killpoint"]),
    ("http", &["domain", "store", "control", "config", "clock", "telemetry", "killpoint"]),
    ("clock", &["domain"]),
    ("telemetry", &[]),
    ("killpoint", &[]),
    ("cli", &["app", "config", "domain", "telemetry"]),
    (
        "app",
        &[
            "clock",
            "cloud",
            "config",
            "control",
            "decide",
            "domain",
            "http",
            "killpoint",
            "store",
            "telemetry",
        ],
    ),
];

const PARTS: [&str; 12] = [
    "domain",
    "decide",
    "config",
    "cloud",
    "store",
    "control",
    "http",
    "clock",
    "telemetry",
    "killpoint",
    "cli",
    "app",
];

/// Part → texts that may not stand in it, each with the reason.
const BANNED: [(&str, &[&str], &str); 7] = [
    (
        "domain",
        &["tokio", "reqwest", "axum", "tracing", "rand::", "sqlx", "Instant::now", "SystemTime"],
        "the nouns do no work: no IO, no clock, no dice, no log",
    ),
    (
        "decide",
        &["tokio", "reqwest", "axum", "tracing", "rand::", "sqlx", "Instant::now", "SystemTime"],
        "deciding is pure: time and dice are handed in",
    ),
    ("decide", &["async fn", "HashMap", "HashSet"], "no waiting, and no order that chance gives"),
    (
        "control",
        &["openstack", "sandbox", "sqlite", "store::memory", "crate::http", "crate::config"],
        "the loops know the seams, not who stands behind them",
    ),
    ("control", &["Timestamp::now", "SystemTime", "rand::rng("], "one clock, handed in"),
    ("http", &["crate::cloud", "crate::decide"], "a request never reaches the cloud"),
    ("cloud", &["SystemTime::now", "Timestamp::now"], "one clock, handed in"),
];

fn files(part: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.join(part)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push((path.clone(), code(&fs::read_to_string(&path).unwrap())));
        }
    }
    let single = root.join(format!("{part}.rs"));
    if single.is_file() {
        found.push((single.clone(), code(&fs::read_to_string(&single).unwrap())));
    }
    assert!(!found.is_empty(), "no file in src/{part}: the law would judge nothing");
    found
}

/// The file without its comments: prose may name what code must not.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn named_parts(code: &str) -> BTreeSet<String> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn every_part_keeps_the_import_law() {
    let mut broken = Vec::new();
    for (part, allowed) in LAW {
        for (path, code) in files(part) {
            for named in named_parts(&code) {
                if named != part && !allowed.contains(&named.as_str()) {
                    broken.push(format!("{} names crate::{named}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "the import law is broken:\n{}", broken.join("\n"));
}

#[test]
fn no_part_says_what_is_banned_there() {
    let mut broken = Vec::new();
    for (part, words, reason) in BANNED {
        for (path, code) in files(part) {
            for word in words.iter().filter(|word| code.contains(*word)) {
                broken.push(format!("{} says {word:?}: {reason}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "banned:\n{}", broken.join("\n"));
}

#[test]
fn only_run_spawns_and_selects_in_control() {
    for (path, code) in files("control") {
        let spawns = path.ends_with("control/run.rs");
        let selects = spawns || path.parent().unwrap().ends_with("control/run");
        for (word, may) in [("spawn(", spawns), ("select!", selects)] {
            assert!(may || !code.contains(word), "{}: {word}", path.display());
        }
        let unbiased = code.matches("select! {").count() > code.matches("biased;").count();
        assert!(!unbiased, "{}: a select without `biased`", path.display());
    }
}

#[test]
fn requests_reach_the_loops_through_their_handle_only() {
    for (path, code) in files("http") {
        for named in code.split("crate::control").skip(1) {
            assert!(named.starts_with("::handle"), "{} names more of control", path.display());
        }
    }
}

/// Shipped code is the code under test: a switch for tests would make two programs of it.
#[test]
fn only_test_modules_know_of_tests() {
    let switched = |code: &str| {
        let mut after = code.split("cfg(test)").skip(1).map(|rest| rest.trim_start_matches(")]"));
        after.any(|rest| !rest.trim_start_matches(']').trim_start().starts_with("mod tests"))
    };
    for (path, code) in PARTS.into_iter().flat_map(files) {
        assert!(!switched(&code), "{}: cfg(test) on something else", path.display());
    }
}

/// A debug build dies where it is told to, and differs from a shipped one in nothing else. Every
/// point that the sources name stands in the table whose points are all tried.
#[test]
fn only_points_to_die_at_know_of_debug_builds() {
    for (path, code) in PARTS.into_iter().flat_map(files) {
        let may = path.ends_with("src/killpoint.rs");
        assert!(may || !code.contains("cfg(debug_assertions)"), "{}", path.display());
        assert!(!code.contains("cfg!(debug_assertions)"), "{}", path.display());
        for named in code.split("killpoint::reached(\"").skip(1) {
            let point = named.split('"').next().unwrap();
            let known = killpoint::ALL.iter().any(|(name, _)| *name == point);
            assert!(known, "{}: {point} stands in no table", path.display());
        }
    }
}

#[test]
fn the_clock_and_the_statuses_of_failures_have_one_place_each() {
    let places = [
        ("SystemTime::now", "src/clock.rs", "the wall clock is read in one place"),
        ("Timestamp::now", "src/clock.rs", "the wall clock is read in one place"),
        ("StatusCode::INTERNAL", "src/http/error.rs", "one table leads from failure to status"),
        ("StatusCode::BAD_REQUEST", "src/http/error.rs", "one table leads from failure to status"),
    ];
    let mut broken = Vec::new();
    for (path, code) in PARTS.into_iter().flat_map(files) {
        for (word, place, reason) in places {
            let elsewhere = !path.ends_with(place) && !path.to_string_lossy().contains("/sandbox/");
            if elsewhere && code.contains(word) {
                broken.push(format!("{} says {word}: {reason}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The law itself must be able to fail.
#[test]
fn the_law_sees_a_breach() {
    let code = code("// crate::http in prose\nuse crate::http::x;\nlet y = crate::store::z();");
    assert_eq!(named_parts(&code), ["http", "store"].map(str::to_owned).into());
}
