//! What to boot from: `block_device_mapping_v2` (Nova `schemas/servers.py`, `block_device.py`).
//!
//! There is no Cinder here. A boot volume made from an image, or a blank one, comes with the server
//! and goes with it; existing volumes and snapshots are unknown.

use serde_json::Value;

use super::super::http::Version;
use super::super::model::launch::BootVolume;
use super::super::model::refusal::Refusal;
use super::schema::{self, Object};

const FIELDS: [&str; 14] = [
    "boot_index",
    "delete_on_termination",
    "destination_type",
    "device_name",
    "device_type",
    "disk_bus",
    "guest_format",
    "image_id",
    "no_device",
    "snapshot_id",
    "source_type",
    "uuid",
    "volume_id",
    "volume_size",
];

/// What the mapping says of the boot disk.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Boot {
    Volume(BootVolume),
    /// The image itself, on the host's disk.
    Image(String),
}

/// The boot disk of the mapping; other disks are checked for form only.
///
/// # Errors
/// [`Refusal::Invalid`] in Nova's words.
pub(super) fn boot(value: &Value, version: Version) -> Result<Option<Boot>, Refusal> {
    let at = "block_device_mapping_v2";
    let items = value.as_array().ok_or_else(|| schema::wrong_type(at, value, "array"))?;
    let mut boot = None;
    for (index, item) in items.iter().enumerate() {
        let item = schema::object(item, &index.to_string())?;
        check_fields(item, &index.to_string(), version)?;
        let device = device(item)?;
        if is_first(item) {
            boot = device;
        }
    }
    Ok(boot)
}

fn check_fields(item: &Object, at: &str, version: Version) -> Result<(), Refusal> {
    let mut allowed = FIELDS.to_vec();
    // `tag` came in 2.32, was lost by mistake, and came back in 2.42.
    if version.0 == 32 || version.has(42) {
        allowed.push("tag");
    }
    if version.has(67) {
        allowed.push("volume_type");
    }
    schema::only(item, at, &allowed)
}

fn is_first(item: &Object) -> bool {
    matches!(item.get("boot_index"), Some(index) if *index == 0 || *index == "0")
}

fn device(item: &Object) -> Result<Option<Boot>, Refusal> {
    let word = |name: &str| item.get(name).and_then(Value::as_str);
    let uuid = word("uuid").or(word("image_id")).map(str::to_owned);
    let keep = item
        .get("delete_on_termination")
        .map(|value| schema::boolean(value, "delete_on_termination"));
    let delete_on_termination = keep.transpose()?.unwrap_or(false);
    let volume = |image| Ok(Some(Boot::Volume(BootVolume { image, delete_on_termination })));
    let local = word("destination_type") != Some("volume");
    match (word("source_type"), uuid) {
        (Some("image"), Some(image)) if local => Ok(Some(Boot::Image(image))),
        (Some("image" | "blank"), _) if !local && !has_size(item) => Err(mapping(
            "Images with destination_type 'volume' need to have a non-zero size specified",
        )),
        (Some("image"), Some(image)) => volume(Some(image)),
        (Some("image"), None) => Err(mapping("Missing device UUID.")),
        (Some("blank"), _) if local => Ok(None),
        (Some("blank"), _) => volume(None),
        (Some(source @ ("volume" | "snapshot")), Some(id)) => {
            Err(mapping(&format!("failed to get {source} {id}.")))
        }
        (Some(_) | None, _) => Err(mapping("Invalid source_type field.")),
    }
}

fn has_size(item: &Object) -> bool {
    match item.get("volume_size") {
        Some(Value::Number(size)) => size.as_u64().is_some_and(|size| 0 < size),
        Some(Value::String(size)) => size.parse::<u64>().is_ok_and(|size| 0 < size),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

fn mapping(why: &str) -> Refusal {
    Refusal::Invalid(format!("Block Device Mapping is Invalid: {why}"))
}
