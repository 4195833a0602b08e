//! Worlds by the thousand: on every core, with the first failure told as a story.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::faults::{FAULTS, Fault, word};
use super::world::{PASSES, Setting, World};

/// How one world ended.
#[derive(Debug, Clone)]
pub struct Ending {
    pub passes: u32,
    pub hash: u64,
    pub violations: Vec<String>,
    pub story: Vec<String>,
}

pub fn run(setting: &Setting) -> Ending {
    let mut world = World::new(setting.clone());
    while world.passes < PASSES && world.trace.sound() {
        world.step();
    }
    if world.trace.sound() {
        world.come_to_rest();
    }
    let (hash, violations) = (world.trace.hash(), world.trace.violations());
    Ending { passes: world.passes, hash, violations, story: world.trace.story() }
}

/// What many worlds came to.
pub struct Sum {
    pub worlds: u64,
    pub passes: u64,
    pub seconds: f64,
    pub failed: Vec<(u64, Vec<String>)>,
}

/// Runs so many worlds on all cores; the nth is of the nth seed.
pub fn many(seeds: impl Fn(u64) -> u64 + Sync, count: u64, progress: bool) -> Sum {
    let (next, passes) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = std::sync::Mutex::new(Vec::new());
    let began = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || failed.lock().unwrap().len() > 20 {
                        return;
                    }
                    let seed = seeds(n);
                    let ending = run(&Setting { seed, ..Setting::default() });
                    let done = passes.fetch_add(u64::from(ending.passes), Ordering::Relaxed);
                    if !ending.violations.is_empty() {
                        if progress {
                            eprintln!("seed {seed}: {}", ending.violations.join("; "));
                        }
                        failed.lock().unwrap().push((seed, ending.violations));
                    }
                    if progress && n > 0 && n.is_multiple_of((count / 100).clamp(100, 10_000)) {
                        let rate = done as f64 / began.elapsed().as_secs_f64();
                        eprintln!("{n} of {count} worlds, {rate:.0} passes a second");
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let worlds = next.into_inner().min(count);
    Sum { worlds, passes: passes.into_inner(), seconds: began.elapsed().as_secs_f64(), failed }
}

/// The least set of faults with which the seed still fails.
pub fn shrunk(seed: u64) -> Vec<Fault> {
    let mut without: Vec<Fault> = Vec::new();
    for (fault, ..) in FAULTS {
        let mut fewer = without.clone();
        fewer.push(*fault);
        let setting = Setting { seed, without: fewer.clone(), ..Setting::default() };
        if !run(&setting).violations.is_empty() {
            without = fewer;
        }
    }
    without
}

/// A failure told: what broke, the story of it, and how to see it again.
pub fn told(seed: u64) -> String {
    let without = shrunk(seed);
    let words: Vec<&str> = without.iter().map(|fault| word(*fault)).collect();
    let ending = run(&Setting { seed, without, broken: None, story: true });
    let last = ending.story.len().saturating_sub(60);
    format!(
        "seed {seed}: {}\n\n{}\n\nReplay it whole:\n  NOVASCALE_SIM_SEED={seed} \
         NOVASCALE_SIM_WITHOUT={} cargo test --test sim one_seed -- --nocapture\n",
        ending.violations.join("; "),
        ending.story[last..].join("\n"),
        words.join(",")
    )
}
