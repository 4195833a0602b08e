//! Nova: list by tag, audit, get, create, delete; versions.
//!
//! A listing is complete or an error: every page is followed, from our own base URL and the
//! last id seen, for the links carry the API node's idea of its address. It is checked
//! twice against a filter that was ignored: by the version of the answer and by the tags of
//! every server. A create is sent once; only a 202 says that servers exist. Source:
//! nova/api/openstack/compute/servers.py, schemas/servers.py, views/servers.py.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::call::{Call, Service, group_key};
use super::catalog::compute_root;
use super::error::{not_sent, unreadable};
use super::microversion::{Microversion, VOLUME_TYPE};
use super::session::{Session, json};
use super::transport::Response;
use super::wire::{self, Created, OneServer, ServerBody, ServersPage, VersionDocument};
use crate::cloud::{Audit, Create, Deleted, MayDelete, ResolvedNetworks};
use crate::domain::id::{Region, ServerId, Tag};
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::server::{Server, Status};

/// Tags in one filter: fifty of sixty characters keep the URL below 4 KB.
const TAGS_IN_A_CALL: usize = 50;

/// Nova's own cap (`[api]max_limit`); a lower one only means more pages.
const PAGE: &str = "1000";

/// More pages than any project has: a server that pages in circles must end.
const PAGES_MOST: usize = 1000;

/// Nova's limit on user data, after base64 (nova/api/validation/parameter_types.py).
const USER_DATA_MOST: usize = 65_535;

/// Nova in every region.
pub(super) struct Nova {
    pub(super) session: Arc<Session>,
    versions: Mutex<BTreeMap<Region, Microversion>>,
}

