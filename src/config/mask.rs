//! Paints over what a file must not show when a fault quotes it.
//!
//! A secret has no place in scaling.toml, yet people put it there, and the fault that says so must
//! not print it; nor may one about its neighbour in the same line. Where the file was understood,
//! values are found by their keys, and with them goes the comment behind them; where it was not, by
//! what looks like such a key, as in lines that are commented out. Everywhere, comments too, what
//! stands before the `@` of a URL is somebody's name and password. Bytes become `*` one by one, so
//! that every span still fits.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose values are secret, or may hold secrets.
const SECRET: [&str; 6] =
    ["client_secret", "password", "token", "application_credential_secret", "user_data", "secret"];

/// Keys that sound secret and are not.
const OPEN: [&str; 4] =
    ["token_life", "access_token_type", "access_token_endpoint", "user_data_file"];

/// What names a secret's place instead of the secret.
const PLACES: [&str; 3] = ["file", "env", "credential"];

/// The text without what a table's secret keys hold.
pub(super) fn understood(text: &str, root: &DeTable<'_>) -> String {
    let mut spans = users_anywhere(text);
    collect(text, root, &mut spans);
    spans.extend(
        assigned(text)
            .filter(|(line, _)| text[line.clone()].trim_start().starts_with('#'))
            .map(|(_, value)| value),
    );
    paint(text, spans)
}

/// The text without what looks like secrets: all that follows a secret-sounding key in its line,
/// and every line up to the closing quotes if it opens a text of many lines.
pub(super) fn not_understood(text: &str) -> String {
    let mut spans = users_anywhere(text);
    spans.extend(assigned(text).map(|(_, value)| value));
    paint(text, spans)
}

/// Lines in which a secret-sounding key is given a value, and where that goes on to.
fn assigned(text: &str) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let (begin, end) = (at, line_end(text, at));
            let line = &text[begin..end];
            at = end + 1;
            let mut given = line.match_indices('=');
            if let Some((equals, _)) = given.find(|(i, _)| sounds_secret(key_before(&line[..*i]))) {
                let start = begin + equals + 1;
                let quotes = closing_quotes(text, start..end);
                let over = quotes.map_or(end, |quotes| line_end(text, quotes));
                at = over + 1;
                return Some((begin..end, start..over));
            }
        }
        None
    })
}

/// Who signs in by a URL: what stands between `://` and the last `@` before the text is over. A
/// password that was not encoded may hold a slash or a blank, so neither ends it.
fn users(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let (shown, offset) = (&text[part.clone()], part.start);
    shown.match_indices("://").filter_map(move |(mark, _)| {
        let start = mark + "://".len();
        let at = shown[start..].rfind('@')?;
        Some(offset + start..offset + start + at)
    })
}

/// The same where texts are not told apart: up to the line's end, or the quote that opened last.
fn users_anywhere(text: &str) -> Vec<Range<usize>> {
    let urls = text.match_indices("://").map(|(mark, _)| {
        let line = text[..mark].rfind('\n').map_or(0, |n| n + 1);
        let quote = text[line..mark].chars().rfind(|c| ['"', '\''].contains(c));
        let over = text[mark..].find(|c| c == '\n' || Some(c) == quote);
        mark..over.map_or(text.len(), |n| mark + n)
    });
    urls.flat_map(|url| users(text, url)).collect()
}

/// Where the line that holds this byte ends.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// Where a text of many lines ends that opens in this part of a line.
fn closing_quotes(text: &str, part: Range<usize>) -> Option<usize> {
    ["\"\"\"", "'''"].iter().find_map(|quotes| {
        let opened = part.start + text[part.clone()].find(quotes)? + 3;
        Some(text[opened..].find(quotes).map_or(text.len(), |n| opened + n))
    })
}

fn key_before(text: &str) -> &str {
    let key = text.trim_end().trim_end_matches(['"', '\'']);
    let start = key.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
    start.map_or(key, |i| &key[i..]).trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    if OPEN.contains(&key.as_str()) {
        return false;
    }
    let holds = |word: &&str| key.contains(*word);
    let near = |word: &&str| key.len() > 3 && strsim::damerau_levenshtein(&key, word) <= 2;
    SECRET.iter().any(|word| holds(word) || near(word))
}

