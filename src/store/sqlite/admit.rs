//! What senders send: idempotency keys, samples, commands.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use super::gather;
use super::writer::{Tx, Write};
use crate::domain::group::GroupState;
use crate::domain::id::{GroupName, ServerId};
use crate::domain::signal::{self, Ordered, Sample};
use crate::domain::time::{Now, Steady};
use crate::store::row::{self, column};
use crate::store::{Admit, Admitted, IdempotencyKey, Identified, StoreError, What, keep};

#[async_trait]
impl Write for Admit {
    type Out = Admitted;

    fn trying(&self) -> String {
        match &self.what {
            What::Samples(..) => format!("keep signals of the group {}", self.group),
            What::Command(..) => format!("keep a command for the group {}", self.group),
        }
    }

    fn word(&self) -> &'static str {
        "admit"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<Admitted, Fault> {
        let state = gather::state(tx.conn, &self.group).await?;
        if let Some(key) = &self.key {
            if repeated(tx.conn, &self.group, key, self.at).await? {
                return Ok(Admitted::Repeated { state: state.unwrap_or_default() });
            }
            put_key(tx, &self.group, key, self.at).await?;
        }
        tx.wrote(self.at);
        if state.is_none() {
            put_state(tx, &self.group, &GroupState::default()).await?;
        }
        let mut state = state.unwrap_or_default();
        let mut fresh = 0;
        match &self.what {
            What::Samples(samples, read) => {
                let room = keep::Room { group: &self.group, read };
                for sample in samples {
                    fresh += u32::from(put_sample(tx, &room, sample, self.at).await?);
                }
            }
            What::Command(order, bounds) => {
                let next = signal::apply(&state, order, *bounds).map_err(StoreError::Command)?;
                put_state(tx, &self.group, &next).await?;
                if order.command.journaled() {
                    put_order(tx, &self.group, order).await?;
                }
                fresh = u32::from(signal::news(&state, &next, order));
                state = next;
            }
        }
        Ok(Admitted::Stored { fresh, state })
    }
}

/// Whether the key came before with the same request.
pub(super) async fn repeated(
    conn: &mut SqliteConnection,
    group: &GroupName,
    key: &IdempotencyKey,
    now: Now,
) -> Result<bool, Fault> {
    let held: Option<(Vec<u8>, i64)> =
        sqlx::query_as("SELECT digest, at FROM idempotency_key WHERE group_name = ? AND key = ?")
            .bind(group.as_str())
            .bind(&key.key)
            .fetch_optional(conn)
            .await?;
    match held {
        Some((digest, at)) if !keep::expired(row::steady(at), keep::KEYS, now) => {
            if digest == key.digest { Ok(true) } else { Err(StoreError::KeyReused.into()) }
        }
        _ => Ok(false),
    }
}

