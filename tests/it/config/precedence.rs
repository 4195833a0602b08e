//! Which setting wins where several places have one: openstacksdk's answers, recorded from
//! openstacksdk 4.22.0 and keystoneauth1 5.18.1 in `tests/data/config-precedence.json`.
//!
//! Where we differ, we say so here: what is called `envvars` there is `env` here; a Python
//! exception is a fault that names what to mend; a `cacert` must exist; an application credential
//! goes without a project; a broken or unreadable file is refused, not skipped.

use std::collections::BTreeMap;

use novascale::config::cloud::{
    AccessTokenType, Auth, CredentialName, Domain, Interface, Project, Tls, User,
};
use novascale::config::secret::{Secret, SecretEnv};
use novascale::config::{Cloud, CloudSettings, Env};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Place;

const GROUP: &str = "[group.g]\nmin = 0\nmax = 1\nregion = \"R\"\nflavor = \"f\"\nimage = \"i\"\nnetworks = \"auto\"\n";

/// What we say where openstacksdk raises: by the case's name, and where in our words.
const REFUSED: [(&str, &str); 7] = [
    ("OS_CLOUD unknown", "cloud `nope` was not found"),
    ("two clouds, no OS_CLOUD", "name one in [cloud], as cloud = \"NAME\": a, b"),
    ("keys with dashes", "cloud `ovhcloud` has the key `auth-type`"),
    ("empty OS_CLIENT_SECRET", "`OS_CLIENT_SECRET` is not set"),
    ("missing discovery endpoint", "`OS_DISCOVERY_ENDPOINT` is not set"),
    ("missing client id", "`OS_CLIENT_ID` is not set"),
    ("no config at all", "there is no telling which cloud to use"),
];

fn cases() -> Vec<Value> {
    let file = include_str!("../../data/config-precedence.json");
    let file: Value = serde_json::from_str(file).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn place(case: &Value) -> Place {
    // The one case that asks for a region by argument asks for it here as we do.
    let asked = case["case"].as_str().unwrap().ends_with("SBG5 asked");
    let cloud = if asked { "[cloud]\nregion = \"SBG5\"\n" } else { "" };
    let mut place = Place::with(&format!("{cloud}{GROUP}"));
    let ca = place.write("home/ca.pem", "-----BEGIN CERTIFICATE-----\n");
    for (name, value) in case["env"].as_object().unwrap() {
        let value = value.as_str().unwrap().replace("/x/ca.pem", ca.to_str().unwrap());
        place = place.var(name, &value);
    }
    for (path, content) in case["files"].as_object().unwrap() {
        let path = path.replacen("./", "", 1).replacen("~/", "home/", 1);
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        place.write(&path, &text);
    }
    place
}

#[test]
fn every_recorded_case_comes_out_the_same() {
    let cases = cases();
    assert_eq!(cases.len(), 37);
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        let (place, expected) = (place(case), &case["result"]);
        if expected.get("exception").is_some() {
            let said = REFUSED.iter().find(|(case, _)| *case == name).expect(name).1;
            let refused = place.refused();
            assert!(refused.contains(said), "{name}: {refused}");
            continue;
        }
        let loaded = place.load().unwrap_or_else(|faults| panic!("{name}:\n{faults}"));
        let Cloud::OpenStack(settings) = loaded.config.cloud else { panic!("{name}") };
        let ours = flat(&settings);
        for (key, value) in theirs(expected, &place) {
            assert_eq!(ours.get(key.as_str()), Some(&value), "{name}: {key}");
        }
    }
}

/// The recorded result in our words.
fn theirs(result: &Value, place: &Place) -> BTreeMap<String, Value> {
    let auth_type = result["auth_type"].as_str().unwrap();
    let mut flat = BTreeMap::new();
    let methods = result.get("methods").and_then(Value::as_object);
    let methods =
        methods.into_iter().flat_map(|m| m.values()).filter_map(Value::as_object).flatten();
    for (key, value) in result.as_object().unwrap().iter().chain(methods) {
        let ours = match (key.as_str(), value.as_str()) {
            ("plugin" | "methods", _) => continue,
            ("project_id", _) if auth_type == "v3applicationcredential" => continue,
            // The id is enough.
            ("project_name" | "project_domain_name", _) if result.get("project_id").is_some() => {
                continue;
            }
            ("name", Some("envvars")) => json!("env"),
            ("interface", Some("internalURL")) => json!("internal"),
            ("auth_type", Some("password")) => json!("v3password"),
            ("verify", _) if value[0] == "/x/ca.pem" => {
                json!(place.path().join("home/ca.pem").to_str().unwrap())
            }
            ("verify", _) => value[0].clone(),
            _ => value.clone(),
        };
        flat.insert(key.clone(), ours);
    }
    flat
}

