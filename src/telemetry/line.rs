//! Events as lines for people: time, level where it matters, group, sentence, few fields.
//!
//! ```text
//! 18:04:31  web     desired 2 → 6: requests 600 at 100 per server
//! 18:04:33  web     launched 4 servers  launch=5c1f…
//! 18:04:35  ! api   listing failed: no answer within 30 s  region=GRA11
//! ```
//!
//! A terminal shows local time; anything else gets RFC 3339 in UTC and words for levels.
//! Text in events may come from strangers: it is escaped before it is coloured.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::escape::escape;
use super::log::Time;

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub color: bool,
    /// Local time of day in place of RFC 3339 in UTC.
    pub local: bool,
    pub time: Time,
}

/// The layer that writes them.
pub struct Lines<W> {
    look: Look,
    zone: TimeZone,
    writer: W,
}

impl<W> Lines<W> {
    pub fn new(look: Look, writer: W) -> Self {
        let zone = if look.local { TimeZone::system() } else { TimeZone::UTC };
        Self { look, zone, writer }
    }
}

/// What an event or a span says of itself, escaped.
#[derive(Debug, Clone, Default)]
struct Said {
    message: String,
    group: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl Said {
    fn put(&mut self, name: &'static str, text: &str) {
        let text = escape(text).into_owned();
        match name {
            "message" => self.message = text,
            "group" => self.group = Some(text),
            // What the `log` facade adds to its records; the line has no use for it.
            name if name.starts_with("log.") => {}
            _ if text.is_empty() => {}
            name => self.fields.push((name, text)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field.name(), &value.to_string());
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut said = Said::default();
            attributes.record(&mut said);
            span.extensions_mut().insert(said);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(said) = span.extensions_mut().get_mut::<Said>()
        {
            values.record(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Said>() {
                said.group = said.group.or_else(|| outer.group.clone());
                said.fields.extend(outer.fields.iter().cloned());
            }
        }
        let meta = event.metadata();
        let line = self.line(*meta.level(), meta.target(), &said);
        // A log that cannot be written has nobody to complain to.
        let _ = self.writer.make_writer_for(meta).write_all(line.as_bytes());
    }
}

/// The width that group names are padded to; longer ones push the sentence on.
const GROUP_WIDTH: usize = 8;

impl<W> Lines<W> {
    fn line(&self, level: Level, target: &str, said: &Said) -> String {
        let mut line = String::with_capacity(120);
        // Writing to a String cannot fail.
        let _ = self.write(&mut line, level, target, said);
        line
    }

    fn write(&self, line: &mut String, level: Level, target: &str, said: &Said) -> fmt::Result {
        let dim = Style::new().dimmed();
        self.paint(line, dim, &self.time())?;
        line.push_str("  ");
        let (sign, style) = sign(level, self.look.local);
        if !sign.is_empty() {
            self.paint(line, style, sign)?;
            line.push(' ');
        }
        // Events of libraries are told by their target, ours by their group.
        let foreign = (!ours(target)).then_some(target);
        match said.group.as_deref().or(foreign) {
            Some(group) => self.paint(line, group_style(), &format!("{group:<GROUP_WIDTH$}"))?,
            None => write!(line, "{:<GROUP_WIDTH$}", "")?,
        }
        let loud = if level <= Level::WARN { style } else { Style::new() };
        line.push(' ');
        self.paint(line, loud, &said.message)?;
        for (name, text) in &said.fields {
            line.push_str("  ");
            self.paint(line, dim, &format!("{name}={}", quoted(text)))?;
        }
        line.push('\n');
        Ok(())
    }

    fn time(&self) -> String {
        let now = (self.look.time)();
        if self.look.local {
            now.to_zoned_datetime(self.zone.clone()).strftime("%H:%M:%S").to_string()
        } else {
            now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
        }
    }

    fn paint(&self, line: &mut String, style: Style, text: &str) -> fmt::Result {
        if self.look.color && style != Style::new() && !text.is_empty() {
            write!(line, "{style}{text}{style:#}")
        } else {
            line.write_str(text)
        }
    }
}

fn ours(target: &str) -> bool {
    target == "novascale" || target.starts_with("novascale::")
}

fn group_style() -> Style {
    AnsiColor::Cyan.on_default()
}

/// A terminal shows a sign where something is wrong; files get the word, to be searched for.
fn sign(level: Level, terminal: bool) -> (&'static str, Style) {
    let yellow = AnsiColor::Yellow.on_default();
    match (level, terminal) {
        (Level::ERROR, true) => ("✗", AnsiColor::Red.on_default().bold()),
        (Level::WARN, true) => ("!", yellow.bold()),
        (Level::INFO, true) => ("", Style::new()),
        (Level::ERROR, false) => ("ERROR", AnsiColor::Red.on_default()),
        (Level::WARN, false) => ("WARN ", yellow),
        (Level::INFO, false) => ("INFO ", Style::new()),
        (Level::DEBUG, _) => ("debug", Style::new().dimmed()),
        (Level::TRACE, _) => ("trace", Style::new().dimmed()),
    }
}

/// A field's text, in quotes where a blank or its absence would mislead.
fn quoted(text: &str) -> String {
    let bare = !text.is_empty() && !text.contains([' ', '"', '=']);
    if bare { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests;
