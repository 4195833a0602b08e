//! Controllers that are broken on purpose: for each invariant one that the oracle must catch.
//!
//! Nothing in shipped code knows of them. A broken controller is the real one behind ports
//! that lie to it about its own past, or to the cloud about its word; so what breaks is its
//! behaviour, and the oracle is asked to see it.

use std::sync::Arc;

use async_trait::async_trait;
use novascale::cloud::{Audit, Compute, Create, Deleted, Marks, MayDelete};
use novascale::domain::id::{InstallId, Region, ServerId, Tag, mark};
use novascale::domain::outcome::Failure;
use novascale::domain::server::{Server, Status};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// I1: launches under way take no room under the ceiling.
    ForgetsOpenLaunches,
    /// I2: what left within the minute does not slow the next.
    ForgetsTerminations,
    /// I3: whatever carries the tag is taken for its own.
    OwnsEverything,
    /// I4: the call comes without its journal line.
    ActsBeforeItRecords,
    /// I5: servers in ERROR are not seen, and so never swept.
    LeavesFailures,
    /// I6: a listing that failed is an empty one, and a look-up that failed a 404.
    TakesBlindnessForNothing,
    /// I7: it writes, and so acts, though another has taken over.
    WritesUnfenced,
    /// I8: it takes what comes without a token.
    AsksNoToken,
    /// I9: a repeated command is applied again.
    IgnoresKeys,
    /// I10: it works with bounds that are not its group's.
    KeepsOldBounds,
    /// I10: it knows no window's min.
    IgnoresAWindowsMin,
    /// I11: a signal that is silent counts as zero.
    TakesSilenceForZero,
    /// I11: what was measured long ago counts for ever.
    LetsOldCount,
    /// I9: an alert that fires is forgotten.
    ForgetsAlerts,
    /// I12: a failure is no reason to wait.
    ForgetsFailures,
    /// I13: what was just raised is lowered.
    ForgetsCooldown,
    /// I14: a group that left the configuration has no servers to keep.
    DrainsWhatLeft,
    /// freeze: neither command nor file stops it.
    IgnoresFreezes,
    /// meltdown: whatever others take is replaced at once.
    IgnoresMeltdowns,
    /// I14: it does not know what was accepted, and so takes every max at once.
    ForgetsTheOldMax,
    /// I15: an intent never ends.
    NeverSettles,
}

pub const ALL: [(Broken, &str); 21] = [
    (Broken::ForgetsOpenLaunches, "I1"),
    (Broken::ForgetsTerminations, "I2"),
    (Broken::OwnsEverything, "I3"),
    (Broken::ActsBeforeItRecords, "I4"),
    (Broken::LeavesFailures, "I5"),
    (Broken::TakesBlindnessForNothing, "I6"),
    (Broken::WritesUnfenced, "I7"),
    (Broken::AsksNoToken, "I8"),
    (Broken::IgnoresKeys, "I9"),
    (Broken::KeepsOldBounds, "I10"),
    (Broken::IgnoresAWindowsMin, "I10"),
    (Broken::TakesSilenceForZero, "I11"),
    (Broken::LetsOldCount, "I11"),
    (Broken::ForgetsAlerts, "I9"),
    (Broken::ForgetsFailures, "I12"),
    (Broken::ForgetsCooldown, "I13"),
    (Broken::DrainsWhatLeft, "I14"),
    (Broken::IgnoresFreezes, "freeze"),
    (Broken::IgnoresMeltdowns, "meltdown"),
    (Broken::ForgetsTheOldMax, "I14"),
    (Broken::NeverSettles, "I15"),
];

impl Broken {
    /// What it breaks.
    pub fn invariant(self) -> &'static str {
        let of = ALL.iter().find(|(broken, _)| *broken == self);
        of.map(|(_, invariant)| *invariant).expect("every broken controller is in the list")
    }
}

/// Nova as a broken controller understands it.
pub struct Misread {
    pub nova: Arc<dyn Compute>,
    pub broken: Broken,
    pub install: InstallId,
}

impl Misread {
    fn own(&self, mut server: Server) -> Server {
        let group = server.tags.iter().find_map(|tag| tag.strip_prefix("novascale:g"));
        let group = group.map(|digit| format!("g{digit}")).unwrap_or_default();
        let marks = [
            (mark::INSTALL, self.install.to_string()),
            (mark::GROUP, group),
            (mark::LAUNCH, "f".repeat(32)),
        ];
        server.metadata.extend(marks.map(|(key, value)| (key.to_owned(), value)));
        server.metadata.remove(mark::PROTECT);
        server.locked = false;
        server
    }
}

#[async_trait]
impl Compute for Misread {
    async fn list(&self, region: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        let listed = self.nova.list(region, tags).await;
        match (self.broken, listed) {
            (Broken::TakesBlindnessForNothing, Err(_)) => Ok(Vec::new()),
            (Broken::OwnsEverything, Ok(servers)) => {
                Ok(servers.into_iter().map(|server| self.own(server)).collect())
            }
            (Broken::LeavesFailures, Ok(mut servers)) => {
                servers.iter_mut().filter(|s| s.status == Status::Error).for_each(|server| {
                    server.status = Status::Shutoff;
                });
                Ok(servers)
            }
            (_, listed) => listed,
        }
    }

    async fn get(&self, region: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        let found = self.nova.get(region, id).await;
        match (self.broken, found) {
            (Broken::TakesBlindnessForNothing, Err(_)) => Ok(None),
            (Broken::OwnsEverything, Ok(Some(server))) => Ok(Some(self.own(server))),
            (_, found) => found,
        }
    }

    async fn audit(&self, region: &Region) -> Result<Audit, Failure> {
        self.nova.audit(region).await
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        self.nova.create(request).await
    }

    async fn adopt(&self, request: &Marks) -> Result<(), Failure> {
        self.nova.adopt(request).await
    }

    async fn delete(&self, region: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        self.nova.delete(region, permit).await
    }
}
