//! Minutes of ordinary work beside servers of other people, with tokens that live one minute:
//! nobody else's server is touched, what people delete is replaced, what they protect stays,
//! and no pass or listing fails when a token ends.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Daemon, GROUP, Lab, Nova, Server, settings, until};

const TAG: &str = "novascale:crew";

/// Three lives of a token, and a little more.
const WORKED: Duration = Duration::from_secs(190);

#[test]
fn tokens_of_a_minute_and_other_peoples_servers_disturb_nothing() {
    let lab = Lab::take("tokens of 60 s, neighbours");
    lab.run(&["keystone-ttl", "60"]);
    lab.run(&["oidc", "ttl=60"]);
    let nova = Nova::of(&lab);
    let neighbours = [
        nova.neighbour("crew-database", &["team:crew"]),
        nova.neighbour("crew-abc123-1", &[]),
        nova.neighbour("crew-by-hand", &[TAG]),
    ];
    let daemon = Daemon::started(
        &lab,
        &settings("cloud = \"ovhcloud\"", &format!("[group.crew]\nmin = 0\nmax = 12\n{GROUP}")),
    );
    let began = Instant::now();

    // The server tagged by hand counts, so three are launched beside it.
    daemon.scale("crew", 4);
    let crew = nova.settled(TAG, 4);
    assert_eq!(lab.counted(TAG), 4);
    daemon.steady("crew");
    assert_eq!(daemon.status("crew")["tally"]["foreign"], 1);
    lab.note("the hand-tagged server counts as foreign");

    let ours: Vec<&Server> = crew.iter().filter(|server| server.launch().is_some()).collect();
    assert_eq!(ours.len(), 3);
    lab.openstack(&["server", "delete", &ours[0].id]);
    until("the server deleted by hand to be replaced", || {
        let there = nova.tagged(TAG);
        let good = there.iter().filter(|s| s.status == "ACTIVE" && s.task.is_none()).count();
        let gone = there.iter().all(|server| server.id != ours[0].id);
        if gone && good == 4 && there.len() == 4 { Ok(()) } else { Err(format!("{there:?}")) }
    });
    lab.note("a server deleted by hand is replaced");

    lab.openstack(&["server", "lock", &ours[1].id]);
    lab.openstack(&["server", "set", "--property", "novascale:protect=true", &ours[2].id]);
    until("lock and protection to be seen", || {
        let kept = daemon.servers("crew").iter().filter(|server| server["kept"] == true).count();
        if kept == 2 { Ok(()) } else { Err(format!("{kept} are kept")) }
    });
    daemon.scale("crew", 0);
    let left = nova.settled(TAG, 3);
    let mut stayed: Vec<&str> = left.iter().map(|server| server.id.as_str()).collect();
    let mut kept = vec![ours[1].id.as_str(), ours[2].id.as_str(), neighbours[2].id.as_str()];
    stayed.sort_unstable();
    kept.sort_unstable();
    assert_eq!(stayed, kept);
    daemon.explains("crew", "3 more than desired are protected, locked or not ours, and stay");
    lab.note("locked, protected and hand-tagged ones stay");

    lab.openstack(&["server", "unlock", &ours[1].id]);
    lab.openstack(&["server", "unset", "--property", "novascale:protect", &ours[2].id]);
    let left = nova.settled(TAG, 1);
    assert_eq!(left[0].id, neighbours[2].id);

    // Up and down for as long as it takes to outlive three tokens.
    let mut desired = [5, 2, 6, 1].into_iter().cycle();
    while began.elapsed() < WORKED {
        let n = desired.next().unwrap();
        daemon.scale("crew", n);
        nova.settled(TAG, n);
    }
    daemon.scale("crew", 0);
    nova.settled(TAG, 1);
    lab.note("scaled out and in until three tokens had ended");

    for before in &neighbours {
        assert_eq!(nova.server(&before.id).as_ref(), Some(before), "a neighbour was touched");
    }
    // The provider's own log will not do: with such tokens keystoneauth, and so the
    // `openstack` command, signs in for each request (identity/base.py, MIN_TOKEN_LIFE_SECONDS).
    let token = |(series, _): &&(String, f64)| {
        series.starts_with("novascale_cloud_calls_total")
            && series.contains("identity-provider")
            && series.contains("POST")
    };
    let tokens: f64 = daemon.metrics().iter().filter(token).map(|(_, calls)| calls).sum();
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    assert!(minutes <= tokens && tokens <= 1.0 + 2.0 * minutes, "{tokens} sign-ins");
    lab.note(&format!("{tokens} sign-ins in {minutes:.1} min"));
    assert_eq!(daemon.metric("novascale_pass_failures_total"), 0.0);
    assert_eq!(daemon.metric("novascale_listing_failures_total"), 0.0);
    // What people did is told, and nothing else is worth a warning.
    let deleted = format!("({}) was deleted, but not by novascale", ours[0].id);
    let stays = "protected, locked or not ours, and stay";
    let (deletions, others): (Vec<String>, Vec<String>) =
        daemon.complaints().into_iter().partition(|line| line.ends_with(&deleted));
    assert_eq!(deletions.len(), 1, "{deletions:?}");
    let unexpected: Vec<&String> = others.iter().filter(|line| !line.contains(stays)).collect();
    assert_eq!(unexpected, Vec::<&String>::new());
    assert_eq!(daemon.status("crew")["failure"], json!(null));
}
