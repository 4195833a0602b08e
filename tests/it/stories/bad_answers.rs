//! Answers that a cloud should not give, end to end: nothing is changed on them, what is
//! wrong can be read, and afterwards all goes on.

use serde_json::{Value, json};

use super::canary;
use super::cloud::{Answer, Ask, Cloud, Fault};
use super::place::{FAST, Place, group};

const HTML: &str = "<html><body><h1>It works!</h1></body></html>";

fn on(cloud: &Cloud) -> Place {
    Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 3, 20)))
}

fn truncated(mut answer: Answer) -> Answer {
    answer.body.truncate(answer.body.len() / 2);
    answer
}

fn old_version(mut answer: Answer) -> Answer {
    for name in ["openstack-api-version", "x-openstack-nova-api-version"] {
        answer.headers.remove(name);
    }
    answer.headers.insert("openstack-api-version", "compute 2.1".parse().unwrap());
    answer
}

fn others_servers(answer: Answer) -> Answer {
    answer.json(|body| {
        for server in body["servers"].as_array_mut().into_iter().flatten() {
            server["tags"] = json!(["somebody-else"]);
        }
    })
}

fn nothing(answer: Answer) -> Answer {
    answer.json(|body| *body = json!({ "servers": [] }))
}

/// A fault of listings, by which call suffers it, and the words that name it.
type Case = (&'static str, fn(&Ask) -> Option<Fault>, &'static str);

const CASES: [Case; 9] = [
    (
        "a proxy's page",
        |ask| ask.lists().then(|| Fault::Answer(200, &[], HTML.to_owned())),
        "GET /servers/detail",
    ),
    ("half an answer", |ask| ask.lists().then_some(Fault::Alter(truncated)), "cannot be"),
    (
        "page 2 that fails",
        |ask| {
            let second = ask.lists() && ask.query.contains("marker=");
            second.then(|| Fault::Answer(500, &[], "{}".to_owned()))
        },
        "500",
    ),
    ("another version", |ask| ask.lists().then_some(Fault::Alter(old_version)), "2.1"),
    ("servers of others", |ask| ask.lists().then_some(Fault::Alter(others_servers)), "tag"),
    (
        "too many requests",
        |ask| {
            let after = &[("retry-after", "2")];
            ask.lists().then(|| Fault::Answer(429, after, "{}".to_owned()))
        },
        "429",
    ),
    ("an outage", |ask| ask.lists().then(|| Fault::Answer(503, &[], HTML.to_owned())), "503"),
    ("a cut wire", |ask| ask.lists().then_some(Fault::Lose), "GET /servers/detail"),
    (
        "an empty listing, and no word of any server",
        |ask| match (ask.lists(), ask.gets()) {
            (true, _) => Some(Fault::Alter(nothing)),
            (_, true) => Some(Fault::Answer(500, &[], "{}".to_owned())),
            (false, false) => None,
        },
        "missing from the listing",
    ),
];

/// Four servers, two on a page; then a fault while one more is launched, and more is asked for.
fn suffer((name, fault, words): Case) {
    let cloud = Cloud::with(|config| config.rules.max_page = 2);
    let place = on(&cloud);
    let daemon = place.start();
    place.until_steady("web", 3);
    cloud.tamper(fault);
    place.does("scale web 4");
    let held = place.until("web", name, |g| g["situation"] == "holding");
    let sentences = held["sentences"].to_string();
    assert!(sentences.contains(words), "{name}: {sentences}");
    assert!(place.explain("web").contains("nothing is changed"), "{name}");

    // Blind, it neither grows nor shrinks, whatever it is told.
    let writes = cloud.writes();
    for told in ["scale web 9", "pin web 3"] {
        place.does(told);
        place.until("web", "a decision on it", |g| {
            g["situation"] == "holding" && g["wanted"] == if told.contains('9') { 9 } else { 3 }
        });
    }
    assert_eq!(cloud.writes(), writes, "{name}");
    assert_eq!(cloud.members("web"), 4, "{name}");
    place.does("unpin web");
    place.does("scale web 5");
    cloud.mend();
    place.until_steady("web", 5);
    assert_eq!(cloud.members("web"), 5, "{name}");
    assert_eq!(cloud.asked(Ask::deletes), 0, "{name}");
    canary::ask_everything(&place);
    assert_eq!(daemon.stop().code, 0, "{name}");
    canary::search(&place, Some(&cloud));
}

/// Side by side: each spends its time waiting for the next listing.
#[test]
fn nothing_is_changed_on_a_listing_that_cannot_be_believed() {
    std::thread::scope(|scope| {
        for case in CASES {
            scope.spawn(move || suffer(case));
        }
    });
}

#[test]
fn a_create_whose_answer_is_lost_is_found_and_never_sent_again() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    cloud.tamper(|ask| ask.creates().then_some(Fault::Lose));
    let daemon = place.start();
    daemon.says("failed: launch 3 of d2-2");
    place.until_steady("web", 3);
    assert_eq!(cloud.asked(Ask::creates), 1);
    assert_eq!(cloud.members("web"), 3);
    cloud.mend();
    place.does("scale web 5");
    place.until_steady("web", 5);
    assert_eq!((cloud.asked(Ask::creates), cloud.members("web")), (2, 5));
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_create_that_is_put_off_waits_for_as_long_as_it_was_told() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    cloud.tamper(|ask| {
        let later = &[("retry-after", "2")];
        ask.creates().then(|| Fault::Answer(429, later, "{}".to_owned()))
    });
    let daemon = place.start();
    let line = daemon.says("failed: launch 3 of d2-2");
    assert!(line.contains("429"), "{line}");
    let failing = place.until("web", "failing", |g| g["situation"] == "failing");
    assert!(failing["sentences"].to_string().contains("next try in"), "{failing:#}");
    assert_eq!(cloud.asked(Ask::creates), 1);
    cloud.mend();
    place.until_steady("web", 3);
    assert_eq!(cloud.members("web"), 3);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn an_empty_listing_is_no_proof_while_each_server_answers_by_id() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.until_steady("web", 3);
    let began = cloud.asked(Ask::gets);
    cloud.tamper(|ask| ask.lists().then_some(Fault::Alter(nothing)));
    place.does("scale web 4");
    // The fourth is told of by the 202 alone; the others by their ids.
    place.until("web", "all asked by id", |_| cloud.asked(Ask::gets) >= began + 3);
    let group = place.group("web");
    assert_eq!(group["desired"], 4, "{group:#}");
    cloud.mend();
    place.until_steady("web", 4);
    assert_eq!((cloud.members("web"), cloud.asked(Ask::creates)), (4, 2));
    assert_eq!(cloud.asked(Ask::deletes), 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

/// A server deleted by hand is replaced; others' servers are not looked at.
#[test]
fn what_others_do_in_the_project_is_taken_as_it_is() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.until_steady("web", 3);
    let mine = cloud.servers()[0].clone();
    let strangers = json!({ "server": {
        "name": mine["name"], "flavorRef": "f1a0b000-0000-4000-8000-000000000001",
        "imageRef": mine["image"]["id"], "networks": "auto", "tags": ["novascale:other"],
    }});
    cloud.nova("POST", "/servers", strangers);
    cloud.nova("DELETE", &format!("/servers/{}", mine["id"].as_str().unwrap()), Value::Null);
    place.until("web", "a replacement", |_| cloud.asked(Ask::creates) == 2);
    place.until_steady("web", 3);
    assert_eq!((cloud.members("web"), cloud.members("other")), (3, 1));
    assert_eq!(cloud.asked(Ask::deletes), 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}
