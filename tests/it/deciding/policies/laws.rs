//! Laws that hold for every policy, whatever is measured, told and lost.

use proptest::prelude::*;

use super::*;
use crate::deciding::world::group;
use novascale::domain::alert::AlertTold;
use novascale::domain::behaviour::Behaviour;
use novascale::domain::formula::Formula;
use novascale::domain::id::AlertName;
use novascale::domain::plan::Action;
use novascale::domain::policy::{
    Adjustment, Alert, Asks, Change, Expression, Fallback, Step, Total,
};
use novascale::domain::signal::Command;

/// What happens between two looks.
#[derive(Debug, Clone)]
enum Word {
    Load(f64),
    Each(f64),
    Some(f64, u8),
    Fires(bool),
    Base(u32),
    Time(u64),
}

fn word() -> impl Strategy<Value = Word> {
    let value = prop_oneof![Just(0.0), 0.0..300.0f64, Just(f64::MAX), Just(f64::MIN_POSITIVE)];
    prop_oneof![
        value.clone().prop_map(Word::Load),
        value.clone().prop_map(Word::Each),
        (value, any::<u8>()).prop_map(|(value, which)| Word::Some(value, which)),
        any::<bool>().prop_map(Word::Fires),
        (0u32..12).prop_map(Word::Base),
        (1u64..1200).prop_map(Word::Time),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let aggregates = ["last", "avg", "max", "min", "sum", "p90"];
    let aggregate = proptest::sample::select(aggregates.to_vec());
    let reading = |signal: &'static str, word: &str| match word {
        "last" => super::reading(signal),
        word => windowed(signal, word, 3 * MINUTE),
    };
    let fallback = prop_oneof![
        Just(None),
        (0u32..12).prop_map(|capacity| Some(Fallback { after: 10 * MINUTE, capacity })),
    ];
    (aggregate, 0usize..6, fallback, 0.1..200.0f64).prop_map(move |(word, kind, fallback, n)| {
        let tolerance = Tolerance { out: 0.1, into: 0.1 };
        let change = Change::Percent { by: n, least: 1 };
        match kind {
            0 => Policy::Total(Total {
                reading: reading("load", word),
                per_server: n,
                tolerance,
                fallback,
            }),
            1 => Policy::Average(Average {
                reading: reading("cpu", word),
                target: n,
                tolerance,
                warm_up: MINUTE,
                fallback,
            }),
            2 => Policy::Step(Step {
                reading: reading("cpu", word),
                out: vec![Adjustment { from: Some(n), to: None, change }],
                into: vec![Adjustment {
                    from: None,
                    to: Some(n / 2.0),
                    change: Change::Servers(1),
                }],
                warm_up: MINUTE,
                flapping_guard: true,
                fallback,
            }),
            3 => Policy::Alert(Alert {
                alert: AlertName::new("A").unwrap(),
                asks: Asks::More { change, every: MINUTE, most: 5 },
                expires_after: 10 * MINUTE,
            }),
            4 => {
                let formula = Formula::parse("load / 10 + 2 * (cpu > 80)").unwrap();
                let readings = vec![reading("cpu", word), reading("load", word)];
                let name = "e".to_owned();
                Policy::Expression(Box::new(Expression { name, formula, readings, fallback }))
            }
            _ => Policy::Alert(Alert {
                alert: AlertName::new("A").unwrap(),
                asks: Asks::Capacity(7),
                expires_after: 10 * MINUTE,
            }),
        }
    })
}

