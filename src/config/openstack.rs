//! Which cloud is meant, by openstacksdk's rules.
//!
//! A cloud that was named comes from clouds.yaml, and no variable has a say in it. With none
//! named, `OS_CLOUD` names one; else the variables are one, called `env` here; else the only
//! cloud of clouds.yaml is meant. Below a cloud lie its profile and its region's values.
//!
//! Source: openstacksdk `openstack/config/loader.py` (`get_one`, `_get_os_environ`,
//! `_get_region`, `magic_fixes`). Where it guesses or goes on in silence, this refuses.

use super::clouds_yaml::{self, Clouds, Entry, Value, is_known};
use super::env::Env;
use super::fault::{Fault, Place, Severity};
use super::options::{Base, Options, Origin, SECRETS, TEXTS};
use super::read::nearest;

/// A cloud's settings with its name.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) options: Options,
    /// What is worth a second look.
    pub(super) warnings: Vec<Fault>,
}

/// Variables that choose among clouds and make none.
/// Source: openstacksdk `openstack/config/loader.py`, `_get_os_environ`.
const SELECTORS: [&str; 5] = [
    "OS_CLOUD",
    "OS_REGION_NAME",
    "OS_CLIENT_CONFIG_FILE",
    "OS_CLIENT_SECURE_FILE",
    "OS_CLOUD_NAME",
];
/// Variables of other programs. Source: as above.
const FOREIGN: [&str; 3] = ["OS_TEST", "OS_STD", "OS_LOG"];

/// The cloud that the variables say, and they must say one.
pub(super) fn from_variables(region: Option<&str>, env: &Env) -> Result<Found, Fault> {
    if env.var("OS_CLOUD").is_none() && variables(env).is_none() {
        let reason = "`cloud.use` is \"env\", but no OS_* variable says which cloud to use";
        let mut fault = Fault::new(Severity::Fault, reason);
        fault.hint(
            "set OS_CLOUD, or OS_AUTH_URL and its neighbours (a variable that is empty counts as \
             not set); or write cloud = \"NAME\" for a cloud of clouds.yaml",
        );
        return Err(fault);
    }
    find(None, region, env)
}

/// The cloud of that name, or the one that is meant when none is named, in that region.
pub(super) fn find(name: Option<&str>, region: Option<&str>, env: &Env) -> Result<Found, Fault> {
    let mut warnings = Vec::new();
    if let Some(file) = env.var("OS_CLIENT_CONFIG_FILE")
        && !env.path(file, env.cwd()).exists()
    {
        let reason = format!("OS_CLIENT_CONFIG_FILE is {file}, which does not exist");
        warnings.push(Fault::new(Severity::Warning, reason));
    }
    if let Some(name) = name.or_else(|| env.var("OS_CLOUD")) {
        return named(name, region, clouds_yaml::clouds(env)?, env, warnings);
    }
    if let Some(entry) = variables(env) {
        let options = flatten(&entry, region, Base::Variables)?;
        return Ok(Found { name: "env".to_owned(), options, warnings });
    }
    let clouds = clouds_yaml::clouds(env)?;
    let names: Vec<&String> = clouds.clouds.keys().collect();
    match names.as_slice() {
        [] => Err(nothing()),
        [only] => named(&only.to_string(), region, clouds, env, warnings),
        [..] => Err(several(&clouds)),
    }
}

fn nothing() -> Fault {
    let mut fault = Fault::new(Severity::Fault, "there is no telling which cloud to use");
    fault.hint(
        "no OS_* variables are set and no clouds.yaml was found: set them, or write a section \
         [cloud] with use = \"sandbox\", a preset or cloud = \"NAME\"",
    );
    fault
}

fn several(clouds: &Clouds) -> Fault {
    let mut fault = Fault::new(Severity::Fault, "there is no telling which cloud to use");
    let hint = format!("name one in [cloud], as cloud = \"NAME\": {}", names_of(clouds));
    fault.hint(hint).place(place_of(clouds));
    fault
}

