//! Regular expressions in filters (Nova `db/main/api.py`, `_regex_instance_filter`).
//!
//! As in the database, a pattern without anchors matches anywhere, and case does not count. A
//! listing is filtered under the world's lock, so the time that a pattern takes has to be bounded
//! whatever it is: matching is linear in the text, and the compiled pattern's size has a limit.

use regex::{Error, Regex, RegexBuilder};

use super::super::model::refusal::Refusal;
use super::schema;

/// Above what a person writes (`\w` takes 64 KiB of it), and low enough that a hundred names are
/// matched in milliseconds, whatever the pattern.
const SIZE: usize = 256 * 1_024;

/// A filter's pattern, compiled.
pub(super) struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// [`Refusal::Invalid`], in Nova's words, for what is no regular expression or too large a one.
    pub(super) fn read(text: &str, at: &str) -> Result<Pattern, Refusal> {
        let compiled = RegexBuilder::new(text).case_insensitive(true).size_limit(SIZE).build();
        compiled.map(Pattern).map_err(|error| {
            let text = schema::short(text);
            let why = if matches!(error, Error::CompiledTooBig(_)) {
                "is too large a 'regex' for the embedded cloud"
            } else {
                "is not a 'regex'"
            };
            schema::invalid_query(at, &text, &format!("'{text}' {why}"))
        })
    }

    pub(super) fn is_found(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_as_in_a_database() {
        let cases = [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web-.*-1$", "web-blue-1", true),
            ("^web-.*-1$", "web-blue-12", false),
            ("^web-[12]$", "web-2", true),
            ("^web-[12]$", "web-3", false),
            ("blue|green", "web-green-1", true),
            (r"^\w+-\d{2}$", "web-12", true),
            ("WEB", "my-web-1", true),
            ("ä", "Ä", true),
            ("a.c", "abc", true),
            (r"a\.c", "abc", false),
            (r"a\.c", "a.c", true),
            ("", "anything", true),
            ("^$", "", true),
            ("x*$", "abc", true),
        ];
        for (pattern, text, expected) in cases {
            let read = Pattern::read(pattern, "name").unwrap();
            assert_eq!(read.is_found(text), expected, "{pattern} in {text}");
        }
    }
}
