//! A decision's calls, made as they stand. Nothing is chosen here.
//!
//! Every action has its intent in the journal before this is called. Calls go out side
//! by side, a bounded number at a time; each ends in an [`Outcome`], whatever happens.
//! A call that is not certain to have failed is reported as unclear and never repeated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};

use super::Parts;
use crate::cloud::may_delete::{Claimant, Forbidden};
use crate::cloud::{Create, Deleted, Leave, MayDelete, Resolved, Wanted};
use crate::domain::group::Group;
use crate::domain::id::{ServerId, mark};
use crate::domain::intent::Launch;
use crate::domain::outcome::{CallResult, Failure, FailureKind, Outcome};
use crate::domain::plan::{Action, Cause, Decision};
use crate::domain::server::{Server, Status};
use crate::domain::time::{Now, Steady};
use crate::killpoint;

mod adopt;
mod leave;

use leave::{Asked, STOPPING};

/// The most calls of one pass under way at once; the limiter of the cloud comes on top.
pub const CALLS_AT_ONCE: usize = 8;
/// A plan older than this is not acted on: what it was made from may have changed.
pub const PLAN_GOOD_FOR: Duration = Duration::from_secs(30);

/// Makes the decision's calls; the outcomes as they come.
pub fn act<'a>(
    parts: &'a Parts,
    group: &'a Group,
    decision: &'a Decision,
) -> impl Stream<Item = Outcome> + 'a {
    let template = Arc::new(group.template.clone());
    let leave: Arc<dyn Leave> = Arc::new(Asked::of(parts, group));
    stream::iter(decision.plan.iter())
        .map(move |action| {
            let (template, leave) = (Arc::clone(&template), Arc::clone(&leave));
            let crew = Crew { parts, group, template, leave, planned: decision.at };
            async move { crew.carry_out(action).await }
        })
        .buffer_unordered(CALLS_AT_ONCE)
}

struct Crew<'a> {
    parts: &'a Parts,
    group: &'a Group,
    template: Arc<crate::domain::group::Template>,
    /// Asked before each call, and by the call itself when its turn has come.
    leave: Arc<dyn Leave>,
    planned: Now,
}

