//! What goes wrong: a mix of faults on every call, outages now and then, and people.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::cloud::{Answer, Ask, Cloud, Fault};

/// One call in so many, by permille.
const BUSY: u32 = 30;
const BROKEN: u32 = 20;
const LOST: u32 = 15;
const SLOW: u32 = 60;
const MUTE: u32 = 3;
const PROXY: u32 = 10;
const CUT: u32 = 10;
const UNAUTHORIZED: u32 = 3;

/// Every so often the cloud is out for a while.
const OUTAGE_EVERY: Duration = Duration::from_secs(290);
const OUTAGE: Duration = Duration::from_secs(45);
/// And every so often somebody deletes a server.
const MEDDLE_EVERY: Duration = Duration::from_secs(20);

pub struct Trouble {
    shared: Arc<Shared>,
    meddled: Mutex<Instant>,
}

struct Shared {
    began: Instant,
    over: AtomicBool,
    struck: AtomicUsize,
    dice: Mutex<StdRng>,
}

impl Trouble {
    /// From now on.
    pub fn begin(cloud: &Cloud) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            over: AtomicBool::new(false),
            struck: AtomicUsize::new(0),
            dice: Mutex::new(StdRng::seed_from_u64(3)),
        });
        let befalls = Arc::clone(&shared);
        cloud.tamper(move |ask| befalls.befalls(ask));
        Self { shared, meddled: Mutex::new(Instant::now()) }
    }

    pub fn ends(&self, cloud: &Cloud) {
        self.shared.over.store(true, Ordering::SeqCst);
        cloud.mend();
    }

    /// How many calls suffered so far.
    pub fn struck(&self) -> usize {
        self.shared.struck.load(Ordering::SeqCst)
    }

    /// Somebody deletes a server past the wire, if it is time for it.
    pub fn meddles(&self, cloud: &Cloud) {
        let mut meddled = self.meddled.lock().unwrap();
        if meddled.elapsed() < MEDDLE_EVERY {
            return;
        }
        *meddled = Instant::now();
        let servers = cloud.servers();
        if servers.is_empty() {
            return;
        }
        let at = self.shared.dice.lock().unwrap().random_range(0..servers.len());
        let id = servers[at]["id"].as_str().unwrap();
        // It may be on its way out by itself.
        if servers[at]["OS-EXT-STS:task_state"].is_null() {
            cloud.nova("DELETE", &format!("/servers/{id}"), Value::Null);
        }
    }
}

impl Shared {
    fn befalls(&self, ask: &Ask) -> Option<Fault> {
        let fault = if self.out() { Some(Fault::Lose) } else { self.drawn(ask) };
        self.struck.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
        fault
    }

    fn out(&self) -> bool {
        let since = self.began.elapsed().as_millis() % OUTAGE_EVERY.as_millis();
        // The first comes at the end of its turn: the fleet is there by then.
        since > (OUTAGE_EVERY - OUTAGE).as_millis()
    }

    fn drawn(&self, ask: &Ask) -> Option<Fault> {
        let mut dice = self.dice.lock().unwrap();
        let mut at: u32 = dice.random_range(0..1000);
        let mut strikes = |permille: u32| {
            let hit = at < permille;
            at = if hit { u32::MAX } else { at - permille };
            hit
        };
        if strikes(BUSY) {
            Some(Fault::Answer(429, &[("retry-after", "2")], String::new()))
        } else if strikes(BROKEN) {
            Some(Fault::Answer(503, &[], "{}".to_owned()))
        } else if strikes(LOST) {
            Some(Fault::Lose)
        } else if strikes(SLOW) {
            Some(Fault::Slow(Duration::from_millis(400)))
        } else if strikes(MUTE) {
            Some(Fault::Mute)
        } else if strikes(PROXY) {
            Some(Fault::Answer(502, &[("content-type", "text/html")], "<h1>no</h1>".to_owned()))
        } else if strikes(UNAUTHORIZED) && ask.path.starts_with("/compute") {
            Some(Fault::Answer(401, &[], "{}".to_owned()))
        } else if strikes(CUT) && ask.lists() {
            Some(Fault::Alter(half))
        } else {
            None
        }
    }
}

fn half(mut answer: Answer) -> Answer {
    answer.body.truncate(answer.body.len() / 2);
    answer
}
