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
mod happening;
mod machine;
mod nova;
mod oracle;
mod post;
mod reference;
mod run;
mod time;
mod trace;
mod wire;
mod world;

use faults::FAULTS;
use world::Setting;

/// Worlds of every `cargo test`: what fits beside the other tests into two minutes on two cores.
const SEEDS: u64 = 1_000;
/// Worlds within which each broken controller has to be caught.
const CAUGHT_WITHIN: u64 = 400;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Whether level B alone is to run.
fn only_wire() -> bool {
    variable("NOVASCALE_SIM_WIRE").is_some()
}

#[test]
fn many_seeds_run_clean() {
    let number = |name| variable(name).map(|text| text.parse().expect("a number"));
    let asked: Option<u64> = number("NOVASCALE_SIM_SEEDS");
    let from = number("NOVASCALE_SIM_FROM").unwrap_or(1);
    let seeds = |n| if only_wire() { (from + n) * world::WIRE_EVERY } else { from + n };
    let sum = run::many(seeds, asked.unwrap_or(SEEDS), asked.is_some());
    let rate = sum.passes as f64 / sum.seconds;
    println!(
        "{} worlds, {} passes in {:.0} s: {rate:.0} passes a second",
        sum.worlds, sum.passes, sum.seconds
    );
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
    let seed = variable("NOVASCALE_SIM_SEED").map_or(1, |text| text.parse().expect("a number"));
    let words = variable("NOVASCALE_SIM_WITHOUT").unwrap_or_default();
    let of = |word: &str| {
        let found = FAULTS.iter().find(|(_, _, name)| *name == word);
        found.unwrap_or_else(|| panic!("there is no fault {word:?}")).0
    };
    let without = words.split(',').filter(|word| !word.is_empty()).map(of).collect();
    let ending = run::run(&Setting { seed, without, broken: None, story: true });
    println!("{}", ending.story.join("\n"));
    assert_eq!(ending.violations, Vec::<String>::new());
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..=20 {
        let setting = Setting { seed, ..Setting::default() };
        assert_eq!(run::run(&setting).hash, run::run(&setting).hash, "seed {seed}");
    }
}

#[test]
fn every_broken_controller_is_caught() {
    for (broken, invariant) in broken::ALL {
        let of = format!("{invariant}:");
        let every = if only_wire() { world::WIRE_EVERY } else { 1 };
        let caught = (1..=CAUGHT_WITHIN).map(|n| n * every).find_map(|seed| {
            let ending = run::run(&Setting { seed, broken: Some(broken), ..Setting::default() });
            let why = ending.violations.into_iter().find(|why| why.starts_with(&of))?;
            Some((seed, why))
        });
        let Some((seed, why)) = caught else { panic!("{invariant}: {broken:?} is not caught") };
        println!("{invariant}: {broken:?} is caught by seed {seed}: {why}");
    }
}
