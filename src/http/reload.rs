//! `POST /v1/reload`: reads the configuration file again. The body is `{}`, or
//! `{"confirm": true}` where the large cuts of max that were shown before are meant.
//!
//! Whoever wires the program reads the file and turns the loops over, one reload after the
//! other; here is only asked for it and waited.

use std::fmt;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::Json;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::App;
use super::auth::Caller;
use super::body::Taken;
use super::error::{Kind, Problem};
use crate::config::{Fault, Faults};
use crate::domain::time::Wall;

/// Somebody asks for a reload.
#[derive(Debug)]
pub struct Asked {
    /// Large cuts of max that waited for a word are meant.
    pub confirm: bool,
    /// Who asks; shown, never secret.
    pub by: String,
    pub answer: oneshot::Sender<Result<Report, Refused>>,
}

impl Asked {
    /// A word that nobody stands by any more: whoever gave it went away before it was heard.
    pub fn is_void(&self) -> bool {
        self.confirm && self.answer.is_closed()
    }
}

/// What a reload changed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    /// No longer configured: frozen, with all that they have.
    pub removed: Vec<String>,
    pub unchanged: Vec<String>,
    /// Sections that mean something else than what runs: they count from the next start on.
    pub waits_for_restart: Vec<&'static str>,
    /// Groups whose max was cut so far that it takes nothing away before it is confirmed.
    pub unconfirmed: Vec<CutView>,
    /// Groups of which just that was confirmed.
    pub confirmed: Vec<CutView>,
    pub warnings: Vec<Fault>,
    /// What went wrong though the file was taken, as sentences.
    pub troubles: Vec<String>,
}

impl Report {
    /// Whether any group is to be kept otherwise than before.
    pub fn turns(&self) -> bool {
        !(self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty())
    }
}

/// A large cut of a group's max.
#[derive(Debug, Clone, Serialize)]
pub struct CutView {
    pub group: String,
    pub from: u32,
    pub to: u32,
    /// Servers that are known to live.
    pub servers: u32,
}

/// Why everything is as it was.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The file is not valid.
    Faults(Faults),
    /// It could not be read, or its groups not taken over, in time.
    Failed(String),
}

/// How what runs stands to the configuration file, by the last time that it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// When the file that counts was read.
    pub loaded_at: Wall,
    /// When a file was read last, whatever became of it.
    pub read_at: Wall,
    /// Why the last one was refused, if it was.
    pub refused: Option<String>,
    /// Sections of the file that wait for a restart.
    pub waits_for_restart: Vec<&'static str>,
}

impl Standing {
    /// After a file was taken.
    pub fn taken(at: Wall) -> Self {
        Self { loaded_at: at, read_at: at, refused: None, waits_for_restart: Vec::new() }
    }
}

/// The way to whoever reloads.
#[derive(Debug, Clone)]
pub struct Desk {
    pub ask: mpsc::Sender<Asked>,
    pub standing: watch::Receiver<Standing>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    confirm: bool,
}

/// How long an answer is waited for: several times longer than reading a file may take.
const PATIENCE: Duration = Duration::from_secs(28);

pub(super) async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
) -> Result<Json<Report>, Problem> {
    let wish = wish(&body).ok_or_else(|| {
        Problem::new(Kind::Invalid, "the body must be {} or {\"confirm\": true}")
            .hint("`confirm` says that the large cuts of max are meant which were shown before")
    })?;
    let (answer, answered) = oneshot::channel();
    let asked = Asked { confirm: wish.confirm, by: caller.name(), answer };
    if app.reload().ask.try_send(asked).is_err() {
        let problem = Problem::new(Kind::Overloaded, "other reloads are under way already");
        return Err(problem.after(Duration::from_secs(5)));
    }
    match timeout(PATIENCE, answered).await {
        Ok(Ok(Ok(report))) => Ok(Json(report)),
        Ok(Ok(Err(refused))) => Err(refused.into()),
        Ok(Err(_)) => Err(Problem::new(Kind::NotReady, "novascale is stopping")
            .hint("the next start reads the file")),
        Err(_) => Err(late(wish.confirm)),
    }
}

fn late(confirm: bool) -> Problem {
    let why = match confirm {
        true => "the reload is not done yet: if it has not begun, it is dropped with its word",
        false => "the reload is not done yet, and goes on",
    };
    let problem = Problem::new(Kind::Late, why);
    let problem = problem.hint("`novascale status` and the log say how it ends");
    problem.after(Duration::from_secs(5))
}

/// What a body asks for. A list would do for serde, but not for us.
fn wish(body: &[u8]) -> Option<Wish> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.is_object().then(|| Wish::deserialize(body).ok()).flatten()
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let said = refused.to_string();
        match refused {
            Refused::Failed(_) => Self::new(Kind::Broken, said),
            Refused::Faults(faults) => Self::new(Kind::BadConfig, said).faults(&faults),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = match self {
            Self::Failed(why) => return f.write_str(why),
            Self::Faults(faults) => faults.all().len(),
        };
        let faults = if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") };
        write!(f, "the configuration has {faults} and is refused; the one before goes on to count")
    }
}
