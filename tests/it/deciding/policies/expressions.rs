//! Formulas over signals.

use super::*;
use crate::deciding::world::group;
use novascale::domain::formula::Formula;
use novascale::domain::policy::Expression;

fn world(formula: &str) -> World {
    let mut world = World::new(group(0, 1000), 1);
    let formula = Formula::parse(formula).unwrap();
    let readings = formula.signals().iter().map(|signal| reading(signal.as_str())).collect();
    let name = formula.text().to_owned();
    let expression = Expression { name, formula, readings, fallback: None };
    world.group.policies = vec![Policy::Expression(Box::new(expression))];
    world
}

#[test]
fn it_asks_for_what_it_comes_to() {
    let mut world = world("max(queue / 100, 2 * (cpu > 80))");
    world.measure("queue", 420.0);
    world.measure("cpu", 50.0);
    let asked = claim(&mut world);
    assert_eq!(asked.wants.number(), Some(5), "rounded up");
    assert_eq!(
        asked.to_string(),
        "the expression max(queue / 100, 2 * (cpu > 80)) wants 5 with cpu 50, queue 420"
    );
    world.measure("queue", 10.0);
    world.measure("cpu", 90.0);
    assert_eq!(wants(&mut world), Some(2));
}

#[test]
fn what_is_unknown_or_no_number_asks_for_nothing_and_lets_nothing_go() {
    let mut world = world("queue / (10 - cpu)");
    world.measure("queue", 5.0);
    let lacking = claim(&mut world);
    assert!(unknown(&lacking) && lacking.blind(), "{lacking}");
    assert!(lacking.to_string().ends_with("fresh data of the whole group: cpu"), "{lacking}");
    world.measure("cpu", 10.0);
    let infinite = claim(&mut world);
    assert!(unknown(&infinite) && infinite.blind(), "{infinite}");
    world.measure("cpu", 11.0);
    assert_eq!(wants(&mut world), Some(0), "below zero is none");
}

#[test]
fn a_part_of_a_load_is_no_load() {
    let mut world = fleet(2, Policy::Average(average(1.0)));
    let formula = Formula::parse("cpu").unwrap();
    let readings = vec![reading("cpu")];
    let expression = Expression { name: "e".into(), formula, readings, fallback: None };
    world.group.policies = vec![Policy::Expression(Box::new(expression))];
    report(&mut world, &[Some(3.0), Some(4.0)]);
    assert_eq!(wants(&mut world), Some(7), "single servers are summed");
    world.pass_time(6 * MINUTE);
    report(&mut world, &[Some(3.0), None]);
    assert!(unknown(&claim(&mut world)), "one has fallen silent");
}

#[test]
fn one_that_comes_to_no_number_lets_nothing_go() {
    let mut world = world("queue / (10 - cpu)");
    world.measure("queue", 40.0);
    world.measure("cpu", 0.0);
    assert_eq!(world.pass().desired, 4);
    world.measure("cpu", 10.0);
    let decision = world.pass();
    assert_eq!(decision.desired, 4, "{:?}", decision.sentences());
    let said = decision.sentences().join("\n");
    assert!(said.contains("the expression queue / (10 - cpu)"), "{said}");
}
