//! Retention: one group at a time, a bounded number of rows at a time, so that a sweep
//! never holds up a signal for long.

use std::time::Duration;

use async_trait::async_trait;

use super::fault::Fault;
use super::rows;
use super::tx::Tx;
use super::writer::{Footing, Write};
use crate::domain::id::GroupName;
use crate::domain::time::Now;
use crate::store::keep;
use crate::store::row::column;

/// What one group need not keep any more at this time.
pub(super) struct Sweep {
    group: GroupName,
    now: Now,
    /// Signals up to this number were swept in rounds before.
    after: i64,
}

/// How far it came.
pub(super) struct Swept {
    pub(super) rows: u64,
    /// Another round is needed, from the signal after this one on.
    pub(super) more: Option<i64>,
}

/// The most rows that one statement removes: some milliseconds of work.
const ROUND: u32 = 2_000;

/// So many samples are looked through in a round: as much work again.
const LOOKED_MOST: i64 = 20_000;

/// Rows that go: `?1` is the group; of the rest each takes what it needs: `?2` the time
/// before which a row is too old, `?3` how many of the newest stay whatever their age,
/// `?4` how many rows go at most.
struct Rule {
    sql: &'static str,
    older_than: Duration,
    beyond: u32,
}

const fn aged(sql: &'static str, older_than: Duration) -> Rule {
    Rule { sql, older_than, beyond: 0 }
}

const fn counted(sql: &'static str, beyond: u32) -> Rule {
    Rule { sql, older_than: Duration::ZERO, beyond }
}

#[rustfmt::skip]
const RULES: [Rule; 15] = [
    aged("DELETE FROM decision WHERE rowid IN (SELECT rowid FROM decision
        WHERE group_name = ?1 AND at < ?2 LIMIT ?4)", keep::DECISIONS),
    counted("DELETE FROM decision WHERE rowid IN (SELECT rowid FROM decision
        WHERE group_name = ?1 ORDER BY seq DESC LIMIT ?4 OFFSET ?3)", keep::DECISIONS_MOST),
    aged("DELETE FROM intent WHERE rowid IN (SELECT rowid FROM intent
        WHERE group_name = ?1 AND state IN ('closed', 'abandoned') AND ended < ?2 LIMIT ?4)",
        keep::INTENTS),
    counted("DELETE FROM intent WHERE rowid IN (SELECT rowid FROM intent
        WHERE group_name = ?1 AND state = 'closed' ORDER BY ended DESC LIMIT ?4 OFFSET ?3)",
        keep::INTENTS_MOST),
    aged("DELETE FROM known WHERE rowid IN (SELECT rowid FROM known
        WHERE group_name = ?1 AND ended < ?2 LIMIT ?4)", keep::KNOWN),
    counted("DELETE FROM known WHERE rowid IN (SELECT rowid FROM known
        WHERE group_name = ?1 AND ended >= 0 ORDER BY ended DESC LIMIT ?4 OFFSET ?3)",
        keep::KNOWN_MOST),
    aged("DELETE FROM command WHERE rowid IN (SELECT rowid FROM command
        WHERE group_name = ?1 AND at < ?2 LIMIT ?4)", keep::COMMANDS),
    counted("DELETE FROM command WHERE rowid IN (SELECT rowid FROM command
        WHERE group_name = ?1 ORDER BY at DESC, seq DESC LIMIT ?4 OFFSET ?3)",
        keep::COMMANDS_MOST),
    aged("DELETE FROM idempotency_key WHERE rowid IN (SELECT rowid FROM idempotency_key
        WHERE group_name = ?1 AND at < ?2 LIMIT ?4)", keep::KEYS),
    surplus("DELETE FROM idempotency_key WHERE rowid IN (SELECT rowid FROM idempotency_key
        WHERE group_name = ?1 AND at < ?2 ORDER BY at DESC LIMIT ?4 OFFSET
            max(0, ?3 - (SELECT count(*) FROM idempotency_key WHERE group_name = ?1 AND at >= ?2)))"),
    aged("DELETE FROM sample_id WHERE rowid IN (SELECT rowid FROM sample_id
        WHERE group_name = ?1 AND at < ?2 LIMIT ?4)", keep::KEYS),
    surplus("DELETE FROM sample_id WHERE rowid IN (SELECT rowid FROM sample_id
        WHERE group_name = ?1 AND at < ?2 ORDER BY at DESC LIMIT ?4 OFFSET
            max(0, ?3 - (SELECT count(*) FROM sample_id WHERE group_name = ?1 AND at >= ?2)))"),
    aged("DELETE FROM newest WHERE (signal, server) IN (
        SELECT signal, server FROM newest JOIN signal ON id = signal
        WHERE group_name = ?1 AND received < ?2 AND server NOT IN (
            SELECT server FROM known WHERE group_name = ?1 AND ended IS NULL) LIMIT ?4)",
        keep::NEWEST),
    aged("DELETE FROM newest WHERE (signal, server) IN (
        SELECT signal, server FROM newest JOIN signal ON id = signal
        WHERE group_name = ?1 AND server IN (
            SELECT server FROM known WHERE group_name = ?1 AND ended < ?2) LIMIT ?4)",
        keep::NEWEST_LEFT),
    // A name that nothing is kept of is free again.
    counted("DELETE FROM signal WHERE group_name = ?1
        AND NOT EXISTS (SELECT 1 FROM sample WHERE signal = id)
        AND NOT EXISTS (SELECT 1 FROM newest WHERE signal = id)", 0),
];

/// Keys beyond their number, but none that a sender may still rely on.
const fn surplus(sql: &'static str) -> Rule {
    Rule { sql, older_than: keep::KEYS_LEAST, beyond: keep::KEYS_MOST }
}

impl Sweep {
    pub(super) fn of(group: GroupName, now: Now, after: i64) -> Self {
        Self { group, now, after }
    }

    /// Of some signals each sample that came too long ago. They stand in order of measuring, so
    /// that a signal is looked through as a whole.
    async fn samples(&self, tx: &mut Tx<'_>) -> Result<Swept, Fault> {
        let mut swept = Swept { rows: 0, more: None };
        let (mut after, mut looked) = (self.after, 0);
        for (id, kept) in rows::signals(tx.conn, &self.group, self.after).await? {
            if looked >= LOOKED_MOST {
                swept.more = Some(after);
                break;
            }
            let received = self.now.steady.minus(keep::SAMPLES);
            swept.rows += rows::drop_received_before(tx.conn, id, received).await?;
            (after, looked) = (id, looked + kept.max(0));
        }
        Ok(swept)
    }
}

#[async_trait]
impl Write for Sweep {
    type Out = Swept;

    fn trying(&self) -> String {
        format!("remove what is too old of the group {}", self.group)
    }

    fn word(&self) -> &'static str {
        "sweep"
    }

    fn footing(&self) -> Footing {
        Footing::Written
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<Swept, Fault> {
        let mut swept = self.samples(tx).await?;
        for rule in &RULES {
            let gone = sqlx::query(rule.sql)
                .bind(self.group.as_str())
                .bind(column(self.now.steady.minus(rule.older_than)))
                .bind(i64::from(rule.beyond))
                .bind(i64::from(ROUND))
                .execute(&mut *tx.conn)
                .await?
                .rows_affected();
            swept.rows += gone;
            if gone >= u64::from(ROUND) {
                swept.more = swept.more.or(Some(self.after));
            }
        }
        Ok(swept)
    }
}
