//! One group that cannot work beside one that can.

use super::canary;
use super::cloud::{Ask, Cloud};
use super::place::{FAST, Place, group};

/// What is written wrong, and how; the group is called after it.
const WRONG: [(&str, &str, &str); 3] = [
    ("flavor", "d2-2", "d2-22"),
    ("image", "Debian 12", "Debian 112"),
    ("networks", "Ext-Net", "Ext-Nett"),
];

#[test]
fn groups_that_name_what_is_not_there_leave_the_others_alone() {
    let cloud = Cloud::start();
    let broken = WRONG.map(|(key, right, wrong)| group(key, 1, 3).replace(right, wrong)).concat();
    let place = Place::new(&format!("{}{FAST}{}{broken}", cloud.section(), group("web", 2, 5)));
    let daemon = place.start();
    place.until_steady("web", 2);
    for (name, _, wrong) in WRONG {
        // In the log, in the API and on the terminal: the key to mend, and what stands there.
        let key = format!("group.{name}.{name}");
        let line = daemon.says(&format!("key={key}"));
        assert!(line.contains("failed: launch 1 of") && line.contains(wrong), "{line}");
        let failing = place.until(name, "failing", |g| g["situation"] == "failing");
        let sentences = failing["sentences"].to_string();
        assert!(sentences.contains(&key) && sentences.contains(wrong), "{sentences}");
        let why = place.explain(name);
        assert!(why.contains(&key) && why.contains(wrong), "{why}");
    }

    // The other one goes on growing; nothing was ever created for the broken ones.
    place.does("scale web 4");
    place.until_steady("web", 4);
    assert_eq!((cloud.members("web"), cloud.servers().len()), (4, 4));
    assert_eq!(cloud.asked(Ask::creates), 2);
    canary::ask_everything(&place);
    assert_eq!(daemon.stop().code, 0);

    // Mended, they come up.
    let mut scaling = std::fs::read_to_string(place.path().join("scaling.toml")).unwrap();
    for (_, right, wrong) in WRONG {
        scaling = scaling.replace(wrong, right);
    }
    place.write("scaling.toml", &scaling);
    let daemon = place.start();
    for (name, ..) in WRONG {
        place.until_steady(name, 1);
    }
    assert_eq!((cloud.members("web"), cloud.servers().len()), (4, 7));
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}
