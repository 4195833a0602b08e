//! A disk that is full, a file that is locked, a directory in use or closed to us: the
//! store says so, changes nothing, and goes on by itself once the trouble is over.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use novascale::domain::plan::Changes;
use novascale::domain::signal::Command;
use novascale::store::sqlite::Options;
use novascale::store::{Sqlite, Store, StoreError, Window};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;

use super::desk::*;

async fn open(dir: &Path, options: Options) -> (Sqlite, novascale::store::Lease) {
    let (store, _) = Sqlite::open(dir, options).await.unwrap();
    let lease = store.acquire("the test").await.unwrap();
    (store, lease)
}

fn says(error: &StoreError, words: &[&str]) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

fn flood(secs: u64) -> novascale::store::Admit {
    let each = (0..200).map(|i| sample("load", 1.0, secs * 1_000 + i, secs));
    samples(&web(), secs, each.collect())
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let dir = TempDir::new().unwrap();
    let full = Options { most_pages: Some(80), ..Options::new(install()) };
    let (store, lease) = open(dir.path(), full).await;
    store.admit(&lease, command(&web(), 1, Command::Set { capacity: 3 })).await.unwrap();
    let mut kept = 0_usize;
    let error = loop {
        match store.admit(&lease, flood(2 + kept as u64)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1_000, "it never filled up");
    };
    says(&error, &["state.db", "full", "Make room"]);
    assert!(kept > 0);
    let ever = Duration::from_secs(1 << 40);
    let window = Window { now: at(0), signals: ever, past: ever };
    assert_eq!(store.gather(&web(), window).await.unwrap().state.base, Some(3), "reading goes on");
    let load = sample("load", 1.0, 0, 0).sample.name;
    let history = store.history(&web(), &load, at(0).steady).await.unwrap();
    assert_eq!(history.len(), kept * 200, "a refused batch left nothing");
    store.sweep(&lease, at(2 * 86_400)).await.unwrap();
    store.admit(&lease, flood(2 * 86_400)).await.unwrap();
    store.probe(&lease).await.unwrap();
}

#[tokio::test]
async fn a_locked_file_refuses_writes_until_it_is_free() {
    let dir = TempDir::new().unwrap();
    let hasty = Options { busy: Duration::from_millis(20), ..Options::new(install()) };
    let (store, lease) = open(dir.path(), hasty).await;
    let mut other = beside(dir.path()).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let writes =
        (0..20).map(|i| store.admit(&lease, command(&web(), i, Command::Adjust { by: 1 })));
    for refused in join_all(writes).await {
        says(&refused.unwrap_err(), &["keep a command for the group web", "locked", "close it"]);
    }
    let pass = eventful(&web(), 1, Changes::default());
    says(&store.record(&lease, &pass).await.unwrap_err(), &["keep a decision"]);
    says(&store.probe(&lease).await.unwrap_err(), &["probe"]);
    assert!(store.decisions(&web(), 9).await.unwrap().is_empty(), "reading goes on");
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    let writes =
        (0..20).map(|i| store.admit(&lease, command(&web(), i, Command::Adjust { by: 1 })));
    let bases: Vec<_> = join_all(writes).await.into_iter().map(|done| stored(done).1).collect();
    assert_eq!(bases, (1..=20).map(Some).collect::<Vec<_>>(), "in order of arrival");
}

#[tokio::test]
async fn one_refused_write_takes_no_other_with_it() {
    let dir = TempDir::new().unwrap();
    let (store, lease) = open(dir.path(), Options::new(install())).await;
    let old = lease.clone();
    let lease = store.acquire("the next").await.unwrap();
    let given = |n: u64| command(&web(), n, Command::Adjust { by: 1 });
    let wild = command(&web(), 2, Command::Set { capacity: u32::MAX });
    let (a, b, c, d) = tokio::join!(
        store.admit(&lease, given(1)),
        store.admit(&lease, wild),
        store.admit(&old, given(3)),
        store.admit(&lease, given(4)),
    );
    assert_eq!((stored(a).1, stored(d).1), (Some(1), Some(2)));
    assert!(matches!(b, Err(StoreError::Command(_))));
    assert!(matches!(c, Err(StoreError::Fenced(_))));
    assert_eq!(store.orders(&web(), 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_is_there() {
    let dir = TempDir::new().unwrap();
    let first = sqlite(dir.path()).await;
    let second = Sqlite::open(dir.path(), Options::new(install())).await.map(|_| ()).unwrap_err();
    says(&second, &["in use by the process", &std::process::id().to_string()]);
    first.close().await;
    let third = sqlite(dir.path()).await;
    assert!(third.acquire("the third").await.is_ok());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named_with_its_setting() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("state");
    fs::write(&file, "in the way").unwrap();
    let error = Sqlite::open(&file, Options::new(install())).await.map(|_| ()).unwrap_err();
    says(&error, &["state", "controller.state_dir"]);
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // A privileged user may write there all the same; then there is nothing to refuse.
    if fs::write(closed.join("probe"), "").is_err() {
        let error = Sqlite::open(&closed, Options::new(install())).await.map(|_| ()).unwrap_err();
        says(&error, &["closed", "ermission denied", "controller.state_dir"]);
        assert!(fs::read_dir(&closed).unwrap().next().is_none());
    }
}

#[tokio::test]
async fn a_fleet_at_rest_writes_nothing_to_the_disk() {
    let dir = TempDir::new().unwrap();
    let (store, lease) = open(dir.path(), Options::new(install())).await;
    store.record(&lease, &decision(&web(), 0)).await.unwrap();
    let log = dir.path().join("state.db-wal");
    let written = || fs::read(&log).unwrap();
    let before = written();
    for secs in (1..60).step_by(2) {
        store.record(&lease, &decision(&web(), secs)).await.unwrap();
    }
    assert!(written() == before, "a quiet pass wrote to the log");
    store.record(&lease, &decision(&web(), 60)).await.unwrap();
    assert!(written() != before);
}
