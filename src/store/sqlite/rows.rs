//! The statements about signals and their samples, many rows in each.

use std::sync::LazyLock;

use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use super::gather;
use crate::domain::id::{GroupName, ServerId, SignalName};
use crate::domain::signal::Sample;
use crate::domain::time::{Steady, Wall};
use crate::store::keep;
use crate::store::row::column;

/// A signal's number, and whose it is.
type Of<'a> = (i64, (&'a GroupName, &'a SignalName));

/// So many rows have a statement: few texts, each of which SQLite compiles once.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

type Texts = LazyLock<[String; SIZES.len()]>;

/// Parameters have no numbers: SQLite finds a number's place by going through all of them.
fn texts(head: &str, row: &str, tail: &str) -> [String; SIZES.len()] {
    SIZES.map(|rows| format!("{head}{}{tail}", vec![row; rows].join(", ")))
}

/// The rows in as few parts as there are texts for, each with its text.
fn parts<'a, T>(
    texts: &'static [String; SIZES.len()],
    mut rows: &'a [T],
) -> impl Iterator<Item = (&'static str, &'a [T])> {
    std::iter::from_fn(move || {
        let size = SIZES.iter().position(|size| *size <= rows.len())?;
        let (part, rest) = rows.split_at(SIZES[size]);
        rows = rest;
        Some((texts[size].as_str(), part))
    })
}

fn word(server: Option<&ServerId>) -> &str {
    server.map_or("", ServerId::as_str)
}

/// The signal's number, how many samples it has, of how many servers, and when the last of them was
/// measured.
pub(super) async fn signal(
    conn: &mut SqliteConnection,
    group: &GroupName,
    name: &SignalName,
) -> Result<Option<(i64, i64, i64, Option<i64>)>, Fault> {
    let row = sqlx::query_as(
        "SELECT id, kept, servers, (SELECT max(at_wall) FROM sample WHERE signal = id)
         FROM signal WHERE group_name = ? AND name = ?",
    );
    Ok(row.bind(group.as_str()).bind(name.as_str()).fetch_optional(conn).await?)
}

/// How many names the group has, and how many pairs of name and server.
pub(super) async fn in_use(
    conn: &mut SqliteConnection,
    group: &GroupName,
) -> Result<(usize, usize), Fault> {
    let (names, series): (i64, i64) =
        sqlx::query_as("SELECT count(*), ifnull(sum(servers), 0) FROM signal WHERE group_name = ?")
            .bind(group.as_str())
            .fetch_one(conn)
            .await?;
    let number = |column: i64| usize::try_from(column).unwrap_or(0);
    Ok((number(names), number(series)))
}

