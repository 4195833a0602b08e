//! Orders to adopt: what is said of them, what is stored, what is refused.

use std::sync::Arc;

use novascale::domain::adoption::{Adoptees, Former};
use novascale::domain::fleet::Member;
use novascale::domain::id::{IntentId, LaunchId};
use novascale::domain::intent::{Intent, Launch, State, What};
use novascale::domain::plan::Waiting;
use novascale::domain::server::{Known, KnownState, Ownership, Server, Status};
use novascale::domain::time::{Steady, Wall};
use novascale::http::tokens::Scope;
use novascale::store::Store as _;
use serde_json::json;

use super::face::{Answer, Face};

const HAND: &str = "00000000-0000-4000-8000-000000000001";
const THEIRS: &str = "00000000-0000-4000-8000-000000000002";
const NEW: &str = "00000000-0000-4000-8000-000000000003";

/// A member that is not ours, shown by a listing.
fn stranger(id: &str, name: &str, ownership: Ownership) -> Member {
    let id: novascale::domain::id::ServerId = id.parse().unwrap();
    let mark = ("novascale:install".to_owned(), "f".repeat(32));
    let marked = ownership == Ownership::OtherInstall;
    let server = Server {
        id: id.clone(),
        name: name.to_owned(),
        status: Status::Active,
        deleting: false,
        launched: true,
        created: Wall(0),
        tags: vec!["tag-web".into()],
        metadata: marked.then_some(mark).into_iter().collect(),
        locked: false,
        region: "GRA11".parse().unwrap(),
        zone: None,
        flavor: "b3-8".into(),
        addresses: Vec::new(),
        fault: None,
    };
    Member {
        id,
        standing: novascale::domain::fleet::Standing::Serving,
        ownership,
        kept: false,
        served: true,
        serves_since: None,
        outdated: false,
        launch: None,
        server: Some(Arc::new(server)),
    }
}

/// A group of which two members are not ours.
fn face() -> Face {
    let face = Face::new();
    let mut decision = face.decide("web", 2);
    let members = &mut decision.changes.members;
    members.push(stranger(HAND, "by-hand", Ownership::Foreign));
    members.push(stranger(THEIRS, "web-2", Ownership::OtherInstall));
    face.ends["web"].latest.send_replace(Some(Arc::new(decision)));
    face
}

async fn adopt(face: &Face, body: &str) -> Answer {
    face.ask(Scope::Operate, "POST", "/v1/groups/web/adopt").json(body).send().await
}

