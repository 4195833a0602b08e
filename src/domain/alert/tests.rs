use proptest::prelude::*;

use super::*;

fn at(secs: u64) -> Now {
    Now { wall: Wall(0), steady: Steady(0) }.plus(Duration::from_secs(secs))
}

fn told(firing: bool, starts: Option<i64>) -> AlertTold {
    let name = AlertName::new("QueueHigh").unwrap();
    AlertTold { starts: starts.map(Wall), ..AlertTold::new(name, firing) }
}

fn after(words: &[AlertTold]) -> Vec<Alerted> {
    let mut alerts = Vec::new();
    for (n, word) in (0..).zip(words) {
        hear(&mut alerts, std::slice::from_ref(word), at(n));
    }
    alerts
}

#[test]
fn firing_renews_and_resolved_ends() {
    let alerts = after(&[told(true, None), told(true, None)]);
    assert_eq!((alerts[0].since, alerts[0].renewed), (at(0), at(1)));
    assert!(alerts[0].fires(at(10), Duration::from_secs(60)));
    assert!(!alerts[0].fires(at(61), Duration::from_secs(60)), "nobody renewed it");
    let alerts = after(&[told(true, None), told(false, None)]);
    assert!(!alerts[0].fires(at(2), Duration::from_secs(60)));
    let alerts = after(&[told(true, None), told(false, None), told(true, None)]);
    assert_eq!((alerts[0].since, alerts[0].resolved), (at(2), false), "another episode");
}

fn of(source: &str, word: AlertTold) -> AlertTold {
    AlertTold { by: Teller::Source(SourceName::new(source).unwrap()), ..word }
}

#[test]
fn one_sender_says_nothing_of_the_alerts_of_another() {
    let fires = [of("a", told(true, None)), of("b", told(true, None)), told(true, None)];
    for (n, last) in fires.iter().enumerate() {
        let last = AlertTold { firing: false, ..last.clone() };
        let alerts = after(&[&fires[..], &[last]].concat());
        let over: Vec<bool> = alerts.iter().map(|alert| alert.resolved).collect();
        let ended: Vec<bool> = (0..3).map(|m| m == n).collect();
        assert_eq!(over, ended);
    }
    let no_data = AlertTold { held: true, ..fires[1].clone() };
    let alerts = after(&[&fires[..], &[no_data]].concat());
    assert_eq!(alerts.iter().filter(|alert| alert.renewed == at(3)).count(), 1);
}

#[test]
fn what_was_kept_without_its_teller_is_of_whoever_speaks_of_it_first() {
    let mut before = serde_json::to_value(after(&[told(true, Some(7))])).unwrap();
    before[0].as_object_mut().unwrap().remove("by");
    let before: Vec<Alerted> = serde_json::from_value(before).unwrap();
    let mut ended = before.clone();
    hear(&mut ended, &[of("a", told(false, Some(7)))], at(1));
    assert_eq!((ended.len(), ended[0].resolved), (1, true));
    let mut both = before;
    hear(&mut both, &[of("a", told(true, Some(7)))], at(1));
    hear(&mut both, &[of("b", told(false, Some(7)))], at(2));
    assert_eq!((both.len(), both[0].resolved, both[1].resolved), (2, false, true));
}

#[test]
fn a_declared_end_comes_first() {
    let word = AlertTold { until: Some(at(5)), ..told(true, None) };
    let alerts = after(&[word]);
    let day = Duration::from_secs(86_400);
    assert!(alerts[0].fires(at(4), day) && !alerts[0].fires(at(5), day));
}

#[test]
fn no_data_begins_and_ends_nothing() {
    let word = |fingerprint: &str, firing| AlertTold {
        fingerprint: fingerprint.to_owned(),
        ..told(firing, None)
    };
    let held = |fingerprint| AlertTold { held: true, ..word(fingerprint, true) };
    assert!(after(&[held("")]).is_empty());
    let words = [word("a", true), word("b", true), word("c", false)];
    let renewed = |last| {
        let alerts = after(&[&words[..], &[last]].concat());
        alerts.iter().map(|alert| (alert.renewed, alert.resolved)).collect::<Vec<_>>()
    };
    let over = (at(2), true);
    assert_eq!(renewed(held("a")), [(at(3), false), (at(1), false), over], "one of them");
    assert_eq!(renewed(held("")), [(at(3), false), (at(3), false), over], "all of its name");
    let other = AlertTold { name: AlertName::new("Other").unwrap(), ..held("") };
    assert_eq!(renewed(other), [(at(0), false), (at(1), false), over]);
}

