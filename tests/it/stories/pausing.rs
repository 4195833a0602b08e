//! Pausing the running program: one thing rests, over a restart too, and goes on when told.

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, Place, group};

#[test]
fn a_paused_launch_waits_for_resume_and_all_of_it_is_told_afterwards() {
    let cloud = Cloud::start();
    let place = Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 20)));
    let daemon = place.start();
    let told = place.does("pause web --process launch --reason move").out;
    assert!(told.contains("launch is paused"), "{told}");
    place.does("scale web 2");
    place.until("web", "held", |g| g["situation"] == "holding" && g["desired"] == 2);
    let why = place.explain("web");
    assert!(why.contains("2 servers are not launched: launch is paused by"), "{why}");
    assert!(why.contains("Next look at"), "{why}");
    assert_eq!(daemon.stop().code, 0);

    let daemon = place.start();
    place.until("web", "held still", |g| g["situation"] == "holding" && g["desired"] == 2);
    assert_eq!(cloud.members("web"), 0);
    let shown = place.does("status web").out;
    assert!(shown.contains("Paused:") && shown.contains("(move)"), "{shown}");
    let metrics = place.ask("admin", "GET /metrics", "read", None).body;
    let line = "novascale_group_paused{group=\"web\",process=\"launch\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    place.does("resume web --process launch");
    place.until_steady("web", 2);
    assert_eq!(cloud.members("web"), 2);

    let history = place.does("history web").out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["ordered: pause launch (move)", "ordered: set the base to 2", "launch 2 of"] {
        assert!(history.contains(words), "{history}");
    }
    let earlier = place.does("explain web --at 1s").out;
    assert!(earlier.contains("was in force for web"), "{earlier}");
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}
