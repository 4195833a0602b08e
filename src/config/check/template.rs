//! What a group's servers are made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::digest;
use super::super::fault::{Sink, Spot};
use super::super::file::{BootVolumeText, GroupText, ImageTable, ImageText, NetworksText};
use super::super::read::{At, Named};
use super::{Around, at_most_one, range};
use crate::domain::group::{
    AntiAffinity, BootVolume, ImageRef, Networks, Placement, Template, UserData,
};
use crate::domain::id::{TemplateHash, Zone, mark};

/// Nova takes 65535 characters of base64, which carry so many bytes.
/// Source: nova `nova/api/openstack/compute/schemas/servers.py`, `user_data` (`maxLength`).
const USER_DATA_MOST: usize = 65_535 / 4 * 3;
/// Nova's default for `quota.metadata_items`, less those that novascale adds to every server.
/// Source: nova `nova/conf/quota.py`.
const METADATA_MOST: usize = 128 - OURS.len();
const OURS: [&str; 4] = [mark::INSTALL, mark::GROUP, mark::LAUNCH, mark::TEMPLATE];
/// Room for `-xxxxxx-200` below the 63 characters of a host name.
const PREFIX_MOST: usize = 48;
/// More than any volume service offers; above it the number is in another unit.
const VOLUME_MOST_GIB: u32 = 65_536;

pub(super) fn check(
    text: &At<GroupText>,
    group: &str,
    around: Around<'_>,
    sink: &mut Sink,
) -> Option<Template> {
    let flavors = flavors(text, sink);
    let image = image(text, sink);
    let networks = networks(text, sink);
    let security_groups = text.security_groups.as_ref().map(|at| range::names(at, sink));
    let key_name = text.key_pair.as_ref().and_then(|at| range::name(at, sink));
    let zones = zones(text.availability_zones.as_ref(), sink);
    let user_data = user_data(text, around, sink);
    let metadata = text.metadata.as_ref().map(|at| metadata(at, sink)).unwrap_or_default();
    let name_prefix = name_prefix(text.name_prefix.as_ref(), group, sink);
    let boot_volume = text.boot_volume.as_ref().and_then(|at| boot_volume(at, sink));
    let placement = placement(text, sink);
    let mut template = Template {
        flavors: flavors?,
        image: image?,
        networks: networks?,
        security_groups: security_groups.unwrap_or_default(),
        key_name,
        zones,
        user_data,
        metadata,
        name_prefix,
        config_drive: text.config_drive.as_ref().is_some_and(|at| at.value),
        boot_volume,
        placement,
        hash: TemplateHash::from_bits(0),
    };
    template.hash = digest::template(&template);
    Some(template)
}

fn flavors(text: &At<GroupText>, sink: &mut Sink) -> Option<Vec<String>> {
    let Some(at) = &text.flavor else {
        sink.missing(&text.spot, "flavor").hint("name a flavor, as flavor = \"d2-2\"");
        return None;
    };
    if at.0.is_empty() {
        sink.fault(&at.spot, format!("`{}` is empty", at.spot.key)).hint("name a flavor");
    }
    Some(range::names(&at.0, sink))
}

fn image(text: &At<GroupText>, sink: &mut Sink) -> Option<ImageRef> {
    let Some(at) = &text.image else {
        sink.missing(&text.spot, "image").hint("name an image, as image = \"Debian 12\"");
        return None;
    };
    match &at.value {
        ImageText::Name(name) => {
            let at = At { value: name.clone(), spot: at.spot.clone() };
            range::name(&at, sink).map(ImageRef::Name)
        }
        ImageText::Table(table) => image_table(table, &at.spot, sink),
    }
}

