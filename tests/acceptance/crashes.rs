//! kill -9 in the middle of scaling out, again and again: the fleet ends as it was asked to be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until};

const TAG: &str = "novascale:crew";
const KILLS: usize = 10;
/// Small, so that each scale-out is several calls, and a kill falls between them.
const BATCH: usize = 2;

#[test]
fn ten_kills_in_mid_scale_out_duplicate_and_leak_nothing() {
    let lab = Lab::take("ten kills");
    let nova = Nova::of(&lab);
    let (mut rng, seed) = dice();
    lab.note(&format!("NOVASCALE_SEED={seed}"));
    let steps: Vec<usize> = (0..KILLS).map(|n| 5 + 3 * n).collect();
    let (most, since) = (*steps.last().unwrap(), nova.now());
    let group =
        format!("[group.crew]\nmin = 0\nmax = {most}\n{GROUP}launch = {{ batch = {BATCH} }}\n");
    let mut daemon = Daemon::started(&lab, &settings("cloud = \"ovhcloud\"", &group));

    for desired in steps {
        // Five more than before, or than what the last round's shrinking left.
        daemon.scale("crew", desired);
        let moment = Duration::from_millis(rng.random_range(0..4000));
        let (asked, before) = (Instant::now(), nova.tagged(TAG).len());
        let mut there = before;
        while asked.elapsed() < moment {
            there = nova.tagged(TAG).len();
            assert!(there <= most, "{there} servers: above max");
        }
        daemon.kill();
        lab.note(&format!(
            "killed {} ms after asking for {desired}; {before} servers then, {there} at the end",
            moment.as_millis()
        ));
        daemon.start();
        daemon.scale("crew", desired - 2);
    }

    daemon.scale("crew", most);
    until("all launches to be settled", || {
        let there = nova.tagged(TAG);
        assert!(there.len() <= most, "{} servers: above max", there.len());
        let good = there.iter().filter(|s| s.status == "ACTIVE" && s.task.is_none()).count();
        let coming = daemon.status("crew")["tally"]["coming"].clone();
        let done = good == most && there.len() == most && coming == 0;
        if done { Ok(()) } else { Err(format!("{good} of {} serve, {coming} coming", there.len())) }
    });
    daemon.steady("crew");
    assert_eq!(lab.counted(TAG), most);
    lab.note(&format!("{most} serve after {KILLS} kills"));

    // No launch id was ever sent twice: none has more servers than one call asks for, counting
    // those that are gone.
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    let mut names: Vec<String> = nova.tagged(TAG).into_iter().map(|server| server.name).collect();
    names.extend(nova.deleted_since(&since).into_iter().map(|server| server.name));
    for name in names.iter().filter(|name| name.starts_with("crew-")) {
        *made.entry(name.split('-').nth(1).unwrap().to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = made.iter().filter(|(_, n)| **n > BATCH).collect();
    assert!(twice.is_empty(), "launches with more servers than asked for: {twice:?}");
    for server in nova.tagged(TAG) {
        assert!(server.launch().is_some(), "no launch tag: {server:?}");
    }
    let log = daemon.log();
    let recovered: Vec<&str> = log.lines().filter(|line| line.contains("recovered:")).collect();
    let open = recovered.iter().filter(|line| !line.contains(" 0 actions still open")).count();
    assert!(recovered.len() >= KILLS - 1, "no start but the first says that it recovers: {log}");
    assert!(open >= 1, "no kill fell into the middle of anything: {recovered:?}");
    lab.note(&format!("{open} of {KILLS} kills left actions open in the journal"));

    daemon.scale("crew", 0);
    until("all servers to go", || match nova.all().len() {
        0 => Ok(()),
        n => Err(format!("{n} are left")),
    });
    assert_eq!(nova.orphaned_ports(), Vec::<String>::new());
    lab.note(&format!(
        "{} servers were made in {} launches, none is left",
        names.len(),
        made.len()
    ));
}

/// From NOVASCALE_SEED, else from the clock; it is printed, so that a run can be repeated as
/// far as the machine allows.
fn dice() -> (StdRng, u64) {
    let given = std::env::var("NOVASCALE_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
    (StdRng::seed_from_u64(seed), seed)
}
