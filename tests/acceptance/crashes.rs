//! kill -9 at random moments of whatever goes on, again and again: scale-outs, scale-ins and
//! servers that fail and are replaced, mixed, and most rounds begin before the last one's work is
//! done. Nothing is there twice, nothing is left over, and nobody else's server goes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until};

const TAG: &str = "novascale:crew";
/// Kills unless NOVASCALE_LAB_KILLS says how many: what fits into two minutes or three.
const KILLS: usize = 15;
const MAX: usize = 12;
/// Small, so that each scale-out is several calls, and a kill falls between them.
const BATCH: usize = 2;
/// The story's own people put servers into ERROR, one after the other: of a small fleet more in ten
/// minutes than the guard lets pass, which is another story's matter.
const GUARD: &str = "meltdown = { share = \"100%\" }";
/// A round waits at most so long before it kills.
const MOMENT_MOST_MS: u64 = 4000;

/// What a round begins with.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Scale(usize),
    /// A server that serves fails.
    Fail,
}

/// What the rounds did, for the note at the end.
#[derive(Debug, Default)]
struct Done {
    outs: usize,
    ins: usize,
    failed: usize,
}

#[test]
fn random_kills_duplicate_and_leak_nothing() {
    let lab = Lab::take("random kills");
    let nova = Nova::of(&lab);
    let (mut rng, seed, kills) = dice();
    lab.note(&format!("NOVASCALE_SEED={seed} NOVASCALE_LAB_KILLS={kills}"));
    let since = nova.now();
    let bystander = nova.neighbour("bystander", &["somebody"]);
    let group = format!(
        "[group.crew]\nmin = 0\nmax = {MAX}\n{GROUP}launch = {{ batch = {BATCH} }}\n{GUARD}\n"
    );
    let mut daemon = Daemon::started(&lab, &settings("cloud = \"ovhcloud\"", &group));

    let (mut desired, mut done) = (0, Done::default());
    for round in 1..=kills {
        let deed = deed(&mut rng, desired);
        let said = match deed {
            Deed::Scale(n) => {
                done.outs += usize::from(n > desired);
                done.ins += usize::from(n < desired);
                desired = n;
                daemon.scale("crew", n);
                format!("scale to {n}")
            }
            Deed::Fail => {
                let failed = fail_one(&nova, &mut rng);
                done.failed += usize::from(failed.is_some());
                format!("failed: {failed:?}")
            }
        };
        let moment = Duration::from_millis(rng.random_range(0..MOMENT_MOST_MS));
        let there = watch_for(&nova, moment);
        daemon.kill();
        lab.note(&format!(
            "{round}: {said}; killed after {} ms, {there} there",
            moment.as_millis()
        ));
        daemon.start();
        if rng.random_ratio(1, 5) {
            comes_to(&nova, &daemon, desired);
        }
    }
    comes_to(&nova, &daemon, desired);
    assert_eq!(lab.counted(TAG), desired);
    lab.note(&format!("{desired} serve after {kills} kills: {done:?}"));

    let names = made(&nova, &since);
    no_launch_made_more_than_it_asked_for(&names);
    for server in nova.tagged(TAG) {
        assert!(server.launch().is_some(), "no launch tag: {server:?}");
    }
    kills_fell_into_the_middle(&lab, &daemon, kills);

    daemon.scale("crew", 0);
    until("all servers to go", || match nova.tagged(TAG).len() {
        0 => Ok(()),
        n => Err(format!("{n} are left")),
    });
    daemon.steady("crew");
    let left = lab.openstack(&["server", "list", "-f", "value", "-c", "ID"]);
    assert_eq!(left.trim(), bystander.id, "what the project has besides the bystander");
    assert_eq!(nova.orphaned_ports(), Vec::<String>::new());
    lab.note(&format!("{} servers were made, none is left but the bystander", names.len()));
}

fn deed(rng: &mut StdRng, desired: usize) -> Deed {
    match rng.random_range(0..10) {
        0..4 if desired < MAX => Deed::Scale((desired + rng.random_range(1..=5)).min(MAX)),
        4..7 if desired > 0 => Deed::Scale(desired.saturating_sub(rng.random_range(1..=5))),
        _ if desired > 0 => Deed::Fail,
        _ => Deed::Scale(rng.random_range(3..=6)),
    }
}

/// Nova puts one of those that serve into ERROR; which, if there is one.
fn fail_one(nova: &Nova, rng: &mut StdRng) -> Option<String> {
    let mut there = nova.tagged(TAG);
    there.retain(|server| server.status == "ACTIVE" && server.task.is_none());
    let victim = there.get(rng.random_range(0..there.len().max(1)))?.id.clone();
    nova.put_into_error(&victim).then_some(victim)
}

/// Looks at the fleet until the moment has come; how many there are then.
fn watch_for(nova: &Nova, moment: Duration) -> usize {
    let began = Instant::now();
    loop {
        let there = nova.tagged(TAG).len();
        assert!(there <= MAX, "{there} servers: above max");
        if began.elapsed() >= moment {
            return there;
        }
    }
}

/// Waits until exactly so many serve and novascale itself says that nothing is under way.
fn comes_to(nova: &Nova, daemon: &Daemon, desired: usize) {
    until(&format!("{desired} servers at rest"), || {
        let there = nova.tagged(TAG);
        assert!(there.len() <= MAX, "{} servers: above max", there.len());
        let good = there.iter().filter(|s| s.status == "ACTIVE" && s.task.is_none()).count();
        let status = daemon.status("crew");
        let rests = status["situation"] == "steady" && status["tally"]["coming"] == 0;
        let done = good == desired && there.len() == desired && rests;
        if done {
            Ok(())
        } else {
            Err(format!("{good} of {}; {}", there.len(), status["headline"]))
        }
    });
}

/// The names of all servers that were made since then, those that are gone among them.
fn made(nova: &Nova, since: &str) -> Vec<String> {
    let servers = nova.tagged(TAG).into_iter().chain(nova.deleted_since(since));
    servers.map(|server| server.name).filter(|name| name.starts_with("crew-")).collect()
}

/// No launch id was ever sent twice: none has more servers than one call asks for.
fn no_launch_made_more_than_it_asked_for(names: &[String]) {
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *made.entry(name.split('-').nth(1).unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = made.iter().filter(|(_, n)| **n > BATCH).collect();
    assert!(twice.is_empty(), "launches with more servers than asked for: {twice:?}");
}

fn kills_fell_into_the_middle(lab: &Lab, daemon: &Daemon, kills: usize) {
    let log = daemon.log();
    let recovered: Vec<&str> = log.lines().filter(|line| line.contains("recovered:")).collect();
    assert!(recovered.len() >= kills - 1, "no start but the first says that it recovers: {log}");
    let open = recovered.iter().filter(|line| !line.contains(" 0 actions still open")).count();
    assert!(open >= 1, "no kill fell into the middle of anything: {recovered:?}");
    lab.note(&format!("{open} of {kills} kills left actions open in the journal"));
}

/// The dice, their seed and the number of kills. The seed is NOVASCALE_SEED, else from the
/// clock; it is printed, so that a run can be repeated as far as the machine allows.
fn dice() -> (StdRng, u64, usize) {
    let number = |name: &str| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let clock = || jiff::Timestamp::now().as_millisecond().unsigned_abs();
    let seed = number("NOVASCALE_SEED").unwrap_or_else(clock);
    let kills = number("NOVASCALE_LAB_KILLS").map_or(KILLS, |n| usize::try_from(n).unwrap());
    (StdRng::seed_from_u64(seed), seed, kills)
}