static NEWEST: Texts = LazyLock::new(|| {
    texts(
        "SELECT CAST(server AS BLOB), at_wall, value, received_wall, received
         FROM newest WHERE signal = ? AND server IN (",
        "?",
        ")",
    )
});

pub(super) async fn newest(
    conn: &mut SqliteConnection,
    (id, (group, name)): Of<'_>,
    servers: &[&Option<ServerId>],
) -> Result<Vec<Sample>, Fault> {
    let mut found = Vec::new();
    for (text, part) in parts(&NEWEST, servers) {
        let mut query = sqlx::query_as(text).bind(id);
        for server in part {
            query = query.bind(word(server.as_ref()));
        }
        for row in query.fetch_all(&mut *conn).await? {
            found.push(gather::sample_of("newest", (group, name), row)?);
        }
    }
    Ok(found)
}

static WINDOW: Texts = LazyLock::new(|| {
    texts(
        "SELECT CAST(server AS BLOB), at_wall, value, received_wall, received
         FROM sample WHERE signal = ? AND (at_wall, server) IN (VALUES ",
        "(?, ?)",
        ")",
    )
});

pub(super) async fn window(
    conn: &mut SqliteConnection,
    (id, (group, name)): Of<'_>,
    places: &[(Wall, &Option<ServerId>)],
) -> Result<Vec<Sample>, Fault> {
    let mut found = Vec::new();
    for (text, part) in parts(&WINDOW, places) {
        let mut query = sqlx::query_as(text).bind(id);
        for (at, server) in part {
            query = query.bind(at.0).bind(word(server.as_ref()));
        }
        for row in query.fetch_all(&mut *conn).await? {
            found.push(gather::sample_of("sample", (group, name), row)?);
        }
    }
    Ok(found)
}

/// Makes a row of it; its number.
pub(super) async fn put_signal(
    conn: &mut SqliteConnection,
    group: &GroupName,
    name: &SignalName,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("INSERT INTO signal (group_name, name) VALUES (?, ?) RETURNING id")
        .bind(group.as_str())
        .bind(name.as_str())
        .fetch_one(conn)
        .await
}

static PUT_WINDOW: Texts = LazyLock::new(|| {
    texts(
        "INSERT INTO sample (signal, server, at_wall, value, received_wall, received) VALUES ",
        "(?, ?, ?, ?, ?, ?)",
        " ON CONFLICT (signal, at_wall, server) DO UPDATE SET value = excluded.value,
          received_wall = excluded.received_wall, received = excluded.received",
    )
});

pub(super) async fn put_window(
    conn: &mut SqliteConnection,
    id: i64,
    samples: &[&Sample],
) -> Result<(), sqlx::Error> {
    put(conn, &PUT_WINDOW, id, samples).await
}

static PUT_NEWEST: Texts = LazyLock::new(|| {
    texts(
        "INSERT INTO newest (signal, server, at_wall, value, received_wall, received) VALUES ",
        "(?, ?, ?, ?, ?, ?)",
        " ON CONFLICT (signal, server) DO UPDATE SET at_wall = excluded.at_wall,
          value = excluded.value, received_wall = excluded.received_wall,
          received = excluded.received",
    )
});

pub(super) async fn put_newest(
    conn: &mut SqliteConnection,
    id: i64,
    samples: &[&Sample],
) -> Result<(), sqlx::Error> {
    put(conn, &PUT_NEWEST, id, samples).await
}

async fn put(
    conn: &mut SqliteConnection,
    texts: &'static [String; SIZES.len()],
    id: i64,
    samples: &[&Sample],
) -> Result<(), sqlx::Error> {
    for (text, part) in parts(texts, samples) {
        let mut query = sqlx::query(text);
        for sample in part {
            query = query
                .bind(id)
                .bind(word(sample.server.as_ref()))
                .bind(sample.at.0)
                .bind(sample.value.get())
                .bind(sample.received.wall.0)
                .bind(column(sample.received.steady));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Drops what the signal has beyond its bound, if it has `kept` samples; how many it has then.
pub(super) async fn drop_oldest(
    conn: &mut SqliteConnection,
    id: i64,
    kept: i64,
) -> Result<i64, sqlx::Error> {
    let most = i64::from(keep::SAMPLES_MOST);
    if kept <= most {
        return Ok(kept);
    }
    let dropped = sqlx::query(
        "DELETE FROM sample WHERE signal = ?1 AND (at_wall, server) < (
             SELECT at_wall, server FROM sample WHERE signal = ?1
             ORDER BY at_wall, server LIMIT 1 OFFSET ?2)",
    )
    .bind(id)
    .bind(kept - most)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if dropped == (kept - most).unsigned_abs() {
        return Ok(most);
    }
    // There were not as many as the row said.
    sqlx::query_scalar("SELECT count(*) FROM sample WHERE signal = ?")
        .bind(id)
        .fetch_one(conn)
        .await
}

pub(super) async fn put_kept(
    conn: &mut SqliteConnection,
    id: i64,
    kept: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE signal SET kept = ? WHERE id = ?")
        .bind(kept)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The numbers of the group's signals after that one, each with how many samples it has.
pub(super) async fn signals(
    conn: &mut SqliteConnection,
    group: &GroupName,
    after: i64,
) -> Result<Vec<(i64, i64)>, Fault> {
    let rows =
        sqlx::query_as("SELECT id, kept FROM signal WHERE group_name = ? AND id > ? ORDER BY id");
    Ok(rows.bind(group.as_str()).bind(after).fetch_all(conn).await?)
}

/// Drops the signal's samples that were received before that; how many went.
pub(super) async fn drop_received_before(
    conn: &mut SqliteConnection,
    id: i64,
    received: Steady,
) -> Result<u64, Fault> {
    let dropped = sqlx::query("DELETE FROM sample WHERE signal = ? AND received < ?")
        .bind(id)
        .bind(column(received))
        .execute(&mut *conn)
        .await?
        .rows_affected();
    if dropped > 0 {
        sqlx::query("UPDATE signal SET kept = max(0, kept - ?2) WHERE id = ?1")
            .bind(id)
            .bind(i64::try_from(dropped).unwrap_or(i64::MAX))
            .execute(conn)
            .await?;
    }
    Ok(dropped)
}

static PUT_IDS: Texts = LazyLock::new(|| {
    let expired = format!("excluded.at - sample_id.at > {}", keep::KEYS.as_millis());
    texts(
        "INSERT INTO sample_id (group_name, at, id) VALUES ",
        "(?, ?, ?)",
        &format!(
            " ON CONFLICT (group_name, id) DO UPDATE SET at = excluded.at WHERE {expired} RETURNING id"
        ),
    )
});

/// Notes these ids; those that were not known, each once.
pub(super) async fn put_ids(
    conn: &mut SqliteConnection,
    group: &GroupName,
    at: Steady,
    ids: &[&str],
) -> Result<Vec<String>, Fault> {
    let mut new = Vec::new();
    for (text, part) in parts(&PUT_IDS, ids) {
        let mut query = sqlx::query_scalar(text);
        for id in part {
            query = query.bind(group.as_str()).bind(column(at)).bind(*id);
        }
        new.append(&mut query.fetch_all(&mut *conn).await?);
    }
    Ok(new)
}
