//! What decides how many servers there are, on a real cloud: a schedule at its minute while
//! clocks change, an alert that goes on, and what each server measures.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Daemon, GROUP, Lab, Nova, Server, Simulated, settings, until};

const TAG: &str = "novascale:crew";

/// Between two steps of the alert.
const EVERY: Duration = Duration::from_secs(20);

/// Of scale_in, where servers measure.
const COOLDOWN: Duration = Duration::from_secs(25);

/// The group with its policies after it.
fn crew(bounds: &str, policies: &str) -> String {
    settings("cloud = \"ovhcloud\"", &format!("[group.crew]\n{bounds}\n{GROUP}\n{policies}"))
}

/// One change of desired.
#[derive(Debug)]
struct Change {
    at: Timestamp,
    steady: Duration,
    desired: u64,
}

/// How desired went, the oldest first, by the history that the daemon keeps.
fn changes(daemon: &Daemon, group: &str) -> Vec<Change> {
    let said = daemon.tell(&["history", group, "--output", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let mut changes: Vec<Change> = Vec::new();
    for decision in said["decisions"].as_array().unwrap().iter().rev() {
        let desired = decision["desired"].as_u64().unwrap();
        if changes.last().is_none_or(|last| last.desired != desired) {
            let at = decision["at"]["wall"].as_str().unwrap().parse().unwrap();
            let steady = Duration::from_millis(decision["at"]["steady"].as_u64().unwrap());
            changes.push(Change { at, steady, desired });
        }
    }
    changes
}

fn desired(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.desired).collect()
}

/// `POST /v1/groups/crew/…`, as a sender of signals does.
fn tell(daemon: &Daemon, kind: &str, body: &Value) {
    let path = format!("/v1/groups/crew/{kind}");
    let (code, said) = daemon.http("POST", "webhook", &path, Some("signal"), Some(body));
    assert_eq!(code, 202, "{said}");
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Within the minute that begins then.
fn assert_in_minute(began: Timestamp, is: Timestamp, what: &str) {
    let end = began + SignedDuration::from_mins(1);
    assert!(began <= is && is < end, "{what} at {is}, not in the minute of {began}");
}

#[test]
fn schedules_keep_their_minutes_where_clocks_change() {
    let lab = Lab::take("schedules, clocks changed");
    // Each has a clock of its own, and most of the time both wait.
    std::thread::scope(|scope| {
        scope.spawn(|| an_hour_is_skipped(&lab));
        scope.spawn(|| an_hour_is_repeated(&lab));
    });
}

/// In Paris 02:30 does not come that night: after 01:59:59 clocks show 03:00:00.
fn an_hour_is_skipped(lab: &Lab) {
    let nova = Nova::of(lab);
    let (opens, closes) = (at("2025-03-30T01:00:00Z"), at("2025-03-30T01:01:00Z"));
    let clock = Simulated::from("2025-03-30T00:59:25Z");
    let schedule = "[[group.crew.schedule]]\nname = \"night\"\ncron = \"30 2 * * *\"\n\
                    end = \"1 3 * * *\"\ntimezone = \"Europe/Paris\"\nmin = 3\nlead = \"0s\"\n";
    let since = nova.now();
    let mut daemon = clock.set(Daemon::new(lab, &crew("min = 0\nmax = 6", schedule)));
    daemon.start();
    daemon.steady("crew");
    assert_eq!(lab.counted(TAG), 0);
    assert!(clock.now() < opens, "the daemon took too long to start");

    let fleet = nova.settled(TAG, 3);
    assert_eq!(lab.counted(TAG), 3);
    assert!(clock.now() < closes, "the fleet took too long to be built");
    for server in &fleet {
        assert_in_minute(opens, clock.of(at(&server.created)), &format!("{} made", server.name));
    }
    daemon.explains("crew", "The schedule \"night\" gives min 3");
    lab.note("skipped: 3 from the hour that was left out");

    nova.settled(TAG, 0);
    assert_eq!(lab.counted(TAG), 0);
    daemon.steady("crew");
    for server in fleet_deleted(&nova, &since, &fleet) {
        assert_in_minute(closes, clock.of(at(&server.updated)), &format!("{} gone", server.name));
    }
    let changes = changes(&daemon, "crew");
    assert_eq!(desired(&changes), [0, 3, 0], "{changes:?}");
    assert_in_minute(opens, changes[1].at, "opened");
    assert_in_minute(closes, changes[2].at, "closed");
    let late = |change: &Change, due| change.at.duration_since(due).as_millis();
    let (opened, closed) = (late(&changes[1], opens), late(&changes[2], closes));
    lab.note(&format!("skipped: none again; opened {opened} ms late, closed {closed} ms late"));
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

/// Those of the fleet as Nova shows them now that they are deleted.
fn fleet_deleted(nova: &Nova, since: &str, fleet: &[Server]) -> Vec<Server> {
    let mut gone = nova.deleted_since(since);
    gone.retain(|server| fleet.iter().any(|one| one.id == server.id));
    assert_eq!(gone.len(), fleet.len(), "{gone:?}");
    gone
}

/// In Paris 02:30 comes twice that night, an hour apart.
fn an_hour_is_repeated(lab: &Lab) {
    let nova = Nova::of(lab);
    let tag = "novascale:gang";
    let (first, second) = (at("2025-10-26T00:30:00Z"), at("2025-10-26T01:30:00Z"));
    let span = SignedDuration::from_secs(25);
    let schedule = "[[group.crew.schedule]]\ncron = \"30 2 * * *\"\nduration = \"25s\"\n\
                    timezone = \"Europe/Paris\"\ncapacity = 2\nlead = \"0s\"\n";
    let gang = crew("min = 0\nmax = 6", schedule).replace("group.crew", "group.gang");
    let clock = Simulated::from("2025-10-26T00:29:25Z");
    let mut daemon = clock.set(Daemon::new(lab, &gang));
    daemon.start();
    daemon.steady("gang");
    assert_eq!(nova.tagged(tag), []);
    assert!(clock.now() < first, "the daemon took too long to start");
    nova.settled(tag, 2);
    nova.settled(tag, 0);
    let before = changes(&daemon, "gang");
    assert_eq!(desired(&before), [0, 2, 0], "{before:?}");
    assert_in_minute(first, before[1].at, "opened");
    assert!(before[2].at >= first + span, "{before:?}");
    lab.note("repeated: 2 at the first 02:30, and none after it");

    // Most of the hour is left out; the state goes on.
    daemon.terminate();
    let clock = Simulated::from("2025-10-26T01:29:45Z");
    let mut daemon = clock.set(daemon);
    daemon.start();
    assert!(clock.now() < second, "the daemon took too long to start");
    until("the second 02:30 to be over, and looked at", || {
        assert_eq!(nova.tagged(tag), []);
        let seen = daemon.status("gang")["observer"]["seen_at"].as_str().map(at);
        let over = seen.is_some_and(|seen| seen > second + span);
        if over { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    assert_eq!(lab.counted(tag), 0);
    assert_eq!(desired(&changes(&daemon, "gang")), [0, 2, 0]);
    lab.note("repeated: none at the second 02:30");
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

#[test]
fn an_alert_grows_the_fleet_step_by_step_to_its_most_and_lets_go() {
    let lab = Lab::take("alert");
    let nova = Nova::of(&lab);
    let policy =
        "[[group.crew.alert]]\nalert = \"QueueHigh\"\nchange = 1\nevery = \"20s\"\nmost = 3\n";
    let daemon = Daemon::started(&lab, &crew("min = 2\nmax = 9", policy));
    nova.settled(TAG, 2);
    assert_eq!(lab.counted(TAG), 2);
    daemon.steady("crew");
    let alert = |status: &str| json!({"name": "QueueHigh", "status": status});

    tell(&daemon, "alerts", &alert("firing"));
    let fired = Instant::now();
    for n in [3, 4, 5] {
        nova.settled(TAG, n);
        assert_eq!(lab.counted(TAG), n);
        lab.note(&format!("{n} servers"));
    }
    // Its sender repeats it, as senders do.
    tell(&daemon, "alerts", &alert("firing"));
    until("the alert to fire for long enough for a fourth step", || {
        assert_eq!(nova.tagged(TAG).len(), 5);
        let fires = fired.elapsed();
        if fires > 3 * EVERY + Duration::from_secs(5) { Ok(()) } else { Err(format!("{fires:?}")) }
    });
    assert_eq!(lab.counted(TAG), 5);
    let grown = changes(&daemon, "crew");
    assert_eq!(desired(&grown), [2, 3, 4, 5], "{grown:?}");
    for pair in grown[1..].windows(2) {
        let step = pair[1].steady.abs_diff(pair[0].steady);
        assert!(step.abs_diff(EVERY) < Duration::from_secs(5), "a step after {step:?}");
    }
    lab.note("5 for good: its most");

    tell(&daemon, "alerts", &alert("resolved"));
    nova.settled(TAG, 2);
    assert_eq!(lab.counted(TAG), 2);
    daemon.steady("crew");
    assert_eq!(desired(&changes(&daemon, "crew")), [2, 3, 4, 5, 2]);
    lab.note("2 again since it was resolved");
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

#[test]
fn what_each_server_measures_brings_the_average_to_its_target() {
    let lab = Lab::take("cpu of each server");
    let nova = Nova::of(&lab);
    let target = "[[group.crew.target]]\nsignal = \"cpu\"\naverage = 60\nwarm_up = \"0s\"\n";
    // After a change there is time to say what those measure that are left.
    let cooled = crew("min = 1\nmax = 9", target)
        .replace("cooldown = \"0s\"", &format!("cooldown = \"{} s\"", COOLDOWN.as_secs()));
    let daemon = Daemon::started(&lab, &cooled);
    // What the fleet measures, each server for itself.
    let measured = |values: &[f64]| {
        let fleet = nova.settled(TAG, values.len());
        assert_eq!(lab.counted(TAG), values.len());
        let sample = |(server, value): (&Server, &f64)| json!({"name": "cpu", "value": value, "server": server.id});
        let samples: Vec<Value> = fleet.iter().zip(values).map(sample).collect();
        tell(&daemon, "signals", &json!(samples));
        let sum: f64 = values.iter().sum();
        lab.note(&format!("{} servers, which measure {sum} together", values.len()));
    };

    measured(&[170.0]);
    measured(&[85.0, 95.0, 75.0]);
    measured(&[80.0, 65.0, 70.0, 60.0, 75.0]);
    measured(&[20.0; 6]);
    // Their load is spread over those that are left: within the tolerance of 10 %.
    measured(&[60.0, 55.0]);
    let shrunk = changes(&daemon, "crew");
    assert_eq!(desired(&shrunk), [1, 3, 5, 6, 2], "{shrunk:?}");
    until("the cooldown to be over", || {
        let last = changes(&daemon, "crew").pop().unwrap();
        assert_eq!(last.desired, 2);
        let since = Timestamp::now().duration_since(last.at);
        if since.unsigned_abs() > COOLDOWN { Ok(()) } else { Err(format!("{since:?}")) }
    });
    daemon.steady("crew");
    assert_eq!(lab.counted(TAG), 2);
    lab.note("2 stay");
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}
