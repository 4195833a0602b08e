//! A flood of samples, kept as it came.
//!
//! A row for each sample, and one for what is newest of its server, cost more than anything else
//! that is done for it; and in a flood most of these rows are written over or dropped a moment
//! later. So a transaction of many samples keeps them as one text, which makes them durable, and their
//! rows are written a few at a time afterwards ([`super::samples`]). Until then whoever reads samples
//! reads these texts as well, and a start, or the end of a transaction whose fate nobody knows, goes on
//! from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;

use super::fault::Fault;
use crate::domain::id::{GroupName, ServerId, SignalName};
use crate::domain::signal::{Sample, Value};
use crate::domain::time::{Now, Steady, Wall};
use crate::store::{StoreError, row};

/// Samples of one name that were received at the same time.
#[derive(Serialize, Deserialize)]
struct Part {
    name: SignalName,
    /// When, by both clocks.
    wall: i64,
    steady: Steady,
    /// How long before it was received each was measured, in milliseconds; its value; its server.
    samples: Vec<(i64, Value, Option<ServerId>)>,
}

/// What a transaction takes in, as it will be kept.
#[derive(Default)]
pub(super) struct Arrivals {
    of: BTreeMap<GroupName, Vec<Part>>,
    pub(super) samples: usize,
}

impl Arrivals {
    pub(super) fn add(&mut self, group: &GroupName, sample: &Sample) {
        let parts = self.of.entry(group.clone()).or_default();
        let Now { wall, steady } = sample.received;
        let fits = |part: &&mut Part| {
            (part.steady, part.wall) == (steady, wall.0) && part.name == sample.name
        };
        let one = (wall.0.wrapping_sub(sample.at.0), sample.value, sample.server.clone());
        match parts.last_mut().filter(fits) {
            Some(part) => part.samples.push(one),
            None => parts.push(Part {
                name: sample.name.clone(),
                wall: wall.0,
                steady,
                samples: vec![one],
            }),
        }
        self.samples += 1;
    }

    /// Makes a row of each group's; their numbers.
    pub(super) async fn write(self, conn: &mut SqliteConnection) -> Result<Vec<i64>, sqlx::Error> {
        let mut seqs = Vec::new();
        for (group, parts) in self.of {
            let body = serde_json::to_string(&parts);
            let body = body.map_err(|error| sqlx::Error::Encode(error.into()))?;
            let insert = "INSERT INTO arrival (group_name, body) VALUES (?, ?) RETURNING seq";
            let row = sqlx::query_scalar(insert).bind(group.as_str()).bind(body);
            seqs.push(row.fetch_one(&mut *conn).await?);
        }
        Ok(seqs)
    }
}

/// One text that is kept.
pub(super) struct Arrival {
    pub(super) seq: i64,
    pub(super) group: GroupName,
    pub(super) samples: Vec<Sample>,
}

type Row = (i64, Vec<u8>, Vec<u8>);

const ALL: &str =
    "SELECT seq, ifnull(CAST(group_name AS BLOB), x''), ifnull(CAST(body AS BLOB), x'')
    FROM arrival ORDER BY seq";
const OF: &str = "SELECT seq, CAST(group_name AS BLOB), ifnull(CAST(body AS BLOB), x'')
    FROM arrival WHERE group_name = ? ORDER BY seq";

/// All that are kept. One that cannot be read is left where it is: it stops its group, not the
/// others.
pub(super) async fn all(conn: &mut SqliteConnection) -> Result<Vec<Arrival>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(conn).await?;
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

/// The group's samples in them, in the order in which they came.
pub(super) async fn of(
    conn: &mut SqliteConnection,
    group: &GroupName,
) -> Result<Vec<Sample>, Fault> {
    let rows: Vec<Row> = sqlx::query_as(OF).bind(group.as_str()).fetch_all(conn).await?;
    let mut samples = Vec::new();
    for row in &rows {
        samples.append(&mut read(row)?.samples);
    }
    Ok(samples)
}

/// Drops those whose samples all stand in their rows.
pub(super) async fn drop(conn: &mut SqliteConnection, seqs: &[i64]) -> Result<(), sqlx::Error> {
    for seq in seqs {
        sqlx::query("DELETE FROM arrival WHERE seq = ?").bind(seq).execute(&mut *conn).await?;
    }
    Ok(())
}

fn read((seq, group, body): &Row) -> Result<Arrival, StoreError> {
    let corrupt = |why: String| row::corrupt("arrival", &seq.to_string(), &why);
    let group = GroupName::new(String::from_utf8_lossy(group));
    let group = group.map_err(|error| corrupt(error.to_string()))?;
    let parts: Vec<Part> = row::read("arrival", &seq.to_string(), body)?;
    let mut samples = Vec::new();
    for Part { name, wall, steady, samples: of_part } in parts {
        let wall = Wall(wall);
        samples.extend(of_part.into_iter().map(|(before, value, server)| Sample {
            name: name.clone(),
            value,
            at: Wall(wall.0.wrapping_sub(before)),
            received: Now { wall, steady },
            server,
        }));
    }
    Ok(Arrival { seq: *seq, group, samples })
}
