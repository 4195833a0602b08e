//! The part of regular expressions that people use in name filters: `.`, `*`, `^`, `$` and `\`; all
//! else is itself.
//!
//! As in the database, a pattern without anchors matches anywhere.

/// Whether the pattern is found in the text.
pub(super) fn is_match(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    match pattern.strip_prefix(&['^']) {
        Some(rest) => here(rest, &text),
        None => (0..=text.len()).any(|start| here(&pattern, &text[start..])),
    }
}

/// One character of the pattern and what follows it.
fn here(pattern: &[char], text: &[char]) -> bool {
    let (one, rest) = match pattern {
        [] => return true,
        ['$'] => return text.is_empty(),
        ['\\', literal, rest @ ..] => (Some(*literal), rest),
        ['.', rest @ ..] => (None, rest),
        [literal, rest @ ..] => (Some(*literal), rest),
    };
    let fits = |c: &char| one.is_none_or(|literal| literal == *c);
    match rest {
        ['*', after @ ..] => {
            let longest = text.iter().take_while(|c| fits(c)).count();
            (0..=longest).any(|taken| here(after, &text[taken..]))
        }
        _ => text.first().is_some_and(fits) && here(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn patterns_match_as_in_a_database() {
        let cases = [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web-.*-1$", "web-blue-1", true),
            ("^web-.*-1$", "web-blue-12", false),
            ("a.c", "abc", true),
            (r"a\.c", "abc", false),
            (r"a\.c", "a.c", true),
            ("", "anything", true),
            ("^$", "", true),
            ("x*$", "abc", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(is_match(pattern, text), expected, "{pattern} in {text}");
        }
    }
}
