//! What an idle fleet of 50 costs the cloud: calls to Nova, Neutron and Keystone in five
//! minutes, counted in their access logs, beside what the cloud causes by itself.
//!
//! It needs the lab of `tests/lab`, and its figure is of interest only beside a limit: one
//! listing for each of the observer's cycles at rest, and nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::harness::{Answered, Daemon, GROUP, Lab, Nova, settings, within};

const SERVERS: usize = 50;
const IDLE: Duration = Duration::from_secs(300);
/// The observer's cycle at rest: one listing each is what looking must cost.
const CYCLE: Duration = Duration::from_secs(15);

/// Whose access logs are counted. Keystone and Placement share one; Keystone's paths are its own.
const LOGS: [(&str, &str); 5] = [
    ("nova", "nova-api.log"),
    ("neutron", "neutron-server.log"),
    ("glance", "glance-api.log"),
    ("keystone", "apache-access.log"),
    ("identity provider", "oidc.log"),
];

pub fn run() {
    let lab = Lab::take("benchmark: an idle fleet of 50");
    let nova = Nova::of(&lab);
    let group = format!("[group.idle]\nmin = {SERVERS}\nmax = {SERVERS}\n{GROUP}");
    let daemon = Daemon::started(&lab, &settings("cloud = \"ovhcloud\"", &group));
    nova.settled("novascale:idle", SERVERS);
    daemon.steady("idle");
    lab.note("the fleet stands");

    let said = daemon.metrics();
    let marks = LOGS.map(|(service, log)| (service, lab.mark(log)));
    let began = Instant::now();
    within(IDLE + Duration::from_secs(30), "five idle minutes", || {
        if began.elapsed() < IDLE { Err("not over".to_owned()) } else { Ok(()) }
    });
    // The daemon's own count first: its listing goes on while the logs are read.
    let counted = own_calls(&said, &daemon.metrics());
    let looks = IDLE.as_secs() / CYCLE.as_secs();
    println!("lab: {SERVERS} servers, {} s idle; one listing per cycle is {looks}", IDLE.as_secs());
    for (service, mark) in marks {
        let answered: Vec<Answered> =
            mark.answered().into_iter().filter(|a| of(service, a)).collect();
        println!("lab: {service}: {} requests in its log: {}", answered.len(), by_path(&answered));
    }
    let total: f64 = counted.values().sum();
    for (series, n) in &counted {
        println!("lab: novascale counts {n} of {series}");
    }
    println!(
        "lab: {total} calls by novascale: {:.2} × the limit of one listing per cycle",
        total / looks as f64
    );
    let there = nova.tagged("novascale:idle").len();
    assert_eq!(there, SERVERS, "the fleet was not idle");
}

/// Placement's requests stand in Keystone's log, and are the cloud's own.
fn of(service: &str, answered: &Answered) -> bool {
    service != "keystone" || answered.path.starts_with("/v3")
}

/// What the daemon's metric of calls grew by, by service and method.
fn own_calls(before: &[(String, f64)], after: &[(String, f64)]) -> BTreeMap<String, f64> {
    let was: BTreeMap<&String, f64> = before.iter().map(|(series, n)| (series, *n)).collect();
    let calls =
        after.iter().filter(|(series, _)| series.starts_with("novascale_cloud_calls_total"));
    let grown = calls.map(|(series, n)| (series.clone(), n - was.get(series).unwrap_or(&0.0)));
    grown.filter(|(_, n)| *n > 0.0).collect()
}

/// `20 GET /v2.1/servers/detail, …`: ids and queries left out.
fn by_path(answered: &[Answered]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in answered {
        let path = one.path.split('?').next().unwrap_or_default();
        let parts = path.split('/').map(|part| match part.len() >= 32 {
            true => "ID",
            false => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        *counts.entry(format!("{} {path}", one.method)).or_default() += 1;
    }
    let all: Vec<String> = counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