impl Nova {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, versions: Mutex::default() }
    }

    /// The microversion spoken with the region; asked of it once.
    pub(super) async fn version(&self, region: &Region) -> Result<Microversion, Failure> {
        if let Some(known) = self.versions().get(region) {
            return Ok(*known);
        }
        let base = self.session.endpoint(Service::Compute, region).await?;
        let call = Call::new(Service::Compute, Method::GET, "/v2.1/", compute_root(&base));
        let call = call.region(region);
        let ask = async || {
            let answered = self.session.link.send(&call).await?;
            let answer = match answered.response.status {
                // Older deployments put the token check before the versions as well.
                StatusCode::UNAUTHORIZED => self.session.call(&call).await?,
                _ => answered.success()?,
            };
            json::<VersionDocument>(&call, &answer)
        };
        let document = match ask().await {
            Err(failure) if !failure.kind.certain() => ask().await.map_err(not_sent)?,
            other => other.map_err(not_sent)?,
        };
        let version = Microversion::choose(&document.version, region)
            .map_err(|failure| failure.key(self.session.trust.region_key(region)))?;
        self.versions().insert(region.clone(), version);
        Ok(version)
    }

    fn versions(&self) -> MutexGuard<'_, BTreeMap<Region, Microversion>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call to the region's Nova, in its version.
    pub(super) async fn call(
        &self,
        region: &Region,
        method: Method,
        template: &'static str,
        path: &[&str],
    ) -> Result<Call, Failure> {
        let version = self.version(region).await?;
        let call = self.session.prepare(Service::Compute, region, method, template, path).await?;
        Ok(version.on(call))
    }

    /// Reads JSON from the region's Nova, made in the version that was asked.
    pub(super) async fn read<T: serde::de::DeserializeOwned>(
        &self,
        region: &Region,
        call: &Call,
    ) -> Result<T, Failure> {
        let version = self.version(region).await?;
        let accept = |answer: &Response| {
            version.check(call, answer)?;
            json(call, answer)
        };
        let result = self.session.read(call, accept).await;
        self.forget_refused_version(region, result.as_ref().err());
        result
    }

    /// 406: the region changed its range; it is asked again before the next call.
    fn forget_refused_version(&self, region: &Region, failure: Option<&Failure>) {
        if failure.is_some_and(|f| f.status == Some(StatusCode::NOT_ACCEPTABLE.as_u16())) {
            self.versions().remove(region);
        }
    }

    pub(super) async fn list(&self, region: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        let mut found: BTreeMap<ServerId, Server> = BTreeMap::new();
        for tags in tags.chunks(TAGS_IN_A_CALL) {
            for server in self.tagged(region, tags).await? {
                found.entry(server.id.clone()).or_insert(server);
            }
        }
        found.retain(|_, s| !matches!(s.status, Status::SoftDeleted | Status::Deleted));
        Ok(found.into_values().collect())
    }

    async fn tagged(&self, region: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        let wanted = tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",");
        let template = "/servers/detail";
        let first = self.call(region, Method::GET, template, &["servers", "detail"]).await?;
        let first = first.query(&[
            ("tags-any", &wanted),
            ("limit", PAGE),
            ("sort_key", "created_at"),
            ("sort_dir", "asc"),
        ]);
        let mut servers = Vec::new();
        for body in self.pages(region, &first).await? {
            servers.extend(checked(&first, body, region, tags)?);
        }
        Ok(servers)
    }

    /// Any limit, filter or order would hide the cells that cannot be reached. Source: Nova
    /// `api/openstack/compute/servers.py`, `_is_cell_down_supported`.
    pub(super) async fn audit(&self, region: &Region) -> Result<Audit, Failure> {
        let template = "/servers/detail";
        let call = self.call(region, Method::GET, template, &["servers", "detail"]).await?;
        let mut audit = Audit::default();
        for body in self.pages(region, &call).await? {
            if body.is_stub() {
                audit.unreachable.extend(ServerId::new(body.id).ok());
            } else {
                let server = body.read(region).map_err(|why| nonsense(&call, &why))?;
                audit.servers.push(server);
            }
        }
        Ok(audit)
    }

    /// All pages that begin with this call, or an error.
    async fn pages(&self, region: &Region, first: &Call) -> Result<Vec<ServerBody>, Failure> {
        match self.follow(region, first).await {
            // The marker's server was deleted meanwhile: once more from the start.
            Err(failure) if marker_gone(&failure) => self.follow(region, first).await,
            other => other,
        }
    }

    async fn follow(&self, region: &Region, first: &Call) -> Result<Vec<ServerBody>, Failure> {
        let mut servers = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES_MOST {
            let call = match &marker {
                Some(marker) => first.clone().query(&[("marker", marker)]),
                None => first.clone(),
            };
            let page: ServersPage = self.read(region, &call).await?;
            let last = page.servers.last().map(|server| server.id.clone());
            servers.extend(page.servers);
            // A full page always has a next one, which may be empty.
            if last.is_none() || !wire::has_next(&page.servers_links) {
                return Ok(servers);
            }
            if last == marker {
                return Err(circles(&call));
            }
            marker = last;
        }
        Err(circles(first))
    }

    pub(super) async fn get(
        &self,
        region: &Region,
        id: &ServerId,
    ) -> Result<Option<Server>, Failure> {
        let path = ["servers", id.as_str()];
        let call = self.call(region, Method::GET, "/servers/{id}", &path).await?;
        let body = match self.read::<OneServer>(region, &call).await {
            Ok(one) => one.server,
            Err(failure) if gone(&failure, id) => return Ok(None),
            Err(failure) => return Err(no_proof(failure)),
        };
        if body.is_stub() {
            let message = format!(
                "{call}: Nova knows that server {id} exists and cannot say more: the cell it is \
                 in is not reachable"
            );
            return Err(Failure::new(FailureKind::Unclear, message));
        }
        let server = body.read(region);
        let server = server.map_err(|why| nonsense(&call, &why))?;
        if server.id != *id {
            return Err(nonsense(&call, &format!("asked for {id}, it shows {}", server.id)));
        }
        Ok(Some(server))
    }

    pub(super) async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        let version = self.version(&request.region).await?;
        let body = body(request, version)?;
        let call = self.call(&request.region, Method::POST, "/servers", &["servers"]).await?;
        let mut call = call.owner(&request.group, request.placement()).json(&body);
        call = call.change(request.not_after, &request.leave);
        if let Some(user_data) = body["server"]["user_data"].as_str() {
            call = call.hiding(user_data);
        }
        call.servers = Some(request.n);
        let answer = self.session.call(&call).await;
        self.forget_refused_version(&request.region, answer.as_ref().err());
        let answer = answer?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(unreadable(&call, &answer, "Nova accepts a create with 202"));
        }
        // The 202 counts; a body that cannot be read only lacks the first server's id.
        let first = json::<Created>(&call, &answer).ok();
        Ok(first.and_then(|created| ServerId::new(created.server.id).ok()))
    }

    pub(super) async fn delete(
        &self,
        region: &Region,
        permit: &MayDelete,
    ) -> Result<Deleted, Failure> {
        let id = permit.id();
        let path = ["servers", id.as_str()];
        let call = self.call(region, Method::DELETE, "/servers/{id}", &path).await?;
        let call = call.change(permit.not_after(), permit.leave());
        match self.session.call(&call).await {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => Ok(Deleted::Accepted),
            Ok(answer) => Err(unreadable(&call, &answer, "Nova accepts a delete with 204")),
            Err(failure) if gone(&failure, id) => Ok(Deleted::Gone),
            Err(failure) => Err(no_proof(failure)),
        }
    }
}

/// Whether Nova says of this very server that it is not there. A 404 about something else,
/// or without a subject, is one that Nova met on its way to a server that may well exist
/// (nova/api/openstack/__init__.py FaultWrapper shows any stray NotFound so). Source of the
/// texts: nova/exception.py InstanceNotFound; compute/servers.py `delete`.
pub(super) fn gone(failure: &Failure, id: &ServerId) -> bool {
    let words = &failure.message;
    failure.kind == FailureKind::Gone
        && (words.contains(id.as_str()) || words.ends_with(": Instance could not be found."))
}

