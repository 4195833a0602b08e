//! Form checks with the words of Nova's validation (`api/validation/validators.py`,
//! `parameter_types.py`).
//!
//! One thing differs from Nova: values are cut short in the message, and secret ones are left out.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::model::labels::MAX_TAGS;
use super::super::model::refusal::Refusal;

type Checked<T> = Result<T, Refusal>;
pub(super) type Object = Map<String, Value>;

/// The words of a boolean (`parameter_types.boolean`).
const TRUE: [&str; 12] =
    ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t"];
const FALSE: [&str; 12] =
    ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"];

/// Longest value shown in a message.
const SHOWN: usize = 60;

/// The object under the one name of a body, as in `{"server": {…}}`; nothing else may stand
/// beside it.
pub(super) fn body<'a>(body: &'a Value, name: &str) -> Checked<&'a Object> {
    let outer =
        body.as_object().ok_or_else(|| Refusal::Invalid("Malformed request body".to_owned()))?;
    let inner = outer
        .get(name)
        .ok_or_else(|| Refusal::Invalid(format!("'{name}' is a required property")))?;
    only_root(outer, &[name])?;
    object(inner, name)
}

pub(super) fn object<'a>(value: &'a Value, at: &str) -> Checked<&'a Object> {
    value.as_object().ok_or_else(|| wrong_type(at, value, "object"))
}

/// Refuses what is neither known nor wanted, at the top of a body.
pub(super) fn only_root(outer: &Object, allowed: &[&str]) -> Checked<()> {
    match unexpected(outer, allowed) {
        Some(why) => Err(Refusal::Invalid(why)),
        None => Ok(()),
    }
}

/// Refuses what is neither known nor wanted, inside a member.
pub(super) fn only(inner: &Object, at: &str, allowed: &[&str]) -> Checked<()> {
    match unexpected(inner, allowed) {
        Some(why) => Err(invalid(at, "{…}", &why)),
        None => Ok(()),
    }
}

fn unexpected(inner: &Object, allowed: &[&str]) -> Option<String> {
    let strange: Vec<String> = inner
        .keys()
        .filter(|key| !allowed.contains(&key.as_str()))
        .map(|key| format!("'{}'", short(key)))
        .collect();
    let verb = if strange.len() == 1 { "was" } else { "were" };
    let names = strange.join(", ");
    (!strange.is_empty())
        .then(|| format!("Additional properties are not allowed ({names} {verb} unexpected)"))
}

pub(super) fn required<'a>(inner: &'a Object, at: &str, name: &str) -> Checked<&'a Value> {
    inner.get(name).ok_or_else(|| invalid(at, "{…}", &format!("'{name}' is a required property")))
}

/// Text of a length between `least` and `most` characters.
pub(super) fn text(value: &Value, at: &str, least: usize, most: usize) -> Checked<String> {
    let text = value.as_str().ok_or_else(|| wrong_type(at, value, "string"))?;
    let length = text.chars().count();
    if length < least {
        return Err(invalid(at, &short(text), &format!("'{}' is too short", short(text))));
    }
    if most < length {
        return Err(invalid(at, &short(text), &format!("'{}' is too long", short(text))));
    }
    Ok(text.to_owned())
}

/// A name: 1 to 255 printable characters, no blank at either end (`parameter_types.name`).
pub(super) fn name(value: &Value, at: &str) -> Checked<String> {
    let name = text(value, at, 1, 255)?;
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err(Refusal::Invalid(
            "An invalid 'name' value was provided. The name must be: printable characters. \
             Can not start or end with whitespace."
                .to_owned(),
        ));
    }
    Ok(name)
}

/// A text that may be null.
pub(super) fn nullable(value: &Value, at: &str, most: usize) -> Checked<Option<String>> {
    if value.is_null() { Ok(None) } else { text(value, at, 0, most).map(Some) }
}

pub(super) fn boolean(value: &Value, at: &str) -> Checked<bool> {
    let word = value.as_str().unwrap_or_default();
    if *value == true || TRUE.contains(&word) {
        return Ok(true);
    }
    if *value == false || FALSE.contains(&word) {
        return Ok(false);
    }
    let value = shown(value);
    Err(invalid(at, &value, &format!("{value} is not one of [True, False, …]")))
}

