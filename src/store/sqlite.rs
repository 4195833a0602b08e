//! The embedded store: one SQLite file in the state directory.
//!
//! It must never answer before the disk has it, never write on another's behalf, never
//! replace a file that it cannot read, and never run on a network file system, where
//! SQLite's locks do not hold.
//!
//! A directory is claimed by a lock file (`dir`); the file in it is checked, or made
//! aside and renamed into place (`open`). From then on one task owns the one writing
//! connection (`writer`): it takes what waits in its queue, puts all of it into one
//! transaction, each write in a savepoint of its own, and answers each caller once COMMIT
//! has returned. So one sync of the disk serves many callers, and a caller that goes away
//! leaves nothing half done. Reads go beside it, on connections of their own, each in one
//! read transaction (`gather`). One file for each kind of write: `admit`, `record`,
//! `sweep`.
//!
//! SQLite as it is used here: WAL and `synchronous=FULL`, so that COMMIT means durable;
//! `BEGIN IMMEDIATE`, so that a transaction that reads first cannot fail with
//! SQLITE_BUSY_SNAPSHOT later. Sources: <https://www.sqlite.org/wal.html>,
//! <https://www.sqlite.org/lang_transaction.html>, <https://www.sqlite.org/howtocorrupt.html>.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqlitePool;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::writer::{Job, Write};
use super::{Admit, Admitted, Gathered, IdempotencyKey, Lease, Origin, Store, StoreError, Window};
use crate::domain::freeze::{Freeze, Freezes};
use crate::domain::id::{GroupName, InstallId, SignalName};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Decision;
use crate::domain::signal::{Ordered, Sample};
use crate::domain::time::{Now, Steady};

mod admit;
mod arrivals;
mod check;
mod dir;
mod fault;
mod gather;
mod open;
mod record;
mod rows;
mod samples;
mod sweep;
mod tx;
mod writer;

/// The database's file name within the state directory.
pub const FILE: &str = "state.db";

/// How a state directory is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose state it must be.
    pub install: InstallId,
    /// How long a write waits for a lock that another process holds on the file.
    pub busy: Duration,
    /// The most pages of 4 KiB that the file may grow to; beyond it writes are refused,
    /// as on a full disk.
    pub most_pages: Option<u32>,
    /// A transaction of so many samples writes their rows. One of more keeps them as a text, and
    /// their rows are written later, so many at a time.
    pub few: usize,
}

impl Options {
    pub fn new(install: InstallId) -> Self {
        Self { install, busy: Duration::from_secs(5), most_pages: None, few: 512 }
    }
}

/// State in one SQLite file. It is closed by [`close`](Self::close); dropped, it ends too,
/// but nobody waits for it.
#[derive(Debug)]
pub struct Sqlite {
    queue: mpsc::Sender<Job>,
    readers: SqlitePool,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
    home: dir::Home,
}

/// Writes that may wait at a time; beyond it callers wait to be let in.
const QUEUE_MOST: usize = 1024;
/// How long a write waits to be let in. Above [`Options::busy`], so that one locked
/// moment is not taken for an overload.
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a write waits for its answer once it was let in: a disk that takes longer
/// to sync is as good as broken.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

impl Sqlite {
    /// Opens the state in this directory, making both if they are not there, and says
    /// where it came from: `marked` is absent if the state is fresh.
    ///
    /// # Errors
    /// [`Unavailable`](StoreError::Unavailable) if another process holds the directory (it
    /// says which), if it cannot be written, or lies on a network file system;
    /// [`Foreign`](StoreError::Foreign) if the state is another installation's, another
    /// program's or a newer novascale's; [`Corrupt`](StoreError::Corrupt) if it is damaged.
    /// Nothing that is there is replaced.
    pub async fn open(dir: &Path, options: Options) -> Result<(Self, Origin), StoreError> {
        let home = dir::Home::claim(dir)?;
        let opened = open::open(&home, &options).await?;
        let (queue, jobs) = mpsc::channel(QUEUE_MOST);
        let stop = CancellationToken::new();
        let writer =
            writer::Writer::new((opened.conn, options.few), jobs, stop.clone(), home.clone());
        let writer = Mutex::new(Some(tokio::spawn(writer.run())));
        Ok((Self { queue, readers: opened.readers, stop, writer, home }, opened.origin))
    }

    /// Takes the lease: every earlier one is void. `holder` says to people who took it.
    pub async fn acquire(&self, holder: &str) -> Result<Lease, StoreError> {
        self.write(None, record::Acquire { holder: holder.to_owned() }).await
    }

    /// Whose state it is, and how the clocks stood when it was last written.
    pub async fn origin(&self) -> Result<Origin, StoreError> {
        gather::origin(&self.readers).await.map_err(|f| f.told("read the clocks", &self.home))
    }