/// Our result in openstacksdk's words.
fn flat(cloud: &CloudSettings) -> BTreeMap<&'static str, Value> {
    let interface = match cloud.interface {
        Interface::Public => "public",
        Interface::Internal => "internal",
        Interface::Admin => "admin",
    };
    let verify = match (&cloud.tls.cacert, cloud.tls.insecure) {
        (_, true) => json!(false),
        (Some(path), false) => json!(path.to_str()),
        (None, false) => json!(true),
    };
    let mut flat = BTreeMap::from([
        ("name", json!(cloud.name)),
        ("region", json!(cloud.region.as_ref().map_or("", |r| r.as_str()))),
        ("interface", json!(interface)),
        ("verify", verify),
    ]);
    let (auth_type, auth_url, project) = match &cloud.auth {
        Auth::OidcClientCredentials(oidc) => {
            let access_token_type = match oidc.access_token_type {
                AccessTokenType::AccessToken => "access_token",
                AccessTokenType::IdToken => "id_token",
            };
            flat.extend([
                ("identity_provider", json!(oidc.identity_provider)),
                ("protocol", json!(oidc.protocol)),
                ("client_id", json!(oidc.client_id)),
                ("client_secret", read(&oidc.client_secret)),
                ("discovery_endpoint", json!(oidc.discovery_endpoint)),
                ("access_token_endpoint", json!(oidc.access_token_endpoint)),
                ("access_token_type", json!(access_token_type)),
                ("openid_scope", json!(oidc.openid_scope)),
            ]);
            ("v3oidcclientcredentials", &oidc.auth_url, Some(&oidc.project))
        }
        Auth::ApplicationCredential(credential) => {
            let CredentialName::Id(id) = &credential.who else { panic!("by id") };
            flat.insert("application_credential_id", json!(id));
            flat.insert("application_credential_secret", read(&credential.secret));
            ("v3applicationcredential", &credential.auth_url, None)
        }
        Auth::Password(password) => {
            let User::Name { name, domain: Domain::Name(domain) } = &password.user else {
                panic!("by name")
            };
            flat.insert("username", json!(name));
            flat.insert("user_domain_name", json!(domain));
            flat.insert("password", read(&password.password));
            ("v3password", &password.auth_url, Some(&password.project))
        }
        Auth::Token(token) => {
            flat.insert("token", read(&token.token));
            ("v3token", &token.auth_url, Some(&token.project))
        }
    };
    flat.insert("auth_type", json!(auth_type));
    flat.insert("auth_url", json!(auth_url));
    if let Some(Project::Id(id)) = project {
        flat.insert("project_id", json!(id));
    }
    flat
}

fn read(secret: &Secret) -> Value {
    json!(secret.read(&SecretEnv::new(Env::default())).unwrap().expose_secret())
}

const CLOUD: &str = "    region_name: A\n    auth:\n      auth_url: https://k.example/{region_name}\n      \
    user_id: u\n      password: hunter2\n      project_id: 0123456789\n";

fn named(yaml: &str) -> Place {
    let place = Place::with(&format!("[cloud]\ncloud = \"a\"\n{GROUP}"));
    place.write("clouds.yaml", yaml);
    place
}

fn settings(place: &Place) -> CloudSettings {
    match place.load().unwrap_or_else(|faults| panic!("{faults}")).config.cloud {
        Cloud::OpenStack(settings) => *settings,
        Cloud::Sandbox(_) => panic!("a real cloud"),
    }
}

#[test]
fn a_named_cloud_heeds_no_variable() {
    let place = named(&format!("clouds:\n  a:\n{CLOUD}"))
        .var("OS_AUTH_URL", "https://env.example")
        .var("OS_CLOUD", "b")
        .var("OS_PASSWORD", "env");
    let settings = settings(&place);
    assert_eq!((settings.name.as_str(), settings.region.unwrap().as_str()), ("a", "A"));
    let Auth::Password(password) = &settings.auth else { panic!("{:?}", settings.auth) };
    assert_eq!(password.auth_url, "https://k.example/A/v3");
    assert_eq!(password.project, Project::Id("0123456789".into()), "digits stay as they stand");
}

