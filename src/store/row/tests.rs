use std::time::Duration;

use super::*;
use crate::domain::behaviour::Change;
use crate::domain::claim::{Claim, Memory, Over, Wants};
use crate::domain::count::Bounds;
use crate::domain::fleet::Tally;
use crate::domain::id::{Owner, ServerId, SignalName, TemplateHash};
use crate::domain::outcome::FailureKind;
use crate::domain::plan::{Action, Cause};
use crate::domain::time::{Now, Wall};

fn decision(secs: u64) -> Decision {
    let at = Now { wall: Wall(0), steady: Steady(0) }.plus(Duration::from_secs(secs));
    Decision {
        group: GroupName::new("web").unwrap(),
        at,
        config_hash: TemplateHash::new("0".repeat(16)).unwrap(),
        bounds: Bounds::new(0, 9),
        schedules: Vec::new(),
        claims: Vec::new(),
        wanted: Some(3),
        desired: 3,
        tempering: Vec::new(),
        tally: Tally { serving: 3, ..Tally::default() },
        plan: Vec::new(),
        waiting: Vec::new(),
        pauses: Default::default(),
        next_look: at.steady.plus(Duration::from_secs(15)),
        changes: Changes::default(),
    }
}

fn with(secs: u64, change: impl FnOnce(&mut Decision)) -> Decision {
    let mut decision = decision(secs);
    change(&mut decision);
    decision
}

fn busy(secs: u64, message: &str) -> Waiting {
    let failure = Failure::new(FailureKind::Busy, message);
    Waiting::Backoff { until: Steady(secs), wait_secs: secs, attempts: 1, failure }
}

/// What differs only because time went by, told at two instants.
fn told_at(secs: u64) -> Decision {
    with(secs, |d| {
        let target = Source::Target {
            signal: SignalName::new("load").unwrap(),
            per_server: 100.0,
            load: Some(300.0 - secs as f64),
            age_secs: Some(secs),
            silent: 0,
            shifting: 0,
            whole_silent: false,
            over: Over::default(),
            tolerated: false,
        };
        let owner = Owner::new("batch").unwrap();
        let reservation = Source::Reservation { owner, left_secs: 900 - secs, reason: None };
        let pin = Source::Pin { left_secs: Some(900 - secs), reason: None };
        d.claims = [target, reservation, pin]
            .map(|source| Claim { source, wants: Wants::Servers(3) })
            .into();
        let (from, to, left_secs) = (2, 3, 900 - secs);
        d.tempering = vec![
            Tempering::Stabilized { from, to, window_secs: 300, left_secs },
            Tempering::StabilizedOut { from: 5, to: 4, least: 4, window_secs: 300, left_secs },
            Tempering::RatedIn { from, to, change: Change::Count(1), per_secs: 60, left_secs },
            Tempering::RatedOut {
                from: 5,
                to: 4,
                change: Change::Percent(50.0),
                per_secs: 60,
                left_secs,
            },
            Tempering::Cooling { from, to, left_secs },
            Tempering::CoolingOut { from: 5, to: 4, left_secs },
        ];
        let server = ServerId::new("s").unwrap();
        let failure = Failure::new(FailureKind::Conflict, format!("request {secs}"));
        d.waiting = vec![
            Waiting::Unseen { why: format!("timeout after {secs}"), for_secs: secs },
            Waiting::Stale { age_secs: secs },
            busy(secs, "later"),
            Waiting::Velocity { allowed: 1, per_secs: 60, left_secs },
            Waiting::DeleteBackoff { server, wait_secs: secs, failure },
        ];
    })
}

#[test]
fn passing_time_is_no_new_situation() {
    assert!(same_situation(&decision(0), &decision(15)));
    assert!(same_situation(&told_at(1), &told_at(16)));
}

#[test]
fn whatever_a_person_would_notice_is_a_new_situation() {
    let source = |declared| Source::Base { declared, reason: None };
    let claim = |n| Claim { source: source(true), wants: n };
    let other = [
        with(15, |d| d.desired = 4),
        with(15, |d| d.wanted = None),
        with(15, |d| d.bounds = Bounds::new(0, 8)),
        with(15, |d| d.tally.serving = 2),
        with(15, |d| d.config_hash = TemplateHash::new("1".repeat(16)).unwrap()),
        with(15, |d| d.tempering = vec![Tempering::Pinned { to: 3 }]),
        with(15, |d| d.claims = vec![claim(Wants::Servers(3))]),
        with(15, |d| d.waiting = vec![busy(1, "later")]),
        with(15, |d| d.waiting = vec![Waiting::Kept { n: 1 }]),
    ];
    for other in &other {
        assert!(!same_situation(&decision(0), other), "{other:?}");
    }
    let attempts = |n| {
        let failure = Failure::new(FailureKind::Busy, "");
        let wait = Waiting::Backoff { until: Steady(9), wait_secs: 9, attempts: n, failure };
        with(0, |d| d.waiting = vec![wait])
    };
    assert!(!same_situation(&attempts(1), &attempts(2)));
}

#[test]
fn of_a_quiet_run_the_first_and_the_last_stand() {
    let (first, last) = (decision(0), decision(60));
    let line = |last, new: Decision| next_line(Some(last), &new);
    assert_eq!(next_line(None, &first), Line::Append { again: false });
    assert_eq!(line((&first, false), decision(59)), Line::Skip);
    assert_eq!(line((&first, false), decision(60)), Line::Append { again: true });
    assert_eq!(line((&last, true), decision(75)), Line::Skip);
    assert_eq!(line((&last, true), decision(120)), Line::Replace);
    let moved = with(75, |d| d.desired = 4);
    assert_eq!(line((&last, true), moved), Line::Append { again: false });
}

#[test]
fn what_a_pass_does_is_always_a_line_of_its_own() {
    let cause = Cause::Surplus;
    let (intent, server) = (IntentId::from_bits(1), ServerId::new("s").unwrap());
    let acts = with(90, |d| d.plan = vec![Action::Terminate { intent, server, cause }]);
    let line = next_line(Some((&acts.clone(), false)), &acts);
    assert_eq!(line, Line::Append { again: false });
    let remembers = with(15, |d| d.changes.memory = Some(Memory::default()));
    assert_eq!(next_line(Some((&decision(0), false)), &remembers), Line::Skip);
}
