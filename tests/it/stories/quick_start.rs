//! The README's lines, and what an operator types on a usual day.

use serde_json::{Value, json};

use super::cloud::{Cloud, Fault};
use super::place::{FAST, Place, group};
use super::{canary, starting};

/// The shipped configuration's shape on a fast embedded cloud.
fn fast() -> String {
    format!(
        "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\n\
         delete = \"20ms\"\n\n{FAST}{}[[group.web.target]]\nsignal = \"requests\"\nper_server = 100\n\n{}",
        group("web", 2, 10),
        group("batch", 0, 30),
    )
}

#[test]
fn a_fleet_grows_by_its_load_and_shrinks_again() {
    let place = Place::new(&fast());
    let daemon = place.start();
    for said in ["keeps batch (0 to 30), web (2 to 10)", "signed in as", "microversion 2.75"] {
        daemon.says(said);
    }
    place.until_steady("web", 2);

    // What the README has curl send.
    let sample = json!({ "name": "requests", "value": 540 });
    let heard = place.ask("webhook", "POST /v1/groups/web/signals", "signal", Some(sample));
    assert_eq!(heard.status, 202, "{heard:?}");
    place.until_steady("web", 6);
    let status = place.does("status").out;
    let row: Vec<&str> =
        status.lines().find(|l| l.starts_with("web ")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["web", "6", "6", "6", "2", "10", "steady"]);
    let line = "web: 6 serve, as desired: requests is 540, at 100 per server that wants 6";
    assert!(status.contains(line), "{status}");
    assert_eq!(
        place.does("servers web --output json").json()["servers"].as_array().unwrap().len(),
        6
    );
    // The same again changes nothing, and why nothing happens can be read.
    assert_eq!(place.novascale("plan web --detailed-exitcode").code, 0);
    let why = place.explain("web");
    assert!(why.contains("Nothing is to be done.") && why.contains("requests is 540"), "{why}");

    // Less load: held by the stabilization, then back at two.
    place.does("signal web requests 90");
    let held = place.until("web", "a smaller claim", |g| g["wanted"] == 2);
    let sentences = held["sentences"].to_string();
    assert!(held["desired"] == 2 || sentences.contains("stabilization"), "{sentences}");
    place.until_steady("web", 2);
    daemon.says("shrinking to 2");

    canary::ask_everything(&place);
    let stopped = daemon.stop();
    assert_eq!(stopped.code, 0);
    assert_eq!(stopped.log.matches("done: launch 4 of d2-2").count(), 1, "{}", stopped.log);
    canary::search(&place, None);
}

/// Its stabilization and velocity bring it back within two minutes (`config/example.rs` counts
/// them); that it begins to hold is seen here.
#[test]
fn the_shipped_file_does_what_the_readme_says() {
    let ports = ["webhook = \"127.0.0.1:7780\"", "admin = \"127.0.0.1:7781\""];
    let scaling = ports.iter().fold(starting::shipped(), |text, line| {
        let (key, _) = line.split_once(" = ").unwrap();
        assert_eq!(text.matches(&format!("#{line}")).count(), 1, "{line}");
        text.replace(&format!("#{line}"), &format!("{key} = \"127.0.0.1:0\""))
    });
    let place = Place::new(&scaling);
    let daemon = place.start();
    place.until_steady("web", 2);
    let ran = place.does("signal web requests 540");
    assert_eq!(ran.out, "web has heard: requests is 540.\n");
    place.until_steady("web", 6);
    place.does("signal web requests 90");
    place.until("web", "the stabilization", |g| {
        g["wanted"] == 2
            && g["desired"] == 6
            && g["sentences"].to_string().contains("(stabilization")
    });
    assert!(place.explain("web").contains("6 were wanted within the last 30 s"));
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn an_operator_sets_reserves_and_pins() {
    let place = Place::new(&fast());
    let daemon = place.start();
    place.until_steady("batch", 0);

    let ran = place.does("scale batch +1 --reason story");
    assert!(format!("{}{}", ran.out, ran.err).contains("base 1"), "{ran:?}");
    place.until_steady("batch", 1);

    // The larger claim counts until its end, which is then waited for in vain here.
    place.does("reserve batch 4 --for 1h --owner nightly");
    let group = place.until("batch", "4", |g| g["desired"] == 4);
    assert!(group["headline"].as_str().unwrap().contains("nightly reserved 4"), "{group}");

    // A pin stands in place of all claims, above and below them.
    place.does("pin batch 2 --for 1h --reason quiet");
    let group = place.until_steady("batch", 2);
    assert!(group["sentences"].to_string().contains("pinned at 2"), "{group}");
    let plan = place.novascale("plan batch --detailed-exitcode");
    assert_eq!(plan.code, 0, "{plan:?}");
    place.does("unpin batch");
    place.until("batch", "4", |g| g["desired"] == 4);

    place.does("release batch --owner nightly");
    place.until("batch", "1", |g| g["desired"] == 1);
    let ran = place.does("scale batch 0");
    assert!(format!("{}{}", ran.out, ran.err).contains("base 0"), "{ran:?}");
    place.until_steady("batch", 0);

    canary::ask_everything(&place);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn a_plan_tells_of_changes_before_they_are_made() {
    let cloud = Cloud::start();
    let place = Place::patient(&cloud, 2, 10);
    let daemon = place.start();
    place.until_steady("web", 2);
    assert_eq!(place.novascale("plan web --detailed-exitcode").code, 0);
    // While a pass waits for its call, the next one is still to come.
    cloud.tamper(|ask| ask.creates().then_some(Fault::Mute));
    place.does("pin web 3");
    place.until("web", "a create under way", |_| cloud.members("web") == 3);
    place.does("pin web 6");
    let plan = place.novascale("plan web --detailed-exitcode --output json");
    assert_eq!(plan.code, 2, "{plan:?}");
    let told = plan.json();
    assert_eq!(told["changes"], Value::Bool(true), "{told}");
    let words = told.to_string();
    assert!(words.contains("Launch 3 of d2-2"), "{words}");
    assert_eq!(cloud.members("web"), 3, "asking made nothing");
    daemon.kill();
    canary::search(&place, Some(&cloud));
}