#[test]
fn a_broken_file_is_refused_and_not_quoted() {
    for (yaml, said) in [
        ("clouds:\n  a:\n    auth:\n      password: \"hunter2\n", "clouds.yaml is not"),
        ("clouds:\n  a: [hunter2]\n", "is not shaped as"),
        ("clouds:\n  a:\n    auth: hunter2\n", "is not shaped as"),
        ("clouds:\n  a:\n    auth:\n      password: {x: hunter2}\n", "is not shaped as"),
        ("clouds:\n  a:\n    auth:\n      password: hunter2\n      password: hunter2\n", "twice"),
        ("hunter2", "is not shaped as"),
    ] {
        let refused = named(yaml).refused();
        assert!(refused.contains(said), "{refused}");
        assert!(refused.contains("DIR/clouds.yaml"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn regions_carry_values_of_their_own() {
    let yaml = format!(
        "clouds:\n  a:\n{}    regions:\n    - name: B\n      values:\n        interface: internal\n    - C\n",
        CLOUD.replace("    region_name: A\n", "")
    );
    let place = named(&yaml);
    let first = settings(&place);
    assert_eq!((first.region.unwrap().as_str(), first.interface), ("B", Interface::Internal));
    place.write("scaling.toml", &format!("[cloud]\ncloud = \"a\"\nregion = \"C\"\n{GROUP}"));
    let other = settings(&place);
    assert_eq!((other.region.unwrap().as_str(), other.interface), ("C", Interface::Public));
    place.write("scaling.toml", &format!("[cloud]\ncloud = \"a\"\nregion = \"c\"\n{GROUP}"));
    let refused = place.refused();
    assert!(
        refused.contains("has no region \"c\"") && refused.contains("it has: B, C"),
        "{refused}"
    );
}

#[test]
fn profiles_that_are_not_here_are_not_fetched() {
    for (profile, hint) in [("ovh", "preset = \"ovhcloud-eu\""), ("vexxhost", "clouds-public.yaml")]
    {
        let refused = named(&format!("clouds:\n  a:\n    profile: {profile}\n{CLOUD}")).refused();
        assert!(refused.contains("which is not known here") && refused.contains(hint), "{refused}");
    }
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    for (line, said) in [
        ("    cert: /c.pem\n", "client certificate"),
        ("    verify: maybe\n", "neither true nor false"),
        ("    interface: private\n", "it is \"public\", \"internal\" or \"admin\""),
        ("    cacert: absent.pem\n", "`cacert` of cloud `a` cannot be read"),
        (
            "    auth_type: v3oidcpassword\n",
            "is \"v3oidcpassword\", which novascale cannot sign in with",
        ),
        ("    auth_type: v3kerberos\n", "it can with v3oidcclientcredentials"),
    ] {
        let refused = named(&format!("clouds:\n  a:\n{line}{CLOUD}")).refused();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn unverified_tls_warns() {
    for line in ["insecure: true", "insecure: True", "verify: false", "verify: no"] {
        let place = named(&format!("clouds:\n  a:\n    {line}\n{CLOUD}"));
        assert!(settings(&place).tls.insecure, "{line}");
        assert!(place.warnings()[0].contains("verification of certificates off"), "{line}");
        // The client would look into the file, which nobody needs then.
        let place = named(&format!("clouds:\n  a:\n    {line}\n    cacert: absent.pem\n{CLOUD}"));
        assert_eq!(settings(&place).tls, Tls { cacert: None, insecure: true }, "{line}");
    }
    assert!(!settings(&named(&format!("clouds:\n  a:\n    verify: true\n{CLOUD}"))).tls.insecure);
}

#[test]
fn one_domain_serves_user_and_project() {
    let yaml = "clouds:\n  a:\n    auth:\n      auth_url: https://k.example/v3/\n      username: u\n      \
        password: p\n      project_name: n\n      domain_name: D\n";
    let Auth::Password(password) = settings(&named(yaml)).auth else { panic!("a password") };
    let domain = Domain::Name("D".into());
    assert_eq!(password.user, User::Name { name: "u".into(), domain: domain.clone() });
    assert_eq!(password.project, Project::Name { name: "n".into(), domain });
    assert_eq!(password.auth_url, "https://k.example/v3");
}

#[test]
fn a_file_named_by_a_variable_that_is_not_there_warns() {
    let place = named(&format!("clouds:\n  a:\n{CLOUD}")).var("OS_CLIENT_CONFIG_FILE", "/nowhere");
    assert!(place.warnings()[0].contains("OS_CLIENT_CONFIG_FILE is /nowhere"));
}

#[test]
fn a_cloud_that_is_not_there_is_named() {
    let place = Place::with(&format!("[cloud]\ncloud = \"ovhclod\"\n{GROUP}"));
    assert!(place.refused().contains("there is no clouds.yaml in DIR"));
    place.write("clouds.yaml", &format!("clouds:\n  ovhcloud:\n{CLOUD}"));
    assert!(place.refused().contains("did you mean `ovhcloud`?"));
}

#[test]
fn other_programs_variables_make_no_cloud() {
    let place = Place::with(GROUP).var("OS_TEST_PATH", "x").var("OS_STDOUT_CAPTURE", "1");
    assert!(place.refused().contains("no telling which cloud"));
}