fn names_of(clouds: &Clouds) -> String {
    clouds.clouds.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn place_of(clouds: &Clouds) -> Option<Place> {
    clouds.path.as_ref().map(|path| Place::File(path.display().to_string()))
}

/// The variables as a cloud, if any but the selectors is set.
fn variables(env: &Env) -> Option<Entry> {
    let foreign = |name: &str| FOREIGN.iter().any(|prefix| name.starts_with(prefix));
    let ours = || env.vars().filter(|(name, _)| name.starts_with("OS_") && !foreign(name));
    ours().find(|(name, _)| !SELECTORS.contains(name))?;
    let value = |(name, text): (&str, &str)| {
        let key = name.strip_prefix("OS_")?.to_lowercase();
        let value = Value { text: text.to_owned(), origin: Origin::Variable(name.to_owned()) };
        is_known(&key).then_some((key, value))
    };
    let profile = |(key, _): &(String, Value)| key != "cloud" && key != "profile";
    Some(Entry { top: ours().filter_map(value).filter(profile).collect(), ..Entry::default() })
}

fn named(
    name: &str,
    region: Option<&str>,
    clouds: Clouds,
    env: &Env,
    warnings: Vec<Fault>,
) -> Result<Found, Fault> {
    let Some(entry) = clouds.clouds.get(name) else {
        return Err(no_such_cloud(name, &clouds, env));
    };
    let path = clouds.path.clone().unwrap_or_default();
    let refuse = |reason: String| {
        let mut fault = Fault::new(Severity::Fault, reason);
        fault.place(Some(Place::File(path.display().to_string())));
        fault
    };
    // With a dash the key is lost to openstacksdk, and the cloud is another than was meant.
    if let Some(key) = entry.top.keys().find(|key| key.contains('-')) {
        let mut fault = refuse(format!("cloud `{name}` has the key `{key}`"));
        fault.hint(format!("write `{}`: dashes count only below `auth:`", key.replace('-', "_")));
        return Err(fault);
    }
    let mut whole = match profile(entry, name, env)? {
        Some(mut profile) => {
            profile.overlay(entry);
            profile
        }
        None => entry.clone(),
    };
    let region = match choose_region(&whole, region) {
        Ok(region) => region,
        Err(valid) => {
            let asked = region.unwrap_or_default();
            let mut fault = refuse(format!("cloud `{name}` has no region \"{asked}\""));
            fault.hint(format!("it has: {valid} (upper and lower case differ)"));
            return Err(fault);
        }
    };
    if let Some(values) = whole.regions.iter().find(|r| Some(&r.name) == region.as_ref()) {
        let values = values.values.clone();
        whole.overlay(&values);
    }
    let base = Base::Clouds { name: name.to_owned(), path };
    let options = flatten(&whole, region.as_deref(), base)?;
    Ok(Found { name: name.to_owned(), options, warnings })
}

fn no_such_cloud(name: &str, clouds: &Clouds, env: &Env) -> Fault {
    let mut fault = Fault::new(Severity::Fault, format!("cloud `{name}` was not found"));
    if clouds.path.is_none() {
        let dirs: Vec<_> = env.openstack_dirs().iter().map(|d| d.display().to_string()).collect();
        fault.hint(format!("there is no clouds.yaml in {}", dirs.join(", ")));
        return fault;
    }
    let names: Vec<&str> = clouds.clouds.keys().map(String::as_str).collect();
    match nearest(name, &names) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("it holds: {}", names_of(clouds))),
    };
    fault.place(place_of(clouds));
    fault
}

/// What a cloud's `profile:` supplies.
fn profile(entry: &Entry, cloud: &str, env: &Env) -> Result<Option<Entry>, Fault> {
    let Some(value) = entry.top.get("profile").or_else(|| entry.top.get("cloud")) else {
        return Ok(None);
    };
    let name = value.text.as_str();
    let profiles = clouds_yaml::profiles(env)?;
    if let Some(profile) = profiles.clouds.get(name) {
        return Ok(Some(profile.clone()));
    }
    let reason = format!("cloud `{cloud}` builds on the profile `{name}`, which is not known here");
    let mut fault = Fault::new(Severity::Fault, reason);
    fault.hint(match name {
        "ovh" | "ovh-us" => {
            "profiles of openstacksdk are not fetched, and OVHcloud's knows no service accounts: \
             write preset = \"ovhcloud-eu\" (or -ca, -us) in [cloud]"
        }
        _ => "describe it in clouds-public.yaml, or write its values into the cloud",
    });
    if let Origin::Clouds(path) = &value.origin {
        fault.place(Some(Place::File(path.display().to_string())));
    }
    Err(fault)
}

