//! One adoption: a fresh look, then our marks and the group's tag.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Crew, result};
use crate::cloud::Marks;
use crate::domain::adoption::{Adopt, Former};
use crate::domain::explain;
use crate::domain::id::{Tag, mark};
use crate::domain::outcome::{CallResult, Failure, FailureKind};
use crate::domain::server::{Ownership, Server, Status};
use crate::killpoint;

impl Crew<'_> {
    pub(super) async fn adopt(&self, adopt: &Adopt) -> CallResult {
        // Two groups may have orders for one server: the second look sees what the first one wrote.
        let _alone = self.parts.adopting.lock().await;
        killpoint::reached("adopt.begun");
        if let Some(late) = self.too_late() {
            return late;
        }
        let fresh = match self.parts.compute.get(&self.group.region, &adopt.server).await {
            Ok(Some(fresh)) => fresh,
            Ok(None) => return CallResult::Refused(self.absent(adopt)),
            Err(failure) => return CallResult::Refused(super::only_looked_at(failure)),
        };
        if let Err(refused) = self.may_adopt(&fresh, adopt) {
            return CallResult::Refused(refused);
        }
        if let Some(stopped) = self.stopped().await {
            return stopped;
        }
        let marks = self.marks(&fresh, adopt);
        if marks.metadata.is_empty() && marks.tag.is_none() && marks.untag.is_none() {
            return CallResult::Adopted;
        }
        if let Err(refused) = can_be_whole(&fresh, &marks) {
            return CallResult::Refused(refused);
        }
        killpoint::reached("adopt.permitted");
        let adopted = self.parts.compute.adopt(&marks).await;
        killpoint::reached("adopt.answered");
        match adopted {
            Ok(()) => CallResult::Adopted,
            Err(failure) => result(failure),
        }
    }

    fn absent(&self, adopt: &Adopt) -> Failure {
        let (id, region) = (&adopt.server, &self.group.region);
        let message = format!("there is no server {id} in region {region} of this project");
        Failure::new(FailureKind::Gone, message)
    }

    /// What is locked or protected may be adopted: that keeps it from being deleted, not from
    /// being ours.
    fn may_adopt(&self, fresh: &Server, adopt: &Adopt) -> Result<(), Failure> {
        let id = &adopt.server;
        if matches!(fresh.status, Status::SoftDeleted | Status::Deleted) {
            return Err(self.absent(adopt));
        }
        let refused = |message: String| Failure::new(FailureKind::Refused, message);
        if !adopt.untagged && !fresh.has_tag(&self.group.tag) {
            let message = format!("server {id} no longer carries the group's tag");
            return Err(refused(message).hint("To adopt it all the same, name it by its id."));
        }
        if let Some(install) = self.other_install(fresh) {
            return Err(refused(format!(
                "server {id} carries the mark of the installation {install}"
            ))
            .hint(format!(
                "If that one runs no more, put the tag {} on it first.",
                self.group.tag
            )));
        }
        let (install, here) = (&self.parts.install, (&self.group.name, &self.group.tag));
        let left = |former: &Former| !former.holds(fresh, install, here);
        if adopt.from.as_ref().is_some_and(left) && !self.is_ours(fresh) {
            let message = format!("server {id} no longer carries the mark of its former group");
            return Err(refused(message));
        }
        match self.other_group(fresh).filter(|_| adopt.from.is_none()) {
            None => Ok(()),
            Some(group) => Err(refused(format!(
                "server {id} carries our mark of the group {group}"
            ))
            .hint(format!(
                "If {group} was renamed, `novascale adopt {} --from {group}` takes it over. If it \
                 is still a group of its own, {} takes that mark off, and the server can be \
                 adopted then.",
                self.group.name,
                explain::let_go(None, id.as_str())
            ))),
        }
    }

    fn is_ours(&self, server: &Server) -> bool {
        server.ownership(&self.parts.install, &self.group.name) == Ownership::Ours
    }

    /// The installation that keeps the server, as far as its mark tells, if that is not this one
    /// and nobody has put the group's tag on it.
    fn other_install<'s>(&self, server: &'s Server) -> Option<&'s str> {
        let mark = server.metadata.get(mark::INSTALL).map(String::as_str)?;
        (mark != self.parts.install.as_str() && !server.has_tag(&self.group.tag)).then_some(mark)
    }

    /// The group of this installation that the server is marked for, if it is not this one.
    fn other_group<'s>(&self, server: &'s Server) -> Option<&'s str> {
        let get = |key| server.metadata.get(key).map(String::as_str);
        let ours = get(mark::INSTALL) == Some(self.parts.install.as_str());
        get(mark::GROUP).filter(|group| ours && *group != self.group.name.as_str())
    }

    /// What the server lacks. A launch id is for life: what it has of one it keeps.
    fn marks(&self, fresh: &Server, adopt: &Adopt) -> Marks {
        let launch = fresh.launch().unwrap_or_else(|| adopt.launch.clone());
        let marks = [
            (mark::INSTALL, self.parts.install.to_string()),
            (mark::GROUP, self.group.name.to_string()),
            (mark::LAUNCH, launch.to_string()),
        ];
        let lacking =
            marks.into_iter().filter(|(key, value)| fresh.metadata.get(*key) != Some(value));
        let metadata: BTreeMap<_, _> =
            lacking.map(|(key, value)| (key.to_owned(), value)).collect();
        let tag = &self.group.tag;
        let former = adopt.from.as_ref().filter(|former| former.leaves_tag(fresh, tag));
        Marks {
            region: self.group.region.clone(),
            server: adopt.server.clone(),
            metadata,
            tag: (!fresh.has_tag(tag)).then(|| tag.clone()),
            untag: former.and_then(|former| written(fresh, &former.tag)),
            not_after: self.deadline(),
            leave: Arc::clone(&self.leave),
        }
    }
}

/// Nova tags a locked server, but keeps its metadata: the tag would only come and go.
fn can_be_whole(fresh: &Server, marks: &Marks) -> Result<(), Failure> {
    if !fresh.locked || marks.tag.is_none() || marks.metadata.is_empty() {
        return Ok(());
    }
    let id = &marks.server;
    let failure = Failure::new(FailureKind::Conflict, format!("server {id} is locked in Nova"));
    Err(failure.hint(format!("{} lets it be adopted.", explain::unlock(id.as_str()))))
}

/// The tag as the server carries it: Nova compares the letters' case where it removes one.
fn written(server: &Server, tag: &Tag) -> Option<Tag> {
    let same = server.tags.iter().find(|text| tag.same(text))?;
    Tag::new(same.as_str()).ok()
}