fn image_table(table: &ImageTable, spot: &Spot, sink: &mut Sink) -> Option<ImageRef> {
    let given = [&table.id, &table.name, &table.newest];
    at_most_one(&given.map(|at| at.as_ref().map(|at| &at.spot)), sink);
    let image = match table {
        ImageTable { id: Some(at), .. } => ImageRef::Id(range::name(at, sink)?),
        ImageTable { name: Some(at), .. } => ImageRef::Name(range::name(at, sink)?),
        ImageTable { newest: Some(at), .. } => ImageRef::Newest(range::name(at, sink)?),
        ImageTable { .. } => {
            let fault = sink.fault(spot, format!("`{}` says no image", spot.key));
            fault
                .for_want()
                .hint("write { id = \"…\" }, { name = \"…\" } or { newest = \"Debian 12*\" }");
            return None;
        }
    };
    Some(image)
}

fn networks(text: &At<GroupText>, sink: &mut Sink) -> Option<Networks> {
    let hint = "name networks, as networks = [\"Ext-Net\"], or write \"auto\" or \"none\"";
    let Some(at) = &text.networks else {
        sink.missing(&text.spot, "networks").hint(hint);
        return None;
    };
    match &at.value {
        NetworksText::Word(word) if word == "auto" => Some(Networks::Auto),
        NetworksText::Word(word) if word == "none" => Some(Networks::None),
        NetworksText::Word(word) => {
            let fault = sink.fault(&at.spot, format!("`{}` must be a list", at.spot.key));
            fault.hint(format!("write [\"{word}\"], \"auto\" or \"none\""));
            None
        }
        NetworksText::List(list) => {
            if list.is_empty() {
                sink.fault(&at.spot, format!("`{}` is empty", at.spot.key)).hint(hint);
            }
            for item in list.iter().filter(|item| ["auto", "none"].contains(&item.as_str())) {
                let reason = format!("\"{}\" stands alone, not in a list", item.value);
                sink.fault(&item.spot, reason);
            }
            Some(Networks::Named(range::names(list, sink)))
        }
    }
}

fn zones(list: Option<&At<Vec<At<String>>>>, sink: &mut Sink) -> Vec<Zone> {
    let Some(list) = list else { return Vec::new() };
    range::not_empty(list, "leave the key out to let Nova choose", sink);
    range::names(list, sink);
    list.iter().filter_map(|at| range::id::<Zone>(at, sink)).collect()
}

fn user_data(text: &At<GroupText>, around: Around<'_>, sink: &mut Sink) -> Option<UserData> {
    let (inline, file) = (&text.user_data, &text.user_data_file);
    at_most_one(&[inline, file].map(|at| at.as_ref().map(|at| &at.spot)), sink);
    let (at, bytes) = match (inline, file) {
        (Some(at), _) => (at, at.value.clone().into_bytes()),
        (None, Some(at)) => {
            let path = around.env.path(at, around.base);
            let read = std::fs::metadata(&path).and_then(|meta| match meta.len() {
                // It is refused below; there is no need to have it in memory.
                len if len > 1 << 20 => Ok(vec![0; USER_DATA_MOST + 1]),
                _ => std::fs::read(&path),
            });
            match read {
                Ok(bytes) => (at, bytes),
                Err(error) => {
                    let reason = format!("`{}` cannot be read: {error}", at.spot.key);
                    let hint = "a relative path starts at the directory of this file";
                    sink.fault(&at.spot, reason).hint(hint);
                    return None;
                }
            }
        }
        (None, None) => return None,
    };
    if bytes.len() > USER_DATA_MOST {
        let reason = format!(
            "`{}` is longer than {USER_DATA_MOST} bytes, which are 65535 characters of base64",
            at.spot.key
        );
        sink.fault(&at.spot, reason).hint("let it fetch the rest when the server boots");
        return None;
    }
    (!bytes.is_empty()).then(|| UserData(Arc::from(bytes)))
}

