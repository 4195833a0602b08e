//! Where events go: standard error, as lines or as JSON, from a chosen level on.

use std::fmt;
use std::io::IsTerminal;

use jiff::Timestamp;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::line::{Lines, Look};

/// Without a wish of the user: our own events from `info` on, those of libraries from
/// `warn` on.
pub const DEFAULT_LEVEL: &str = "warn,novascale=info";

/// The source of the time that lines begin with; the crate's clock is handed in.
pub type Time = fn() -> Timestamp;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people: coloured on a terminal.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = LogError;
    fn from_str(word: &str) -> Result<Self, LogError> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(LogError::Format(other.to_owned())),
        }
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub format: LogFormat,
    /// `--log-level`: a level (`debug`) or directives (`warn,novascale=trace`).
    pub level: Option<String>,
    /// `RUST_LOG`, heeded where `level` is not given.
    pub rust_log: Option<String>,
    /// `--color`: none leaves it to the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.
    pub color: Option<bool>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{0:?} is not a log format: use `text` or `json`")]
    Format(String),
    #[error(
        "{named} is {text:?}, and {why}; use error, warn, info, debug or trace, off, or \
         directives as in `warn,novascale=debug`"
    )]
    Level { named: &'static str, text: String, why: String },
    #[error("logging was set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sends the program's events to standard error from now on. Once per process. Panics are
/// logged as well, by where they happened: their text may hold anything, and stays out.
pub fn start(options: &LogOptions, time: Time) -> Result<(), LogError> {
    let color = options.color.unwrap_or_else(|| {
        anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
    });
    let local = std::io::stderr().is_terminal();
    let look = Look { color: color && options.format == LogFormat::Text, local, time };
    subscriber(options, look, std::io::stderr)?.try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(target: "novascale", "a part of the program panicked at {place}");
    }));
    Ok(())
}

/// The same with any writer, not yet installed.
pub fn subscriber<W>(
    options: &LogOptions,
    look: Look,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + 'static + use<W>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match options.format {
        LogFormat::Text => Box::new(Lines::new(look, writer)),
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
            Box::new(json.with_current_span(true).with_span_list(false).with_writer(writer))
        }
    };
    Ok(tracing_subscriber::registry().with(layer.with_filter(filter(options)?)))
}

fn filter(options: &LogOptions) -> Result<EnvFilter, LogError> {
    let (named, wish) = match (&options.level, &options.rust_log) {
        (Some(level), _) => ("--log-level", Some(level)),
        (None, rust_log) => ("RUST_LOG", rust_log.as_ref()),
    };
    let wish = wish.map(|wish| wish.trim()).filter(|wish| !wish.is_empty());
    let text = wish.unwrap_or(DEFAULT_LEVEL);
    let refused = |why| LogError::Level { named, text: text.to_owned(), why };
    let directives = directives(text).map_err(refused)?;
    EnvFilter::try_new(directives).map_err(|why: ParseError| refused(why.to_string()))
}

/// What the filter is given for a user's words. It would take any word for the name of some
/// module and then log nothing of ours, so a part that names none has to be a level.
fn directives(text: &str) -> Result<String, String> {
    let mut parts = Vec::new();
    for part in text.split(',').map(str::trim) {
        // An empty one would read as `error`.
        let is_level = !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        if part.eq_ignore_ascii_case("warning") {
            parts.push("warn".to_owned());
        } else if is_level || part.contains('=') {
            parts.push(part.to_owned());
        } else {
            return Err(format!("{part:?} is no level"));
        }
    }
    // A bare level speaks of us; libraries stay quiet unless they are named.
    Ok(match parts.as_slice() {
        [one] => match one.parse::<LevelFilter>() {
            Ok(level) if level > LevelFilter::WARN => format!("warn,novascale={level}"),
            Ok(_) | Err(_) => one.clone(),
        },
        _ => parts.join(","),
    })
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_speaks_of_novascale_alone() {
        let of = |level: &str| {
            let options = LogOptions { level: Some(level.into()), ..LogOptions::default() };
            filter(&options).map(|f| f.to_string())
        };
        let quiet = of("debug").unwrap();
        assert!(quiet.contains("novascale=debug") && quiet.contains("warn"), "{quiet}");
        assert!(of("warn,novascale=trace").unwrap().contains("novascale=trace"));
        let error = of("novascale=loud").unwrap_err().to_string();
        assert!(error.contains("novascale=loud") && error.contains("use error"), "{error}");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_by_its_source() {
        let told = |level: Option<&str>, rust_log: Option<&str>| {
            let (level, rust_log) = (level.map(str::to_owned), rust_log.map(str::to_owned));
            filter(&LogOptions { level, rust_log, ..LogOptions::default() }).map(|f| f.to_string())
        };
        for level in ["warning", "WARN", "off", "error", "warn,hyper=debug", "Warning,hyper=info"] {
            assert!(told(Some(level), None).is_ok(), "{level}");
        }
        assert_eq!(told(Some("warning"), None).unwrap(), "warn");
        for wrong in ["loud", "wrn", "warn,novascale", "warn,,info", "0x1"] {
            let error = told(Some(wrong), None).unwrap_err().to_string();
            assert!(error.starts_with("--log-level is ") && error.contains("no level"), "{error}");
            let error = told(None, Some(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("RUST_LOG is "), "{error}");
        }
    }

    #[test]
    fn the_option_wins_over_the_environment() {
        let options = LogOptions {
            level: Some("novascale=error".into()),
            rust_log: Some("trace".into()),
            ..LogOptions::default()
        };
        assert_eq!(filter(&options).unwrap().to_string(), "novascale=error");
        let options = LogOptions { rust_log: Some(" ".into()), ..LogOptions::default() };
        assert!(filter(&options).is_ok(), "an empty RUST_LOG is none");
    }

    #[test]
    fn formats_read_back() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse::<LogFormat>().unwrap(), format);
        }
        assert!("yaml".parse::<LogFormat>().unwrap_err().to_string().contains("`json`"));
    }
}
