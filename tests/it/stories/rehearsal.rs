//! An outage, rehearsed: the embedded cloud goes wrong on request, the daemon copes, and when the
//! faults are over the fleet is what it should be.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::canary;
use super::place::{FAST, Place, group};

fn on_the_embedded_cloud(more: &str) -> String {
    format!(
        "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\n\
         delete = \"20ms\"\n{more}\n{FAST}{}",
        group("web", 2, 8)
    )
}

/// What curl would send, with the token that lies in the embedded cloud's directory.
fn faults(directory: &Path, url: &str, method: &str, body: Value) -> (u16, Value) {
    let path = directory.join("faults.token");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&path).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method.parse().unwrap(), format!("{url}/faults"));
    let request = request.bearer_auth(token.trim()).body(body.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    })
}

/// Where the embedded cloud listens, as its own clouds.yaml says.
fn url(directory: &Path) -> String {
    let yaml = std::fs::read_to_string(directory.join("clouds.yaml")).unwrap();
    let line = yaml.lines().find_map(|line| line.trim().strip_prefix("auth_url: ")).unwrap();
    line.strip_suffix("/identity/v3").unwrap().to_owned()
}

fn struck(shown: &Value, name: &str) -> u64 {
    shown["faults"][name]["struck"].as_u64().unwrap()
}

#[test]
fn a_fleet_comes_through_an_outage_without_a_server_too_many() {
    let from_the_start = "faults = { build-slow = \"50ms\" }\nfault_seed = 7\n";
    let place = Place::new(&on_the_embedded_cloud(from_the_start));
    let daemon = place.start();
    daemon.says("goes wrong on purpose: build-slow 50ms (dice of seed 7)");
    place.until_steady("web", 2);

    let directory = place.state("sandbox");
    let url = url(&directory);
    let outage = json!({
        "list-fails": 30, "create-reply-lost": 100, "delete-reply-lost": 50, "token-dies": 20,
        "build-error": 20, "proxy-pages": 10,
    });
    let (status, shown) = faults(&directory, &url, "PUT", outage);
    assert_eq!((status, &shown["on"]["create-reply-lost"]), (200, &json!(100)), "{shown}");
    place.does("scale web 6");
    place.until("web", "calls that went wrong", |_| {
        let (_, shown) = faults(&directory, &url, "GET", Value::Null);
        struck(&shown, "create-reply-lost") > 0
    });
    let (_, shown) = faults(&directory, &url, "DELETE", Value::Null);
    assert_eq!(shown["on"], json!({}));
    place.until_steady("web", 6);
    let servers = place.does("servers web --output json").json();
    assert_eq!(servers["servers"].as_array().unwrap().len(), 6, "{servers:#}");
    canary::ask_everything(&place);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
    let kept = std::fs::read(directory.join("sandbox.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["model"]["servers"].as_object().unwrap().len(), 6);
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    let place = Place::new(&on_the_embedded_cloud("faults = { list-fail = 20 }\n"));
    let refused = place.novascale("check");
    assert_eq!(refused.code, 78);
    assert!(refused.err.contains("did you mean list-fails?"), "{refused:?}");
    let refused = place.novascale("sandbox --faults create-lots=20");
    assert_eq!(refused.code, 64);
    assert!(refused.err.contains("did you mean create-lost?"), "{refused:?}");
    let shown = place.does("sandbox --list-faults").out;
    for words in ["list-fails", "a create is carried out, its answer lost", "small-quota"] {
        assert!(shown.contains(words), "{shown}");
    }
}

/// The embedded cloud alone.
struct Alone(Child);

impl Alone {
    fn start(place: &Place, arguments: &[&str]) -> (Self, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_novascale"));
        command.args(["sandbox", "--port", "0", "--output", "json"]).args(arguments);
        command.current_dir(place.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut alone = Self(command.spawn().unwrap());
        let mut told = String::new();
        for line in BufReader::new(alone.0.stdout.take().unwrap()).lines() {
            told += &line.unwrap();
            if let Ok(found) = serde_json::from_str(&told) {
                return (alone, found);
            }
        }
        let mut why = String::new();
        alone.0.stderr.take().unwrap().read_to_string(&mut why).unwrap();
        panic!("it did not start: {told} {why}");
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

#[test]
fn the_embedded_cloud_runs_alone_and_a_daemon_is_pointed_at_it() {
    let place = Place::new("[cloud]\nuse = \"sandbox\"\n");
    let (mut cloud, found) = Alone::start(&place, &["--faults", "get-fails=10", "--seed", "1"]);
    let url = found["url"].as_str().unwrap().to_owned();
    let directory = place.state("sandbox");
    assert_eq!(found["fault_token"], json!(directory.join("faults.token")));
    let (_, shown) = faults(&directory, &url, "GET", Value::Null);
    assert_eq!(shown["on"], json!({ "get-fails": 10 }));
    // Its directory is its alone.
    let second = place.novascale("sandbox --port 0");
    assert_eq!(second.code, 1);
    assert!(second.err.contains("in use by the process"), "{second:?}");

    let yaml = directory.join("clouds.yaml");
    place.write(
        "scaling.toml",
        &format!("[cloud]\ncloud = \"sandbox\"\n\n{FAST}{}", group("web", 1, 3)),
    );
    let daemon = place.start_with(&[("OS_CLIENT_CONFIG_FILE", yaml.to_str().unwrap())]);
    place.until_steady("web", 1);
    assert_eq!(daemon.stop().code, 0);

    let kill = format!("kill -TERM {}", cloud.0.id());
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    assert!(cloud.0.wait().unwrap().success());
}

/// What a real cloud is signed in to with is none of the embedded one's business.
#[test]
fn beside_a_real_clouds_file_the_embedded_cloud_asks_for_none_of_its_secrets() {
    let place = Place::new(&format!(
        "[cloud]\nauth_type = \"v3password\"\nauth_url = \"https://keystone.example/v3\"\n\
         username = \"robot\"\npassword = {{ env = \"NOT_SET\" }}\nproject_id = \"p\"\n\
         region = \"R1\"\n\n[controller]\nstate_dir = \"elsewhere\"\n\n{}",
        group("web", 1, 3)
    ));
    assert_eq!(place.novascale("check").code, 78, "the secret is wanted there");
    let (_cloud, found) = Alone::start(&place, &[]);
    let token = found["fault_token"].as_str().unwrap();
    assert!(token.ends_with("elsewhere/sandbox/faults.token"), "{token}");
}
