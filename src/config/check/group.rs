//! Groups: bounds, policies and limits, and that no two claim the same servers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::digest;
use super::super::fault::{Sink, Spot};
use super::super::file::{GroupText, LaunchText, PatienceText};
use super::super::read::{At, NamedEntry};
use super::range::{self, DAY, HOUR, SECOND};
use super::{Around, behaviour, policy, schedule, template};
use crate::domain::count::{Bounds, MOST};
use crate::domain::group::{Backoff, Group, LaunchLimits, Patience};
use crate::domain::id::{GroupName, LAUNCH_TAG_PREFIX, Region, Tag, TemplateHash};

/// What groups take from the rest of the file.
pub(super) struct Setting<'a> {
    pub(super) around: Around<'a>,
    /// The cloud's region, for groups that name none.
    pub(super) region: Option<Region>,
    pub(super) call_timeout: Duration,
}

/// Nova schedules a call all or nothing; larger ones only fail as a whole more often.
const BATCH_MOST: u32 = 200;

/// Which settings name a region that groups are in.
pub(super) fn region_keys(
    entries: &[NamedEntry<GroupText>],
    default: Option<&Region>,
) -> BTreeMap<Region, Vec<String>> {
    let mut keys: BTreeMap<Region, Vec<String>> = BTreeMap::new();
    for NamedEntry { entry: text, .. } in entries {
        let (region, key) = match (&text.region, default) {
            (Some(at), _) => (Region::new(at.value.as_str()).ok(), at.spot.key.as_str()),
            (None, default) => (default.cloned(), "cloud.region"),
        };
        let Some(region) = region else { continue };
        let known = keys.entry(region).or_default();
        if !known.iter().any(|known| known == key) {
            known.push(key.to_owned());
        }
    }
    keys
}

