//! The one place with a lock: model, dice and counters, and the road to them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Clock;
use super::config::SandboxConfig;
use super::faults::Faults;
use super::faults::sight::Sight;
use super::model::dice::Dice;
use super::model::identity::Account;
use super::model::rules::Rules;
use super::model::{Millis, Model, Turn};
use crate::config::rehearsal::Wishes;

/// What all requests share.
pub(super) struct World {
    pub(super) config: SandboxConfig,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    model: Model,
    dice: Dice,
    faults: Faults,
    calls: BTreeMap<String, u64>,
    /// How many changes there were that are to be saved before they are answered.
    changes: u64,
}

impl State {
    /// Everything that is due: what was put off is carried out at its own instant.
    fn advance(&mut self, now: Millis, rules: &Rules) {
        while let Some(late) = self.faults.due(now) {
            self.model.advance(late.due);
            let Self { model, dice, faults, .. } = self;
            let (due, account, request_id) = (late.due, late.account, late.request_id.as_str());
            let turn = &mut Turn { now: due, dice, rules, faults, account, request_id };
            // Whoever asked has gone: nobody is told of a refusal.
            let _ = model.launch(late.launch, turn);
            self.changes += 1;
        }
        self.model.advance(now);
    }
}

impl World {
    pub(super) fn new(config: SandboxConfig, clock: Clock, model: Model, dice: [Dice; 2]) -> World {
        let [dice, fault_dice] = dice;
        let faults = Faults::new(config.rehearsal.wishes.clone(), fault_dice);
        let (calls, changes) = (BTreeMap::new(), 0);
        let state = Mutex::new(State { model, dice, faults, calls, changes });
        World { config, clock, state }
    }

    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }

    /// Looks at the state as it is now.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        self.look_numbered(|model, _| look(model))
    }

    /// The same, with the number of changes that made it what it is.
    pub(super) fn look_numbered<T>(&self, look: impl FnOnce(&Model, u64) -> T) -> T {
        let now = self.now();
        let mut state = self.state();
        state.advance(now, &self.config.rules);
        look(&state.model, state.changes)
    }

    /// Changes the state in one step: nobody sees it half done.
    pub(super) fn change<T>(
        &self,
        account: Account,
        request_id: &str,
        change: impl FnOnce(&mut Model, &mut Turn<'_>) -> T,
    ) -> T {
        let mut state = self.state();
        state.changes += 1;
        self.turn(state, account, request_id, change)
    }

    /// Lets somebody sign in. A token is not worth a save of its own: whoever holds one that was
    /// lost in a crash gets a 401 and signs in again.
    pub(super) fn sign_in<T>(
        &self,
        account: Account,
        request_id: &str,
        issue: impl FnOnce(&mut Model, &mut Turn<'_>) -> T,
    ) -> T {
        self.turn(self.state(), account, request_id, issue)
    }

    fn turn<T>(
        &self,
        mut state: MutexGuard<'_, State>,
        account: Account,
        request_id: &str,
        act: impl FnOnce(&mut Model, &mut Turn<'_>) -> T,
    ) -> T {
        let now = self.now();
        state.advance(now, &self.config.rules);
        let State { model, dice, faults, .. } = &mut *state;
        let rules = &self.config.rules;
        act(model, &mut Turn { now, dice, rules, faults, account, request_id })
    }

    /// The faults, with the instant at which they are looked at.
    pub(super) fn faults<T>(&self, act: impl FnOnce(&mut Faults, Millis) -> T) -> T {
        let now = self.now();
        act(&mut self.state().faults, now)
    }

    /// Other faults in place of those that are on; what hung because of one that is over goes on.
    pub(super) fn wish(&self, change: impl FnOnce(Wishes) -> Wishes) {
        let now = self.now();
        let mut state = self.state();
        let wishes = change(state.faults.wishes().clone());
        state.faults.set(wishes);
        state.changes += 1;
        let State { model, faults, .. } = &mut *state;
        model.release(faults, now);
    }

    /// How the next reader is shown the servers.
    pub(super) fn sight(&self) -> Sight {
        self.faults(|faults, _| Sight::drawn(faults))
    }

    /// How many changes there were so far.
    pub(super) fn changes(&self) -> u64 {
        self.state().changes
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

    /// A panic in another request leaves a model that is whole: each method checks first and then
    /// writes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
