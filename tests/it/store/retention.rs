//! Every table has an end.

use novascale::domain::id::ServerId;
use novascale::domain::intent::State;
use novascale::domain::plan::Changes;
use novascale::domain::server::KnownState;
use novascale::domain::signal::Command;
use novascale::store::keep;
use rstest::rstest;

use super::desk::*;

const DAY: u64 = 86_400;
const NEWEST: u64 = keep::NEWEST.as_secs();

#[rstest]
#[tokio::test]
async fn what_is_old_goes_and_what_lives_stays(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let intents = vec![
        intent(&web(), 1, 0, State::Open),
        intent(&web(), 2, 0, State::Abandoned { since: at(0) }),
        intent(&web(), 3, 0, State::Closed { at: at(0), done: 0 }),
        intent(&web(), 4, 0, State::Closed { at: at(60), done: 0 }),
    ];
    let known = vec![
        known("gone", KnownState::Gone, 0),
        known("listed", KnownState::Listed, 0),
        known("missing", KnownState::Missing, 0),
    ];
    let memory = Some(memory(3));
    let changes = Changes { intents, known, memory: memory.clone(), ..Changes::default() };
    desk.record(&eventful(&web(), 0, changes)).await;
    desk.record(&eventful(&web(), 60, Changes::default())).await;
    stored(desk.admit(command(&web(), 0, Command::Set { capacity: 3 })).await);
    let sweep = async |secs| desk.store().sweep(&desk.lease, at(secs)).await.unwrap();
    assert_eq!(sweep(7 * DAY).await, 0, "kept for the whole span");
    assert_eq!(sweep(7 * DAY + 1).await, 4);
    let kept = desk.all(&web()).await;
    let left: Vec<_> = kept.intents.iter().map(|i| i.id.bits()).collect();
    assert_eq!(left, [1, 4]);
    assert_eq!(kept.known.iter().map(|k| k.id.as_str()).collect::<Vec<_>>(), ["listed", "missing"]);
    assert_eq!((kept.memory, kept.state.base), (memory, Some(3)));
    assert_eq!(desk.decisions(&web()).await.len(), 1);
    assert_eq!(desk.orders(&web()).await.len(), 1);
    assert_eq!(sweep(30 * DAY + 1).await, 3, "a decision, an intent, and the command");
    assert_eq!(desk.all(&web()).await.state.base, Some(3), "what was ordered holds");
    assert_eq!(sweep(30 * DAY + 1).await, 0);
}

