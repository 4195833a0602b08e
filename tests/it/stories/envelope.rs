//! What goes wrong around the loops: another project, a poisoned row, a database that is locked
//! or damaged. Nothing is launched or deleted on such ground, and it says what is wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::canary;
use super::cloud::{Answer, Ask, Cloud, Fault};
use super::place::{FAST, PATIENCE, Place, group};

fn on(cloud: &Cloud) -> Place {
    let groups = format!("{}{}", group("web", 0, 20), group("batch", 0, 20));
    Place::new(&format!("{}{FAST}{groups}", cloud.section()))
}

fn ready(place: &Place) -> Value {
    place.ask("admin", "GET /readyz?verbose", "read", None).json()
}

fn check(place: &Place, name: &str) -> bool {
    let checks = ready(place)["checks"].as_array().unwrap().clone();
    checks.iter().find(|c| c["name"] == name).unwrap()["ok"] == json!(true)
}

fn until(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn another_project(answer: Answer) -> Answer {
    if answer.status != 201 {
        return answer;
    }
    answer.json(|body| {
        if let Some(project) = body["token"].get_mut("project") {
            project["id"] = json!("99999999999999999999999999999999");
        }
    })
}

/// Only Keystone's answers say otherwise: Nova shows what it shows.
fn wrong_project(ask: &Ask) -> Option<Fault> {
    let token = ask.method == "POST" && ask.path.ends_with("/auth/tokens");
    token.then_some(Fault::Alter(another_project))
}

#[test]
fn a_token_for_another_project_is_never_used() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 3");
    place.until_steady("web", 3);
    assert_eq!(daemon.stop().code, 0);

    cloud.tamper(wrong_project);
    let (asked, writes) = (cloud.asked(|ask| ask.lists() || ask.gets()), cloud.writes());
    let daemon = place.start();
    place.does("scale web 5");
    let line = daemon.says("the token is for the project 99999999999999999999999999999999");
    assert!(line.contains("Sign in to the state's project again"), "{line}");
    until("the project is not ready", || !check(&place, "project"));
    let shown = place.until("web", "held", |g| g["situation"] == "holding");
    assert!(
        shown["sentences"].to_string().contains("The token is for the project 9999"),
        "{shown}"
    );
    let metrics = place.ask("admin", "GET /metrics", "read", None).body;
    assert!(metrics.contains("reason=\"other_project\"} 1"), "{metrics}");
    assert_eq!(cloud.asked(|ask| ask.lists() || ask.gets()), asked, "nothing is even looked at");
    assert_eq!((cloud.writes(), cloud.members("web")), (writes, 3));

    cloud.mend();
    daemon.says("the token is for the state's project again");
    place.until_steady("web", 5);
    assert!(check(&place, "project"));
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

/// While it runs: the token that it has is refused, and the new one is another project's.
#[test]
fn a_project_that_changes_while_it_runs_stops_everything() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 2");
    place.until_steady("web", 2);
    let refused = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&refused);
    cloud.tamper(move |ask| {
        if ask.lists() && !once.swap(true, Ordering::Relaxed) {
            let body = "{\"error\": {\"code\": 401, \"title\": \"Unauthorized\"}}".to_owned();
            return Some(Fault::Answer(401, &[("content-type", "application/json")], body));
        }
        wrong_project(ask)
    });
    daemon.says("the token is for the project 99999999999999999999999999999999");
    let writes = cloud.writes();
    place.does("scale web 0");
    place.until("web", "held", |g| g["situation"] == "holding");
    assert_eq!((cloud.writes(), cloud.members("web")), (writes, 2));
    cloud.mend();
    place.until_steady("web", 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

/// The project of the token shows none of the servers.
fn elsewhere(ask: &Ask) -> Option<Fault> {
    let path = ask.path.clone();
    let id = path.rsplit('/').next().unwrap_or_default().to_owned();
    let text = format!("Instance {id} could not be found.");
    let body = json!({ "itemNotFound": { "code": 404, "message": text } }).to_string();
    let json = &[("content-type", "application/json")];
    wrong_project(ask).or_else(|| ask.gets().then_some(Fault::Answer(404, json, body)))
}

/// As an upgrade leaves it: known servers, and no project.
#[test]
fn a_state_without_a_project_takes_only_one_in_which_its_servers_are() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 2");
    place.until_steady("web", 2);
    assert_eq!(daemon.stop().code, 0);
    run(async {
        let mut conn = beside(&database(&place)).await;
        conn.execute("UPDATE controller SET project = NULL").await.unwrap();
        conn.close().await.unwrap();
    });

    cloud.tamper(elsewhere);
    let writes = cloud.writes();
    let daemon = place.start();
    place.does("scale web 5");
    let line = daemon.says("none is found in the project 9999");
    assert!(line.contains("knows 2 servers"), "{line}");
    assert!(daemon.log().contains("Sign in to the project of these servers"));
    place.until("web", "held", |g| g["situation"] == "holding");
    assert_eq!((cloud.writes(), cloud.members("web")), (writes, 2));

    cloud.mend();
    place.until_steady("web", 5);
    assert_eq!(place.rows("SELECT project FROM controller"), [cloud.project()]);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

fn database(place: &Place) -> std::path::PathBuf {
    let clouds = fs::read_dir(place.state("clouds")).unwrap();
    clouds.map(|cloud| cloud.unwrap().path().join("state.db")).find(|db| db.exists()).unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn beside(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

#[test]
fn a_poisoned_row_stops_its_group_only() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 2");
    place.does("scale batch 1");
    place.until_steady("web", 2);
    place.until_steady("batch", 1);
    assert_eq!(daemon.stop().code, 0);
    let path = database(&place);
    let whole = fs::read(&path).unwrap();
    for (table, change) in [
        (
            "group_state",
            "UPDATE group_state SET body = '{\"base\": 1e99}' WHERE group_name = 'web'",
        ),
        ("memory", "UPDATE memory SET body = CAST(x'ff00' AS TEXT) WHERE group_name = 'web'"),
        ("intent", "UPDATE intent SET body = 'null' WHERE group_name = 'web'"),
        ("known", "UPDATE known SET body = '[]' WHERE group_name = 'web'"),
    ] {
        fs::write(&path, &whole).unwrap();
        run(async {
            let mut conn = beside(&path).await;
            conn.execute(change).await.unwrap();
            conn.close().await.unwrap();
        });
        let writes = cloud.writes();
        let daemon = place.start();
        let line = daemon.says("pass failed");
        assert!(line.contains(&format!("table {table}")), "{line}");
        assert!(line.contains("put back a backup"), "{line}");
        place.does("scale batch 2");
        place.until_steady("batch", 2);
        let shown = place.does("status").out;
        assert!(shown.contains("failing") && shown.contains(table), "{table}: {shown}");
        assert!(place.does("explain web").out.contains("cannot be read"), "{table}");
        place.ask("admin", "GET /v1/groups/web/decisions", "read", None);
        until("it is ready", || ready(&place)["ready"] == json!(true));
        // It can be stopped for good all the same.
        place.does("freeze web");
        place.does("unfreeze batch");
        assert_eq!((cloud.members("web"), cloud.writes()), (2, writes + 1), "{table}");
        place.does("scale batch 1");
        place.until_steady("batch", 1);
        let _none = fs::remove_file(place.state("freeze"));
        assert_eq!(daemon.stop().code, 0);
    }
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_locked_database_allows_no_launch_but_a_freeze_and_recovers_by_itself() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 2");
    place.until_steady("web", 2);
    let path = database(&place);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut lock = other.block_on(beside(&path));
    other.block_on(lock.execute("BEGIN IMMEDIATE")).unwrap();
    let creates = cloud.asked(Ask::creates);
    // One is lost, so one more is wanted; there can be no journal line for it.
    let id = cloud.servers()[0]["id"].as_str().unwrap().to_owned();
    cloud.nova("DELETE", &format!("/servers/{id}"), Value::Null);
    until("the store is not ready", || !check(&place, "store"));
    daemon.says("pass failed");
    assert_eq!(cloud.asked(Ask::creates), creates);
    let told = place.does("freeze batch").out;
    assert!(told.contains("by the file"), "{told}");
    let held = fs::read_to_string(place.state("freeze")).unwrap();
    assert_eq!(held, "batch # by novascale freeze\n");
    other.block_on(lock.execute("ROLLBACK")).unwrap();
    other.block_on(lock.close()).unwrap();
    place.until_steady("web", 2);
    until("the store is ready", || check(&place, "store"));
    place.until("batch", "frozen", |g| g["situation"] == "frozen");
    place.does("unfreeze batch");
    place.until_steady("batch", 0);
    assert!(!place.state("freeze").exists());
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}

#[test]
fn a_damaged_database_is_refused_and_never_replaced() {
    let cloud = Cloud::start();
    let place = on(&cloud);
    let daemon = place.start();
    place.does("scale web 1");
    place.until_steady("web", 1);
    assert_eq!(daemon.stop().code, 0);
    let path = database(&place);
    let whole = fs::read(&path).unwrap();
    let writes = cloud.writes();
    let log = path.with_extension("db-wal");
    for (what, bytes) in [
        ("is empty", Vec::new()),
        ("is damaged", whole[..whole.len() / 2].to_vec()),
        ("is no SQLite database", vec![0; 4096]),
    ] {
        fs::write(&path, &bytes).unwrap();
        let refused = place.novascale("run");
        assert_eq!(refused.code, 1, "{what}: {refused:?}");
        let said = refused.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(what) && said.contains("put back a backup"), "{said}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: it was changed");
    }
    fs::rename(&path, &log).unwrap();
    let refused = place.novascale("run");
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = refused.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("is missing, but its log") && said.contains("Put the database back"));
    assert!(!path.exists(), "nothing was begun anew");
    fs::remove_file(&log).unwrap();
    fs::write(&path, &whole).unwrap();
    let daemon = place.start();
    place.until_steady("web", 1);
    assert_eq!((daemon.stop().code, cloud.writes()), (0, writes));
    canary::search(&place, Some(&cloud));
}
