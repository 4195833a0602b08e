//! Which servers a listing keeps.

use super::super::http::{Ask, Query, Version};
use super::super::model::Millis;
use super::super::model::refusal::Refusal;
use super::super::model::server::{Server, Task, VmState};
use super::pattern::Pattern;
use super::schema;

/// Parameters of the first version (`index_query` in Nova's `schemas/servers.py`). What is not read
/// below is for administrators, and dropped for others in every version.
const KNOWN: [&str; 44] = [
    "user_id",
    "project_id",
    "tenant_id",
    "launch_index",
    "image_ref",
    "image",
    "kernel_id",
    "ramdisk_id",
    "hostname",
    "key_name",
    "power_state",
    "vm_state",
    "task_state",
    "host",
    "node",
    "flavor",
    "reservation_id",
    "launched_at",
    "terminated_at",
    "availability_zone",
    "name",
    "display_name",
    "description",
    "display_description",
    "locked_by",
    "uuid",
    "root_device_name",
    "config_drive",
    "access_ip_v4",
    "access_ip_v6",
    "auto_disk_config",
    "progress",
    "sort_key",
    "sort_dir",
    "all_tenants",
    "soft_deleted",
    "deleted",
    "status",
    "changes-since",
    "ip",
    "ip6",
    "created_at",
    "limit",
    "marker",
];

/// Parameters that came later.
const SINCE: [(u32, &str); 6] = [
    (26, "tags"),
    (26, "tags-any"),
    (26, "not-tags"),
    (26, "not-tags-any"),
    (66, "changes-before"),
    (73, "locked"),
];

/// One condition; a listing keeps what meets all.
enum Filter {
    Tags { any: bool, not: bool, tags: Vec<String> },
    Name(Pattern),
    Status(Vec<VmState>, Option<Vec<Task>>),
    Reservation(String),
    Image(String),
    Flavor(String),
    Address(Pattern),
    Locked(bool),
    ChangedSince(Millis),
    ChangedBefore(Millis),
    Zone(String),
    Key(String),
    Vm(String),
    Task(String),
    Hostname(Pattern),
}

/// Makes a condition of a parameter's text.
type Make = fn(String) -> Filter;

/// The conditions of a request.
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    /// # Errors
    /// [`Refusal::Invalid`] for what Nova refuses in this version, [`Refusal::Denied`] for what is
    /// not for everybody.
    pub(super) fn read(ask: &Ask, listing: &str) -> Result<Filters, Refusal> {
        check_names(&ask.query, ask.version)?;
        check_tenants(&ask.query, listing)?;
        let mut filters: Vec<Filter> = tag_filters(ask)?;
        filters.extend(status_filter(ask)?);
        filters.extend(plain_filters(ask)?);
        filters.extend(late_filters(ask)?);
        Ok(Filters(filters))
    }

    pub(super) fn keep(&self, server: &Server) -> bool {
        self.0.iter().all(|filter| filter.keeps(server))
    }
}

impl Filter {
    fn keeps(&self, server: &Server) -> bool {
        match self {
            Filter::Tags { any, not, tags } => {
                // Nova's database compares them without regard to case (MySQL's collation).
                let has = |tag: &String| server.tags.iter().any(|it| it.eq_ignore_ascii_case(tag));
                let mut carried = tags.iter().map(has);
                let holds = if *any { carried.any(|yes| yes) } else { carried.all(|yes| yes) };
                holds != *not
            }
            Filter::Name(pattern) => pattern.is_found(&server.name),
            Filter::Status(vms, tasks) => {
                let task = || {
                    server.task.is_some_and(|task| tasks.iter().flatten().any(|one| *one == task))
                };
                vms.contains(&server.vm) && (tasks.is_none() || task())
            }
            Filter::Reservation(id) => server.reservation_id == *id,
            Filter::Image(id) => server.image.as_ref() == Some(id),
            Filter::Flavor(id) => server.flavor.id == *id,
            Filter::Address(pattern) => {
                server.nics.iter().any(|nic| pattern.is_found(&nic.address))
            }
            Filter::Locked(locked) => server.lock.is_some() == *locked,
            Filter::ChangedSince(at) => *at <= server.updated,
            Filter::ChangedBefore(at) => server.updated <= *at,
            Filter::Zone(zone) => server.zone.as_ref() == Some(zone),
            Filter::Key(key) => server.key_name.as_ref() == Some(key),
            Filter::Vm(word) => server.vm.word() == word,
            Filter::Task(word) => server.task.is_some_and(|task| task.word() == word),
            Filter::Hostname(pattern) => pattern.is_found(&server.hostname),
        }
    }
}

