use std::io;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tracing_subscriber::fmt::MakeWriter;

use super::super::log::{LogFormat, LogOptions, subscriber};
use super::*;

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Paper {
    type Writer = Self;
    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

fn noon() -> Timestamp {
    "2026-11-23T12:00:00.250Z".parse().unwrap()
}

fn written(format: LogFormat, color: bool, local: bool, say: impl FnOnce()) -> String {
    let paper = Paper::default();
    let options = LogOptions { format, level: Some("trace".into()), ..LogOptions::default() };
    let look = Look { color, local, time: noon };
    let subscriber = subscriber(&options, look, paper.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, say);
    paper.text()
}

fn plain(say: impl FnOnce()) -> String {
    written(LogFormat::Text, false, false, say)
}

#[test]
fn a_line_has_time_level_group_sentence_and_fields() {
    let line = plain(|| tracing::info!(group = "web", launch = "5c1f", "launched {} servers", 4));
    assert_eq!(line, "2026-11-23T12:00:00.250Z  INFO  web      launched 4 servers  launch=5c1f\n");
}

#[test]
fn the_group_may_come_from_a_span() {
    let line = plain(|| {
        let span = tracing::info_span!("pass", group = "api", n = 3);
        span.in_scope(|| tracing::warn!(error = "no answer", "listing failed"));
    });
    assert_eq!(
        line,
        "2026-11-23T12:00:00.250Z  WARN  api      listing failed  error=\"no answer\"  n=3\n"
    );
}

#[test]
fn foreign_text_stays_on_its_line_and_keeps_its_colour_to_itself() {
    let evil = "x\n2026 INFO forged\u{1b}[2J\u{9b}31m";
    for color in [false, true] {
        let line = written(LogFormat::Text, color, false, || {
            tracing::error!(error = evil, text = %evil, "refused: {evil}");
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains("\u{1b}[2J") && !line.contains('\u{9b}'), "{line:?}");
    }
}

#[test]
fn only_colour_brings_escape_codes() {
    let say = || tracing::warn!(group = "web", "careful");
    assert!(!plain(say).contains('\u{1b}'));
    let coloured = written(LogFormat::Text, true, true, say);
    assert!(coloured.contains('\u{1b}') && coloured.contains("careful"), "{coloured:?}");
}

#[test]
fn a_terminal_line_is_short() {
    let line = written(LogFormat::Text, false, true, || {
        tracing::info!(group = "web", "desired 2 → 4");
        tracing::warn!("careful");
    });
    let ends: Vec<&str> = line.lines().map(|l| &l["12:00:00".len()..]).collect();
    assert_eq!(ends, ["  web      desired 2 → 4", "  !          careful"], "{line}");
}

#[test]
fn json_is_one_object_per_event() {
    let lines = written(LogFormat::Json, false, false, || {
        tracing::info!(group = "web", "one\ntwo \u{1b}[2J");
        tracing::info!("three");
    });
    let events: Vec<serde_json::Value> =
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["group"], "web");
    assert_eq!(events[0]["level"], "INFO");
    assert_eq!(events[0]["message"], "one\ntwo \u{1b}[2J");
    assert!(!lines.contains('\u{1b}'), "control characters are escaped");
}
