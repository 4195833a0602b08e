//! A deterministic simulation: the real `control::pass` and `observe` over a cloud that lies, a
//! disk that fails and a machine that crashes, in virtual time, on one thread for each world.
//!
//! A world is made from a seed, and the same seed gives the same world: `cargo test --test sim`
//! runs the worlds that every change has to survive, among them those that once failed
//! (`seeds.txt`). More of them, on all cores, with progress:
//!
//! ```text
//! NOVASCALE_SIM_SEEDS=1000000 cargo test --release --test sim many_seeds -- --nocapture
//! NOVASCALE_SIM_WIRE=1 NOVASCALE_SIM_SEEDS=10000 cargo test --release --test sim many_seeds -- --nocapture
//! NOVASCALE_SIM_SEED=7 cargo test --test sim one_seed -- --nocapture
//! ```
//!
//! [`oracle`] judges every call and decision by the truth, [`calm`] the end of every world,
//! [`reference`] says what desired should come to. [`broken`] has controllers that are broken
//! on purpose, one for each invariant: the oracle has to catch them all.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in tests a failed unwrap is the verdict, and other variants are a failure"
)]

mod brake;
mod broken;
mod calm;
mod dice;
mod disk;
mod faults;
mod gate;
mod gauges;
mod groups;
mod happening;
mod machine;
mod nova;
mod oracle;
mod policies;
mod post;
mod reference;
mod run;
mod servers;
mod time;
mod trace;
mod windows;
mod wire;
mod world;

use world::Setting;

/// Worlds of every `cargo test`: what fits beside the other tests into two minutes on two cores.
const SEEDS: u64 = 2_000;
/// Worlds within which each broken controller has to be caught.
const CAUGHT_WITHIN: u64 = SEEDS;
/// Starting points for the median of how many worlds that takes, when it is asked for.
const STARTS: u64 = 9;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Whether level B alone is to run.
fn only_wire() -> bool {
    variable("NOVASCALE_SIM_WIRE").is_some()
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().expect("a number"))
}

/// The nth seed that is to run.
fn nth(n: u64) -> u64 {
    if only_wire() { n * world::WIRE_EVERY } else { n }
}

#[test]
fn many_seeds_run_clean() {
    let asked = number("NOVASCALE_SIM_SEEDS");
    let from = number("NOVASCALE_SIM_FROM").unwrap_or(1);
    let seeds = |n| nth(from + n);
    let sum = run::many(seeds, asked.unwrap_or(SEEDS), asked.is_some());
    println!("{}", sum.in_words());
    if let Some((seed, _)) = sum.failed.first() {
        let all: Vec<String> =
            sum.failed.iter().map(|(seed, why)| format!("{seed}: {}", why.join("; "))).collect();
        panic!("{}\nAll that failed:\n{}", run::told(*seed), all.join("\n"));
    }
}

#[test]
fn seeds_that_failed_once_run_clean() {
    let seeds = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    for line in seeds {
        let seed: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        let ending = run::run(&Setting { seed, ..Setting::default() });
        assert!(
            ending.violations.is_empty(),
            "{line}: {:?}\n{}",
            ending.violations,
            run::told(seed)
        );
    }
}

#[test]
fn one_seed_can_be_told() {
    let seed = number("NOVASCALE_SIM_SEED").unwrap_or(1);
    let without = variable("NOVASCALE_SIM_ONLY").map_or_else(Vec::new, |only| run::all_but(&only));
    let ending = run::run(&Setting { seed, without, broken: None, story: true });
    println!("{}", ending.story.join("\n"));
    println!("{}", in_words(seed, &ending));
    assert_eq!(ending.violations, Vec::<String>::new());
}

/// One line that two runs of a seed must share.
fn in_words(seed: u64, ending: &run::Ending) -> String {
    format!("seed {seed} ends with hash {:016x} after {} passes", ending.hash, ending.passes)
}

/// Hundreds of thousands of worlds in one process only fit if each is gone once it is over.
#[test]
fn a_world_that_is_over_leaves_nothing_behind() {
    for seed in (1..=4).chain([20, 40]) {
        let left = run::left_of(&Setting { seed, ..Setting::default() });
        assert_eq!(left, Vec::<&str>::new(), "of the world of seed {seed}");
    }
}

/// In this process and in another one.
#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..=20 {
        let setting = Setting { seed, ..Setting::default() };
        let line = in_words(seed, &run::run(&setting));
        assert_eq!(line, in_words(seed, &run::run(&setting)));
        if seed % 5 == 0 {
            let said = told_by_another_process(seed);
            assert!(said.contains(&line), "{line}, but another process says\n{said}");
        }
    }
}

fn told_by_another_process(seed: u64) -> String {
    let this = std::env::current_exe().expect("a test knows its own program");
    let told = std::process::Command::new(this)
        .args(["--exact", "one_seed_can_be_told", "--nocapture"])
        .env("NOVASCALE_SIM_SEED", seed.to_string())
        .env_remove("NOVASCALE_SIM_ONLY")
        .output()
        .expect("the test program starts");
    String::from_utf8_lossy(&told.stdout).into_owned()
}

/// After how many seeds a broken controller is caught, from each starting point, and what was
/// said of it last. Worlds on the wire take long, and none is needed for it.
fn caught(broken: broken::Broken, starts: u64) -> (Vec<u64>, String) {
    let mut example = String::new();
    let took = (0..starts).map(|start| {
        let from = 1 + start * 10_000;
        let seeds = (from..from + CAUGHT_WITHIN).map(nth);
        let seeds = seeds.filter(|seed| only_wire() || !seed.is_multiple_of(world::WIRE_EVERY));
        let Some((n, why)) = run::caught(broken, seeds) else {
            panic!("{broken:?} is not caught from seed {from} on")
        };
        example = why;
        n
    });
    let mut took: Vec<u64> = took.collect();
    took.sort_unstable();
    (took, example)
}

/// From one starting point; from several, with the median, when many seeds are asked for.
#[test]
fn every_broken_controller_is_caught() {
    let starts = if variable("NOVASCALE_SIM_SEEDS").is_some() { STARTS } else { 1 };
    let (first, second) = broken::ALL.split_at(broken::ALL.len() / 2);
    std::thread::scope(|scope| {
        for some in [first, second] {
            scope.spawn(move || {
                for (broken, invariant) in some {
                    let (took, example) = caught(*broken, starts);
                    let median = took[took.len() / 2];
                    println!("{invariant}: {broken:?} is caught after {median} seeds of {took:?}: {example}");
                }
            });
        }
    });
}
