//! How it starts, and how it says that it cannot.

use std::path::Path;

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, Place, group};

fn on(cloud: &Cloud, more: &str) -> Place {
    Place::new(&format!("{}{FAST}{}{more}", cloud.section(), group("web", 1, 3)))
}

fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scaling.toml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_shipped_file_is_valid_and_a_bad_one_is_78() {
    let place = Place::new(&shipped());
    let ran = place.does("check");
    assert!(ran.err.contains("is valid") || ran.out.contains("is valid"), "{ran:?}");
    assert_eq!(place.does("check --output json").json()["valid"], true);
    let shown = place.does("check --show-cloud --output json");
    assert!(!shown.out.contains(super::cloud::CLIENT_SECRET));

    place.write("scaling.toml", &shipped().replace("min = 2", "mni = 2"));
    for command in ["check", "run", ""] {
        let ran = place.novascale(command);
        assert_eq!(ran.code, 78, "{command}: {ran:?}");
        assert!(ran.err.contains("did you mean") && ran.err.contains("mni"), "{ran:?}");
    }
    assert!(!place.path().join(".novascale").exists(), "a bad file starts nothing");
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
    assert!(!place.state("daemon.json").exists());
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
    canary::ask_everything(&place);
    assert_eq!(cloud.servers().len(), 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
    for (who, text) in place.said() {
        assert!(!text.contains("canary-wrong-secret"), "{who} holds the secret");
    }
}
