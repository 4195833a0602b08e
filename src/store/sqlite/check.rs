//! Whether the columns that queries look at say what the rows' texts say.
//!
//! A row that cannot be read stops its group when it is read. A column that says something else
//! than its row does worse: it hides a launch under way, a server that stands or a base that was
//! set, and nobody would miss it. So this is looked at before anything rests on it.

use sqlx::sqlite::SqliteConnection;

use super::dir::Home;
use super::fault::told;
use crate::domain::intent::Intent;
use crate::domain::server::Known;
use crate::store::StoreError;
use crate::store::row::{self, column};

/// Rows whose group has no state: every group that anything is stored of has a row there.
const STRAYS: &str = "
    WITH named (part, name) AS (
        SELECT 'memory', group_name FROM memory UNION ALL
        SELECT 'command', group_name FROM command UNION ALL
        SELECT 'intent', group_name FROM intent UNION ALL
        SELECT 'known', group_name FROM known UNION ALL
        SELECT 'arrival', group_name FROM arrival UNION ALL
        SELECT 'decision', group_name FROM decision)
    SELECT part, CAST(name AS BLOB) FROM named
    WHERE name NOT IN (SELECT group_name FROM group_state) LIMIT 1";

/// Samples of a signal that is not there. Both tables stand in order of the signals, so that each
/// number is looked up once, however many samples it has.
const ORPHANS: &str = "
    WITH RECURSIVE
        kept (id) AS (SELECT min(signal) FROM sample UNION ALL
            SELECT (SELECT min(signal) FROM sample WHERE signal > kept.id)
            FROM kept WHERE kept.id IS NOT NULL),
        newer (id) AS (SELECT min(signal) FROM newest UNION ALL
            SELECT (SELECT min(signal) FROM newest WHERE signal > newer.id)
            FROM newer WHERE newer.id IS NOT NULL),
        named (part, id) AS (
            SELECT 'sample', id FROM kept UNION ALL SELECT 'newest', id FROM newer)
    SELECT part, id FROM named
    WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM signal) LIMIT 1";

/// Id, group, state, opened, ended, body.
type IntentRow = (Vec<u8>, Vec<u8>, Vec<u8>, i64, Option<i64>, Vec<u8>);

/// Server, ended, body.
type KnownRow = (Vec<u8>, Option<i64>, Vec<u8>);

pub(super) async fn check(conn: &mut SqliteConnection, home: &Home) -> Result<(), StoreError> {
    let said = match contradiction(conn).await {
        Ok(None) => return Ok(()),
        Ok(Some(said)) => said,
        Err(error) => return Err(told("check the rows of the state", home, &error)),
    };
    Err(StoreError::Corrupt(format!(
        "{}: {said}. The state was changed from outside, or damaged: put back a backup of the \
         state directory, or mend the row with `sqlite3`",
        home.database().display()
    )))
}

async fn contradiction(conn: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let stray: Option<(String, Vec<u8>)> =
        sqlx::query_as(STRAYS).fetch_optional(&mut *conn).await?;
    if let Some((table, group)) = stray {
        let group = String::from_utf8_lossy(&group);
        return Ok(Some(format!(
            "the table {table} has rows of the group {group:?}, of which the table group_state \
             has none"
        )));
    }
    let orphan: Option<(String, i64)> = sqlx::query_as(ORPHANS).fetch_optional(&mut *conn).await?;
    if let Some((table, signal)) = orphan {
        return Ok(Some(format!(
            "the table {table} has rows of the signal {signal}, of which the table signal has none"
        )));
    }
    let intents: Vec<IntentRow> = sqlx::query_as(
        "SELECT CAST(id AS BLOB), CAST(group_name AS BLOB), CAST(state AS BLOB), opened, ended,
             CAST(body AS BLOB) FROM intent",
    )
    .fetch_all(&mut *conn)
    .await?;
    if let Some((id, ..)) = intents.iter().find(|row| contradicts(row)) {
        return Ok(Some(differs("intent", id)));
    }
    let known: Vec<KnownRow> =
        sqlx::query_as("SELECT CAST(server AS BLOB), ended, CAST(body AS BLOB) FROM known")
            .fetch_all(conn)
            .await?;
    let odd = known.iter().find(|(server, ended, body)| {
        serde_json::from_slice::<Known>(body).is_ok_and(|known| {
            let told = (known.id.as_str().as_bytes(), row::known_ended(&known).map(column));
            told != (server.as_slice(), *ended)
        })
    });
    Ok(odd.map(|(server, ..)| differs("known", server)))
}

/// A text that cannot be read contradicts nothing: it stops its group when it is asked for.
fn contradicts((id, group, state, opened, ended, body): &IntentRow) -> bool {
    serde_json::from_slice::<Intent>(body).is_ok_and(|intent| {
        intent.id.as_str().as_bytes() != id
            || intent.group.as_str().as_bytes() != group
            || row::state_word(&intent.state).as_bytes() != state
            || column(intent.opened.steady) != *opened
            || row::intent_ended(&intent).map(column) != *ended
    })
}

fn differs(table: &str, key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    format!(
        "the row {key} of the table {table} says one thing in its columns and another in its body"
    )
}
