//! Limits and quota (Nova `views/limits.py`, `quota_sets.py`).
//!
//! In one thing this cloud is more generous than a real one: whoever may see the quota may set it,
//! since there is no administrator to ask.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::http::{Ask, Version, json};
use super::super::model::quota::{Quota, Usage};
use super::super::model::refusal::Refusal;
use super::super::world::World;
use super::schema::{self, Object};
use crate::config::rehearsal::Fault;

/// Limits that went with nova-network (2.36) and with injected files (2.57); they are shown and
/// mean nothing.
const UNTIL_36: [(&str, i64); 4] = [
    ("floating_ips", -1),
    ("fixed_ips", -1),
    ("security_groups", -1),
    ("security_group_rules", -1),
];
const UNTIL_57: [(&str, i64); 3] = [
    ("injected_files", 5),
    ("injected_file_content_bytes", 10_240),
    ("injected_file_path_bytes", 255),
];

pub(super) fn limits(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let (quota, used, groups) = read(world);
    let mut absolute = json!({
        "maxTotalInstances": quota.instances,
        "maxTotalCores": quota.cores,
        "maxTotalRAMSize": quota.ram_mb,
        "maxTotalKeypairs": quota.key_pairs,
        "maxServerMeta": quota.metadata_items,
        "maxServerGroups": quota.server_groups,
        "maxServerGroupMembers": quota.server_group_members,
        "totalInstancesUsed": used.instances,
        "totalCoresUsed": used.cores,
        "totalRAMUsed": used.ram_mb,
        "totalServerGroupsUsed": groups,
    });
    let until = [
        (36, "maxTotalFloatingIps", -1),
        (36, "maxSecurityGroups", -1),
        (36, "maxSecurityGroupRules", -1),
        (36, "totalFloatingIpsUsed", 0),
        (36, "totalSecurityGroupsUsed", 0),
        (39, "maxImageMeta", quota.metadata_items),
        (57, "maxPersonality", 5),
        (57, "maxPersonalitySize", 10_240),
    ];
    for (_, name, value) in until.into_iter().filter(|(minor, ..)| !ask.version.has(*minor)) {
        absolute[name] = json!(value);
    }
    Ok(json(200, &json!({ "limits": { "rate": [], "absolute": absolute } })))
}

pub(super) fn show(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let (quota, ..) = read(world);
    Ok(json(200, &json!({ "quota_set": with_id(ask, limits_of(&quota, ask.version)) })))
}

pub(super) fn defaults(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let quota = limits_of(&world.config.rules.quota, ask.version);
    Ok(json(200, &json!({ "quota_set": with_id(ask, quota) })))
}

pub(super) fn detail(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let (quota, used, groups) = read(world);
    let detail = |(name, limit): (String, Value)| {
        let in_use = in_use(&name, used, groups);
        (name, json!({ "limit": limit, "in_use": in_use, "reserved": 0 }))
    };
    let set: Object = limits_of(&quota, ask.version).into_iter().map(detail).collect();
    Ok(json(200, &json!({ "quota_set": with_id(ask, set) })))
}

pub(super) fn update(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let wanted = schema::body(&request, "quota_set")?;
    let quota = ask.change(world, |model, turn| {
        let mut quota = model.quota(turn.rules).clone();
        let groups = i64::try_from(model.groups().len()).unwrap_or(i64::MAX);
        apply(wanted, &mut quota, model.usage(), groups, ask.version)?;
        model.set_quota(quota.clone());
        Ok(quota)
    })?;
    Ok(json(200, &json!({ "quota_set": limits_of(&quota, ask.version) })))
}

fn apply(
    wanted: &Object,
    quota: &mut Quota,
    used: Usage,
    groups: i64,
    version: Version,
) -> Result<(), Refusal> {
    let mut allowed: Vec<&str> = quota.by_name().map(|(name, _)| name).to_vec();
    allowed.extend(meaningless(version).map(|(name, _)| name));
    allowed.extend(["force", "tenant_id"]);
    schema::only(wanted, "quota_set", &allowed)?;
    let force = wanted
        .get("force")
        .map(|value| schema::boolean(value, "force"))
        .transpose()?
        .unwrap_or(false);
    for (name, value) in wanted {
        let Some(limit) = quota.limit_mut(name) else { continue };
        *limit = new_limit(name, value, if force { 0 } else { in_use(name, used, groups) })?;
    }
    Ok(())
}

fn new_limit(name: &str, value: &Value, used: i64) -> Result<i64, Refusal> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    let limit = number
        .filter(|limit| -1 <= *limit)
        .ok_or_else(|| schema::wrong_type(name, value, "integer"))?;
    if limit != -1 && limit < used {
        return Err(Refusal::Invalid(format!(
            "Quota limit {limit} for {name} must be greater than or equal to already used and \
             reserved {used}."
        )));
    }
    Ok(limit)
}

fn limits_of(quota: &Quota, version: Version) -> Object {
    quota
        .by_name()
        .into_iter()
        .chain(meaningless(version))
        .map(|(name, limit)| (name.to_owned(), json!(limit)))
        .collect()
}

fn meaningless(version: Version) -> impl Iterator<Item = (&'static str, i64)> {
    let network = UNTIL_36.into_iter().filter(move |_| !version.has(36));
    network.chain(UNTIL_57.into_iter().filter(move |_| !version.has(57)))
}

fn in_use(name: &str, used: Usage, groups: i64) -> i64 {
    match name {
        "instances" => used.instances,
        "cores" => used.cores,
        "ram" => used.ram_mb,
        "server_groups" => groups,
        _ => 0,
    }
}

fn with_id(ask: &Ask, mut set: Map<String, Value>) -> Value {
    set.insert("id".to_owned(), json!(ask.part("project")));
    Value::Object(set)
}

fn read(world: &World) -> (Quota, Usage, i64) {
    let small = world.faults(|faults, _| faults.amount(Fault::SmallQuota));
    world.look(|model| {
        let groups = i64::try_from(model.groups().len()).unwrap_or(i64::MAX);
        (model.quota(&world.config.rules).at_most(small), model.usage(), groups)
    })
}
