//! What a command prints: data on stdout, everything else on stderr.
//!
//! A command returns an `Answer`, which holds the same facts twice: for people
//! and for programs. Styles are always written and taken out again where the
//! stream or the user wants none, so no meaning may hang on colour alone.

use std::io::{self, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Row, Table, presets};
use serde_json::Value;

use super::exit::{Error, Exit};
use crate::telemetry::escape::escape;

/// Sentences are wrapped here, whatever the window: wider lines read badly.
const TEXT_COLUMNS: u16 = 80;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const PLAIN: Style = Style::new();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BUSY: Style = AnsiColor::Cyan.on_default();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const FAINT: Style = Style::new().dimmed();

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

/// When to colour; `auto` asks the terminal, NO_COLOR and CLICOLOR_FORCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

impl From<Colour> for anstream::ColorChoice {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Auto => Self::Auto,
            Colour::Always => Self::Always,
            Colour::Never => Self::Never,
        }
    }
}

impl Colour {
    /// What the user wants; none leaves it to the stream.
    pub(super) fn wish(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Always => Some(true),
            Self::Never => Some(false),
        }
    }
}

/// What a command has to say.
#[derive(Debug)]
pub(super) struct Answer {
    /// For people; ends without a newline.
    pub(super) text: String,
    /// For programs.
    pub(super) json: Value,
    /// For people, beside the data; left out by `--quiet`.
    pub(super) notes: Vec<String>,
    /// What the data may not be read without; shown even with `--quiet`.
    pub(super) warnings: Vec<String>,
    /// Lines that people read instead of a text, on stderr.
    pub(super) report: Option<String>,
    pub(super) exit: Exit,
}

impl Answer {
    pub(super) fn new(text: impl Into<String>, json: Value) -> Self {
        let (notes, warnings) = (Vec::new(), Vec::new());
        Self { text: text.into(), json, notes, warnings, report: None, exit: Exit::Done }
    }
}

/// How this run of the program prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) colour: Colour,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
}

impl Output {
    /// Prints the answer and tells how the program ends.
    pub(super) fn answer(self, answer: &Answer) -> Exit {
        if let Some(report) = &answer.report {
            self.report(report);
            if self.format == Format::Table {
                return answer.exit;
            }
        }
        let text = match self.format {
            Format::Table => answer.text.clone(),
            Format::Json => format!("{:#}", answer.json),
        };
        let mut out = AutoStream::new(io::stdout(), self.colour.into());
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        // What is to be added comes behind what was asked for.
        for warning in &answer.warnings {
            self.say(&format!("{WARN}warning{WARN:#}: {}", escape(warning)));
        }
        for note in &answer.notes {
            self.note(note);
        }
        match written {
            Ok(()) => answer.exit,
            // The reader has seen enough (`| head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => answer.exit,
            Err(error) => {
                self.error(&Error::new(Exit::Failed, format!("cannot write to stdout: {error}")))
            }
        }
    }

    /// Data that only programs want; people were told on stderr.
    pub(super) fn json_only(self, json: Value, exit: Exit) -> Exit {
        match self.format {
            Format::Table => exit,
            Format::Json => self.answer(&Answer { exit, ..Answer::new("", json) }),
        }
    }

    /// Prints a report of several lines, even with `--quiet`.
    pub(super) fn report(self, report: &str) {
        self.say(report);
    }

    /// Prints the error with its hints; it is shown even with `--quiet`.
    pub(super) fn error(self, error: &Error) -> Exit {
        self.say(&format!("{BAD}error{BAD:#}: {}", error.message));
        for hint in &error.hints {
            self.say(&format!("  {BUSY}hint{BUSY:#}: {hint}"));
        }
        error.exit
    }

    pub(super) fn note(self, note: &str) {
        if !self.quiet {
            self.say(note);
        }
    }

    /// Shown with `--verbose` only.
    pub(super) fn detail(self, detail: &str) {
        if self.verbose {
            self.say(&format!("{FAINT}{detail}{FAINT:#}"));
        }
    }

    /// One line on stderr. Where stderr is closed nobody can be told.
    fn say(self, line: &str) {
        let mut err = AutoStream::new(io::stderr(), self.colour.into());
        let _ = writeln!(err, "{line}");
    }
}

/// A column's heading and how its cells stand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// A row and how it is to be seen.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) style: Style,
    pub(super) cells: Vec<String>,
}

/// Columns two blanks apart, without lines, so that `awk` can read it too.
/// Every cell is one line; texts come from the cloud and
/// from senders, so what would move the cursor or break a row is written out.
pub(super) fn table(columns: &[Column], lines: &[Line]) -> String {
    let mut table = borderless();
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(name) | Column::Number(name) => *name,
    }));
    for line in lines {
        table.add_row(Row::from(line.cells.iter().map(|cell| escape(cell))));
    }
    for (number, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(number) {
            shown.set_padding((0, 2));
            if matches!(column, Column::Number(_)) {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let styles = std::iter::once(BOLD).chain(lines.iter().map(|line| line.style));
    let painted = table.lines().zip(styles).map(|(text, style)| paint(style, text.trim_end()));
    painted.collect::<Vec<_>>().join("\n")
}

/// The text as a paragraph, `indent` blanks from the left.
pub(super) fn paragraph(text: &str, indent: u16) -> String {
    let mut table = borderless();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(TEXT_COLUMNS);
    table.add_row([escape(text)]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((indent, 0));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Each sentence a paragraph of its own.
pub(super) fn sentences(sentences: &[String], indent: u16) -> String {
    sentences.iter().map(|s| paragraph(s, indent)).collect::<Vec<_>>().join("\n")
}

pub(super) fn paint(style: Style, text: &str) -> String {
    if style == PLAIN { text.to_owned() } else { format!("{style}{text}{style:#}") }
}

fn borderless() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> Line {
        Line { style: PLAIN, cells: cells.iter().map(|c| (*c).to_owned()).collect() }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_line_up() {
        let columns = [Column::Text("NAME"), Column::Number("N"), Column::Text("WORD")];
        let shown = table(&columns, &[line(&["a", "5", "x"]), line(&["longer", "100", "y"])]);
        assert_eq!(plain(&shown), "NAME      N  WORD\na         5  x\nlonger  100  y");
    }

    #[test]
    fn hostile_texts_stay_in_their_cell() {
        let shown = table(&[Column::Text("NAME")], &[line(&["a\u{1b}[2J\nb"])]);
        assert_eq!(plain(&shown), "NAME\na\\u{1b}[2J\\nb");
    }

    #[test]
    fn sentences_wrap_and_keep_their_indent() {
        let text = "word ".repeat(40);
        let shown = paragraph(&text, 2);
        assert!(shown.lines().count() > 2);
        for line in shown.lines() {
            assert!(line.starts_with("  word") && line.len() <= 80, "{line:?}");
        }
    }
}
