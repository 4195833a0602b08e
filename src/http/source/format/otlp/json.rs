//! ExportMetricsServiceRequest in JSON: names in lowerCamelCase, numbers of 64 bits as texts.
//!
//! Receivers must take those as numbers, too.
//! Source: opentelemetry.io "OTLP Specification", "JSON Protobuf Encoding".

use serde::Deserialize;

use super::{Point, Wanted};
use crate::http::error::{Kind, Problem};
use crate::http::source::format::measured::Measured;
use crate::http::source::told::{Labels, unreadable};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResourceMetrics {
    resource: Resource,
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ScopeMetrics {
    metrics: Vec<Metric>,
}

/// One of the five says what was measured.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metric {
    name: String,
    gauge: Option<Data>,
    sum: Option<Data>,
    histogram: Option<Data>,
    exponential_histogram: Option<Data>,
    summary: Option<Data>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Data {
    data_points: Vec<DataPoint>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DataPoint {
    attributes: Vec<KeyValue>,
    time_unix_nano: Option<Number>,
    as_int: Option<Number>,
    as_double: Option<Number>,
    count: Option<Number>,
    sum: Option<Number>,
    flags: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Number>,
    double_value: Option<Number>,
}

/// A number, as such or in quotes; `"NaN"` and `"Infinity"` are some, too.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Negative(i64),
    Fraction(f64),
    Text(String),
}

pub(super) fn read(body: &[u8], measured: &mut Measured<'_>) -> Result<(), Problem> {
    let request: Request =
        serde_json::from_slice(body).map_err(|error| unreadable("OpenTelemetry", &error))?;
    // serde takes a list for an object's values in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Kind::Invalid, "the body is no JSON object"));
    }
    for resource in &request.resource_metrics {
        let labels = attributes(&resource.resource.attributes, Labels::new(), measured);
        let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        for metric in metrics {
            if let Some(wanted) = Wanted::of(&metric.name, measured) {
                tell(metric, &wanted, &labels, measured)?;
            }
        }
    }
    Ok(())
}

fn tell(
    metric: &Metric,
    wanted: &Wanted,
    resource: &Labels,
    measured: &mut Measured<'_>,
) -> Result<(), Problem> {
    for point in points(&[&metric.gauge, &metric.sum]) {
        let value = match (&point.as_double, &point.as_int) {
            (Some(double), _) => Some(double.fraction()?),
            (None, Some(int)) => Some(int.signed()? as f64),
            (None, None) => None,
        };
        wanted.tell(&Point { value, ..point.frame(resource, measured)? }, measured)?;
    }
    let totals = [&metric.histogram, &metric.exponential_histogram, &metric.summary];
    for point in points(&totals) {
        let sum = point.sum.as_ref().map(Number::fraction).transpose()?;
        let count = Some(point.count.as_ref().map_or(Ok(0), Number::whole)?);
        wanted.tell(&Point { sum, count, ..point.frame(resource, measured)? }, measured)?;
    }
    Ok(())
}

fn points<'d>(kinds: &[&'d Option<Data>]) -> Vec<&'d DataPoint> {
    kinds.iter().copied().flatten().flat_map(|data| &data.data_points).collect()
}

impl DataPoint {
    /// All but what was measured.
    fn frame(&self, resource: &Labels, measured: &Measured<'_>) -> Result<Point, Problem> {
        let labels = attributes(&self.attributes, resource.clone(), measured);
        let at = self.time_unix_nano.as_ref().map_or(Ok(0), Number::whole)?;
        Ok(Point { labels, at, flags: self.flags, ..Point::default() })
    }
}

fn attributes(all: &[KeyValue], mut into: Labels, measured: &Measured<'_>) -> Labels {
    for KeyValue { key, value } in all.iter().filter(|one| measured.wants_label(&one.key)) {
        if let Some(text) = value.text() {
            measured.label(key, &text, &mut into);
        }
    }
    into
}

impl AnyValue {
    fn text(&self) -> Option<String> {
        let number = self.int_value.as_ref().or(self.double_value.as_ref());
        let other = || self.bool_value.map(|b| b.to_string()).or(number.map(Number::text));
        self.string_value.clone().or_else(other)
    }
}

impl Number {
    fn text(&self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Negative(n) => n.to_string(),
            Self::Fraction(n) => n.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    fn whole(&self) -> Result<u64, Problem> {
        self.text().parse().map_err(|_| no_number())
    }

    fn signed(&self) -> Result<i64, Problem> {
        self.text().parse().map_err(|_| no_number())
    }

    fn fraction(&self) -> Result<f64, Problem> {
        self.text().parse().map_err(|_| no_number())
    }
}

fn no_number() -> Problem {
    let said = "a number of OpenTelemetry does not read: of 64 bits, as such or in quotes";
    Problem::new(Kind::Invalid, said)
}
