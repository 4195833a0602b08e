//! From a directory to a database that can be trusted.
//!
//! A new database is made aside under another name and renamed once it is complete, so
//! that a file of the right name is always a whole one: one that is empty or cut off is
//! damage, never a first start. Of what is there, nothing is changed before it has shown
//! that it is a novascale's, undamaged, this installation's, and not a newer version's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::dir::Home;
use super::fault::{DAMAGED, told};
use super::{Options, check, gather};
use crate::domain::id::InstallId;
use crate::killpoint;
use crate::store::install::sync_dir;
use crate::store::lock::unusable;
use crate::store::{Origin, StoreError};

/// Marks the file as ours (`PRAGMA application_id`): "NOVA".
const APPLICATION: i32 = 0x4e4f_5641;

/// What every SQLite file begins with. Source: sqlite.org/fileformat.html § 1.3.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// One reads while another waits; every connection is a thread and a cache of its own.
const READERS: u32 = 2;
/// How long a read waits for one of them.
const READER_PATIENCE: Duration = Duration::from_secs(5);

/// Every change of the schema, oldest first. A file that was released is never edited.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "start", include_str!("../migrations/sqlite/0001_start.sql")),
    (2, "envelope", include_str!("../migrations/sqlite/0002_envelope.sql")),
    (3, "signals", include_str!("../migrations/sqlite/0003_signals.sql")),
    (4, "arrivals", include_str!("../migrations/sqlite/0004_arrivals.sql")),
];

pub(super) struct Opened {
    pub(super) conn: SqliteConnection,
    pub(super) readers: SqlitePool,
    pub(super) origin: Origin,
}

pub(super) async fn open(home: &Home, options: &Options) -> Result<Opened, StoreError> {
    let path = home.database();
    if !exists(home)? {
        create(home, options).await?;
    }
    check_header(home)?;
    let trying = "open the state";
    let connect = connect_options(&path, options);
    let mut conn = connect.connect().await.map_err(|e| told(trying, home, &e))?;
    check_ours(&mut conn, home).await?;
    check_whole(&mut conn, home).await?;
    use_wal(&mut conn, home).await?;
    migrate(&mut conn, home).await?;
    check::check(&mut conn, home).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(READER_PATIENCE)
        .connect_lazy_with(connect.read_only(true));
    let origin = gather::origin(&readers).await.map_err(|f| f.told(trying, home))?;
    check_install(&origin, &options.install, home)?;
    Ok(Opened { conn, readers, origin })
}

fn connect_options(path: &Path, options: &Options) -> SqliteConnectOptions {
    let mut connect = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.busy)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Schema text in a tampered file may call no function with side effects.
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        // 1 MB for each connection; the system caches the file as well.
        .pragma("cache_size", "-1024")
        // The same pages are written over and over: they are moved from the log into the file once
        // in so many, and after a burst the log shrinks to as many bytes again.
        .pragma("wal_autocheckpoint", "4096")
        .pragma("journal_size_limit", "16777216")
        .thread_name(|n| format!("state-{n}"))
        .disable_statement_logging();
    if let Some(most) = options.most_pages {
        connect = connect.pragma("max_page_count", most.to_string());
    }
    connect
}

/// Whether there is a database. A log without its database is what somebody left behind
/// who removed half of the state; a new database would swallow it.
fn exists(home: &Home) -> Result<bool, StoreError> {
    let path = home.database();
    let there = |path: &Path| path.try_exists().map_err(|e| unusable(path, &e));
    if there(&path)? {
        return Ok(true);
    }
    let log = with_suffix(&path, "-wal");
    if there(&log)? {
        return Err(StoreError::Corrupt(format!(
            "{} is missing, but its log {} is there: half of the state was removed. Put the \
             database back; or, to start without state, remove the log too",
            path.display(),
            log.display()
        )));
    }
    Ok(false)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

async fn create(home: &Home, options: &Options) -> Result<(), StoreError> {
    let (path, aside) = (home.database(), home.dir().join("state.db.new"));
    for leftover in ["", "-wal", "-shm", "-journal"] {
        let leftover = with_suffix(&aside, leftover);
        match fs::remove_file(&leftover) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unusable(&leftover, &e)),
            _ => {}
        }
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
    made.map_err(|e| unusable(&aside, &e))?;
    fill(home, &aside, options).await?;
    killpoint::reached("start.made");
    let placed = fs::rename(&aside, &path).and_then(|()| sync_dir(home.dir()));
    placed.map_err(|e| unusable(&path, &e))
}

