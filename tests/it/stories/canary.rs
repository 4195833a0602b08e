//! Secrets that were planted, and where they may not be found: anywhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::cloud::Cloud;
use super::place::{PATIENCE, Place};

pub const USER_DATA: &str = "canary-user-data-5b2a";

/// Files below the state directory whose purpose is to hold a secret.
const HOLDERS: [&str; 4] =
    ["tokens", "sandbox/credentials.json", "sandbox/clouds.yaml", "sandbox/faults.token"];

const SCOPES: [&str; 4] = ["signal", "capacity", "read", "operate"];

/// Waits for a file.
pub fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < PATIENCE, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks a running daemon everything that it answers, so that it is searched with the rest.
pub fn ask_everything(place: &Place) {
    let groups = place.ask("admin", "GET /v1/groups", "read", None).json();
    for group in groups["groups"].as_array().unwrap() {
        let name = group["name"].as_str().unwrap();
        for part in ["", "/servers", "/decisions", "/plan"] {
            place.ask("admin", &format!("GET /v1/groups/{name}{part}"), "read", None);
        }
    }
    for line in ["GET /metrics", "GET /healthz", "GET /readyz", "GET /v1/nothing"] {
        place.ask("admin", line, "read", None);
    }
    let heard = place.ask("webhook", "POST /v1/groups/web/signals", "read", Some(Value::Null));
    assert!([403, 404].contains(&heard.status), "{heard:?}");
}

/// Searches everything that was said and stored for what must not be there.
pub fn search(place: &Place, cloud: Option<&Cloud>) {
    let mut secrets: Vec<String> = cloud.map(Cloud::secrets).unwrap_or_default();
    secrets.extend(SCOPES.map(|scope| place.token(scope)));
    secrets.push(USER_DATA.to_owned());
    secrets.push(STANDARD.encode(format!("#!/bin/sh\nexport KEY={USER_DATA}\n")));
    let credentials = std::fs::read(place.state("sandbox/credentials.json")).unwrap_or_default();
    let credentials: Value = serde_json::from_slice(&credentials).unwrap_or_default();
    let drawn = ["client_secret", "password"].map(|key| credentials[key].as_str());
    secrets.extend(drawn.into_iter().flatten().map(str::to_owned));
    let faults = std::fs::read_to_string(place.state("sandbox/faults.token")).unwrap_or_default();
    secrets.extend(Some(faults.trim().to_owned()).filter(|token| !token.is_empty()));

    search_for(place, secrets);
}

/// The same for these.
pub fn search_for(place: &Place, secrets: Vec<String>) {
    let mut haystack = place.said();
    for path in files(&place.path().join(".novascale")) {
        let name = path.strip_prefix(place.path().join(".novascale")).unwrap();
        if !HOLDERS.iter().any(|holder| name.starts_with(holder)) {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            haystack.push((name.display().to_string(), text));
        }
    }
    assert!(haystack.iter().any(|(name, _)| name.ends_with("state.db")), "nothing was searched");
    for (name, text) in &haystack {
        for secret in &secrets {
            assert!(!text.contains(secret), "{name} holds the secret {secret}");
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
