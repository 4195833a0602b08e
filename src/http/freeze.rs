//! `PUT` and `DELETE` of `/v1/groups/{group}/freeze` and `/v1/freeze`: nothing is changed until
//! it is taken back.
//!
//! A freeze is an emergency's word: where the store cannot take it, it is written into the file
//! that stops the loops without it. `PUT` takes `{"reason": …}`, the reason at will.

use std::io;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::auth::Caller;
use super::body::Taken;
use super::error::Problem;
use super::trouble::Asked;
use super::webhook::capacity::only_reason;
use super::{App, Named};
use crate::control::handle::GroupHandle;
use crate::domain::explain;
use crate::domain::freeze::{Freeze, Freezes, Holds};
use crate::domain::id::GroupName;
use crate::domain::plan::Waiting;
use crate::domain::signal::{Command, Ordered};
use crate::domain::time::Now;
use crate::store::freeze_file::FreezeFile;
use crate::store::{Admit, StoreError, What};

/// What a freeze, or its end, came to.
#[derive(Debug, Serialize)]
struct Answer {
    /// Absent where every group was meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Whether anything holds it now.
    frozen: bool,
    sentence: String,
    /// The file that was written because the store could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

fn answer(answer: Answer) -> Response {
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

pub(super) async fn put_group(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
) -> Result<Response, Problem> {
    let (name, now) = (group.group.name.clone(), app.now());
    let reason = only_reason(&body)?;
    let told = explain::order(&Command::Freeze, reason.as_deref(), now);
    let stored = in_time(order(&app, &group, &caller, (Command::Freeze, reason), now)).await;
    let (sentence, file) = match stored {
        Ok(()) => (
            format!(
                "{name} is frozen: it is observed and decided for, and nothing is changed until \
                 `novascale unfreeze {name}`"
            ),
            None,
        ),
        Err(error) => instead(&app, Some(&name), error).await?,
    };
    tracing::warn!(group = %name, by = caller.name(), "told: {told}");
    group.nudge();
    Ok(answer(Answer { group: Some(name.to_string()), frozen: true, sentence, file }))
}

pub(super) async fn put_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
) -> Result<Response, Problem> {
    let reason = only_reason(&body)?;
    let told = explain::order(&Command::Freeze, reason.as_deref(), app.now());
    let freeze = Freeze { since: app.now(), by: caller.name(), reason };
    let (sentence, file) = match in_time(app.store().freeze_all(app.lease(), Some(freeze))).await {
        Ok(()) => (
            "every group is frozen: nothing is changed until `novascale unfreeze`".to_owned(),
            None,
        ),
        Err(error) => instead(&app, None, error).await?,
    };
    tracing::warn!(by = caller.name(), "told: {told}, every group");
    app.handle().groups().for_each(GroupHandle::nudge);
    Ok(answer(Answer { group: None, frozen: true, sentence, file }))
}

/// What is an emergency is not kept waiting by a disk that hangs: the file takes it then.
const STORE_WITHIN: Duration = Duration::from_secs(3);

async fn in_time(write: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    timeout(STORE_WITHIN, write).await.unwrap_or_else(|_| {
        let secs = STORE_WITHIN.as_secs();
        Err(StoreError::Unavailable(format!("the store gave no answer within {secs} s")))
    })
}

/// The store did not take it: the file does.
async fn instead(
    app: &App,
    group: Option<&GroupName>,
    error: StoreError,
) -> Result<(String, Option<String>), Problem> {
    let file = app.freeze_file();
    let path = file.path().display().to_string();
    if matches!(error, StoreError::Fenced(_)) {
        return Err(error.into());
    }
    tracing::error!("a freeze could not be stored, so {path} is written instead: {error}");
    if let Err(why) = write(file, group, FreezeFile::add).await {
        tracing::error!("{path} could not be written either: {why}");
        let hint = format!("make the file yourself: `touch {path}` freezes every group");
        return Err(Problem::from(error).hint(hint));
    }
    let whom = group.map_or_else(|| "every group".to_owned(), ToString::to_string);
    let sentence = format!(
        "{whom} is frozen by the file {path}, for the state could not be written (the log says \
         why): nothing is changed until `novascale unfreeze`{}, which takes the line out again",
        group.map_or_else(String::new, |group| format!(" with `{group}`"))
    );
    Ok((sentence, Some(path)))
}

async fn order(
    app: &App,
    group: &GroupHandle,
    caller: &Caller,
    (command, reason): (Command, Option<String>),
    now: Now,
) -> Result<(), StoreError> {
    let order = Ordered { command, at: now, by: caller.name(), reason };
    let what = What::Command(order, group.group.bounds);
    let admit = Admit { group: group.group.name.clone(), what, key: None, at: now };
    app.store().admit(app.lease(), admit).await.map(|_| ())
}

pub(super) async fn delete_group(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (name, now) = (group.group.name.clone(), app.now());
    let stopped = group.latest().is_some_and(|decision| decision.frozen().is_some());
    let before = app.store().freezes(&name).await.unwrap_or_default();
    let taken_out = take_back(&app, Some(&name)).await;
    let stored = order(&app, &group, &caller, (Command::Unfreeze, None), now).await;
    if !(stored.is_err() && taken_out && before == Freezes::default()) {
        app.stored(&name, Asked::Keep, stored)?;
    }
    tracing::warn!(group = %name, by = caller.name(), "told: unfreeze");
    group.nudge();
    let left = holding(&app, &name).await?;
    let was = stopped || taken_out || before.own.is_some();
    let sentence = match (left.first(), was) {
        (Some(waiting), _) => still(&name, waiting),
        (None, true) => format!("{name} is let go on; its next look says what it does"),
        (None, false) => format!("{name} was not frozen"),
    };
    let (group, frozen, file) = (Some(name.to_string()), !left.is_empty(), None);
    Ok(answer(Answer { group, frozen, sentence, file }))
}

/// That something else stops the group.
fn still(group: &GroupName, waiting: &Waiting) -> String {
    if matches!(waiting, Waiting::OtherProject { .. }) {
        format!("{group} waits all the same: {waiting}")
    } else {
        format!("{group} is still {waiting}")
    }
}

pub(super) async fn delete_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let taken_out = take_back(&app, None).await;
    let ended = app.store().freeze_all(app.lease(), None).await;
    if ended.is_err() && !taken_out {
        ended?;
    }
    tracing::warn!(by = caller.name(), "told: unfreeze, every group");
    app.handle().groups().for_each(GroupHandle::nudge);
    let mut left = Vec::new();
    for group in app.handle().groups() {
        let name = &group.group.name;
        let held = holding(&app, name).await.unwrap_or_default();
        left.extend(held.first().map(|waiting| still(name, waiting)));
    }
    let frozen = !left.is_empty();
    let sentence = match frozen {
        false => "no group is frozen any more by a command or a file".to_owned(),
        true => format!("the freeze of every group is taken back; {}", left.join("; ")),
    };
    Ok(answer(Answer { group: None, frozen, sentence, file: None }))
}

