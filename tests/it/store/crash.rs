//! Crashes, cancelled callers, and stopping: what was acknowledged is there, nothing is
//! there twice, nothing half.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use novascale::domain::count::Bounds;
use novascale::domain::intent::State;
use novascale::domain::plan::Changes;
use novascale::domain::signal::Command;
use novascale::store::{
    Admit, Admitted, Lease, MemoryStore, Sqlite, Store, StoreError, What, Window,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::desk::*;

/// One more server, asked for once under this key.
fn one_more(n: u32) -> Admit {
    let what = What::Command(order(Command::Adjust { by: 1 }, 1), Bounds::new(0, 10_000));
    keyed(Admit { group: web(), what, key: None, at: at(1) }, &format!("k{n}"), 1)
}

async fn base(store: &dyn Store) -> Option<u32> {
    let ever = Duration::from_secs(1 << 40);
    let window = Window { now: at(0), signals: ever, past: ever };
    store.gather(&web(), window).await.unwrap().state.base
}

/// Asks for all of them again, as senders do that got no answer.
async fn retried(store: &Sqlite, n: u32) -> Vec<bool> {
    let lease = store.acquire("retry").await.unwrap();
    let answers = join_all((0..n).map(|i| store.admit(&lease, one_more(i)))).await;
    answers.into_iter().map(|a| matches!(a.unwrap(), Admitted::Repeated { .. })).collect()
}

/// A process that dies in the midst of it: its tasks are dropped wherever they stand.
/// Which keys were acknowledged by then.
fn killed_after(dir: &Path, callers: u32, answers: u32) -> Vec<u32> {
    let runtime = Runtime::new().unwrap();
    let acknowledged = runtime.block_on(async {
        let store = Arc::new(sqlite(dir).await);
        let lease = store.acquire("the first").await.unwrap();
        let (told, mut acknowledged) = mpsc::unbounded_channel();
        for n in 0..callers {
            let (store, lease, told) = (store.clone(), lease.clone(), told.clone());
            tokio::spawn(async move {
                store.admit(&lease, one_more(n)).await.unwrap();
                told.send(n).unwrap();
            });
        }
        let mut seen = Vec::new();
        for _ in 0..answers {
            seen.extend(acknowledged.recv().await);
        }
        seen
    });
    drop(runtime);
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_and_a_retry_applies_once() {
    for answers in [0, 1, 7, 40, 150] {
        let dir = TempDir::new().unwrap();
        let acknowledged = killed_after(dir.path(), 200, answers);
        Runtime::new().unwrap().block_on(async {
            let store = sqlite(dir.path()).await;
            let repeated = retried(&store, 200).await;
            for n in acknowledged {
                assert!(repeated[n as usize], "k{n} was acknowledged, then lost");
            }
            assert_eq!(base(&store).await, Some(200), "each applied exactly once");
            store.close().await;
        });
    }
}

/// Polls a future so many times, then drops it; whether it was done by then.
async fn dropped_after<T>(polls: u32, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_callers_leave_nothing_half_done() {
    let dir = TempDir::new().unwrap();
    let store = sqlite(dir.path()).await;
    let lease = store.acquire("the test").await.unwrap();
    let mut done = Vec::new();
    for n in 0..200 {
        let changes = Changes {
            memory: Some(memory(n)),
            intents: vec![intent(&web(), u128::from(n), 1, State::Open)],
            ..Changes::default()
        };
        let pass = eventful(&web(), u64::from(n), changes);
        dropped_after(n % 7, store.record(&lease, &pass)).await;
        done.push(dropped_after(n % 11, store.admit(&lease, one_more(n))).await);
    }
    store.close().await;
    let store = sqlite(dir.path()).await;
    let ever = Duration::from_secs(1 << 40);
    let window = Window { now: at(0), signals: ever, past: ever };
    let kept = store.gather(&web(), window).await.unwrap();
    let passes = store.decisions(&web(), 1000).await.unwrap();
    assert_eq!(kept.intents.len(), passes.len(), "each pass came with its intent");
    assert_eq!(kept.memory, passes.first().map(|pass| memory(pass.desired)));
    for (repeated, done) in retried(&store, 200).await.into_iter().zip(done) {
        assert!(repeated || !done, "answered, then lost");
    }
    assert_eq!(base(&store).await, Some(200));
}

#[tokio::test]
async fn closing_writes_what_waits_and_refuses_the_rest() {
    let dir = TempDir::new().unwrap();
    let store = sqlite(dir.path()).await;
    let lease = store.acquire("the test").await.unwrap();
    let mut waiting: Vec<_> = (0..50).map(|n| Box::pin(store.admit(&lease, one_more(n)))).collect();
    for future in &mut waiting {
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending(), "queued by now");
    }
    let mut ended = Box::pin(store.ended());
    assert!(ended.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    store.close().await;
    ended.await;
    for answer in join_all(waiting).await {
        answer.unwrap();
    }
    let late = store.admit(&lease, one_more(50)).await.unwrap_err();
    assert!(matches!(&late, StoreError::Unavailable(why) if why.contains("closed")), "{late}");
    let unread = store.decisions(&web(), 1).await;
    assert!(matches!(unread, Err(StoreError::Unavailable(_))));
    store.close().await;
    assert!(!dir.path().join("state.db-wal").exists(), "nothing is left to repair");
    assert_eq!(base(&sqlite(dir.path()).await).await, Some(50));
}

fn plain() -> (MemoryStore, Lease) {
    let store = MemoryStore::new(install());
    let lease = store.acquire("the test");
    (store, lease)
}

#[tokio::test]
async fn the_plain_store_loses_what_was_not_synced() {
    let (store, lease) = plain();
    store.sync_admits(false);
    store.admit(&lease, one_more(0)).await.unwrap();
    store.sync();
    store.admit(&lease, one_more(1)).await.unwrap();
    assert_eq!(base(&store).await, Some(2), "visible at once");
    store.crash();
    assert_eq!(base(&store).await, Some(1));
    let again = store.admit(&lease, one_more(1)).await.unwrap();
    assert!(matches!(again, Admitted::Stored { .. }), "its key was lost with it");
    store.record(&lease, &decision(&web(), 1)).await.unwrap();
    store.crash();
    assert_eq!(base(&store).await, Some(2), "a pass makes all before it durable");
}

#[tokio::test]
async fn the_plain_store_syncs_every_method_by_default() {
    let (store, lease) = plain();
    store.admit(&lease, one_more(0)).await.unwrap();
    store.mark_time(&lease, at(9)).await.unwrap();
    store.crash();
    assert_eq!((base(&store).await, store.origin().marked), (Some(1), Some(at(9))));
}
