//! OpenTelemetry metrics over HTTP (OTLP 1): protobuf or JSON, gzip or plain.
//!
//! Of gauges and sums each data point is a sample; of histograms and summaries the sum and the
//! count are, as NAME_sum and NAME_count. The attributes of the resource and of the point are
//! labels, the point's first. A point that says that nothing was recorded says nothing.
//! The sender is answered in the encoding that it wrote in.
//! Sources: opentelemetry.io "OTLP Specification"; open-telemetry/opentelemetry-proto
//! `metrics/v1/metrics.proto`, `collector/metrics/v1/metrics_service.proto`.

use std::io::Read as _;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;
use serde_json::json;

use super::measured::Measured;
use super::protobuf::{put_span, put_varint};
use super::{Incoming, Outcome, header};
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, Payload};

mod binary;
mod json;

/// DataPointFlags.NO_RECORDED_VALUE_MASK
const NO_RECORDED_VALUE: u64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let essence = header(headers, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-protobuf") {
            return Some(Self::Protobuf);
        }
        essence.eq_ignore_ascii_case("application/json").then_some(Self::Json)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let Some(encoding) = Encoding::of(incoming.headers) else {
        let said = "the body must be of Content-Type application/x-protobuf or application/json";
        return Err(Problem::new(Kind::WrongType, said).hint("this source speaks OTLP/HTTP"));
    };
    let inflated = inflated(incoming)?;
    let body = inflated.as_deref().unwrap_or(incoming.body);
    let mut measured = Measured::of(incoming.source);
    match encoding {
        Encoding::Protobuf => binary::read(body, &mut measured)?,
        Encoding::Json => json::read(body, &mut measured)?,
    }
    Ok(measured.payload())
}

/// What was packed, if it was; never longer than the source takes bodies.
fn inflated(incoming: &Incoming<'_>) -> Result<Option<Vec<u8>>, Problem> {
    let encoding = incoming.headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(None);
    }
    if !encoding.eq_ignore_ascii_case(b"gzip") {
        return Err(Problem::new(Kind::Encoded, "of encodings only gzip is taken")
            .hint("set the exporter's `compression` to gzip or none"));
    }
    let most = incoming.source.body_bytes;
    let (mut bytes, bound) = (Vec::new(), u64::try_from(most).unwrap_or(u64::MAX));
    let read =
        MultiGzDecoder::new(incoming.body).take(bound.saturating_add(1)).read_to_end(&mut bytes);
    if bytes.len() > most {
        let said = format!("the body becomes longer than the {most} bytes allowed");
        return Err(Problem::new(Kind::TooLarge, said)
            .hint("send fewer data points at a time (sending_queue.batch), or raise body_bytes"));
    }
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(_) => Err(Problem::new(Kind::Malformed, "the body is not what gzip writes")),
    }
}

/// One data point, however it was written.
#[derive(Debug, Default)]
struct Point {
    labels: Labels,
    /// Nanoseconds since 1970; 0 if nothing is said.
    at: u64,
    flags: u64,
    /// Of a gauge or a sum.
    value: Option<f64>,
    /// Of a histogram or a summary.
    sum: Option<f64>,
    count: Option<u64>,
}

/// The names that a metric's points are asked for by, as far as they are.
struct Wanted {
    value: Option<String>,
    sum: Option<String>,
    count: Option<String>,
}

impl Wanted {
    fn of(metric: &str, measured: &Measured<'_>) -> Option<Self> {
        let wanted = |name: String| measured.wants(&name).then_some(name);
        let (value, sum, count) = (
            wanted(metric.to_owned()),
            wanted(format!("{metric}_sum")),
            wanted(format!("{metric}_count")),
        );
        let any = value.is_some() || sum.is_some() || count.is_some();
        any.then_some(Self { value, sum, count })
    }

    fn tell(&self, point: &Point, measured: &mut Measured<'_>) -> Result<(), Problem> {
        if point.flags & NO_RECORDED_VALUE != 0 {
            return Ok(());
        }
        let at = (point.at > 0).then(|| Wall((point.at / 1_000_000).cast_signed()));
        let count = point.count.map(|count| count as f64);
        let found = [(&self.value, point.value), (&self.sum, point.sum), (&self.count, count)];
        for (name, value) in found {
            if let (Some(name), Some(value)) = (name, value) {
                measured.take(name, &point.labels, value, at)?;
            }
        }
        Ok(())
    }
}

/// ExportMetricsServiceResponse: empty, or what was not taken.
pub(super) fn answer(headers: &HeaderMap, outcome: Outcome<'_>) -> Response {
    let (rejected, said) = (outcome.passed as u64, outcome.notes.join("; "));
    let encoding = Encoding::of(headers).unwrap_or(Encoding::Protobuf);
    let body = match encoding {
        Encoding::Json if rejected == 0 => b"{}".to_vec(),
        Encoding::Json => {
            // A number of 64 bits is a text there.
            let partial =
                json!({ "rejectedDataPoints": rejected.to_string(), "errorMessage": said });
            json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        Encoding::Protobuf => {
            let (mut partial, mut body) = (Vec::new(), Vec::new());
            if rejected > 0 {
                put_varint(1, rejected, &mut partial);
                put_span(2, said.as_bytes(), &mut partial);
                put_span(1, &partial, &mut body);
            }
            body
        }
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.word()));
    response
}

/// A refusal whose body is google.rpc.Status, whose code OTLP leaves out.
pub(super) fn refusal(headers: &HeaderMap, problem: Problem) -> Response {
    let Some(encoding) = Encoding::of(headers) else { return problem.into_response() };
    let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let said = format!("{}{hint}", problem.detail);
    let body = match encoding {
        Encoding::Json => json!({ "message": said }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut body = Vec::new();
            put_span(2, said.as_bytes(), &mut body);
            body
        }
    };
    let mut response = problem.into_response();
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.word()));
    *response.body_mut() = Body::from(body);
    response
}
