//! What is refused, with which status and code, where the fault is pointed at; and that
//! nothing of it was stored.

use std::sync::atomic::Ordering;

use axum::body::Body;
use novascale::http::tokens::Scope;
use novascale::store::Gathered;

use super::face::{Answer, Face};

type Case<'c> = (&'c str, u16, &'c str, Option<&'c str>);

/// Each body is refused so, and the store was not even asked.
async fn refused(route: &str, scope: Scope, method: &str, cases: &[Case<'_>]) {
    let face = Face::with(unhurried());
    for (body, status, code, pointer) in cases {
        let answer = face.ask(scope, method, route).json(body).send().await;
        let shown = &body[..body.len().min(80)];
        assert_eq!(answer.status, *status, "{shown}: {answer:?}");
        assert_eq!(answer.code(), *code, "{shown}: {answer:?}");
        assert_eq!(answer.pointer().as_deref(), *pointer, "{shown}: {answer:?}");
    }
    untouched(&face).await;
}

async fn untouched(face: &Face) {
    assert_eq!(face.store.admits.load(Ordering::SeqCst), 0);
    assert_eq!(face.stored("web").await, Gathered::default());
}

fn unhurried() -> novascale::config::http::HttpLimits {
    novascale::config::http::HttpLimits { commands_per_second: 10_000, ..Default::default() }
}

#[tokio::test]
async fn bad_signals() {
    let many = format!("[{}]", vec!["{\"name\":\"a\",\"value\":1}"; 1001].join(","));
    let deep = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    let long_name = format!("{{\"name\": \"{}\", \"value\": 1}}", "n".repeat(65));
    let long_id = format!("{{\"name\": \"a\", \"value\": 1, \"id\": \"{}\"}}", "i".repeat(129));
    let cases: &[Case<'_>] = &[
        ("", 400, "malformed", Some("")),
        ("   ", 400, "malformed", Some("")),
        ("name=a&value=1", 400, "malformed", Some("")),
        ("{\"name\": \"a\", \"value\": 1", 400, "malformed", Some("")),
        ("{\"name\": \"a\", \"value\": 1} []", 400, "malformed", Some("")),
        ("{'name': 'a'}", 400, "malformed", Some("")),
        ("{\"name\": \"a\", \"value\": NaN}", 400, "malformed", Some("/value")),
        ("{\"name\": \"a\", \"value\": Infinity}", 400, "malformed", Some("/value")),
        ("{\"name\": \"a\", \"value\": 01}", 400, "malformed", Some("/value")),
        ("{\"name\": \"a\", \"value\": 1e400}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\", \"value\": -1e400}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\", \"value\": \"1\"}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\", \"value\": true}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\", \"value\": null}", 422, "invalid", Some("")),
        ("{\"name\": \"a\", \"value\": [1]}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\", \"value\": -0.5}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\"}", 422, "invalid", Some("")),
        ("{\"value\": 1}", 422, "invalid", Some("")),
        ("{\"name\": 7, \"value\": 1}", 422, "invalid", Some("/name")),
        ("{\"name\": \"\", \"value\": 1}", 422, "invalid", Some("/name")),
        ("{\"name\": \"a b\", \"value\": 1}", 422, "invalid", Some("/name")),
        (&long_name, 422, "invalid", Some("/name")),
        ("{\"name\": \"a\", \"value\": 1, \"vlaue\": 2}", 422, "invalid", Some("/vlaue")),
        ("{\"name\": \"a\", \"value\": 1, \"value\": 2}", 422, "invalid", Some("/value")),
        ("{\"name\": \"a\", \"value\": 1, \"at\": 1700000000}", 422, "invalid", Some("/at")),
        ("{\"name\": \"a\", \"value\": 1, \"at\": \"noon\"}", 422, "invalid", Some("/at")),
        (
            "{\"name\": \"a\", \"value\": 1, \"at\": \"2026-11-23T12:00:31Z\"}",
            422,
            "invalid",
            Some("/at"),
        ),
        (
            "{\"name\": \"a\", \"value\": 1, \"at\": \"2026-11-22T11:59:59Z\"}",
            422,
            "invalid",
            Some("/at"),
        ),
        ("{\"name\": \"a\", \"value\": 1, \"server\": \"../x\"}", 422, "invalid", Some("/server")),
        ("{\"name\": \"a\", \"value\": 1, \"id\": \"a\\nb\"}", 422, "invalid", Some("/id")),
        ("{\"name\": \"a\", \"value\": 1, \"id\": 7}", 422, "invalid", Some("/id")),
        (&long_id, 422, "invalid", Some("/id")),
        ("[]", 422, "invalid", Some("")),
        ("7", 422, "invalid", Some("")),
        ("\"a\"", 422, "invalid", Some("")),
        ("{\"signals\": []}", 422, "invalid", Some("/signals")),
        ("{\"signals\": {}}", 422, "invalid", Some("/signals")),
        ("{\"signals\": [7]}", 422, "invalid", Some("/signals/0")),
        ("{\"signals\": [], \"more\": 1}", 422, "invalid", Some("/more")),
        (
            "[{\"name\": \"a\", \"value\": 1}, {\"name\": \"b\", \"value\": -1}]",
            422,
            "invalid",
            Some("/1/value"),
        ),
        (&many, 422, "limit", Some("")),
        (&deep, 422, "invalid", Some("/0/0/0/0/0/0/0/0")),
    ];
    refused("/v1/groups/web/signals", Scope::Signal, "POST", cases).await;
}

#[tokio::test]
async fn bad_words_about_capacity() {
    let reason = format!("{{\"set\": 3, \"reason\": \"{}\"}}", "r".repeat(257));
    let cases: &[Case<'_>] = &[
        ("{}", 422, "invalid", Some("")),
        ("[]", 422, "invalid", Some("")),
        ("{\"reason\": \"x\"}", 422, "invalid", Some("")),
        ("{\"set\": 3, \"adjust\": 1}", 422, "invalid", Some("")),
        ("{\"set\": 3, \"release\": {\"owner\": \"b\"}}", 422, "invalid", Some("")),
        ("{\"set\": -1}", 422, "invalid", Some("/set")),
        ("{\"set\": 3.0}", 422, "invalid", Some("/set")),
        ("{\"set\": \"3\"}", 422, "invalid", Some("/set")),
        ("{\"set\": true}", 422, "invalid", Some("/set")),
        ("{\"set\": 10001}", 422, "limit", Some("/set")),
        ("{\"set\": 4294967296}", 422, "limit", Some("/set")),
        ("{\"set\": 1e400}", 422, "invalid", Some("/set")),
        ("{\"set\": 99999999999999999999}", 422, "invalid", Some("/set")),
        ("{\"adjust\": 0.5}", 422, "invalid", Some("/adjust")),
        ("{\"adjust\": \"+1\"}", 422, "invalid", Some("/adjust")),
        ("{\"percent\": \"10\"}", 422, "invalid", Some("/percent")),
        ("{\"percent\": 1e999}", 422, "invalid", Some("/percent")),
        ("{\"sett\": 3}", 422, "invalid", Some("/sett")),
        ("{\"set\": 3, \"reason\": \"\"}", 422, "invalid", Some("/reason")),
        ("{\"set\": 3, \"reason\": \"a\\u0007b\"}", 422, "invalid", Some("/reason")),
        (&reason, 422, "invalid", Some("/reason")),
        ("{\"reserve\": 3}", 422, "invalid", Some("/reserve")),
        ("{\"reserve\": {\"capacity\": 3, \"for\": \"2h\"}}", 422, "invalid", Some("/reserve")),
        (
            "{\"reserve\": {\"owner\": \"\", \"capacity\": 3, \"for\": \"2h\"}}",
            422,
            "invalid",
            Some("/reserve/owner"),
        ),
        (
            "{\"reserve\": {\"owner\": \"b\", \"capacity\": -3, \"for\": \"2h\"}}",
            422,
            "invalid",
            Some("/reserve/capacity"),
        ),
        (
            "{\"reserve\": {\"owner\": \"b\", \"capacity\": 3, \"for\": \"31d\"}}",
            422,
            "invalid",
            Some("/reserve/for"),
        ),
        (
            "{\"reserve\": {\"owner\": \"b\", \"capacity\": 3, \"for\": 7200}}",
            422,
            "invalid",
            Some("/reserve/for"),
        ),
        ("{\"release\": {}}", 422, "invalid", Some("/release")),
        ("{\"release\": {\"owner\": 7}}", 422, "invalid", Some("/release/owner")),
    ];
    refused("/v1/groups/web/capacity", Scope::Capacity, "POST", cases).await;
    let pins: &[Case<'_>] = &[
        ("{}", 422, "invalid", Some("")),
        ("{\"capacity\": null}", 422, "invalid", Some("")),
        ("{\"capacity\": 3, \"for\": \"soon\"}", 422, "invalid", Some("/for")),
        ("{\"capacity\": 3, \"until\": \"x\"}", 422, "invalid", Some("/until")),
    ];
    refused("/v1/groups/web/pin", Scope::Operate, "PUT", pins).await;
    let id = "00000000-0000-4000-8000-000000000001";
    let both = format!("{{\"servers\": [\"{id}\"], \"from\": \"old\"}}");
    let adoptions: &[Case<'_>] = &[
        ("", 400, "malformed", Some("")),
        ("[]", 422, "invalid", Some("")),
        ("{\"servers\": []}", 422, "invalid", Some("/servers")),
        ("{\"servers\": \"all\"}", 422, "invalid", Some("/servers")),
        ("{\"servers\": [7]}", 422, "invalid", Some("/servers/0")),
        ("{\"servers\": [\"web-1\"]}", 422, "invalid", Some("/servers/0")),
        ("{\"servers\": [\"../../x\"]}", 422, "invalid", Some("/servers/0")),
        (&both, 422, "invalid", Some("/servers")),
        ("{\"from\": \"Old\"}", 422, "invalid", Some("/from")),
        ("{\"from\": \"web\"}", 422, "invalid", Some("/from")),
        ("{\"from_tag\": \"x\"}", 422, "invalid", Some("/from_tag")),
        ("{\"from\": \"old\", \"from_tag\": \"a/b\"}", 422, "invalid", Some("/from_tag")),
        ("{\"dry_run\": 1}", 422, "invalid", Some("/dry_run")),
        ("{\"dryrun\": true}", 422, "invalid", Some("/dryrun")),
    ];
    refused("/v1/groups/web/adopt", Scope::Operate, "POST", adoptions).await;
}

const SAMPLE: &str = "{\"name\": \"requests\", \"value\": 1}";

async fn sent_as(face: &Face, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut asking = face.ask(Scope::Signal, "POST", "/v1/groups/web/signals").body(body);
    for (name, value) in headers {
        asking = asking.header(name, value);
    }
    asking.send().await
}

#[tokio::test]
async fn only_plain_json_is_read() {
    let face = Face::new();
    let json = ("content-type", "application/json");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "wrong-content-type"),
        (&[("content-type", "text/plain")], "wrong-content-type"),
        (&[("content-type", "application/json; charset=latin1")], "wrong-content-type"),
        (&[json, json], "wrong-content-type"),
        (&[json, ("content-encoding", "gzip")], "content-encoding"),
        (&[json, ("content-encoding", "identity, br")], "content-encoding"),
    ];
    for (headers, code) in cases {
        let answer = sent_as(&face, headers, SAMPLE).await;
        assert_eq!((answer.status, answer.code().as_str()), (415, *code), "{headers:?}");
    }
    untouched(&face).await;
    let fine =
        [("content-type", "application/json; charset=UTF-8"), ("content-encoding", "identity")];
    assert_eq!(sent_as(&face, &fine, SAMPLE).await.status, 202);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let face = Face::new();
    let json = [("content-type", "application/json")];
    for body in [&b"{\"name\": \"\xc3\x28\", \"value\": 1}"[..], b"\xff\xfe{\0}\0", b"\0\0\0"] {
        let answer = sent_as(&face, &json, body.to_vec()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{body:?}");
    }
    untouched(&face).await;
}

#[tokio::test]
async fn too_much_is_refused_however_it_is_announced() {
    let face = Face::new();
    let json = ("content-type", "application/json");
    let big = format!("[{}]", " ".repeat(10 * 1024 * 1024));
    let answer = sent_as(&face, &[json], big.clone()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body-too-large"));
    let answer = sent_as(&face, &[json, ("content-length", "99999999999")], SAMPLE).await;
    assert_eq!(answer.status, 413, "refused before a byte is read");
    untouched(&face).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let face = Face::new();
    let never =
        Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = sent_as(&face, &[("content-type", "application/json")], never).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "body-too-slow"));
    untouched(&face).await;
}
