//! Files that cannot be trusted are refused with the way out, and never touched.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use novascale::domain::id::InstallId;
use novascale::domain::intent::State;
use novascale::domain::plan::Changes;
use novascale::domain::server::KnownState;
use novascale::domain::signal::Command;
use novascale::store::sqlite::Options;
use novascale::store::{Sqlite, Store, StoreError, Window};
use rstest::rstest;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::desk::*;

async fn refused(dir: &Path) -> StoreError {
    Sqlite::open(dir, Options::new(install())).await.map(|_| ()).unwrap_err()
}

/// A closed state with a few hundred kilobytes in it.
async fn filled() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = sqlite(dir.path()).await;
    let lease = store.acquire("the test").await.unwrap();
    let many = (0..2_000).map(|i| sample("load", 1.0, i, 1));
    store.admit(&lease, samples(&web(), 1, many.collect())).await.unwrap();
    store.close().await;
    dir
}

fn overwrite(path: &Path, from: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

fn cut(path: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[rstest]
#[case::empty(|path: &Path| cut(path, 0))]
#[case::header_only(|path: &Path| cut(path, 100))]
#[case::half(|path: &Path| cut(path, fs::metadata(path).unwrap().len() / 2))]
#[case::another_file(|path: &Path| fs::write(path, "[group.web]\nmax = 3\n").unwrap())]
#[case::torn_pages(|path: &Path| overwrite(path, 3 * 4096, &[0x5a; 64 * 1024]))]
#[case::zeroed_schema(|path: &Path| overwrite(path, 100, &[0; 3_900]))]
#[tokio::test]
async fn a_damaged_file_is_refused_and_kept(#[case] damage: fn(&Path)) {
    let dir = filled().await;
    let path = dir.path().join("state.db");
    damage(&path);
    let before = fs::read(&path).unwrap();
    let error = refused(dir.path()).await;
    assert!(matches!(&error, StoreError::Corrupt(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("state.db") && text.contains("put back a backup"), "{text}");
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_log_without_its_database_is_no_first_start() {
    let dir = filled().await;
    fs::rename(dir.path().join("state.db"), dir.path().join("state.db-wal")).unwrap();
    let error = refused(dir.path()).await;
    assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("is missing")), "{error}");
    assert!(!dir.path().join("state.db").exists());
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_begun_again() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("state.db.new"), "half a database").unwrap();
    fs::write(dir.path().join("state.db.new-wal"), "half a log").unwrap();
    let store = sqlite(dir.path()).await;
    store.acquire("the test").await.unwrap();
    assert!(!dir.path().join("state.db.new").exists());
    assert!(!dir.path().join("state.db.new-wal").exists());
}

#[tokio::test]
async fn another_programs_database_is_refused_and_kept() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE bookmarks (url TEXT)").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(dir.path()).await;
    assert!(
        matches!(&error, StoreError::Foreign(text) if text.contains("another program")),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[rstest]
#[case::newer(
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
     VALUES (9000, 'later', TRUE, x'00', 0)",
    "schema is 9000"
)]
#[case::other_build("UPDATE _sqlx_migrations SET checksum = x'00'", "another build")]
#[tokio::test]
async fn another_versions_state_is_refused_by_name(
    #[case] change: &'static str,
    #[case] says: &str,
) {
    let dir = filled().await;
    let mut conn = beside(dir.path()).await;
    sqlx::query(change).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let error = refused(dir.path()).await;
    assert!(matches!(&error, StoreError::Foreign(text) if text.contains(says)), "{error}");
}

#[tokio::test]
async fn another_installations_state_is_refused_with_both_ids() {
    let dir = filled().await;
    let other = InstallId::from_bits(8);
    let error =
        Sqlite::open(dir.path(), Options::new(other.clone())).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(other.as_str()) && text.contains(install().as_str()), "{text}");
    assert!(text.contains("controller.id"), "{text}");
    sqlite(dir.path()).await.close().await;
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("deep/state");
    let store = sqlite(&dir).await;
    store.acquire("the test").await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "database, log, lock: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Rows that cannot be read: table, the change, and what the error must name.
#[rstest]
#[case::state("UPDATE group_state SET body = '{' WHERE group_name = 'web'", "group_state", "web")]
#[case::memory("UPDATE memory SET body = '[]' WHERE group_name = 'web'", "memory", "web")]
#[case::intent(
    "UPDATE intent SET body = replace(body, '\"open\"', '\"flying\"') WHERE group_name = 'web'",
    "intent",
    "00000000000000000000000000000001"
)]
#[case::no_text(
    "UPDATE memory SET body = CAST(x'7bff' AS TEXT) WHERE group_name = 'web'",
    "memory",
    "web"
)]
#[case::null("UPDATE memory SET body = 'null' WHERE group_name = 'web'", "memory", "web")]
#[case::huge(
    "UPDATE known SET body = replace(body, '\"since\":1000', '\"since\":1e40') WHERE group_name = 'web'",
    "known",
    "s1"
)]
#[case::negative(
    "UPDATE intent SET body = replace(body, '\"steady\":1000', '\"steady\":-1') WHERE group_name = 'web'",
    "intent",
    "00000000000000000000000000000001"
)]
#[case::known("UPDATE known SET body = '' WHERE group_name = 'web'", "known", "s1")]
#[case::name("UPDATE signal SET name = 'a b' WHERE group_name = 'web'", "signal", "web a b")]
#[case::value(
    "UPDATE newest SET value = 9e999
     WHERE signal = (SELECT id FROM signal WHERE group_name = 'web')",
    "newest",
    "web load"
)]
#[tokio::test]
async fn a_row_that_cannot_be_read_stops_its_group_only(
    #[case] poison: &'static str,
    #[case] table: &str,
    #[case] key: &str,
) {
    let desk = Kind::Sqlite.open().await;
    for (bits, group) in [(1, web()), (2, group("api"))] {
        let changes = Changes {
            memory: Some(memory(3)),
            intents: vec![intent(&group, bits, 1, State::Open)],
            known: vec![known("s1", KnownState::Listed, 1)],
            ..Changes::default()
        };
        desk.record(&eventful(&group, 1, changes)).await;
        stored(desk.admit(samples(&group, 1, vec![sample("load", 1.0, 1, 1)])).await);
    }
    desk.sql(poison).await;
    let desk = desk.restarted().await;
    let ever = Duration::from_secs(1 << 40);
    let window = Window { now: at(0), signals: ever, past: ever };
    let error = desk.store().gather(&web(), window).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("table {table}")) && text.contains(key), "{text}");
    assert_eq!(desk.all(&group("api")).await.intents.len(), 1);
    desk.store().sweep(&desk.lease, at(1)).await.unwrap();
}

