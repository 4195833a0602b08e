//! A disk without room, as the running program meets it. A limit on the size of its files stands
//! in for it, which needs no right of its own: what would grow one is refused.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::canary;
use super::cloud::{Ask, Cloud};
use super::place::{Daemon, FAST, Heard, Place, group};

/// Lets the daemon write no file beyond its first byte, or all that it may by right.
fn room(daemon: &Daemon<'_>, there_is: bool) {
    let given = getrlimit(Resource::Fsize);
    let current = if there_is { given.current } else { Some(1) };
    let daemon = Pid::from_raw(daemon.pid().try_into().unwrap());
    prlimit(daemon, Resource::Fsize, Rlimit { current, ..given }).unwrap();
}

fn ready(place: &Place) -> Value {
    place.ask("admin", "GET /readyz?verbose", "read", None).json()
}

/// The checks that do not hold.
fn failed(place: &Place) -> Vec<String> {
    let checks = ready(place)["checks"].as_array().unwrap().clone();
    let failed = checks.iter().filter(|check| check["ok"] == false);
    failed.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

fn set(place: &Place, capacity: u32) -> Heard {
    let body = Some(json!({ "set": capacity }));
    place.ask("webhook", "POST /v1/groups/web/capacity", "operate", body)
}

#[test]
fn on_a_full_disk_nothing_is_made_until_there_is_room() {
    let cloud = Cloud::start();
    let place = Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 20)));
    // Beyond the limit a write is an error then, as on a full disk, and no signal that ends it.
    let daemon = place.start_after("trap '' XFSZ");
    place.does("scale web 3");
    place.until_steady("web", 3);
    assert_eq!(ready(&place)["ready"], true);
    let creates = cloud.asked(Ask::creates);

    room(&daemon, false);
    for server in cloud.servers().iter().take(2) {
        cloud.nova("DELETE", &format!("/servers/{}", server["id"].as_str().unwrap()), Value::Null);
    }
    // Two are missing, and no call is made whose journal line cannot be kept.
    let line = daemon.says("pass failed: could not keep a decision for the group web");
    assert!(line.contains("state.db"), "{line}");
    let refused = set(&place, 4);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["code"], "store-unavailable", "{refused:?}");
    daemon.says("could not keep a command for the group web");
    // The store's last answer counts for a moment.
    place.until("web", "not ready", |_| ready(&place)["ready"] == false);
    assert_eq!(failed(&place), ["store"]);
    place.until("web", "failing", |group| group["situation"] == "failing");
    assert_eq!((cloud.asked(Ask::creates), cloud.members("web")), (creates, 1));

    room(&daemon, true);
    place.until("web", "made again", |_| cloud.asked(Ask::creates) > creates);
    place.until_steady("web", 3);
    assert_eq!((cloud.asked(Ask::creates), cloud.members("web")), (creates + 1, 3));
    assert!(set(&place, 4).status < 300);
    place.until_steady("web", 4);
    place.until("web", "ready again", |_| ready(&place)["ready"] == true);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}
