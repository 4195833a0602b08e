//! How answers look to people, at 80 columns and without colour, and to programs.

use serde_json::{Value, json};

use super::daemon::{Daemon, get};

fn web() -> Value {
    json!({
        "name": "web", "tag": "novascale-web", "region": "RegionOne", "min": 2, "max": 12,
        "base": 2, "desired": 6, "wanted": 6,
        "pin": null,
        "pauses": [{
            "process": "launch", "since": "2026-11-23T17:00:00Z", "until": "2026-11-23T19:00:00Z",
            "by": "operate", "reason": "move",
        }],
        "alerts": [{
            "name": "QueueHigh", "fingerprint": "eu", "source": "zabbix",
            "since": "2026-11-23T17:50:00Z",
            "renewed": "2026-11-23T17:55:00Z", "until": "2026-11-23T18:05:00Z",
        }],
        "reservations": [{
            "owner": "batch", "capacity": 4, "reason": "nightly run",
            "until": "2026-11-23T19:30:00Z",
        }],
        "tally": {
            "serving": 4, "building": 2, "unsure": 0, "idle": 0, "failed": 0, "leaving": 0,
            "coming": 0, "foreign": 0,
        },
        "situation": "scaling_out",
        "headline": "growing to 6: requests is 540, at 100 per server that wants 6; 4 serving, \
                     2 building",
        "claims": [],
        "decided_at": "2026-11-23T17:59:58Z", "next_look_at": "2026-11-23T18:00:13Z",
        "observer": { "seen_at": "2026-11-23T17:59:58Z", "failure": null },
    })
}

fn batch() -> Value {
    json!({
        "name": "batch", "tag": "novascale-batch", "region": "RegionOne", "min": 0, "max": 100,
        "base": 3, "desired": null, "wanted": null,
        "pin": { "capacity": 8, "until": null, "reason": "repair" },
        "reservations": [], "tally": null, "situation": "holding",
        "headline": "nothing is done: the servers could not be listed",
        "claims": [], "decided_at": null, "next_look_at": null,
        "observer": { "seen_at": "2026-11-23T17:48:00Z", "failure": "nova: connection refused" },
        "failure": "the store is full",
    })
}

fn explained() -> Value {
    let mut web = web();
    web["sentences"] = json!([
        "6 wanted: requests is 540, at 100 per server that wants 6.",
        "Also, batch reserved 4 for 1 h 30 min more (nightly run, which began late today because the \
         records came late).",
        "Desired is 6; 4 serving, 2 building.",
        "Waiting for 2 to be built.",
        "Next look at 18:00:13 UTC.",
    ]);
    web
}

fn servers() -> Value {
    let server = |n: u32, standing: &str, status: &str, created: &str| {
        json!({
            "id": format!("6f0c9b1e-0000-4000-8000-00000000000{n}"),
            "name": format!("web-k3v9qd-{n}"), "status": status, "standing": standing,
            "ownership": "ours", "kept": false, "outdated": false, "zone": "nova",
            "flavor": "d2-2", "addresses": [format!("192.0.2.{n}"), format!("2001:db8::{n}")],
            "created": created, "launch": "00000000000000000000000000000007", "fault": null,
        })
    };
    let mut old = server(2, "serving", "ACTIVE", "2026-11-20T18:00:00Z");
    old["ownership"] = json!("foreign");
    old["kept"] = json!(true);
    let mut failed = server(3, "failed", "ERROR", "2026-11-23T17:58:00Z");
    failed["fault"] = json!({ "code": 500, "message": "No valid host was found." });
    json!({ "decided_at": "2026-11-23T17:59:58Z", "servers": [
        failed,
        server(5, "building", "BUILD", "2026-11-23T17:59:57Z"),
        server(1, "serving", "ACTIVE", "2026-11-23T17:30:00Z"),
        old,
        { "id": "6f0c9b1e-0000-4000-8000-000000000004", "name": null, "status": null,
          "standing": "unsure", "ownership": "ours", "kept": false, "outdated": false,
          "zone": null, "flavor": null, "addresses": [], "created": null, "launch": null,
          "fault": null },
    ]})
}

