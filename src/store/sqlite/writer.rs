//! The one task that writes.
//!
//! It takes all that waits, up to a bound, and makes one transaction of it: one sync of
//! the disk for many callers. A write with statements of its own stands in a savepoint, so that one
//! that is refused takes nothing else with it. What many of them change alike, the states of groups and
//! samples, they hand to the transaction, which writes it once at its end. Nobody is answered
//! before COMMIT has returned; if COMMIT fails, or SQLite ended the transaction, every write of the
//! batch has failed.

use std::mem;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::dir::Home;
use super::fault::{self, Fault};
use super::samples::Samples;
use super::tx::Tx;
use crate::killpoint;
use crate::store::StoreError;

/// One kind of write.
#[async_trait]
pub(super) trait Write: Send + Sync + 'static {
    type Out: Send + Sync + 'static;

    /// As in "could not …".
    fn trying(&self) -> String;

    /// What the points around its commit are called by.
    fn word(&self) -> &'static str;

    /// What it stands on.
    fn footing(&self) -> Footing {
        Footing::Savepoint
    }

    /// Its statements. An error undoes all of them, but nothing that was handed to the transaction:
    /// that is done last, once nothing can fail any more.
    async fn write(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault>;
}

/// What a write needs of its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Footing {
    /// Nothing: it only reads, and hands over what it changes.
    None,
    /// That its statements can be undone.
    Savepoint,
    /// That, too, and that whatever was handed over before stands in the tables, which it changes.
    Written,
}

/// A write that waits, with whoever waits for it.
pub(super) struct Job {
    epoch: Option<u64>,
    trying: String,
    word: &'static str,
    work: Box<dyn Work>,
}

impl Job {
    pub(super) fn new<W: Write>(
        epoch: Option<u64>,
        write: W,
    ) -> (Self, oneshot::Receiver<Result<W::Out, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let (trying, word) = (write.trying(), write.word());
        let work = Box::new(Pending { write, out: None, reply });
        (Self { epoch, trying, word, work }, answer)
    }
}

/// [`Write`] without its type.
#[async_trait]
trait Work: Send + Sync {
    /// Whether nobody waits for it any more.
    fn forsaken(&self) -> bool;
    fn footing(&self) -> Footing;
    async fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;
    /// Hands over what `run` came to.
    fn done(self: Box<Self>);
    fn failed(self: Box<Self>, error: StoreError);
}

struct Pending<W: Write> {
    write: W,
    out: Option<W::Out>,
    reply: oneshot::Sender<Result<W::Out, StoreError>>,
}

#[async_trait]
impl<W: Write> Work for Pending<W> {
    fn forsaken(&self) -> bool {
        self.reply.is_closed()
    }

    fn footing(&self) -> Footing {
        self.write.footing()
    }

    async fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.out = Some(self.write.write(tx).await?);
        Ok(())
    }

    fn done(self: Box<Self>) {
        if let Some(out) = self.out {
            // Whoever asked may be gone by now; it is written all the same.
            let _gone = self.reply.send(Ok(out));
        }
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _gone = self.reply.send(Err(error));
    }
}

/// The most writes of one transaction: bounds how long the first waits for the last.
const BATCH_MOST: usize = 256;

/// Once nobody has written for so long, rows that wait are written.
const PAUSE: Duration = Duration::from_millis(5);

/// The owner of the writing connection.
pub(super) struct Writer {
    conn: SqliteConnection,
    samples: Samples,
    jobs: mpsc::Receiver<Job>,
    stop: CancellationToken,
    home: Home,
}

impl Writer {
    pub(super) fn new(
        (conn, few): (SqliteConnection, usize),
        jobs: mpsc::Receiver<Job>,
        stop: CancellationToken,
        home: Home,
    ) -> Self {
        Self { conn, samples: Samples::new(few), jobs, stop, home }
    }

