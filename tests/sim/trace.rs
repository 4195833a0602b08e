//! What happened, twice: as a number that two runs of one seed must share, and, on request, as
//! a story that a person can read.

use std::sync::{Mutex, MutexGuard, PoisonError};

use novascale::domain::time::Steady;

#[derive(Default)]
pub struct Trace(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    hash: u64,
    /// Of a controller that is broken on purpose: by nothing else may it be caught.
    only: Option<&'static str>,
    story: Option<Vec<String>>,
    violations: Vec<String>,
}

impl Trace {
    pub fn telling(story: bool, only: Option<&'static str>) -> Self {
        let (story, violations) = (story.then(Vec::new), Vec::new());
        Self(Mutex::new(Inner { hash: 0xcbf2_9ce4_8422_2325, only, story, violations }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One event: what it was, with numbers that tell it from others.
    pub fn event(&self, at: Steady, code: u64, number: u64, say: impl FnOnce() -> String) {
        let mut inner = self.lock();
        for part in [at.0, code, number] {
            // FNV-1a over whole words: only equality is asked of it.
            inner.hash = (inner.hash ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        }
        if let Some(story) = &mut inner.story {
            story.push(format!("{:>9.3} s  {}", at.0 as f64 / 1000.0, say()));
        }
    }

    /// An invariant does not hold.
    pub fn broken(&self, at: Steady, invariant: &str, what: &str) {
        if self.lock().only.is_some_and(|only| only != invariant) {
            return;
        }
        self.event(at, 99, 0, || format!("BROKEN {invariant}: {what}"));
        self.lock().violations.push(format!("{invariant}: {what}"));
    }

    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub fn sound(&self) -> bool {
        self.lock().violations.is_empty()
    }

    pub fn hash(&self) -> u64 {
        self.lock().hash
    }

    pub fn story(&self) -> Vec<String> {
        self.lock().story.clone().unwrap_or_default()
    }
}
