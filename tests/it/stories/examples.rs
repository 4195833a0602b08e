//! The configurations below deploy/examples, on the embedded cloud.

use serde_json::json;

use super::canary;
use super::place::{FAST, Place};

/// The example on a fast cloud; each change is of a text that stands there once.
fn example(name: &str, changes: &[(&str, &str)]) -> Place {
    let file = format!("{}/deploy/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    let cloud = "[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\ndelete = \"20ms\"\n\n";
    Place::new(&format!("{text}\n{cloud}{FAST}"))
}

#[test]
fn the_web_example_follows_its_processors_and_its_alert() {
    // Whatever the hour, and however young the servers.
    let changes = [("\nmin = 4\n", "\nmin = 2\n"), ("warm_up = \"1m\"", "warm_up = \"0s\"")];
    let place = example("web", &changes);
    let daemon = place.start();
    place.until_steady("web", 2);
    place.does("signal web cpu 90");
    place.until_steady("web", 3);
    // As Alertmanager would tell it, with novascale's own token.
    let alert = json!({
        "status": "firing", "labels": { "alertname": "WebSlow", "asg": "web" }, "fingerprint": "a1",
        "startsAt": "2026-11-23T12:00:00Z",
    });
    let body = json!({ "version": "4", "alerts": [alert] });
    let heard = place.ask("webhook", "POST /v1/webhooks/alertmanager", "signal", Some(body));
    assert_eq!(heard.status, 202, "{heard:?}");
    place.until_steady("web", 5);
    assert!(place.explain("web").contains("WebSlow"));
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn the_ci_example_has_runners_for_its_jobs() {
    let place = example("ci", &[]);
    let daemon = place.start();
    place.does("signal runners jobs 7");
    place.until_steady("runners", 4);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}

#[test]
fn the_batch_example_has_what_is_reserved_for_as_long() {
    let place = example("batch", &[("cooldown = \"30s\"", "cooldown = \"0s\"")]);
    let daemon = place.start();
    place.does("reserve batch 6 --owner nightly --for 2h");
    place.until_steady("batch", 6);
    let heard = place.ask("webhook", "POST /v1/webhooks/more-workers", "capacity", Some(json!({})));
    assert_eq!(heard.status, 202, "{heard:?}");
    place.does("release batch --owner nightly");
    place.until_steady("batch", 1);
    let heard =
        place.ask("webhook", "POST /v1/webhooks/fewer-workers", "capacity", Some(json!({})));
    assert_eq!(heard.status, 202, "{heard:?}");
    place.until_steady("batch", 0);
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, None);
}
