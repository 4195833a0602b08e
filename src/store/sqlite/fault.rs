//! What can go wrong inside, and how it is told.

use super::dir::Home;
use crate::store::StoreError;

/// An answer of the store, or SQLite's own error that still lacks what was being done.
#[derive(Debug)]
pub(super) enum Fault {
    Store(StoreError),
    Sql(sqlx::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// As the caller is told: what was tried, on what, why it failed and what to do.
    pub(super) fn told(self, trying: &str, home: &Home) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => told(trying, home, &error),
        }
    }
}

/// SQLite's primary result codes, <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

pub(super) fn told(trying: &str, home: &Home, error: &sqlx::Error) -> StoreError {
    let file = home.database();
    let text = |todo: &str| format!("could not {trying} in {}: {error}. {todo}", file.display());
    if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
        return StoreError::Corrupt(text(UNREADABLE));
    }
    match primary(error) {
        Some(code::CORRUPT | code::NOTADB) => StoreError::Corrupt(text(DAMAGED)),
        Some(code::FULL) => {
            StoreError::Unavailable(text("Make room on the disk; novascale goes on by itself then"))
        }
        Some(code::BUSY | code::LOCKED) => StoreError::Unavailable(text(
            "Another program holds the file: close it; novascale goes on by itself then",
        )),
        Some(code::PERM | code::READONLY | code::CANTOPEN) => StoreError::Unavailable(text(
            "Let the user that runs novascale read and write the directory and all files in it",
        )),
        Some(code::IOERR) => StoreError::Unavailable(text(
            "The disk failed: look into the system's log, and keep a copy of the directory",
        )),
        _ => StoreError::Unavailable(text("It is tried again at the next pass")),
    }
}

/// What to do about a column that holds what it never should.
const UNREADABLE: &str = "The group stays as it is until the row is mended; put back a backup of \
     the state directory, or use the novascale that wrote it";

/// What to do about a damaged file.
pub(super) const DAMAGED: &str = "The file is damaged: stop novascale, keep a copy of the \
     directory, and put back a backup, or repair it with `sqlite3 state.db .recover`. Only if that \
     fails, move the file away: novascale then starts without state, knows its servers again by \
     `controller.id`, and holds the capacity that it finds";

fn primary(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|extended| extended & 0xff)
}
