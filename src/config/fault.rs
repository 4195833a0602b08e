//! Faults: what is wrong with a configuration, where, why, and what to do.
//!
//! Reading never stops at the first one: every step writes what it finds into a `Sink` and goes
//! on, so that a file is mended in one round. What a fault shows of a file comes from a
//! [`Source`], whose secrets were painted over before anything could quote them.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

/// Whether the configuration is refused, or only worth a second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Fault,
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Fault {
    pub severity: Severity,
    /// The setting's dotted name, as `group.web.max`.
    pub key: Option<String>,
    /// What is wrong, as a sentence without its full stop.
    pub reason: String,
    /// What to do, as a phrase.
    pub hint: Option<String>,
    pub place: Option<Place>,
    /// It is about something that is not there: no news where its attempt was refused.
    want: bool,
}

/// Where a fault is.
#[derive(Debug, Clone)]
pub enum Place {
    /// Bytes of a file that may be quoted.
    Text { source: Arc<Source>, span: Range<usize> },
    /// A line and column, from 1, of a file that is not quoted, for it holds secrets.
    Line { path: String, line: usize, column: usize },
    /// A file as a whole.
    File(String),
}

/// A file's text as it may be shown.
#[derive(Debug)]
pub struct Source {
    path: String,
    text: String,
}

/// Nobody reads on after so many; what stands first comes first.
const SHOWN_MOST: usize = 50;

/// Everything that is wrong; at least one fault.
#[derive(Debug, Clone)]
pub struct Faults(Vec<Fault>);

impl Fault {
    pub(super) fn new(severity: Severity, reason: impl Into<String>) -> Self {
        Self { severity, key: None, reason: reason.into(), hint: None, place: None, want: false }
    }

    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// It is dropped where a fault about the same setting, a part of it, or a misspelling of it
    /// says more.
    pub(super) fn for_want(&mut self) -> &mut Self {
        self.want = true;
        self
    }

    pub(super) fn place(&mut self, place: Option<Place>) -> &mut Self {
        self.place = place;
        self
    }

    /// The file and line, counted from 1, as far as they are known.
    pub fn file_and_line(&self) -> (Option<&str>, Option<usize>) {
        match &self.place {
            Some(Place::Text { source, span }) => {
                (Some(&source.path), Some(source.line(span.start)))
            }
            Some(Place::Line { path, line, .. }) => (Some(path), Some(*line)),
            Some(Place::File(path)) => (Some(path), None),
            None => (None, None),
        }
    }

    /// Several lines for people: the reason, the place with the text underlined, the hint.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Fault => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut report =
            level.primary_title(self.reason.as_str()).elements(Vec::<Origin<'_>>::new());
        report = match &self.place {
            Some(Place::Text { source, span }) => {
                let primary = AnnotationKind::Primary.span(source.within(span));
                let snippet = Snippet::source(source.text.as_str()).path(source.path.as_str());
                report.element(snippet.annotation(primary))
            }
            Some(Place::Line { path, line, column }) => {
                report.element(Origin::path(path.as_str()).line(*line).char_column(*column))
            }
            Some(Place::File(path)) => report.element(Origin::path(path.as_str())),
            None => report,
        };
        render(hinted(report, self.hint.as_deref()), colour)
    }
}

fn hinted<'a>(report: Group<'a>, hint: Option<&'a str>) -> Group<'a> {
    match hint {
        Some(hint) => report.element(Level::HELP.message(hint)),
        None => report,
    }
}

fn render(report: Group<'_>, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[report])
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// For `--output json`: `severity`, `key`, `file`, `line`, `reason`, `hint`.
impl Serialize for Fault {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            severity: Severity,
            key: Option<&'a str>,
            file: Option<&'a str>,
            line: Option<usize>,
            reason: &'a str,
            hint: Option<&'a str>,
        }
        let (file, line) = self.file_and_line();
        let (key, hint) = (self.key.as_deref(), self.hint.as_deref());
        Flat { severity: self.severity, key, file, line, reason: &self.reason, hint }
            .serialize(serializer)
    }
}

impl Source {
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self { path: path.display().to_string(), text }
    }

    /// The line, from 1, that a byte stands in.
    fn line(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().get(..byte).unwrap_or(self.text.as_bytes());
        before.iter().filter(|b| **b == b'\n').count() + 1
    }

    /// The span as far as it lies in the text, on the boundaries of characters.
    fn within(&self, span: &Range<usize>) -> Range<usize> {
        let end = self.text.floor_char_boundary(span.end);
        self.text.floor_char_boundary(span.start).min(end)..end
    }
}

impl Faults {
    /// The faults, without the warnings beside them, in the order of their places.
    pub fn all(&self) -> &[Fault] {
        &self.0
    }