#[tokio::test]
async fn all_members_that_are_not_ours_are_named_and_ordered() {
    let face = face();
    let answer = adopt(&face, r#"{"reason": "the state was lost"}"#).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["servers"][0]["ownership"], "foreign");
    assert_eq!(
        json["servers"][1],
        json!({
            "id": THEIRS, "name": "web-2", "ownership": "other_install", "install": "f".repeat(32),
        })
    );
    let said = json["sentence"].as_str().unwrap();
    for words in [
        "2 servers to be adopted",
        &format!("by-hand ({HAND}) was tagged by hand"),
        &format!("web-2 ({THEIRS}) carries the mark of the installation ffff"),
        "may then be deleted like any other",
        "Be sure that the other installation runs no more",
        "what stands is held at 2 until every signal has data",
        "It is ordered",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let state = face.stored("web").await.state;
    let [order] = state.adoptions.as_slice() else { panic!("{:?}", state.adoptions) };
    assert_eq!(order.reason.as_deref(), Some("the state was lost"));
    assert!(order.by.contains("operate"), "{}", order.by);
    let servers = [HAND, THEIRS].map(|id| id.parse().unwrap()).into();
    assert_eq!(order.what, Adoptees::Servers { servers, untagged: false });
    let told = face.get("/v1/groups/web").await.json();
    assert_eq!(told["told_since"], json!(null), "in the same instant as the decision");
}

#[tokio::test]
async fn a_dry_run_orders_nothing() {
    let face = face();
    let answer = adopt(&face, r#"{"dry_run": true}"#).await;
    assert_eq!((answer.status, &answer.json()["dry_run"]), (200, &json!(true)));
    assert!(answer.json()["sentence"].as_str().unwrap().ends_with("Nothing was ordered."));
    assert_eq!(face.stored("web").await.state, Default::default());
}

#[tokio::test]
async fn where_all_is_ours_nothing_is_ordered() {
    let face = Face::new();
    face.decide("web", 2);
    let answer = adopt(&face, "{}").await;
    assert_eq!(answer.status, 202);
    assert!(answer.json()["sentence"].as_str().unwrap().contains("nothing is to be adopted"));
    assert_eq!(face.stored("web").await.state, Default::default());
}

#[tokio::test]
async fn before_a_sound_look_members_are_not_known_but_ids_may_be_named() {
    let face = Face::new();
    let answer = adopt(&face, "{}").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-ready"));
    let mut blind = face.decide("web", 2);
    blind.waiting.push(Waiting::Stale { age_secs: 90 });
    face.ends["web"].latest.send_replace(Some(Arc::new(blind)));
    assert_eq!(adopt(&face, "{}").await.status, 503);
    let answer = adopt(&face, &json!({"servers": [NEW]}).to_string()).await;
    assert_eq!(answer.status, 202);
    let said = answer.json()["sentence"].as_str().unwrap().to_owned();
    assert!(said.contains("is no member yet, and gets the group's tag"), "{said}");
    let state = face.stored("web").await.state;
    let servers = [NEW.parse().unwrap()].into();
    assert_eq!(state.adoptions[0].what, Adoptees::Servers { servers, untagged: true });
}

#[tokio::test]
async fn a_name_is_refused_with_the_id_behind_it() {
    let face = face();
    let answer = adopt(&face, r#"{"servers": ["by-hand"]}"#).await;
    assert_eq!((answer.status, answer.pointer().as_deref()), (422, Some("/servers/0")));
    assert!(answer.json()["hint"].as_str().unwrap().contains(HAND));
    let answer = adopt(&face, r#"{"servers": ["elsewhere-1"]}"#).await;
    assert!(answer.json()["hint"].as_str().unwrap().contains("openstack server list"));
    assert_eq!(face.stored("web").await.state, Default::default());
}

#[tokio::test]
async fn another_groups_member_is_refused() {
    let face = face();
    let mut other = face.decide("db", 2);
    other.changes.members.push(stranger(NEW, "db-1", Ownership::Foreign));
    face.ends["db"].latest.send_replace(Some(Arc::new(other)));
    let answer = adopt(&face, &json!({"servers": [HAND, NEW]}).to_string()).await;
    assert_eq!((answer.status, answer.pointer().as_deref()), (422, Some("/servers/1")));
    assert!(answer.json()["detail"].as_str().unwrap().contains("a member of the group db"));
    let hint = answer.json()["hint"].as_str().unwrap().to_owned();
    let out = format!("server unset --tag tag-db --property novascale:group {NEW}");
    assert!(hint.contains(&out), "{hint}");
}

#[tokio::test]
async fn a_former_group_must_be_gone_from_the_configuration() {
    let face = face();
    let answer = adopt(&face, r#"{"from": "db"}"#).await;
    assert_eq!((answer.status, answer.pointer().as_deref()), (422, Some("/from")));
    let hint = answer.json()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("--tag tag-db --property novascale:group ID"), "{hint}");
    let answer = adopt(&face, r#"{"from": "old", "from_tag": "TAG-DB"}"#).await;
    assert_eq!((answer.status, answer.pointer().as_deref()), (422, Some("/from_tag")));
    let answer = adopt(&face, r#"{"from": "old"}"#).await;
    assert_eq!(answer.status, 202);
    let said = answer.json()["sentence"].as_str().unwrap().to_owned();
    assert!(said.contains("launched for old is looked for by its tag novascale:old"), "{said}");
    assert_eq!(adopt(&face, r#"{"from": "older", "from_tag": "tag-web"}"#).await.status, 202);
    let state = face.stored("web").await.state;
    let former = |group: &str, tag: &str| {
        Adoptees::renamed(Former { group: group.parse().unwrap(), tag: tag.parse().unwrap() })
    };
    let ordered: Vec<_> = state.adoptions.into_iter().map(|order| order.what).collect();
    assert_eq!(ordered, [former("old", "novascale:old"), former("older", "tag-web")]);
}

#[tokio::test]
async fn the_same_key_orders_once() {
    let face = face();
    for repeated in [false, true] {
        let asking = face.ask(Scope::Operate, "POST", "/v1/groups/web/adopt");
        let answer = asking.header("idempotency-key", "k").json("{}").send().await;
        assert_eq!((answer.status, &answer.json()["repeated"]), (202, &json!(repeated)));
    }
    assert_eq!(face.stored("web").await.state.adoptions.len(), 1);
}

fn known(id: &str, ownership: Ownership) -> Known {
    Known {
        id: id.parse().unwrap(),
        region: "GRA11".parse().unwrap(),
        zone: None,
        launch: None,
        ownership,
        state: KnownState::Listed,
        since: Steady(1),
        first_seen: Steady(1),
        served: true,
        serves_since: None,
        failure: None,
        rests: false,
        found: false,
    }
}

/// What was kept of `old` when it left the configuration: one server of its own, two that were
/// not, and a launch of three that nobody knows the end of.
async fn after_old(face: &Face) {
    let mut last = face.decide("web", 2);
    last.group = "old".parse().unwrap();
    let (at, launch) = (last.at, LaunchId::from_bits(5));
    let mut came = known(NEW, Ownership::Ours);
    came.launch = Some(launch.clone());
    last.changes.known =
        vec![came, known(HAND, Ownership::Foreign), known(THEIRS, Ownership::OtherInstall)];
    let what = What::Launch(Launch {
        launch,
        n: 3,
        region: "GRA11".parse().unwrap(),
        zone: None,
        flavor: "b3-8".into(),
        template: last.config_hash.clone(),
        proven: true,
    });
    let state = State::Unsettled { since: at, absent: None };
    let (id, group) = (IntentId::from_bits(5), last.group.clone());
    last.changes.intents = vec![Intent { id, group, opened: at, what, state, trouble: None }];
    face.store.inner.record(&face.lease, &last).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_for_a_former_group_lists_what_is_taken_over_and_what_stays() {
    let face = Face::new();
    face.decide("web", 2);
    after_old(&face).await;
    let answer = adopt(&face, r#"{"from": "old", "dry_run": true}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["servers"].as_array().unwrap().len(), 1);
    assert_eq!((&json["servers"][0]["id"], &json["left"][0]["id"]), (&json!(NEW), &json!(HAND)));
    let said = json["sentence"].as_str().unwrap();
    for words in [
        &format!("By what was last seen of old, 1 server: {NEW}."),
        &format!("{HAND} was tagged by hand; it can be adopted by its id"),
        &format!("{THEIRS} carries the mark of another installation"),
        "2 servers that were being launched for old may still come",
        "or for 10 min",
        "Nothing was ordered.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(face.stored("web").await.state, Default::default());

    assert_eq!(adopt(&face, r#"{"from": "old"}"#).await.status, 202);
    let coming = [(LaunchId::from_bits(5), 3)].into();
    let former = Former { group: "old".parse().unwrap(), tag: "novascale:old".parse().unwrap() };
    let state = face.stored("web").await.state;
    assert_eq!(state.adoptions[0].what, Adoptees::Renamed { former, coming });
    let answer = adopt(&face, r#"{"from": "odl", "dry_run": true}"#).await.json();
    let said = answer["sentence"].as_str().unwrap();
    assert!(said.contains("No server of odl is remembered here: is that what"), "{said}");
}