/// An integer, or one in quotes, of at least one.
pub(super) fn positive(value: &Value, at: &str) -> Checked<u32> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let number = number.ok_or_else(|| {
        invalid(at, &shown(value), &format!("{} is not of type 'integer'", shown(value)))
    })?;
    if number < 1 {
        return Err(invalid(at, &shown(value), &format!("{number} is less than the minimum of 1")));
    }
    u32::try_from(number)
        .map_err(|_| invalid(at, &shown(value), &format!("{number} is greater than the maximum")))
}

/// A version 1 to 5 UUID in its usual form.
pub(super) fn uuid(value: &Value, at: &str) -> Checked<String> {
    let text = value.as_str().ok_or_else(|| wrong_type(at, value, "string"))?;
    if is_uuid(text) {
        return Ok(text.to_owned());
    }
    Err(invalid(at, &short(text), &format!("'{}' is not a 'uuid'", short(text))))
}

pub(super) fn is_uuid(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit())
}

/// One tag: 1 to 60 characters without slash and comma.
pub(super) fn tag(value: &Value) -> Checked<String> {
    let tag = text(value, "tags", 1, 60)?;
    if tag.contains(['/', ',']) {
        return Err(invalid(
            "tags",
            &short(&tag),
            &format!("'{}' does not match '^[^,/]*$'", short(&tag)),
        ));
    }
    Ok(tag)
}

/// At most fifty tags.
pub(super) fn tags(value: &Value) -> Checked<BTreeSet<String>> {
    let list = value.as_array().ok_or_else(|| wrong_type("tags", value, "array"))?;
    if MAX_TAGS < list.len() {
        return Err(invalid("tags", &shown(value), &format!("{} is too long", shown(value))));
    }
    list.iter().map(tag).collect()
}

/// Items with keys of 1 to 255 characters of `[a-zA-Z0-9-_:. ]` and values of at most 255
/// characters.
pub(super) fn metadata(value: &Value) -> Checked<BTreeMap<String, String>> {
    let items = object(value, "metadata")?;
    items.iter().map(|(key, value)| Ok((metadata_key(key)?, text(value, key, 0, 255)?))).collect()
}

fn metadata_key(key: &str) -> Checked<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
    if key.is_empty() || 255 < key.len() || !key.chars().all(legal) {
        let why = format!(
            "'{}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'",
            short(key)
        );
        return Err(invalid("metadata", "{…}", &why));
    }
    Ok(key.to_owned())
}

/// User data: base64, at most 65,535 characters as sent. It is checked and dropped, and never
/// shown.
pub(super) fn user_data(value: &Value) -> Checked<()> {
    let text =
        value.as_str().ok_or_else(|| invalid("user_data", "…", "… is not of type 'string'"))?;
    if 65_535 < text.len() {
        return Err(invalid("user_data", "…", "… is too long"));
    }
    let bare: String = text.split_whitespace().collect();
    match STANDARD.decode(bare) {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid("user_data", "…", "… is not a 'base64'")),
    }
}

/// The text of a filter that the database reads as a regular expression.
pub(super) fn regex_filter(value: &str, at: &str) -> Checked<()> {
    if is_balanced(value) {
        return Ok(());
    }
    let value = short(value);
    Err(invalid_query(at, &value, &format!("'{value}' is not a 'regex'")))
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut escaped = false;
    for c in text.chars() {
        depth += match c {
            '(' if !escaped => 1,
            ')' if !escaped => -1,
            _ => 0,
        };
        escaped = c == '\\' && !escaped;
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !text.starts_with(['*', '+', '?'])
}

/// `Invalid input for field/attribute …`.
pub(super) fn invalid(at: &str, value: &str, why: &str) -> Refusal {
    Refusal::Invalid(format!("Invalid input for field/attribute {at}. Value: {value}. {why}"))
}

/// `Invalid input for query parameters …`.
pub(super) fn invalid_query(at: &str, value: &str, why: &str) -> Refusal {
    Refusal::Invalid(format!("Invalid input for query parameters {at}. Value: {value}. {why}"))
}

pub(super) fn wrong_type(at: &str, value: &Value, wanted: &str) -> Refusal {
    let value = shown(value);
    invalid(at, &value, &format!("{value} is not of type '{wanted}'"))
}

/// A value as a message may show it: Python's words for the small ones, nothing of the large.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", short(text)),
        Value::Array(_) => "[…]".to_owned(),
        Value::Object(_) => "{…}".to_owned(),
    }
}

pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
