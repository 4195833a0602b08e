//! ExportMetricsServiceRequest in protobuf, read where it lies.

use super::{Point, Wanted};
use crate::http::error::{Kind, Problem};
use crate::http::source::format::measured::Measured;
use crate::http::source::format::protobuf::{Broken, Fields};
use crate::http::source::told::Labels;

pub(super) fn read(body: &[u8], measured: &mut Measured<'_>) -> Result<(), Problem> {
    for resource in spans(body, 1) {
        let resource = resource.map_err(broken)?;
        // ResourceMetrics.resource may stand behind what it is of.
        let mut labels = Labels::new();
        for one in spans(resource, 1) {
            attributes(one.map_err(broken)?, 1, measured, &mut labels).map_err(broken)?;
        }
        for scope in spans(resource, 2) {
            for metric in spans(scope.map_err(broken)?, 2) {
                self::metric(metric.map_err(broken)?, &labels, measured)?;
            }
        }
    }
    Ok(())
}

fn broken(_: Broken) -> Problem {
    Problem::new(Kind::Malformed, "the body is no ExportMetricsServiceRequest of OpenTelemetry")
        .hint("does the sender fit the source's `format`?")
}

/// The messages in the fields of this number.
fn spans(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Broken>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok(field) if field.number == number => Some(field.value.span()),
        Ok(_) => None,
        Err(broken) => Some(Err(broken)),
    })
}

fn metric(message: &[u8], resource: &Labels, measured: &mut Measured<'_>) -> Result<(), Problem> {
    let mut name = "";
    for field in Fields::of(message) {
        let field = field.map_err(broken)?;
        if field.number == 1 {
            name = field.value.text().map_err(broken)?;
        }
    }
    let Some(wanted) = Wanted::of(name, measured) else { return Ok(()) };
    for field in Fields::of(message) {
        let field = field.map_err(broken)?;
        let Some(shape) = Shape::of(field.number) else { continue };
        for one in spans(field.value.span().map_err(broken)?, 1) {
            let point = one.and_then(|one| shape.point(one, resource, measured));
            wanted.tell(&point.map_err(broken)?, measured)?;
        }
    }
    Ok(())
}

/// Which fields of a data point say what; time, count and sum are the same in all.
#[derive(Clone, Copy)]
struct Shape {
    numbers: bool,
    attributes: u32,
    flags: u32,
}

impl Shape {
    /// By the field of Metric that holds the points.
    fn of(field: u32) -> Option<Self> {
        let (numbers, attributes, flags) = match field {
            // Gauge, Sum
            5 | 7 => (true, 7, 8),
            // Histogram
            9 => (false, 9, 10),
            // ExponentialHistogram
            10 => (false, 1, 10),
            // Summary
            11 => (false, 7, 8),
            _ => return None,
        };
        Some(Self { numbers, attributes, flags })
    }

    fn point(
        self,
        message: &[u8],
        resource: &Labels,
        measured: &Measured<'_>,
    ) -> Result<Point, Broken> {
        let mut point = Point { labels: resource.clone(), ..Point::default() };
        for field in Fields::of(message) {
            let field = field?;
            let value = field.value;
            match (field.number, self.numbers) {
                (3, _) => point.at = value.fixed64()?,
                (4, true) => point.value = Some(value.double()?),
                (6, true) => point.value = Some(value.fixed64()?.cast_signed() as f64),
                (4, false) => point.count = Some(value.fixed64()?),
                (5, false) => point.sum = Some(value.double()?),
                (number, _) if number == self.flags => point.flags = value.varint()?,
                (_, _) => {}
            }
        }
        attributes(message, self.attributes, measured, &mut point.labels)?;
        // proto3 leaves out a count of 0.
        if !self.numbers {
            point.count = point.count.or(Some(0));
        }
        Ok(point)
    }
}

/// KeyValue, in the fields of this number.
fn attributes(
    message: &[u8],
    number: u32,
    measured: &Measured<'_>,
    into: &mut Labels,
) -> Result<(), Broken> {
    for one in spans(message, number) {
        let (mut key, mut value) = ("", &[][..]);
        for field in Fields::of(one?) {
            let field = field?;
            match field.number {
                1 => key = field.value.text()?,
                2 => value = field.value.span()?,
                _ => {}
            }
        }
        if measured.wants_label(key)
            && let Some(text) = any_value(value)?
        {
            measured.label(key, &text, into);
        }
    }
    Ok(())
}

/// AnyValue as a label has it; lists and maps are none.
fn any_value(message: &[u8]) -> Result<Option<String>, Broken> {
    let mut text = None;
    for field in Fields::of(message) {
        let field = field?;
        text = match field.number {
            1 => Some(field.value.text()?.to_owned()),
            2 => Some((field.value.varint()? != 0).to_string()),
            3 => Some(field.value.varint()?.cast_signed().to_string()),
            4 => Some(field.value.double()?.to_string()),
            _ => None,
        };
    }
    Ok(text)
}
