//! What several formats do alike: values as texts, and the fields of a form.

use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::Incoming;
use crate::domain::alert::FINGERPRINT_MOST;
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, unreadable};

/// More fields than this no sender's form has.
const FIELDS_MOST: usize = 64;
/// Unix times from here on are milliseconds: as seconds they lie beyond the year 5000.
const MILLIS_FROM: f64 = 1e11;

/// The body as one object.
pub(super) fn object(body: &[u8], sender: &str) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body).map_err(|error| unreadable(sender, &error))
}

/// What is one word: a text, a number as it is written, `true` or `false`.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The word under this key, which must be there.
pub(super) fn needed(object: &Map<String, Value>, key: &str) -> Result<String, Problem> {
    object.get(key).and_then(word).ok_or_else(|| lacks(key).at(format!("/{key}")))
}

pub(super) fn lacks(what: &str) -> Problem {
    Problem::new(Kind::Invalid, format!("the body has no `{what}`, or no text or number there"))
        .hint("does the sender fit the source's `format`?")
}

/// All words of an object as labels.
pub(super) fn labels(object: &Map<String, Value>) -> Labels {
    object.iter().filter_map(|(key, value)| Some((key.clone(), word(value)?))).collect()
}

/// A fingerprint of a length that is kept.
pub(super) fn fingerprint(text: String, pointer: &str) -> Result<String, Problem> {
    if text.len() <= FINGERPRINT_MOST {
        return Ok(text);
    }
    let said = format!("a fingerprint has at most {FINGERPRINT_MOST} characters");
    Err(Problem::new(Kind::Invalid, said).at(pointer))
}

/// A time in seconds or milliseconds since 1970.
pub(super) fn unix(number: f64) -> Option<Wall> {
    let millis = if number < MILLIS_FROM { number * 1000.0 } else { number };
    // The largest is far below 2^53, where a float names every integer.
    #[expect(clippy::cast_possible_truncation, reason = "in range by the comparison")]
    (millis.is_finite() && (0.0..1e15).contains(&millis)).then_some(Wall(millis as i64))
}

/// A moment by its sender's clock, where it says so in unix time.
pub(super) fn moment_unix(value: Option<&Value>) -> Option<Wall> {
    let number = value.and_then(word)?.parse().ok()?;
    unix(number).filter(|at| *at > Wall(0))
}

/// The fields of a form, if the body is one by its Content-Type: `application/x-www-form-urlencoded`,
/// or `multipart/form-data` (RFC 7578).
pub(super) fn form(incoming: &Incoming<'_>) -> Result<Option<Vec<(String, String)>>, Problem> {
    let header = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let header = header.unwrap_or_default();
    let essence = header.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Some(pairs(incoming.body)));
    }
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let parts = boundary(header).and_then(|boundary| multipart(incoming.body, boundary));
    let said = "the form does not read as multipart/form-data with the boundary of its header";
    parts.map(Some).ok_or_else(|| Problem::new(Kind::Malformed, said))
}

/// Fields as they stand in a query.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let all = ::url::form_urlencoded::parse(text).take(FIELDS_MOST);
    all.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn boundary(header: &str) -> Option<&str> {
    let mut parameters = header.split(';').skip(1).filter_map(|text| text.trim().split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    Some(value.trim_matches('"')).filter(|boundary| !boundary.is_empty())
}

fn multipart(body: &[u8], boundary: &str) -> Option<Vec<(String, String)>> {
    let body = std::str::from_utf8(body).ok()?;
    let line = format!("\r\n--{boundary}");
    let first = body.strip_prefix(&line[2..])?;
    let mut fields = Vec::new();
    for part in first.split(line.as_str()) {
        if part.starts_with("--") {
            return Some(fields);
        }
        let (head, value) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
        if fields.len() < FIELDS_MOST {
            fields.push((field_name(head)?.to_owned(), value.to_owned()));
        }
    }
    // Without its last line it was cut short.
    None
}

/// The name in `Content-Disposition: form-data; name="data"`.
fn field_name(head: &str) -> Option<&str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))?;
    let mut parameters = value.split(';').filter_map(|text| text.trim().split_once('='));
    let (_, name) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("name"))?;
    Some(name.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_form_reads_whole_or_not_at_all() {
        let part = "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{\"a\": 1}\r\n";
        let whole = format!("{part}--b--\r\n");
        let fields = multipart(whole.as_bytes(), "b").unwrap();
        assert_eq!(fields, [("data".to_owned(), "{\"a\": 1}".to_owned())]);
        assert_eq!(multipart(part.as_bytes(), "b"), None, "cut short");
        assert_eq!(multipart(whole.as_bytes(), "c"), None, "another boundary");
        assert_eq!(boundary("multipart/form-data; boundary=\"b\""), Some("b"));
        assert_eq!(boundary("multipart/form-data; boundary=----x"), Some("----x"));
        assert_eq!(boundary("multipart/form-data"), None);
    }

    #[test]
    fn unix_times_are_seconds_or_milliseconds() {
        let at = Some(Wall(1_795_000_000_000));
        assert_eq!(unix(1_795_000_000.0), at);
        assert_eq!(unix(1_795_000_000_000.0), at);
        assert_eq!(unix(1_795_000_000.5), Some(Wall(1_795_000_000_500)));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e18] {
            assert_eq!(unix(wrong), None, "{wrong}");
        }
    }
}
