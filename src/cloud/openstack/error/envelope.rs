//! The envelope of a refusal, read leniently, and a service's own words made fit to be shown.

use serde_json::Value;

/// How much of a service's own words is kept.
const WORDS_MOST: usize = 400;

/// What an envelope said, cut and without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cloud::openstack) struct Told {
    /// The envelope's key (`itemNotFound`, `NeutronError`) or OAuth's `error`.
    pub name: String,
    pub message: String,
    /// Neutron's type of error.
    pub kind: String,
    pub retry_after: Option<String>,
}

/// Opens an envelope: `{"error": "word"}` of OAuth, `{"KEY": {"message": …}}` of OpenStack,
/// `{"message": …}` of gateways; of an HTML page, its title.
pub(in crate::cloud::openstack) fn told(body: &[u8]) -> Told {
    told_without(body, &[])
}

/// The same without these secrets, wherever they are repeated.
pub(super) fn told_without(body: &[u8], secrets: &[&str]) -> Told {
    let tidy = |words: &str| tidy(&veiled(words, secrets));
    let Ok(Value::Object(top)) = serde_json::from_slice(body) else {
        let text = String::from_utf8_lossy(&body[..body.len().min(PAGE_MOST)]);
        return Told { message: title(&veiled(&text, secrets)), ..Told::default() };
    };
    let text = |value: Option<&Value>| tidy(value.and_then(Value::as_str).unwrap_or_default());
    if let Some(Value::String(word)) = top.get("error") {
        let message = text(top.get("error_description").or(top.get("message")));
        return Told { name: tidy(word), message, ..Told::default() };
    }
    for (name, inner) in &top {
        if let Some(fields) = inner.as_object().filter(|fields| fields.contains_key("message")) {
            let kind = text(fields.get("type"));
            let after = fields.get("retryAfter");
            let after = after.map(|a| a.as_str().map_or_else(|| a.to_string(), str::to_owned));
            let message = text(fields.get("message"));
            return Told { name: tidy(name), message, kind, retry_after: after };
        }
        // Neutron's older envelope.
        if name == "NeutronError" && inner.is_string() {
            return Told { name: name.clone(), message: text(Some(inner)), ..Told::default() };
        }
    }
    Told { message: text(top.get("message")), ..Told::default() }
}

/// Of an answer that is not JSON, as much is looked at; a call's secrets are shorter.
const PAGE_MOST: usize = 256 * 1024;

/// Nova's schema check, for one, repeats the whole request: "Invalid input for field/attribute
/// server. Value: {…}" (nova/api/validation/validators.py).
pub(super) fn veiled(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

fn title(text: &str) -> String {
    let head: String = text.chars().take(4096).collect();
    let after = head.split_once("<title>").map(|(_, rest)| rest);
    let title = after.and_then(|rest| rest.split_once("</title>")).map(|(title, _)| title);
    match title {
        Some(title) => tidy(title),
        None if head.trim_start().starts_with('<') => tidy(&without_marks(&head)),
        None => tidy(&head),
    }
}

fn without_marks(html: &str) -> String {
    let mut inside = false;
    let keep = |c: char| {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                return Some(' ');
            }
            _ => {}
        }
        (!inside).then_some(c)
    };
    html.chars().filter_map(keep).collect()
}

pub(super) fn tidy(words: &str) -> String {
    let cut: String = words.chars().take(WORDS_MOST).collect();
    let line = cut.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    line.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_of_all_kinds_are_opened() {
        for (body, name, message) in [
            (r#"{"itemNotFound":{"code":404,"message":"gone"}}"#, "itemNotFound", "gone"),
            (r#"{"error":{"code":401,"message":"who?"}}"#, "error", "who?"),
            (
                r#"{"error":"invalid_scope","error_description":"no\n such"}"#,
                "invalid_scope",
                "no such",
            ),
            (r#"{"NeutronError":"old words"}"#, "NeutronError", "old words"),
            (r#"{"class":"Client::NotFound","message":"Not found"}"#, "", "Not found"),
            (r#"{"a":1,"b":{"c":2}}"#, "", ""),
            ("<html><title>504 Gateway Time-out</title></html>", "", "504 Gateway Time-out"),
            ("<html><h1>Forbidden</h1><p>No.</p></html>", "", "Forbidden No."),
            ("plain", "", "plain"),
            ("[1, 2", "", "[1, 2"),
            ("", "", ""),
        ] {
            let told = told(body.as_bytes());
            assert_eq!((told.name.as_str(), told.message.as_str()), (name, message), "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(told(long.as_bytes()).message.len(), WORDS_MOST);
    }
}