#[test]
fn a_late_repetition_opens_nothing() {
    let words = [told(true, Some(7)), told(false, Some(7)), told(true, Some(7))];
    assert!(after(&words)[0].resolved);
    assert!(after(&words[1..])[0].resolved, "the end came before the beginning");
    let next = after(&[told(false, Some(7)), told(true, Some(8)), told(false, Some(7))]);
    assert!(!next[0].resolved, "an earlier episode says nothing of this one");
}

#[test]
fn a_beginning_ahead_of_our_clock_does_not_move() {
    let word = |firing, now| AlertTold { ahead: Some(Wall(9)), ..told(firing, Some(now)) };
    let caught_up = |firing| told(firing, Some(9));
    let fires = [word(true, 1), word(true, 2), caught_up(true)];
    let alerts = after(&fires);
    assert_eq!((alerts[0].since, alerts[0].renewed), (at(0), at(2)), "one episode");
    for last in [word(false, 3), caught_up(false)] {
        let over = after(&[&fires[..2], &[last]].concat());
        assert!(over[0].resolved);
    }
    let again = after(&[word(true, 1), word(false, 2), word(true, 3), caught_up(true)]);
    assert!(again[0].resolved, "of one episode resolved is the last word");
    let next = after(&[word(true, 1), word(false, 2), told(true, Some(10))]);
    assert_eq!((next[0].since, next[0].resolved), (at(2), false), "another episode");
}

#[test]
fn a_word_that_is_only_said_later_goes_on_with_the_episode() {
    let word = |firing, said| AlertTold { dated: true, ..told(firing, Some(said)) };
    let alerts = after(&[word(true, 1), word(true, 2), word(true, 3)]);
    assert_eq!((alerts[0].since, alerts[0].renewed), (at(0), at(2)));
    let overtaken = after(&[word(true, 1), word(true, 3), word(false, 2)]);
    assert!(!overtaken[0].resolved, "it fired after that was said");
    let over = after(&[word(true, 1), word(true, 3), word(false, 4), word(true, 3)]);
    assert!(over[0].resolved);
    let next = after(&[word(true, 1), word(false, 4), word(true, 5)]);
    assert_eq!((next[0].since, next[0].resolved), (at(2), false), "another episode");
}

const DAY: Duration = Duration::from_secs(86_400);

fn numbered(n: usize, firing: bool) -> AlertTold {
    AlertTold { fingerprint: format!("f{n}"), ..told(firing, Some(1)) }
}

fn fires(alerts: &[Alerted], now: Now) -> usize {
    alerts.iter().filter(|alert| alert.fires(now, DAY)).count()
}

fn known(alerts: &[Alerted]) -> usize {
    alerts.iter().filter_map(|alert| alert.crowd.as_ref()).map(Crowd::len).sum()
}

#[test]
fn what_has_ended_makes_room() {
    let mut alerts = Vec::new();
    let brief = AlertTold { until: Some(at(10)), ..numbered(0, true) };
    hear(&mut alerts, &[brief], at(0));
    let words: Vec<_> = (1..ALERTS_MOST).map(|n| numbered(n, n != 1)).collect();
    hear(&mut alerts, &words, at(1));
    assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST, 0));
    for n in [999, 1000] {
        hear(&mut alerts, &[numbered(n, true)], at(10));
        assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST, 0), "one was resolved or ended");
    }
    hear(&mut alerts, &[numbered(1001, true)], at(10));
    assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST + 1, 1));
}

