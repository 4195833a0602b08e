//! Freezing the running program: by command, by file, over restarts, and without its database.

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, Place, group};

fn on(cloud: &Cloud) -> Place {
    let groups = format!("{}{}", group("web", 0, 20), group("batch", 0, 20));
    Place::new(&format!("{}{FAST}{groups}", cloud.section()))
}

fn frozen(place: &Place, name: &str) {
    place.until(name, "frozen", |g| g["situation"] == "frozen");
}

#[test]
fn a_frozen_group_stays_as_it_is_over_a_restart() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 2");
    place.until_steady("web", 2);
    let told = place.does("freeze web --reason storm").out;
    assert!(told.contains("nothing is changed until"), "{told}");
    let shown = place.does("status").out;
    assert!(shown.contains("frozen") && shown.contains("(storm)"), "at once: {shown}");
    place.does("scale web 5");
    place.until("web", "5 desired", |g| g["desired"] == 5);
    let shown = place.does("status web").out;
    assert!(shown.contains("frozen") && shown.contains("(storm)"), "{shown}");
    // The other group goes on.
    place.does("scale batch 1");
    place.until_steady("batch", 1);
    assert_eq!(daemon.stop().code, 0);

    let daemon = place.start();
    frozen(&place, "web");
    place.until("web", "decided for", |g| g["desired"] == 5);
    let why = place.explain("web");
    assert!(why.contains("(storm): nothing is changed") && why.contains("Desired is 5"), "{why}");
    let metrics = place.ask("admin", "GET /metrics", "read", None).body;
    let line = "novascale_group_waiting{group=\"web\",reason=\"frozen\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert_eq!(cloud.members("web"), 2);
    place.does("unfreeze web");
    let shown = place.does("status").out;
    assert!(!shown.contains("frozen"), "at once: {shown}");
    place.until_steady("web", 5);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_touched_file_freezes_and_lines_let_the_others_go_on() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    std::fs::create_dir_all(place.state("")).unwrap();
    std::fs::write(place.state("freeze"), "").unwrap();
    let daemon = place.start();
    place.does("scale web 1");
    place.does("scale batch 1");
    frozen(&place, "web");
    frozen(&place, "batch");
    let told = place.does("unfreeze").out;
    assert!(told.contains("freeze: nothing is changed until it is removed"), "{told}");

    std::fs::write(place.state("freeze"), "web # a storm\nnobody\n").unwrap();
    place.until_steady("batch", 1);
    daemon.says("names nobody, and there is no such group");
    frozen(&place, "web");
    std::fs::write(place.state("freeze"), "web\nwhat is this?\n").unwrap();
    frozen(&place, "batch");
    assert!(place.explain("batch").contains("line 2 is no group's name"));
    std::fs::write(place.state("freeze"), "all\n").unwrap();
    place.until("batch", "held by a file that names nobody", |group| {
        group.to_string().contains("it names no group of the configuration")
    });
    assert_eq!(cloud.members("web"), 0);
    std::fs::remove_file(place.state("freeze")).unwrap();
    place.until_steady("web", 1);
    assert_eq!(daemon.stop().code, 0);
    let refused = place.novascale("freeze");
    assert_eq!(refused.code, 69, "{refused:?}");
    assert!(refused.err.contains("a file named `freeze`"), "{refused:?}");
    canary::search(&place, Some(&cloud));
}
