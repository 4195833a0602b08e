//! Every documented exit code, met from outside, and what is said beside it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::daemon::{Daemon, abandoned, answer, get, novascale, state_directory};

fn failing(status: u16) -> Daemon {
    let problem = json!({
        "title": "No", "detail": "it is not possible now", "code": "busy", "status": status,
    });
    let canned = answer("GET", "/v1/groups", status, problem).header("retry-after", "7");
    Daemon::start(vec![canned])
}

#[test]
fn a_wrong_command_line_is_64() {
    for wrong in [
        "frobnicate",
        "status --frobnicate",
        "status UPPER",
        "scale web",
        "scale web 5%",
        "scale web x",
        "pin web -1",
        "reserve web 5 --owner batch",
        "reserve web 5 --owner batch --for never",
        "signal web requests NaN",
        "signal web requests -5",
        "status --output xml",
        "--log json status",
        "-q -v status",
        "--url http://127.0.0.1:1 run",
        "check --token-file mine",
        "--token-file mine",
    ] {
        let ran = novascale(wrong, &[], Path::new("."));
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{wrong}: {}", ran.err);
        assert!(ran.err.contains("error"), "{wrong}: {}", ran.err);
    }
}

#[test]
fn no_daemon_is_69_and_says_how_to_start_one() {
    let empty = TempDir::new().unwrap();
    let ran = novascale("status", &[], empty.path());
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{}", ran.err);
    assert!(ran.err.contains("no daemon runs with the state directory"), "{}", ran.err);
    assert!(ran.err.contains("`novascale run`"), "{}", ran.err);
}

/// A loopback port that nobody listens on.
fn silent() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_refused_connection_is_69() {
    let state = state_directory(&silent(), std::process::id());
    let dir = state.path().to_str().unwrap();
    let ran = novascale("status", &[("NOVASCALE_STATE_DIR", dir)], state.path());
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert!(ran.err.contains("no daemon answers at http://127.0.0.1:"), "{}", ran.err);
    assert!(ran.err.contains("start it with `novascale run`"), "{}", ran.err);
}

