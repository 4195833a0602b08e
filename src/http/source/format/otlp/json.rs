//! ExportMetricsServiceRequest in JSON: names in lowerCamelCase, numbers of 64 bits as texts.
//!
//! Receivers must take those as numbers, too. A list is gone through element by element and lies
//! where it came until then: made into values at once, a body of empty elements would take dozens of
//! times its size.
//! Source: opentelemetry.io "OTLP Specification", "JSON Protobuf Encoding".

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Point, Wanted};
use crate::http::error::{Kind, Problem};
use crate::http::source::format::measured::Measured;
use crate::http::source::told::{Labels, unreadable};

/// A list that was not looked at yet.
type List<'a> = Option<&'a RawValue>;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Request<'a> {
    #[serde(borrow)]
    resource_metrics: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResourceMetrics<'a> {
    #[serde(borrow)]
    resource: Resource<'a>,
    #[serde(borrow)]
    scope_metrics: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ScopeMetrics<'a> {
    #[serde(borrow)]
    metrics: List<'a>,
}

/// One of the five says what was measured.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metric<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    gauge: Option<Data<'a>>,
    #[serde(borrow)]
    sum: Option<Data<'a>>,
    #[serde(borrow)]
    histogram: Option<Data<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<Data<'a>>,
    #[serde(borrow)]
    summary: Option<Data<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Data<'a> {
    #[serde(borrow)]
    data_points: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DataPoint<'a> {
    #[serde(borrow)]
    attributes: List<'a>,
    time_unix_nano: Option<Number>,
    as_int: Option<Number>,
    as_double: Option<Number>,
    count: Option<Number>,
    sum: Option<Number>,
    flags: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
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
    let request: Request<'_> =
        serde_json::from_slice(body).map_err(|error| unreadable("OpenTelemetry", &error))?;
    // serde takes a list for an object's values in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Kind::Invalid, "the body is no JSON object"));
    }
    each(request.resource_metrics, |of: ResourceMetrics<'_>| {
        let mut labels = Labels::new();
        attributes(of.resource.attributes, measured, &mut labels)?;
        each(of.scope_metrics, |scope: ScopeMetrics<'_>| {
            each(scope.metrics, |metric: Metric<'_>| match Wanted::of(&metric.name, measured) {
                Some(wanted) => tell(&metric, &wanted, &labels, measured),
                None => Ok(()),
            })
        })
    })
}

fn tell(
    metric: &Metric<'_>,
    wanted: &Wanted,
    resource: &Labels,
    measured: &mut Measured<'_>,
) -> Result<(), Problem> {
    for data in [&metric.gauge, &metric.sum].into_iter().flatten() {
        each(data.data_points, |point: DataPoint<'_>| {
            let value = match (&point.as_double, &point.as_int) {
                (Some(double), _) => Some(double.fraction()?),
                (None, Some(int)) => Some(int.signed()? as f64),
                (None, None) => None,
            };
            wanted.tell(&Point { value, ..point.frame(resource, measured)? }, measured)
        })?;
    }
    let totals = [&metric.histogram, &metric.exponential_histogram, &metric.summary];
    for data in totals.into_iter().flatten() {
        each(data.data_points, |point: DataPoint<'_>| {
            let sum = point.sum.as_ref().map(Number::fraction).transpose()?;
            let count = Some(point.count.as_ref().map_or(Ok(0), Number::whole)?);
            wanted.tell(&Point { sum, count, ..point.frame(resource, measured)? }, measured)
        })?;
    }
    Ok(())
}

impl DataPoint<'_> {
    /// All but what was measured.
    fn frame(&self, resource: &Labels, measured: &Measured<'_>) -> Result<Point, Problem> {
        let mut labels = resource.clone();
        attributes(self.attributes, measured, &mut labels)?;
        let at = self.time_unix_nano.as_ref().map_or(Ok(0), Number::whole)?;
        Ok(Point { labels, at, flags: self.flags, ..Point::default() })
    }
}

fn attributes(all: List<'_>, measured: &Measured<'_>, into: &mut Labels) -> Result<(), Problem> {
    each(all, |KeyValue { key, value }: KeyValue<'_>| {
        if let Some(value) = value.filter(|_| measured.wants_label(&key)) {
            let value: AnyValue = serde_json::from_str(value.get()).map_err(|e| inside(&e))?;
            if let Some(text) = value.text() {
                measured.label(&key, &text, into);
            }
        }
        Ok(())
    })
}

/// Hands on the elements of a list, one by one. What is left out is an empty one.
fn each<'a, T: Deserialize<'a>>(
    list: List<'a>,
    take: impl FnMut(T) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Some(list) = list else { return Ok(()) };
    let mut problem = None;
    let elements = Elements { take, problem: &mut problem, of: PhantomData };
    let read = serde_json::Deserializer::from_str(list.get()).deserialize_seq(elements);
    match problem {
        Some(problem) => Err(problem),
        None => read.map_err(|error| inside(&error)),
    }
}

struct Elements<'p, T, F> {
    take: F,
    /// Why it took no more.
    problem: &'p mut Option<Problem>,
    of: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>, F: FnMut(T) -> Result<(), Problem>> Visitor<'a>
    for Elements<'_, T, F>
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            if let Err(problem) = (self.take)(element) {
                *self.problem = Some(problem);
                return Err(A::Error::custom("not taken"));
            }
        }
        Ok(())
    }
}

/// A fault of a part, whose lines and columns are not the body's.
fn inside(error: &serde_json::Error) -> Problem {
    let mut problem = unreadable("OpenTelemetry", error);
    let said = problem.detail.rsplit_once(" at line ").map(|(said, _)| said.to_owned());
    problem.detail = said.unwrap_or(problem.detail);
    problem
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde::de::{Deserializer, IgnoredAny};

    use super::*;

    thread_local! {
        static ALIVE: Cell<usize> = const { Cell::new(0) };
    }

    struct Counted;

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            IgnoredAny::deserialize(from)?;
            ALIVE.set(ALIVE.get() + 1);
            Ok(Self)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.set(ALIVE.get() - 1);
        }
    }

    #[test]
    fn of_a_list_one_element_is_held_at_a_time() {
        let list = format!("[{}{{}}]", "{},".repeat(9_999));
        let list: &RawValue = serde_json::from_str(&list).unwrap();
        let (mut seen, mut most) = (0, 0);
        each(Some(list), |_: Counted| {
            (seen, most) = (seen + 1, most.max(ALIVE.get()));
            Ok(())
        })
        .unwrap();
        assert_eq!((seen, most), (10_000, 1));
    }

    #[test]
    fn a_list_is_left_where_it_is_not_taken_further() {
        let list: &RawValue = serde_json::from_str("[1, 2, 3]").unwrap();
        let mut seen = Vec::new();
        let refused = each(Some(list), |n: u64| {
            seen.push(n);
            if n < 2 { Ok(()) } else { Err(no_number()) }
        });
        assert_eq!((refused.unwrap_err().detail, seen), (no_number().detail, vec![1, 2]));
        assert!(each(None, |_: u64| Err(no_number())).is_ok());
        let other: &RawValue = serde_json::from_str("[1, \"x\"]").unwrap();
        let said = each(Some(other), |_: u64| Ok(())).unwrap_err().detail;
        assert!(said.contains("invalid type") && !said.contains("line"), "{said}");
    }
}
