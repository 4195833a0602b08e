//! How a command ends: the exit code, and the words that go with a bad one.

use std::error::Error as StdError;
use std::fmt;

/// What the shell is told. The numbers above 2 are those of BSD's `sysexits.h`;
/// 2 is terraform's "succeeded, with changes" and nothing else here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    /// `plan --detailed-exitcode` only: the next pass would change something.
    Changes,
    Usage,
    Unavailable,
    TryLater,
    Denied,
    Config,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::TryLater => 75,
            Self::Denied => 77,
            Self::Config => 78,
        }
    }
}

/// Why a command failed: what was tried and why it did not work, then what to do.
#[derive(Debug)]
pub struct Error {
    pub exit: Exit,
    pub message: String,
    pub hints: Vec<String>,
}

impl Error {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

/// An error and its sources on one line, each said once: libraries often repeat
/// their source's text in their own.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: inner")]
    struct Repeats(#[source] std::io::Error);

    #[test]
    fn a_source_is_said_once() {
        let inner = || std::io::Error::other("inner");
        assert_eq!(chain(&Repeats(inner())), "outer: inner");
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Plain(#[source] std::io::Error);
        assert_eq!(chain(&Plain(inner())), "outer: inner");
    }
}