fn happen(world: &mut World, word: &Word) {
    let all = ids(world);
    match word {
        Word::Load(value) => {
            world.measure("load", *value);
            world.measure("cpu", *value);
        }
        Word::Each(value) => world.measure_on(&all, "cpu", *value),
        Word::Some(value, which) => {
            let some = all.get(usize::from(*which) % all.len().max(1)).cloned();
            world.measure_on(some.as_slice(), "cpu", *value);
        }
        Word::Fires(firing) => {
            let (name, firing) = (AlertName::new("A").unwrap(), *firing);
            let alert = AlertTold::new(name, firing);
            world.order(Command::Alerts { alerts: vec![alert] });
        }
        Word::Base(capacity) => world.order(Command::Set { capacity: *capacity }),
        Word::Time(secs) => world.pass_time(Duration::from_secs(*secs)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Every decision stands before the second judge (`World::decide` asks it), is within its
    /// bounds, and is the same when it is made again on what it remembers; what it remembers stays
    /// small.
    #[test]
    fn every_decision_is_sound(
        policies in proptest::collection::vec(policy(), 1..3),
        words in proptest::collection::vec(word(), 1..40),
        plain in any::<bool>(),
    ) {
        let mut world = World::new(group(1, 12), 1);
        if plain {
            world.group.behaviour = Behaviour::default();
        }
        let mut keys = std::collections::BTreeSet::new();
        world.group.policies = policies.into_iter().filter(|p| keys.insert(p.key())).collect();
        for word in &words {
            happen(&mut world, word);
            let first = world.pass();
            prop_assert!((1..=12).contains(&first.desired));
            // Who is taken away has its load taken over: what it told counts no more.
            let takes = first.plan.iter().any(|action| matches!(action, Action::Terminate { .. }));
            let again = world.decide();
            prop_assert!(takes || first.desired == again.desired, "{:?}", again.sentences());
            let memory = serde_json::to_string(&world.memory).unwrap();
            prop_assert!(memory.len() < 8_000, "{}", memory);
        }
    }

    /// On the same memory more load never lowers desired, for whomever it is measured.
    #[test]
    fn more_load_never_lowers_desired(
        policies in proptest::collection::vec(policy(), 1..3),
        words in proptest::collection::vec(word(), 0..16),
        plain in any::<bool>(),
        each in any::<bool>(),
        (value, more) in (0.0..200.0f64, 0.0..200.0f64),
    ) {
        let desired = |value: f64| {
            let mut world = World::new(group(1, 12), 1);
            if plain {
                world.group.behaviour = Behaviour::default();
            }
            let mut keys = std::collections::BTreeSet::new();
            let policies = policies.iter().filter(|policy| keys.insert(policy.key()));
            world.group.policies = policies.cloned().collect();
            for word in &words {
                happen(&mut world, word);
                world.pass();
            }
            world.pass_time(Duration::from_secs(5));
            happen(&mut world, &if each { Word::Each(value) } else { Word::Load(value) });
            world.pass()
        };
        let (less, more) = (desired(value), desired(value + more));
        prop_assert!(
            less.desired <= more.desired,
            "{:?}\nbut with more load\n{:?}", less.sentences(), more.sentences()
        );
    }

    /// Nobody measures any more: until a fallback applies, nothing is taken away for it.
    #[test]
    fn silence_lowers_nothing(
        policies in proptest::collection::vec(policy(), 1..3),
        words in proptest::collection::vec(word(), 1..20),
    ) {
        let mut world = World::new(group(1, 12), 1);
        let mut keys = std::collections::BTreeSet::new();
        let quiet = policies.into_iter().filter(|p| p.fallback().is_none() && !p.readings().is_empty());
        world.group.policies = quiet.filter(|p| keys.insert(p.key())).collect();
        if world.group.policies.is_empty() {
            world.group.policies.push(Policy::Total(Total::of(reading("load"), 10.0)));
        }
        for word in &words {
            happen(&mut world, word);
            world.pass();
        }
        // What was measured is stale by then, whatever its window.
        world.pass_time(6 * MINUTE);
        let before = world.pass().desired;
        for _ in 0..6 {
            world.pass_time(10 * MINUTE);
            let decision = world.pass();
            prop_assert!(decision.desired >= before, "{:?}", decision.sentences());
        }
    }
}
