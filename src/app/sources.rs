//! Sources apart from requests: what their senders have to show, read when the configuration is;
//! and what a payload would become, tried without a daemon.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;
use crate::config::secret::SecretEnv;
use crate::config::source::Source;
use crate::domain::alert::AlertTold;
use crate::domain::explain;
use crate::domain::group::Group;
use crate::domain::id::GroupName;
use crate::domain::signal::Sample;
use crate::domain::time::{Now, Steady, Wall};
use crate::http::error::Problem;
use crate::http::source::format::{self, Incoming, samples};
use crate::http::source::keys::Sources;
use crate::http::source::place::{self, Words};
use crate::http::webhook::{alerts, signals};

/// Reads it, and tells what cannot be had.
pub(super) fn read(sources: &[Source]) -> Arc<Sources> {
    let read = Sources::read(sources, &SecretEnv::from_process());
    for keyed in read.iter() {
        for why in &keyed.missing {
            tracing::error!(
                "a secret of the source {} does not count: {why}. Mend it and run `novascale reload`",
                keyed.source.name
            );
        }
    }
    Arc::new(read)
}

/// A request as far as it is read, the sender being known.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What it would become.
#[derive(Debug, Clone)]
pub struct Becomes {
    pub groups: Vec<Hears>,
    /// What the sender would be told beside it, and what nothing follows from.
    pub notes: Vec<String>,
    /// By which its repetition would be known.
    pub id: Option<String>,
}

/// What one group would be told.
#[derive(Debug, Clone)]
pub struct Hears {
    pub group: GroupName,
    pub alerts: Vec<AlertTold>,
    pub samples: Vec<Sample>,
    /// As sentences.
    pub orders: Vec<String>,
}

/// Why the sender would hear an error.
#[derive(Debug, Clone)]
pub struct Refused {
    pub status: u16,
    pub why: String,
    /// Which part of the body, by RFC 6901.
    pub pointer: Option<String>,
    pub hint: Option<String>,
}

/// What its sender would send now, if there is a sample of that.
pub fn sample(config: &Config, source: &Source, now: Wall) -> Option<Sent> {
    let sample = samples::of(source, &config.groups, now)?;
    let headers = vec![(CONTENT_TYPE.to_string(), sample.content_type.to_owned())];
    Some(Sent { headers, body: sample.body.into_bytes(), ..Sent::default() })
}

/// What the groups of this configuration would be told. Who sends it is not asked.
pub fn attempt(
    config: &Config,
    source: &Source,
    sent: &Sent,
    wall: Wall,
) -> Result<Becomes, Refused> {
    let now = Now { wall, steady: Steady(0) };
    let headers = headers(&sent.headers)?;
    if sent.body.len() > source.body_bytes {
        let why = format!("the body is longer than the {} bytes allowed", source.body_bytes);
        let hint = Some("`body_bytes` in the source's section allows more".to_owned());
        return Err(Refused { status: 413, why, pointer: None, hint });
    }
    let (query, body) = (sent.query.as_str(), sent.body.as_slice());
    let payload = format::read(&Incoming { source, headers: &headers, query, body, now })?;
    let known = |name: &str| config.groups.iter().any(|group| group.name.as_str() == name);
    let placed = place::place(source, payload, &known, now)?;
    let mut notes = placed.notes;
    let mut groups = Vec::new();
    for (name, words) in placed.groups {
        if let Some(group) = config.groups.iter().find(|group| group.name == name) {
            notes.extend(vain(group, &words));
        }
        groups.push(hears(name, words, now));
    }
    Ok(Becomes { groups, notes, id: placed.id })
}

fn headers(all: &[(String, String)]) -> Result<HeaderMap, Refused> {
    let one = |(name, value): &(String, String)| {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()).ok()?))
    };
    let mut headers = HeaderMap::new();
    for header in all {
        let Some((name, value)) = one(header) else {
            let why = format!("{:?} is no header of HTTP", header.0);
            return Err(Refused { status: 400, why, pointer: None, hint: None });
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// What the group would hear and nothing would follow from.
fn vain(group: &Group, words: &Words) -> Vec<String> {
    let alerts = alerts::unread(group, &words.alerts);
    alerts.into_iter().chain(signals::unread(group, &words.samples)).collect()
}

fn hears(group: GroupName, words: Words, now: Now) -> Hears {
    let orders = words.orders.iter();
    let orders = orders.map(|(command, why)| explain::order(command, why.as_deref(), now));
    Hears {
        group,
        orders: orders.collect(),
        alerts: words.alerts,
        samples: words.samples.into_iter().map(|one| one.sample).collect(),
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let status = problem.status().as_u16();
        Self { status, why: problem.detail, pointer: problem.pointer, hint: problem.hint }
    }
}
