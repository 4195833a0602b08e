//! Stop and start, and what lies on the disk.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use serde_json::{Value, json};

use super::super::SandboxError;
use super::{BEGIN, Lab, Sandbox, config};

async fn lab(directory: &tempfile::TempDir, now: i64) -> Lab {
    let now = Arc::new(AtomicI64::new(now));
    Lab::open(config(), Some(directory.path().to_path_buf()), now).await
}

async fn opened(directory: &tempfile::TempDir) -> Result<Sandbox, SandboxError> {
    Sandbox::open(config(), Arc::new(|| BEGIN), [7; 32], Some(directory.path().to_path_buf())).await
}

#[tokio::test]
async fn everything_survives_a_restart_and_time_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let before = lab(&directory, BEGIN).await;
    let id = before.created(json!({ "tags": ["t"], "metadata": { "a": "b" } })).await;
    let group = json!({ "server_group": { "name": "g", "policy": "affinity" } });
    before.nova("POST", 75, "/os-server-groups", group).await;
    before.sandbox.save().await.unwrap();
    let token = before.token.clone();
    drop(before);

    let mut after = lab(&directory, BEGIN + 60_000).await;
    after.token = token;
    let server = after.server(&id).await;
    assert_eq!((&server["status"], &server["tags"]), (&json!("ACTIVE"), &json!(["t"])));
    assert!(server["OS-SRV-USG:launched_at"].as_str().unwrap() < "2026-01-02T03:00:07");
    let groups = after.nova("GET", 75, "/os-server-groups", Value::Null).await;
    assert_eq!(groups.body["server_groups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_seed_never_draws_the_same_ids_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = lab(&directory, BEGIN).await;
    let one = first.created(json!({})).await;
    let second = lab(&directory, BEGIN).await;
    let two = second.created(json!({})).await;
    assert_ne!(one, two);
    assert_eq!(second.names("").await.len(), 2);
}

#[tokio::test]
async fn a_broken_state_is_an_error_and_stays() {
    let cases = ["", "{", "{}", "null", r#"{"form":2,"model":{}}"#, r#"{"form":9,"model":{}}"#];
    for content in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sandbox.json");
        std::fs::write(&path, content).unwrap();
        let error = opened(&directory).await.unwrap_err();
        assert!(matches!(error, SandboxError::Broken { .. }), "{content}: {error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let opened = Sandbox::open(config(), Arc::new(|| BEGIN), [7; 32], Some(file)).await;
    assert!(matches!(opened.unwrap_err(), SandboxError::Disk { .. }));
}

#[tokio::test]
async fn empty_secrets_are_refused() {
    let mut config = config();
    config.credentials.password = "".into();
    let opened = Sandbox::open(config, Arc::new(|| BEGIN), [7; 32], None).await;
    assert!(matches!(opened.unwrap_err(), SandboxError::Config(_)));
}

fn saved(directory: &tempfile::TempDir) -> String {
    std::fs::read_to_string(directory.path().join("sandbox.json")).unwrap()
}

/// As if it were killed right after the answer: what the file has is what is left.
#[tokio::test]
async fn what_was_answered_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let lab = lab(&directory, BEGIN).await;
    let id = lab.created(json!({ "name": "kept" })).await;
    assert!(saved(&directory).contains(&id));
    lab.wait_ms(10_000);
    let path = format!("/servers/{id}/tags/marked");
    assert_eq!(lab.nova("PUT", 75, &path, Value::Null).await.status, 201);
    assert!(saved(&directory).contains("marked"));
    assert_eq!(lab.nova("DELETE", 75, &format!("/servers/{id}"), Value::Null).await.status, 204);
    assert!(saved(&directory).contains("Deleting"));
}

#[tokio::test]
async fn each_of_many_changes_at_once_is_on_disk_when_it_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let lab = lab(&directory, BEGIN).await;
    let creates = (0..20).map(async |_| {
        let id = lab.created(json!({})).await;
        assert!(saved(&directory).contains(&id));
    });
    futures_util::future::join_all(creates).await;
}

#[tokio::test]
async fn looking_and_signing_in_write_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let lab = lab(&directory, BEGIN).await;
    lab.created(json!({})).await;
    let path = directory.path().join("sandbox.json");
    std::fs::remove_file(&path).unwrap();
    lab.sign_in().await;
    lab.names("").await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_change_that_cannot_be_saved_is_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("state");
    let lab = Lab::open(config(), Some(below.clone()), Arc::new(AtomicI64::new(BEGIN))).await;
    std::fs::remove_dir_all(&below).unwrap();
    std::fs::write(&below, "in the way").unwrap();
    let answer = lab.create(json!({})).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.fault().0, "computeFault");
    assert!(answer.fault().1.contains("could not write its state to"), "{}", answer.text);
    std::fs::remove_file(&below).unwrap();
    lab.created(json!({})).await;
}

#[tokio::test]
async fn a_cloud_on_a_socket_saves_its_tokens_when_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let before = lab(&directory, BEGIN).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    before.sandbox.serve(listener, std::future::ready(())).await.unwrap();
    let mut after = lab(&directory, BEGIN).await;
    after.token = before.token;
    assert_eq!(after.names("").await.len(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    lab(&directory, BEGIN).await;
    let metadata = std::fs::metadata(directory.path().join("sandbox.json")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}
