//! Who may write, and how the clocks go on.

use novascale::domain::signal::Command;
use novascale::domain::time::{Now, Steady, Wall};
use novascale::store::{Lease, Store, StoreError};
use rstest::rstest;

use super::desk::*;

async fn every_write(store: &dyn Store, lease: &Lease) -> Vec<Result<(), StoreError>> {
    let admit = command(&web(), 9, Command::Set { capacity: 9 });
    vec![
        store.admit(lease, admit).await.map(|_| ()),
        store.record(lease, &decision(&web(), 9)).await,
        store.settle(lease, &web(), &[]).await,
        store.mark_time(lease, at(9)).await,
        store.probe(lease).await,
        store.sweep(lease, at(9)).await.map(|_| ()),
    ]
}

#[rstest]
#[tokio::test]
async fn an_older_lease_writes_nothing(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    stored(desk.admit(command(&web(), 1, Command::Set { capacity: 3 })).await);
    let newer = desk.take_over("pid 42 on host two").await;
    assert!(newer.epoch() > desk.lease.epoch());
    for refused in every_write(desk.store(), &desk.lease).await {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, StoreError::Fenced(_)), "{refused}");
        assert!(refused.to_string().contains("pid 42 on host two"), "{refused}");
    }
    let kept = desk.all(&web()).await;
    assert_eq!(kept.state.base, Some(3), "reading goes on, and nothing changed");
    assert!(desk.decisions(&web()).await.is_empty());
    assert_eq!(desk.marked().await, Some(at(1)));
    for done in every_write(desk.store(), &newer).await {
        done.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn every_start_has_an_epoch_of_its_own(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let before = desk.lease.clone();
    let desk = desk.restarted().await;
    assert!(desk.lease.epoch() > before.epoch());
    assert!(matches!(desk.store().probe(&before).await, Err(StoreError::Fenced(_))));
}

#[rstest]
#[tokio::test]
async fn every_write_notes_the_clocks(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    assert_eq!(desk.marked().await, None, "fresh state has no past");
    stored(desk.admit(command(&web(), 5, Command::Set { capacity: 1 })).await);
    assert_eq!(desk.marked().await, Some(at(5)));
    desk.record(&decision(&web(), 7)).await;
    assert_eq!(desk.marked().await, Some(at(7)));
    desk.store().mark_time(&desk.lease, at(9)).await.unwrap();
    let desk = desk.restarted().await;
    assert_eq!(desk.marked().await, Some(at(9)));
}

#[rstest]
#[tokio::test]
async fn the_steady_clock_never_goes_back(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let jumped = Now { wall: Wall(5), steady: Steady(90_000) };
    desk.store().mark_time(&desk.lease, at(60)).await.unwrap();
    desk.store().mark_time(&desk.lease, jumped).await.unwrap();
    stored(desk.admit(command(&web(), 30, Command::Set { capacity: 1 })).await);
    assert_eq!(desk.marked().await, Some(jumped));
}
