//! Alive and ready: what fails which, and how little a stranger learns from it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use novascale::domain::time::Clock;
use novascale::http::probe::overdue;
use serde_json::json;

use super::face::{Answer, Face, Listener, Mood, OVERDUE};

async fn probe(face: &Face, path: &str) -> Answer {
    let answer = face.stranger("GET", path).send().await;
    let webhook = face.stranger("GET", path).on(Listener::Webhook).send().await;
    assert_eq!(webhook.status, answer.status, "both listeners say the same");
    for group in ["web", "db", "GRA11", "canary"] {
        assert!(!answer.text.contains(group), "{answer:?}");
    }
    answer
}

/// The group's loop shows that it lives.
fn beats(face: &Face, group: &str) {
    announces(face, group, Duration::ZERO);
}

/// The group's loop will look again so much later.
fn announces(face: &Face, group: &str, later: Duration) {
    let due = Some(face.clock.now().steady.plus(later));
    face.ends[group].pulse.send_modify(|pulse| pulse.due = due);
}

/// Both loops pass, their region is listed.
fn well(face: &Face) {
    face.ends.keys().for_each(|group| beats(face, group));
    face.listed();
}

#[tokio::test]
async fn a_loop_that_hangs_is_not_alive() {
    let face = Face::new();
    assert_eq!(probe(&face, "/healthz").await.status, 200, "starting is being alive");
    well(&face);
    face.clock.forward(OVERDUE);
    face.listed();
    assert_eq!(probe(&face, "/healthz").await.status, 200);
    face.clock.forward(Duration::from_secs(1));
    let answer = probe(&face, "/healthz").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-alive"));
    well(&face);
    assert_eq!(probe(&face, "/healthz").await.text, "alive\n");
}

#[tokio::test]
async fn a_first_listing_that_takes_long_is_no_hanging_loop_but_an_observer_may_hang() {
    let face = Face::new();
    face.clock.forward(OVERDUE);
    assert_eq!(probe(&face, "/healthz").await.status, 200);
    face.clock.forward(Duration::from_secs(1));
    assert_eq!(probe(&face, "/healthz").await.status, 503, "no look was begun since the start");
    face.listed();
    assert_eq!(probe(&face, "/healthz").await.status, 200);
}

#[test]
fn no_call_within_its_bound_makes_a_loop_hang() {
    for secs in [1, 60, 600] {
        let call_timeout = Duration::from_secs(secs);
        assert!(overdue(call_timeout) > 3 * call_timeout + Duration::from_secs(60), "{secs}");
        assert!(overdue(call_timeout) >= OVERDUE, "an observer's whole cycle: {secs}");
    }
}

#[tokio::test]
async fn a_loop_may_sleep_as_long_as_it_said() {
    let face = Face::new();
    well(&face);
    announces(&face, "web", Duration::from_secs(3600));
    face.clock.forward(Duration::from_secs(3600));
    face.listed();
    beats(&face, "db");
    assert_eq!(probe(&face, "/healthz").await.status, 200);
    face.clock.forward(Duration::from_secs(300));
    face.listed();
    beats(&face, "db");
    assert_eq!(probe(&face, "/healthz").await.status, 503);
}

#[tokio::test]
async fn ready_means_stored_listed_and_looping() {
    let face = Face::new();
    let answer = probe(&face, "/readyz").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-ready"));
    assert_eq!(answer.json()["detail"], "not ready: listings");
    well(&face);
    assert_eq!(probe(&face, "/readyz").await.text, "ready\n");
    face.clock.forward(Duration::from_secs(61));
    assert_eq!(probe(&face, "/readyz").await.status, 503, "the listing grew old");
    well(&face);
    face.store.is(Mood::Fails);
    face.clock.forward(Duration::from_secs(3));
    let verbose = probe(&face, "/readyz?verbose").await;
    assert_eq!(verbose.status, 503);
    let states: Vec<_> = verbose.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap().to_owned(), c["ok"] == json!(true)))
        .collect();
    let expected = [("store", false), ("project", true), ("listings", true), ("loops", true)];
    assert_eq!(states, expected.map(|(name, ok)| (name.to_owned(), ok)));
    assert_eq!(verbose.json()["ready"], false);
}

#[tokio::test]
async fn strangers_questions_do_not_become_writes() {
    let face = Face::new();
    well(&face);
    for _ in 0..100 {
        probe(&face, "/readyz").await;
    }
    assert_eq!(face.store.probes.load(Ordering::SeqCst), 1);
    face.clock.forward(Duration::from_secs(2));
    probe(&face, "/readyz").await;
    assert_eq!(face.store.probes.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_ready() {
    let face = Face::new();
    well(&face);
    face.store.is(Mood::Hangs);
    assert_eq!(probe(&face, "/readyz").await.status, 503);
}
