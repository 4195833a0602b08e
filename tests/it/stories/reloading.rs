//! Another configuration while it runs, and what a smaller or broken one may not do.

use std::time::Instant;

use serde_json::{Value, json};

use super::canary;
use super::cloud::{Ask, Cloud, Fault};
use super::place::{FAST, Place, Ran, group};
use super::starting::shipped;
use super::systemd::Manager;

const CLOUD: &str = "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\n\
                     delete = \"20ms\"\n\n";

fn with(groups: &[String]) -> String {
    format!("{CLOUD}{FAST}{}", groups.concat())
}

fn place(groups: &[String]) -> Place {
    Place::new(&with(groups))
}

fn rewrite(place: &Place, groups: &[String]) {
    place.write("scaling.toml", &with(groups));
}

/// What was printed, unwrapped.
fn all(ran: &Ran) -> String {
    format!("{}{}", ran.out, ran.err).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ids(place: &Place, group: &str) -> Vec<String> {
    let shown = place.does(&format!("servers {group} --output json")).json();
    let ids = shown["servers"].as_array().unwrap().iter().map(|s| s["id"].to_string());
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

#[test]
fn groups_come_change_go_and_come_back() {
    let (web, db) = (group("web", 1, 4), group("db", 2, 4));
    let place = place(&[web.clone(), db.clone()]);
    let daemon = place.start();
    place.until_steady("web", 1);
    place.until_steady("db", 2);
    let before = ids(&place, "db");

    rewrite(&place, &[group("web", 2, 4), db.clone(), group("new", 1, 2)]);
    let ran = place.does("reload");
    assert_eq!(all(&ran), "Added: new. Changed: web.");
    place.until_steady("new", 1);
    place.until_steady("web", 2);

    // `db` is missing: frozen, listed, and left as it is.
    rewrite(&place, &[group("web", 2, 4)]);
    let ran = place.does("reload --output json").json();
    assert_eq!(ran["removed"], json!(["db", "new"]));
    daemon.says("frozen, for the configuration does not have it: 2 servers are left as they are");
    let status = place.does("status");
    let row = status.out.lines().find(|line| line.starts_with("db ")).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["db", "-", "-", "2", "-", "-", "frozen"]
    );
    assert!(all(&status).contains("Put [group.db] back into scaling.toml"), "{status:?}");
    assert!(all(&place.does("status db")).contains("2 servers are left as they are"));
    let refused = place.novascale("scale db 0");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(all(&refused).contains("(group-not-configured)"), "{refused:?}");
    place.does("plan");

    // So it stays over a restart.
    assert_eq!(daemon.stop().code, 0);
    let daemon = place.start();
    daemon.says("frozen, for the configuration does not have it: 2 servers are left as they are");
    place.until_steady("web", 2);

    rewrite(&place, &[web, db]);
    assert_eq!(all(&place.does("reload")), "Added: db. Changed: web.");
    place.until_steady("db", 2);
    assert_eq!(ids(&place, "db"), before, "the same servers as ever");
    canary::ask_everything(&place);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn a_file_with_faults_changes_nothing_and_is_told_everywhere() {
    let place = place(&[group("web", 1, 4)]);
    let daemon = place.start();
    place.until_steady("web", 1);
    let bad = with(&[group("web", 3, 4)]).replace("max = 4", "mxa = 4\nnonsense = true");
    place.write("scaling.toml", &bad);
    let (reload, check) = (place.novascale("reload"), place.novascale("check"));
    assert_eq!((reload.code, check.code), (78, 78), "{reload:?}");
    assert_eq!(reload.err, check.err, "the same words");
    assert_eq!(reload.out, "");
    let programs = place.novascale("reload --output json");
    assert_eq!(
        (programs.code, programs.json()["code"].as_str()),
        (78, Some("configuration-invalid"))
    );
    daemon.signal("HUP");
    daemon.says("not reloaded: the configuration has 2 faults and is refused");
    let web = place.group("web");
    assert_eq!((&web["min"], &web["max"]), (&json!(1), &json!(4)));
    let metrics = place.ask("admin", "GET /metrics", "read", None).body;
    let line = metrics.lines().find(|l| l.starts_with("novascale_config_last_reload_successful"));
    assert!(line.unwrap().ends_with(" 0.0"), "{line:?}");
    let status = all(&place.does("status"));
    assert!(status.contains("2 faults and is refused"), "{status}");
    assert_eq!(place.ask("admin", "GET /readyz", "read", None).status, 200);

    // A file that is not there at all is no smaller fault.
    std::fs::remove_file(place.path().join("scaling.toml")).unwrap();
    let ran = place.novascale("reload --state-dir .novascale");
    assert_eq!(ran.code, 78, "{ran:?}");

    rewrite(&place, &[group("web", 2, 4)]);
    daemon.signal("HUP");
    place.until_steady("web", 2);
    assert!(!all(&place.does("status")).contains("refused"));
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn a_large_cut_waits_by_reload_and_by_restart_until_it_is_confirmed() {
    let place = place(&[group("web", 0, 10)]);
    let daemon = place.start();
    place.does("scale web 6");
    place.until_steady("web", 6);
    let before = ids(&place, "web");
    rewrite(&place, &[group("web", 0, 2)]);
    let ran = place.does("reload");
    let said = "web has 6 servers, and its max was cut from 10 to 2: none goes for that before \
                `novascale reload --confirm`";
    assert!(all(&ran).contains(said), "{ran:?}");
    let waits = |group: &Value| {
        group["situation"] == "holding"
            && group["headline"].as_str().unwrap().contains("novascale reload --confirm")
    };
    place.until("web", "waiting", waits);
    assert!(place.explain("web").contains("Max was cut from 10 to 2"));

    assert_eq!(daemon.stop().code, 0);
    let daemon = place.start();
    place.until("web", "waiting after a restart", waits);
    assert_eq!(ids(&place, "web"), before);
    // A reload without the word is none.
    daemon.signal("HUP");
    daemon.says("the configuration was read again: no group differs");
    place.until("web", "waiting still", waits);
    assert_eq!(ids(&place, "web"), before);

    assert_eq!(all(&place.does("reload --confirm")).matches("Confirmed: web").count(), 1);
    place.until_steady("web", 2);
    let log = daemon.stop().log;
    assert!(log.contains("max 2 rather than 10 is confirmed"), "{log}");
    canary::search(&place, None);
}

/// Nobody confirms what nobody has been shown.
#[test]
fn a_word_does_not_count_for_a_cut_that_comes_with_it() {
    let place = place(&[group("web", 0, 10), group("db", 0, 10)]);
    let daemon = place.start();
    for name in ["web", "db"] {
        place.does(&format!("scale {name} 6"));
        place.until_steady(name, 6);
    }
    rewrite(&place, &[group("web", 0, 2), group("db", 0, 10)]);
    place.does("reload");
    // Meant for web; by a slip db is cut as well, and web's min is another one.
    rewrite(&place, &[group("web", 1, 2), group("db", 0, 1)]);
    let ran = place.does("reload --confirm");
    assert!(all(&ran).contains("Confirmed: web has at most 2 rather than 10."), "{ran:?}");
    assert!(!all(&ran).contains("Confirmed: db"), "{ran:?}");
    let said = "db has 6 servers, and its max was cut from 10 to 1: none goes for that before \
                `novascale reload --confirm` comes once more, for this cut was not shown before";
    assert!(all(&ran).contains(said), "{ran:?}");
    place.until_steady("web", 2);
    place.until("db", "waiting", |db| db["situation"] == "holding");
    assert_eq!(ids(&place, "db").len(), 6);
    let ran = place.does("reload --confirm");
    assert!(all(&ran).contains("Confirmed: db has at most 1 rather than 10."), "{ran:?}");
    place.until_steady("db", 1);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn a_group_that_left_is_shown_until_its_servers_are_gone() {
    let cloud = Cloud::start();
    let file = |groups: &[String]| format!("{}{FAST}{}", cloud.section(), groups.concat());
    let (web, db) = (group("web", 1, 4), group("db", 2, 4));
    let place = Place::new(&file(&[web.clone(), db]));
    let daemon = place.start();
    place.until_steady("db", 2);
    let servers = ids(&place, "db");
    place.write("scaling.toml", &file(&[web]));
    place.does("reload");
    let delete = |id: &String| {
        cloud.nova("DELETE", &format!("/servers/{}", id.trim_matches('"')), Value::Null)
    };
    let shown = |n: Option<u64>| {
        // After a reload it is looked for soon.
        place.does("reload");
        place.until("web", "so many servers of db", |_| {
            let groups = place.ask("admin", "GET /v1/groups", "read", None).json();
            let all = groups["groups"].as_array().unwrap();
            let db = all.iter().find(|group| group["name"] == "db");
            db.map(|db| db["known_servers"].as_u64().unwrap()) == n
        });
    };
    shown(Some(2));
    delete(&servers[0]);
    // What Nova cannot tell is no proof.
    let asked = cloud.asked(Ask::gets);
    cloud.tamper(|ask| ask.gets().then(|| Fault::Answer(503, &[], String::new())));
    place.does("reload");
    place.until("web", "a look", |_| cloud.asked(Ask::gets) >= asked + 2);
    assert!(place.does("status").out.contains("db "));
    cloud.mend();
    shown(Some(1));
    delete(&servers[1]);
    shown(None);
    daemon.says("nothing is left of it: it is not shown any more");
    assert!(!place.does("status").out.contains("db"));
    assert_eq!(cloud.asked(Ask::deletes), 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

/// The tag makes a member, but only our mark for the group makes it one that may go.
#[test]
fn a_group_that_takes_anothers_tag_takes_none_of_its_servers() {
    let cloud = Cloud::start();
    let file = |groups: &[String]| format!("{}{FAST}{}", cloud.section(), groups.concat());
    let (old, new) = (group("old", 2, 4), group("new", 0, 4));
    let place = Place::new(&file(&[old, new.clone()]));
    let daemon = place.start();
    place.until_steady("old", 2);
    let before = cloud.servers();
    let taken = new.replace("min = 0", "tag = \"novascale:old\"\nmin = 0");
    place.write("scaling.toml", &file(&[taken]));
    place.does("reload");
    let shown = place.until("new", "two that are foreign", |new| new["tally"]["foreign"] == 2);
    assert_eq!(shown["desired"], 0, "{shown:#}");
    let said = place.explain("new");
    assert!(said.contains("2 are foreign, with the tag but not launched here"), "{said}");
    let table = all(&place.does("servers new"));
    assert_eq!(table.matches("not launched by novascale, never touched").count(), 2, "{table}");
    assert!(all(&place.does("status old")).contains("2 servers are left as they are"));
    place.does("scale new 3");
    place.until("new", "one of its own", |new| new["tally"]["serving"] == 3);
    place.does("scale new 0");
    place.until("new", "its own gone", |new| {
        new["tally"]["serving"] == 2 && new["tally"]["leaving"] == 0
    });
    assert_eq!(daemon.stop().code, 0);
    let ids = |servers: &[Value]| servers.iter().map(|s| s["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&cloud.servers()), ids(&before));
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_max_that_was_raised_again_needs_no_word() {
    let place = place(&[group("web", 0, 10)]);
    let daemon = place.start();
    place.does("scale web 6");
    place.until_steady("web", 6);
    rewrite(&place, &[group("web", 0, 2)]);
    place.does("reload");
    place.until("web", "waiting", |g| g["situation"] == "holding");
    rewrite(&place, &[group("web", 0, 8)]);
    assert_eq!(all(&place.does("reload")), "Changed: web.");
    place.until_steady("web", 6);
    let log = daemon.stop().log;
    assert!(!log.contains("terminate"), "{log}");
    canary::search(&place, None);
}

#[test]
fn what_is_not_about_groups_waits_for_a_restart_and_is_named() {
    let slow = |text: &str| text.replace("call_timeout = \"1s\"", "call_timeout = \"5s\"");
    let slow = |text: &str| slow(text).replace("settle = \"3s\"", "settle = \"11s\"");
    let place = Place::new(&slow(&with(&[group("web", 1, 4)])));
    let daemon = place.start();
    place.until_steady("web", 1);
    let next = with(&[group("web", 2, 4)]);
    let next = slow(&next).replace("build = [\"10ms\"", "build = [\"20ms\"");
    let next = next.replace("[http]\n", "[http.limits]\nin_flight = 7\n\n[http]\n");
    place.write("scaling.toml", &format!("{next}[controller]\nid = \"{}\"\n", "a".repeat(32)));
    let ran = place.does("reload");
    let sections = "[controller], [cloud], [http]";
    assert!(all(&ran).starts_with("Changed: web."), "{ran:?}");
    assert!(all(&ran).contains(&format!("changes in {sections} counts from the next start")));
    daemon.says(&format!("what the file changes in {sections} waits for a restart"));
    assert!(all(&place.does("status")).contains(&format!("{sections} waits for a restart")));
    place.until_steady("web", 2);
    // Groups that do not go with what still runs are refused until then.
    rewrite(&place, &[group("web", 2, 4)]);
    assert_eq!(place.novascale("check").code, 0);
    let ran = place.novascale("reload");
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.err.contains("until novascale is restarted"), "{ran:?}");
    let moved = slow(&with(&[group("web", 2, 4)]));
    place.write("scaling.toml", &moved.replace("build = [", "region = \"OTHER\"\nbuild = ["));
    assert_eq!(place.novascale("check").code, 0);
    let ran = place.novascale("reload");
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.err.contains("takes effect with a restart"), "{ran:?}");
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn hangups_by_the_dozen_are_some_reloads_and_none_hurts() {
    let place = place(&[group("web", 2, 4)]);
    let daemon = place.start();
    place.until_steady("web", 2);
    let before = ids(&place, "web");
    for max in (4..16).chain([4]) {
        rewrite(&place, &[group("web", 2, max)]);
        daemon.signal("HUP");
    }
    place.until("web", "the last file", |g| g["max"] == 4 && g["situation"] == "steady");
    place.does("reload");
    place.until_steady("web", 2);
    assert_eq!(ids(&place, "web"), before);
    // A stop in the middle of a reload is a stop.
    rewrite(&place, &[group("web", 2, 5)]);
    daemon.signal("HUP");
    daemon.signal("TERM");
    let stopped = daemon.ended(Instant::now());
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    canary::search(&place, None);
}

#[test]
fn who_ignores_hangups_is_not_reloaded_by_one() {
    let place = place(&[group("web", 1, 4)]);
    let daemon = place.start_after("trap '' HUP");
    place.until_steady("web", 1);
    rewrite(&place, &[group("web", 2, 4)]);
    daemon.signal("HUP");
    assert_eq!(all(&place.does("reload")), "Changed: web.");
    assert_eq!(daemon.stop().log.matches("reloading: the configuration").count(), 1);
    canary::search(&place, None);
}

#[test]
fn systemd_is_told_of_a_reload_and_of_its_end() {
    let place = place(&[group("web", 0, 3)]);
    let manager = Manager::listening(&place);
    let daemon = place.start_with(&[("NOTIFY_SOCKET", &manager.socket)]);
    manager.hears("READY=1");
    for text in [with(&[group("web", 0, 4)]), "nonsense".to_owned()] {
        place.write("scaling.toml", &text);
        daemon.signal("HUP");
        let told = manager.hears("RELOADING=1");
        assert!(told.contains("\nMONOTONIC_USEC="), "{told}");
        manager.hears("READY=1");
    }
    daemon.signal("TERM");
    manager.hears("STOPPING=1");
    assert_eq!(daemon.ended(Instant::now()).code, 0);
}

/// The shipped file with every key that it shows, one line of it changed.
fn mutants() -> Vec<String> {
    let shipped = shipped().replace("#port = 0 ", "port = 0 ");
    let listening = shipped.replace("#webhook = \"127.0.0.1:7780\"", "webhook = \"127.0.0.1:0\"");
    let whole = listening.replace("#admin = \"127.0.0.1:7781\"", "admin = \"127.0.0.1:0\"");
    let lines: Vec<&str> = whole.lines().collect();
    let mut mutants = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let key = line.trim_start_matches('#');
        let commented = line.starts_with('#');
        let is_key = key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let with = |line: &str| {
            let mut lines = lines.clone();
            lines[at] = line;
            lines.join("\n")
        };
        if line.starts_with('[') || (is_key && !commented) {
            mutants.push(with(""));
        }
        if is_key {
            let name = key.split_once(" = ").unwrap().0;
            let values = ["0", "-1", "7", "\"\"", "\"90%\"", "\"40s\"", "true", "[]", "nonsense"];
            mutants.extend(values.map(|value| with(&format!("{name} = {value}"))));
        }
    }
    mutants
}

#[test]
fn every_line_of_the_file_may_go_or_change() {
    let (mutants, whole) = (mutants(), shipped());
    assert!(mutants.len() > 300, "{}", mutants.len());
    let local = whole.replace("#webhook = \"127.0.0.1:7780\"", "webhook = \"127.0.0.1:0\"");
    let local = local.replace("#admin = \"127.0.0.1:7781\"", "admin = \"127.0.0.1:0\"");
    let fast = local.replace("#commands_per_second = 10", "commands_per_second = 10000");
    let place = Place::new(&fast);
    let daemon = place.start_as(&["run", "--log-level", "info"], &[]);
    let configured = || {
        let groups = place.ask("admin", "GET /v1/groups", "read", None).json();
        let groups = groups["groups"].as_array().unwrap().clone();
        let shown =
            |g: &Value| ["name", "configured", "tag", "min", "max", "region"].map(|k| g[k].clone());
        groups.iter().map(shown).collect::<Vec<_>>()
    };
    let (mut taken, mut refused) = (0, 0);
    for mutant in mutants {
        let before = configured();
        place.write("scaling.toml", &mutant);
        let valid = place.novascale("check").code == 0;
        let heard = place.ask("admin", "POST /v1/reload", "operate", Some(json!({})));
        // What does not go with what runs until the restart is refused too, and says so.
        let later = heard.status == 422 && heard.body.contains("restart novascale");
        if valid && !later {
            assert_eq!(heard.status, 200, "{heard:?}\n{mutant}");
            taken += 1;
        } else {
            assert_eq!(heard.status, 422, "{heard:?}\n{mutant}");
            assert_eq!(configured(), before, "{mutant}");
            refused += 1;
        }
    }
    assert!(taken > 20 && refused > 200, "{taken} {refused}");
    assert_eq!(daemon.stop().code, 0);
}