#[rstest]
#[tokio::test]
async fn signals_and_keys_are_forgotten_in_their_time(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let one = with_id(sample("load", 1.0, 0, 0), "a");
    stored(desk.admit(keyed(samples(&web(), 0, vec![one]), "k", 1)).await);
    let sweep = async |secs| desk.store().sweep(&desk.lease, at(secs)).await.unwrap();
    assert_eq!(sweep(7_200).await, 0);
    assert_eq!(sweep(7_201).await, 1, "the window's copy");
    assert!(desk.history(&web(), "load").await.is_empty());
    assert_eq!(desk.all(&web()).await.samples.len(), 1);
    assert_eq!(sweep(DAY).await, 0);
    assert_eq!(sweep(DAY + 1).await, 2, "its id and the key");
    assert_eq!(sweep(NEWEST).await, 0);
    assert_eq!(sweep(NEWEST + 1).await, 2, "the newest and its name");
    assert!(desk.all(&web()).await.samples.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_name_that_nobody_sends_makes_room(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let named = |from: u32, secs: u64| {
        let range = from..from + keep::NAMES_MOST;
        let each = range.map(|i| sample(&format!("n{i}"), 1.0, secs, secs));
        samples(&web(), secs, each.collect())
    };
    stored(desk.admit(named(0, 0)).await);
    assert!(desk.admit(named(1, NEWEST)).await.is_err());
    desk.store().sweep(&desk.lease, at(NEWEST + 1)).await.unwrap();
    assert_eq!(stored(desk.admit(named(1, NEWEST + 2)).await).0, keep::NAMES_MOST);
}

/// Who has fallen silent still serves; who has left is not listened to, whatever is sent.
#[rstest]
#[tokio::test]
async fn the_last_word_of_a_server_is_kept_while_it_is_a_member(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let know = async |state, secs| {
        let known = vec![known("s1", state, secs)];
        desk.record(&eventful(&web(), secs, Changes { known, ..Changes::default() })).await;
    };
    let on = |server: &str, secs| {
        let mut one = sample("load", 1.0, secs, secs);
        one.sample.server = Some(ServerId::new(server).unwrap());
        one
    };
    let servers = async || {
        let kept = desk.all(&web()).await.samples;
        kept.iter().filter_map(|s| s.server.as_ref().map(ToString::to_string)).collect::<Vec<_>>()
    };
    let sweep = async |secs| desk.store().sweep(&desk.lease, at(secs)).await.unwrap();
    know(KnownState::Listed, 0).await;
    stored(desk.admit(samples(&web(), 0, vec![on("s1", 0), on("stranger", 0)])).await);
    assert_eq!(servers().await, ["s1", "stranger"]);
    sweep(2 * NEWEST).await;
    assert_eq!(servers().await, ["s1"]);

    know(KnownState::Gone, 2 * NEWEST).await;
    stored(desk.admit(samples(&web(), 2 * NEWEST, vec![on("s1", 2 * NEWEST)])).await);
    assert!(servers().await.is_empty());
    know(KnownState::Listed, 2 * NEWEST + 60).await;
    assert_eq!(servers().await, ["s1"], "it is a member again");
    know(KnownState::Gone, 2 * NEWEST + 120).await;
    sweep(2 * NEWEST + 120 + 3_601).await;
    know(KnownState::Listed, 2 * NEWEST + 4_000).await;
    assert!(servers().await.is_empty(), "it makes room for others");
}

#[rstest]
#[tokio::test]
async fn of_many_the_newest_stay(#[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind) {
    let desk = kind.open().await;
    let surplus = 3;
    let decisions = (0..keep::DECISIONS_MOST + surplus)
        .map(|i| eventful(&web(), u64::from(i), Changes::default()))
        .collect::<Vec<_>>();
    let written = decisions.iter().map(|d| desk.store().record(&desk.lease, d));
    for done in futures_util::future::join_all(written).await {
        done.unwrap();
    }
    let closed = |i: u32| {
        let (at, bits) = (at(u64::from(i)), u128::from(i));
        intent(&web(), bits, 0, State::Closed { at, done: 0 })
    };
    let gone = |i: u32| known(&format!("s{i}"), KnownState::Gone, u64::from(i));
    let changes = Changes {
        intents: (0..keep::INTENTS_MOST + surplus).map(closed).collect(),
        known: (0..keep::KNOWN_MOST + surplus).map(gone).collect(),
        ..Changes::default()
    };
    desk.record(&eventful(&web(), 9_999, changes)).await;
    let swept = desk.store().sweep(&desk.lease, at(10_000)).await.unwrap();
    assert_eq!(swept, u64::from(3 * surplus + 1));
    let decisions = desk.decisions(&web()).await;
    assert_eq!(decisions.len(), keep::DECISIONS_MOST as usize);
    assert_eq!(decisions.last().map(|d| d.at), Some(at(u64::from(surplus + 1))));
    let kept = desk.all(&web()).await;
    assert_eq!(kept.intents.len(), keep::INTENTS_MOST as usize);
    assert_eq!(kept.intents[0].id.bits(), u128::from(surplus));
    assert_eq!(kept.known.len(), keep::KNOWN_MOST as usize);
}

#[rstest]
#[tokio::test]
async fn a_flood_of_keys_is_bounded_but_never_within_ten_minutes(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    // Row by row SQLite would take half a minute here. The clock began before the flood.
    let filled = desk.sql(
        "INSERT INTO group_state VALUES ('web', '{\"base\":null}');
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100009)
         INSERT INTO sample_id SELECT 'web', 's' || i, iif(i < 50000, 0, 100000) FROM n;
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100009)
         INSERT INTO idempotency_key SELECT 'web', 'k' || i, x'00', iif(i < 50000, 0, 100000) FROM n;",
    );
    if !filled.await {
        for i in 0..keep::KEYS_MOST + 10 {
            let secs = if i < keep::KEYS_MOST / 2 { 0 } else { 100 };
            // One measurement many times: the ids and keys are what there are many of.
            let one = with_id(sample("load", 1.0, 0, 0), &format!("s{i}"));
            let one = keyed(samples(&web(), secs, vec![one]), &format!("k{i}"), 1);
            stored(desk.admit(one).await);
        }
    }
    let sweep = async |secs| desk.store().sweep(&desk.lease, at(secs)).await.unwrap();
    assert_eq!(sweep(600).await, 0, "a sender may rely on ten minutes");
    assert_eq!(sweep(601).await, 20, "the oldest beyond the bound, of ids and keys");
}
