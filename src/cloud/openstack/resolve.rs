//! From the names in a template to the ids that Nova wants.
//!
//! What was found is kept for ten minutes by region and name, so that a launch costs no
//! look-ups; `forget` empties it when a create was refused because of an id, for image ids
//! change under their names. What is missing or ambiguous is a failure that names the
//! setting and what there is instead. A right to look that is missing stops nothing that
//! Nova can check itself: security groups, key pairs, and images and networks given by id then
//! go unverified.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::call::group_key;
use super::compute::Nova;
use super::error::not_sent;
use super::microversion::GROUP_POLICY;
use super::session::{Session, json};
use super::wire::{FlavorsPage, Named, OneServerGroup, ServerGroup, ServerGroups, has_next};
use super::{image, network};
use crate::cloud::{Resolved, ResolvedNetworks, Wanted};
use crate::domain::group::{AntiAffinity, ImageRef, Networks, Placement};
use crate::domain::id::Region;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::Steady;

/// OVHcloud replaces public images about monthly; ten minutes are soon enough after that.
const KEPT: Duration = Duration::from_secs(600);

/// Beyond any configuration; then the cache starts over.
const KEPT_MOST: usize = 10_000;

/// Flavors are listed in pages of 1000; clouds have some hundreds.
const PAGES_MOST: usize = 20;

/// What a name of a kind was found to be in a region, and when.
type Kept = BTreeMap<(Region, Kind, String), (Steady, String)>;

/// Looks names up and remembers them.
pub(super) struct Names {
    session: Arc<Session>,
    nova: Arc<Nova>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Flavor,
    Image,
    Network,
    SecurityGroup,
    ServerGroup,
    KeyPair,
}

impl Kind {
    /// The word for people, and the group's setting.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Flavor => ("flavor", "flavor"),
            Self::Image => ("image", "image"),
            Self::Network => ("network", "networks"),
            Self::SecurityGroup => ("security group", "security_groups"),
            Self::ServerGroup => ("server group", "server_group"),
            Self::KeyPair => ("key pair", "key_pair"),
        }
    }
}

impl Names {
    pub(super) fn new(session: Arc<Session>, nova: Arc<Nova>) -> Self {
        Self { session, nova, kept: Mutex::default() }
    }

