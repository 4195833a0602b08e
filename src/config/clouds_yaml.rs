//! clouds.yaml and its companions as they are written: secure.yaml and clouds-public.yaml.
//!
//! Values are kept as text, as they stand there: a project id of digits is no number. Files of this
//! kind hold secrets, so an error names a line and never quotes one.
//!
//! Source: openstacksdk `openstack/config/loader.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::env::Env;
use super::fault::{Fault, Place, Severity};
use super::options::{Origin, SECRETS, TEXTS};

/// One file of clouds, or several laid over one another.
#[derive(Debug, Default)]
pub(super) struct Clouds {
    /// The file that was found first.
    pub(super) path: Option<PathBuf>,
    pub(super) clouds: BTreeMap<String, Entry>,
}

/// One cloud, with where each of its values was found.
#[derive(Debug, Default, Clone)]
pub(super) struct Entry {
    /// Beside `auth:`.
    pub(super) top: BTreeMap<String, Value>,
    /// Below `auth:`.
    pub(super) auth: BTreeMap<String, Value>,
    pub(super) regions: Vec<RegionEntry>,
}

#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// One of `regions:`, with what holds only there.
#[derive(Debug, Clone)]
pub(super) struct RegionEntry {
    pub(super) name: String,
    pub(super) values: Entry,
}

impl Entry {
    /// Lays another entry over this one.
    pub(super) fn overlay(&mut self, over: &Self) {
        self.top.extend(over.top.clone());
        self.auth.extend(over.auth.clone());
        if !over.regions.is_empty() {
            self.regions.clone_from(&over.regions);
        }
    }
}

/// Other names of options, and what else is read of a cloud.
pub(super) const ALIASES: [&str; 9] = [
    "tenant_id",
    "tenant_name",
    "scope",
    "user_name",
    "endpoint_type",
    "auth_plugin",
    "auth_token",
    "profile",
    "cloud",
];

/// A key that means something at the top level of a cloud.
pub(super) fn is_known(key: &str) -> bool {
    TEXTS.contains(&key) || SECRETS.contains(&key) || ALIASES.contains(&key)
}

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// A longer file is some other file.
const MOST_BYTES: u64 = 1 << 20;

/// The clouds of the first `clouds.yaml` on the search path, with secure.yaml over them.
/// Unlike openstacksdk, which goes on to the next one, a broken file is refused.
pub(super) fn clouds(env: &Env) -> Result<Clouds, Fault> {
    let mut all = first(env, "clouds", env.var("OS_CLIENT_CONFIG_FILE"), |root| root.clouds)?;
    let secure = first(env, "secure", env.var("OS_CLIENT_SECURE_FILE"), |root| root.clouds)?;
    for (name, entry) in &secure.clouds {
        all.clouds.entry(name.clone()).or_default().overlay(entry);
    }
    all.path = all.path.or(secure.path);
    Ok(all)
}

/// The profiles of the first `clouds-public.yaml`.
pub(super) fn profiles(env: &Env) -> Result<Clouds, Fault> {
    first(env, "clouds-public", None, |root| root.profiles)
}

type EntryMap = Option<BTreeMap<String, Option<RawEntry>>>;

fn first(
    env: &Env,
    stem: &str,
    named: Option<&str>,
    part: fn(Root) -> EntryMap,
) -> Result<Clouds, Fault> {
    let named = named.map(|text| env.path(text, env.cwd()));
    let dirs = env.openstack_dirs();
    let searched = dirs.iter().flat_map(|dir| EXTENSIONS.map(|e| dir.join(format!("{stem}.{e}"))));
    let found = named.into_iter().chain(searched).find(|path| path.exists());
    let Some(path) = found else { return Ok(Clouds::default()) };
    let entries = part(parse(&path)?).unwrap_or_default();
    let clouds = entries.into_iter().map(|(name, raw)| (name, raw.unwrap_or_default().at(&path)));
    Ok(Clouds { clouds: clouds.collect(), path: Some(path.clone()) })
}

