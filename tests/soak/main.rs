//! Half an hour of a bad day: the real program on an embedded cloud that fails in every way a
//! wire can, with twenty signals a second and people who delete its servers. What it holds must
//! not grow, and what it asks of the cloud must stay within its budget.
//!
//! ```text
//! cargo test --release --test soak                    thirty minutes
//! cargo test --release --test soak -- --minutes 3     a trial; a minute is too short to judge
//! ```
//!
//! Every minute has a line. At the end the faults stop, the fleets have to come to what their
//! load asks for, and it is judged ([`judge`]): memory and descriptors by the medians of the
//! second fifth and the last, calls by the worst minute.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints, and fails loudly"
)]

#[path = "../it/stories/canary.rs"]
#[allow(dead_code, reason = "shared with the stories")]
mod canary;
#[path = "../it/stories/cloud.rs"]
#[allow(dead_code, reason = "shared with the stories")]
mod cloud;
mod faults;
mod judge;
#[path = "../it/stories/place.rs"]
#[allow(dead_code, reason = "shared with the stories")]
mod place;
mod senders;

use std::time::{Duration, Instant};

use cloud::Cloud;
use faults::Trouble;
use judge::{Figures, Sample};
use place::{Daemon, Place};
use senders::Senders;

const GROUPS: [&str; 4] = ["web", "api", "jobs", "mail"];
const MAX: u32 = 16;
/// The defaults, written out: what is judged is what they promise.
const PER_SECOND: usize = 5;
/// How often memory and descriptors are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
/// After the faults: longer than every back-off, stabilization and settling time.
const CALM: Duration = Duration::from_secs(240);

fn main() {
    let minutes = minutes();
    let cloud = Cloud::with(|config| {
        config.rules.build_ms = 500..=4000;
        config.rules.delete_ms = 200..=1000;
        // Below what all groups may have together: at their peaks there is no room.
        config.rules.quota.instances = 48;
        config.rules.token_life_secs = 300;
    });
    let place = Place::new(&settings(&cloud));
    let daemon = place.start_as(&["run", "--log-level", "error,novascale::app=info"], &[]);
    let trouble = Trouble::begin(&cloud);
    let senders = Senders::begin(&place);
    let figures = watch(&daemon, &place, &cloud, (&trouble, &senders), minutes);
    trouble.ends(&cloud);
    senders.level();
    comes_to_rest(&place, &cloud);
    println!("{}", senders.end());
    let stopped = daemon.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    let open = "SELECT body FROM intent WHERE state NOT IN ('closed', 'abandoned')";
    assert_eq!(place.rows(open), Vec::<String>::new());
    figures.judged();
    println!("soak: all of it held for {minutes} minutes");
}

/// `--minutes N`; thirty without.
fn minutes() -> usize {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|word| word == "--minutes");
    at.map_or(30, |at| arguments[at + 1].parse().expect("--minutes takes a number"))
}

/// In ten minutes, the default, people here delete more than the meltdown guard lets pass: it would
/// stop every group for a person, as it should.
fn settings(cloud: &Cloud) -> String {
    let mut text = format!(
        "{}[cloud.limits]\nread_per_second = {PER_SECOND}\nwrite_per_second = {PER_SECOND}\n\
         call_timeout = \"2s\"\n\n[http]\nwebhook = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n",
        cloud.section()
    );
    for name in GROUPS {
        text.push_str(&format!(
            "[group.{name}]\nmin = 1\nmax = {MAX}\nflavor = \"d2-2\"\nimage = \"Debian 12\"\n\
             networks = [\"Ext-Net\"]\n\n[group.{name}.scale_in]\nstabilization = \"20s\"\n\
             cooldown = \"10s\"\nvelocity = \"50%\"\n\n[group.{name}.patience]\nsettle = \"15s\"\n\n\
             [group.{name}.meltdown]\nwithin = \"1m\"\n\n\
             [group.{name}.launch]\nbatch = 4\nbackoff_first = \"2s\"\nbackoff_most = \"30s\"\n\n\
             [[group.{name}.target]]\nsignal = \"requests\"\nper_server = 100\n\n"
        ));
    }
    text
}

/// Looks on for so many minutes, and tells of each.
fn watch(
    daemon: &Daemon<'_>,
    place: &Place,
    cloud: &Cloud,
    (trouble, senders): (&Trouble, &Senders),
    minutes: usize,
) -> Figures {
    let mut figures = Figures::default();
    println!("{}", judge::HEADING);
    let mut before = judge::counts(place, cloud, trouble, senders);
    for minute in 1..=minutes {
        let end = Instant::now() + MINUTE;
        while Instant::now() < end {
            figures.note(Sample::of(daemon.pid()));
            trouble.meddles(cloud);
            std::thread::sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now())));
        }
        let counts = judge::counts(place, cloud, trouble, senders);
        figures.minute(minute, &before, &counts);
        before = counts;
    }
    figures
}

/// Every group has exactly what its load asks for, by the cloud's word and by its own.
fn comes_to_rest(place: &Place, cloud: &Cloud) {
    let began = Instant::now();
    let n = senders::LEVEL_WANTS;
    loop {
        let served: Vec<usize> = GROUPS.iter().map(|name| cloud.members(name)).collect();
        let still = GROUPS.iter().all(|name| {
            let group = place.group(name);
            group["situation"] == "steady" && group["tally"]["serving"] == n
        });
        if still && served.iter().all(|there| *there == n) {
            println!("at rest {} s after the faults: {served:?}", began.elapsed().as_secs());
            return;
        }
        assert!(began.elapsed() < CALM, "no rest after the faults: {served:?}");
        std::thread::sleep(Duration::from_secs(1));
    }
}
