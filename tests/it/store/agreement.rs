//! Both stores, given the same calls, remember the same: the simulation that runs on the
//! plain one speaks for the one on disk.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use novascale::domain::id::{GroupName, IntentId};
use novascale::domain::intent::State;
use novascale::domain::outcome::{CallResult, Outcome};
use novascale::domain::plan::{Changes, Decision};
use novascale::domain::server::KnownState;
use novascale::domain::signal::Command;
use novascale::store::{Admitted, Window};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use tokio::runtime::Runtime;

use super::desk::*;

#[derive(Debug, Clone)]
enum Step {
    Pause(u64),
    Sample { name: u8, server: u8, value: u8, late: u64, id: Option<u8>, key: Option<u8> },
    Order { adjust: i64, key: Option<u8> },
    Pass { desired: u32, memory: bool, intent: Option<u8>, known: Option<u8> },
    Ended { intent: u8, certain: bool },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    use proptest::option::of;
    prop_oneof![
        3 => prop_oneof![0..120_u64, 3_000..4_000_u64, 80_000..90_000_u64, 600_000..610_000_u64]
            .prop_map(Step::Pause),
        6 => (0..3_u8, 0..3_u8, 0..5_u8, 0..20_u64, of(0..6_u8), of(0..4_u8)).prop_map(
            |(name, server, value, late, id, key)|
                Step::Sample { name, server, value, late, id, key }),
        3 => (-2..4_i64, of(0..4_u8)).prop_map(|(adjust, key)| Step::Order { adjust, key }),
        6 => (0..2_u32, any::<bool>(), of(0..5_u8), of(0..5_u8)).prop_map(
            |(desired, memory, intent, known)| Step::Pass { desired, memory, intent, known }),
        3 => (0..6_u8, any::<bool>()).prop_map(|(intent, certain)| Step::Ended { intent, certain }),
        2 => Just(Step::Sweep),
    ]
}

/// An intent's id is unique over groups.
fn intent_bits(group: &GroupName, n: u8) -> u128 {
    let group: u128 = group.as_str().trim_start_matches('g').parse().unwrap();
    group * 256 + u128::from(n)
}

/// Takes one step; what the store answered, in words that can be compared.
async fn take(desk: &Desk, group: &GroupName, now: u64, step: &Step) -> String {
    match step {
        Step::Pause(_) => String::new(),
        Step::Sample { name, server, value, late, id, key } => {
            let measured = now.saturating_sub(*late);
            let mut one = sample(&format!("n{name}"), f64::from(*value), measured, now);
            if *server > 0 {
                one = of_server(one, &format!("s{server}"));
            }
            if let Some(id) = id {
                one = with_id(one, &id.to_string());
            }
            admit(desk, key.as_ref(), samples(group, now, vec![one])).await
        }
        Step::Order { adjust, key } => {
            admit(desk, key.as_ref(), command(group, now, Command::Adjust { by: *adjust })).await
        }
        Step::Pass { desired, memory: remember, intent: opened, known: seen } => {
            let changes = Changes {
                memory: remember.then(|| memory(*desired)),
                intents: opened
                    .map(|n| intent(group, intent_bits(group, n), now, intent_state(n, now)))
                    .into_iter()
                    .collect(),
                known: seen
                    .map(|n| known(&format!("s{n}"), known_state(n), now))
                    .into_iter()
                    .collect(),
                ..Changes::default()
            };
            desk.record(&Decision { desired: *desired, changes, ..decision(group, now) }).await;
            String::new()
        }
        Step::Ended { intent, certain } => {
            let result = if *certain {
                CallResult::Launched { first: None }
            } else {
                CallResult::NotSent { why: "stopping".into() }
            };
            let intent = IntentId::from_bits(intent_bits(group, *intent));
            let outcome = Outcome { intent, at: at(now), result };
            format!("{:?}", desk.store().settle(&desk.lease, group, &[outcome]).await)
        }
        Step::Sweep => {
            desk.store().sweep(&desk.lease, at(now)).await.unwrap();
            String::new()
        }
    }
}

fn intent_state(n: u8, now: u64) -> State {
    match n {
        0 => State::Open,
        1 => State::Unsettled { since: at(now), absent: None },
        2 => State::Abandoned { since: at(now) },
        _ => State::Closed { at: at(now), done: 1 },
    }
}

fn known_state(n: u8) -> KnownState {
    match n {
        0 => KnownState::Missing,
        1 => KnownState::Gone,
        2 => KnownState::Detached,
        _ => KnownState::Listed,
    }
}

async fn admit(desk: &Desk, key: Option<&u8>, admit: novascale::store::Admit) -> String {
    let admit = match key {
        Some(key) => keyed(admit, &key.to_string(), *key),
        None => admit,
    };
    match desk.admit(admit).await {
        Ok(Admitted::Stored { fresh, state }) => format!("stored {fresh} {state:?}"),
        Ok(Admitted::Repeated { state }) => format!("repeated {state:?}"),
        Err(error) => error.to_string(),
    }
}

/// All that can be asked of a group.
async fn seen(desk: &Desk, group: &GroupName, now: u64) -> String {
    let window = Window {
        now: at(now),
        signals: Duration::from_secs(300),
        past: Duration::from_secs(3_600),
    };
    let gathered = desk.store().gather(group, window).await.unwrap();
    let all = desk.all(group).await;
    let (decisions, orders) = (desk.decisions(group).await, desk.orders(group).await);
    let history = [desk.history(group, "n0").await, desk.history(group, "n1").await];
    format!("{gathered:#?}\n{all:#?}\n{decisions:#?}\n{orders:#?}\n{history:#?}")
}

/// The first lines in which two long texts differ.
fn differing(plain: &str, disk: &str) -> String {
    let pairs = plain.lines().zip(disk.lines()).filter(|(a, b)| a != b);
    let shown: Vec<_> = pairs.take(3).map(|(a, b)| format!("plain {a} | disk {b}")).collect();
    format!("{} and {} lines: {shown:#?}", plain.lines().count(), disk.lines().count())
}

#[rstest]
fn both_stores_remember_the_same(#[values(Kind::Sqlite, Kind::Flood)] kind: Kind) {
    let runtime = Runtime::new().unwrap();
    let plain = runtime.block_on(Kind::Memory.open());
    let disk = runtime.block_on(kind.open());
    let case = AtomicU32::new(1);
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let story = proptest::collection::vec(step(), 1..40);
    let verdict = TestRunner::new(config).run(&story, |story| {
        let group = group(&format!("g{}", case.fetch_add(1, Ordering::Relaxed)));
        runtime.block_on(async {
            let mut now = 1_000;
            for step in &story {
                if let Step::Pause(secs) = step {
                    now += secs;
                }
                let answers =
                    (take(&plain, &group, now, step).await, take(&disk, &group, now, step).await);
                prop_assert_eq!(answers.0, answers.1);
                let state = (seen(&plain, &group, now).await, seen(&disk, &group, now).await);
                prop_assert!(state.0 == state.1, "{}", differing(&state.0, &state.1));
            }
            Ok(())
        })
    });
    verdict.unwrap();
}
