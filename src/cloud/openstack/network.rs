//! Neutron: networks and security groups by name or id. Names are not unique: own and shared
//! ones may share one, and what is ambiguous is never guessed. Source: neutron-lib
//! api/definitions/network.py, security_groups_*.py; repeated query parameters mean "or".

use reqwest::Method;

use super::call::Service;
use super::session::Session;
use super::wire::{Named, Networks, SecurityGroups};
use crate::domain::id::Region;
use crate::domain::outcome::Failure;

/// Networks that carry one of these names or ids.
pub(super) async fn networks(
    session: &Session,
    region: &Region,
    wanted: &[&str],
) -> Result<Vec<Named>, Failure> {
    let (ids, names): (Vec<&str>, Vec<&str>) = wanted.iter().partition(|text| like_id(text));
    let mut found = Vec::new();
    if !names.is_empty() {
        found.extend(list_networks(session, region, "name", &names).await?);
    }
    if !ids.is_empty() {
        match list_networks(session, region, "id", &ids).await {
            // Nova checks them itself, with its own right to look.
            Err(failure) if failure.status == Some(403) => {
                tracing::debug!(%failure, "networks go unverified");
                found.extend(ids.iter().map(|id| Named { id: (*id).to_owned(), name: None }));
            }
            other => found.extend(other?),
        }
    }
    Ok(found)
}

/// The names of all networks that the project sees.
pub(super) async fn network_names(
    session: &Session,
    region: &Region,
) -> Result<Vec<String>, Failure> {
    let all = list_networks(session, region, "", &[]).await?;
    Ok(all.into_iter().filter_map(|network| network.name).collect())
}

async fn list_networks(
    session: &Session,
    region: &Region,
    key: &str,
    values: &[&str],
) -> Result<Vec<Named>, Failure> {
    let call =
        session.prepare(Service::Network, region, Method::GET, "/networks", &["networks"]).await?;
    let mut query: Vec<(&str, &str)> = values.iter().map(|value| (key, *value)).collect();
    query.extend([("fields", "id"), ("fields", "name")]);
    Ok(session.read_json::<Networks>(&call.query(&query)).await?.networks)
}

/// The project's security groups; with a name or id, those that carry it. Nova looks only
/// among the project's own, and an administrator would see everybody's.
pub(super) async fn security_groups(
    session: &Session,
    region: &Region,
    wanted: Option<&str>,
) -> Result<Vec<Named>, Failure> {
    let project = session.project().await?;
    let template = "/security-groups";
    let path = ["security-groups"];
    let call = session.prepare(Service::Network, region, Method::GET, template, &path).await?;
    let key = if wanted.is_some_and(like_id) { "id" } else { "name" };
    let mut query: Vec<(&str, &str)> = wanted.map(|value| (key, value)).into_iter().collect();
    if key == "name" {
        query.push(("project_id", &project));
    }
    query.extend([("fields", "id"), ("fields", "name")]);
    Ok(session.read_json::<SecurityGroups>(&call.query(&query)).await?.security_groups)
}

/// Whether a text looks like one of Neutron's ids: a UUID, with dashes or without.
pub(super) fn like_id(text: &str) -> bool {
    let digits = text.bytes().filter(|b| b.is_ascii_hexdigit()).count();
    let dashes = text.bytes().filter(|b| *b == b'-').count();
    digits == 32 && (dashes == 0 || dashes == 4) && text.len() == digits + dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(like_id("33333333-3333-4333-8333-333333333333"));
        assert!(like_id("0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f01"));
        for name in ["Ext-Net", "3333", "33333333-3333-4333-8333-33333333333g"] {
            assert!(!like_id(name), "{name}");
        }
    }
}