#[test]
fn what_finds_no_place_fires_and_ends_all_the_same() {
    let all = |firing| (0..400).map(|n| numbered(n, firing)).collect::<Vec<_>>();
    let mut alerts = Vec::new();
    hear(&mut alerts, &all(true), at(0));
    assert_eq!((fires(&alerts, at(0)), known(&alerts)), (ALERTS_MOST + 1, 400 - ALERTS_MOST));
    assert_eq!(crowded(&alerts, &all(true)), 400 - ALERTS_MOST);
    let before = alerts.clone();
    hear(&mut alerts, &all(true), at(1));
    assert_eq!((known(&alerts), fires(&alerts, at(1))), (known(&before), fires(&before, at(1))));
    assert_eq!((alerts[ALERTS_MOST].since, alerts[ALERTS_MOST].renewed), (at(0), at(1)));
    // All that has a place ends: the others still fire.
    hear(&mut alerts, &all(false)[..ALERTS_MOST], at(2));
    assert_eq!(fires(&alerts, at(2)), 1);
    hear(&mut alerts, &all(false)[ALERTS_MOST..399], at(3));
    assert_eq!((fires(&alerts, at(3)), known(&alerts)), (1, 1));
    // An end of an earlier episode says nothing.
    hear(&mut alerts, &[AlertTold { starts: Some(Wall(0)), ..numbered(399, false) }], at(4));
    assert_eq!(fires(&alerts, at(4)), 1);
    hear(&mut alerts, &[numbered(399, false)], at(5));
    assert_eq!((fires(&alerts, at(5)), known(&alerts)), (0, 0));
    hear(&mut alerts, &all(true)[399..], at(6));
    assert_eq!(fires(&alerts, at(6)), 0, "of one episode resolved is the last word");
}

#[test]
fn ends_make_room_for_what_is_told_with_them() {
    let mut alerts = Vec::new();
    hear(&mut alerts, &(0..ALERTS_MOST).map(|n| numbered(n, true)).collect::<Vec<_>>(), at(0));
    hear(&mut alerts, &[numbered(999, true), numbered(0, false)], at(1));
    assert_eq!((fires(&alerts, at(1)), known(&alerts)), (ALERTS_MOST, 0));
    hear(&mut alerts, &[numbered(1000, true)], at(2));
    assert_eq!((fires(&alerts, at(2)), known(&alerts)), (ALERTS_MOST + 1, 1));
    hear(&mut alerts, &[numbered(999, false), numbered(1000, true)], at(3));
    let last = alerts.iter().find(|alert| alert.fingerprint == "f1000").unwrap();
    assert_eq!((last.since, known(&alerts)), (at(2), 0), "it found a place at last");
}

#[test]
fn a_crowd_is_bounded_and_ends_when_nobody_renews_it() {
    let mut alerts = Vec::new();
    let most = ALERTS_MOST + CROWDED_MOST + 1;
    for n in 0..most {
        hear(&mut alerts, &[numbered(n, true)], at(0));
    }
    let other = AlertTold { name: AlertName::new("Other").unwrap(), ..told(true, None) };
    hear(&mut alerts, &[other], at(0));
    assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST + 1, CROWDED_MOST));
    let ends: Vec<_> = (0..most).map(|n| numbered(n, false)).collect();
    hear(&mut alerts, &ends, at(1));
    assert_eq!((fires(&alerts, at(1)), known(&alerts)), (1, 0), "of one nobody knows");
    assert_eq!(fires(&alerts, at(86_400)), 0);
}

proptest! {
    /// With the times at which episodes began, neither order nor repetition counts.
    #[test]
    fn order_and_repetition_change_nothing(
        words in proptest::collection::vec((any::<bool>(), 0i64..3), 1..12),
        shuffled in any::<u64>(),
    ) {
        let words: Vec<AlertTold> = words.iter().map(|(f, s)| told(*f, Some(*s))).collect();
        let mut other = [words.clone(), words.clone()].concat();
        let turn = usize::try_from(shuffled % other.len() as u64).unwrap();
        other.rotate_left(turn);
        if shuffled % 2 == 0 {
            other.reverse();
        }
        let end = |words: &[AlertTold]| after(words).iter().map(|a| (a.starts, a.resolved)).next();
        prop_assert_eq!(end(&words), end(&other));
    }
}
