//! Stopping in order, and starting again where it was left.

use std::time::Duration;

use super::canary;
use super::cloud::{Ask, Cloud, Fault};
use super::place::{FAST, Place, group};

const BOUND: Duration = Duration::from_secs(20);

fn on(cloud: &Cloud) -> Place {
    Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 20)))
}

#[test]
fn a_stop_and_a_start_change_nothing_and_are_told() {
    let embedded = format!(
        "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\n\n\
         {FAST}{}",
        group("web", 3, 5)
    );
    let place = Place::new(&embedded);
    let daemon = place.start();
    place.until_steady("web", 3);
    let servers = || {
        let shown = place.does("servers web --output json").json();
        let ids = shown["servers"].as_array().unwrap().iter().map(|s| s["id"].to_string());
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    let before = servers();
    let stopped = daemon.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    assert!(stopped.took < BOUND, "{:?}", stopped.took);
    assert!(stopped.log.contains("stopped after"), "{}", stopped.log);
    assert!(!place.state("daemon.json").exists());
    let asked = place.novascale("status");
    assert_eq!(asked.code, 69, "{asked:?}");

    let daemon = place.start();
    daemon.says("recovered: 3 servers of 1 group known from before, 0 actions still open");
    place.until_steady("web", 3);
    assert_eq!(servers(), before);
    assert_eq!(place.novascale("plan --detailed-exitcode").code, 0);
    let log = daemon.stop().log;
    assert!(!log.contains("launch 3") && !log.contains("terminate"), "{log}");
    canary::search(&place, None);
}

/// The fleet is known again by the install id, which lies in a file of its own.
#[test]
fn a_lost_database_costs_no_capacity() {
    let place = Place::new(&format!(
        "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\n\
         delete = \"20ms\"\n\n{FAST}{}[[group.web.target]]\nsignal = \"requests\"\nper_server = 100\n",
        group("web", 0, 5)
    ));
    let daemon = place.start();
    place.does("signal web requests 290");
    place.until_steady("web", 3);
    assert_eq!(daemon.stop().code, 0);
    let database = place.state("clouds/sandbox/state.db");
    std::fs::remove_file(&database).unwrap();
    // Beside it only after a crash.
    let _ = std::fs::remove_file(database.with_extension("db-wal"));

    let daemon = place.start();
    let seen = place.until("web", "3 that serve", |g| g["tally"]["serving"] == 3);
    assert_eq!(seen["desired"], 3, "{seen:#}");
    // Passes come and go, long past the stabilization, and none of them lets a server go.
    let passes = || {
        let told = place.ask("admin", "GET /metrics", "read", None).body;
        let line = told.lines().find(|l| l.starts_with("novascale_passes_total")).unwrap();
        line.split_whitespace().last().unwrap().parse::<f64>().unwrap()
    };
    let enough = passes() + 4.0;
    while passes() < enough {
        place.does("signal web other 1");
    }
    let held = place.group("web");
    assert_eq!((&held["desired"], &held["tally"]["serving"]), (&3.into(), &3.into()), "{held:#}");
    // Data for its claim ends the hold.
    place.does("signal web requests 90");
    place.until_steady("web", 1);
    let log = daemon.stop().log;
    assert!(!log.contains("done: launch"), "{log}");
    canary::search(&place, None);
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    let about = std::fs::read(place.state("daemon.json")).unwrap();
    let second = place.novascale("run");
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.err.contains("is in use by the process"), "{}", second.err);
    assert!(second.err.contains(&format!("{}", daemon.pid())), "{}", second.err);
    // The first one is as it was, and is still found.
    assert_eq!(std::fs::read(place.state("daemon.json")).unwrap(), about);
    place.does("scale web 1");
    place.until_steady("web", 1);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_daemon_of_another_cloud_on_the_same_state_is_refused() {
    let (one, other) = (Cloud::start(), Cloud::start());
    let place = on(&one);
    let daemon = place.start();
    let about = std::fs::read(place.state("daemon.json")).unwrap();
    let scaling = format!("{}{FAST}{}", other.section(), group("web", 0, 20));
    place.write("other.toml", &scaling);
    let second = place.novascale("run --config other.toml");
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.err.contains("is in use by the process"), "{}", second.err);
    assert_eq!(other.asked(|_| true), 0);
    assert_eq!(std::fs::read(place.state("daemon.json")).unwrap(), about);
    place.does("status");
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&one));
}

#[test]
fn a_call_under_way_is_waited_for_and_its_answer_kept() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.until_steady("web", 0);
    cloud.tamper(|ask| ask.creates().then(|| Fault::Slow(Duration::from_millis(400))));
    place.does("scale web 4");
    place.until("web", "a create under way", |_| cloud.asked(Ask::creates) == 1);
    // `timeout` speaks to its child and then to the group.
    ["TERM", "TERM"].iter().for_each(|name| daemon.signal(name));
    let stopped = daemon.ended(std::time::Instant::now());
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    assert!(stopped.took < BOUND, "{:?}", stopped.took);
    assert!(stopped.log.contains("done: launch 4"), "{}", stopped.log);
    assert_eq!(cloud.members("web"), 4);

    cloud.mend();
    let daemon = place.start();
    place.until_steady("web", 4);
    assert_eq!(cloud.asked(Ask::creates), 1);
    assert_eq!(cloud.members("web"), 4);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let cloud = Cloud::start();
    // The call is waited for far longer than the second signal takes to come.
    let place = Place::patient(&cloud, 0, 20);
    let daemon = place.start();
    place.until_steady("web", 0);
    cloud.tamper(|ask| ask.creates().then_some(Fault::Mute));
    place.does("scale web 2");
    place.until("web", "a create under way", |_| cloud.members("web") == 2);
    daemon.signal("TERM");
    daemon.says("stopping: no new call");
    let stopped = daemon.insist("TERM");
    assert_eq!(stopped.code, 1, "{}", stopped.log);
    assert!(stopped.log.contains("stopped at the second signal"), "{}", stopped.log);

    cloud.mend();
    let daemon = place.start();
    place.until_steady("web", 2);
    assert_eq!(cloud.members("web"), 2);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}
