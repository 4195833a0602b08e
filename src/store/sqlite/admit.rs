//! What senders send: idempotency keys, samples, commands.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use super::rows;
use super::tx::Tx;
use super::writer::{Footing, Write};
use crate::domain::id::GroupName;
use crate::domain::signal::{self, Ordered, Sample};
use crate::domain::time::Now;
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

    fn footing(&self) -> Footing {
        let writes = match &self.what {
            What::Samples(samples, _) => samples.iter().any(|sample| sample.id.is_some()),
            What::Command(order, _) => order.command.journaled(),
        };
        if writes || self.key.is_some() { Footing::Savepoint } else { Footing::None }
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<Admitted, Fault> {
        let state = tx.state(&self.group).await?;
        if let Some(key) = &self.key {
            if repeated(tx.conn, &self.group, key, self.at).await? {
                return Ok(Admitted::Repeated { state: state.unwrap_or_default() });
            }
            put_key(tx, &self.group, key, self.at).await?;
        }
        let exists = state.is_some();
        let mut state = state.unwrap_or_default();
        let fresh = match &self.what {
            What::Samples(samples, read) => {
                let room = keep::Room { group: &self.group, read };
                let fresh = put_samples(tx, &room, samples, self.at).await?;
                if !exists {
                    tx.put_state(&self.group, &state);
                }
                fresh
            }
            What::Command(order, bounds) => {
                let next = signal::apply(&state, order, *bounds).map_err(StoreError::Command)?;
                if order.command.journaled() {
                    put_order(tx, &self.group, order).await?;
                }
                tx.put_state(&self.group, &next);
                let fresh = u32::from(signal::news(&state, &next, order));
                state = next;
                fresh
            }
        };
        tx.wrote(self.at);
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

/// Keeps the samples, all or none; how many were not known before.
async fn put_samples(
    tx: &mut Tx<'_>,
    room: &keep::Room<'_>,
    samples: &[Identified],
    at: Now,
) -> Result<u32, Fault> {
    let samples = news(tx, room.group, samples, at).await?;
    tx.samples.read(tx.conn, room.group, &samples).await?;
    tx.samples.check(room, &samples)?;
    let put = samples.iter().filter(|sample| tx.samples.put(room.group, sample));
    Ok(u32::try_from(put.count()).unwrap_or(u32::MAX))
}

/// The samples without those whose ids were known before.
async fn news<'a>(
    tx: &mut Tx<'_>,
    group: &GroupName,
    samples: &'a [Identified],
    at: Now,
) -> Result<Vec<&'a Sample>, Fault> {
    let ids: Vec<&str> = samples.iter().filter_map(|sample| sample.id.as_deref()).collect();
    let new = rows::put_ids(tx.conn, group, at.steady, &ids).await?;
    let mut new: BTreeSet<&str> = new.iter().map(String::as_str).collect();
    // An id counts with the first sample that has it.
    let fresh = samples.iter().filter(|s| s.id.as_deref().is_none_or(|id| new.remove(id)));
    Ok(fresh.map(|identified| &identified.sample).collect())
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
