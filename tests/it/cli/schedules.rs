//! `novascale schedule`: what comes, without a daemon.

use serde_json::Value;

use super::daemon::{Ran, novascale, with};

const FILE: &str = r#"
[cloud]
use = "sandbox"

[group.web]
min = 1
max = 10
flavor = "d2-2"
image = "Debian 12"
networks = ["Ext-Net"]

[[group.web.schedule]]
name = "office hours"
cron = "0 8 * * MON-FRI"
end = "0 18 * * MON-FRI"
timezone = "Europe/Paris"
min = 4

[[group.web.schedule]]
name = "sale"
from = 2026-12-24T18:00:00+01:00
min = 8
max = 20
"#;

fn at(file: &str, arguments: &str) -> Ran {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("scaling.toml"), file).unwrap();
    novascale(arguments, &[], place.path())
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err))
}

#[test]
fn the_next_windows_are_listed_in_their_order() {
    let ran = at(FILE, "schedule web --next 3 --from 2026-12-23T12:00:00Z");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out);
    let ran = at(FILE, "schedule --next 1 --from 2026-12-24T18:00:00Z -f json");
    let json = json(&ran);
    assert_eq!(json[0]["schedule"], "sale");
    assert_eq!((&json[0]["open"], &json[0]["until"]), (&true.into(), &Value::Null));
    assert_eq!(json[1]["from"], "2026-12-25T08:00:00+01:00");
}

#[test]
fn an_expression_is_told_without_a_file() {
    let cron = "schedule --timezone Europe/Paris --from 2026-03-28T00:00:00Z --count 2 -f json";
    let place = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> = cron.split(' ').chain(["--cron", "30 2 * * *"]).collect();
    let ran = with(&arguments, &[], place.path());
    let times = serde_json::json!(["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00"]);
    assert_eq!(json(&ran), times);
}

#[test]
fn what_is_not_there_is_said() {
    let ran = at(FILE, "schedule db");
    assert!(ran.code == 1 && ran.err.contains("its groups are web"), "{}", ran.err);
    let ran = at(FILE, "schedule --cron @never");
    assert!(ran.code == 64 && ran.err.contains("no cron expression"), "{}", ran.err);
    let ran = at("[group.web]", "schedule");
    assert_eq!(ran.code, 78);
}
