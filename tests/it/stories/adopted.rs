//! Servers are taken over: tagged by hand, of a lost installation, of a renamed group; and two
//! installations on one group by mistake.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, PATIENCE, Place, group};

fn place(cloud: &Cloud, name: &str) -> Place {
    Place::new(&format!("{}{FAST}{}", cloud.section(), group(name, 0, 20)))
}

/// Somebody's own server, like one that is there already, once it is built; its id.
pub fn by_hand(cloud: &Cloud, tags: &[&str], metadata: &[(&str, &str)]) -> String {
    let (like, flavors) = (cloud.servers(), cloud.nova("GET", "/flavors", Value::Null));
    let image = like.first().map(|s| s["image"]["id"].clone());
    let image = image.expect("a server to take the image from");
    let metadata: BTreeMap<_, _> = metadata.iter().copied().collect();
    let server = json!({
        "name": "by-hand", "flavorRef": flavors["flavors"][0]["id"], "imageRef": image,
        "networks": "auto", "tags": tags, "metadata": metadata,
    });
    let made = cloud.nova("POST", "/servers", json!({ "server": server }));
    let id = made["server"]["id"].as_str().unwrap().to_owned();
    let (began, path) = (Instant::now(), format!("/servers/{id}"));
    while cloud.nova("GET", &path, Value::Null)["server"]["status"] != "ACTIVE" {
        assert!(began.elapsed() < PATIENCE, "{id} is not built");
        std::thread::sleep(Duration::from_millis(20));
    }
    id
}

fn foreign(place: &Place, name: &str, n: u64) {
    place.until(name, &format!("{n} foreign"), |g| g["tally"]["foreign"] == n);
}

