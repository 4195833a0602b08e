//! Prometheus remote write 1.0: protobuf in snappy's block format.
//!
//! A metric is known by its label `__name__`; times are in milliseconds. What is no number says
//! nothing: Prometheus marks with one that a series has ended. Native histograms and exemplars are
//! passed over. Prometheus drops a request that hears a 4xx and repeats one that hears a 5xx.
//! Sources: prometheus.io "Remote-Write 1.0 specification"; prometheus/prometheus
//! `prompb/{remote,types}.proto`, `storage/remote/client.go`; google/snappy
//! `format_description.txt`.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::measured::Measured;
use super::protobuf::{Broken, Fields};
use super::{Incoming, header};
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, Payload};

const VERSION: &str = "x-prometheus-remote-write-version";
/// A body becomes at most so many times as large as the source takes bodies, and never more than
/// [`INFLATED_MOST`].
const INFLATED_TIMES: usize = 16;
const INFLATED_MOST: usize = 16 * 1024 * 1024;

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    is_version_1(incoming)?;
    let bytes = inflated(incoming)?;
    let mut measured = Measured::of(incoming.source);
    for field in Fields::of(&bytes) {
        let field = field.map_err(broken)?;
        // WriteRequest.timeseries
        if field.number == 1 {
            let one = field.value.span().map_err(broken)?;
            if let Some(series) = Series::of(one, &measured).map_err(broken)? {
                series.tell(&mut measured)?;
            }
        }
    }
    Ok(measured.payload())
}

fn broken(_: Broken) -> Problem {
    Problem::new(Kind::Malformed, "the body is no WriteRequest of Prometheus remote write 1.0")
        .hint("does the sender fit the source's `format`?")
}

/// Refuses what is not written as version 1.0 has it.
fn is_version_1(incoming: &Incoming<'_>) -> Result<(), Problem> {
    let kind = header(incoming.headers, &CONTENT_TYPE);
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let second = |part: &str| part.contains("io.prometheus.write.v2");
    let version = incoming.headers.get(VERSION).and_then(|v| v.to_str().ok()).unwrap_or("0.1.0");
    if parts.any(second) || version.starts_with('2') {
        let said = "Prometheus remote write 2.0 is not taken";
        let hint = "leave protobuf_message out of remote_write in prometheus.yml, or set it to \
                    \"prometheus.WriteRequest\"";
        return Err(Problem::new(Kind::WrongType, said).hint(hint));
    }
    if !essence.eq_ignore_ascii_case("application/x-protobuf") {
        let said = "the body must be of Content-Type application/x-protobuf";
        return Err(Problem::new(Kind::WrongType, said).hint(HINT));
    }
    if !header(incoming.headers, &CONTENT_ENCODING).eq_ignore_ascii_case("snappy") {
        let said = "the body must be of Content-Encoding snappy";
        return Err(Problem::new(Kind::Encoded, said).hint(HINT));
    }
    Ok(())
}

const HINT: &str = "this source speaks Prometheus remote write 1.0";

/// Looks at what it would become before it becomes it.
fn inflated(incoming: &Incoming<'_>) -> Result<Vec<u8>, Problem> {
    let no_snappy = |_| {
        let said = "the body is not what snappy (block format) writes";
        Problem::new(Kind::Malformed, said).hint(HINT)
    };
    let most = incoming.source.body_bytes.saturating_mul(INFLATED_TIMES).min(INFLATED_MOST);
    let length = snap::raw::decompress_len(incoming.body).map_err(no_snappy)?;
    if length > most {
        let said = format!("the body becomes longer than the {most} bytes allowed");
        return Err(
            Problem::new(Kind::TooLarge, said).hint("lower max_samples_per_send in prometheus.yml")
        );
    }
    snap::raw::Decoder::new().decompress_vec(incoming.body).map_err(no_snappy)
}

/// A series that is asked for.
struct Series<'a> {
    metric: &'a str,
    labels: Labels,
    fields: Fields<'a>,
}

impl<'a> Series<'a> {
    fn of(message: &'a [u8], measured: &Measured<'_>) -> Result<Option<Self>, Broken> {
        let fields = Fields::of(message);
        let mut metric = None;
        for label in labels(fields) {
            let (name, value) = label?;
            if name == "__name__" {
                metric = Some(value);
            }
        }
        let Some(metric) = metric.filter(|metric| measured.wants(metric)) else { return Ok(None) };
        let mut kept = Labels::new();
        for label in labels(fields) {
            let (name, value) = label?;
            measured.label(name, value, &mut kept);
        }
        Ok(Some(Self { metric, labels: kept, fields }))
    }

    fn tell(self, measured: &mut Measured<'_>) -> Result<(), Problem> {
        for field in self.fields {
            let field = field.map_err(broken)?;
            // TimeSeries.samples
            if field.number == 2 {
                let sample = field.value.span().map_err(broken)?;
                let (value, at) = sample_of(sample).map_err(broken)?;
                if !value.is_nan() {
                    measured.take(self.metric, &self.labels, value, Some(at))?;
                }
            }
        }
        Ok(())
    }
}

/// TimeSeries.labels: each with its name and value.
fn labels<'a>(series: Fields<'a>) -> impl Iterator<Item = Result<(&'a str, &'a str), Broken>> {
    series.filter_map(|field| match field {
        Ok(field) if field.number == 1 => Some(field.value.span().and_then(label)),
        Ok(_) => None,
        Err(broken) => Some(Err(broken)),
    })
}

fn label(message: &[u8]) -> Result<(&str, &str), Broken> {
    let (mut name, mut value) = ("", "");
    for field in Fields::of(message) {
        let field = field?;
        match field.number {
            1 => name = field.value.text()?,
            2 => value = field.value.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn sample_of(message: &[u8]) -> Result<(f64, Wall), Broken> {
    let (mut value, mut at) = (0.0, Wall(0));
    for field in Fields::of(message) {
        let field = field?;
        match field.number {
            1 => value = field.value.double()?,
            2 => at = Wall(field.value.varint()?.cast_signed()),
            _ => {}
        }
    }
    Ok((value, at))
}
