//! kill -9 at random moments of scale-outs: what was begun is found again, nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::canary;
use super::cloud::{Ask, Cloud, Fault};
use super::place::{FAST, Place, group};

/// Kills in one run; each comes at another moment.
const ROUNDS: u32 = 6;

/// Servers by their launch id, each launch of as many as there are.
fn launches(servers: &[Value]) -> BTreeMap<String, usize> {
    let mut launches = BTreeMap::new();
    for server in servers {
        let launch = server["metadata"]["novascale:launch"].as_str().unwrap_or_default();
        assert!(!launch.is_empty(), "{server:#}");
        *launches.entry(launch.to_owned()).or_insert(0) += 1;
    }
    launches
}

/// A create takes 60 ms: a kill may fall before Nova hears of it, before its answer, or after.
fn story(seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let cloud = Cloud::start();
    cloud.tamper(|ask| ask.creates().then(|| Fault::Slow(Duration::from_millis(30))));
    let place = Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 60)));
    let mut desired = 0;
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        let daemon = place.start();
        let more = dice.random_range(1..=9);
        desired += more;
        place.does(&format!("scale web +{more}"));
        let until = ["launch ", "done: launch", "signed in as"][dice.random_range(0..3)];
        daemon.says(until);
        // Not to wait for anything: this is the moment that the dice chose.
        let moment = Duration::from_millis(dice.random_range(0..120));
        std::thread::sleep(moment);
        daemon.kill();
        told.push(format!("{round}: +{more}, killed {moment:?} after {until:?}"));
    }
    let daemon = place.start();
    place.until_steady("web", desired);
    let servers = cloud.servers();
    let story = format!("seed {seed}: {}\n{}", told.join("; "), daemon.log());
    assert_eq!(servers.len() as u64, desired, "{story}");
    let launches = launches(&servers);
    // No launch made more than a batch.
    assert!(launches.values().all(|n| *n <= 4), "{launches:?} {story}");
    // At rest nothing is left to do, nor to clean up.
    let writes = cloud.writes();
    assert_eq!(place.novascale("plan --detailed-exitcode").code, 0, "{story}");
    place.does("scale web 0");
    place.until_steady("web", 0);
    assert_eq!(cloud.servers().len(), 0, "{story}");
    assert_eq!(cloud.asked(Ask::deletes) as u64, desired, "{story}");
    assert_eq!(cloud.writes() as u64, writes as u64 + desired, "{story}");
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn scale_outs_that_are_killed_come_out_even() {
    std::thread::scope(|scope| {
        for seed in [1, 2] {
            scope.spawn(move || story(seed));
        }
    });
}
