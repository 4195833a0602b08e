//! Twenty signals a second, by senders who wait for nothing but their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::GROUPS;
use super::place::Place;

const EVERY: Duration = Duration::from_millis(50);
/// The load goes up and down within so long, each group's at its own time.
const PERIOD: Duration = Duration::from_secs(400);
/// At the end the load is level, at the hundred per server that the groups say.
const LEVEL: f64 = 450.0;
pub const LEVEL_WANTS: usize = 5;

pub struct Senders {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    level: AtomicBool,
    over: AtomicBool,
    taken: AtomicUsize,
    refused: AtomicUsize,
}

impl Senders {
    pub fn begin(place: &Place) -> Self {
        let shared = Arc::new(Shared::default());
        let to = (place.address("webhook"), place.token("signal"));
        let sends = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(sends.sends(&to.0, &to.1));
        });
        Self { shared, thread }
    }

    /// The load is the same from now on.
    pub fn level(&self) {
        self.shared.level.store(true, Ordering::SeqCst);
    }

    /// Signals that were taken, and those that were not.
    pub fn sent(&self) -> (usize, usize) {
        let Shared { taken, refused, .. } = &*self.shared;
        (taken.load(Ordering::SeqCst), refused.load(Ordering::SeqCst))
    }

    /// What became of all of them: each has to be taken, whatever the cloud does.
    pub fn end(self) -> String {
        self.shared.over.store(true, Ordering::SeqCst);
        let (taken, refused) = self.sent();
        self.thread.join().unwrap();
        assert_eq!(refused, 0, "signals that were not taken");
        format!("{taken} signals were sent and taken")
    }
}

impl Shared {
    async fn sends(&self, webhook: &str, token: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (began, mut turn) = (Instant::now(), interval(EVERY));
        turn.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for at in (0..GROUPS.len()).cycle() {
            turn.tick().await;
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let value = if self.level.load(Ordering::SeqCst) { LEVEL } else { load(began, at) };
            let url = format!("{webhook}/v1/groups/{}/signals", GROUPS[at]);
            let sample = json!({ "name": "requests", "value": value });
            let sent = client.post(url).bearer_auth(token).json(&sample).send().await;
            let taken = sent.is_ok_and(|answer| answer.status() == 202);
            let count = if taken { &self.taken } else { &self.refused };
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Between one server's load and fifteen servers'.
fn load(began: Instant, group: usize) -> f64 {
    let turn = began.elapsed().as_secs_f64() / PERIOD.as_secs_f64();
    let phase = group as f64 / GROUPS.len() as f64;
    800.0 + 700.0 * ((turn + phase) * std::f64::consts::TAU).sin()
}
