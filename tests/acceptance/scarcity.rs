//! A cloud that has not what is asked for: a small quota, no host.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until, within};

const TAG: &str = "novascale:crew";

fn crew(launch: &str) -> String {
    let group = format!("[group.crew]\nmin = 0\nmax = 20\n{GROUP}launch = {{ {launch} }}\n");
    settings("cloud = \"ovhcloud\"", &group)
}

#[test]
fn a_small_quota_is_filled_said_and_left_alone_until_it_rises() {
    let lab = Lab::take("quota");
    let nova = Nova::of(&lab);
    lab.run(&["quota", "5"]);
    let calls = lab.mark("nova-api.log");
    let daemon = Daemon::started(&lab, &crew("backoff_first = \"5s\", backoff_most = \"20s\""));
    daemon.scale("crew", 9);
    nova.settled(TAG, 5);
    assert_eq!(lab.counted(TAG), 5);
    let said = daemon.explains("crew", "Launching failed");
    assert!(said.to_lowercase().contains("quota"), "{said}");
    lab.note("5 of 9 fit");

    // Refused, what fits, and from then on refusals that come ever more rarely: the mean of
    // the third to sixth wait is 2.5 to 10 s, and none is below one.
    let refused = until("the quota to be tried in vain for a while", || {
        let creates = calls.creates();
        let refused: Vec<_> = creates.iter().filter(|c| c.status == 403).cloned().collect();
        if refused.len() >= 5 { Ok(refused) } else { Err(format!("{} tries", refused.len())) }
    });
    assert_eq!(calls.creates().iter().filter(|create| create.status == 202).count(), 1);
    let tries = &refused[1..5];
    for pair in tries.windows(2) {
        let wait = pair[1].after(&pair[0]);
        assert!(wait >= Duration::from_millis(900), "only {wait:?} between two tries");
    }
    lab.note(&format!("3 further tries within {:?}", tries[3].after(&tries[0])));
    assert_eq!(nova.tagged(TAG).len(), 5);

    let risen = lab.mark("nova-api.log");
    lab.run(&["quota", "none"]);
    within(Duration::from_secs(20 + 15), "a create after the quota rose", || {
        let creates = risen.creates();
        let good = creates.iter().any(|create| create.status == 202);
        if good { Ok(()) } else { Err(format!("{} creates", creates.len())) }
    });
    nova.settled(TAG, 9);
    assert_eq!(lab.counted(TAG), 9);
    daemon.steady("crew");
    lab.note("9 after the quota rose");
}

#[test]
fn without_hosts_nothing_counts_as_serving_and_launches_get_smaller() {
    let lab = Lab::take("no valid host");
    let nova = Nova::of(&lab);
    lab.run(&["hosts", "off"]);
    let since = nova.now();
    let daemon = Daemon::started(&lab, &crew("backoff_first = \"2s\", backoff_most = \"5s\""));
    daemon.scale("crew", 8);

    // Each launch by the size that Nova saw, the earliest first; the swept ones count too.
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let sizes = until("launches of 8, 4 and 2", || {
        for server in nova.tagged(TAG).into_iter().chain(nova.deleted_since(&since)) {
            assert_ne!(server.status, "ACTIVE", "there is a host after all");
            seen.insert(server.name, server.created);
        }
        let status = daemon.status("crew");
        let serving = status["tally"]["serving"].as_u64();
        assert!(serving.is_none_or(|n| n == 0), "an ERROR counts as serving: {status}");
        let sizes = launch_sizes(&seen);
        if sizes.contains(&2) { Ok(sizes) } else { Err(format!("{sizes:?}")) }
    });
    lab.note(&format!("launches of {sizes:?}"));
    assert_eq!(sizes[0], 8, "{sizes:?}");
    assert!(sizes.contains(&4), "{sizes:?}");
    assert!(sizes.is_sorted_by(|a, b| a >= b), "a launch grew while no host was there: {sizes:?}");
    daemon.explains("crew", "No valid host");

    lab.run(&["hosts", "on"]);
    nova.settled(TAG, 8);
    assert_eq!(lab.counted(TAG), 8);
    daemon.steady("crew");
    assert_eq!(nova.all().len(), 8, "an ERROR server was not swept");
    assert_eq!(nova.orphaned_ports(), Vec::<String>::new());
    lab.note("8 serve once there are hosts, and no ERROR is left");
}

/// How many servers each launch made. A server is named `crew-LAUNCH-NUMBER`, or without
/// a number where it is the only one; launches are told apart by creation and then by name.
fn launch_sizes(servers: &BTreeMap<String, String>) -> Vec<usize> {
    let mut launches: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (name, created) in servers {
        let launch = name.split('-').nth(1).unwrap();
        let entry = launches.entry(launch).or_insert((created, 0));
        entry.0 = entry.0.min(created);
        entry.1 += 1;
    }
    let mut sizes: Vec<(&str, usize)> = launches.into_values().collect();
    // Launches of one pass may share a second; the larger first, for that is how they are planned.
    sizes.sort_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
    sizes.into_iter().map(|(_, n)| n).collect()
}
