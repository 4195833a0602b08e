//! `[cloud]`: presets, options written out, the embedded cloud, and what is shown of them.

use novascale::config::cloud::{AccessTokenType, Auth, CredentialName, Project, User};
use novascale::config::secret::Secret;
use novascale::config::{Cloud, CloudSettings, paths};
use rstest::rstest;
use serde_json::json;

use super::{Place, with_cloud};

const ACCOUNT: &str =
    "project_id = \"p\"\nclient_id = \"c\"\nclient_secret = { file = \"s\" }\nregion = \"GRA11\"\n";

fn place(cloud: &str) -> Place {
    let place = Place::with(&with_cloud(cloud));
    let path = place.write("s", "hunter2\n");
    private(&path);
    place
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn settings(place: &Place) -> CloudSettings {
    match place.load().unwrap_or_else(|faults| panic!("{faults}")).config.cloud {
        Cloud::OpenStack(settings) => *settings,
        Cloud::Sandbox(_) => panic!("a real cloud"),
    }
}

#[rstest]
#[case(
    "ovhcloud-eu",
    "https://auth.cloud.ovh.net/v3",
    "ovhcloud-emea",
    "https://iam.ovh.net/role-adapter/urn:v1:eu:"
)]
#[case(
    "ovhcloud-ca",
    "https://auth.cloud.ovh.net/v3",
    "ovhcloud-world",
    "https://iam.ovh.ca/role-adapter/urn:v1:ca:"
)]
#[case(
    "ovhcloud-us",
    "https://auth.cloud.ovh.us/v3",
    "ovhcloud-us",
    "https://iam.ovh.us/role-adapter/urn:v1:us:"
)]
fn a_preset_and_an_account_are_all_it_takes(
    #[case] preset: &str,
    #[case] auth_url: &str,
    #[case] provider: &str,
    #[case] discovery: &str,
) {
    let place = place(&format!("preset = \"{preset}\"\n{ACCOUNT}"));
    let loaded = place.load().unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let settings = settings(&place);
    assert_eq!(settings.name, preset);
    let Auth::OidcClientCredentials(oidc) = settings.auth else { panic!("{:?}", settings.auth) };
    assert_eq!((oidc.auth_url.as_str(), oidc.identity_provider.as_str()), (auth_url, provider));
    assert!(oidc.discovery_endpoint.unwrap().starts_with(discovery));
    assert_eq!(oidc.access_token_type, AccessTokenType::IdToken);
    assert_eq!(oidc.openid_scope, "openid profile email publicCloudProject/all");
    assert_eq!(oidc.project, Project::Id("p".into()));
    assert!(matches!(oidc.client_secret, Secret::File(path) if path == place.path().join("s")));
}

/// Exactly the variables of OVHcloud's guide (US page), whose EMEA example mixes subsidiaries.
#[test]
fn the_guides_variables_sign_in_and_its_mixture_is_pointed_at() {
    let discovery = "https://iam.ovh.us/role-adapter/urn:v1:us:resource:publicCloudProject:pci/.well-known/openid-configuration";
    let place = |provider: &str| {
        Place::with(&with_cloud("use = \"env\""))
            .var("OS_AUTH_TYPE", "v3oidcclientcredentials")
            .var("OS_PROTOCOL", "openid")
            .var("OS_ACCESS_TOKEN_TYPE", "id_token")
            .var("OS_OPENID_SCOPE", "openid profile email publicCloudProject/all")
            .var("OS_AUTH_URL", "https://auth.cloud.ovh.us/v3")
            .var("OS_IDENTITY_PROVIDER", provider)
            .var("OS_DISCOVERY_ENDPOINT", discovery)
            .var("OS_PROJECT_ID", "p")
            .var("OS_CLIENT_ID", "c")
            .var("OS_CLIENT_SECRET", "xxxx")
            .var("OS_REGION_NAME", "US-EAST-VA-1")
    };
    let right = place("ovhcloud-us");
    assert_eq!(right.warnings(), Vec::<String>::new());
    assert_eq!(settings(&right).region.unwrap().as_str(), "US-EAST-VA-1");
    let mixed = place("ovhcloud-emea").warnings();
    assert!(mixed[0].contains("different OVHcloud subsidiaries"), "{mixed:?}");
}

#[test]
fn what_is_written_lies_over_what_was_found() {
    let place = place(&format!(
        "preset = \"ovhcloud-eu\"\n{ACCOUNT}openid_scope = \"openid\"\naccess_token_type = \"access_token\"\n\
         interface = \"internal\"\nallowed_hosts = [\"*.Example.net\"]\n"
    ));
    let settings = settings(&place);
    let Auth::OidcClientCredentials(oidc) = &settings.auth else { panic!("{:?}", settings.auth) };
    assert_eq!(oidc.openid_scope, "openid");
    assert_eq!(settings.allowed_hosts, ["*.example.net"]);
    assert!(place.warnings()[0].contains("which OVHcloud's Keystone refuses"));
}