/// Whoever listens where a daemon once did is asked nothing: a token would go to a stranger.
#[test]
fn a_daemon_that_vanished_is_told_and_its_port_left_alone() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let admin = format!("http://{}", stranger.local_addr().unwrap());
    // One above the largest process id that Linux hands out, and one that another process has.
    for pid in [4_194_305, std::process::id()] {
        let state = abandoned(&admin, pid);
        // The lock is free; that the daemon wrote its id there proves nothing.
        std::fs::write(state.path().join("lock"), format!("{pid}\n")).unwrap();
        let dir = state.path().to_str().unwrap();
        for command in ["status", "scale web 5", "signal web requests 5"] {
            let ran = novascale(command, &[("NOVASCALE_STATE_DIR", dir)], state.path());
            assert_eq!(ran.code, 69, "{}", ran.err);
            assert!(ran.err.contains(&format!("its process {pid} is gone")), "{}", ran.err);
        }
    }
    let nobody_came = stranger.accept().unwrap_err();
    assert_eq!(nobody_came.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_file_of_another_daemon_than_the_one_that_runs_is_not_trusted() {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    std::fs::write(daemon.state.path().join("lock"), "4194305\n").unwrap();
    assert_eq!(daemon.run("status").code, 69);
    assert!(daemon.asked().is_empty());
}

#[test]
fn a_configuration_that_was_named_and_cannot_be_read_is_78() {
    let empty = TempDir::new().unwrap();
    std::fs::write(empty.path().join("broken.toml"), "[controller\n").unwrap();
    std::fs::write(empty.path().join("number.toml"), "controller.state_dir = 5\n").unwrap();
    for (file, why) in [
        ("absent.toml", "absent.toml cannot be read"),
        (".", "cannot be read: Is a directory"),
        ("broken.toml", "broken.toml could not be understood"),
        ("number.toml", "number.toml could not be understood"),
    ] {
        let typed = novascale(&format!("status --config {file}"), &[], empty.path());
        let set = novascale("status", &[("NOVASCALE_CONFIG", file)], empty.path());
        for ran in [typed, set] {
            assert_eq!((ran.code, ran.out.as_str()), (78, ""), "{file}: {}", ran.err);
            assert!(ran.err.contains(why), "{file}: {}", ran.err);
        }
    }
}

#[test]
fn a_default_configuration_that_was_not_heeded_is_told() {
    let place = TempDir::new().unwrap();
    let hint = "scaling.toml could not be understood; its state_dir was not heeded";
    assert!(!novascale("status", &[], place.path()).err.contains("heeded"));
    std::fs::write(place.path().join("scaling.toml"), "[controller\n").unwrap();
    let ran = novascale("status", &[], place.path());
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert!(ran.err.contains(hint), "{}", ran.err);
    let named = novascale("status --state-dir .", &[], place.path());
    assert!(!named.err.contains("heeded"), "{}", named.err);
}

#[test]
fn answers_of_the_daemon_become_exit_codes() {
    let cases = [
        (400, 1),
        (401, 77),
        (403, 77),
        (404, 1),
        (422, 1),
        (429, 75),
        (500, 1),
        (503, 75),
        (502, 69),
    ];
    for (status, code) in cases {
        let ran = failing(status).run("status");
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{status}: {}", ran.err);
        assert!(ran.err.contains("it is not possible now"), "{status}: {}", ran.err);
    }
}

#[test]
fn a_busy_daemon_says_when() {
    let ran = failing(429).run("status");
    insta::assert_snapshot!(ran.err, @r"
    error: it is not possible now (busy)
      hint: try again in 7 s
    ");
}

#[test]
fn a_refused_token_is_named_by_its_file_and_never_shown() {
    let ran = failing(403).run("status -v");
    assert!(
        ran.err.contains("scope `read`; the one in [STATE]/tokens/read was sent"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("token-to-read"), "{}", ran.err);
}

#[test]
fn a_missing_token_is_77() {
    let daemon = Daemon::start(Vec::new());
    std::fs::remove_file(daemon.state.path().join("tokens/read")).unwrap();
    let ran = daemon.run("status");
    assert_eq!(ran.code, 77, "{}", ran.err);
    assert!(daemon.asked().is_empty());
}

#[test]
fn an_unknown_group_brings_the_known_ones() {
    let groups = json!({ "groups": [{ "name": "batch" }, { "name": "web" }] });
    let daemon = Daemon::start(vec![get("/v1/groups", groups)]);
    for command in ["status wbe", "servers wbe", "explain wbe", "plan wbe", "scale wbe +1"] {
        let ran = daemon.run(command);
        assert_eq!(ran.code, 1, "{command}: {}", ran.err);
        let hint = "hint: did you mean `web`? The groups are: web, batch";
        assert!(ran.err.contains(hint), "{command}: {}", ran.err);
        assert!(!ran.err.contains("GET /v1"), "{command}: {}", ran.err);
    }
    std::fs::remove_file(daemon.state.path().join("tokens/read")).unwrap();
    let ran = daemon.run("scale wbe +1");
    assert!(ran.err.contains("hint: GET /v1/groups lists them"), "{}", ran.err);
}

#[test]
fn what_is_no_daemon_is_told_apart() {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({})).text("<html>hello</html>")]);
    let ran = daemon.run("status");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("did not answer like novascale"), "{}", ran.err);

    let moved = answer("GET", "/v1/groups", 302, json!({})).header("location", "/elsewhere");
    let daemon = Daemon::start(vec![moved]);
    let ran = daemon.run("status");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("follows no redirect"), "{}", ran.err);
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn an_unreadable_configuration_is_78() {
    let empty = TempDir::new().unwrap();
    for command in ["check", "run", "", "check --config elsewhere.toml", "check -f json"] {
        let ran = novascale(command, &[], empty.path());
        assert_eq!(ran.code, 78, "{command}: {}", ran.err);
        assert!(ran.err.contains(".toml"), "{command}: {}", ran.err);
    }
    let ran = novascale("check -f json", &[], empty.path());
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["valid"], false);
}

#[test]
fn plan_ends_as_terraform_does_when_asked_to() {
    let plan = |changes| json!({ "changes": changes, "sentences": ["It is so."], "decision": {} });
    let mut held = plan(false);
    held["held"] = json!("servers could not be listed");
    let daemon = Daemon::start(vec![
        get("/v1/groups", json!({ "groups": [{ "name": "batch" }, { "name": "web" }] })),
        get("/v1/groups/web/plan", plan(true)),
        get("/v1/groups/batch/plan", plan(false)),
        get("/v1/groups/blind/plan", held),
    ]);
    for (command, code) in [
        ("plan", 0),
        ("plan --detailed-exitcode", 2),
        ("plan web --detailed-exitcode", 2),
        ("plan batch --detailed-exitcode", 0),
        ("plan blind", 0),
        ("plan blind --detailed-exitcode", 1),
        ("plan nobody --detailed-exitcode", 1),
    ] {
        assert_eq!(daemon.run(command).code, code, "{command}");
    }
    let blind = daemon.run("plan blind").out;
    assert!(blind.contains("Held: ") && !blind.contains("No changes"), "{blind}");
    assert_eq!(failing(503).run("plan --detailed-exitcode").code, 1);
    assert_eq!(failing(503).run("plan").code, 75);
    let empty = TempDir::new().unwrap();
    assert_eq!(novascale("plan --detailed-exitcode", &[], empty.path()).code, 1);
}

/// Runs `status` with its data going there.
fn writing_to(stdout: impl Into<Stdio>) -> i32 {
    let daemon = Daemon::start(vec![get("/v1/groups", json!({ "groups": [] }))]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_novascale"));
    command.args(["status", "--state-dir"]).arg(daemon.state.path()).env_clear();
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
    command.status().unwrap().code().unwrap()
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(writing_to(writer), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn data_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(writing_to(full), 1);
}
