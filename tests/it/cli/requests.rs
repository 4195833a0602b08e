//! What each command asks of the daemon: the request, and the scope whose token goes with it.

use serde_json::{Value, json};

use super::daemon::{Canned, Daemon, answer, get, novascale};

fn world() -> Vec<Canned> {
    let told = json!({
        "group": "web", "base": 3, "desired": 7, "repeated": false,
        "sentence": "base 3; desired stays 7: requests wants 7",
    });
    vec![
        answer("POST", "/v1/groups/web/capacity", 202, told.clone()),
        answer("POST", "/v1/groups/web/alerts", 202, told.clone()),
        answer("PUT", "/v1/groups/web/pause", 202, told.clone()),
        answer("DELETE", "/v1/groups/web/pause?processes=launch,heal", 202, told.clone()),
        answer("DELETE", "/v1/groups/web/pause", 202, told.clone()),
        answer("PUT", "/v1/pause", 202, told.clone()),
        answer("DELETE", "/v1/pause", 202, told.clone()),
        answer("PUT", "/v1/groups/web/pin", 200, told.clone()),
        answer("DELETE", "/v1/groups/web/pin", 200, told),
        answer("POST", "/v1/groups/web/adopt", 202, adopted()),
        answer(
            "POST",
            "/v1/groups/web/signals",
            202,
            json!({ "accepted": 1, "fresh": 1, "repeated": false }),
        ),
    ]
}

fn adopted() -> Value {
    json!({
        "group": "web", "servers": [], "dry_run": false, "repeated": false,
        "sentence": "1 server to be adopted. It is ordered.",
        "sentences": ["1 server to be adopted.", "It is ordered."],
    })
}

fn check(arguments: &str, line: &str, token: &str, body: Value) {
    let daemon = Daemon::start(world());
    let ran = daemon.run(arguments);
    assert_eq!(ran.code, 0, "{arguments}: {}", ran.err);
    let asked = daemon.asked();
    assert_eq!(asked.len(), 1, "{arguments}");
    assert_eq!((asked[0].line.as_str(), asked[0].token.as_str()), (line, token), "{arguments}");
    assert_eq!(asked[0].body, body, "{arguments}");
}

#[test]
fn alerts_fire_and_are_resolved() {
    for (typed, body) in [
        ("QueueHigh", json!({ "name": "QueueHigh", "status": "firing" })),
        ("A --for 10m", json!({ "name": "A", "status": "firing", "for": "600s" })),
        (
            "A --resolved --fingerprint f",
            json!({ "name": "A", "status": "resolved", "fingerprint": "f" }),
        ),
    ] {
        let arguments = format!("alert web {typed}");
        check(&arguments, "POST /v1/groups/web/alerts", "token-to-signal", body);
    }
}

#[test]
fn scale_sets_and_changes_the_base() {
    for (typed, body) in [
        ("5", json!({ "set": 5 })),
        ("+2", json!({ "adjust": 2 })),
        ("-1", json!({ "adjust": -1 })),
        ("+50%", json!({ "percent": 50.0 })),
        ("-12.5%", json!({ "percent": -12.5 })),
    ] {
        let arguments = format!("scale web {typed}");
        check(&arguments, "POST /v1/groups/web/capacity", "token-to-capacity", body);
    }
    let body = json!({ "adjust": -1, "reason": "night" });
    let line = "POST /v1/groups/web/capacity";
    check("scale web -1 --reason night", line, "token-to-capacity", body);
}

#[test]
fn reservations_begin_and_end() {
    let line = "POST /v1/groups/web/capacity";
    let body = json!({ "reserve": { "owner": "batch", "capacity": 10, "for": "7200s" } });
    check("reserve web 10 --for 2h --owner batch", line, "token-to-capacity", body);
    let body = json!({ "release": { "owner": "batch" } });
    check("release web --owner batch", line, "token-to-capacity", body);
}

#[test]
fn pins_need_the_operators_token() {
    let body = json!({ "capacity": 8, "for": "5400s", "reason": "repair" });
    let typed = "pin web 8 --for 90min --reason repair";
    check(typed, "PUT /v1/groups/web/pin", "token-to-operate", body);
    check("pin web 0", "PUT /v1/groups/web/pin", "token-to-operate", json!({ "capacity": 0 }));
    check("unpin web", "DELETE /v1/groups/web/pin", "token-to-operate", Value::Null);
}

#[test]
fn pauses_need_the_operators_token_and_name_what_rests() {
    let token = "token-to-operate";
    let body = json!({ "processes": ["launch", "heal"], "for": "7200s", "reason": "move" });
    let typed = "pause web --process launch,heal --for 2h --reason move";
    check(typed, "PUT /v1/groups/web/pause", token, body);
    check("pause web", "PUT /v1/groups/web/pause", token, json!({}));
    let body = json!({ "processes": ["alarm"] });
    check("pause --process alarm", "PUT /v1/pause", token, body);
    let line = "DELETE /v1/groups/web/pause?processes=launch,heal";
    check("resume web --process launch --process heal", line, token, Value::Null);
    check("resume web", "DELETE /v1/groups/web/pause", token, Value::Null);
    check("resume", "DELETE /v1/pause", token, Value::Null);
    let daemon = Daemon::start(world());
    for wrong in ["pause web --process fly", "pause web --for 2", "resume web --process"] {
        assert_eq!(daemon.run(wrong).code, 64, "{wrong}");
    }
}