/// The region that is asked for, or the first; an error lists those there are.
/// Source: openstacksdk `openstack/config/loader.py`, `_get_region`.
fn choose_region(entry: &Entry, asked: Option<&str>) -> Result<Option<String>, String> {
    let single = entry.top.get("region_name").map(|value| value.text.as_str());
    let mut known: Vec<&str> = entry.regions.iter().map(|r| r.name.as_str()).collect();
    if known.is_empty() {
        known.extend(single.iter().flat_map(|list| list.split(',')).map(str::trim));
    }
    match asked {
        Some(asked) if known.is_empty() || known.contains(&asked) => Ok(Some(asked.to_owned())),
        Some(_) => Err(known.join(", ")),
        None => Ok(known.first().map(|name| (*name).to_owned())),
    }
}

/// Options of which the top level wins over `auth:`. Source: as above, `_fix_backwards_project`.
const TOP_FIRST: [&str; 9] = [
    "project_id",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "user_domain_id",
    "user_domain_name",
    "domain_id",
    "domain_name",
    "token",
];

/// Other names, of which the option's own wins; but an old name of the interface wins over the
/// new. Source: as above, `magic_fixes`.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("project_id", "tenant_id"),
    ("project_name", "tenant_name"),
    ("openid_scope", "scope"),
    ("username", "user_name"),
    ("auth_type", "auth_plugin"),
    ("token", "auth_token"),
    ("interface", "endpoint_type"),
];

/// One value for each option.
fn flatten(entry: &Entry, region: Option<&str>, base: Base) -> Result<Options, Fault> {
    let mut options = Options::new(base);
    for name in TEXTS.into_iter().chain(SECRETS) {
        if let Some(value) = pick(entry, name) {
            options.set(name, &value.text, value.origin.clone());
        }
    }
    if let (Some(region), Some(value)) = (region, options.get("region_name")) {
        let origin = value.origin.clone();
        options.set("region_name", region, origin);
    } else if let (Some(region), Base::Clouds { path, .. }) = (region, &options.base) {
        let origin = Origin::Clouds(path.clone());
        options.set("region_name", region, origin);
    }
    spread_domain(&mut options);
    for name in ["auth_url", "discovery_endpoint", "access_token_endpoint"] {
        expand(&mut options, name);
    }
    Ok(options)
}

fn pick<'a>(entry: &'a Entry, name: &str) -> Option<&'a Value> {
    let other = OTHER_NAMES.iter().find(|(own, _)| *own == name).map(|(_, other)| *other);
    let names = if name == "interface" { [other, Some(name)] } else { [Some(name), other] };
    let look = |name: &str| {
        let (top, auth) = (entry.top.get(name), entry.auth.get(name));
        if TOP_FIRST.contains(&name) { top.or(auth) } else { auth.or(top) }
    };
    names.into_iter().flatten().find_map(look)
}

/// One domain for both user and project, where those have none of their own.
/// Source: as above, `_handle_domain_id`.
fn spread_domain(options: &mut Options) {
    for (from, to) in [
        ("domain_id", ["user_domain_id", "project_domain_id"]),
        ("domain_name", ["user_domain_name", "project_domain_name"]),
    ] {
        let Some((text, origin)) = options
            .text(from)
            .map(str::to_owned)
            .zip(options.get(from).map(|given| given.origin.clone()))
        else {
            continue;
        };
        for name in to {
            if options.get(name).is_none() {
                options.set(name, text.as_str(), origin.clone());
            }
        }
    }
}

/// Puts other options' values in place of `{name}`. Source: as above, `get_one`.
fn expand(options: &mut Options, name: &'static str) {
    let Some(given) = options.get(name) else { return };
    let (origin, Some(text)) = (given.origin.clone(), options.text(name)) else { return };
    let mut text = text.to_owned();
    for other in TEXTS {
        let placeholder = format!("{{{other}}}");
        if let (true, Some(value)) = (text.contains(&placeholder), options.text(other)) {
            text = text.replace(&placeholder, value);
        }
    }
    options.set(name, text, origin);
}
