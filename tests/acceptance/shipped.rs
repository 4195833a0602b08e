//! The shipped scaling.toml, pointed at a real cloud by its `[cloud]` alone.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Daemon, Lab, Nova, until};

const SHIPPED: &str = include_str!("../../scaling.toml");

/// The one line of the shipped file that makes it the embedded cloud.
fn pointed_at_the_lab() -> String {
    let lines = SHIPPED.lines().map(|line| match line.starts_with("use = \"sandbox\"") {
        true => "cloud = \"ovhcloud\"",
        false => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(text.lines().zip(SHIPPED.lines()).filter(|(a, b)| a != b).count(), 1);
    text
}

#[test]
fn the_shipped_file_with_another_cloud_keeps_a_fleet_of_25_and_5_and_none() {
    let lab = Lab::take("shipped file, 0 to 25 to 5 to 0");
    let nova = Nova::of(&lab);
    let creates = lab.mark("nova-api.log");
    until("the ports of the shipped file to be free", || {
        let free =
            |port| TcpListener::bind(("127.0.0.1", port)).map_err(|e| format!("{port}: {e}"));
        free(7780).and_then(|_| free(7781)).map(drop)
    });
    let daemon = Daemon::started(&lab, &pointed_at_the_lab());
    nova.settled("novascale:web", 2);
    assert_eq!(lab.counted("novascale:batch"), 0);
    assert_eq!(daemon.ask(&["plan", "--detailed-exitcode"]).code, 0);

    daemon.scale("batch", 25);
    let there = nova.settled("novascale:batch", 25);
    assert_eq!(lab.counted("novascale:batch"), 25);
    lab.note("25 servers, by the openstack command");
    daemon.steady("batch");
    let shown = daemon.servers("batch");
    let serving = shown.iter().filter(|server| server["standing"] == "serving");
    let mut said: Vec<&str> = serving.map(|server| server["id"].as_str().unwrap()).collect();
    said.sort_unstable();
    let mut counted: Vec<String> = there.into_iter().map(|server| server.id).collect();
    counted.sort();
    assert_eq!(said, counted);
    let status = daemon.status("batch");
    assert_eq!((&status["desired"], &status["tally"]["serving"]), (&json!(25), &json!(25)));
    let said = daemon.explain("batch");
    assert!(said.contains("Desired is 25; 25 serving.") && said.contains("Nothing is"), "{said}");
    assert_eq!(daemon.ask(&["plan", "batch", "--detailed-exitcode"]).code, 0);

    let less = json!({"set": 5, "reason": "the acceptance test"});
    let path = "/v1/groups/batch/capacity";
    let (code, answer) = daemon.http("POST", "webhook", path, Some("capacity"), Some(&less));
    assert_eq!(code, 202, "{answer}");
    nova.settled("novascale:batch", 5);
    assert_eq!(lab.counted("novascale:batch"), 5);
    lab.note("5 servers");

    daemon.scale("batch", 0);
    until("the group's last server to go", || match nova.tagged("novascale:batch").len() {
        0 => Ok(()),
        n => Err(format!("{n} are left")),
    });
    assert_eq!(lab.counted("novascale:batch"), 0);
    assert_eq!(lab.counted("novascale:web"), 2);
    lab.note("none, and the other group is as it was");

    // One create for each group: 25 servers are one call.
    let creates: Vec<u16> = creates.creates().iter().map(|call| call.status).collect();
    assert_eq!(creates, [202, 202]);
    assert_eq!(daemon.metric("novascale_pass_failures_total"), 0.0);
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}