/// Whether a line of ours was taken out of the file.
async fn take_back(app: &App, group: Option<&GroupName>) -> bool {
    let file = app.freeze_file();
    write(file, group, FreezeFile::take_back).await.unwrap_or_else(|error| {
        tracing::warn!("the freeze file {} could not be changed: {error}", file.path().display());
        false
    })
}

/// Changes the file, where no other request waits for its disk.
async fn write<T: Send + 'static>(
    file: &FreezeFile,
    group: Option<&GroupName>,
    change: fn(&FreezeFile, Option<&GroupName>) -> io::Result<T>,
) -> io::Result<T> {
    let (file, group) = (file.clone(), group.cloned());
    let writing = tokio::task::spawn_blocking(move || change(&file, group.as_ref()));
    match timeout(STORE_WITHIN, writing).await {
        Ok(written) => written.unwrap_or_else(|failed| Err(io::Error::other(failed))),
        Err(_) => {
            let secs = STORE_WITHIN.as_secs();
            Err(io::Error::other(format!("it was not written within {secs} s")))
        }
    }
}

/// What still holds the group.
async fn holding(app: &App, group: &GroupName) -> Result<Vec<Waiting>, Problem> {
    let freezes = app.stored(group, Asked::Show, app.store().freezes(group).await)?;
    let brake = app.brake().on(group);
    let (own, all) = (freezes.own.as_ref(), freezes.all.as_ref());
    Ok(Holds { own, all, brake: brake.as_ref() }.waiting(group, app.now()))
}
