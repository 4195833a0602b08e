//! What passes conclude: kept as a whole, handed back as it was.

use std::time::Duration;

use novascale::domain::adoption::{Adoptees, Former, Over};
use novascale::domain::claim::{Held, Memory, Peak};
use novascale::domain::id::{IntentId, LaunchId, ServerId, Zone};
use novascale::domain::intent::{Intent, State, Terminate, Trouble, What};
use novascale::domain::outcome::{CallResult, Failure, FailureKind, Outcome};
use novascale::domain::plan::{Action, Cause, Changes, Decision};
use novascale::domain::server::{KnownState, Ownership};
use novascale::domain::signal::Command;
use novascale::domain::time::Steady;
use novascale::store::{Gathered, StoreError, Window};
use rstest::rstest;

use super::desk::*;

fn failure(kind: FailureKind) -> Failure {
    let mut failure = Failure::new(kind, "POST /servers on Nova failed").hint("wait").key("cloud");
    failure.status = Some(503);
    failure.request_id = Some("req-1".into());
    failure.retry_after = Some(Duration::from_millis(2_500));
    failure
}

fn kinds() -> [FailureKind; 11] {
    [
        FailureKind::Busy,
        FailureKind::Quota { fits: None },
        FailureKind::Quota { fits: Some(3) },
        FailureKind::Capacity,
        FailureKind::Refused,
        FailureKind::Denied,
        FailureKind::Gone,
        FailureKind::Conflict,
        FailureKind::Unreached,
        FailureKind::Held,
        FailureKind::Unclear,
    ]
}

fn server(id: &str) -> ServerId {
    ServerId::new(id).unwrap()
}

fn termination(bits: u128, secs: u64, cause: Cause) -> Intent {
    let what = What::Terminate(Terminate { server: server("s"), cause, served: true, attempts: 2 });
    Intent { what, ..intent(&web(), bits, secs, State::Open) }
}

/// One of every kind.
fn every_intent() -> Vec<Intent> {
    let states = [
        State::Open,
        State::Accepted { at: at(2), first: Some(server("s1")), short: Some(at(3)) },
        State::Accepted { at: at(2), first: None, short: None },
        State::Unsettled { since: at(3), absent: Some(at(4)) },
        State::Unsettled { since: at(3), absent: None },
        State::Abandoned { since: at(5) },
        State::Closed { at: at(6), done: 2 },
    ];
    let launches = (1..).zip(states).map(|(bits, state)| intent(&web(), bits, 10, state));
    let ends = (20..).zip([Cause::Surplus, Cause::Error, Cause::Stuck]);
    let ends = ends.map(|(bits, cause)| termination(bits, 11, cause));
    let troubles = (30..).zip(kinds()).map(|(bits, kind)| Intent {
        trouble: Some(Trouble { at: at(7), failure: failure(kind) }),
        ..intent(&web(), bits, 12, State::Open)
    });
    launches.chain(ends).chain(troubles).collect()
}

fn everything() -> Gathered {
    let states = [KnownState::Listed, KnownState::Missing, KnownState::Gone, KnownState::Detached];
    let owners = [Ownership::Ours, Ownership::Foreign, Ownership::OtherInstall, Ownership::Ours];
    let known = states.into_iter().zip(owners).enumerate().map(|(i, (state, ownership))| {
        let mut known = known(&format!("s{i}"), state, 3);
        known.ownership = ownership;
        known.zone = Some(Zone::new("az1").unwrap());
        known.launch = Some(LaunchId::from_bits(9));
        known.failure = Some(kinds()[i]);
        known
    });
    let memory = Memory {
        changed: Some(Steady(4)),
        peaks: vec![Peak { until: Steady(9), wanted: 7 }],
        held: Some(Held { capacity: 4, since: Steady(1), adopted: false, took: false }),
        ..memory(5)
    };
    let (memory, intents) = (Some(memory), every_intent());
    Gathered { memory, intents, known: known.collect(), ..Gathered::default() }
}

fn changes(gathered: &Gathered) -> Changes {
    Changes {
        memory: gathered.memory.clone(),
        intents: gathered.intents.clone(),
        known: gathered.known.clone(),
        ..Changes::default()
    }
}

#[rstest]
#[tokio::test]
async fn what_is_recorded_comes_back_as_it_was(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let everything = everything();
    let mut pass = eventful(&web(), 20, changes(&everything));
    let (intent, cause) = (IntentId::from_bits(20), Cause::Surplus);
    pass.plan = vec![Action::Terminate { intent, server: server("s"), cause }];
    desk.record(&pass).await;
    let desk = desk.restarted().await;
    assert_eq!(desk.all(&web()).await, everything);
    let bare = Decision { changes: Changes::default(), ..pass };
    assert_eq!(desk.decisions(&web()).await, [bare]);
    assert_eq!(desk.all(&group("api")).await, Gathered::default());
}

#[rstest]
#[tokio::test]
async fn an_adoption_that_is_over_leaves_the_state_and_a_later_one_stays(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let adopt = |ids: &[&str]| {
        let servers = ids.iter().map(|id| server(id)).collect();
        Command::Adopt(Adoptees::Servers { servers, untagged: true })
    };
    let former = Former { group: group("old"), tag: "novascale:old".parse().unwrap() };
    desk.admit(command(&web(), 10, adopt(&["a", "b"]))).await.unwrap();
    let renamed = Command::Adopt(Adoptees::renamed(former.clone()));
    desk.admit(command(&web(), 10, renamed)).await.unwrap();
    desk.admit(command(&web(), 30, adopt(&["c"]))).await.unwrap();
    let servers = ["a", "c"].map(server).into();
    let adopted = Over { servers, former: [former].into() };
    desk.record(&eventful(&web(), 20, Changes { adopted, ..Changes::default() })).await;
    let desk = desk.restarted().await;
    let left = desk.all(&web()).await.state.adoptions;
    let left: Vec<Adoptees> = left.into_iter().map(|order| order.what).collect();
    let servers = |id| Adoptees::Servers { servers: [server(id)].into(), untagged: true };
    assert_eq!(left, [servers("b"), servers("c")]);
}