async fn fill(home: &Home, aside: &Path, options: &Options) -> Result<(), StoreError> {
    let connect = connect_options(aside, options).pragma("application_id", APPLICATION.to_string());
    let trying = "make a new state";
    let mut conn = connect.connect().await.map_err(|e| told(trying, home, &e))?;
    migrate(&mut conn, home).await?;
    let insert = sqlx::query("INSERT INTO controller (only, install) VALUES (1, ?)");
    let inserted = insert.bind(options.install.as_str()).execute(&mut conn).await;
    inserted.map_err(|e| told(trying, home, &e))?;
    conn.close().await.map_err(|e| told(trying, home, &e))
}

/// Read before SQLite opens the file: closing any other descriptor of a file drops the
/// locks that a process holds on it. Source: sqlite.org/howtocorrupt.html § 2.2.
fn check_header(home: &Home) -> Result<(), StoreError> {
    let path = home.database();
    let mut head = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(16).read_to_end(&mut head));
    read.map_err(|e| unusable(&path, &e))?;
    if head == MAGIC {
        return Ok(());
    }
    let what = if head.is_empty() { "is empty" } else { "is no SQLite database" };
    Err(StoreError::Corrupt(format!("{} {what}. {DAMAGED}", path.display())))
}

async fn check_ours(conn: &mut SqliteConnection, home: &Home) -> Result<(), StoreError> {
    let id: i32 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(conn)
        .await
        .map_err(|e| told("read the header", home, &e))?;
    if id == APPLICATION {
        return Ok(());
    }
    Err(StoreError::Foreign(format!(
        "{} is another program's database (application id {id:#x}). Name another directory in \
         `controller.state_dir`",
        home.database().display()
    )))
}

async fn check_whole(conn: &mut SqliteConnection, home: &Home) -> Result<(), StoreError> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(conn)
        .await
        .map_err(|e| told("check the state", home, &e))?;
    if verdict == "ok" {
        return Ok(());
    }
    let file = home.database();
    Err(StoreError::Corrupt(format!("{}: {verdict}. {DAMAGED}", file.display())))
}

async fn use_wal(conn: &mut SqliteConnection, home: &Home) -> Result<(), StoreError> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL")
        .fetch_one(conn)
        .await
        .map_err(|e| told("prepare the state", home, &e))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "the file system under {} allows no write-ahead log (SQLite fell back to {mode}). Name a \
         directory on a local disk in `controller.state_dir`",
        home.dir().display()
    )))
}

async fn migrate(conn: &mut SqliteConnection, home: &Home) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let run = Migrator::with_migrations(migrations.into()).run_direct(None, conn, false).await;
    run.map_err(|error| unmigrated(home, &error))
}

fn unmigrated(home: &Home, error: &MigrateError) -> StoreError {
    let file = home.database();
    let known = MIGRATIONS.last().map_or(0, |(version, _, _)| *version);
    #[expect(clippy::wildcard_enum_match_arm, reason = "non-exhaustive, and one text for the rest")]
    match error {
        MigrateError::VersionMissing(version) => StoreError::Foreign(format!(
            "{} was written by a newer novascale: its schema is {version}, this one knows \
             {known}. Use the newer version, or put back a backup from before it",
            file.display()
        )),
        MigrateError::VersionMismatch(version) => StoreError::Foreign(format!(
            "{} was written by another build of novascale: its schema {version} differs from this \
             one's. Use that build, or another `controller.state_dir`",
            file.display()
        )),
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => {
            told("bring the schema up to date", home, e)
        }
        other => StoreError::Unavailable(format!(
            "could not bring the schema of {} up to date: {other}. Keep a copy of the file, and \
             report this",
            file.display()
        )),
    }
}

fn check_install(origin: &Origin, install: &InstallId, home: &Home) -> Result<(), StoreError> {
    if origin.install == *install {
        return Ok(());
    }
    Err(StoreError::Foreign(format!(
        "{} belongs to the installation {}, but the install id is {install}: the servers in it \
         would be strangers. Put {} back into the file `{}` of the state directory (or set \
         `controller.id` to it); or, to start without this state, move its directory away",
        home.database().display(),
        origin.install,
        origin.install,
        crate::store::install::FILE
    )))
}
