//! The controller as a whole, on an embedded cloud in this process: what a scale-out takes
//! beside the bare calls, and what it holds in memory when nothing happens.

#[path = "../../tests/it/stories/cloud.rs"]
#[expect(dead_code, reason = "shared with the stories, which tamper and search")]
mod cloud;

mod bare;
mod daemon;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use cloud::{Answer, Ask, Cloud, Fault};
use daemon::Daemon;

const SERVERS: u32 = 100;
const BATCHES: [usize; 2] = [50, 50];
const RUNS: usize = 5;
/// The command, the decision with its intents, and what became of each create.
const WRITES: usize = 2 + BATCHES.len();
const AIM_TIME: f64 = 1.2;
const AIM_CALLS: usize = 8;
const AIM_MEMORY_MB: f64 = 25.0;
/// A pass comes once a second at most; a group at rest had its last one longer ago.
const AT_REST: Duration = Duration::from_millis(1200);

/// One scale-out, as it was seen on the wire.
struct Run {
    /// From the start to the last create's answer.
    launched: Duration,
    /// From the start to the listing that shows all ACTIVE.
    seen: Duration,
    /// Creates and listings until then.
    calls: usize,
}

/// 0 to 100 against bare creates of the same batches: on a cloud that takes a little to
/// answer, as every other does, and on one that answers at once. There the bare calls take
/// a few milliseconds, and what comes on top shows: taking the command over HTTP, and what
/// must be durable before and after the calls, which is measured beside it.
pub fn scale_out() {
    for (name, answers_in) in [("after 200 ms", 200), ("at once", 0)] {
        let (mut bare, mut taken, mut launched, mut seen) = (vec![], vec![], vec![], vec![]);
        let (mut calls, mut durable) = (vec![], vec![]);
        for _ in 0..RUNS {
            durable.push(durable_writes());
            bare.push(bare_calls(answers_in).seen);
            let (run, answered) = controller(answers_in);
            taken.push(answered);
            launched.push(run.launched);
            seen.push(run.seen);
            calls.push(run.calls);
        }
        let [bare, taken, launched, seen, durable] =
            [bare, taken, launched, seen, durable].map(median);
        let calls = median(calls);
        println!(
            "scaleout: 0 to {SERVERS}, a cloud that answers {name}: {:.1} ms until all are seen \
             ACTIVE ({:.1} ms until the command is taken, {:.1} ms until the last create is \
             answered), bare calls {:.1} ms: {:.2} ×, aim {AIM_TIME} ×; {:.2} × the bare calls with \
             {WRITES} durable writes ({:.1} ms); {calls} calls, aim {AIM_CALLS}",
            ms(seen),
            ms(taken),
            ms(launched),
            ms(bare),
            seen.as_secs_f64() / bare.as_secs_f64(),
            seen.as_secs_f64() / (bare + durable).as_secs_f64(),
            ms(durable),
        );
    }
}

/// What the controller alone holds, with a group of three that needs nothing.
pub fn memory() {
    let cloud = cloud(0);
    let daemon = Daemon::start(&cloud);
    daemon.set(3);
    daemon.until_steady(3);
    let mut most: f64 = 0.0;
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(100));
        most = most.max(anonymous_mb(daemon.pid()));
    }
    let ratio = most / AIM_MEMORY_MB;
    println!("memory: {most:.1} MB (RssAnon) idle; {ratio:.2} × the aim of {AIM_MEMORY_MB} MB");
}

fn cloud(answers_in_ms: u64) -> Cloud {
    let cloud = Cloud::with(|config| {
        config.rules.build_ms = 0..=0;
        config.rules.delete_ms = 0..=0;
    });
    if answers_in_ms > 0 {
        // Half on the way there, half on the way back.
        let pause = Duration::from_millis(answers_in_ms / 2);
        cloud.tamper(move |_| Some(Fault::Slow(pause)));
    }
    cloud
}

/// The least that those writes take on this disk.
fn durable_writes() -> Duration {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let began = Instant::now();
    for _ in 0..WRITES {
        file.write_all(&[7; 4096]).unwrap();
        file.as_file().sync_data().unwrap();
    }
    began.elapsed()
}

fn bare_calls(answers_in_ms: u64) -> Run {
    let cloud = cloud(answers_in_ms);
    let events = watch(&cloud);
    let began = bare::scale_out(&cloud, &BATCHES);
    follow(&events, began)
}

/// The run, and how long the command's own answer took.
fn controller(answers_in_ms: u64) -> (Run, Duration) {
    let cloud = cloud(answers_in_ms);
    let daemon = Daemon::start(&cloud);
    // Signed in, names looked up, connections open.
    for n in [1, 0] {
        daemon.set(n);
        daemon.until_steady(n);
    }
    std::thread::sleep(AT_REST);
    let events = watch(&cloud);
    let began = Instant::now();
    daemon.set(SERVERS);
    let taken = began.elapsed();
    (follow(&events, began), taken)
}

/// Every create and listing from now on, with the instant at which its answer left.
fn watch(cloud: &Cloud) -> Receiver<(Event, Instant)> {
    let (told, hears) = mpsc::channel();
    let told = Mutex::new(told);
    cloud.watch(move |ask, answer| {
        if let Some(event) = event(ask, answer) {
            // Nobody listens any more once all were seen.
            let _ = told.lock().unwrap().send((event, Instant::now()));
        }
    });
    hears
}

fn follow(events: &Receiver<(Event, Instant)>, began: Instant) -> Run {
    let (mut calls, mut launched) = (0, Duration::ZERO);
    loop {
        let (event, at) = events.recv_timeout(Duration::from_secs(60)).unwrap();
        let after = at.saturating_duration_since(began);
        calls += 1;
        match event {
            Event::Created => launched = after,
            Event::Listed(active) if active >= SERVERS as usize => {
                return Run { launched, seen: after, calls };
            }
            Event::Listed(_) => {}
        }
    }
}

enum Event {
    Created,
    /// So many ACTIVE.
    Listed(usize),
}

fn event(ask: &Ask, answer: &Answer) -> Option<Event> {
    if ask.creates() {
        return Some(Event::Created);
    }
    let text = String::from_utf8_lossy(&answer.body);
    ask.lists().then(|| Event::Listed(text.matches("\"status\":\"ACTIVE\"").count()))
}

fn anonymous_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kb: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kb * 1024.0 / 1e6
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