#[test]
fn adoptions_need_the_operators_token() {
    let (line, token) = ("POST /v1/groups/web/adopt", "token-to-operate");
    check("adopt web", line, token, json!({ "dry_run": false }));
    let body = json!({ "dry_run": true, "servers": ["a-b", "c-d"] });
    check("adopt web a-b c-d --dry-run", line, token, body);
    let body = json!({ "dry_run": false, "from": "old", "from_tag": "t", "reason": "renamed" });
    check("adopt web --from old --from-tag t --reason renamed", line, token, body);
    let daemon = Daemon::start(world());
    assert_eq!(daemon.run("adopt web").out, "1 server to be adopted.\nIt is ordered.\n");
    for wrong in ["adopt", "adopt web a-b --from old", "adopt web --from-tag t"] {
        assert_eq!(daemon.run(wrong).code, 64, "{wrong}");
    }
}

#[test]
fn a_signal_is_one_sample() {
    let line = "POST /v1/groups/web/signals";
    let body = json!({ "name": "requests", "value": 540.0 });
    check("signal web requests 540", line, "token-to-signal", body);
    let body = json!({ "name": "cpu", "value": 0.5, "server": "a-b", "id": "once" });
    check("signal web cpu 0.5 --server a-b --id once", line, "token-to-signal", body);
}

#[test]
fn a_signal_that_nobody_reads_is_told() {
    let answers =
        json!({ "accepted": 1, "fresh": 1, "repeated": false, "note": "nobody reads it" });
    let daemon = Daemon::start(vec![answer("POST", "/v1/groups/web/signals", 202, answers)]);
    let ran = daemon.run("signal web request 540");
    assert_eq!(ran.out, "web has heard: request is 540.\n");
    assert_eq!(ran.err, "warning: nobody reads it\n");
    assert_eq!(daemon.run("-q signal web request 540").err, ran.err);
}

#[test]
fn an_id_makes_a_command_count_once() {
    let told = json!({ "sentence": "base 3; desired stays 7", "repeated": true });
    let daemon = Daemon::start(vec![answer("POST", "/v1/groups/web/capacity", 202, told)]);
    let ran = daemon.run("scale web +1 --id deploy-42");
    assert_eq!(daemon.asked()[0].key.as_deref(), Some("deploy-42"));
    assert_eq!(ran.out, "base 3; desired stays 7\n");
    assert_eq!(ran.err, "This id was used before: nothing was done again.\n");
    assert_eq!(daemon.run("-q scale web +1 --id deploy-42").err, "");
}

#[test]
fn another_daemon_is_asked_with_its_own_token() {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    let elsewhere = tempfile::TempDir::new().unwrap();
    std::fs::write(elsewhere.path().join("mine"), "my-token").unwrap();
    let url = daemon.url();
    let variables = [("NOVASCALE_URL", url.as_str()), ("NOVASCALE_TOKEN_FILE", "mine")];
    let ran = novascale("status", &variables, elsewhere.path());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(daemon.asked()[0].token, "my-token");

    // Where it lies is settled: no configuration has to be read for it.
    let absent = [variables[0], variables[1], ("NOVASCALE_CONFIG", "absent.toml")];
    assert_eq!(novascale("status", &absent, elsewhere.path()).code, 0);

    let ran = novascale("status", &variables[..1], elsewhere.path());
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert_eq!(daemon.asked().len(), 2);
}

#[test]
fn a_proxy_has_no_say_on_loopback() {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    let dir = daemon.state.path().to_str().unwrap();
    let variables = [("NOVASCALE_STATE_DIR", dir), ("http_proxy", "http://127.0.0.1:1")];
    let ran = novascale("status", &variables, daemon.state.path());
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn the_configuration_tells_where_state_lies() {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    let dir = daemon.state.path();
    let config = dir.join("scaling.toml");
    // What the cloud lacks here is the daemon's affair.
    let text = "[controller]\nstate_dir = \".\"\n[cloud]\npreset = \"ovhcloud-eu\"\n";
    std::fs::write(&config, text).unwrap();
    let elsewhere = tempfile::TempDir::new().unwrap();
    let typed = format!("status --config {}", config.display());
    let ran = novascale(&typed, &[], elsewhere.path());
    assert_eq!(ran.code, 0, "{}", ran.err);

    // Without one, it lies beside the file, wherever the command is typed.
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    let beside = tempfile::TempDir::new().unwrap();
    std::fs::write(beside.path().join("scaling.toml"), "").unwrap();
    std::os::unix::fs::symlink(daemon.state.path(), beside.path().join(".novascale")).unwrap();
    let typed = format!("status --config {}", beside.path().join("scaling.toml").display());
    let ran = novascale(&typed, &[], elsewhere.path());
    assert_eq!(ran.code, 0, "{}", ran.err);

    let unit = [("STATE_DIRECTORY", dir.to_str().unwrap())];
    let ran = novascale("status", &unit, elsewhere.path());
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn verbose_shows_the_request_and_never_the_token() {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    let ran = daemon.run("status -v");
    assert_eq!(ran.err, "GET http://127.0.0.1:8970/v1/groups: 200 OK\n");
}