#[test]
fn hand_made_servers_are_adopted_and_can_be_deleted_then() {
    let cloud = Cloud::start();
    let place = place(&cloud, "web");
    let daemon = place.start();
    place.does("scale web 2");
    place.until_steady("web", 2);
    let (tagged, bare) = (by_hand(&cloud, &["novascale:web"], &[]), by_hand(&cloud, &[], &[]));
    // It counts, so one of our own is too many.
    foreign(&place, "web", 1);
    place.until_steady("web", 2);
    let shown = place.does("adopt web --dry-run").out;
    assert!(shown.contains(&tagged) && shown.contains("Nothing was ordered."), "{shown}");
    assert_eq!(place.group("web")["tally"]["foreign"], 1);
    let refused = place.novascale("adopt web by-hand");
    assert!(refused.code == 1 && refused.err.contains(&tagged), "{refused:?}");

    place.does("adopt web --reason mine");
    daemon.says("was adopted and may be deleted from now on");
    foreign(&place, "web", 0);
    place.does(&format!("adopt web {bare}"));
    place.until("web", "3 that serve", |g| g["tally"]["serving"] == 3);
    let ours = place.does("servers web -f json").json();
    let whose = ours["servers"].as_array().unwrap().iter().map(|s| s["ownership"].clone());
    assert_eq!(whose.collect::<Vec<_>>(), ["ours", "ours", "ours"]);
    // Held at what stands, until an operator speaks.
    assert_eq!(place.group("web")["desired"], 3);
    assert!(place.explain("web").contains("servers were adopted"));
    place.does("scale web 0");
    place.until("web", "an empty group", |g| g["tally"]["serving"] == 0 && g["desired"] == 0);
    assert_eq!(cloud.servers().len(), 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_lost_installation_is_frozen_until_its_servers_are_adopted() {
    let cloud = Cloud::start();
    let place = place(&cloud, "web");
    let daemon = place.start();
    place.does("scale web 3");
    place.until_steady("web", 3);
    let id = std::fs::read_to_string(place.state("controller.id")).unwrap();
    assert_eq!(daemon.stop().code, 0);
    std::fs::remove_dir_all(place.path().join(".novascale")).unwrap();

    let daemon = place.start();
    daemon.says(&format!("the mark of another novascale installation {}", id.trim()));
    place.does("scale web 5");
    let held = place.until("web", "a freeze", |g| g["situation"] == "holding");
    assert!(held["headline"].as_str().unwrap().contains("`novascale adopt`"), "{held}");
    assert!(place.does("plan web").out.contains(id.trim()));
    let metrics = place.ask("admin", "GET /metrics", "read", None).body;
    assert!(metrics.contains("reason=\"other_install\"} 1"), "{metrics}");
    assert_eq!(cloud.members("web"), 3);
    place.does("adopt web");
    place.until("web", "3 of its own", |g| g["tally"]["foreign"] == 0);
    place.does("scale web 4");
    place.until_steady("web", 4);
    place.does("scale web 1");
    place.until_steady("web", 1);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_renamed_group_takes_its_servers_along() {
    let cloud = Cloud::start();
    let place = place(&cloud, "old");
    let daemon = place.start();
    place.does("scale old 3");
    place.until_steady("old", 3);
    let refused = place.novascale("adopt old --from old");
    assert!(refused.code == 1 && refused.err.contains("is configured here"), "{refused:?}");
    assert_eq!(daemon.stop().code, 0);
    place.write("scaling.toml", &format!("{}{FAST}{}", cloud.section(), group("web", 0, 20)));
    let daemon = place.start();
    place.until_steady("web", 0);
    let shown = place.does("adopt web --from old --dry-run").out;
    assert!(shown.contains("By what was last seen of old, 3 servers:"), "{shown}");
    for server in cloud.servers() {
        assert!(shown.contains(server["id"].as_str().unwrap()), "{shown}");
    }
    place.does("adopt web --from old");
    place
        .until("web", "3 of its own", |g| g["tally"]["serving"] == 3 && g["tally"]["foreign"] == 0);
    daemon.says("from old");
    let began = Instant::now();
    while cloud.members("old") > 0 {
        assert!(began.elapsed() < PATIENCE, "the old tag stays");
        std::thread::sleep(Duration::from_millis(40));
    }
    assert_eq!(cloud.members("web"), 3);
    place.does("scale web 1");
    place.until("web", "1 that serves", |g| g["tally"]["serving"] == 1 && g["desired"] == 1);
    canary::search(&place, Some(&cloud));
}

/// What the first refusal tells a person to do is done; then it works.
#[test]
fn a_server_moves_between_two_groups_as_the_hint_says() {
    let cloud = Cloud::start();
    let both = format!("{}{}", group("web", 0, 20), group("api", 0, 20));
    let place = Place::new(&format!("{}{FAST}{both}", cloud.section()));
    let _daemon = place.start();
    place.does("scale web 2");
    place.until_steady("web", 2);
    place.until_steady("api", 0);
    let id = cloud.servers()[0]["id"].as_str().unwrap().to_owned();
    let order = format!("adopt api {id}");
    let refused = place.novascale(&order);
    let said = refused.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let out = format!("server unset --tag novascale:web --property novascale:group {id}`");
    assert!(refused.code == 1 && said.contains(&out), "{said}");
    let other = place.novascale("adopt api --from web");
    let said = other.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(other.code == 1 && said.contains("then `novascale adopt api ID`"), "{said}");

    cloud.nova("DELETE", &format!("/servers/{id}/tags/novascale:web"), Value::Null);
    cloud.nova("DELETE", &format!("/servers/{id}/metadata/novascale:group"), Value::Null);
    // It is known there by its id until Nova shows it without the tag.
    place.until("web", "another in its place", |g| {
        let shown = place.does("servers web -f json").out;
        g["tally"]["serving"] == 2 && !shown.contains(&id)
    });
    place.does(&order);
    place.until("api", "one that serves", |g| g["tally"]["serving"] == 1);
    let shown = place.does("servers api -f json").json();
    assert_eq!(shown["servers"][0]["id"], id.as_str());
    assert_eq!(shown["servers"][0]["ownership"], "ours");
    assert_eq!((cloud.members("web"), cloud.members("api")), (2, 1));
    canary::search(&place, Some(&cloud));
}

#[test]
fn of_two_installations_on_one_group_the_second_refuses() {
    let cloud = Cloud::start();
    let (first, second) = (place(&cloud, "web"), place(&cloud, "web"));
    let one = first.start();
    first.does("scale web 2");
    first.until_steady("web", 2);
    let id = std::fs::read_to_string(first.state("controller.id")).unwrap();
    let two = second.start();
    second.does("scale web 6");
    two.says(&format!("the mark of another novascale installation {}", id.trim()));
    second.until("web", "a refusal", |g| g["situation"] == "holding");
    let words = second.explain("web");
    assert!(words.contains(id.trim()) && words.contains("nothing is changed"), "{words}");
    // The first is not disturbed, in either direction.
    first.does("scale web 4");
    first.until_steady("web", 4);
    first.does("scale web 1");
    first.until_steady("web", 1);
    assert_eq!(cloud.members("web"), 1);
    let log = two.stop().log;
    let said = log.lines().filter(|l| l.contains("WARN") && l.contains("another novascale"));
    assert!(said.count() <= 4, "said once for each size of the fleet: {log}");
    assert!(!log.contains("launch 6") && !log.contains("terminate"), "{log}");
    drop(one);
    canary::search(&first, Some(&cloud));
    canary::search(&second, Some(&cloud));
}

/// Each calls it by a name of its own; the tag is what they have in common.
#[test]
fn of_two_groups_on_one_tag_the_second_refuses_whatever_it_is_called() {
    let cloud = Cloud::start();
    let (first, second) = (place(&cloud, "web"), place(&cloud, "api"));
    let _one = first.start();
    first.does("scale web 2");
    first.until_steady("web", 2);
    let file = std::fs::read_to_string(second.path().join("scaling.toml")).unwrap();
    let shared = file.replace("[group.api]\n", "[group.api]\ntag = \"novascale:web\"\n");
    second.write("scaling.toml", &shared);
    let two = second.start();
    second.does("scale api 6");
    two.says("the mark of another novascale installation");
    second.until("api", "a refusal", |g| g["situation"] == "holding");
    let status = second.does("status").out;
    assert!(status.contains("stop one of the two"), "{status}");
    first.does("scale web 4");
    first.until_steady("web", 4);
    assert_eq!(cloud.members("web"), 4);
    assert!(!two.stop().log.contains("launch 6"));
    canary::search(&second, Some(&cloud));
}

/// Both find the group empty, and neither can know of the other yet.
#[test]
fn two_installations_that_start_at_once_cost_no_server() {
    let cloud = Cloud::start();
    let places = [place(&cloud, "web"), place(&cloud, "web")];
    let [a, b] = &places;
    let daemons = [a.start(), b.start()];
    std::thread::scope(|scope| {
        scope.spawn(|| a.does("scale web 3"));
        scope.spawn(|| b.does("scale web 3"));
    });
    let agreed = |place: &Place| {
        place.until("web", "a fleet at rest", |g| {
            g["tally"]["building"] == 0 && g["tally"]["coming"] == 0 && g["tally"]["serving"] != 0
        })
    };
    let (in_a, in_b) = (agreed(a), agreed(b));
    let there = cloud.members("web");
    assert!(there == 3 || there == 6, "{there}: {in_a} {in_b}");
    let words = |place: &Place| place.explain("web");
    if there == 6 {
        let came_later = "came later and should refuse";
        let refuses = "nothing is changed. If the other one";
        // Each has to have listed what the other made.
        let told = |place: &Place| {
            let said = |words: &str| words.contains(came_later) || words.contains(refuses);
            place.until("web", "a word on the other one", |_| said(&words(place)));
            words(place)
        };
        let (a, b) = (told(a), told(b));
        let one = a.contains(came_later) && b.contains(refuses);
        assert!(one || b.contains(came_later) && a.contains(refuses), "{a}\n{b}");
        whoever_looks_is_told(&places);
    }
    for daemon in daemons {
        assert!(!daemon.stop().log.contains("terminate"));
    }
    assert_eq!(cloud.members("web"), there, "nothing was deleted");
}

/// On both sides: all that stands, and what to do.
fn whoever_looks_is_told(places: &[Place; 2]) {
    for place in places {
        let status = place.does("status").out;
        assert!(status.contains("stop one of the two") || status.contains("Stop the"), "{status}");
        let shown = place.does("servers web -f json").json();
        assert_eq!(shown["servers"].as_array().unwrap().len(), 6, "{shown}");
    }
}