fn check_names(query: &Query, version: Version) -> Result<(), Refusal> {
    let later = SINCE.iter().filter(|(minor, _)| version.has(*minor)).map(|(_, name)| *name);
    let known: Vec<&str> = KNOWN.into_iter().chain(later).collect();
    let strange = query.0.iter().find(|(name, _)| !known.contains(&name.as_str()));
    match strange {
        Some((name, _)) if name.starts_with('_') => {
            Err(Refusal::Invalid(format!("Invalid filter field: {name}.")))
        }
        Some((name, _)) if version.has(75) => Err(Refusal::Invalid(format!(
            "Additional properties are not allowed ('{name}' was unexpected)"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Everybody's servers are for administrators; an empty value means yes.
fn check_tenants(query: &Query, listing: &str) -> Result<(), Refusal> {
    let Some(value) = query.last("all_tenants") else { return Ok(()) };
    if !value.is_empty() && !schema::boolean(&value.into(), "all_tenants")? {
        return Ok(());
    }
    let policy = format!("os_compute_api:servers:{listing}:get_all_tenants");
    Err(Refusal::Denied(format!("Policy doesn't allow {policy} to be performed.")))
}

fn tag_filters(ask: &Ask) -> Result<Vec<Filter>, Refusal> {
    let kinds = [
        ("tags", false, false),
        ("tags-any", true, false),
        ("not-tags", false, true),
        ("not-tags-any", true, true),
    ];
    let mut filters = Vec::new();
    for (name, any, not) in kinds {
        if let Some(value) = ask.query.last(name).filter(|_| ask.version.has(26)) {
            schema::regex_filter(value, name)?;
            filters.push(Filter::Tags {
                any,
                not,
                tags: value.split(',').map(str::to_owned).collect(),
            });
        }
    }
    Ok(filters)
}

fn plain_filters(ask: &Ask) -> Result<Vec<Filter>, Refusal> {
    let kinds: [(&str, Make); 3] = [
        ("reservation_id", Filter::Reservation),
        ("image", Filter::Image),
        ("flavor", Filter::Flavor),
    ];
    let mut filters = Vec::new();
    if let Some(value) = ask.query.last("name") {
        filters.push(Filter::Name(Pattern::read(value, "name")?));
    }
    if let Some(value) = ask.query.last("ip") {
        filters.push(Filter::Address(Pattern::read(value, "ip")?));
    }
    for (name, filter) in kinds {
        if let Some(value) = ask.query.last(name) {
            schema::regex_filter(value, name)?;
            filters.push(filter(value.to_owned()));
        }
    }
    if let Some(value) = ask.query.last("changes-since") {
        filters.push(Filter::ChangedSince(instant(value, "changes-since")?));
    }
    Ok(filters)
}

fn late_filters(ask: &Ask) -> Result<Vec<Filter>, Refusal> {
    let given = |minor: u32, name: &str| ask.query.last(name).filter(|_| ask.version.has(minor));
    let mut filters = Vec::new();
    if let Some(value) = given(66, "changes-before") {
        filters.push(Filter::ChangedBefore(instant(value, "changes-before")?));
    }
    if let Some(value) = given(73, "locked") {
        filters.push(Filter::Locked(schema::boolean(&value.into(), "locked")?));
    }
    if let Some(value) = given(90, "hostname") {
        filters.push(Filter::Hostname(Pattern::read(value, "hostname")?));
    }
    let kinds: [(u32, &str, Make); 4] = [
        (83, "availability_zone", Filter::Zone),
        (83, "key_name", Filter::Key),
        (83, "vm_state", Filter::Vm),
        (83, "task_state", Filter::Task),
    ];
    for (minor, name, filter) in kinds {
        filters.extend(given(minor, name).map(|value| filter(value.to_owned())));
    }
    Ok(filters)
}

fn instant(value: &str, name: &str) -> Result<Millis, Refusal> {
    let parsed = value.parse::<jiff::Timestamp>().or_else(|_| format!("{value}Z").parse());
    parsed
        .map(|at| at.as_millisecond())
        .map_err(|_| Refusal::Invalid(format!("Invalid filter field: {name}.")))
}

/// The states behind the words (Nova `api/openstack/common.py`). A word of a task, as REBOOT, asks
/// for the task; the others keep the machine's state whatever is being done to it.
fn status_filter(ask: &Ask) -> Result<Option<Filter>, Refusal> {
    let words: Vec<String> = ask.query.all("status").map(str::to_uppercase).collect();
    if words.is_empty() {
        return Ok(None);
    }
    if words.iter().all(|word| word == "DELETED") {
        return Err(Refusal::Denied("Only administrators may list deleted instances".to_owned()));
    }
    let known: Vec<(Vec<VmState>, Vec<Task>)> =
        words.iter().filter_map(|word| states(word)).collect();
    if known.is_empty() && !is_word(&words) && ask.version.has(38) {
        return Err(Refusal::Invalid("Invalid status value".to_owned()));
    }
    let any_task = known.iter().any(|(_, tasks)| tasks.is_empty());
    let tasks: Vec<Task> = known.iter().flat_map(|(_, tasks)| tasks.clone()).collect();
    let vms = known.into_iter().flat_map(|(vms, _)| vms).collect();
    Ok(Some(Filter::Status(vms, (!any_task).then_some(tasks))))
}

fn states(word: &str) -> Option<(Vec<VmState>, Vec<Task>)> {
    match word {
        "ACTIVE" => Some((vec![VmState::Active], Vec::new())),
        "BUILD" => Some((vec![VmState::Building], Vec::new())),
        "SHUTOFF" => Some((vec![VmState::Stopped], Vec::new())),
        "ERROR" => Some((vec![VmState::Error], Vec::new())),
        "SOFT_DELETED" => Some((vec![VmState::SoftDeleted], Vec::new())),
        "REBOOT" => Some((vec![VmState::Active], vec![Task::Rebooting])),
        "HARD_REBOOT" => Some((vec![VmState::Active], vec![Task::RebootingHard])),
        "REBUILD" => {
            Some((vec![VmState::Active, VmState::Stopped, VmState::Error], vec![Task::Rebuilding]))
        }
        _ => None,
    }
}

/// Words of states that no server here is ever in: legal, and nothing matches.
fn is_word(words: &[String]) -> bool {
    const OTHERS: [&str; 11] = [
        "MIGRATING",
        "PASSWORD",
        "PAUSED",
        "RESCUE",
        "RESIZE",
        "REVERT_RESIZE",
        "SHELVED",
        "SHELVED_OFFLOADED",
        "SUSPENDED",
        "UNKNOWN",
        "VERIFY_RESIZE",
    ];
    words.iter().any(|word| OTHERS.contains(&word.as_str()))
}
