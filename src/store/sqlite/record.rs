//! What passes conclude and what became of their calls; the lease and the clocks.

use async_trait::async_trait;

use super::fault::Fault;
use super::gather;
use super::tx::Tx;
use super::writer::Write;
use crate::domain::claim::Memory;
use crate::domain::freeze::Freeze;
use crate::domain::id::GroupName;
use crate::domain::intent::{Intent, State};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Changes, Decision};
use crate::domain::server::Known;
use crate::domain::time::Now;
use crate::store::Lease;
use crate::store::row::{self, Line, column};

/// Takes the lease for this holder.
pub(super) struct Acquire {
    pub(super) holder: String,
}

#[async_trait]
impl Write for Acquire {
    type Out = Lease;

    fn trying(&self) -> String {
        "take the lease".to_owned()
    }

    fn word(&self) -> &'static str {
        "acquire"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<Lease, Fault> {
        let next = tx.epoch().checked_add(1).filter(|next| i64::try_from(*next).is_ok());
        let spent = || row::corrupt("controller", "1", "its epoch cannot be counted up");
        let epoch = next.ok_or_else(spent)?;
        sqlx::query("UPDATE controller SET epoch = ?, holder = ?")
            .bind(epoch.cast_signed())
            .bind(&self.holder)
            .execute(&mut *tx.conn)
            .await?;
        tx.taken(epoch, &self.holder);
        Ok(Lease::granted(epoch))
    }
}

/// A decision with all it changes.
pub(super) struct Record(Decision);

impl Record {
    /// Without what is shown or looked for but not stored.
    pub(super) fn of(decision: &Decision) -> Self {
        let changes = &decision.changes;
        let changes = Changes {
            memory: changes.memory.clone(),
            intents: changes.intents.clone(),
            known: changes.known.clone(),
            adopted: changes.adopted.clone(),
            ..Changes::default()
        };
        Self(Decision { changes, ..row::stored(decision) })
    }
}

#[async_trait]
impl Write for Record {
    type Out = ();

    fn trying(&self) -> String {
        format!("keep a decision for the group {}", self.0.group)
    }

    fn word(&self) -> &'static str {
        let opens = self.0.changes.intents.iter().any(|intent| intent.state == State::Open);
        if opens { "record" } else { "note" }
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let decision = &self.0;
        let last = last_line(tx, &decision.group).await?;
        let known = last.as_ref().and_then(|l| Some((l.decision.as_ref()?, l.again)));
        let line = row::next_line(known, decision);
        if line == Line::Skip && decision.quiet() {
            return Ok(());
        }
        tx.wrote(decision.at);
        let first = last.is_none();
        put_line(tx, decision, line, last.map(|l| l.seq)).await?;
        if let Some(memory) = &decision.changes.memory {
            put_memory(tx, &decision.group, memory).await?;
        }
        for intent in &decision.changes.intents {
            put_intent(tx, intent).await?;
        }
        for known in &decision.changes.known {
            put_known(tx, &decision.group, known).await?;
        }
        end_adoptions(tx, decision).await?;
        if first && tx.state(&decision.group).await?.is_none() {
            tx.put_state(&decision.group, &Default::default());
        }
        Ok(())
    }
}

/// What was ordered meanwhile stays.
async fn end_adoptions(tx: &mut Tx<'_>, decision: &Decision) -> Result<(), Fault> {
    let over = &decision.changes.adopted;
    if over.is_empty() {
        return Ok(());
    }
    let mut state = tx.state(&decision.group).await?.unwrap_or_default();
    state.adoptions = over.leaves(&state.adoptions, decision.at.steady);
    tx.put_state(&decision.group, &state);
    Ok(())
}

struct LastLine {
    seq: i64,
    again: bool,
    /// None if it cannot be read: then the new one counts as different.
    decision: Option<Decision>,
}

async fn last_line(tx: &mut Tx<'_>, group: &GroupName) -> Result<Option<LastLine>, Fault> {
    let last: Option<(i64, bool, Vec<u8>)> = sqlx::query_as(
        "SELECT seq, again, CAST(body AS BLOB) FROM decision WHERE group_name = ? ORDER BY seq DESC LIMIT 1",
    )
    .bind(group.as_str())
    .fetch_optional(&mut *tx.conn)
    .await?;
    Ok(last.map(|(seq, again, body)| LastLine {
        seq,
        again,
        decision: serde_json::from_slice(&body).ok(),
    }))
}

