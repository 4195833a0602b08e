//! Listings and single looks: complete or void, and absence is proved by Nova alone.

use std::sync::Arc;

use novascale::cloud::Compute;
use novascale::cloud::openstack::transport::TransportError;
use novascale::domain::id::ServerId;
use novascale::domain::outcome::{Failure, FailureKind};
use serde_json::json;

use super::script::{Reply, Script, V275, answer, client, nova, page, region, server, tags};

async fn listed(replies: Vec<Reply>) -> (Arc<Script>, Result<Vec<String>, Failure>) {
    let script = Script::services(replies);
    let listed = client(&script).list(&region(), &tags(&["a", "b"])).await;
    (script, listed.map(|all| all.iter().map(|s| s.id.to_string()).collect()))
}

/// What voids a listing, however much of it was good. A GET is read twice before it is
/// given up, except for what a service clearly refused or said.
#[tokio::test(start_paused = true)]
async fn a_listing_is_complete_or_void() {
    let html = || answer(200, &V275, "<html>login</html>");
    let cut = || nova(200, r#"{"servers": [{"id": "s1", "na"#);
    let first = || page(&[server("s1", &["a"])], true);
    let error = || answer(500, &[], "boom");
    let torn = || Err(TransportError::Unclear("reset".into()));
    let older = || answer(200, &[("openstack-api-version", "compute 2.1")], r#"{"servers": []}"#);
    let silent = || answer(200, &[], r#"{"servers": []}"#);
    let lacking = |key: &str| {
        let mut server = server("s1", &["a"]);
        server.as_object_mut().unwrap().remove(key);
        page(&[server], false)
    };
    let tables: Vec<(&str, Vec<Reply>, &str)> = vec![
        ("a page of HTML", vec![html(), html()], "cannot be used"),
        ("truncated JSON", vec![cut(), cut()], "cannot be used"),
        ("another shape", vec![nova(200, "{}"), nova(200, "{}")], "servers"),
        ("no list", vec![nova(200, "[]"), nova(200, "[]")], "cannot be used"),
        ("page 2 fails", vec![first(), error(), error()], "500"),
        ("page 2 is torn", vec![first(), torn(), torn()], "reset"),
        ("page 2 is refused", vec![first(), nova(403, "{}")], "403"),
        ("an older version", vec![older(), older()], "2.75"),
        ("no version", vec![silent(), silent()], "says none"),
        (
            "a stranger",
            vec![page(&[server("s1", &["a"]), server("s2", &["c"])], false)],
            "none of the tags",
        ),
        ("no tags", vec![lacking("tags")], "without tags"),
        ("no metadata", vec![lacking("metadata")], "without metadata"),
        ("no lock", vec![lacking("locked")], "locked"),
        ("circles", vec![first(), first()], "do not come to an end"),
        ("a bad id", vec![page(&[server("../../x", &["a"])], false)], "server id"),
    ];
    for (name, replies, says) in tables {
        let (_, listed) = listed(replies).await;
        let failure = listed.expect_err(name);
        assert!(failure.message.contains(says), "{name}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_may_be_empty_and_its_last_page_too() {
    assert!(listed(vec![page(&[], false)]).await.1.unwrap().is_empty());
    let full = page(&[server("s1", &["a"])], true);
    assert_eq!(listed(vec![full, page(&[], false)]).await.1.unwrap(), ["s1"]);
    let script = Script::services([]);
    assert!(client(&script).list(&region(), &[]).await.unwrap().is_empty(), "nothing asked");
}

#[tokio::test(start_paused = true)]
async fn what_counts_of_a_listing() {
    let mut gone = server("s4", &["a"]);
    gone["status"] = json!("SOFT_DELETED");
    let stub = json!({"id": "s5", "status": "UNKNOWN", "created": "2026-01-02T03:04:05Z"});
    let pages = vec![
        page(&[server("s1", &["A"]), server("s2", &["x", "b"])], true),
        page(&[server("s2", &["b"]), server("s3", &["a"]), gone, stub], false),
    ];
    let (_, listed) = listed(pages).await;
    assert_eq!(listed.unwrap(), ["s1", "s2", "s3"], "tags without case, each server once");
}

#[tokio::test(start_paused = true)]
async fn a_lost_marker_starts_the_listing_over_once() {
    let lost =
        || nova(400, json!({"badRequest": {"code": 400, "message": "marker [s1] not found"}}));
    let first = || page(&[server("s1", &["a"])], true);
    let (script, good) = listed(vec![first(), lost(), page(&[server("s2", &["a"])], false)]).await;
    assert_eq!(good.unwrap(), ["s2"]);
    assert_eq!(script.asked()[2].query("marker"), None);
    let (_, twice) = listed(vec![first(), lost(), first(), lost()]).await;
    assert_eq!(twice.unwrap_err().kind, FailureKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_get_is_read_once_more_when_the_answer_says_nothing() {
    let good = || page(&[server("s1", &["a"])], false);
    for nothing in [
        answer(502, &[], "<html>"),
        Err(TransportError::Unreached("refused".into())),
        Err(TransportError::Unclear("timeout".into())),
        answer(200, &V275, "<html>"),
    ] {
        let (script, listed) = listed(vec![nothing, good()]).await;
        assert_eq!(listed.unwrap(), ["s1"]);
        assert_eq!(script.asked().len(), 2);
    }
    for clear in [nova(403, "{}"), nova(429, "{}"), nova(404, "nginx")] {
        let (script, listed) = listed(vec![clear, good()]).await;
        assert!(listed.is_err());
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn many_tags_are_asked_for_in_parts() {
    let names: Vec<String> = (0..120).map(|n| format!("tag-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let script = Script::services((0..3).map(|_| page(&[], false)));
    client(&script).list(&region(), &tags(&names)).await.unwrap();
    let counts =
        script.asked().into_iter().map(|s| s.query("tags-any").unwrap().split(',').count());
    assert_eq!(counts.collect::<Vec<_>>(), [50, 50, 20]);
}

#[tokio::test(start_paused = true)]
async fn absence_is_proved_by_nova_alone() {
    let id = ServerId::new("s1").unwrap();
    let get =
        async |replies: Vec<Reply>| client(&Script::services(replies)).get(&region(), &id).await;
    let gone = |words: &str| json!({"itemNotFound": {"code": 404, "message": words}});
    assert_eq!(get(vec![nova(404, gone("Instance s1 could not be found."))]).await, Ok(None));
    let stub =
        json!({"server": {"id": "s1", "status": "UNKNOWN", "created": "2026-01-02T03:04:05Z"}});
    for (name, reply) in [
        ("a proxy's 404", nova(404, "<html>404</html>")),
        ("a gateway's 404", nova(404, r#"{"message": "no route"}"#)),
        ("a stub of a lost cell", nova(200, stub)),
        ("another server", nova(200, json!({"server": server("s2", &["a"])}))),
        ("what the server needs is gone", nova(404, gone("Flavor f1 could not be found."))),
        ("something is gone", nova(404, gone("The resource could not be found."))),
        ("another server is gone", nova(404, gone("Instance other could not be found."))),
    ] {
        let failure = get(vec![reply]).await.expect_err(name);
        assert_eq!(failure.kind, FailureKind::Unclear, "{name}");
    }
    let bare = || answer(200, &[], json!({"server": server("s1", &["a"])}));
    assert!(get(vec![bare(), bare()]).await.is_err(), "no version: its tags may be missing");
}

#[tokio::test(start_paused = true)]
async fn an_audit_asks_for_everything_and_tells_what_it_cannot_see() {
    let stub = json!({"id": "s9", "status": "UNKNOWN", "created": "2026-01-02T03:04:05Z"});
    let pages = [
        page(&[server("s1", &["a"]), server("s2", &[])], true),
        page(&[server("s3", &["other"]), stub], true),
        page(&[], false),
    ];
    let script = Script::services(pages);
    let audit = client(&script).audit(&region()).await.unwrap();
    let ids: Vec<&str> = audit.servers.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["s1", "s2", "s3"], "whatever tags they carry");
    let unreachable: Vec<&str> = audit.unreachable.iter().map(ServerId::as_str).collect();
    assert_eq!(unreachable, ["s9"]);
    // Any filter, limit or order would make Nova leave the cells out that it cannot reach.
    let asked: Vec<Option<String>> =
        script.asked().iter().map(|seen| seen.url.query().map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("marker=s2".into()), Some("marker=s9".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_marker_starts_an_audit_over_once() {
    let lost =
        || nova(400, json!({"badRequest": {"code": 400, "message": "marker [s1] not found"}}));
    let first = || page(&[server("s1", &["a"])], true);
    let audit =
        async |replies: Vec<Reply>| client(&Script::services(replies)).audit(&region()).await;
    let good = audit(vec![first(), lost(), page(&[server("s2", &[])], false)]).await.unwrap();
    assert_eq!(good.servers.len(), 1);
    assert_eq!(good.servers[0].id.as_str(), "s2");
    let twice = audit(vec![first(), lost(), first(), lost()]).await;
    assert_eq!(twice.unwrap_err().kind, FailureKind::Refused);
}