    /// The newest commands first.
    pub async fn orders(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError> {
        let rows = gather::orders(&self.readers, group, limit).await;
        rows.map_err(|f| f.told(&format!("read the commands of {group}"), &self.home))
    }

    /// Writes what waits, refuses what comes later, and returns once the file is closed
    /// and the directory free for another.
    pub async fn close(&self) {
        self.stop.cancel();
        self.readers.close().await;
        let writer = self.writer.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(writer) = writer {
            let _ended = writer.await;
        }
        self.home.release();
    }

    /// Ready once nothing can be written any more: it was closed, or its writer ended by itself.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    async fn write<W: Write>(&self, lease: Option<&Lease>, work: W) -> Result<W::Out, StoreError> {
        let trying = work.trying();
        let (job, answer) = Job::new(lease.map(Lease::epoch), work);
        let refused = |why: &str| StoreError::Unavailable(format!("could not {trying}: {why}"));
        match timeout(QUEUE_PATIENCE, self.queue.send(job)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(refused("the store is closed, novascale is stopping")),
            Err(_) => return Err(refused(&self.slow("too many writes wait"))),
        }
        match timeout(ANSWER_PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(refused("the store was closed meanwhile, novascale is stopping")),
            Err(_) => Err(refused(&self.slow("no answer came within a minute"))),
        }
    }

    fn slow(&self, what: &str) -> String {
        let file = self.home.database();
        format!("{what} for the disk under {}; see whether it is overloaded", file.display())
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn admit(&self, lease: &Lease, admit: Admit) -> Result<Admitted, StoreError> {
        self.write(Some(lease), admit).await
    }

    async fn repeated(
        &self,
        group: &GroupName,
        key: &IdempotencyKey,
        now: Now,
    ) -> Result<bool, StoreError> {
        let repeated = async {
            let mut conn = self.readers.acquire().await?;
            admit::repeated(&mut conn, group, key, now).await
        };
        repeated.await.map_err(|f| f.told(&format!("read the keys of {group}"), &self.home))
    }

    async fn gather(&self, group: &GroupName, since: Window) -> Result<Gathered, StoreError> {
        let gathered = gather::gather(&self.readers, group, since).await;
        gathered.map_err(|f| f.told(&format!("read the state of {group}"), &self.home))
    }

    async fn record(&self, lease: &Lease, decision: &Decision) -> Result<(), StoreError> {
        self.write(Some(lease), record::Record::of(decision)).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        group: &GroupName,
        outcomes: &[Outcome],
    ) -> Result<(), StoreError> {
        let settle = record::Settle { group: group.clone(), outcomes: outcomes.to_vec() };
        self.write(Some(lease), settle).await
    }

    async fn history(
        &self,
        group: &GroupName,
        name: &SignalName,
        since: Steady,
    ) -> Result<Vec<Sample>, StoreError> {
        let rows = gather::history(&self.readers, group, name, since).await;
        rows.map_err(|f| f.told(&format!("read the samples of {group}"), &self.home))
    }

    async fn decisions(&self, group: &GroupName, limit: u32) -> Result<Vec<Decision>, StoreError> {
        let rows = gather::decisions(&self.readers, group, limit).await;
        rows.map_err(|f| f.told(&format!("read the decisions of {group}"), &self.home))
    }

    async fn commands(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError> {
        self.orders(group, limit).await
    }

    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        let groups = gather::groups(&self.readers).await;
        groups.map_err(|f| f.told("read the groups", &self.home))
    }

    async fn sweep(&self, lease: &Lease, now: Now) -> Result<u64, StoreError> {
        let mut gone = 0;
        for group in self.groups().await? {
            let mut after = Some(0);
            while let Some(from) = after {
                let sweep = sweep::Sweep::of(group.clone(), now, from);
                let swept = self.write(Some(lease), sweep).await?;
                gone += swept.rows;
                after = swept.more;
            }
        }
        Ok(gone)
    }

    async fn mark_time(&self, lease: &Lease, now: Now) -> Result<(), StoreError> {
        self.write(Some(lease), record::Mark(now)).await
    }

    async fn freeze_all(&self, lease: &Lease, freeze: Option<Freeze>) -> Result<(), StoreError> {
        self.write(Some(lease), record::FreezeAll(freeze)).await
    }

    async fn project(&self) -> Result<Option<String>, StoreError> {
        let bound = async {
            let mut conn = self.readers.acquire().await?;
            gather::project(&mut conn).await
        };
        bound.await.map_err(|f| f.told("read the project", &self.home))
    }

    async fn bind(&self, lease: &Lease, project: &str) -> Result<String, StoreError> {
        self.write(Some(lease), record::Bind(project.to_owned())).await
    }

    async fn freezes(&self, group: &GroupName) -> Result<Freezes, StoreError> {
        let freezes = gather::freezes(&self.readers, group).await;
        freezes.map_err(|f| f.told(&format!("read the freezes of {group}"), &self.home))
    }

    async fn probe(&self, lease: &Lease) -> Result<(), StoreError> {
        self.write(Some(lease), record::Probe).await
    }
}
