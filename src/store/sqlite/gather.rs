//! Reading: everything a pass looks at, and what people ask for.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::arrivals;
use super::fault::Fault;
use crate::domain::freeze::{Freeze, Freezes};
use crate::domain::group::GroupState;
use crate::domain::id::{GroupName, InstallId, ServerId, SignalName};
use crate::domain::plan::Decision;
use crate::domain::signal::{Ordered, Sample, Value};
use crate::domain::time::{Now, Steady, Wall};
use crate::store::row::{self, column};
use crate::store::{Gathered, Origin, Window, keep};

pub(super) async fn gather(
    readers: &SqlitePool,
    group: &GroupName,
    since: Window,
) -> Result<Gathered, Fault> {
    let mut tx = readers.begin().await?;
    let past = column(since.now.steady.minus(since.past));
    Ok(Gathered {
        state: state(&mut tx, group).await?.unwrap_or_default(),
        memory: body(&mut tx, "memory", MEMORY, group).await?,
        samples: samples(&mut tx, group, since.now.steady.minus(since.signals)).await?,
        intents: bodies(&mut tx, "intent", INTENTS, group, past).await?,
        known: bodies(&mut tx, "known", KNOWN, group, past).await?,
        all_frozen: all_frozen(&mut tx).await?,
    })
}

pub(super) async fn freezes(readers: &SqlitePool, group: &GroupName) -> Result<Freezes, Fault> {
    let mut tx = readers.begin().await?;
    let own = state(&mut tx, group).await?.and_then(|state| state.freeze);
    Ok(Freezes { own, all: all_frozen(&mut tx).await? })
}

async fn all_frozen(conn: &mut SqliteConnection) -> Result<Option<Freeze>, Fault> {
    let body: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT CAST(all_frozen AS BLOB) FROM controller")
            .fetch_one(conn)
            .await?;
    Ok(body.map(|body| row::read("controller", "1", &body)).transpose()?)
}

/// The project that the state belongs to, if it belongs to one yet.
pub(super) async fn project(conn: &mut SqliteConnection) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT project FROM controller").fetch_one(conn).await?)
}

const STATE: &str = "SELECT CAST(body AS BLOB) FROM group_state WHERE group_name = ?";
const MEMORY: &str = "SELECT CAST(body AS BLOB) FROM memory WHERE group_name = ?";
const INTENTS: &str =
    "SELECT CAST(id AS BLOB), CAST(body AS BLOB) FROM intent WHERE group_name = ?1
     AND (state <> 'closed' OR ended >= ?2) ORDER BY opened, id";
const KNOWN: &str =
    "SELECT CAST(server AS BLOB), CAST(body AS BLOB) FROM known WHERE group_name = ?1
     AND (ended IS NULL OR ended >= ?2) ORDER BY server";

pub(super) async fn state(
    conn: &mut SqliteConnection,
    group: &GroupName,
) -> Result<Option<GroupState>, Fault> {
    body(conn, "group_state", STATE, group).await
}

/// The value of the group's one row.
async fn body<T: DeserializeOwned>(
    conn: &mut SqliteConnection,
    table: &str,
    sql: &'static str,
    group: &GroupName,
) -> Result<Option<T>, Fault> {
    let body: Option<Vec<u8>> =
        sqlx::query_scalar(sql).bind(group.as_str()).fetch_optional(conn).await?;
    Ok(body.map(|body| row::read(table, group.as_str(), &body)).transpose()?)
}

/// The values of the group's rows, by the key that stands first in each.
async fn bodies<T: DeserializeOwned>(
    conn: &mut SqliteConnection,
    table: &str,
    sql: &'static str,
    group: &GroupName,
    bound: i64,
) -> Result<Vec<T>, Fault> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as(sql).bind(group.as_str()).bind(bound).fetch_all(conn).await?;
    let read = |(key, body): &(Vec<u8>, Vec<u8>)| row::read(table, &lossy(key), body);
    rows.iter().map(|row| Ok(read(row)?)).collect()
}

/// A key as it is shown: what is damaged may be no text.
fn lossy(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(key)
}

