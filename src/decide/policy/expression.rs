//! A formula over signals: `ceil` of what it comes to, and nothing where that is below zero.
//!
//! It asks for something only while each of its signals is known in whole: what a part of a load
//! says in a formula, nobody can tell.

use super::load::Load;
use super::series::Series;
use super::{Fleet, Verdict, needed};
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::policy::Expression;

pub(super) fn claim(fleet: &Fleet<'_>, expression: &Expression) -> Verdict {
    let values = expression.readings.iter().map(|reading| {
        let load = Load::of(&Series::new(fleet, reading), fleet.members).whole();
        (reading.signal.clone(), load)
    });
    let values: Vec<_> = values.collect();
    let known: Option<Vec<f64>> = values.iter().map(|(_, value)| *value).collect();
    let result = known.and_then(|known| expression.formula.value(&known));
    let wants = result.map_or(Wants::Unknown, |n| Wants::Servers(needed(n.max(0.0), 1.0)));
    let (name, formula) = (expression.name.clone(), expression.formula.text().to_owned());
    Verdict::of(Claim { source: Source::Expression { name, formula, values }, wants })
}