fn metadata(entries: &At<Named<String>>, sink: &mut Sink) -> BTreeMap<String, String> {
    let count = entries.0.len();
    if count > METADATA_MOST {
        let key = &entries.spot.key;
        let reason = format!(
            "`{key}` has {count} entries: Nova allows 128, and novascale adds {}",
            OURS.len()
        );
        sink.fault(&entries.spot, reason).hint("remove some");
    }
    let mut metadata = BTreeMap::new();
    for entry in &entries.0 {
        let spot = Spot { key: entry.entry.spot.key.clone(), span: entry.name_span.clone() };
        if entry.name.to_ascii_lowercase().starts_with("novascale:") {
            let reason = format!("the metadata key \"{}\" is novascale's own", entry.name);
            sink.fault(&spot, reason).hint("choose a key that does not begin with `novascale:`");
        } else if !is_metadata_key(&entry.name) {
            let fault = sink.fault(&spot, "Nova does not take this metadata key");
            fault.hint("a key is 1 to 255 of A-Z, a-z, 0-9, '-', '_', ':', '.' and blank");
        } else if entry.entry.chars().count() > 255 {
            let key = &entry.entry.spot.key;
            let reason = format!("`{key}` is longer than the 255 characters that Nova takes");
            sink.fault(&entry.entry.spot, reason);
        }
        metadata.insert(entry.name.clone(), entry.entry.value.clone());
    }
    metadata
}

/// Source: nova `nova/api/validation/parameter_types.py`, `metadata`.
fn is_metadata_key(key: &str) -> bool {
    (1..=255).contains(&key.len())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_:. ".contains(c))
}

fn name_prefix(at: Option<&At<String>>, group: &str, sink: &mut Sink) -> String {
    let Some(at) = at else { return group.to_owned() };
    let fits = (1..=PREFIX_MOST).contains(&at.len())
        && at.starts_with(|c: char| c.is_ascii_alphanumeric())
        && at.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !fits {
        let fault =
            sink.fault(&at.spot, format!("`{}` is not fit for a server's name", at.spot.key));
        fault.hint(format!(
            "it is 1 to {PREFIX_MOST} of A-Z, a-z, 0-9, '-', '_' and '.', beginning with a letter or digit"
        ));
    }
    at.value.clone()
}

fn boot_volume(text: &At<BootVolumeText>, sink: &mut Sink) -> Option<BootVolume> {
    let size = text.size_gib.as_ref();
    if size.is_none() {
        sink.missing(&text.spot, "size_gib").hint("write the volume's size, as size_gib = 20");
    }
    let size_gib = range::number(size, 1, 1..=VOLUME_MOST_GIB, sink);
    let volume_type = text.volume_type.as_ref().and_then(|at| range::name(at, sink));
    let delete_on_termination = text.delete_on_termination.as_ref().is_none_or(|at| at.value);
    if let Some(at) = &text.delete_on_termination
        && !delete_on_termination
    {
        let reason =
            format!("with `{}` every terminated server leaves a volume behind", at.spot.key);
        sink.warn(&at.spot, reason).hint("volumes are billed until somebody deletes them");
    }
    Some(BootVolume { size_gib, volume_type, delete_on_termination })
}

fn placement(text: &At<GroupText>, sink: &mut Sink) -> Placement {
    let (group, apart) = (&text.server_group, &text.anti_affinity);
    at_most_one(&[group, apart].map(|at| at.as_ref().map(|at| &at.spot)), sink);
    if let Some(at) = apart {
        match at.as_str() {
            "soft" => return Placement::AntiAffinity(AntiAffinity::Soft),
            "strict" => return Placement::AntiAffinity(AntiAffinity::Strict),
            other => {
                let reason = format!("`{}` has no choice \"{other}\"", at.spot.key);
                sink.fault(&at.spot, reason).hint("write \"soft\" or \"strict\"");
            }
        }
    }
    let named = group.as_ref().and_then(|at| range::name(at, sink));
    named.map_or(Placement::Anywhere, Placement::ServerGroup)
}
