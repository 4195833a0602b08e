//! Makes foreign text safe to show on a terminal and in a log.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every control character written out (`\n`, `\u{1b}`), and so the
/// characters that reorder or hide what is beside them: a log line stays one line, and no
/// sender moves the reader's cursor. Anchor: OWASP ASVS 5.0, 16.4.1.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(unsafe_to_show) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unsafe_to_show(c) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Control characters of both ranges (C0, C1), line and paragraph separators, and the
/// bidirectional controls of Unicode TR 9.
fn unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(escape("2 → 4: requests 400 é"), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_moves_the_readers_cursor() {
        let cases = [
            ("a\nb", "a\\nb"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("abc\u{202e}def", "abc\\u{202e}def"),
            ("x\u{2028}y", "x\\u{2028}y"),
        ];
        for (raw, shown) in cases {
            assert_eq!(escape(raw), shown);
        }
    }
}