    /// All ids of a template. Failures are certain: nothing was created yet.
    pub(super) async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        self.look_up(wanted).await.map_err(not_sent)
    }

    pub(super) fn forget(&self, region: &Region) {
        self.kept().retain(|(of, _, _), _| of != region);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        let template = wanted.template;
        let flavor = self.flavor(wanted).await?;
        let image = self.image(wanted).await?;
        let networks = match &template.networks {
            Networks::Auto => ResolvedNetworks::Auto,
            Networks::None => ResolvedNetworks::None,
            Networks::Named(names) => ResolvedNetworks::Ids(self.networks(wanted, names).await?),
        };
        for name in &template.security_groups {
            self.security_group(wanted, name).await?;
        }
        if let Some(name) = &template.key_name {
            self.key_pair(wanted, name).await?;
        }
        let server_group = match &template.placement {
            Placement::Anywhere => None,
            Placement::ServerGroup(name) => Some(self.server_group(wanted, name).await?),
            Placement::AntiAffinity(apart) => Some(self.own_group(wanted, *apart).await?),
        };
        let security_groups = template.security_groups.clone();
        Ok(Resolved { flavor, image, networks, security_groups, server_group })
    }

    fn recall(&self, region: &Region, kind: Kind, name: &str) -> Option<String> {
        let now = self.session.link.now().steady;
        let kept = self.kept();
        let (at, id) = kept.get(&(region.clone(), kind, name.to_owned()))?;
        (now.since(*at) < KEPT).then(|| id.clone())
    }

    fn keep(&self, region: &Region, kind: Kind, name: &str, id: &str) {
        let now = self.session.link.now().steady;
        let mut kept = self.kept();
        if kept.len() >= KEPT_MOST {
            kept.clear();
        }
        kept.insert((region.clone(), kind, name.to_owned()), (now, id.to_owned()));
    }

    async fn flavor(&self, wanted: &Wanted<'_>) -> Result<String, Failure> {
        let (region, name) = (wanted.region, wanted.flavor);
        if let Some(id) = self.recall(region, Kind::Flavor, name) {
            return Ok(id);
        }
        let all = self.flavors(region).await?;
        let found = all.iter().find(|flavor| flavor.id == name);
        let found = found.or_else(|| all.iter().find(|f| f.name.as_deref() == Some(name)));
        let Some(found) = found else {
            return Err(missing(wanted, Kind::Flavor, name, &names(&all)));
        };
        self.keep(region, Kind::Flavor, name, &found.id);
        Ok(found.id.clone())
    }

    async fn flavors(&self, region: &Region) -> Result<Vec<Named>, Failure> {
        let path = ["flavors", "detail"];
        let first = self.nova.call(region, Method::GET, "/flavors/detail", &path).await?;
        let mut all: Vec<Named> = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES_MOST {
            let mut query = vec![("limit", "1000")];
            query.extend(marker.as_deref().map(|marker| ("marker", marker)));
            let page: FlavorsPage = self.nova.read(region, &first.clone().query(&query)).await?;
            let last = page.flavors.last().map(|flavor| flavor.id.clone());
            all.extend(page.flavors);
            if last.is_none() || last == marker || !has_next(&page.flavors_links) {
                break;
            }
            marker = last;
        }
        Ok(all)
    }

    async fn image(&self, wanted: &Wanted<'_>) -> Result<String, Failure> {
        let (region, reference) = (wanted.region, &wanted.template.image);
        let (text, memo) = match reference {
            ImageRef::Id(id) => (id, format!("id {id}")),
            ImageRef::Name(name) => (name, format!("name {name}")),
            ImageRef::Newest(pattern) => (pattern, format!("newest {pattern}")),
        };
        if let Some(id) = self.recall(region, Kind::Image, &memo) {
            return Ok(id);
        }
        match image::find(&self.session, region, reference).await? {
            image::Found::Image(id) => {
                self.keep(region, Kind::Image, &memo, &id);
                Ok(id)
            }
            image::Found::Names(names) => Err(missing(wanted, Kind::Image, text, &names)),
            image::Found::Inactive(status) => {
                let why = format!("image {text} is not active in {region}: it is {status}");
                Err(blame(wanted, Kind::Image, why))
            }
        }
    }

    async fn networks(
        &self,
        wanted: &Wanted<'_>,
        asked: &[String],
    ) -> Result<Vec<String>, Failure> {
        let region = wanted.region;
        let recall = |name: &String| self.recall(region, Kind::Network, name);
        if let Some(all) = asked.iter().map(recall).collect::<Option<Vec<_>>>() {
            return Ok(all);
        }
        let texts: Vec<&str> = asked.iter().map(String::as_str).collect();
        let found = network::networks(&self.session, region, &texts).await?;
        let mut ids = Vec::new();
        for name in asked {
            let fitting = fitting(&found, name);
            let id = match fitting.as_slice() {
                [one] => one.clone(),
                [] => {
                    let there = network::network_names(&self.session, region).await?;
                    return Err(missing(wanted, Kind::Network, name, &there));
                }
                several => return Err(ambiguous(wanted, Kind::Network, name, several)),
            };
            self.keep(region, Kind::Network, name, &id);
            ids.push(id);
        }
        Ok(ids)
    }

    async fn security_group(&self, wanted: &Wanted<'_>, name: &str) -> Result<(), Failure> {
        let (region, kind) = (wanted.region, Kind::SecurityGroup);
        if self.recall(region, kind, name).is_some() {
            return Ok(());
        }
        let found = match network::security_groups(&self.session, region, Some(name)).await {
            Err(failure) if failure.status == Some(403) => {
                tracing::debug!(%failure, "security groups go unverified");
                self.keep(region, kind, name, name);
                return Ok(());
            }
            other => fitting(&other?, name),
        };
        match found.as_slice() {
            [_] => self.keep(region, kind, name, name),
            [] => {
                let all = network::security_groups(&self.session, region, None).await?;
                return Err(missing(wanted, kind, name, &names(&all)));
            }
            several => return Err(ambiguous(wanted, kind, name, several)),
        }
        Ok(())
    }

    async fn key_pair(&self, wanted: &Wanted<'_>, name: &str) -> Result<(), Failure> {
        let (region, kind) = (wanted.region, Kind::KeyPair);
        if self.recall(region, kind, name).is_some() {
            return Ok(());
        }
        let path = ["os-keypairs", name];
        let call = self.nova.call(region, Method::GET, "/os-keypairs/{name}", &path).await?;
        match self.nova.read::<serde_json::Value>(region, &call).await {
            Ok(_) => {}
            Err(failure) if failure.kind == FailureKind::Gone => {
                return Err(missing(wanted, kind, name, &[]).hint(
                    "Key pairs belong to the user, not to the project: make it as the account \
                     that novascale signs in with, or put the key into user_data.",
                ));
            }
            Err(failure) if failure.status == Some(403) => {
                tracing::debug!(%failure, "the key pair goes unverified");
            }
            Err(failure) => return Err(failure),
        }
        self.keep(region, kind, name, name);
        Ok(())
    }

    async fn server_group(&self, wanted: &Wanted<'_>, name: &str) -> Result<String, Failure> {
        let (region, kind) = (wanted.region, Kind::ServerGroup);
        if let Some(id) = self.recall(region, kind, name) {
            return Ok(id);
        }
        let all = self.server_groups(region).await?;
        let named: Vec<Named> =
            all.into_iter().map(|g| Named { id: g.id, name: Some(g.name) }).collect();
        match fitting(&named, name).as_slice() {
            [id] => {
                self.keep(region, kind, name, id);
                Ok(id.clone())
            }
            [] => Err(missing(wanted, kind, name, &names(&named))),
            several => Err(ambiguous(wanted, kind, name, several)),
        }
    }

    async fn server_groups(&self, region: &Region) -> Result<Vec<ServerGroup>, Failure> {
        let path = ["os-server-groups"];
        let call = self.nova.call(region, Method::GET, "/os-server-groups", &path).await?;
        let call = call.query(&[("limit", "1000")]);
        Ok(self.nova.read::<ServerGroups>(region, &call).await?.server_groups)
    }

    /// The server group that keeps a group's servers apart: found by its name, else made.
    async fn own_group(&self, wanted: &Wanted<'_>, apart: AntiAffinity) -> Result<String, Failure> {
        let (region, kind, policy) = (wanted.region, Kind::ServerGroup, apart.policy());
        let install = wanted.install.as_str();
        let short = install.get(..8).unwrap_or(install);
        let name = format!("novascale-{}-{short}", wanted.group);
        let memo = format!("{policy} {name}");
        if let Some(id) = self.recall(region, kind, &memo) {
            return Ok(id);
        }
        // A policy cannot be changed: after a change of it a second group of the name is made.
        let mut found: Vec<String> = self
            .server_groups(region)
            .await?
            .into_iter()
            .filter(|group| group.name == name && group.has_policy(policy))
            .map(|group| group.id)
            .collect();
        found.sort_unstable();
        let id = match found.into_iter().next() {
            Some(id) => id,
            None => self.make_group(wanted, &name, policy).await?,
        };
        self.keep(region, kind, &memo, &id);
        Ok(id)
    }

    async fn make_group(
        &self,
        wanted: &Wanted<'_>,
        name: &str,
        policy: &str,
    ) -> Result<String, Failure> {
        let region = wanted.region;
        let body = if self.nova.version(region).await? >= GROUP_POLICY {
            json!({"server_group": {"name": name, "policy": policy}})
        } else {
            json!({"server_group": {"name": name, "policies": [policy]}})
        };
        let path = ["os-server-groups"];
        let call = self.nova.call(region, Method::POST, "/os-server-groups", &path).await?;
        let call = call.owner(wanted.group, &wanted.template.placement).json(&body);
        let answer = self.session.call(&call).await?;
        Ok(json::<OneServerGroup>(&call, &answer)?.server_group.id)
    }
}