async fn put_key(
    tx: &mut Tx<'_>,
    group: &GroupName,
    key: &IdempotencyKey,
    now: Now,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO idempotency_key (group_name, key, digest, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (group_name, key) DO UPDATE SET digest = ?3, at = ?4",
    )
    .bind(group.as_str())
    .bind(&key.key)
    .bind(key.digest.as_slice())
    .bind(column(now.steady))
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

/// Keeps one sample; whether it was not known before.
async fn put_sample(
    tx: &mut Tx<'_>,
    room: &keep::Room<'_>,
    identified: &Identified,
    now: Now,
) -> Result<bool, Fault> {
    let group = room.group;
    if let Some(id) = &identified.id
        && !new_id(tx, group, id, now).await?
    {
        return Ok(false);
    }
    let full = make_room(tx, room, &identified.sample).await?;
    if !put_measurement(tx, group, &identified.sample).await? {
        return Ok(false);
    }
    put_newest(tx, group, &identified.sample).await?;
    if full {
        drop_oldest(tx, group, &identified.sample).await?;
    }
    Ok(true)
}

async fn new_id(tx: &mut Tx<'_>, group: &GroupName, id: &str, now: Now) -> Result<bool, Fault> {
    let put = sqlx::query(
        "INSERT INTO sample_id (group_name, id, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (group_name, id) DO UPDATE SET at = ?3 WHERE ?3 - at > ?4",
    )
    .bind(group.as_str())
    .bind(id)
    .bind(column(now.steady))
    .bind(column(Steady(0).plus(keep::KEYS)))
    .execute(&mut *tx.conn)
    .await?;
    Ok(put.rows_affected() > 0)
}

/// Refuses a name or a server too many. Whether as many samples of the name are kept as
/// may be.
async fn make_room(tx: &mut Tx<'_>, room: &keep::Room<'_>, sample: &Sample) -> Result<bool, Fault> {
    let (kept, servers, known): (Option<i64>, Option<i64>, bool) = sqlx::query_as(
        "SELECT (SELECT kept FROM signal WHERE group_name = ?1 AND name = ?2),
                (SELECT servers FROM signal WHERE group_name = ?1 AND name = ?2),
                EXISTS (SELECT 1 FROM newest WHERE group_name = ?1 AND name = ?2 AND server = ?3)",
    )
    .bind(room.group.as_str())
    .bind(sample.name.as_str())
    .bind(server(sample))
    .fetch_one(&mut *tx.conn)
    .await?;
    if !known {
        let (names, all) = in_use(tx, room.group).await?;
        if kept.is_none() {
            room.for_name(sample, names)?;
            put_name(tx, room.group, sample).await?;
        }
        room.for_series(sample, keep::Series { all, of_name: number(servers.unwrap_or(0)) })?;
    }
    Ok(kept.is_some_and(|kept| kept >= i64::from(keep::SAMPLES_MOST)))
}

/// How many names the group has, and how many pairs of name and server.
async fn in_use(tx: &mut Tx<'_>, group: &GroupName) -> Result<(usize, usize), Fault> {
    let (names, series): (i64, i64) =
        sqlx::query_as("SELECT count(*), ifnull(sum(servers), 0) FROM signal WHERE group_name = ?")
            .bind(group.as_str())
            .fetch_one(&mut *tx.conn)
            .await?;
    Ok((number(names), number(series)))
}

fn number(column: i64) -> usize {
    usize::try_from(column).unwrap_or(0)
}

async fn put_name(tx: &mut Tx<'_>, group: &GroupName, sample: &Sample) -> Result<(), Fault> {
    sqlx::query("INSERT INTO signal (group_name, name) VALUES (?, ?)")
        .bind(group.as_str())
        .bind(sample.name.as_str())
        .execute(&mut *tx.conn)
        .await?;
    Ok(())
}

fn server(sample: &Sample) -> &str {
    sample.server.as_ref().map_or("", ServerId::as_str)
}

/// Adds to the window, by the rule of [`keep::adds`]; whether it was not there.
async fn put_measurement(
    tx: &mut Tx<'_>,
    group: &GroupName,
    sample: &Sample,
) -> Result<bool, Fault> {
    put(
        tx,
        "INSERT INTO sample (group_name, name, server, at_wall, value, received_wall, received)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (group_name, name, at_wall, server) DO UPDATE
         SET value = ?5, received_wall = ?6, received = ?7
         WHERE CASE WHEN abs(?7 - ?6 - received + received_wall) < ?8
                    THEN ?5 > value
                    ELSE ?7 - ?6 > received - received_wall END",
        group,
        sample,
    )
    .await
}

/// By the order of [`keep::newer`].
async fn put_newest(tx: &mut Tx<'_>, group: &GroupName, sample: &Sample) -> Result<bool, Fault> {
    put(
        tx,
        "INSERT INTO newest (group_name, name, server, at_wall, value, received_wall, received)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (group_name, name, server) DO UPDATE
         SET at_wall = ?4, value = ?5, received_wall = ?6, received = ?7
         WHERE CASE WHEN ?4 = at_wall AND abs(?7 - ?6 - received + received_wall) < ?8
                    THEN (?5, -?7, -?6) > (value, -received, -received_wall)
                    ELSE (?7 - ?6 + ?4, ?5, -?7, -?6)
                         > (received - received_wall + at_wall, value, -received, -received_wall)
                    END",
        group,
        sample,
    )
    .await
}

async fn put(
    tx: &mut Tx<'_>,
    sql: &'static str,
    group: &GroupName,
    sample: &Sample,
) -> Result<bool, Fault> {
    let put = sqlx::query(sql)
        .bind(group.as_str())
        .bind(sample.name.as_str())
        .bind(server(sample))
        .bind(sample.at.0)
        .bind(sample.value.get())
        .bind(sample.received.wall.0)
        .bind(column(sample.received.steady))
        .bind(column(Steady(keep::SAME_WITHIN_MS)))
        .execute(&mut *tx.conn)
        .await?;
    Ok(put.rows_affected() > 0)
}

async fn drop_oldest(tx: &mut Tx<'_>, group: &GroupName, sample: &Sample) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM sample WHERE rowid IN (
             SELECT rowid FROM sample WHERE group_name = ?1 AND name = ?2
             ORDER BY at_wall, server
             LIMIT max(0, (SELECT kept FROM signal WHERE group_name = ?1 AND name = ?2) - ?3))",
    )
    .bind(group.as_str())
    .bind(sample.name.as_str())
    .bind(i64::from(keep::SAMPLES_MOST))
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

pub(super) async fn put_state(
    tx: &mut Tx<'_>,
    group: &GroupName,
    state: &GroupState,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO group_state (group_name, body) VALUES (?1, ?2)
         ON CONFLICT (group_name) DO UPDATE SET body = ?2",
    )
    .bind(group.as_str())
    .bind(row::text("group_state", state)?)
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

async fn put_order(tx: &mut Tx<'_>, group: &GroupName, order: &Ordered) -> Result<(), Fault> {
    sqlx::query("INSERT INTO command (group_name, at, body) VALUES (?, ?, ?)")
        .bind(group.as_str())
        .bind(column(order.at.steady))
        .bind(row::text("command", order)?)
        .execute(&mut *tx.conn)
        .await?;
    Ok(())
}