#[test]
fn every_auth_type_can_be_written_out() {
    let url = "auth_url = \"http://127.0.0.1:5000\"\n";
    let secret = "{ env = \"S\" }";
    let cases = [
        format!(
            "auth_type = \"v3password\"\nusername = \"u\"\nuser_domain_name = \"D\"\npassword = {secret}\nproject_id = \"p\""
        ),
        format!(
            "auth_type = \"password\"\nuser_id = \"u\"\npassword = {secret}\nproject_name = \"n\"\nproject_domain_id = \"d\""
        ),
        format!(
            "auth_type = \"v3applicationcredential\"\napplication_credential_name = \"a\"\nuser_id = \"u\"\napplication_credential_secret = {secret}"
        ),
        format!("auth_type = \"v3token\"\ntoken = {secret}\nproject_id = \"p\""),
        format!(
            "auth_type = \"v3oidcclientcredentials\"\nidentity_provider = \"i\"\nprotocol = \"openid\"\nclient_id = \"c\"\nclient_secret = {secret}\naccess_token_endpoint = \"https://idp.example/token\"\nproject_id = \"p\""
        ),
    ];
    let auths = cases.map(|case| settings(&place(&format!("{url}{case}")).var("S", "x")).auth);
    let [
        Auth::Password(first),
        Auth::Password(second),
        Auth::ApplicationCredential(third),
        Auth::Token(_),
        Auth::OidcClientCredentials(last),
    ] = auths
    else {
        panic!("{auths:?}")
    };
    assert_eq!(first.auth_url, "http://127.0.0.1:5000/v3");
    assert_eq!(second.user, User::Id("u".into()));
    assert!(matches!(third.who, CredentialName::Name { user: User::Id(_), .. }));
    assert_eq!(last.discovery_endpoint, None);
}

#[test]
fn a_token_warns_that_it_ends() {
    let cloud = "auth_type = \"v3token\"\nauth_url = \"https://k.example\"\ntoken = { env = \"S\" }\nproject_id = \"p\"\n";
    assert!(place(cloud).var("S", "x").warnings()[0].contains("cannot be renewed"));
}

#[rstest]
#[case::inline("client_secret = \"hunter2\"", "`cloud.client_secret` holds the secret itself")]
#[case::inline_misspelt("client_secrt = \"hunter2\"", "did you mean `client_secret`?")]
#[case::number(
    "client_secret = 7777777",
    "must be a table that says where the secret is, but it is a whole number"
)]
#[case::no_place("client_secret = {}", "`cloud.client_secret` says no place")]
#[case::two_places("client_secret = { file = \"s\", env = \"S\" }", "exclude each other")]
#[case::unknown_place(
    "client_secret = { path = \"hunter2\" }",
    "`cloud.client_secret.path` is not a setting"
)]
#[case::absent_file("client_secret = { file = \"absent\" }", "cannot be read")]
#[case::empty_file("client_secret = { file = \"empty\" }", "first line is empty")]
#[case::blank_file("client_secret = { file = \"blank\" }", "first line is empty")]
#[case::no_text("client_secret = { file = \"bytes\" }", "it is not UTF-8 text")]
#[case::directory("client_secret = { file = \".\" }", "Is a directory")]
#[case::unnamed_file("client_secret = { file = \" \" }", "`cloud.client_secret.file` is empty")]
#[case::unnamed_variable("client_secret = { env = \"\" }", "`cloud.client_secret.env` is empty")]
#[case::unset("client_secret = { env = \"NOT_SET\" }", "NOT_SET, which is not set")]
#[case::path("client_secret = { credential = \"../x\" }", "is not a credential's name")]
fn secrets_are_named_not_written(#[case] secret: &str, #[case] said: &str) {
    let account = ACCOUNT.replace("client_secret = { file = \"s\" }", secret);
    let place = place(&format!("preset = \"ovhcloud-eu\"\n{account}"));
    place.write("empty", "\n");
    place.write("blank", " \t \n");
    std::fs::write(place.path().join("bytes"), [0xff, 0xfe]).unwrap();
    let refused = place.refused();
    assert!(refused.contains(said), "{refused}");
    // A directory's rights are not to be taken away for it.
    assert!(!refused.contains("chmod") && refused.contains("1 fault:"), "{refused}");
    assert!(!refused.contains("hunter2") && !refused.contains("7777777"), "{refused}");
}

#[test]
fn a_secret_that_others_can_read_warns() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = place(&format!("preset = \"ovhcloud-eu\"\n{ACCOUNT}"));
    assert_eq!(place.warnings(), Vec::<String>::new());
    let path = place.path().join("s");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(place.warnings()[0].contains("others than its owner can read"));
}

