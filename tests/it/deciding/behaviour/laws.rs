//! What holds for every behaviour, every history of wants and orders (I10, I13).

use std::time::Duration;

use novascale::domain::behaviour::{Behaviour, Change, Rate, Rates, Select};
use novascale::domain::claim::Memory;
use novascale::domain::plan::Decision;
use novascale::domain::signal::Command;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::world::World;
use super::{SECOND, at};

/// One look: how long after the last one, what is measured, and what is ordered before it.
#[derive(Debug, Clone)]
struct Look {
    pause: u32,
    wanted: u32,
    more: u32,
    order: Option<Command>,
}

fn rates(in_most: f64) -> impl Strategy<Value = Rates> {
    let change =
        prop_oneof![(1u32..6).prop_map(Change::Count), (1.0..in_most).prop_map(Change::Percent)];
    let rate = (change, select(vec![1u64, 15, 60, 300, 1800]))
        .prop_map(|(change, per)| Rate { change, per: Duration::from_secs(per) });
    let which = select(vec![Select::Max, Select::Max, Select::Min, Select::Min, Select::Disabled]);
    (which, prop::collection::vec(rate, 0..4)).prop_map(|(select, rates)| Rates { select, rates })
}

fn span() -> impl Strategy<Value = Duration> {
    select(vec![0u64, 0, 10, 60, 300]).prop_map(Duration::from_secs)
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    (span(), span(), span(), span(), rates(300.0), rates(100.0)).prop_map(
        |(out_window, out_cooldown, window, cooldown, out, into)| {
            let mut behaviour = Behaviour::default();
            let (scale_out, scale_in) = (&mut behaviour.scale_out, &mut behaviour.scale_in);
            (scale_out.stabilization, scale_out.cooldown) = (out_window, out_cooldown);
            (scale_in.stabilization, scale_in.cooldown) = (window, cooldown);
            (scale_out.rates, scale_in.rates) = (out, into);
            behaviour
        },
    )
}

fn look() -> impl Strategy<Value = Look> {
    let order = prop_oneof![
        30 => Just(None),
        1 => (0u32..40).prop_map(|capacity| Some(Command::Set { capacity })),
        1 => (0u32..40).prop_map(|capacity| Some(Command::Pin { capacity, until: None })),
        2 => Just(Some(Command::Unpin)),
    ];
    (select(vec![0u32, 1, 5, 15, 15, 60, 61, 290, 400]), 0u32..40, 0u32..20, order)
        .prop_map(|(pause, wanted, more, order)| Look { pause, wanted, more, order })
}

fn decide(world: &mut World, wanted: u32) -> Decision {
    world.measure("load", f64::from(wanted));
    world.decide()
}

/// No fall and no rise within its cooldown of the last change, but by an order.
fn flips(world: &World, before: &Memory, decision: &Decision) -> bool {
    let (Some(last), Some(changed)) = (before.desired, before.changed) else { return false };
    let since = world.now.steady.since(changed);
    let spoken = world.state.ordered.is_some_and(|order| order.steady >= changed);
    let behaviour = &world.group.behaviour;
    let (fell, rose) = (decision.desired < last, decision.desired > last);
    let cools = fell && since < behaviour.scale_in.cooldown;
    !spoken && (cools || rose && since < behaviour.scale_out.cooldown)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn behaviour_keeps_its_laws(
        behaviour in behaviour(),
        (min, more) in (0u32..5, 0u32..30),
        first in prop::option::of(0u32..40),
        looks in prop::collection::vec(look(), 1..50),
    ) {
        let mut world = at(0, min, min + more);
        world.group.behaviour = behaviour;
        world.memory = first.map(|n| Memory { desired: Some(n), ..Memory::default() });
        world.observe();
        for look in looks {
            world.now = world.now.plus(look.pause * SECOND);
            if let Some(order) = look.order {
                world.order(order);
            }
            let before = world.memory.clone().unwrap_or_default();
            // More load never lowers desired.
            let larger = decide(&mut world, look.wanted + look.more).desired;
            let decision = decide(&mut world, look.wanted);
            let desired = decision.desired;
            prop_assert!(larger >= desired, "{larger} for more, {desired} for less");
            // Within the bounds, always.
            prop_assert_eq!(world.group.bounds.clamp(desired), desired);
            // The bounds alone may move it within a cooldown: at the first look.
            let strange = before.desired.is_none_or(|n| world.group.bounds.clamp(n) != n);
            prop_assert!(strange || !flips(&world, &before, &decision), "{decision:#?}");
            // Deciding again changes nothing.
            world.record(&decision);
            let again = decide(&mut world, look.wanted);
            prop_assert_eq!(again.desired, desired);
            prop_assert_eq!(again.changes.memory, None);
            // Memory is bounded, whatever happens.
            let memory = world.memory.clone().unwrap_or_default();
            prop_assert!(memory.past.len() <= 128);
            prop_assert!(memory.peaks.len() <= 40 && memory.troughs.len() <= 40);
        }
    }
}