fn daemon() -> Daemon {
    let plan = json!({ "changes": true, "decision": { "desired": 6 }, "sentences": [
        "6 wanted: requests is 540, at 100 per server that wants 6.",
        "Desired is 6; 4 serving.",
        "Launch 2 of d2-2 in RegionOne.",
    ]});
    let held = "servers not listed for 12 min, nothing is changed: nova: connection refused";
    let quiet = json!({ "changes": false, "held": held, "decision": { "desired": 0 }, "sentences": [
        "0 wanted: min is 0.",
        "Servers not listed for 12 min, nothing is changed: nova: connection refused.",
    ]});
    Daemon::start(vec![
        get("/v1/groups", json!({ "groups": [batch(), web()] })),
        get("/v1/groups/web", explained()),
        get("/v1/groups/batch", batch()),
        get("/v1/groups/web/servers", servers()),
        get("/v1/groups/batch/servers", json!({ "servers": [], "decided_at": null })),
        get(
            "/v1/groups/idle/servers",
            json!({ "servers": [], "decided_at": "2026-11-23T17:59:58Z",
                    "observer": { "seen_at": "2026-11-23T17:59:58Z", "failure": null } }),
        ),
        get(
            "/v1/groups/blind/servers",
            json!({ "servers": [], "decided_at": "2026-11-23T17:59:58Z",
                    "observer": { "seen_at": null, "failure": "nova: connection refused" } }),
        ),
        get(
            "/v1/groups/old/servers",
            json!({ "servers": [], "decided_at": "2026-11-23T17:59:58Z",
                    "observer": { "seen_at": "2026-11-23T17:48:00Z", "failure": "no answer" } }),
        ),
        get("/v1/groups/web/plan", plan),
        get("/v1/groups/batch/plan", quiet),
    ])
}

fn shown(arguments: &str) -> String {
    let ran = daemon().run(arguments);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}");
    let widest = ran.out.lines().map(|line| line.chars().count()).max();
    let wide = arguments.contains("--wide") || arguments.contains("json");
    assert!(wide || widest <= Some(80), "{arguments}:\n{}", ran.out);
    ran.out
}

#[test]
fn status_of_all_groups() {
    insta::assert_snapshot!(shown("status"));
}

#[test]
fn status_of_one_group() {
    insta::assert_snapshot!(shown("status web"));
}

#[test]
fn status_of_a_group_that_was_not_looked_at() {
    insta::assert_snapshot!(shown("status batch"));
}

#[test]
fn servers_of_a_group() {
    insta::assert_snapshot!(shown("servers web"));
}

#[test]
fn servers_in_full() {
    insta::assert_snapshot!(shown("servers web --wide"));
}

#[test]
fn a_group_without_servers() {
    assert_eq!(shown("servers idle"), "idle has no servers.\n");
    let unknown = "batch was not looked at yet: its servers are unknown.\n";
    assert_eq!(shown("servers batch"), unknown);
    let unknown = "blind: its servers are not known: servers could not be listed yet: nova:\n\
                   connection refused\n";
    assert_eq!(shown("servers blind"), unknown);
    let old = daemon().run("-q servers old");
    assert_eq!(old.out, "old has no servers.\n");
    let warned = "warning: this is what was known before: servers were last listed 12 min ago: \
                  no answer\n";
    assert_eq!(old.err, warned);
}

#[test]
fn trouble_of_a_region_is_told_once() {
    let blind = |name: &str| {
        let mut group = batch();
        group["name"] = json!(name);
        group["headline"] = json!("holding: servers could not be listed: nova: connection refused");
        group["observer"] = json!({ "seen_at": null, "failure": "nova: connection refused" });
        group
    };
    let daemon =
        Daemon::start(vec![get("/v1/groups", json!({ "groups": [blind("a"), blind("b")] }))]);
    let out = daemon.run("status").out;
    assert_eq!(out.matches("connection refused").count(), 1, "{out}");
    assert!(out.contains("\na: holding\n") && out.contains("\nb: holding\n"), "{out}");
    let told = "\nRegionOne: servers could not be listed yet: nova: connection refused\n";
    assert!(out.contains(told), "{out}");
}

#[test]
fn an_explanation() {
    insta::assert_snapshot!(shown("explain web"));
}

#[test]
fn a_command_that_the_last_decision_does_not_count_is_told() {
    let mut web = explained();
    web["told_since"] = json!("2026-11-23T17:59:59Z");
    let daemon = Daemon::start(vec![get("/v1/groups/web", web)]);
    let out = daemon.run("status web").out;
    assert!(out.contains("1 s ago: it counts at the next look\n"), "{out}");
    let out = daemon.run("explain web").out.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "What was told 1 s ago is not in it yet: it counts at the next look. 6 wanted:";
    assert!(out.contains(told), "{out}");
}

#[test]
fn plans_of_all_groups() {
    insta::assert_snapshot!(shown("plan"));
}

#[test]
fn json_is_the_daemons_answer() {
    let parsed = |arguments| serde_json::from_str::<Value>(&shown(arguments)).unwrap();
    assert_eq!(parsed("status -f json"), json!({ "groups": [batch(), web()] }));
    assert_eq!(parsed("explain web --output json"), explained());
    assert_eq!(parsed("servers web --output json"), servers());
    let plan = parsed("plan batch -f json");
    assert_eq!(plan["changes"], false);
    assert_eq!(plan["plans"][0]["group"], "batch");
}

