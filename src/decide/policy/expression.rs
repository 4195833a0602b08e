//! A formula over signals: `ceil` of what it comes to, and nothing where that is below zero.
//!
//! It asks for something only while each of its signals is known in whole: what a part of a load
//! says in a formula, nobody can tell. While others take over what one that left carried nothing is
//! missing that a fallback would have to stand in for: they are about to tell.

use super::load::Load;
use super::series::Series;
use super::{Fleet, Verdict, needed};
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::policy::Expression;

pub(super) fn claim(fleet: &Fleet<'_>, expression: &Expression) -> Verdict {
    let load = |reading| Load::of(&Series::new(fleet, reading), fleet.members);
    let loads: Vec<Load> = expression.readings.iter().map(load).collect();
    let signals = expression.readings.iter().map(|reading| reading.signal.clone());
    let values: Vec<_> = signals.zip(loads.iter().map(Load::whole)).collect();
    let known: Option<Vec<f64>> = values.iter().map(|(_, value)| *value).collect();
    let shifting = known.is_none() && loads.iter().all(Load::told);
    let result = known.and_then(|known| expression.formula.value(&known));
    let wants = result.map_or(Wants::Unknown, |n| Wants::Servers(needed(n.max(0.0), 1.0)));
    let (name, formula) = (expression.name.clone(), expression.formula.text().to_owned());
    let claim = Claim { source: Source::Expression { name, formula, values }, wants };
    Verdict { shifting, ..Verdict::of(claim) }
}
