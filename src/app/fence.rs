//! The project fence: a state belongs to one project, and is never taken into another.
//!
//! In another project every server that is known would look absent, by Nova's own word. So the
//! project is compared as soon as a token is there, before anything is asked with it; the first
//! one is kept with the state, and no other takes its place.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::cloud::Fence;
use crate::domain::freeze::Braked;
use crate::domain::outcome::{Failure, FailureKind};
use crate::store::{Lease, Store};

/// The fence around the state's project.
pub(super) struct ProjectFence {
    store: Arc<dyn Store>,
    lease: Lease,
    /// The state's project and that of the last token, where they differ.
    differ: Mutex<Option<(String, String)>>,
}

impl ProjectFence {
    pub(super) fn new(store: Arc<dyn Store>, lease: Lease) -> Self {
        Self { store, lease, differ: Mutex::default() }
    }

    /// What stops every group, if the last token was for another project.
    pub(super) fn on(&self) -> Option<Braked> {
        let differ = self.differ.lock().unwrap_or_else(PoisonError::into_inner).clone();
        differ.map(|(ours, theirs)| Braked::OtherProject { ours, theirs })
    }

    /// Notes whether they differ, and tells a change.
    fn note(&self, differ: Option<(String, String)>) {
        let mut last = self.differ.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*last, &differ) {
            (_, Some((ours, theirs))) if *last != differ => tracing::error!(
                "the token is for the project {theirs}, but the state belongs to the project \
                 {ours}: nothing is asked of the cloud and nothing is changed. {WAY_OUT}"
            ),
            (Some(_), None) => tracing::info!("the token is for the state's project again"),
            _ => {}
        }
        *last = differ;
    }
}

const WAY_OUT: &str = "Sign in to the state's project again; or, to work in the other one, give \
    it a `controller.state_dir` of its own";

#[async_trait]
impl Fence for ProjectFence {
    async fn admit(&self, project: &str) -> Result<(), Failure> {
        let ours = self.store.project(&self.lease, project).await.map_err(|error| {
            let text = format!("the project of the token could not be compared: {error}");
            Failure::new(FailureKind::Unreached, text)
        })?;
        if ours == project {
            self.note(None);
            return Ok(());
        }
        self.note(Some((ours.clone(), project.to_owned())));
        let text = format!(
            "the token is for the project {project}, but the state belongs to the project {ours}"
        );
        Err(Failure::new(FailureKind::Denied, text).hint(WAY_OUT))
    }
}
