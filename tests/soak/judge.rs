//! What is counted each minute, and what is judged at the end.

use super::cloud::{Ask, Cloud};
use super::faults::Trouble;
use super::place::Place;
use super::senders::Senders;
use super::{GROUPS, PER_SECOND};

/// A class's calls in a minute: its pace, and what it may make up for at once.
const BUDGET: usize = PER_SECOND * 60 + PER_SECOND;
/// Growth that is no leak: an allocator's rounding, connections of the moment.
const GROWTH: f64 = 1.1;
const GROWTH_MIB: f64 = 2.0;
const GROWTH_DESCRIPTORS: f64 = 8.0;

pub const HEADING: &str = "min | RssAnon MiB | descriptors | reads writes sign-ins | calls struck, \
                           failed | passes failed | signals refused | servers";

/// The process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    anonymous_mib: f64,
    descriptors: f64,
}

impl Sample {
    pub fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        Self { anonymous_mib: kib / 1024.0, descriptors: descriptors as f64 }
    }
}

/// What was counted up to now.
pub struct Counts {
    reads: usize,
    writes: usize,
    sign_ins: usize,
    struck: usize,
    failed_calls: f64,
    failed_passes: f64,
    signals: (usize, usize),
    servers: Vec<usize>,
}

pub fn counts(place: &Place, cloud: &Cloud, trouble: &Trouble, senders: &Senders) -> Counts {
    let signs_in = |ask: &Ask| ["/identity", "/oidc"].iter().any(|at| ask.path.starts_with(at));
    let metrics = place.ask("admin", "GET /metrics", "read", None).body;
    let sum = |name: &str, but: &str| -> f64 {
        let series = metrics.lines().filter(|line| line.starts_with(name) && !line.contains(but));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    Counts {
        reads: cloud.asked(|ask| !signs_in(ask) && ask.method == "GET"),
        writes: cloud.asked(|ask| !signs_in(ask) && ask.method != "GET"),
        sign_ins: cloud.asked(signs_in),
        struck: trouble.struck(),
        failed_calls: sum("novascale_cloud_calls_total", "outcome=\"ok\""),
        failed_passes: sum("novascale_pass_failures_total", "#"),
        signals: senders.sent(),
        servers: GROUPS.iter().map(|name| cloud.members(name)).collect(),
    }
}

/// All that is judged.
#[derive(Default)]
pub struct Figures {
    samples: Vec<Sample>,
    /// The most calls of one minute: reads, writes, sign-ins.
    most: [usize; 3],
}

impl Figures {
    pub fn note(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// One line of what was counted within the minute.
    pub fn minute(&mut self, minute: usize, before: &Counts, now: &Counts) {
        let calls =
            [now.reads - before.reads, now.writes - before.writes, now.sign_ins - before.sign_ins];
        for (most, calls) in self.most.iter_mut().zip(calls) {
            *most = calls.max(*most);
        }
        let last = self.samples.last().unwrap();
        println!(
            "{minute:3} | {:11.1} | {:11} | {:5} {:6} {:8} | {:4} {:4} | {:2} | {:4} {} | {:?}",
            last.anonymous_mib,
            last.descriptors,
            calls[0],
            calls[1],
            calls[2],
            now.struck - before.struck,
            now.failed_calls - before.failed_calls,
            now.failed_passes - before.failed_passes,
            now.signals.0 - before.signals.0,
            now.signals.1 - before.signals.1,
            now.servers,
        );
    }

    /// Memory and descriptors are flat, and no minute went beyond the budget.
    pub fn judged(&self) {
        let memory = self.fifths(|sample| sample.anonymous_mib);
        let descriptors = self.fifths(|sample| sample.descriptors);
        println!(
            "RssAnon: {:.1} MiB in the second fifth, {:.1} MiB in the last; descriptors: {} and {}; \
             most reads, writes, sign-ins of a minute: {:?} of {BUDGET} each",
            memory.0, memory.1, descriptors.0, descriptors.1, self.most
        );
        assert!(memory.1 <= memory.0 * GROWTH + GROWTH_MIB, "memory grows");
        assert!(descriptors.1 <= descriptors.0 + GROWTH_DESCRIPTORS, "descriptors are not let go");
        assert!(self.most.iter().all(|calls| *calls <= BUDGET), "beyond the budget of calls");
    }

    /// The medians of the second fifth and of the last.
    fn fifths(&self, of: impl Fn(&Sample) -> f64) -> (f64, f64) {
        let fifth = self.samples.len() / 5;
        let median = |part: &[Sample]| {
            let mut values: Vec<f64> = part.iter().map(&of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let last = self.samples.len() - fifth;
        (median(&self.samples[fifth..2 * fifth]), median(&self.samples[last..]))
    }
}
