//! The second judge on pauses.

use super::{Judge, Violation, broken};
use crate::domain::id::ServerId;
use crate::domain::pause::Process;
use crate::domain::plan::{Action, Cause};

impl Judge<'_> {
    /// What is paused is not done: no launch, no termination of what is only more than desired,
    /// no sweeping of what Nova is not deleting already.
    pub(super) fn paused(&self) -> Option<Violation> {
        let now = self.snapshot.now.steady;
        let rests = |process| {
            let pause = self.snapshot.state.pauses.get(&process);
            pause.is_some_and(|pause| pause.until.is_none_or(|until| now < until.steady))
        };
        let leaves = |id: &ServerId| self.shown(id).is_some_and(|server| server.deleting);
        let wrong = self.decision.plan.iter().find(|action| match action {
            Action::Launch { .. } => rests(Process::Launch),
            Action::Terminate { cause: Cause::Surplus, .. } => rests(Process::Terminate),
            Action::Terminate { server, cause: Cause::Error | Cause::Stuck, .. } => {
                rests(Process::Heal) && !leaves(server)
            }
            Action::Adopt { .. } => false,
        })?;
        broken("pause", format!("\"{wrong}\" is planned though that is paused"))
    }
}
