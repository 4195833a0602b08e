//! The project fence: a state belongs to one project, and is never taken into another.
//!
//! In another project every server that is known would look absent, by Nova's own word. So the
//! project is compared as soon as a token is there, before anything is asked with it; the first
//! one is kept with the state, and no other takes its place. A state that knows servers and no
//! project was written before projects were noted: it takes the one in which a server of its own
//! is found.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::cloud::{Fence, Inside};
use crate::domain::explain::servers;
use crate::domain::freeze::Braked;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::server::Known;
use crate::domain::time::Now;
use crate::store::{Lease, Store, StoreError, Window};

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

const PROVE_IT: &str = "Sign in to the project of these servers. If this is the right one and they \
    are gone, stop novascale and move `state.db` in `clouds/` of the state directory away: what \
    carries the mark of the installation is known again without it";

/// As many servers are looked for in a project that has to be the right one: it shows in the
/// first of them, and where all are absent the next sign-in asks again.
const LOOKED_FOR: usize = 20;

impl ProjectFence {
    /// The project that the state belongs to, which may be this one from now on.
    async fn ours(&self, project: &str, inside: &dyn Inside) -> Result<String, Failure> {
        if let Some(ours) = self.store.project().await.map_err(|e| not_compared(&e))? {
            return Ok(ours);
        }
        let known = self.known().await.map_err(|e| not_compared(&e))?;
        if !known.is_empty() {
            found(project, &known, inside).await?;
        }
        self.store.bind(&self.lease, project).await.map_err(|e| not_compared(&e))
    }

    /// The living servers that the state knows; a group that cannot be read does nothing either.
    async fn known(&self) -> Result<Vec<Known>, StoreError> {
        let all = Window { now: Now::default(), signals: Duration::ZERO, past: Duration::ZERO };
        let mut known = Vec::new();
        for group in self.store.groups().await? {
            match self.store.gather(&group, all).await {
                Ok(gathered) => known.extend(gathered.known),
                Err(StoreError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        known.retain(|known| known.state.lives());
        Ok(known)
    }
}

fn not_compared(error: &StoreError) -> Failure {
    let text = format!("the project of the token could not be compared: {error}");
    Failure::new(FailureKind::Unreached, text)
}

/// Whether any of the servers is in the project; what cannot be told of one, another may show.
async fn found(project: &str, known: &[Known], inside: &dyn Inside) -> Result<(), Failure> {
    let mut untold = None;
    for known in known.iter().take(LOOKED_FOR) {
        match inside.has(&known.region, &known.id).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(failure) => untold = Some(failure),
        }
    }
    let text = format!(
        "the state notes no project yet and knows {}, of which none is found in the project \
         {project} that the token is for",
        servers(u32::try_from(known.len()).unwrap_or(u32::MAX))
    );
    Err(untold.unwrap_or_else(|| Failure::new(FailureKind::Denied, text).hint(PROVE_IT)))
}

#[async_trait]
impl Fence for ProjectFence {
    async fn admit(&self, project: &str, inside: &dyn Inside) -> Result<(), Failure> {
        let ours = self.ours(project, inside).await?;
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