#[test]
fn colour_is_only_an_addition() {
    let (plain, coloured) = (shown("status"), daemon().run("status --color always").out);
    assert!(!plain.contains('\u{1b}') && coloured.contains("\u{1b}["));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

fn decided(at: &str, desired: u32, plan: Value, headline: &str) -> Value {
    json!({
        "at": { "wall": at, "steady": 0 }, "desired": desired, "plan": plan, "headline": headline,
        "sentences": [format!("{desired} wanted: {headline}."), "Next look at 17:00:30 UTC."],
    })
}

fn past() -> Daemon {
    let launch = json!([{
        "action": "launch", "intent": "0000000000000000000000000000000a",
        "launch": "0000000000000000000000000000000b", "n": 4, "region": "R1", "zone": null,
        "flavor": "d2-2", "template": "0123456789abcdef",
    }]);
    let terminate = |n: u32| {
        json!({
            "action": "terminate", "intent": format!("0000000000000000000000000000000{n}"),
            "server": format!("s-{n}"), "cause": "surplus",
        })
    };
    let growing = "growing to 6: requests is 540, at 100 per server that wants 6; 2 serving";
    let newest_first = [
        decided(
            "2026-11-23T17:30:00.250Z",
            2,
            json!([terminate(1), terminate(2)]),
            "shrinking to 2: min is 2",
        ),
        decided("2026-11-23T17:10:00Z", 6, json!([]), "6 serve, as desired"),
        decided("2026-11-23T17:00:00Z", 6, launch, growing),
        decided("2026-11-23T16:59:00Z", 2, json!([]), "2 serve, as desired"),
    ];
    let page = |decisions: &[Value], next: Option<&str>| json!({ "decisions": decisions, "next_marker": next });
    let order = json!({ "commands": [{
        "at": "2026-11-23T17:29:59Z", "by": "operate", "reason": "night", "command": "unpin",
        "sentence": "unpin (night)",
    }]});
    Daemon::start(vec![
        get("/v1/groups/web/decisions?limit=500", page(&newest_first[..2], Some("7"))),
        get("/v1/groups/web/decisions?limit=500&marker=7", page(&newest_first[2..], None)),
        get(
            "/v1/groups/web/decisions?limit=500&since=2026-11-23T17:05:00Z",
            page(&newest_first[..2], None),
        ),
        get("/v1/groups/web/decisions?at=2026-11-23T17:05:00Z", page(&newest_first[2..3], None)),
        get("/v1/groups/web/decisions?at=2026-11-23T16:00:00Z", page(&[], None)),
        get("/v1/groups/web/commands?limit=2000", order.clone()),
        get("/v1/groups/web/commands?limit=2000&since=2026-11-23T17:05:00Z", order),
    ])
}

#[test]
fn a_history_tells_what_changed_the_oldest_first() {
    insta::assert_snapshot!(past().run("history web").out);
    let since = past().run("history web --since 2026-11-23T17:05:00Z").out;
    insta::assert_snapshot!(since, @r"
    2026-11-23T17:29:59Z operate ordered: unpin (night)
    2026-11-23T17:30:00Z desired 6 -> 2; terminate 2 servers: more than desired:
    shrinking to 2: min is 2
    ");
    let last = past().run("history web --limit 1").out;
    assert_eq!(last, since.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n");
    let json = past().run("history web -f json --since 2026-11-23T17:05:00Z").out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["decisions"].as_array().unwrap().len(), 2);
    assert_eq!(json["commands"][0]["by"], "operate");
}

#[test]
fn an_earlier_decision_is_explained_or_said_to_be_forgotten() {
    let shown = past().run("explain web --at 2026-11-23T17:05:00Z").out;
    insta::assert_snapshot!(shown, @r"
    At 2026-11-23T17:05:00Z this was in force for web, decided at
    2026-11-23T17:00:00Z.
    6 wanted: growing to 6: requests is 540, at 100 per server that wants 6; 2
    serving.
    Next look at 17:00:30 UTC.
    ");
    let gone = past().run("explain web --at 2026-11-23T16:00:00Z");
    assert_eq!((gone.code, gone.out.as_str()), (1, ""));
    let said = "no decision for web is kept from 2026-11-23T16:00:00Z or before";
    assert!(gone.err.contains(said) && gone.err.contains("7 days"), "{}", gone.err);
    assert_eq!(past().run("explain web --at noon").code, 64);
}
