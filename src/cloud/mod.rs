//! The seams to a cloud: what novascale needs of Nova, Glance and Neutron.
//!
//! One trait for each service. Behind them stands `openstack`, the conversation
//! with a real cloud over HTTP; `sandbox` is the other end of such a conversation,
//! an embedded OpenStack that the controller reaches over HTTP only.
//!
//! No implementation decides anything: it makes one call (a listing: all its pages; the
//! marks of an adoption: one for each kind, and one that undoes what was refused half way),
//! replays it once after a 401, reads a GET once more after a failure, and says what
//! came of it. The next pass is the retry.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::freeze::NoBrake;
use crate::domain::group::{Placement, Template, UserData};
use crate::domain::id::{GroupName, InstallId, LaunchId, Region, ServerId, Tag, Zone};
use crate::domain::outcome::Failure;
use crate::domain::server::Server;
use crate::domain::time::Steady;

pub mod may_delete;
pub mod openstack;
pub mod rights;
pub mod sandbox;
pub mod stats;
pub mod throttle;

pub use may_delete::MayDelete;

/// Nova, in every region of the catalog.
#[async_trait]
pub trait Compute: Send + Sync {
    /// All servers that carry any of the tags, each checked to really carry one, every
    /// page followed: complete or an error. Deleted and SOFT_DELETED servers are left out.
    async fn list(&self, region: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure>;

    /// One server by id; `None` is Nova's own 404 (`itemNotFound`) and nothing else.
    async fn get(&self, region: &Region, id: &ServerId) -> Result<Option<Server>, Failure>;

    /// Every server of the project, without filter: Nova then shows also the servers of cells
    /// that it cannot reach (from 2.69), and those that lost their tags.
    async fn audit(&self, region: &Region) -> Result<Audit, Failure>;

    /// One create call for `n` servers, all or nothing; the id of the first if told.
    /// An error of a [certain](crate::domain::outcome::FailureKind::certain) kind means that
    /// nothing was made.
    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure>;

    /// Writes tags and marks on one server. Each step is idempotent, and they are taken in
    /// order: what failed half way is done again as a whole. What was refused for good leaves
    /// the server as it was.
    async fn adopt(&self, request: &Marks) -> Result<(), Failure>;

    /// Deletes one server. The permit can be had only from a fresh look at it, and ends.
    async fn delete(&self, region: &Region, permit: MayDelete) -> Result<Deleted, Failure>;
}

/// Asked once more when the turn of a change has come, right before it is sent: it may have
/// waited for a while in the throttle, and the group may have been frozen meanwhile.
#[async_trait]
pub trait Leave: Send + Sync + fmt::Debug {
    /// Why the change may not be sent any more, if so.
    async fn refused(&self) -> Option<String>;
}

#[async_trait]
impl Leave for NoBrake {
    async fn refused(&self) -> Option<String> {
        None
    }
}

/// What an adoption writes on a server.
#[derive(Debug, Clone)]
pub struct Marks {
    pub region: Region,
    pub server: ServerId,
    /// Put on it first of all: a server that has just the tag is shown, and left alone.
    pub tag: Option<Tag>,
    /// Merged into what the server has, then. Where that is refused, the tag goes again.
    pub metadata: BTreeMap<String, String>,
    /// Taken off it, last.
    pub untag: Option<Tag>,
    /// It is not sent after that.
    pub not_after: Steady,
    /// Nor without this.
    pub leave: Arc<dyn Leave>,
}

/// Whether a token may be used: asked at every sign-in, before the first call with what it
/// brought.
#[async_trait]
pub trait Fence: Send + Sync {
    /// The project that the token is for, and a way to look what is in it. An error keeps every
    /// other call from being made with the token.
    async fn admit(&self, project: &str, inside: &dyn Inside) -> Result<(), Failure>;
}

/// A look into the project of a token that is not admitted yet.
#[async_trait]
pub trait Inside: Send + Sync {
    /// Whether this server is there; false is Nova's own 404 and nothing else.
    async fn has(&self, region: &Region, id: &ServerId) -> Result<bool, Failure>;
}

/// An unfiltered listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Audit {
    pub servers: Vec<Server>,
    /// Of these Nova knows no more than the id: their cell cannot be reached.
    pub unreachable: Vec<ServerId>,
}

/// Looks up what a template names. Results are cached and refreshed when they fail.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The ids behind the template's names, for a create with this flavor. A name that does
    /// not exist is a [`Refused`](crate::domain::outcome::FailureKind::Refused) failure whose
    /// `key` names the setting, as `group.web.image`.
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure>;

    /// Forgets what is cached for the region: a create was refused because of an id.
    fn forget(&self, region: &Region);
}

/// What is to be resolved.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub group: &'a GroupName,
    pub install: &'a InstallId,
    pub region: &'a Region,
    pub template: &'a Template,
    /// One of the template's flavors, name or id.
    pub flavor: &'a str,
}

/// Ids in place of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub flavor: String,
    pub image: String,
    pub networks: ResolvedNetworks,
    /// Names or ids; Nova takes both.
    pub security_groups: Vec<String>,
    /// The server group for the scheduler hint.
    pub server_group: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedNetworks {
    Auto,
    None,
    Ids(Vec<String>),
}

/// One create call.
#[derive(Debug, Clone)]
pub struct Create {
    pub group: GroupName,
    pub region: Region,
    pub zone: Option<Zone>,
    pub launch: LaunchId,
    pub n: u32,
    /// Nova appends `-1`, `-2`, … when `n` is above 1.
    pub name: String,
    pub tags: Vec<String>,
    /// Ours and the template's together.
    pub metadata: BTreeMap<String, String>,
    pub resolved: Resolved,
    pub template: Arc<Template>,
    /// Until when the plan is good that it belongs to: it is not sent after that.
    pub not_after: Steady,
    /// Nor without this.
    pub leave: Arc<dyn Leave>,
}

impl Create {
    pub fn user_data(&self) -> Option<&UserData> {
        self.template.user_data.as_ref()
    }

    pub fn placement(&self) -> &Placement {
        &self.template.placement
    }
}

/// What a delete came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// 204: Nova took it; done when GET says 404.
    Accepted,
    /// Nova's own 404: it was gone already.
    Gone,
}
