//! Freezing by HTTP: what is stored, and what happens where nothing can be.

use std::sync::Arc;

use novascale::domain::freeze::Braked;
use novascale::domain::time::Clock as _;
use novascale::http::tokens::Scope;
use serde_json::json;

use super::face::{Answer, Face, Mood, decision};

async fn put(face: &Face, path: &str, body: &str) -> Answer {
    face.ask(Scope::Operate, "PUT", path).json(body).send().await
}

async fn delete(face: &Face, path: &str) -> Answer {
    face.ask(Scope::Operate, "DELETE", path).send().await
}

fn sentence(answer: &Answer) -> String {
    answer.json()["sentence"].as_str().unwrap_or_default().to_owned()
}

const WEB: &str = "/v1/groups/web/freeze";

#[tokio::test]
async fn a_freeze_is_stored_shown_and_taken_back() {
    let face = Face::new();
    let told = put(&face, WEB, "{\"reason\": \"storm\"}").await;
    assert_eq!((told.status, told.json()["frozen"].clone()), (202, json!(true)), "{told:?}");
    assert!(sentence(&told).contains("until `novascale unfreeze web`"), "{told:?}");
    let freeze = face.stored("web").await.state.freeze.unwrap();
    assert_eq!(freeze.reason.as_deref(), Some("storm"));
    let shown = face.get("/v1/groups/web").await.json();
    assert_eq!(shown["freeze"]["reason"], "storm");

    let told = delete(&face, WEB).await;
    assert_eq!((told.status, told.json()["frozen"].clone()), (202, json!(false)), "{told:?}");
    assert_eq!(face.stored("web").await.state.freeze, None);
    assert_eq!(sentence(&delete(&face, WEB).await), "web was not frozen");
}

#[tokio::test]
async fn what_holds_a_group_is_shown_before_its_next_look() {
    let face = Face::new();
    let shown = async |what: &str| {
        let one = face.get("/v1/groups/web").await.json();
        let all = face.get("/v1/groups").await.json();
        let in_all = all["groups"].as_array().unwrap().iter().find(|g| g["name"] == "web");
        assert_eq!(in_all.unwrap()["situation"], one["situation"], "{what}");
        let said = format!("{} {}", one["headline"], one["sentences"]);
        (one["situation"] == "frozen", said)
    };
    for decided in [false, true] {
        if decided {
            let last = decision(&"web".parse().unwrap(), face.clock.now(), 2);
            face.ends["web"].latest.send_replace(Some(Arc::new(last)));
        }
        assert!(!shown("at rest").await.0);
        put(&face, WEB, "{\"reason\": \"storm\"}").await;
        let (frozen, said) = shown("frozen").await;
        assert!(frozen && said.contains("storm"), "{said}");
        assert!(said.contains("Frozen for"), "it is read out as well: {said}");
        delete(&face, WEB).await;
        assert!(!shown("let go").await.0);
        put(&face, "/v1/freeze", "{}").await;
        assert!(shown("all").await.0);
        delete(&face, "/v1/freeze").await;
        std::fs::write(face.freeze_file().path(), "web\n").unwrap();
        let (frozen, said) = shown("by file").await;
        assert!(frozen && said.contains("by the file"), "{said}");
        std::fs::remove_file(face.freeze_file().path()).unwrap();
        assert!(!shown("let go").await.0);
    }
}

#[tokio::test]
async fn every_group_is_frozen_at_once_and_one_cannot_be_let_go_alone() {
    let face = Face::new();
    assert_eq!(put(&face, "/v1/freeze", "{}").await.status, 202);
    assert!(face.stored("web").await.all_frozen.is_some());
    let told = delete(&face, WEB).await;
    assert!(sentence(&told).contains("web is still frozen"), "{told:?}");
    assert!(sentence(&told).contains("until `novascale unfreeze`"), "{told:?}");
    put(&face, WEB, "{}").await;
    let told = delete(&face, "/v1/freeze").await;
    assert!(sentence(&told).contains("web is still frozen"), "{told:?}");
    assert!(sentence(&told).contains("unfreeze web"), "{told:?}");
    delete(&face, WEB).await;
    let told = delete(&face, "/v1/freeze").await;
    assert_eq!(told.json()["frozen"], json!(false), "{told:?}");
}

#[tokio::test]
async fn only_who_operates_may_freeze() {
    let face = Face::new();
    for path in [WEB, "/v1/freeze"] {
        for scope in [Scope::Signal, Scope::Capacity, Scope::Read] {
            let put = face.ask(scope, "PUT", path).json("{}").send().await;
            let delete = face.ask(scope, "DELETE", path).send().await;
            assert_eq!((put.status, delete.status), (403, 403), "{path} {scope:?}");
        }
    }
    assert_eq!(put(&face, "/v1/groups/none/freeze", "{}").await.status, 404);
    assert_eq!(put(&face, WEB, "{\"reasons\": 1}").await.status, 422);
}

#[tokio::test]
async fn what_the_store_does_not_take_the_file_does() {
    let face = Face::new();
    face.store.is(Mood::Fails);
    let told = put(&face, WEB, "{}").await;
    assert_eq!(told.status, 202, "{told:?}");
    let path = face.freeze_file().path().display().to_string();
    assert_eq!(told.json()["file"], json!(path));
    assert!(sentence(&told).contains(&path), "{told:?}");
    let web = "web".parse().unwrap();
    assert!(matches!(face.freeze_file().look().on(&web), Some(Braked::File { every: false, .. })));
    let told = put(&face, "/v1/freeze", "{}").await;
    assert_eq!(told.json()["file"], json!(path));

    face.store.is(Mood::Well);
    let told = delete(&face, WEB).await;
    assert!(sentence(&told).contains("web is still frozen"), "{told:?}");
    let told = delete(&face, "/v1/freeze").await;
    assert_eq!(told.json()["frozen"], json!(false), "{told:?}");
    assert!(!face.freeze_file().path().exists());
}

#[tokio::test]
async fn what_a_person_wrote_into_the_file_only_a_person_takes_out() {
    let face = Face::new();
    std::fs::write(face.freeze_file().path(), "web\n").unwrap();
    let told = delete(&face, WEB).await;
    assert!(sentence(&told).contains("until its line `web` is removed"), "{told:?}");
    assert_eq!(told.json()["frozen"], json!(true));
    assert!(face.freeze_file().path().exists());
}
