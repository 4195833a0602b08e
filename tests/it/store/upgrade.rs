//! A state that an earlier novascale wrote: whatever it holds is there after an upgrade.

use std::path::Path;

use novascale::domain::id::GroupName;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};
use tempfile::TempDir;

use super::desk::*;

/// The schema up to this version, by the files that have to stay as they are.
const UNTIL_2: [(i64, &str, &str); 2] = [
    (1, "start", include_str!("../../../src/store/migrations/sqlite/0001_start.sql")),
    (2, "envelope", include_str!("../../../src/store/migrations/sqlite/0002_envelope.sql")),
];

/// Two groups, of which the first has more samples than of newest servers.
const ROWS: &str = "
    PRAGMA application_id = 1313822273;
    INSERT INTO controller (only, install, wall, steady)
        VALUES (1, '00000000000000000000000000000007', 1700000020000, 20000);
    INSERT INTO group_state VALUES ('web', '{\"base\":null}'), ('api', '{\"base\":null}');
    INSERT INTO signal (group_name, name) VALUES ('web', 'load'), ('web', 'queue'), ('api', 'load');
    INSERT INTO sample (group_name, name, server, at_wall, value, received_wall, received) VALUES
        ('web', 'load', '', 1700000005000, 1.0, 1700000006000, 6000),
        ('web', 'load', 's1', 1700000005000, 2.0, 1700000006000, 6000),
        ('web', 'load', '', 1700000007000, 3.0, 1700000008000, 8000),
        ('web', 'queue', '', 1700000005000, 4.0, 1700000006000, 6000),
        ('api', 'load', '', 1700000005000, 5.0, 1700000006000, 6000);
    INSERT INTO newest SELECT * FROM sample WHERE at_wall = 1700000007000 OR value <> 1;";

async fn before(dir: &Path) {
    let file = SqliteConnectOptions::new().filename(dir.join("state.db")).create_if_missing(true);
    let mut conn = file.connect().await.unwrap();
    let migrations = UNTIL_2.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.into());
    migrator.run_direct(None, &mut conn, false).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// What a sample says, in words that can be compared.
fn told(samples: &[novascale::domain::signal::Sample]) -> Vec<String> {
    let one = |s: &novascale::domain::signal::Sample| {
        let server = s.server.as_ref().map_or("all", |server| server.as_str());
        format!("{} {server} {} {}", s.name, s.at.0 - at(0).wall.0, s.value.get())
    };
    samples.iter().map(one).collect()
}

#[tokio::test]
async fn signals_of_the_schema_before_are_all_there() {
    let dir = TempDir::new().unwrap();
    before(dir.path()).await;
    let desk = Desk::of_state(dir).await;
    let api: GroupName = group("api");
    assert_eq!(
        told(&desk.all(&web()).await.samples),
        ["load all 7000 3", "load s1 5000 2", "queue all 5000 4"]
    );
    assert_eq!(told(&desk.all(&api).await.samples), ["load all 5000 5"]);
    let history = desk.history(&web(), "load").await;
    assert_eq!(told(&history), ["load all 5000 1", "load s1 5000 2", "load all 7000 3"]);
    // What was known before is known still, and what is new comes to it.
    let known = sample("load", 3.0, 7, 8);
    let new = sample("load", 6.0, 9, 21);
    assert_eq!(stored(desk.admit(samples(&web(), 21, vec![known, new])).await).0, 1);
    assert_eq!(desk.history(&web(), "load").await.len(), 4);
    assert_eq!(told(&desk.all(&api).await.samples), ["load all 5000 5"]);
    let gone = desk.store().sweep(&desk.lease, at(60 * 86_400)).await.unwrap();
    assert_eq!(gone, 6 + 4 + 3, "each sample, each newest and each name, once");
}
