//! A Nova that is slow, that fails builds, and whose API hangs.

use std::time::{Duration, Instant};

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until};

const TAG: &str = "novascale:crew";

fn crew() -> String {
    let launch = "launch = { batch = 4, backoff_first = \"2s\", backoff_most = \"5s\" }";
    let group = format!("[group.crew]\nmin = 0\nmax = 16\n{GROUP}{launch}\n");
    // Below the freeze, so that calls end without an answer.
    settings("cloud = \"ovhcloud\"", &group)
        .replace("call_timeout = \"10s\"", "call_timeout = \"6s\"")
}

#[test]
fn slow_builds_of_which_some_fail_end_at_desired() {
    let lab = Lab::take("slow and failing builds");
    let nova = Nova::of(&lab);
    lab.run(&["spawn", "delay=3", "jitter=4", "fail_rate=0.4"]);
    let since = nova.now();
    let daemon = Daemon::started(&lab, &crew());
    daemon.scale("crew", 8);
    nova.settled(TAG, 8);
    assert_eq!(lab.counted(TAG), 8);
    daemon.steady("crew");
    assert_eq!(nova.all().len(), 8, "a failed server was not swept");
    assert_eq!(nova.orphaned_ports(), Vec::<String>::new());
    let failed = nova.deleted_since(&since).len();
    lab.note(&format!("8 serve; {failed} that failed were swept"));
}

#[test]
fn an_api_that_hangs_in_mid_scale_out_duplicates_nothing() {
    let lab = Lab::take("frozen API");
    let nova = Nova::of(&lab);
    let daemon = Daemon::started(&lab, &crew());
    daemon.scale("crew", 3);
    nova.settled(TAG, 3);
    // Nova takes the creates' connections and bytes, and carries them out once it is thawed:
    // long after novascale gave up waiting for an answer.
    let creates = lab.mark("nova-api.log");
    lab.run(&["freeze", "nova-api"]);
    let frozen = Instant::now();
    daemon.scale("crew", 11);
    until("creates and listings to end without an answer", || {
        let metrics = daemon.metrics();
        let unclear = |(series, n): &&(String, f64)| {
            series.starts_with("novascale_actions_total") && series.contains("unclear") && *n > 0.0
        };
        let failed = daemon.metric("novascale_listing_failures_total");
        let noticed = metrics.iter().any(|sample| unclear(&sample)) && failed >= 1.0;
        let long = frozen.elapsed() >= Duration::from_secs(25);
        if noticed && long { Ok(()) } else { Err(format!("{metrics:?}")) }
    });
    assert_eq!(creates.creates().len(), 0, "the API was not frozen");
    daemon.explains("crew", "is not known yet");
    lab.run(&["thaw", "nova-api"]);
    lab.note(&format!("thawed after {} s", frozen.elapsed().as_secs()));
    nova.settled(TAG, 11);
    daemon.steady("crew");
    assert_eq!(lab.counted(TAG), 11);
    let made: std::collections::BTreeMap<String, usize> =
        nova.tagged(TAG).iter().fold(Default::default(), |mut made, server| {
            *made.entry(server.launch().unwrap().to_owned()).or_default() += 1;
            made
        });
    assert!(made.values().all(|n| *n <= 4), "a launch was made twice: {made:?}");
    lab.note("11 serve, none twice");
}
