//! Worlds by the thousand: on every core, with the first failure told as a story.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::broken::Broken;
use super::faults::{FAULTS, Fault};
use super::world::{PASSES, Setting, World};

/// How one world ended.
#[derive(Debug, Clone)]
pub struct Ending {
    pub passes: u32,
    /// Those of the calm end.
    pub calm: u32,
    pub hash: u64,
    pub violations: Vec<String>,
    pub story: Vec<String>,
}

pub fn run(setting: &Setting) -> Ending {
    let mut world = World::new(setting.clone());
    while world.passes < PASSES && world.trace.sound() {
        world.step();
    }
    let stormy = world.passes;
    if world.trace.sound() {
        world.come_to_rest();
    }
    let (hash, violations) = (world.trace.hash(), world.trace.violations());
    let (passes, story) = (world.passes, world.trace.story());
    Ending { passes, calm: passes - stormy, hash, violations, story }
}

/// What is still there of a world that is over.
pub fn left_of(setting: &Setting) -> Vec<&'static str> {
    let mut world = World::new(setting.clone());
    while world.passes < PASSES && world.trace.sound() {
        world.step();
    }
    let (nova, store) = (Arc::downgrade(&world.nova), Arc::downgrade(&world.store));
    let (clock, trace) = (Arc::downgrade(&world.clock), Arc::downgrade(&world.trace));
    drop(world);
    let counts = [
        ("its cloud", nova.strong_count()),
        ("its store", store.strong_count()),
        ("its clock", clock.strong_count()),
        ("its story", trace.strong_count()),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name).collect()
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What many worlds came to.
pub struct Sum {
    pub worlds: u64,
    pub passes: u64,
    pub calm_most: u64,
    pub wall: f64,
    /// Seconds of all cores together.
    pub cpu: f64,
    pub failed: Vec<(u64, Vec<String>)>,
}

impl Sum {
    pub fn in_words(&self) -> String {
        let passes = self.passes as f64;
        format!(
            "{} worlds, {} passes in {:.1} s: {:.0} a second, {:.0} a second and core; at most {} \
             passes to rest",
            self.worlds,
            self.passes,
            self.wall,
            passes / self.wall,
            passes / self.cpu,
            self.calm_most
        )
    }
}

/// Worlds on their way, shared by the cores.
#[derive(Default)]
struct Tally {
    next: AtomicU64,
    passes: AtomicU64,
    calm_most: AtomicU64,
    failed: Mutex<Vec<(u64, Vec<String>)>>,
}

/// So many failures are enough to begin with.
const ENOUGH: usize = 20;

impl Tally {
    fn work(&self, seeds: impl Fn(u64) -> u64, count: u64, told: impl Fn(u64, u64, &Ending)) {
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= count || self.failed.lock().unwrap().len() > ENOUGH {
                return;
            }
            let seed = seeds(n);
            let ending = run(&Setting { seed, ..Setting::default() });
            self.passes.fetch_add(u64::from(ending.passes), Ordering::Relaxed);
            self.calm_most.fetch_max(u64::from(ending.calm), Ordering::Relaxed);
            told(n, seed, &ending);
            if !ending.violations.is_empty() {
                self.failed.lock().unwrap().push((seed, ending.violations));
            }
        }
    }

    fn sum(&self, count: u64, (wall, cpu): (f64, f64)) -> Sum {
        let mut failed = self.failed.lock().unwrap().clone();
        failed.sort();
        let (worlds, passes) = (&self.next, self.passes.load(Ordering::Relaxed));
        let worlds = worlds.load(Ordering::Relaxed).min(count);
        let calm_most = self.calm_most.load(Ordering::Relaxed);
        Sum { worlds, passes, calm_most, wall, cpu, failed }
    }
}

/// Runs so many worlds on all cores; the nth is of the nth seed.
pub fn many(seeds: impl Fn(u64) -> u64 + Sync, count: u64, progress: bool) -> Sum {
    let tally = Tally::default();
    let (began, worked) = (Instant::now(), worked());
    let spent = || {
        let wall = began.elapsed().as_secs_f64();
        let cpu = self::worked().zip(worked).map(|(now, then)| now - then);
        (wall, cpu.unwrap_or(wall * cores() as f64).max(0.01))
    };
    let told = |n: u64, seed: u64, ending: &Ending| {
        if progress && !ending.violations.is_empty() {
            eprintln!("seed {seed}: {}", ending.violations.join("; "));
        }
        if progress && n > 0 && n.is_multiple_of(10_000) {
            let sum = tally.sum(n, spent());
            eprintln!("{} so far, {} failed", sum.in_words(), sum.failed.len());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| tally.work(&seeds, count, told));
        }
    });
    tally.sum(count, spent())
}

/// Seconds that this process has worked, on all cores together, as Linux tells them.
fn worked() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// The first seed from there on by which the oracle catches a broken controller, and its words.
pub fn caught(broken: Broken, seeds: impl Iterator<Item = u64>) -> Option<(u64, String)> {
    seeds.enumerate().find_map(|(n, seed)| {
        let ending = run(&Setting { seed, broken: Some(broken), ..Setting::default() });
        Some((n as u64 + 1, ending.violations.into_iter().next()?))
    })
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

/// A failure told: what broke, what it takes, the story of it, and how to see it again.
pub fn told(seed: u64) -> String {
    let without = shrunk(seed);
    let takes = FAULTS.iter().filter(|(fault, ..)| !without.contains(fault));
    let words: Vec<&str> = takes.map(|(_, _, word)| *word).collect();
    let words = if words.is_empty() { NO_FAULT.to_owned() } else { words.join(",") };
    let ending = run(&Setting { seed, without, broken: None, story: true });
    let last = ending.story.len().saturating_sub(60);
    format!(
        "seed {seed}: {}\nIt takes no other fault than: {words}\n\n{}\n\nReplay it whole:\n  \
         NOVASCALE_SIM_SEED={seed} NOVASCALE_SIM_ONLY={words} cargo test --test sim one_seed -- \
         --nocapture\n",
        ending.violations.join("; "),
        ending.story[last..].join("\n"),
    )
}

/// In place of a list of faults: nothing goes wrong.
const NO_FAULT: &str = "none";

/// The faults to leave out where these words stay, divided by commas.
pub fn all_but(words: &str) -> Vec<Fault> {
    let only: Vec<&str> = words.split(',').filter(|word| *word != NO_FAULT).collect();
    for word in &only {
        let known = FAULTS.iter().any(|(_, _, name)| name == word);
        assert!(known, "there is no fault {word:?}");
    }
    let others = FAULTS.iter().filter(|(_, _, name)| !only.contains(name));
    others.map(|(fault, ..)| *fault).collect()
}