/// Server, measured at, value, received by both clocks.
pub(super) type SampleRow = (Vec<u8>, i64, f64, i64, i64);

/// The same after the signal's name.
type NamedRow = (Vec<u8>, Vec<u8>, i64, f64, i64, i64);

/// The newest of each name and server, in order of both.
async fn samples(
    conn: &mut SqliteConnection,
    group: &GroupName,
    since: Steady,
) -> Result<Vec<Sample>, Fault> {
    let arrived = arrivals::of(conn, group).await?;
    if arrived.is_empty() {
        return newest(conn, group, since).await;
    }
    let left: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT CAST(server AS BLOB) FROM known WHERE group_name = ? AND ended IS NOT NULL",
    )
    .bind(group.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let left: BTreeSet<Vec<u8>> = left.into_iter().collect();
    let key = |sample: &Sample| (sample.name.clone(), sample.server.clone());
    let all = merged(newest(conn, group, Steady(0)).await?, arrived, (key, keep::newer));
    let stays = |server: &ServerId| !left.contains(server.as_str().as_bytes());
    let counts = |s: &Sample| s.received.steady >= since && s.server.as_ref().is_none_or(stays);
    let mut samples: Vec<Sample> = all.filter(counts).collect();
    samples.sort_unstable_by(|a, b| (&a.name, &a.server).cmp(&(&b.name, &b.server)));
    Ok(samples)
}

/// Rows, and what is to stand in them: of two with one key the later one counts if it `wins`.
fn merged<K: Hash + Eq>(
    rows: Vec<Sample>,
    arrived: Vec<Sample>,
    (key, wins): (impl Fn(&Sample) -> K, fn(&Sample, &Sample) -> bool),
) -> impl Iterator<Item = Sample> {
    let mut all: HashMap<K, Sample> = rows.into_iter().map(|row| (key(&row), row)).collect();
    for sample in arrived {
        match all.entry(key(&sample)) {
            Entry::Occupied(held) if !wins(&sample, held.get()) => {}
            Entry::Occupied(mut held) => {
                held.insert(sample);
            }
            Entry::Vacant(place) => {
                place.insert(sample);
            }
        }
    }
    all.into_values()
}

async fn newest(
    conn: &mut SqliteConnection,
    group: &GroupName,
    since: Steady,
) -> Result<Vec<Sample>, Fault> {
    let rows: Vec<NamedRow> = sqlx::query_as(
        "SELECT CAST(name AS BLOB), CAST(server AS BLOB), at_wall, value, received_wall, received
         FROM signal JOIN newest ON signal = id
         WHERE group_name = ?1 AND received >= ?2
         AND NOT EXISTS (SELECT 1 FROM known WHERE known.group_name = ?1
             AND known.server = newest.server AND known.ended IS NOT NULL)
         ORDER BY name, server",
    )
    .bind(group.as_str())
    .bind(column(since))
    .fetch_all(conn)
    .await?;
    let mut samples = Vec::with_capacity(rows.len());
    let mut named: Option<(Vec<u8>, SignalName)> = None;
    for (name, server, at, value, wall, received) in rows {
        let name = match named.take() {
            Some(same) if same.0 == name => same,
            _ => (name.clone(), signal_name(group, &name)?),
        };
        let row = (server, at, value, wall, received);
        samples.push(sample_of("newest", (group, &name.1), row)?);
        named = Some(name);
    }
    Ok(samples)
}

fn signal_name(group: &GroupName, name: &[u8]) -> Result<SignalName, Fault> {
    let name = lossy(name);
    let poison = |why: String| row::corrupt("signal", &format!("{group} {name}"), &why);
    SignalName::new(&*name).map_err(|e| poison(e.to_string()).into())
}