fn collect(text: &str, table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        match (value.get_ref(), sounds_secret(key.get_ref())) {
            (DeValue::Table(inner), true) => collect_places(inner, spans),
            (_, true) => spans.push(value.span()),
            (_, false) => collect_open(text, value, spans),
        }
        if sounds_secret(key.get_ref()) {
            spans.extend(comment_behind(text, value.span().end));
        }
    }
}

/// What follows in the line as a comment: who replaces a secret may leave it there.
fn comment_behind(text: &str, value_end: usize) -> Option<Range<usize>> {
    let end = line_end(text, value_end);
    Some(value_end + text[value_end..end].find('#')?..end)
}

/// A value that may be shown, but for what stands in it.
fn collect_open(text: &str, value: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(inner) => collect(text, inner, spans),
        DeValue::Array(items) => items.iter().for_each(|item| collect_open(text, item, spans)),
        DeValue::String(_) => spans.extend(users(text, value.span())),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// Below a secret's key only the places may be shown.
fn collect_places(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    let hidden = table.iter().filter(|(key, _)| !PLACES.contains(&key.get_ref().as_ref()));
    spans.extend(hidden.map(|(_, value)| value.span()));
}

fn paint(text: &str, spans: Vec<Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        for byte in bytes.get_mut(span).unwrap_or_default() {
            if *byte != b'\n' && *byte != b'\r' {
                *byte = b'*';
            }
        }
    }
    // Spans end where values end, between characters; if one did not, nothing is shown.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        understood(text, DeTable::parse(text).unwrap().get_ref())
    }

    #[test]
    fn values_of_secret_keys_are_painted_over() {
        for text in [
            "client_secret = 'hunter2'",
            "client_secrt = \"hunter2\"",
            "'password' = 'hunter2'",
            "cloud = { token = 'hunter2' }",
            "cloud.client_secret = { value = 'hunter2', file = 'a' }",
            "[cloud.client_secret]\nenvv = 'hunter2'",
            "client_secret = ['hunter2']",
            "[[a]]\nuser_data = '''\nhunter2\n'''",
            "my_secret = 'hunter2'",
            "client_secret = { file = 'a' } # hunter2",
            "user_data = 7 # 'hunter2'",
            "min = 1\n  #client_secret = 'hunter2'\nmax = 2",
            "auth_url = 'https://u:hunter2@k.example/v3'",
            "auth_url = \"https://u:a/b c'd@hunter2@k.example/v3\" # max",
            "a = ['http://hunter2@k'] # or https://u:hunter2@k.example",
            "auth_url = \"\"\"\nhttps://u:\\\nhunter2@k\"\"\"",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(shown.len(), text.len());
            let told_by_its_place = text.contains("envv") || text.contains("\"\"\"\nhttps");
            assert!(!not_understood(text).contains("hunter2") || told_by_its_place, "{text}");
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "token_life = '1h'",
            "client_secret = { file = 'a', env = 'b', credential = 'c' }",
            "user_data_file = 'boot.sh'",
            "a = [1, { b = 2 }]",
            "a = 'https://k.example/v3'\nb = 'me@k.example'",
            "a = ['https://k.example/v3', 'me@k.example']",
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(not_understood("min = 1\nmax ="), "min = 1\nmax =");
    }

    #[test]
    fn a_broken_file_hides_what_looks_secret() {
        let text = "user_data = \"\"\"\nkéy = hunter2\n\\q\n\"\"\"\nmax = = 3\npassword = \"hunter2\nz = 1";
        let shown = not_understood(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("max = = 3") && shown.contains("z = 1"), "{shown}");
        assert_eq!(shown.len(), text.len());
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_length(text in "[a-z=\"'\n é_]{0,60}(password ?= ?\"{0,3}.{0,9}\n?)?") {
            proptest::prop_assert_eq!(not_understood(&text).len(), text.len());
        }
    }
}