    /// Ends when it is told to stop or nobody can ask any more; what waits then is written.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if !self.jobs.is_closed() => self.jobs.close(),
                taken = self.jobs.recv_many(&mut batch, BATCH_MOST) => match taken {
                    0 => break,
                    _ => self.commit(mem::take(&mut batch)).await,
                },
                () = sleep(PAUSE), if self.samples.pending() => self.go_on().await,
            }
        }
        while self.samples.pending() {
            self.go_on().await;
        }
        // The last connection to close empties the log, but a reader may close after this one:
        // a state at rest is one file, which can be copied as it is.
        let emptied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.conn).await;
        if let Err(error) = emptied {
            warn!(%error, "the log was not emptied; the next start does it");
        }
        if let Err(error) = self.conn.close().await {
            warn!(%error, "the state was not closed well; the next start repairs it");
        }
    }

    /// A transaction without jobs.
    async fn go_on(&mut self) {
        if let Err(error) = self.transaction(&mut []).await {
            self.fails().await;
            debug!(%error, "rows of samples were not written; they are kept, and tried again");
        }
    }

    /// What was written is not known. It fails where SQLite rolled back by itself already.
    async fn fails(&mut self) {
        self.samples.forget();
        let _rolled_back = self.conn.execute("ROLLBACK").await;
    }

    async fn commit(&mut self, mut jobs: Vec<Job>) {
        jobs.retain(|job| !job.work.forsaken());
        if jobs.is_empty() {
            return;
        }
        match self.transaction(&mut jobs).await {
            Ok(refusals) => {
                jobs.iter().for_each(|job| killpoint::reached_in("committed.", job.word));
                for (job, refused) in jobs.into_iter().zip(refusals) {
                    match refused {
                        None => job.work.done(),
                        Some(error) => job.work.failed(error),
                    }
                }
            }
            Err(error) => {
                self.fails().await;
                for job in jobs {
                    job.work.failed(fault::told(&job.trying, &self.home, &error));
                }
            }
        }
    }

    /// One transaction of all jobs: what each was refused with, if it was. An error means
    /// that none of them was written.
    async fn transaction(
        &mut self,
        jobs: &mut [Job],
    ) -> Result<Vec<Option<StoreError>>, sqlx::Error> {
        let mut tx = Tx::begin(&mut self.conn, &mut self.samples).await?;
        let mut refusals = Vec::with_capacity(jobs.len());
        for job in &mut *jobs {
            refusals.push(one(&mut tx, job, &self.home).await?);
        }
        tx.end().await?;
        jobs.iter().for_each(|job| killpoint::reached_in("commit.", job.word));
        self.conn.execute("COMMIT").await?;
        Ok(refusals)
    }
}

/// One job on its footing. An error means that the whole transaction is lost.
async fn one(
    tx: &mut Tx<'_>,
    job: &mut Job,
    home: &Home,
) -> Result<Option<StoreError>, sqlx::Error> {
    if let Some(mine) = job.epoch
        && let Err(fenced) = tx.fence(mine)
    {
        return Ok(Some(fenced));
    }
    let footing = job.work.footing();
    if footing == Footing::Written || tx.samples.many() {
        tx.write().await?;
    }
    if footing == Footing::Written {
        tx.samples.forget();
    }
    let before = tx.latest;
    if footing != Footing::None {
        tx.conn.execute("SAVEPOINT one").await?;
    }
    let refused = job.work.run(tx).await.err();
    match &refused {
        Some(_) if footing != Footing::None => {
            tx.conn.execute("ROLLBACK TO one").await?;
            tx.conn.execute("RELEASE one").await?;
        }
        Some(Fault::Sql(_)) => still_open(tx.conn).await?,
        Some(Fault::Store(_)) => {}
        None if footing != Footing::None => {
            tx.conn.execute("RELEASE one").await?;
        }
        None => {}
    }
    if refused.is_some() {
        tx.latest = before;
    }
    Ok(refused.map(|fault| fault.told(&job.trying, home)))
}

/// Some failures end the transaction, and SQLite tells only by this: where one is open, no other
/// can begin.
async fn still_open(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    match conn.execute("BEGIN").await {
        Err(_) => Ok(()),
        Ok(_) => Err(sqlx::Error::Protocol("the transaction was ended by SQLite".to_owned())),
    }
}