async fn put_line(
    tx: &mut Tx<'_>,
    decision: &Decision,
    line: Line,
    last: Option<i64>,
) -> Result<(), Fault> {
    let (replaced, again) = match line {
        Line::Skip => return Ok(()),
        Line::Replace => (last, true),
        Line::Append { again } => (None, again),
    };
    sqlx::query(
        "INSERT INTO decision (seq, group_name, at, again, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (seq) DO UPDATE SET at = ?3, body = ?5",
    )
    .bind(replaced)
    .bind(decision.group.as_str())
    .bind(column(decision.at.steady))
    .bind(again)
    .bind(row::text("decision", decision)?)
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

async fn put_memory(tx: &mut Tx<'_>, group: &GroupName, memory: &Memory) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO memory (group_name, body) VALUES (?1, ?2)
         ON CONFLICT (group_name) DO UPDATE SET body = ?2",
    )
    .bind(group.as_str())
    .bind(row::text("memory", memory)?)
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

async fn put_intent(tx: &mut Tx<'_>, intent: &Intent) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO intent (id, group_name, state, opened, ended, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET state = ?3, opened = ?4, ended = ?5, body = ?6",
    )
    .bind(intent.id.as_str())
    .bind(intent.group.as_str())
    .bind(row::state_word(&intent.state))
    .bind(column(intent.opened.steady))
    .bind(row::intent_ended(intent).map(column))
    .bind(row::text("intent", intent)?)
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

async fn put_known(tx: &mut Tx<'_>, group: &GroupName, known: &Known) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO known (group_name, server, ended, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (group_name, server) DO UPDATE SET ended = ?3, body = ?4",
    )
    .bind(group.as_str())
    .bind(known.id.as_str())
    .bind(row::known_ended(known).map(column))
    .bind(row::text("known", known)?)
    .execute(&mut *tx.conn)
    .await?;
    Ok(())
}

/// What became of intents' calls.
pub(super) struct Settle {
    pub(super) group: GroupName,
    pub(super) outcomes: Vec<Outcome>,
}

#[async_trait]
impl Write for Settle {
    type Out = ();

    fn trying(&self) -> String {
        format!("keep what became of the calls of the group {}", self.group)
    }

    fn word(&self) -> &'static str {
        "settle"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        for outcome in &self.outcomes {
            let held: Option<Vec<u8>> = sqlx::query_scalar(
                "SELECT CAST(body AS BLOB) FROM intent WHERE id = ? AND group_name = ?",
            )
            .bind(outcome.intent.as_str())
            .bind(self.group.as_str())
            .fetch_optional(&mut *tx.conn)
            .await?;
            let body = held.ok_or_else(|| row::unknown_intent(&self.group, &outcome.intent))?;
            let intent: Intent = row::read("intent", outcome.intent.as_str(), &body)?;
            put_intent(tx, &intent.after(outcome)).await?;
            tx.wrote(outcome.at);
        }
        Ok(())
    }
}

/// Notes the clocks.
pub(super) struct Mark(pub(super) Now);

#[async_trait]
impl Write for Mark {
    type Out = ();

    fn trying(&self) -> String {
        "note the time".to_owned()
    }

    fn word(&self) -> &'static str {
        "mark"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.wrote(self.0);
        Ok(())
    }
}

/// Freezes every group, or lets them go on.
pub(super) struct FreezeAll(pub(super) Option<Freeze>);

#[async_trait]
impl Write for FreezeAll {
    type Out = ();

    fn trying(&self) -> String {
        "keep a freeze of every group".to_owned()
    }

    fn word(&self) -> &'static str {
        "freeze"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let body = self.0.as_ref().map(|freeze| row::text("controller", freeze)).transpose()?;
        sqlx::query("UPDATE controller SET all_frozen = ?")
            .bind(body)
            .execute(&mut *tx.conn)
            .await?;
        Ok(())
    }
}

/// Binds the state to a project, if it belongs to none; the one that it belongs to then.
pub(super) struct Bind(pub(super) String);

#[async_trait]
impl Write for Bind {
    type Out = String;

    fn trying(&self) -> String {
        "note the project of the state".to_owned()
    }

    fn word(&self) -> &'static str {
        "bind"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<String, Fault> {
        sqlx::query("UPDATE controller SET project = ? WHERE project IS NULL")
            .bind(&self.0)
            .execute(&mut *tx.conn)
            .await?;
        Ok(gather::project(tx.conn).await?.unwrap_or_else(|| self.0.clone()))
    }
}

/// A write for its own sake.
pub(super) struct Probe;

#[async_trait]
impl Write for Probe {
    type Out = ();

    fn trying(&self) -> String {
        "write a probe".to_owned()
    }

    fn word(&self) -> &'static str {
        "probe"
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        sqlx::query("UPDATE controller SET probes = probes + 1").execute(&mut *tx.conn).await?;
        Ok(())
    }
}
