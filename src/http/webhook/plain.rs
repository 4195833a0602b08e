//! Samples without a fault, read straight from the text.
//!
//! The tree of [`super::json`] keeps where each value stands, which a fault alone needs. So a body
//! is read into samples first, and whatever does not fit in any way is left to the tree, which
//! judges it: what this here takes, that takes as well, and makes the same of it.

use serde::Deserialize;

use super::json::is_printable;
use super::signals::{ID_MOST, Reading, SAMPLES_MOST};
use crate::domain::id::{ServerId, SignalName};
use crate::domain::signal::{Sample, Value};
use crate::domain::time::Wall;
use crate::store::Identified;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'b> {
    name: &'b str,
    value: f64,
    at: Option<&'b str>,
    server: Option<&'b str>,
    id: Option<&'b str>,
}

/// One sample or a list of them; none if there is anything to say against it.
pub(super) fn samples(body: &[u8], by: Reading) -> Option<Vec<Identified>> {
    let plain: Vec<Plain<'_>> = match body.trim_ascii_start().first()? {
        b'[' => serde_json::from_slice(body).ok()?,
        _ => vec![serde_json::from_slice(body).ok()?],
    };
    if plain.is_empty() || plain.len() > SAMPLES_MOST {
        return None;
    }
    let mut all: Vec<Identified> = Vec::with_capacity(plain.len());
    for one in plain {
        // Most lists are of one name, whose text is kept once.
        let name = match all.last() {
            Some(last) if last.sample.name.as_str() == one.name => last.sample.name.clone(),
            _ => SignalName::new(one.name).ok()?,
        };
        all.push(sample(name, &one, by)?);
    }
    Some(all)
}

fn sample(name: SignalName, plain: &Plain<'_>, by: Reading) -> Option<Identified> {
    let at = match plain.at {
        None => by.now.wall,
        Some(text) => Wall::parse(text).ok().filter(|at| by.fits(*at))?,
    };
    let server = plain.server.map(ServerId::new).transpose().ok()?;
    if plain.id.is_some_and(|id| !is_printable(id, ID_MOST)) {
        return None;
    }
    let value = Value::new(plain.value).ok()?;
    let sample = Sample { name, value, at, received: by.now, server };
    Some(Identified { sample, id: plain.id.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::{Now, Steady};
    use crate::http::webhook::signals;

    fn by() -> Reading {
        let wall = Wall::parse("2026-11-23T12:00:00Z").unwrap();
        Reading { now: Now { wall, steady: Steady(7) }, at_any_time: false }
    }

    /// Fields right and wrong, in any order, and too many of them.
    fn field() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => Just("\"name\": \"load\""),
            4 => Just("\"value\": 1.5"),
            2 => Just("\"value\": 18446744073709551616"),
            2 => Just("\"server\": \"s-1\""),
            2 => Just("\"at\": \"2026-11-23T11:59:00Z\""),
            2 => Just("\"id\": \"m-1\""),
            1 => Just("\"at\": null"),
            1 => Just("\"at\": \"2026-11-23T12:01:00Z\""),
            1 => Just("\"at\": \"2020-11-23T12:01:00Z\""),
            1 => Just("\"at\": 5"),
            1 => Just("\"id\": \" \""),
            1 => Just("\"id\": null"),
            1 => Just("\"id\": \"a\\u0009b\""),
            1 => Just("\"server\": \"\""),
            1 => Just("\"server\": \"a\\u0062\""),
            1 => Just("\"name\": null"),
            1 => Just("\"name\": \"not a name\""),
            1 => Just("\"value\": -1"),
            1 => Just("\"value\": 1e400"),
            1 => Just("\"value\": \"1\""),
            1 => Just("\"value\": -0.0"),
            1 => Just("\"other\": {}"),
        ]
        .prop_map(str::to_owned)
    }

    fn one() -> impl Strategy<Value = String> {
        let fields = proptest::collection::vec(field(), 0..5);
        let good = Just("{\"name\": \"load\", \"value\": 3}".to_owned());
        prop_oneof![good, fields.prop_map(|fields| format!("{{{}}}", fields.join(", ")))]
    }

    fn body() -> impl Strategy<Value = String> {
        let list = || proptest::collection::vec(one(), 0..4).prop_map(|all| all.join(","));
        prop_oneof![
            one(),
            list().prop_map(|all| format!(" [{all}]")),
            list().prop_map(|all| format!("{{\"signals\": [{all}]}}")),
            list().prop_map(|all| format!("[{all}")),
            list().prop_map(|all| format!("[{all}] x")),
            "\\PC{0,12}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn law_it_takes_nothing_that_the_tree_does_not(body in body()) {
            if let Some(all) = samples(body.as_bytes(), by()) {
                prop_assert_eq!(Some(all), signals::by_tree(body.as_bytes(), by()).ok());
            }
        }

        #[test]
        fn law_what_has_no_fault_is_taken(all in proptest::collection::vec(0..5000u32, 1..9)) {
            let one = |n: &u32| format!("{{\"name\": \"l{}\", \"value\": {n}}}", n % 3);
            let all: Vec<String> = all.iter().map(one).collect();
            let body = format!("[{}]", all.join(", "));
            let taken = samples(body.as_bytes(), by());
            prop_assert!(taken.is_some());
            prop_assert_eq!(taken, signals::by_tree(body.as_bytes(), by()).ok());
        }
    }

    #[test]
    fn a_list_has_its_bound() {
        let list = |n| format!("[{}]", vec!["{\"name\": \"load\", \"value\": 3}"; n].join(","));
        assert!(samples(list(SAMPLES_MOST).as_bytes(), by()).is_some());
        assert!(samples(list(SAMPLES_MOST + 1).as_bytes(), by()).is_none());
    }
}