/// All groups that could be understood, in the order of their names.
pub(super) fn check(
    entries: &[NamedEntry<GroupText>],
    setting: &Setting<'_>,
    sink: &mut Sink,
) -> Vec<Group> {
    let mut groups: Vec<(Group, Spot)> = Vec::new();
    for entry in entries {
        let Some((group, tag_spot)) = check_one(entry, setting, sink) else { continue };
        if let Some((other, _)) = groups.iter().find(|(g, _)| g.tag.same(group.tag.as_str())) {
            let (name, other) = (&group.name, &other.name);
            let reason =
                format!("groups `{other}` and `{name}` have the same tag \"{}\"", group.tag);
            let hint =
                "a tag says whose servers they are: give each group its own (case does not count)";
            sink.fault(&tag_spot, reason).hint(hint);
        }
        groups.push((group, tag_spot));
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn check_one(
    entry: &NamedEntry<GroupText>,
    setting: &Setting<'_>,
    sink: &mut Sink,
) -> Option<(Group, Spot)> {
    let text = &entry.entry;
    let name_spot = Spot { key: text.spot.key.clone(), span: entry.name_span.clone() };
    let name = At { value: entry.name.clone(), spot: name_spot };
    let name = range::id::<GroupName>(&name, sink);
    let tag = tag(text, &entry.name, name.is_some(), sink);
    let region = region(text, setting.region.as_ref(), sink);
    let bounds = bounds(text, sink);
    let template = template::check(text, &entry.name, setting.around, sink);
    judge_server_group(text, bounds, sink);
    let behaviour = behaviour::check(text, sink);
    let policies = policy::check(text, (bounds, &behaviour), sink);
    let schedules = schedule::check(text, bounds, sink);
    let patience = patience(text.patience.as_deref(), setting.call_timeout, sink);
    let launch = launch(text.launch.as_ref(), sink);
    let (name, tag, region, template) = (name?, tag?, region?, template?);
    let config_hash = TemplateHash::from_bits(0);
    let mut group = Group {
        name,
        tag,
        region,
        bounds,
        template,
        policies,
        schedules,
        behaviour,
        patience,
        launch,
        config_hash,
    };
    group.config_hash = digest::group(&group);
    let tag_spot = text.tag.as_ref().map_or(&text.spot, |at| &at.spot);
    Some((group, tag_spot.clone()))
}

fn tag(text: &At<GroupText>, name: &str, named: bool, sink: &mut Sink) -> Option<Tag> {
    let Some(at) = &text.tag else {
        // Every valid name makes a valid tag.
        let name = GroupName::new(name).ok().filter(|_| named)?;
        return Tag::of_group(&name).ok();
    };
    let tag = range::id::<Tag>(at, sink)?;
    if tag.as_str().to_ascii_lowercase().starts_with(LAUNCH_TAG_PREFIX) {
        let reason = format!("`{}` looks like a launch's tag", at.spot.key);
        sink.fault(&at.spot, reason).hint(format!("`{LAUNCH_TAG_PREFIX}…` marks single launches"));
        return None;
    }
    Some(tag)
}

fn region(text: &At<GroupText>, default: Option<&Region>, sink: &mut Sink) -> Option<Region> {
    match (&text.region, default) {
        (Some(at), _) => range::id::<Region>(at, sink),
        (None, Some(region)) => Some(region.clone()),
        (None, None) => {
            let fault = sink.missing(&text.spot, "region");
            fault.hint("set region here, or for all groups in [cloud]");
            None
        }
    }
}

fn bounds(text: &At<GroupText>, sink: &mut Sink) -> Bounds {
    for (key, at) in [("min", &text.min), ("max", &text.max)] {
        if at.is_none() {
            sink.missing(&text.spot, key).hint(format!("write {key} = a number of servers"));
        }
    }
    let before = text.min.as_ref().zip(text.max.as_ref());
    let min = range::number(text.min.as_ref(), 0, 0..=MOST, sink);
    let max = range::number(text.max.as_ref(), MOST, 0..=MOST, sink);
    if let Some((_, at)) = before
        && min > max
    {
        let key = &text.spot.key;
        let reason = format!("`{key}.max` is {max}, below `{key}.min`, which is {min}");
        sink.fault(&at.spot, reason).hint("raise max, or lower min");
    }
    Bounds::new(min, max)
}

/// Nova's default for `quota.server_group_members`. Source: nova `nova/conf/quota.py`.
const SERVER_GROUP_MOST: u32 = 10;

fn judge_server_group(text: &At<GroupText>, bounds: Bounds, sink: &mut Sink) {
    let Some(at) = &text.anti_affinity else { return };
    if bounds.max > SERVER_GROUP_MOST {
        let reason = format!(
            "`{}` puts all servers into one server group: Nova's default allows {SERVER_GROUP_MOST} \
             there, and `{}.max` is {}",
            at.spot.key, text.spot.key, bounds.max
        );
        sink.warn(&at.spot, reason).hint(
            "ask the cloud for a higher quota of server group members, or make several groups",
        );
    }
}

fn patience(text: Option<&PatienceText>, call_timeout: Duration, sink: &mut Sink) -> Patience {
    let Patience { build, delete, settle } = Patience::default();
    let field = |get: fn(&PatienceText) -> Option<&At<Duration>>| text.and_then(get);
    let build = range::span(field(|t| t.build.as_ref()), build, SECOND..=DAY, sink);
    let delete = range::span(field(|t| t.delete.as_ref()), delete, SECOND..=DAY, sink);
    let at = field(|t| t.settle.as_ref());
    let before = at.is_some_and(|at| at.value <= DAY);
    let settle = range::span(at, settle, SECOND..=DAY, sink);
    if let Some(at) = at
        && before
        && settle <= 2 * call_timeout
    {
        let key = &at.spot.key;
        let reason = format!("`{key}` must be more than twice `cloud.limits.call_timeout`");
        let hint = "a create that is still under way must never be given up";
        sink.fault(&at.spot, reason).hint(hint);
    }
    Patience { build, delete, settle }
}

fn launch(text: Option<&At<LaunchText>>, sink: &mut Sink) -> LaunchLimits {
    let default = LaunchLimits::default();
    let Some(text) = text else { return default };
    let Backoff { first, most } = default.backoff;
    let batch = range::number(text.batch.as_ref(), default.batch, 1..=BATCH_MOST, sink);
    let first = range::span(text.backoff_first.as_ref(), first, SECOND..=HOUR, sink);
    let most = range::span(text.backoff_most.as_ref(), most, SECOND..=DAY, sink);
    if first > most {
        let at = text.backoff_most.as_ref().or(text.backoff_first.as_ref());
        let spot = at.map_or(&text.spot, |at| &at.spot);
        sink.fault(spot, format!("`{}` is below `{1}.backoff_first`", spot.key, text.spot.key));
    }
    LaunchLimits { batch, backoff: Backoff { first, most } }
}
