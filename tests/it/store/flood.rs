//! A flood of samples: what is kept as a text first counts as if it stood in its rows.

use std::path::Path;
use std::time::{Duration, Instant};

use novascale::store::{Identified, StoreError, Window};
use sqlx::Connection as _;
use tempfile::TempDir;

use super::desk::*;

/// Samples of two names and many servers, of which some measure late and some say the same again.
fn flood(of: u64, n: u64) -> Vec<Identified> {
    let one = |i: u64| {
        let name = if i.is_multiple_of(3) { "load" } else { "heat" };
        let late = [0, 0, 0, 1, 7][(i % 5) as usize];
        let one = sample(name, (i % 17) as f64 / 7.0, of - late, of);
        of_server(one, &format!("s{}", (i * 7 + of) % 900))
    };
    (0..n).map(one).collect()
}

/// All that is told of the samples.
async fn told(desk: &Desk) -> String {
    let (load, heat) = (desk.history(&web(), "load").await, desk.history(&web(), "heat").await);
    format!("{:#?}{load:#?}{heat:#?}", desk.all(&web()).await.samples)
}

async fn texts(dir: &Path) -> i64 {
    let mut conn = beside(dir).await;
    let n = sqlx::query_scalar("SELECT count(*) FROM arrival").fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    n
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_flood_the_store_tells_what_the_plain_one_does() {
    let (plain, disk) = (Kind::Memory.open().await, Kind::Sqlite.open().await);
    // More than are kept of a name, and some of it twice.
    for of in [30, 31, 32, 32, 33, 34, 35, 36, 40, 41, 42, 43, 44, 45, 46, 47, 48] {
        let admit = || samples(&web(), of, flood(of, 1_000));
        let fresh = (stored(plain.admit(admit()).await).0, stored(disk.admit(admit()).await).0);
        assert_eq!(fresh.0, fresh.1, "{of}");
        assert!(told(&plain).await == told(&disk).await, "{of}");
    }
    let few = || samples(&web(), 50, flood(50, 3));
    assert_eq!(stored(plain.admit(few()).await).0, stored(disk.admit(few()).await).0);
    let before = told(&plain).await;
    assert!(before == told(&disk).await);
    // At rest all of it stands in its rows.
    let dir = disk.closed().await;
    assert_eq!(texts(dir.path()).await, 0);
    assert!(before == told(&Desk::of_state(dir).await).await);
}

/// As a machine leaves it that dies before the rows are written.
async fn died_with(texts: &[&'static str]) -> TempDir {
    let desk = Kind::Sqlite.open().await;
    for group in [web(), group("api")] {
        let one = sample("load", 1.0, 5, 6);
        assert_eq!(stored(desk.admit(samples(&group, 6, vec![one])).await).0, 1);
    }
    let dir = desk.closed().await;
    let mut conn = beside(dir.path()).await;
    for text in texts {
        sqlx::raw_sql(*text).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
    dir
}

const TWO: &str = r#"INSERT INTO arrival (group_name, body) VALUES ('web',
    '[{"name":"load","wall":1700000008000,"steady":8000,"samples":[[1000,3.5,null],[0,2.0,"s1"]]}]')"#;
const LATER: &str = r#"INSERT INTO arrival (group_name, body) VALUES ('web',
    '[{"name":"load","wall":1700000009000,"steady":9000,"samples":[[0,0.1,"s1"],[4000,7.0,null]]}]')"#;

#[tokio::test]
async fn a_start_goes_on_from_the_texts() {
    let dir = died_with(&[TWO, LATER]).await;
    let desk = Desk::of_state(dir).await;
    let history = desk.history(&web(), "load").await;
    let values: Vec<f64> = history.iter().map(|s| s.value.get()).collect();
    assert_eq!(values, [7.0, 3.5, 2.0, 0.1], "in order of measuring, of one instant the larger");
    let newest = desk.all(&web()).await.samples;
    let values: Vec<f64> = newest.iter().map(|s| s.value.get()).collect();
    assert_eq!(values, [3.5, 0.1]);
    // What came before the end is known after it.
    let known = sample("load", 3.5, 7, 8);
    assert_eq!(stored(desk.admit(samples(&web(), 20, vec![known])).await).0, 0);
    let before = (history, newest);
    let dir = desk.closed().await;
    assert_eq!(texts(dir.path()).await, 0);
    let desk = Desk::of_state(dir).await;
    assert_eq!((desk.history(&web(), "load").await, desk.all(&web()).await.samples), before);
}

#[tokio::test]
async fn a_text_that_cannot_be_read_stops_its_group_alone_and_is_not_lost() {
    let garbage = "INSERT INTO arrival (seq, group_name, body) VALUES (7, 'web', '[{\"name\":')";
    let dir = died_with(&[TWO, garbage]).await;
    let desk = Desk::of_state(dir).await;
    for _ in 0..3 {
        let window = Window {
            now: at(20),
            signals: Duration::from_secs(300),
            past: Duration::from_secs(300),
        };
        let refused = desk.store().gather(&web(), window).await.unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
        assert!(refused.to_string().contains("the row 7 of the table arrival"), "{refused}");
        assert_eq!(desk.all(&group("api")).await.samples.len(), 1);
        let one = sample("load", 9.0, 19, 20);
        let admitted = samples(&group("api"), 20, vec![one]);
        stored(desk.admit(admitted).await);
    }
    let dir = desk.closed().await;
    assert_eq!(texts(dir.path()).await, 1, "the other one was read");
    let mut conn = beside(dir.path()).await;
    let mend = "UPDATE arrival SET body = '[]'";
    sqlx::raw_sql(mend).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let desk = Desk::of_state(dir).await;
    assert_eq!(desk.all(&web()).await.samples.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_while_nobody_asks_for_anything() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_owned();
    let desk = Desk::of_state(dir).await;
    stored(desk.admit(samples(&web(), 30, flood(30, 1_000))).await);
    let began = Instant::now();
    while texts(&path).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "the rows are never written");
        tokio::task::yield_now().await;
    }
    let plain = Kind::Memory.open().await;
    stored(plain.admit(samples(&web(), 30, flood(30, 1_000))).await);
    assert!(told(&plain).await == told(&desk).await);
}
