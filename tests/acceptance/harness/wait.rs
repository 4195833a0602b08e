//! Waiting is asking again until the answer fits, with a deadline; never a pause that hopes.

use std::time::{Duration, Instant};

/// Enough for anything that ends at all: a fleet of 30 beside a compiler that takes both cores.
const TIRED: Duration = Duration::from_secs(300);

/// Between two questions: Nova's API shares two cores with the builds that are waited for.
const PAUSE: Duration = Duration::from_millis(700);

/// Asks until the answer fits. What the last answer lacked is in the panic.
pub fn until<T>(what: &str, ask: impl FnMut() -> Result<T, String>) -> T {
    within(TIRED, what, ask)
}

/// The same with a deadline of its own.
#[track_caller]
pub fn within<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(found) => return found,
            Err(lacking) if began.elapsed() < deadline => {
                drop(lacking);
                std::thread::sleep(PAUSE);
            }
            Err(lacking) => panic!("{what}: not within {} s: {lacking}", deadline.as_secs()),
        }
    }
}
