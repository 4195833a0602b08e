//! What systemd is told over its socket.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, PATIENCE, Place, group};

/// The service manager's end of the socket.
pub struct Manager {
    end: UnixDatagram,
    pub socket: String,
}

impl Manager {
    pub fn listening(place: &Place) -> Self {
        let path = place.path().join("notify");
        let end = UnixDatagram::bind(&path).unwrap();
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { end, socket: path.to_str().unwrap().to_owned() }
    }

    /// Waits for a message with this line, and returns the whole of it.
    pub fn hears(&self, line: &str) -> String {
        let mut told = Vec::new();
        let mut message = [0; 4096];
        loop {
            let size = self.end.recv(&mut message);
            let size = size.unwrap_or_else(|e| panic!("never told {line}, only {told:?}: {e}"));
            let text = String::from_utf8_lossy(&message[..size]).into_owned();
            if text.lines().any(|l| l == line) {
                return text;
            }
            told.push(text);
        }
    }
}

#[test]
fn systemd_is_told_ready_alive_and_stopping() {
    let cloud = Cloud::start();
    let place = Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 3)));
    let manager = Manager::listening(&place);
    let variables = [("NOTIFY_SOCKET", manager.socket.as_str()), ("WATCHDOG_USEC", "300000")];
    let daemon = place.start_with(&variables);
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
