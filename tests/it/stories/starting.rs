//! How it starts, and how it says that it cannot.

use std::path::Path;

use serde_json::Value;

use super::canary;
use super::cloud::{Ask, Cloud, Fault};
use super::place::{FAST, PATIENCE, Place, group};

fn on(cloud: &Cloud, more: &str) -> Place {
    Place::new(&format!("{}{FAST}{}{more}", cloud.section(), group("web", 1, 3)))
}

pub fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scaling.toml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_shipped_file_is_valid_and_a_bad_one_is_78() {
    let place = Place::new(&shipped());
    let ran = place.does("check");
    assert!(ran.err.contains("is valid") || ran.out.contains("is valid"), "{ran:?}");
    assert_eq!(place.does("check --output json").json()["valid"], true);

    place.write("scaling.toml", &shipped().replace("min = 2", "mni = 2"));
    for command in ["check", "run", ""] {
        let ran = place.novascale(command);
        assert_eq!(ran.code, 78, "{command}: {ran:?}");
        assert!(ran.err.contains("did you mean") && ran.err.contains("mni"), "{ran:?}");
    }
    assert!(!place.path().join(".novascale").exists(), "a bad file starts nothing");
}

#[test]
fn the_clouds_settings_are_shown_and_its_secret_is_not() {
    let place = on(&Cloud::start(), "");
    for form in ["json", "table"] {
        let shown = place.does(&format!("check --show-cloud --output {form}"));
        assert!(shown.out.contains("client_secret"), "{shown:?}");
        assert!(shown.out.contains("<redacted: file "), "{shown:?}");
        assert!(!format!("{shown:?}").contains(super::cloud::CLIENT_SECRET), "{form}");
    }
}

#[test]
fn its_first_lines_wait_for_no_cloud() {
    let cloud = Cloud::start();
    cloud.tamper(|_| Some(Fault::Slow(PATIENCE)));
    let place = on(&cloud, "");
    // It is ready, and answers, while the cloud has not answered one call.
    let daemon = place.start();
    daemon.says("keeps web (1 to 3)");
    assert_eq!(cloud.asked(Ask::lists), 0);
    assert_eq!(place.group("web")["observer"]["seen_at"], Value::Null);
    let stopped = daemon.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    assert!(!stopped.log.contains("signed in as"), "{}", stopped.log);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_log_for_programs_is_one_object_a_line() {
    let cloud = Cloud::start();
    let place = on(&cloud, "");
    let daemon = place.start_as(&["run", "--log", "json", "--log-level", "trace"], &[]);
    place.until_steady("web", 1);
    place.does("scale web 2 --reason sale");
    place.until_steady("web", 2);
    let stopped = daemon.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    let parsed = stopped
        .log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    let events: Vec<Value> = parsed.collect();
    for event in &events {
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "{field} of {event}");
        }
    }
    let launched = |e: &&Value| e["message"].as_str().unwrap().starts_with("done: launch");
    assert_eq!(events.iter().find(launched).unwrap()["group"], "web");
    canary::search(&place, Some(&cloud));
}

#[test]
fn its_version_is_the_packages() {
    let ran = Place::new("").does("--version");
    assert!(ran.out.starts_with(concat!("novascale ", env!("CARGO_PKG_VERSION"))), "{ran:?}");
}

#[test]
fn a_log_level_that_is_none_is_a_wrong_command_line() {
    let place = on(&Cloud::start(), "");
    let ran = place.novascale("run --log-level novascale=loud");
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("use error, warn, info, debug or trace"), "{ran:?}");
    let ran = place.novascale("run --log-level wrn");
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("--log-level is \"wrn\""), "{ran:?}");
    assert!(!place.state("daemon.json").exists());
}

#[test]
fn a_state_directory_that_was_named_counts_for_the_daemon_too() {
    let place = on(&Cloud::start(), "[controller]\nstate_dir = \"elsewhere\"\n");
    let named = [("NOVASCALE_STATE_DIR", ".novascale")];
    let daemon = place.start_with(&named);
    assert!(!place.path().join("elsewhere").exists());
    place.does("status --state-dir .novascale");
    assert_eq!(place.novascale("status").code, 69);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_port_that_is_taken_and_a_state_that_cannot_be_written_are_1() {
    let cloud = Cloud::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = on(&cloud, "");
    let scaling = std::fs::read_to_string(place.path().join("scaling.toml")).unwrap();
    let admin = scaling.replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{address}\""));
    place.write("scaling.toml", &admin);
    let ran = place.novascale("run");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(&address) && ran.err.contains("http.admin"), "{ran:?}");
    assert!(!place.state("daemon.json").exists());

    let port = taken.local_addr().unwrap().port();
    let place = Place::new(&format!(
        "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nport = {port}\n\n{FAST}{}",
        group("web", 1, 3)
    ));
    let ran = place.novascale("run");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("or give `cloud.sandbox.port` another value"), "{ran:?}");

    // A file stands where the directory would be: not even root can write there.
    let place = on(&cloud, "[controller]\nstate_dir = \"client-secret/state\"\n");
    let ran = place.novascale("run");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("client-secret/state") && ran.err.contains("writable"), "{ran:?}");
}

#[test]
fn a_wrong_secret_is_named_by_its_key_and_the_daemon_stays_up() {
    let cloud = Cloud::start();
    let place = on(&cloud, "");
    place.write("client-secret", "canary-wrong-secret-77aa");
    let daemon = place.start();
    let line = daemon.says("cannot sign in");
    assert!(line.contains("cloud.client_secret"), "{line}");
    let group = place.until("web", "holding", |g| g["situation"] == "holding");
    let sentences = group["sentences"].to_string();
    assert!(sentences.contains("nothing is changed"), "{sentences}");
    assert!(sentences.contains("`cloud.client_secret`"), "{sentences}");
    // What was never looked at is not said to be empty, nor at rest.
    assert!(group["tally"].is_null(), "{group}");
    let status = place.does("status").out;
    let row = status.lines().find(|line| line.starts_with("web ")).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["web", "1", "-", "-", "1", "3", "holding"]
    );
    assert_eq!(status.matches("cloud.client_secret").count(), 1, "{status}");
    assert!(place.does("servers web").out.contains("its servers are not known"));
    assert!(place.explain("web").contains("no servers are known"));
    let plan = place.novascale("plan --detailed-exitcode");
    assert_eq!(plan.code, 1, "{plan:?}");
    assert!(plan.out.contains("Held: the cloud could not be looked at"), "{plan:?}");
    canary::ask_everything(&place);
    assert_eq!(cloud.servers().len(), 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
    for (who, text) in place.said() {
        assert!(!text.contains("canary-wrong-secret"), "{who} holds the secret");
    }
}