fn parse(path: &Path) -> Result<Root, Fault> {
    let shown = path.display().to_string();
    let refuse = |why: String, place| {
        let mut fault = Fault::new(Severity::Fault, format!("{shown} {why}"));
        fault.hint("mend the file, or move it off the search path").place(Some(place));
        fault
    };
    let text = std::fs::metadata(path).and_then(|meta| match meta.len() {
        len if len > MOST_BYTES => Err(std::io::Error::other("it is longer than 1 MiB")),
        _ => std::fs::read_to_string(path),
    });
    let text =
        text.map_err(|e| refuse(format!("cannot be read: {e}"), Place::File(shown.clone())))?;
    let root: Result<Option<Root>, _> = serde_saphyr::from_str(&text);
    root.map(Option::unwrap_or_default).map_err(|error| {
        let place = error.location().map_or(Place::File(shown.clone()), |at| Place::Line {
            path: shown.clone(),
            line: usize::try_from(at.line()).unwrap_or(0),
            column: usize::try_from(at.column()).unwrap_or(0),
        });
        refuse(reason(&error), place)
    })
}

/// Why a file cannot be understood. Other kinds of error quote values, which may be secrets.
fn reason(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    if let serde_saphyr::Error::Message { msg, .. } = error {
        format!("is not valid YAML: {msg}")
    } else if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error {
        format!("has the key `{key}` twice")
    } else {
        "is not shaped as openstacksdk's configuration files are".to_owned()
    }
}

#[derive(Deserialize, Default)]
struct Root {
    #[serde(default)]
    clouds: EntryMap,
    #[serde(default, rename = "public-clouds")]
    profiles: EntryMap,
}

/// An entry before it is known which file it came from.
#[derive(Default)]
struct RawEntry {
    top: BTreeMap<String, String>,
    auth: BTreeMap<String, String>,
    regions: Vec<RawRegion>,
}

impl RawEntry {
    fn at(self, path: &Path) -> Entry {
        let value = |(key, text): (String, String)| {
            (key, Value { text, origin: Origin::Clouds(path.to_owned()) })
        };
        let region = |raw: RawRegion| RegionEntry { name: raw.name, values: raw.values.at(path) };
        Entry {
            top: self.top.into_iter().map(value).collect(),
            auth: self.auth.into_iter().map(value).collect(),
            regions: self.regions.into_iter().map(region).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for RawEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = RawEntry;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a cloud's settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntry, A::Error> {
                let mut entry = RawEntry::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "auth" => entry.auth = auth(map.next_value()?),
                        "regions" => {
                            entry.regions = map.next_value::<Option<_>>()?.unwrap_or_default();
                        }
                        known if is_known(&known.replace('-', "_")) => {
                            let value = map.next_value::<Option<String>>()?;
                            entry.top.extend(value.filter(|v| !v.is_empty()).map(|v| (key, v)));
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_map(EntryVisitor)
    }
}

/// Below `auth:` dashes are as good as underscores. Source: openstacksdk `_util.normalize_keys`.
fn auth(values: Option<BTreeMap<String, Option<String>>>) -> BTreeMap<String, String> {
    let given = values.unwrap_or_default().into_iter();
    let given = given.filter_map(|(key, value)| Some((key.replace('-', "_"), value?)));
    given.filter(|(_, value)| !value.is_empty()).collect()
}

struct RawRegion {
    name: String,
    values: RawEntry,
}

impl<'de> Deserialize<'de> for RawRegion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RegionVisitor;
        impl<'de> Visitor<'de> for RegionVisitor {
            type Value = RawRegion;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a region's name, or its name and values")
            }

            fn visit_str<E>(self, name: &str) -> Result<RawRegion, E> {
                Ok(RawRegion { name: name.to_owned(), values: RawEntry::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawRegion, A::Error> {
                let mut region = RawRegion { name: String::new(), values: RawEntry::default() };
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "name" => region.name = map.next_value()?,
                        "values" => {
                            region.values = map.next_value::<Option<_>>()?.unwrap_or_default();
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(region)
            }
        }
        deserializer.deserialize_any(RegionVisitor)
    }
}