/// All that are kept of it, in order of measuring.
pub(super) async fn history(
    readers: &SqlitePool,
    group: &GroupName,
    name: &SignalName,
    since: Steady,
) -> Result<Vec<Sample>, Fault> {
    let mut tx = readers.begin().await?;
    let mut arrived = arrivals::of(&mut tx, group).await?;
    arrived.retain(|sample| sample.name == *name);
    if arrived.is_empty() {
        return window(&mut tx, (group, name), since).await;
    }
    let key = |sample: &Sample| (sample.at, sample.server.clone());
    let rows = window(&mut tx, (group, name), Steady(0)).await?;
    let mut all: Vec<Sample> = merged(rows, arrived, (key, keep::adds)).collect();
    all.sort_unstable_by(|a, b| (a.at, &a.server).cmp(&(b.at, &b.server)));
    let beyond = all.len().saturating_sub(keep::SAMPLES_MOST as usize);
    Ok(all.into_iter().skip(beyond).filter(|s| s.received.steady >= since).collect())
}

async fn window(
    conn: &mut SqliteConnection,
    (group, name): (&GroupName, &SignalName),
    since: Steady,
) -> Result<Vec<Sample>, Fault> {
    let rows: Vec<SampleRow> = sqlx::query_as(
        "SELECT CAST(server AS BLOB), at_wall, value, received_wall, received
         FROM sample
         WHERE signal = (SELECT id FROM signal WHERE group_name = ? AND name = ?)
         AND received >= ? ORDER BY at_wall, server",
    )
    .bind(group.as_str())
    .bind(name.as_str())
    .bind(column(since))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| sample_of("sample", (group, name), row)).collect()
}

/// The sample of a row of that table.
pub(super) fn sample_of(
    table: &str,
    (group, name): (&GroupName, &SignalName),
    (server, at, value, wall, received): SampleRow,
) -> Result<Sample, Fault> {
    let server = lossy(&server);
    let poison = |why: String| row::corrupt(table, &format!("{group} {name} {server}"), &why);
    Ok(Sample {
        name: name.clone(),
        value: Value::new(value).map_err(|e| poison(e.to_string()))?,
        at: Wall(at),
        received: Now { wall: Wall(wall), steady: row::steady(received) },
        server: match &*server {
            "" => None,
            id => Some(ServerId::new(id).map_err(|e| poison(e.to_string()))?),
        },
    })
}

pub(super) async fn decisions(
    readers: &SqlitePool,
    group: &GroupName,
    limit: u32,
) -> Result<Vec<Decision>, Fault> {
    let mut conn = readers.acquire().await?;
    let sql = "SELECT CAST(body AS BLOB) FROM decision WHERE group_name = ?1
         ORDER BY seq DESC LIMIT ?2";
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar(sql)
        .bind(group.as_str())
        .bind(i64::from(limit))
        .fetch_all(&mut *conn)
        .await?;
    // For people alone, and nothing is decided by them: one that cannot be read hides no other.
    Ok(bodies.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect())
}

pub(super) async fn orders(
    readers: &SqlitePool,
    group: &GroupName,
    limit: u32,
) -> Result<Vec<Ordered>, Fault> {
    let mut conn = readers.acquire().await?;
    let sql = "SELECT CAST(seq AS BLOB), CAST(body AS BLOB) FROM command WHERE group_name = ?1
         ORDER BY seq DESC LIMIT ?2";
    bodies(&mut conn, "command", sql, group, i64::from(limit)).await
}

/// Every group that anything is stored of.
pub(super) async fn groups(readers: &SqlitePool) -> Result<Vec<GroupName>, Fault> {
    let names: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT CAST(group_name AS BLOB) FROM group_state ORDER BY group_name")
            .fetch_all(readers)
            .await?;
    // A name that is none belongs to no group that could be configured: left alone.
    Ok(names.iter().filter_map(|name| GroupName::new(lossy(name)).ok()).collect())
}

pub(super) async fn origin(readers: &SqlitePool) -> Result<Origin, Fault> {
    let (install, wall, steady): (String, Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT install, wall, steady FROM controller").fetch_one(readers).await?;
    let install = InstallId::new(install.as_str());
    let install = install.map_err(|e| row::corrupt("controller", "1", &e.to_string()))?;
    let marked = wall.zip(steady);
    let marked = marked.map(|(wall, steady)| Now { wall: Wall(wall), steady: row::steady(steady) });
    Ok(Origin { install, marked })
}