#[test]
fn a_credential_that_only_the_unit_has_warns() {
    let account = ACCOUNT.replace("{ file = \"s\" }", "{ credential = \"client\" }");
    let place = place(&format!("preset = \"ovhcloud-eu\"\n{account}"));
    assert!(place.warnings()[0].contains("only a unit with `LoadCredential=client:…` has it"));
}

#[rstest]
#[case::http("auth_url = \"http://keystone.example/v3\"", "would send secrets over plain http")]
#[case::discovery(
    "discovery_endpoint = \"http://idp.example/x\"",
    "would send secrets over plain http"
)]
#[case::metadata("auth_url = \"http://169.254.169.254/v3\"\nallow_http = true", "link-local")]
#[case::v2("auth_url = \"https://k.example/v2.0\"", "Keystone's version 2")]
#[case::no_url("auth_url = \"keystone\"", "is not a URL")]
#[case::empty("auth_url = \"\"", "`cloud.auth_url` is empty")]
#[case::auth_type("auth_type = \"v3oidcpassword\"", "novascale cannot sign in with")]
#[case::provider("identity_provider = \"a/b\"", "goes into a URL")]
#[case::token_type("access_token_type = \"jwt\"", "it is \"id_token\" or \"access_token\"")]
#[case::interface("interface = \"private\"", "it is \"public\", \"internal\" or \"admin\"")]
#[case::hosts("allowed_hosts = [\"https://x\"]", "is not a host")]
#[case::localhost("auth_url = \"http://keystone.localhost/v3\"", "secrets over plain http")]
#[case::metadata_v6("auth_url = \"https://[fd00:ec2::254]/v3\"", "link-local")]
#[case::cacert("cacert = \"absent.pem\"", "`cloud.cacert` cannot be read")]
#[case::no_pem("cacert = \"s\"", "`cloud.cacert` holds no certificate in PEM")]
#[case::two_ways("cloud = \"x\"", "`cloud.preset` and `cloud.cloud` exclude each other")]
#[case::sandbox("use = \"sandbox\"", "`cloud.use` and `cloud.preset` exclude each other")]
fn a_cloud_that_cannot_be_right_is_refused(#[case] line: &str, #[case] said: &str) {
    let refused = place(&format!("preset = \"ovhcloud-eu\"\n{ACCOUNT}{line}\n")).refused();
    assert!(refused.contains(said), "{refused}");
}

#[rstest]
#[case("project_id", "`cloud.project_id` is missing")]
#[case("client_id", "`cloud.client_id` is missing")]
#[case("client_secret", "`cloud.client_secret` is missing")]
fn an_account_is_needed_whole(#[case] key: &str, #[case] said: &str) {
    let account: Vec<&str> = ACCOUNT.lines().filter(|line| !line.starts_with(key)).collect();
    let refused = place(&format!("preset = \"ovhcloud-eu\"\n{}\n", account.join("\n"))).refused();
    assert!(
        refused.contains(said)
            && refused.ends_with("1 fault: the configuration is refused, nothing was changed"),
        "{refused}"
    );
}

#[test]
fn an_absent_auth_type_is_guessed_at_in_the_hint_only() {
    let refused = place(&format!("auth_url = \"https://k.example\"\n{ACCOUNT}")).refused();
    assert!(refused.contains("did you mean \"v3oidcclientcredentials\"?"), "{refused}");
}

#[test]
fn unknown_choices_name_the_known_ones() {
    assert!(place("use = \"sandbx\"").refused().contains("write \"sandbox\" or \"env\""));
    assert!(place("preset = \"ovhcloud-uk\"").refused().contains("did you mean \"ovhcloud-us\"?"));
    assert!(place("preset = \"aws\"").refused().contains("ovhcloud-eu, ovhcloud-ca, ovhcloud-us"));
}

#[test]
fn without_any_cloud_there_is_a_way_shown() {
    let text = with_cloud("").replace("[cloud]", "");
    let refused = Place::with(&text).refused();
    assert!(
        refused.contains("no OS_* variables are set and no clouds.yaml was found"),
        "{refused}"
    );
    assert!(refused.contains("write a section [cloud] with use = \"sandbox\""), "{refused}");
    let place = Place::with(&text)
        .var("OS_AUTH_URL", "https://k.example")
        .var("OS_AUTH_TYPE", "v3password")
        .var("OS_TOKEN", "beside the point")
        .var("OS_USER_ID", "u")
        .var("OS_PASSWORD", "x")
        .var("OS_PROJECT_ID", "p");
    assert!(matches!(settings(&place).auth, Auth::Password(_)));
}