fn names(all: &[Named]) -> Vec<String> {
    all.iter().filter_map(|named| named.name.clone()).collect()
}

/// The ids of those that carry this id or, if none does, this name.
fn fitting(all: &[Named], text: &str) -> Vec<String> {
    if let Some(same) = all.iter().find(|named| named.id == text) {
        return vec![same.id.clone()];
    }
    let same = all.iter().filter(|named| named.name.as_deref() == Some(text));
    same.map(|named| named.id.clone()).collect()
}

fn blame(wanted: &Wanted<'_>, kind: Kind, message: String) -> Failure {
    Failure::new(FailureKind::Refused, message).key(group_key(wanted.group, kind.words().1))
}

fn ambiguous(wanted: &Wanted<'_>, kind: Kind, name: &str, ids: &[String]) -> Failure {
    let (word, region) = (kind.words().0, wanted.region);
    let message = format!("{} {word}s in {region} are called {name:?}", ids.len());
    blame(wanted, kind, message).hint(format!("Give the id of one: {}.", ids.join(", ")))
}

fn missing(wanted: &Wanted<'_>, kind: Kind, name: &str, there: &[String]) -> Failure {
    let (word, region) = (kind.words().0, wanted.region);
    let failure = blame(wanted, kind, format!("there is no {word} {name:?} in {region}"));
    match near(name, there) {
        near if !near.is_empty() => failure.hint(format!("Did you mean {}?", near.join(" or "))),
        _ if there.is_empty() => failure,
        _ => {
            let mut some: Vec<&str> = there.iter().map(String::as_str).take(12).collect();
            some.dedup();
            failure.hint(format!("There are, among others: {}.", some.join(", ")))
        }
    }
}

/// Up to three names that may have been meant, the likeliest first.
fn near<'a>(name: &str, there: &'a [String]) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut likely: Vec<(f64, &str)> = there
        .iter()
        .map(|other| (strsim::jaro_winkler(&wanted, &other.to_lowercase()), other.as_str()))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    likely.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    likely.dedup_by_key(|(_, other)| *other);
    likely.into_iter().take(3).map(|(_, other)| other).collect()
}
