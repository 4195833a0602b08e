//! A transaction: what all its writes share, and what they hand to it to be written once, at its end.

use std::collections::BTreeMap;

use sqlx::Executor as _;
use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use super::gather;
use super::samples::Samples;
use crate::domain::group::GroupState;
use crate::domain::id::GroupName;
use crate::domain::time::Now;
use crate::store::lease::fence;
use crate::store::{StoreError, row};

/// A transaction under way.
pub(super) struct Tx<'c> {
    pub(super) conn: &'c mut SqliteConnection,
    /// What it takes in of samples.
    pub(super) samples: &'c mut Samples,
    /// The states that were read or changed.
    states: BTreeMap<GroupName, State>,
    /// The latest reading of the clocks among its writes.
    pub(super) latest: Option<Now>,
    epoch: u64,
    holder: String,
}

struct State {
    /// None if the group has no row.
    held: Option<GroupState>,
    /// It is to be written.
    changed: bool,
}

impl<'c> Tx<'c> {
    pub(super) async fn begin(
        conn: &'c mut SqliteConnection,
        samples: &'c mut Samples,
    ) -> Result<Self, sqlx::Error> {
        conn.execute("BEGIN IMMEDIATE").await?;
        samples.load(conn).await?;
        let (epoch, holder): (i64, String) =
            sqlx::query_as("SELECT epoch, holder FROM controller").fetch_one(&mut *conn).await?;
        let (states, epoch) = (BTreeMap::new(), epoch.cast_unsigned());
        Ok(Self { conn, samples, states, latest: None, epoch, holder })
    }

    /// Whether a write under this epoch may go on.
    pub(super) fn fence(&self, mine: u64) -> Result<(), StoreError> {
        fence(mine, self.epoch, &self.holder)
    }

    /// The group's state as it will be once the transaction is written; none if it has none.
    pub(super) async fn state(&mut self, group: &GroupName) -> Result<Option<GroupState>, Fault> {
        if let Some(state) = self.states.get(group) {
            return Ok(state.held.clone());
        }
        let held = gather::state(self.conn, group).await?;
        let state = State { held: held.clone(), changed: false };
        self.states.insert(group.clone(), state);
        Ok(held)
    }

    /// Hands over the group's state.
    pub(super) fn put_state(&mut self, group: &GroupName, state: &GroupState) {
        let state = State { held: Some(state.clone()), changed: true };
        self.states.insert(group.clone(), state);
    }

    /// Writes what was handed over, all of it.
    pub(super) async fn write(&mut self) -> Result<(), sqlx::Error> {
        self.write_states().await?;
        self.samples.write(self.conn).await
    }

    async fn write_states(&mut self) -> Result<(), sqlx::Error> {
        for (group, state) in &mut self.states {
            if let Some(held) = state.held.as_ref().filter(|_| state.changed) {
                put_state(self.conn, group, held).await?;
                state.changed = false;
            }
        }
        Ok(())
    }

    /// Something was written at this time; the clocks are noted with the transaction.
    pub(super) fn wrote(&mut self, now: Now) {
        if self.latest.is_none_or(|latest| latest.steady <= now.steady) {
            self.latest = Some(now);
        }
    }

    /// The lease was taken: what follows is judged by the new epoch.
    pub(super) fn taken(&mut self, epoch: u64, holder: &str) {
        (self.epoch, self.holder) = (epoch, holder.to_owned());
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Makes what was handed over durable, and notes the clocks: they go with every write, so that a crash
    /// never sets the steady clock back behind what is stored. They never go back by themselves
    /// either.
    pub(super) async fn end(&mut self) -> Result<(), sqlx::Error> {
        self.write_states().await?;
        self.samples.end(self.conn).await?;
        let Some(now) = self.latest else { return Ok(()) };
        sqlx::query(
            "UPDATE controller SET wall = ?1, steady = ?2 WHERE steady IS NULL OR steady <= ?2",
        )
        .bind(now.wall.0)
        .bind(row::column(now.steady))
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }
}

async fn put_state(
    conn: &mut SqliteConnection,
    group: &GroupName,
    state: &GroupState,
) -> Result<(), sqlx::Error> {
    let body = serde_json::to_string(state).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(
        "INSERT INTO group_state (group_name, body) VALUES (?1, ?2)
         ON CONFLICT (group_name) DO UPDATE SET body = ?2",
    )
    .bind(group.as_str())
    .bind(body)
    .execute(conn)
    .await?;
    Ok(())
}