impl Crew<'_> {
    async fn carry_out(&self, action: &Action) -> Outcome {
        let (intent, result) = match action {
            Action::Launch { intent, launch } => (intent, self.launch(launch).await),
            Action::Terminate { intent, server, cause } => {
                (intent, self.terminate(server, *cause).await)
            }
            Action::Adopt { intent, adopt } => (intent, self.adopt(adopt).await),
        };
        Outcome { intent: intent.clone(), at: self.parts.clock.now(), result }
    }

    /// A call that waits for its turn beyond this is not sent.
    fn deadline(&self) -> Steady {
        self.planned.steady.plus(PLAN_GOOD_FOR)
    }

    /// Why no call may be begun any more, if so.
    fn too_late(&self) -> Option<CallResult> {
        let why = if self.parts.stopping.is_cancelled() {
            STOPPING
        } else if self.parts.clock.now().steady > self.deadline() {
            "the plan had grown older than 30 s"
        } else {
            return None;
        };
        Some(CallResult::NotSent { why: why.to_owned() })
    }

    /// Why the next call may not be begun, if so.
    async fn stopped(&self) -> Option<CallResult> {
        if let Some(late) = self.too_late() {
            return Some(late);
        }
        self.leave.refused().await.map(|why| CallResult::NotSent { why })
    }

    async fn launch(&self, launch: &Launch) -> CallResult {
        let wanted = Wanted {
            group: &self.group.name,
            install: &self.parts.install,
            region: &launch.region,
            template: &self.template,
            flavor: &launch.flavor,
        };
        killpoint::reached("launch.begun");
        let resolved = match self.parts.resolve.resolve(&wanted).await {
            Ok(resolved) => resolved,
            // No create was sent, so even an unclear look-up made no server.
            Err(failure) => return CallResult::Refused(failure),
        };
        if let Some(stopped) = self.stopped().await {
            return stopped;
        }
        killpoint::reached("launch.resolved");
        let created = self.parts.compute.create(&self.request(launch, resolved)).await;
        killpoint::reached("launch.answered");
        match created {
            Ok(first) => CallResult::Launched { first },
            Err(failure) => {
                if failure.kind == FailureKind::Refused {
                    self.parts.resolve.forget(&launch.region);
                }
                result(failure)
            }
        }
    }

    fn request(&self, launch: &Launch, resolved: Resolved) -> Create {
        let group = self.group;
        let mut metadata: BTreeMap<String, String> = self.template.metadata.clone();
        let marks = [
            (mark::INSTALL, self.parts.install.to_string()),
            (mark::GROUP, group.name.to_string()),
            (mark::LAUNCH, launch.launch.to_string()),
            (mark::TEMPLATE, launch.template.to_string()),
        ];
        metadata.extend(marks.map(|(key, value)| (key.to_owned(), value)));
        let suffix: String = launch.launch.as_str().chars().take(6).collect();
        Create {
            group: group.name.clone(),
            region: launch.region.clone(),
            zone: launch.zone.clone(),
            launch: launch.launch.clone(),
            n: launch.n,
            name: format!("{}-{suffix}", self.template.name_prefix),
            tags: vec![group.tag.to_string(), launch.launch.tag()],
            metadata,
            resolved,
            template: Arc::clone(&self.template),
            not_after: self.deadline(),
            leave: Arc::clone(&self.leave),
        }
    }

    async fn terminate(&self, id: &ServerId, cause: Cause) -> CallResult {
        if let Some(stopped) = self.stopped().await {
            return stopped;
        }
        killpoint::reached("terminate.begun");
        let region = &self.group.region;
        let fresh = match self.parts.compute.get(region, id).await {
            Ok(Some(fresh)) => fresh,
            Ok(None) => return CallResult::Gone,
            Err(failure) => return CallResult::Refused(only_looked_at(failure)),
        };
        let permit = match self.permit(&fresh, cause) {
            Ok(permit) => permit,
            Err(forbidden) => return forbidden,
        };
        if let Some(stopped) = self.stopped().await {
            return stopped;
        }
        killpoint::reached("terminate.permitted");
        let deleted = self.parts.compute.delete(region, permit).await;
        killpoint::reached("terminate.answered");
        match deleted {
            Ok(Deleted::Accepted) => CallResult::Deleting,
            Ok(Deleted::Gone) => CallResult::Gone,
            Err(failure) => result(failure),
        }
    }

    /// The right to delete the server that was just looked at, or what became of it instead.
    fn permit(&self, fresh: &Server, cause: Cause) -> Result<MayDelete, CallResult> {
        if matches!(fresh.status, Status::SoftDeleted | Status::Deleted) {
            return Err(CallResult::Gone);
        }
        // It was to go because it had failed: floor and velocity were not asked.
        if cause != Cause::Surplus && fresh.serves() {
            return Err(CallResult::NotSent { why: "it serves after all".to_owned() });
        }
        let claimant = Claimant {
            install: &self.parts.install,
            group: &self.group.name,
            tag: &self.group.tag,
            not_after: self.deadline(),
            leave: &self.leave,
        };
        MayDelete::judge(fresh, claimant).map_err(|why| match why {
            Forbidden::Detached => CallResult::Detached,
            Forbidden::NotOurs | Forbidden::Locked | Forbidden::Protected => {
                CallResult::Withheld { why: why.reason().to_owned() }
            }
        })
    }
}

/// A look that failed touched nothing, whatever became of it: only this server's delete waits.
fn only_looked_at(mut failure: Failure) -> Failure {
    if failure.kind == FailureKind::Unclear {
        failure.kind = FailureKind::Conflict;
    }
    failure
}

fn result(failure: Failure) -> CallResult {
    if failure.kind == FailureKind::Held {
        CallResult::NotSent { why: failure.message }
    } else if failure.kind.certain() {
        CallResult::Refused(failure)
    } else {
        CallResult::Unclear(failure)
    }
}