    /// All of them for people, and a last line that counts them.
    pub fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for fault in self.0.iter().take(SHOWN_MOST) {
            text.push_str(&fault.render(colour));
            text.push_str("\n\n");
        }
        let count = match self.0.len() {
            1 => "1 fault".to_owned(),
            n if n > SHOWN_MOST => format!("{n} faults, of which the first {SHOWN_MOST} are shown"),
            n => format!("{n} faults"),
        };
        text + &format!("{count}: the configuration is refused, nothing was changed")
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Self(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}

impl Serialize for Faults {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A setting's dotted name and where in the file it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl Spot {
    pub(super) fn child(&self, key: &str, span: Range<usize>) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { key, span }
    }
}

/// Takes faults as they are found.
pub(super) struct Sink {
    source: Arc<Source>,
    found: Vec<Fault>,
}

impl Sink {
    pub(super) fn new(source: Source) -> Self {
        Self { source: Arc::new(source), found: Vec::new() }
    }

    /// Refuses the setting at `spot`.
    pub(super) fn fault(&mut self, spot: &Spot, reason: impl Into<String>) -> &mut Fault {
        self.push(Severity::Fault, Some(spot), reason.into())
    }

    /// Points at the setting, but lets it pass.
    pub(super) fn warn(&mut self, spot: &Spot, reason: impl Into<String>) -> &mut Fault {
        self.push(Severity::Warning, Some(spot), reason.into())
    }

    /// Refuses something that is written nowhere in the file.
    pub(super) fn fault_outside(&mut self, reason: impl Into<String>) -> &mut Fault {
        self.push(Severity::Fault, None, reason.into())
    }

    pub(super) fn warn_outside(&mut self, reason: impl Into<String>) -> &mut Fault {
        self.push(Severity::Warning, None, reason.into())
    }

    /// Takes a fault that was found elsewhere.
    pub(super) fn add(&mut self, fault: Fault) {
        self.found.push(fault);
    }

    /// Refuses a section for what it lacks.
    pub(super) fn missing(&mut self, section: &Spot, key: &str) -> &mut Fault {
        let spot = section.child(key, section.span.clone());
        let reason = format!("`{}` is missing", spot.key);
        self.fault(&spot, reason).for_want()
    }

    fn push(&mut self, severity: Severity, spot: Option<&Spot>, reason: String) -> &mut Fault {
        let mut fault = Fault::new(severity, reason);
        if let Some(spot) = spot {
            fault.key = Some(spot.key.clone()).filter(|key| !key.is_empty());
            fault.place =
                Some(Place::Text { source: self.source.clone(), span: spot.span.clone() });
        }
        let last = self.found.len();
        self.found.push(fault);
        &mut self.found[last]
    }

    /// What was found, where something certainly was.
    pub(super) fn into_faults(self) -> Faults {
        Faults(self.found)
    }

    /// Whether something was refused at this setting, or below it as far as that is asked for.
    pub(super) fn refused_at(&self, asked: impl Fn(&str) -> bool) -> bool {
        let mut faults = self.found.iter().filter(|f| f.severity == Severity::Fault);
        faults.any(|f| f.key.as_deref().is_some_and(&asked))
    }

    /// Whether anything was refused so far.
    pub(super) fn refused(&self) -> bool {
        self.found.iter().any(|f| f.severity == Severity::Fault)
    }

    /// Whether a fault is for want of something that another one is about.
    fn is_told_otherwise(&self, fault: &Fault) -> bool {
        let (true, Some(key)) = (fault.want, fault.key.as_deref()) else { return false };
        let last = key.rsplit('.').next().unwrap_or(key);
        let section = key.strip_suffix(last).unwrap_or_default();
        let meant = format!("did you mean `{last}`?");
        self.found.iter().filter(|other| !other.want).any(|other| {
            let below = other.key.as_deref().and_then(|other| other.strip_prefix(key));
            let beside = other.key.as_deref().and_then(|other| other.strip_prefix(section));
            let beside = beside.is_some_and(|rest| !rest.contains('.'));
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                || (beside && other.hint.as_deref() == Some(&meant))
        })
    }

    /// The value with the warnings if nothing was refused, the faults otherwise.
    pub(super) fn close<T>(mut self, value: Option<T>) -> Result<(T, Vec<Fault>), Faults> {
        self.found.sort_by_key(|f| match &f.place {
            Some(Place::Text { span, .. }) => span.start,
            Some(Place::Line { .. } | Place::File(_)) | None => usize::MAX,
        });
        let refused = self.refused();
        let told: Vec<bool> = self.found.iter().map(|f| self.is_told_otherwise(f)).collect();
        let mut told = told.into_iter();
        self.found.retain(|_| !told.next().unwrap_or(false));
        match value {
            Some(value) if !refused => Ok((value, self.found)),
            Some(_) | None => {
                self.found.retain(|f| f.severity == Severity::Fault);
                Err(Faults(self.found))
            }
        }
    }
}
