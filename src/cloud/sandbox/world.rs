//! The one place with a lock: model, dice and counters, and the road to them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Clock;
use super::config::SandboxConfig;
use super::model::dice::Dice;
use super::model::identity::Account;
use super::model::{Millis, Model, Turn};

/// What all requests share.
pub(super) struct World {
    pub(super) config: SandboxConfig,
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    model: Model,
    dice: Dice,
    calls: BTreeMap<String, u64>,
}

impl World {
    pub(super) fn new(config: SandboxConfig, clock: Clock, model: Model, dice: Dice) -> World {
        let state = Mutex::new(State { model, dice, calls: BTreeMap::new() });
        World { config, clock, state, changed: Notify::new() }
    }

    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }

    /// Looks at the state as it is now.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        let now = self.now();
        let mut state = self.state();
        state.model.advance(now);
        look(&state.model)
    }

    /// Changes the state in one step: nobody sees it half done.
    pub(super) fn change<T>(
        &self,
        account: Account,
        request_id: &str,
        change: impl FnOnce(&mut Model, &mut Turn<'_>) -> T,
    ) -> T {
        let now = self.now();
        let mut state = self.state();
        let State { model, dice, .. } = &mut *state;
        model.advance(now);
        let done =
            change(model, &mut Turn { now, dice, rules: &self.config.rules, account, request_id });
        self.changed.notify_one();
        done
    }

    /// Counts a call and draws its request id.
    pub(super) fn count(&self, call: String) -> String {
        let mut state = self.state();
        *state.calls.entry(call).or_default() += 1;
        format!("req-{}", state.dice.uuid())
    }

    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        self.state().calls.clone()
    }

    /// Waits for the next change; a change that nobody waited for counts.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A panic in another request leaves a model that is whole: each method checks first and then
    /// writes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