/// Another cloud than was meant would be the worst answer.
#[test]
fn variables_that_say_no_cloud_are_not_replaced_by_clouds_yaml() {
    let text = with_cloud("use = \"env\"");
    let yaml =
        "clouds:\n  other:\n    auth: {auth_url: https://k.example, username: u, password: x}\n";
    let place = Place::with(&text)
        .var("OS_AUTH_URL", "")
        .var("OS_REGION_NAME", "GRA11")
        .var("OS_CLIENT_CONFIG_FILE", "clouds.yaml");
    place.write("clouds.yaml", yaml);
    let refused = place.refused();
    assert!(refused.contains("no OS_* variable says which cloud"), "{refused}");
    assert!(refused.contains("scaling.toml:") && refused.contains("set OS_CLOUD"), "{refused}");

    let yaml = yaml.replace("username: u", "user_id: u, project_id: p");
    let place = Place::with(&text).var("OS_CLOUD", "other").var("OS_REGION_NAME", "GRA11");
    place.write("clouds.yaml", &yaml.replace("    auth:", "    region_name: GRA11\n    auth:"));
    assert_eq!(settings(&place).name, "other");
}

#[test]
fn settings_that_name_a_region_are_known() {
    let text = with_cloud(&format!("preset = \"ovhcloud-eu\"\n{ACCOUNT}"));
    let rest = "min = 0\nmax = 1\nflavor = \"f\"\nimage = \"i\"\nnetworks = \"auto\"\n";
    let groups = format!("\n[group.own]\nregion = \"SBG5\"\n{rest}\n[group.plain]\n{rest}");
    let place = Place::with(&format!("{text}{groups}"));
    private(&place.write("s", "hunter2\n"));
    let keys = settings(&place).region_keys;
    let keys: Vec<String> = keys.iter().map(|(r, keys)| format!("{r} {keys:?}")).collect();
    assert_eq!(
        keys,
        ["GRA11 [\"cloud.region\", \"group.web.region\"]", "SBG5 [\"group.own.region\"]"]
    );
}

#[test]
fn the_embedded_cloud_takes_no_sign_in() {
    let refused = place(&format!("use = \"sandbox\"\n{ACCOUNT}")).refused();
    assert_eq!(refused.matches("means nothing to the embedded cloud").count(), 4, "{refused}");
}

#[test]
fn what_is_shown_names_origins_and_hides_secrets() {
    let place = place(&format!("preset = \"ovhcloud-eu\"\n{ACCOUNT}"));
    let shown = serde_json::to_value(place.load().unwrap().cloud).unwrap();
    let setting = |name: &str| shown["settings"][name].clone();
    let file = place.path().join("s");
    assert_eq!(shown["name"], "ovhcloud-eu");
    assert_eq!(
        setting("auth_type"),
        json!({ "value": "v3oidcclientcredentials", "origin": "preset ovhcloud-eu" })
    );
    assert_eq!(setting("project_id"), json!({ "value": "p", "origin": "cloud.project_id" }));
    assert_eq!(setting("region"), json!({ "value": "GRA11", "origin": "cloud.region" }));
    assert_eq!(setting("interface"), json!({ "value": "public", "origin": "default" }));
    let redacted = format!("<redacted: file {}>", file.display());
    assert_eq!(
        setting("client_secret"),
        json!({ "value": redacted, "origin": "cloud.client_secret" })
    );
}

#[test]
fn what_is_given_in_variables_or_yaml_is_hidden_too() {
    let place = Place::with(&with_cloud("use = \"env\""))
        .var("OS_AUTH_URL", "https://k.example")
        .var("OS_USER_ID", "u")
        .var("OS_PASSWORD", "hunter2")
        .var("OS_PROJECT_ID", "p");
    let loaded = place.load().unwrap();
    let shown = serde_json::to_string(&loaded.cloud).unwrap();
    assert!(shown.contains("<redacted: env OS_PASSWORD>"), "{shown}");
    assert!(!shown.contains("hunter2") && !format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn another_project_has_another_directory_and_another_way_in_has_the_same() {
    let root = std::path::Path::new("/s");
    let dir = |cloud: &str| {
        let config = place(cloud).var("S", "x").load().unwrap().config;
        paths::cloud_dir(root, &config.cloud)
    };
    let preset = dir(&format!("preset = \"ovhcloud-eu\"\n{ACCOUNT}"));
    let other = dir(&format!("preset = \"ovhcloud-eu\"\n{}", ACCOUNT.replace("\"p\"", "\"q\"")));
    let token = dir(
        "auth_type = \"v3token\"\nauth_url = \"https://auth.cloud.ovh.net\"\ntoken = { env = \"S\" }\nproject_id = \"p\"\n",
    );
    assert_ne!(preset, other);
    assert_eq!(preset, token);
    assert!(
        preset.starts_with("/s/clouds")
            && preset.to_str().unwrap().contains("auth.cloud.ovh.net-p-")
    );
    assert_eq!(paths::database_file(&preset), preset.join("state.db"));
}
