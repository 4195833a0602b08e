//! What senders send: once, in order, bounded, and in whatever order it arrives.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use novascale::domain::id::Owner;
use novascale::domain::signal::{Command, CommandError, Sample};
use novascale::store::{Admitted, IdempotencyKey, Identified, StoreError, Window, keep};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use tokio::runtime::Runtime;

use super::desk::*;

#[rstest]
#[tokio::test]
async fn a_repeated_key_changes_nothing(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let more = || keyed(command(&web(), 1, Command::Adjust { by: 1 }), "k1", 1);
    assert_eq!(stored(desk.admit(more()).await), (1, Some(1)));
    for _ in 0..3 {
        let again = desk.admit(more()).await.unwrap();
        assert!(matches!(again, Admitted::Repeated { state } if state.base == Some(1)));
    }
    let other_body = keyed(command(&web(), 2, Command::Adjust { by: 1 }), "k1", 2);
    assert!(matches!(desk.admit(other_body).await, Err(StoreError::KeyReused)));
    let as_sample = keyed(samples(&web(), 2, vec![sample("load", 1.0, 1, 1)]), "k1", 3);
    assert!(matches!(desk.admit(as_sample).await, Err(StoreError::KeyReused)));
    let desk = desk.restarted().await;
    assert!(matches!(desk.admit(more()).await, Ok(Admitted::Repeated { .. })));
    let elsewhere = keyed(command(&group("api"), 3, Command::Adjust { by: 1 }), "k1", 9);
    assert_eq!(stored(desk.admit(elsewhere).await), (1, Some(1)));
    assert_eq!(desk.orders(&web()).await.len(), 1);
    assert!(desk.all(&web()).await.samples.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_key_is_free_again_after_a_day(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let more = |secs| keyed(command(&web(), secs, Command::Adjust { by: 1 }), "k", 1);
    let twin = |secs| samples(&web(), secs, vec![with_id(sample("load", 1.0, secs, secs), "s")]);
    let day = keep::KEYS.as_secs();
    stored(desk.admit(more(0)).await);
    assert_eq!(stored(desk.admit(twin(0)).await).0, 1);
    assert!(matches!(desk.admit(more(day)).await, Ok(Admitted::Repeated { .. })));
    assert_eq!(stored(desk.admit(twin(day)).await).0, 0);
    assert_eq!(stored(desk.admit(more(day + 1)).await), (1, Some(2)));
    assert_eq!(stored(desk.admit(twin(day + 1)).await).0, 1);
}

#[rstest]
#[tokio::test]
async fn commands_apply_in_order_and_are_noted(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let until = at(600);
    let owner = Owner::new("the batch job").unwrap();
    let commands = [
        Command::Set { capacity: 4 },
        Command::Adjust { by: 3 },
        Command::Percent { by: -50.0 },
        Command::Reserve { owner: owner.clone(), capacity: 8, until },
        Command::Pin { capacity: 5, until: Some(until) },
    ];
    let mut bases = Vec::new();
    for (secs, given) in (1..).zip(commands.clone()) {
        bases.push(stored(desk.admit(command(&web(), secs, given)).await).1);
    }
    assert_eq!(bases, [4, 7, 4, 4, 4].map(Some));
    let state = desk.all(&web()).await.state;
    assert_eq!(state.reservations[0].owner, owner);
    assert_eq!(state.pin.as_ref().map(|pin| (pin.capacity, pin.until)), Some((5, Some(until))));
    assert_eq!(state.ordered, Some(at(5)));
    let desk = desk.restarted().await;
    assert_eq!(desk.all(&web()).await.state, state);
    let noted: Vec<_> = (1..).zip(commands).map(|(secs, given)| order(given, secs)).collect();
    assert_eq!(desk.orders(&web()).await, noted.into_iter().rev().collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn a_refused_command_leaves_no_trace(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let wild = keyed(command(&web(), 1, Command::Set { capacity: u32::MAX }), "k", 1);
    let refused = desk.admit(wild).await;
    assert!(matches!(refused, Err(StoreError::Command(CommandError::TooMany(_)))));
    assert!(desk.orders(&web()).await.is_empty());
    let mended = keyed(command(&web(), 2, Command::Set { capacity: 2 }), "k", 2);
    assert_eq!(stored(desk.admit(mended).await), (1, Some(2)));
}

#[rstest]
#[tokio::test]
async fn late_samples_and_replays_change_no_newest(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let newest = sample("load", 5.0, 100, 101);
    let sent = vec![newest.clone(), of_server(sample("load", 1.0, 100, 101), "s1")];
    assert_eq!(stored(desk.admit(samples(&web(), 101, sent)).await).0, 2);
    let late = vec![
        sample("load", 9.0, 99, 200),
        sample("load", 4.0, 100, 200),
        sample("load", 5.0, 100, 200),
    ];
    let (fresh, _) = stored(desk.admit(samples(&web(), 200, late)).await);
    assert_eq!(fresh, 1, "only the one of another instant is new");
    assert_eq!(desk.all(&web()).await.samples[0], newest.sample);
    let measured: Vec<_> = desk.history(&web(), "load").await.iter().map(|s| s.at).collect();
    assert_eq!(measured, [at(99).wall, at(100).wall, at(100).wall]);
}

/// Measured and received in this second by a wall clock that was set back by an hour.
fn after_a_step(secs: u64, value: f64) -> Identified {
    let mut identified = sample("load", value, secs, secs);
    let hour = Duration::from_secs(3600);
    identified.sample.at = identified.sample.at.minus(hour);
    identified.sample.received.wall = identified.sample.received.wall.minus(hour);
    identified
}

#[rstest]
#[tokio::test]
async fn a_wall_clock_set_back_hides_no_signal(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let newest = async |desk: &Desk| desk.all(&web()).await.samples[0].clone();
    for secs in [0, 3600, 3700] {
        stored(desk.admit(samples(&web(), secs, vec![sample("load", 9.0, secs, secs)])).await);
    }
    // The second one falls on a wall time at which a larger value was measured before the step.
    for secs in [3701, 7200, 7201] {
        let sent = after_a_step(secs, 1.0);
        let admitted = desk.admit(samples(&web(), secs, vec![sent.clone()])).await;
        assert_eq!(stored(admitted).0, 1, "{secs}");
        assert_eq!(newest(&desk).await, sent.sample, "{secs}");
    }
    // Nor does what was measured before come back.
    let replayed = samples(&web(), 7202, vec![after_a_step(7000, 5.0)]);
    stored(desk.admit(replayed).await);
    assert_eq!(newest(&desk).await, after_a_step(7201, 1.0).sample);
}

#[rstest]
#[tokio::test]
async fn a_pass_sees_the_samples_of_its_window(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let sent = vec![sample("old", 1.0, 0, 0), sample("young", 2.0, 40, 40)];
    stored(desk.admit(samples(&web(), 40, sent)).await);
    let seen = async |now: u64| {
        let (signals, past) = (Duration::from_secs(60), Duration::ZERO);
        let window = Window { now: at(now), signals, past };
        let gathered = desk.store().gather(&web(), window).await.unwrap();
        gathered.samples.iter().map(|s| s.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(seen(60).await, ["old", "young"]);
    assert_eq!(seen(61).await, ["young"]);
    assert!(seen(101).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_known_id_is_left_out(#[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind) {
    let desk = kind.open().await;
    let first =
        vec![with_id(sample("load", 1.0, 1, 1), "a"), with_id(sample("load", 2.0, 2, 2), "b")];
    assert_eq!(stored(desk.admit(samples(&web(), 2, first)).await).0, 2);
    let desk = desk.restarted().await;
    let again = vec![
        with_id(sample("load", 7.0, 3, 3), "a"),
        with_id(sample("load", 3.0, 3, 3), "c"),
        with_id(sample("load", 8.0, 4, 4), "c"),
    ];
    assert_eq!(stored(desk.admit(samples(&web(), 3, again)).await).0, 1);
    let newest = &desk.all(&web()).await.samples[0];
    assert!((newest.value.get() - 3.0).abs() < f64::EPSILON);
}

#[rstest]
#[tokio::test]
async fn a_name_too_many_is_refused_with_its_whole_request(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let names = |n: u32| (0..n).map(|i| sample(&format!("n{i}"), 1.0, 1, 1)).collect::<Vec<_>>();
    let beyond = keyed(samples(&web(), 1, names(keep::NAMES_MOST + 1)), "k", 1);
    let refused = desk.admit(beyond).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Limit(_)), "{refused}");
    assert!(refused.to_string().contains("256 signal names"), "{refused}");
    assert!(desk.all(&web()).await.samples.is_empty());
    let most = keyed(samples(&web(), 1, names(keep::NAMES_MOST)), "k", 2);
    assert_eq!(stored(desk.admit(most).await).0, keep::NAMES_MOST);
    let elsewhere = samples(&group("api"), 1, names(1));
    assert_eq!(stored(desk.admit(elsewhere).await).0, 1);
}

#[rstest]
#[tokio::test]
async fn other_names_take_no_room_from_those_that_are_read(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let strange = (0..keep::NAMES_MOST).map(|i| sample(&format!("n{i}"), 1.0, 1, 1));
    stored(desk.admit(samples(&web(), 1, strange.collect())).await);
    let one = |name: &str| read_by(&web(), 2, vec![sample(name, 2.0, 2, 2)], &["load"]);
    assert_eq!(stored(desk.admit(one("load")).await).0, 1);
    assert!(matches!(desk.admit(one("other")).await, Err(StoreError::Limit(_))));
    assert!(desk.all(&web()).await.samples.iter().any(|s| s.name.as_str() == "load"));
}

#[rstest]
#[tokio::test]
async fn a_repetition_can_be_told_without_a_write(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let key = |digest| IdempotencyKey { key: "k".to_owned(), digest: [digest; 32] };
    let day = keep::KEYS.as_secs();
    let repeated = async |digest, secs| desk.store().repeated(&web(), &key(digest), at(secs)).await;
    assert!(!repeated(1, 1).await.unwrap());
    assert!(!repeated(1, 1).await.unwrap(), "asking notes nothing");
    stored(desk.admit(keyed(samples(&web(), 1, vec![sample("load", 1.0, 1, 1)]), "k", 1)).await);
    assert!(repeated(1, 1 + day).await.unwrap());
    assert!(matches!(repeated(2, 2).await, Err(StoreError::KeyReused)));
    assert!(!repeated(2, 2 + day).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn servers_too_many_are_refused(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    // Row by row SQLite would take seconds here.
    let filled = desk.sql(
        "INSERT INTO signal (id, group_name, name) VALUES (1, 'web', 'cpu');
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)
         INSERT INTO newest SELECT 1, 's' || i, 0, 0.0, 0, 0 FROM n;",
    );
    if !filled.await {
        let each = (0..keep::SERIES_MOST).map(|i| (i, sample("cpu", 1.0, 1, 1)));
        let each = each.map(|(i, sample)| of_server(sample, &format!("s{i}")));
        stored(desk.admit(samples(&web(), 1, each.collect())).await);
    }
    let from = |server| samples(&web(), 2, vec![of_server(sample("cpu", 2.0, 2, 2), server)]);
    let refused = desk.admit(from("s20000")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Limit(text) if text.contains("20000")), "{refused}");
    assert_eq!(stored(desk.admit(from("s19999")).await).0, 1, "known ones go on");
    assert_eq!(desk.all(&web()).await.samples.len(), keep::SERIES_MOST as usize);
    let read = read_by(&web(), 2, vec![of_server(sample("load", 2.0, 2, 2), "s1")], &["load"]);
    assert_eq!(stored(desk.admit(read).await).0, 1, "what is read has room of its own");
    let more = read_by(&web(), 3, vec![of_server(sample("cpu", 2.0, 3, 3), "s20000")], &["cpu"]);
    assert!(matches!(desk.admit(more).await, Err(StoreError::Limit(_))), "and that has an end");
}

#[rstest]
#[tokio::test]
async fn a_window_holds_only_so_many_samples(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let most = u64::from(keep::SAMPLES_MOST);
    let flood = (0..most + 50).map(|i| sample("load", 1.0, (i * 7919) % (most + 50), 1));
    stored(desk.admit(samples(&web(), 1, flood.collect())).await);
    let kept = desk.history(&web(), "load").await;
    assert_eq!(kept.len() as u64, most);
    assert_eq!(kept[0].at, at(50).wall, "the oldest go first");
}

/// A sender's samples, with repetitions, in any order and any batches.
fn storm() -> impl Strategy<Value = Vec<Vec<Identified>>> {
    let one = (0..2_u8, 0..3_u8, 0..6_u64, 0..4_u8, 0..8_u64, any::<bool>());
    let one = one.prop_map(|(name, server, measured, value, received, id)| {
        let name = ["load", "queue"][usize::from(name)];
        let plain = sample(name, f64::from(value), measured, received);
        let plain = if server == 0 { plain } else { of_server(plain, &format!("s{server}")) };
        // An id stands for one content; the same content may also come without it.
        let content = format!("{name} {server} {measured} {value} {received}");
        if id { with_id(plain, &content) } else { plain }
    });
    let repeated = proptest::collection::vec((one, 1..3_usize), 1..24).prop_map(|list| {
        let each = list.into_iter().flat_map(|(one, n)| std::iter::repeat_n(one, n));
        each.collect::<Vec<_>>()
    });
    let batched =
        |list: Vec<Identified>, size: usize| list.chunks(size).map(<[_]>::to_vec).collect();
    (repeated.prop_shuffle(), 1..6_usize).prop_map(move |(list, size)| batched(list, size))
}

/// What must come out, whatever the order: for each name and server the sample that was
/// measured last, of equal ones the largest value.
fn newest_of(sent: &[Vec<Identified>]) -> Vec<(String, Option<String>, i64, f64)> {
    let mut best = std::collections::BTreeMap::new();
    for Sample { name, server, at, value, .. } in sent.iter().flatten().map(|s| &s.sample) {
        let place = (name.to_string(), server.as_ref().map(ToString::to_string));
        let held = best.entry(place).or_insert((at.0, value.get()));
        if (at.0, value.get()) > *held {
            *held = (at.0, value.get());
        }
    }
    best.into_iter().map(|((name, server), (at, value))| (name, server, at, value)).collect()
}

#[rstest]
fn no_order_and_no_repetition_changes_the_newest(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let runtime = Runtime::new().unwrap();
    let desk = runtime.block_on(kind.open());
    let case = AtomicU32::new(0);
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let verdict = TestRunner::new(config).run(&storm(), |sent| {
        let group = group(&format!("g{}", case.fetch_add(1, Ordering::Relaxed)));
        let seen = runtime.block_on(async {
            for batch in &sent {
                stored(desk.admit(samples(&group, 10, batch.clone())).await);
            }
            desk.all(&group).await.samples
        });
        let seen: Vec<_> = seen
            .iter()
            .map(|s| {
                let server = s.server.as_ref().map(ToString::to_string);
                (s.name.to_string(), server, s.at.0, s.value.get())
            })
            .collect();
        prop_assert_eq!(seen, newest_of(&sent));
        Ok(())
    });
    verdict.unwrap();
}
