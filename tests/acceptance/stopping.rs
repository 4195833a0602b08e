//! SIGTERM in the middle of scaling out: what is in flight ends or is recorded, in time.

use std::time::Duration;

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until};

const TAG: &str = "novascale:crew";

#[test]
fn sigterm_in_mid_scale_out_ends_in_time_and_the_next_start_goes_on() {
    let lab = Lab::take("SIGTERM");
    let nova = Nova::of(&lab);
    // Builds that last keep the scale-out in its middle.
    lab.run(&["spawn", "delay=5"]);
    let group = format!("[group.crew]\nmin = 0\nmax = 9\n{GROUP}launch = {{ batch = 3 }}\n");
    let mut daemon = Daemon::started(&lab, &settings("cloud = \"ovhcloud\"", &group));
    daemon.scale("crew", 9);
    until("the first server to come", || {
        match nova.tagged(TAG).len() {
            0 => Err("none yet"),
            _ => Ok(()),
        }
        .map_err(str::to_owned)
    });
    let (ended, took) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{}", daemon.log());
    assert!(took <= Duration::from_secs(20), "it took {took:?} to stop");
    assert!(daemon.log().contains("stopping:"), "{}", daemon.log());
    let serving = nova.tagged(TAG).iter().filter(|server| server.status == "ACTIVE").count();
    assert!(serving < 9, "it was not the middle any more");
    lab.note(&format!("stopped within {} ms, {serving} of 9 served", took.as_millis()));

    daemon.start();
    nova.settled(TAG, 9);
    assert_eq!(lab.counted(TAG), 9);
    daemon.steady("crew");
    assert_eq!(nova.tagged(TAG).len(), 9);
    assert!(daemon.log().contains("recovered:"), "{}", daemon.log());
}