#[tokio::test]
async fn a_newest_sample_that_cannot_be_read_is_not_taken_for_none() {
    let desk = Kind::Sqlite.open().await;
    stored(desk.admit(samples(&web(), 9, vec![sample("load", 5.0, 9, 9)])).await);
    desk.sql("UPDATE newest SET value = 9e999").await;
    let desk = desk.restarted().await;
    // Neither at once nor at the second try: it would push out what was measured later.
    for secs in [10, 11] {
        let older = samples(&web(), secs, vec![sample("load", 1.0, 3, secs)]);
        let refused = desk.admit(older).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_decision_that_cannot_be_read_does_not_stop_the_next() {
    let desk = Kind::Sqlite.open().await;
    desk.record(&decision(&web(), 1)).await;
    desk.sql("UPDATE decision SET body = 'lost'").await;
    desk.record(&decision(&web(), 2)).await;
    assert_eq!(desk.store().decisions(&web(), 1).await.unwrap().len(), 1);
    assert_eq!(
        desk.store().decisions(&web(), 2).await.unwrap().len(),
        1,
        "nor does it hide others"
    );
}

#[tokio::test]
async fn a_poisoned_state_takes_no_command() {
    let desk = Kind::Sqlite.open().await;
    stored(desk.admit(command(&web(), 1, Command::Set { capacity: 3 })).await);
    desk.sql("UPDATE group_state SET body = 'null'").await;
    let refused = desk.admit(command(&web(), 2, Command::Set { capacity: 4 })).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
    assert_eq!(
        stored(desk.admit(command(&group("api"), 2, Command::Set { capacity: 4 })).await).1,
        Some(4)
    );
}
