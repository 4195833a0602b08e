//! Senders that connect and say nothing, where few files may be open.

use std::net::TcpStream;

use super::canary;
use super::cloud::Cloud;
use super::place::{FAST, Place, group};

/// Opens so many connections to a listener; they are closed when the answer is dropped.
fn idle(place: &Place, listener: &str, n: usize) -> Vec<TcpStream> {
    let url = place.address(listener);
    let address = url.strip_prefix("http://").unwrap();
    (0..n).map(|_| TcpStream::connect(address).unwrap()).collect()
}

#[test]
fn idle_connections_take_no_descriptors_from_the_loops() {
    // The first limit can be raised by the program itself, the second one cannot.
    for (limit, connections) in [("ulimit -Sn 200", 240), ("ulimit -n 200", 120)] {
        let cloud = Cloud::start();
        let place = Place::new(&format!("{}{FAST}{}", cloud.section(), group("web", 0, 20)));
        let daemon = place.start_after(limit);
        place.until_steady("web", 0);
        let held = idle(&place, "webhook", connections);
        place.does("scale web 3");
        place.until_steady("web", 3);
        drop(held);
        let stopped = daemon.stop();
        assert_eq!(stopped.code, 0, "{}", stopped.log);
        let lowered = stopped.log.contains("but 36 are taken at most");
        assert_eq!(lowered, limit == "ulimit -n 200", "{limit}: {}", stopped.log);
        for trouble in ["could not be accepted", "Too many open files"] {
            assert!(!stopped.log.contains(trouble), "{limit}: {}", stopped.log);
        }
        canary::search(&place, Some(&cloud));
    }
}
