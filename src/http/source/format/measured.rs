//! What of a body of metrics its source asks for.
//!
//! Monitoring sends all it has. Of that only the metrics are looked at that the source's rules
//! name, and of their labels only those that decide something, so that what is kept of a body is
//! never much larger than the body.

use std::collections::BTreeSet;

use crate::config::source::{Source, Whose};
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, Payload, Sample, Told};

/// Samples taken of one body: several times what Prometheus and collectors send at once.
pub(super) const SAMPLES_MOST: usize = 10_000;

/// A longer value of a label names no group, server or job of anybody.
const LABEL_MOST: usize = 1024;

/// Bytes of labels kept of one body: what all its samples share stands in it once and is kept with
/// each of them.
const LABELS_MOST: usize = 4 * 1024 * 1024;

pub(super) struct Measured<'a> {
    metrics: BTreeSet<&'a str>,
    labels: BTreeSet<&'a str>,
    told: Vec<Told>,
    /// Bytes of labels in what was told.
    kept: usize,
}

impl<'a> Measured<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        let group = match &source.group {
            Whose::Group(_) => None,
            Whose::Label { label, .. } => Some(label.as_str()),
        };
        let rules = source.signals.iter();
        let named = rules.flat_map(|rule| rule.labels.keys().chain(&rule.server));
        let labels = named.map(String::as_str).chain(group).collect();
        let metrics = source.signals.iter().map(|rule| rule.metric.as_str()).collect();
        Self { metrics, labels, told: Vec::new(), kept: 0 }
    }

    pub(super) fn wants(&self, metric: &str) -> bool {
        self.metrics.contains(metric)
    }

    pub(super) fn wants_label(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    /// Keeps a label that decides something.
    pub(super) fn label(&self, name: &str, value: &str, into: &mut Labels) {
        if self.wants_label(name) && value.len() <= LABEL_MOST {
            into.insert(name.to_owned(), value.to_owned());
        }
    }

    pub(super) fn take(
        &mut self,
        metric: &str,
        labels: &Labels,
        value: f64,
        at: Option<Wall>,
    ) -> Result<(), Problem> {
        if self.told.len() >= SAMPLES_MOST {
            return Err(too_large(format!("more than {SAMPLES_MOST} samples")));
        }
        self.kept += labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.kept > LABELS_MOST {
            return Err(too_large(format!("more than {LABELS_MOST} bytes of labels")));
        }
        let (metric, labels) = (metric.to_owned(), labels.clone());
        self.told.push(Told::Sample(Sample { metric, labels, value, at, server: None }));
        Ok(())
    }

    pub(super) fn payload(self) -> Payload {
        Payload::of(self.told)
    }
}

fn too_large(what: String) -> Problem {
    Problem::new(Kind::TooLarge, format!("it holds {what} of the metrics asked for"))
        .hint("send fewer samples at a time")
}
