//! What systemd is told over its socket.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, PATIENCE, Place, group};

struct Manager(UnixDatagram);

impl Manager {
    /// Waits for a message with this line.
    fn hears(&self, line: &str) {
        let mut told = Vec::new();
        let mut message = [0; 4096];
        loop {
            let size = self.0.recv(&mut message);
            let size = size.unwrap_or_else(|e| panic!("never told {line}, only {told:?}: {e}"));
            let text = String::from_utf8_lossy(&message[..size]).into_owned();
            if text.lines().any(|l| l == line) {
                return;
            }
            told.push(text);
        }
    }
}

#[test]
fn systemd_is_told_ready_alive_and_stopping() {
    let cloud = Cloud::start();
    let place = Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 3)));
    let path = place.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = path.to_str().unwrap();
    let daemon = place.start_with(&[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "300000")]);
    manager.hears("READY=1");
    // Fed again and again, not only once.
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    daemon.signal("TERM");
    manager.hears("STOPPING=1");
    let stopped = daemon.ended(std::time::Instant::now());
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    assert!(stopped.took < Duration::from_secs(20));
    canary::search(&place, Some(&cloud));
}