/// A 404 that is not about the server proves nothing of it.
pub(super) fn no_proof(failure: Failure) -> Failure {
    if failure.kind != FailureKind::Gone {
        return failure;
    }
    Failure { kind: FailureKind::Unclear, ..failure }
        .hint("This 404 does not name the server: it proves nothing.")
}

fn marker_gone(failure: &Failure) -> bool {
    failure.status == Some(400)
        && failure.message.contains("marker [")
        && failure.message.contains("not found")
}

fn nonsense(call: &Call, why: &str) -> Failure {
    Failure::new(FailureKind::Unclear, format!("{call}: the answer cannot be used: {why}"))
}

fn circles(call: &Call) -> Failure {
    nonsense(call, "its pages do not come to an end")
        .hint("The listing is void; nothing is done on a part of it.")
}

/// A listed server that carries one of the asked tags. A stub is nobody's evidence and is
/// left out; a stranger means that the filter was not applied, and voids the listing.
fn checked(
    call: &Call,
    body: ServerBody,
    region: &Region,
    tags: &[Tag],
) -> Result<Option<Server>, Failure> {
    if body.is_stub() {
        return Ok(None);
    }
    let server = body.read(region).map_err(|why| nonsense(call, &why))?;
    if tags.iter().any(|tag| server.has_tag(tag)) {
        return Ok(Some(server));
    }
    let why = format!("server {} carries none of the tags that were asked for", server.id);
    Err(nonsense(call, &why)
        .hint("Nova ignored the tag filter. The listing is void; nothing is done on it."))
}

fn body(request: &Create, version: Microversion) -> Result<Value, Failure> {
    let (template, resolved) = (&request.template, &request.resolved);
    let mut server = json!({
        "name": request.name,
        "flavorRef": resolved.flavor,
        "networks": networks(&resolved.networks),
        "tags": request.tags,
        "metadata": request.metadata,
        "min_count": request.n,
        "max_count": request.n,
    });
    match &template.boot_volume {
        None => server["imageRef"] = json!(resolved.image),
        Some(_) => server["block_device_mapping_v2"] = boot_volume(request, version)?,
    }
    if !resolved.security_groups.is_empty() {
        let named = |group: &String| json!({"name": group});
        server["security_groups"] = resolved.security_groups.iter().map(named).collect();
    }
    if let Some(key_name) = &template.key_name {
        server["key_name"] = json!(key_name);
    }
    if let Some(zone) = &request.zone {
        server["availability_zone"] = json!(zone.as_str());
    }
    if template.config_drive {
        server["config_drive"] = json!(true);
    }
    if let Some(user_data) = user_data(request)? {
        server["user_data"] = json!(user_data);
    }
    let mut body = json!({"server": server});
    if let Some(group) = &resolved.server_group {
        body["os:scheduler_hints"] = json!({"group": group});
    }
    Ok(body)
}

fn networks(networks: &ResolvedNetworks) -> Value {
    match networks {
        ResolvedNetworks::Auto => json!("auto"),
        ResolvedNetworks::None => json!("none"),
        ResolvedNetworks::Ids(ids) => ids.iter().map(|id| json!({"uuid": id})).collect(),
    }
}

fn boot_volume(request: &Create, version: Microversion) -> Result<Value, Failure> {
    let Some(volume) = &request.template.boot_volume else { return Ok(json!([])) };
    let mut device = json!({
        "boot_index": 0,
        "uuid": request.resolved.image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": volume.size_gib,
        "delete_on_termination": volume.delete_on_termination,
    });
    if let Some(kind) = &volume.volume_type {
        if version < VOLUME_TYPE {
            let message = format!(
                "region {} speaks Nova's microversion {version}; a volume type at boot needs \
                 {VOLUME_TYPE}",
                request.region
            );
            let key = group_key(&request.group, "boot_volume");
            return Err(Failure::new(FailureKind::Refused, message).key(key));
        }
        device["volume_type"] = json!(kind);
    }
    Ok(json!([device]))
}

fn user_data(request: &Create) -> Result<Option<String>, Failure> {
    let Some(plain) = request.user_data() else { return Ok(None) };
    let encoded = STANDARD.encode(&*plain.0);
    if encoded.len() > USER_DATA_MOST {
        let message = format!(
            "user data of {} bytes are {} after base64; Nova takes {USER_DATA_MOST}",
            plain.0.len(),
            encoded.len()
        );
        let key = group_key(&request.group, "user_data");
        return Err(Failure::new(FailureKind::Refused, message)
            .hint("Let the server fetch what is large.")
            .key(key));
    }
    Ok(Some(encoded))
}