#[rstest]
#[tokio::test]
async fn a_later_record_moves_on_what_an_earlier_one_brought(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    desk.record(&eventful(&web(), 20, changes(&everything()))).await;
    let closed = intent(&web(), 1, 10, State::Closed { at: at(30), done: 1 });
    let gone = known("s0", KnownState::Gone, 30);
    let next = Changes {
        memory: Some(memory(8)),
        intents: vec![closed.clone()],
        known: vec![gone.clone()],
        ..Changes::default()
    };
    desk.record(&eventful(&web(), 30, next)).await;
    let now = desk.all(&web()).await;
    assert_eq!(now.memory, Some(memory(8)));
    assert_eq!(now.intents[0], closed);
    assert_eq!(now.known[0], gone);
    assert_eq!(now.intents[1..], everything().intents[1..]);
}

#[rstest]
#[tokio::test]
async fn what_ended_is_seen_for_a_while_and_what_lives_always(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    desk.record(&eventful(&web(), 20, changes(&everything()))).await;
    let seen = async |now: u64| {
        let (signals, past) = (Duration::ZERO, Duration::from_secs(60));
        let window = Window { now: at(now), signals, past };
        let gathered = desk.store().gather(&web(), window).await.unwrap();
        (gathered.intents.len(), gathered.known.len())
    };
    assert_eq!(seen(60).await, (21, 4));
    assert_eq!(seen(64).await, (21, 2), "gone servers of second 3 are out of sight");
    assert_eq!(seen(67).await, (20, 2), "and so is the intent closed at second 6");
    assert_eq!(seen(1_000_000).await, (20, 2));
}

#[rstest]
#[tokio::test]
async fn outcomes_move_their_intents_on(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let mut results = vec![
        CallResult::Launched { first: Some(server("s1")) },
        CallResult::Launched { first: None },
        CallResult::Deleting,
        CallResult::Gone,
        CallResult::Detached,
        CallResult::Withheld { why: "locked".into() },
        CallResult::NotSent { why: "the plan is old".into() },
    ];
    results.extend(kinds().map(|kind| CallResult::Refused(failure(kind))));
    results.extend(kinds().map(|kind| CallResult::Unclear(failure(kind))));
    let outcomes: Vec<_> = (1..)
        .zip(results)
        .map(|(bits, result)| Outcome { intent: IntentId::from_bits(bits), at: at(30), result })
        .collect();
    let open: Vec<_> =
        (1..).zip(&outcomes).map(|(bits, _)| termination(bits, 20, Cause::Surplus)).collect();
    let changes = Changes { intents: open.clone(), ..Changes::default() };
    desk.record(&eventful(&web(), 20, changes)).await;
    desk.store().settle(&desk.lease, &web(), &outcomes).await.unwrap();
    let expected: Vec<_> = open.iter().zip(&outcomes).map(|(i, o)| i.after(o)).collect();
    let desk = desk.restarted().await;
    assert_eq!(desk.all(&web()).await.intents, expected);
}

#[rstest]
#[tokio::test]
async fn an_outcome_without_its_intent_is_an_alarm(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let open = vec![intent(&web(), 1, 20, State::Open)];
    let changes = Changes { intents: open.clone(), ..Changes::default() };
    desk.record(&eventful(&web(), 20, changes)).await;
    let outcome = |bits| Outcome {
        intent: IntentId::from_bits(bits),
        at: at(30),
        result: CallResult::Launched { first: None },
    };
    let both = [outcome(1), outcome(2)];
    let refused = desk.store().settle(&desk.lease, &web(), &both).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt(_)), "{refused}");
    assert!(refused.to_string().contains(IntentId::from_bits(2).as_str()), "{refused}");
    assert_eq!(desk.all(&web()).await.intents, open, "done as a whole or not at all");
    let elsewhere = desk.store().settle(&desk.lease, &group("api"), &[outcome(1)]).await;
    assert!(matches!(elsewhere, Err(StoreError::Corrupt(_))), "another group's intent");
}

#[rstest]
#[tokio::test]
async fn a_fleet_at_rest_leaves_the_first_and_last_of_its_passes(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    for secs in (0..=600).step_by(15) {
        desk.record(&decision(&web(), secs)).await;
        desk.record(&decision(&group("api"), secs)).await;
    }
    desk.record(&eventful(&web(), 615, Changes::default())).await;
    desk.record(&decision(&web(), 630)).await;
    let times: Vec<_> = desk.decisions(&web()).await.iter().map(|d| d.at).collect();
    assert_eq!(times, [at(630), at(615), at(600), at(0)]);
    let newest = desk.store().decisions(&group("api"), 1).await.unwrap();
    assert_eq!(newest.iter().map(|d| d.at).collect::<Vec<_>>(), [at(600)]);
}

#[rstest]
#[tokio::test]
async fn memory_is_kept_even_where_the_pass_is_not(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    desk.record(&decision(&web(), 0)).await;
    let changes = Changes { memory: Some(memory(4)), ..Changes::default() };
    desk.record(&Decision { changes, ..decision(&web(), 15) }).await;
    let desk = desk.restarted().await;
    assert_eq!(desk.all(&web()).await.memory, Some(memory(4)));
    assert_eq!(desk.decisions(&web()).await.len(), 1);
}
