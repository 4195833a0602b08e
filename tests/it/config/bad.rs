//! What is said of a bad file: every key absent, of a wrong type, out of range; and all at once.

use std::path::Path;

use novascale::config::{Config, Env};
use rstest::rstest;

use super::{Place, right, with_cloud};

#[rstest]
#[case("min", "`group.web.min` is missing")]
#[case("max", "`group.web.max` is missing")]
#[case("flavor", "`group.web.flavor` is missing")]
#[case("image", "`group.web.image` is missing")]
#[case("networks", "`group.web.networks` is missing")]
fn a_key_that_is_needed_is_asked_for(#[case] key: &str, #[case] said: &str) {
    let text: Vec<String> =
        right("").lines().filter(|l| !l.starts_with(key)).map(str::to_owned).collect();
    let refused = Place::with(&text.join("\n")).refused();
    assert!(refused.contains(said) && refused.contains("scaling.toml:4:1"), "{refused}");
    assert!(
        refused.ends_with("1 fault: the configuration is refused, nothing was changed"),
        "{refused}"
    );
}

/// Keys of every kind, each with its type's name in a fault.
const KEYS: [(&str, &str, &str); 49] = [
    ("controller", "state_dir", "a string"),
    ("controller", "id", "a string"),
    ("cloud", "use", "a string"),
    ("cloud", "sandbox", "a table"),
    ("cloud", "limits", "a table"),
    ("cloud.sandbox", "port", "a whole number"),
    ("cloud.sandbox", "region", "a string"),
    ("cloud.sandbox", "build", "a list"),
    ("cloud.sandbox", "delete", "a span of time"),
    ("cloud.sandbox", "token_life", "a span of time"),
    ("cloud.sandbox", "quota_instances", "a whole number"),
    ("cloud.limits", "read_per_second", "a number"),
    ("cloud.limits", "write_per_second", "a number"),
    ("cloud.limits", "concurrency", "a whole number"),
    ("cloud.limits", "call_timeout", "a span of time"),
    ("cloud.limits", "retry_after_most", "a span of time"),
    ("http", "webhook", "a string"),
    ("http", "admin", "a string"),
    ("http", "limits", "a table"),
    ("http.limits", "body_bytes", "a whole number"),
    ("http.limits", "header_timeout", "a span of time"),
    ("http.limits", "idle_timeout", "a span of time"),
    ("http.limits", "in_flight", "a whole number"),
    ("group.web", "tag", "a string"),
    ("group.web", "min", "a whole number"),
    ("group.web", "max", "a whole number"),
    ("group.web", "region", "a string"),
    ("group.web", "flavor", "a string or a list of strings"),
    ("group.web", "image", "a name or a table"),
    ("group.web", "networks", "a list of networks"),
    ("group.web", "security_groups", "a list"),
    ("group.web", "key_pair", "a string"),
    ("group.web", "availability_zones", "a list"),
    ("group.web", "user_data", "a string"),
    ("group.web", "user_data_file", "a string"),
    ("group.web", "metadata", "a table"),
    ("group.web", "name_prefix", "a string"),
    ("group.web", "boot_volume", "a table"),
    ("group.web", "server_group", "a string"),
    ("group.web", "anti_affinity", "a string"),
    ("group.web", "scale_in", "a table"),
    ("group.web", "patience", "a table"),
    ("group.web", "launch", "a table"),
    ("group.web", "meltdown", "a table"),
    ("group.web", "target", "a list"),
    ("group.web.scale_in", "velocity", "a percentage"),
    ("group.web.patience", "settle", "a span of time"),
    ("group.web.launch", "batch", "a whole number"),
    ("group.web.meltdown", "share", "a percentage"),
];

#[test]
fn a_key_of_a_wrong_type_is_refused() {
    for (section, key, wanted) in KEYS {
        let refused = Place::with(&format!("[{section}]\n{key} = true\n")).refused();
        let said = format!("`{section}.{key}` must be {wanted}");
        assert!(refused.contains(&said) && refused.contains("but it is a boolean"), "{refused}");
        assert!(!refused.contains(&format!("`{section}.{key}` is missing")), "{refused}");
        assert!(refused.contains("scaling.toml:2:"), "{refused}");
    }
    for (section, key) in [
        ("http", "behind_proxy"),
        ("group.web", "config_drive"),
        ("cloud", "insecure"),
        ("cloud", "allow_http"),
    ] {
        let refused = Place::with(&format!("[{section}]\n{key} = \"yes\"\n")).refused();
        assert!(refused.contains("must be true or false, but it is a string"), "{refused}");
    }
    for section in ["controller", "cloud", "http", "group"] {
        let refused = Place::with(&format!("{section} = 2026-01-02\n")).refused();
        assert!(
            refused.contains(&format!("`{section}` must be a table, but it is a date or time")),
            "{refused}"
        );
    }
}

/// Every section, as it is begun, and as faults call it.
const SECTIONS: [(&str, &str); 17] = [
    ("", ""),
    ("[controller]", "controller."),
    ("[cloud]", "cloud."),
    ("[cloud.sandbox]", "cloud.sandbox."),
    ("[cloud.limits]", "cloud.limits."),
    ("[cloud.client_secret]", "cloud.client_secret."),
    ("[cloud.token]", "cloud.token."),
    ("[http]", "http."),
    ("[http.limits]", "http.limits."),
    ("[group.web]", "group.web."),
    ("[group.web.image]", "group.web.image."),
    ("[group.web.boot_volume]", "group.web.boot_volume."),
    ("[group.web.scale_in]", "group.web.scale_in."),
    ("[group.web.patience]", "group.web.patience."),
    ("[group.web.launch]", "group.web.launch."),
    ("[group.web.meltdown]", "group.web.meltdown."),
    ("[[group.web.target]]", "group.web.target[0]."),
];

/// The keys that a section knows, by its own account.
fn known(section: &str) -> Vec<String> {
    let faults = Place::with(&format!("{section}\nx = 1\n")).load().unwrap_err();
    let mut hints = faults.all().iter().filter_map(|fault| fault.hint.as_deref());
    let known = hints.find_map(|hint| hint.strip_prefix("known here: ")).unwrap();
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_of_a_wrong_type_is_refused_where_it_stands() {
    let mut tried = 0;
    for (section, called) in SECTIONS {
        for key in known(section) {
            // No setting is a date.
            let faults = Place::with(&format!("{section}\n{key} = 2026-01-02\n")).load();
            let (faults, name) = (faults.unwrap_err(), format!("{called}{key}"));
            let fault = faults.all().iter().find(|f| f.key.as_deref() == Some(&name));
            let fault = fault.unwrap_or_else(|| panic!("{name} is taken:\n{faults}"));
            let said = &fault.reason;
            assert!(said.starts_with(&format!("`{name}` must be ")), "{said}");
            assert!(said.ends_with("but it is a date or time"), "{said}");
            assert_eq!(fault.file_and_line(), (Some("scaling.toml"), Some(2)), "{name}");
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} keys");
}

/// Lines of `[group.web]` that are each one fault, and what is said of it.
#[rstest]
#[case("tag = \"a/b\"", "`group.web.tag` is not a valid tag")]
#[case("tag = \"novascale:launch:x\"", "looks like a launch's tag")]
#[case("region = \"a b\"", "`group.web.region` is not a valid region")]
#[case("key_pair = \"\"", "`group.web.key_pair` is empty")]
#[case("key_pair = \"a\\u0007\"", "holds a control character")]
#[case("security_groups = [\"a\", \"a\"]", "`group.web.security_groups[1]` repeats \"a\"")]
#[case("security_groups = [\"a\", 1]", "`group.web.security_groups[1]` must be a string")]
#[case("availability_zones = []", "leave the key out to let Nova choose")]
#[case("availability_zones = [\"nova:host\"]", "is not a valid availability zone")]
#[case("user_data_file = \"absent\"", "`group.web.user_data_file` cannot be read")]
#[case(
    "user_data = \"a\"\nuser_data_file = \"b\"",
    "`group.web.user_data` and `group.web.user_data_file` exclude each other"
)]
#[case("metadata = { \"novascale:group\" = \"x\" }", "is novascale's own")]
#[case("metadata = { \"NovaScale:x\" = \"x\" }", "is novascale's own")]
#[case("metadata = { \"a/b\" = \"x\" }", "Nova does not take this metadata key")]
#[case("metadata = { a = 1 }", "`group.web.metadata.a` must be a string")]
#[case("name_prefix = \"-a\"", "is not fit for a server's name")]
#[case("boot_volume = {}", "`group.web.boot_volume.size_gib` is missing")]
#[case("boot_volume = { size_gib = 0 }", "is 0, but must be 1 to 65536")]
#[case("server_group = \"a\"\nanti_affinity = \"soft\"", "exclude each other")]
#[case("anti_affinity = \"hard\"", "write \"soft\" or \"strict\"")]
#[case("scale_in.velocity = \"0%\"", "above 0 and at most 100 %")]
#[case("scale_in.velocity = \"101%\"", "above 0 and at most 100 %")]
#[case("scale_in.velocity = \"NaN%\"", "is not a percentage")]
#[case("scale_in.velocity = \"25\"", "is not a percentage")]
#[case("scale_in.cooldown = 60", "write \"60s\" for seconds, \"60m\" for minutes")]
#[case("scale_in.cooldown = \"1 month\"", "is not a span of time")]
#[case("scale_in.cooldown = \"-1s\"", "is not a span of time")]
#[case("scale_in.cooldown = \"soon\"", "is not a span of time")]
#[case("scale_in.stabilization = \"2d\"", "is 2 d, but must be 0 s to 1 d")]
#[case("patience.build = \"10ms\"", "is 10 ms, but must be 1 s to 1 d")]
#[case("patience.settle = \"2m\"", "must be more than twice `cloud.limits.call_timeout`")]
#[case("launch.batch = 0", "is 0, but must be 1 to 200")]
#[case("launch.batch = 201", "is 201, but must be 1 to 200")]
#[case("launch.backoff_most = \"10s\"", "is below `group.web.launch.backoff_first`")]
#[case("patience.delete = \"0s\"", "is 0 s, but must be 1 s to 1 d")]
#[case("patience.settle = \"2d\"", "is 2 d, but must be 1 s to 1 d")]
#[case("launch.backoff_first = \"2h\"", "is 2 h, but must be 1 s to 1 h")]
#[case("launch.backoff_most = \"2d\"", "is 2 d, but must be 1 s to 1 d")]
#[case("scale_in.cooldown = \"2d\"", "is 2 d, but must be 0 s to 1 d")]
#[case("meltdown.share = \"0%\"", "above 0 and at most 100 %")]
#[case("meltdown.most = 0", "is 0, but must be 1 to")]
#[case("meltdown.within = \"2h\"", "is 2 h, but must be 1 min to 1 h")]
#[case("boot_volume = { size_gib = 65537 }", "is 65537, but must be 1 to 65536")]
#[case(
    "target = [{ signal = \"a\", per_server = 1, stale_after = \"8d\" }]",
    "is 8 d, but must be 1 s to 7 d"
)]
#[case("target = [{ signal = \"a\" }]", "`group.web.target[0].per_server` is missing")]
#[case("target = [{}]", "`group.web.target[0].signal` is missing")]
#[case("[group.web.target]\nsignal = \"a\"\nper_server = 1", "write [[group.web.target]]")]
#[case("scale_in.velocity = 50", "write \"50%\"")]
#[case("target = [{ signal = \"a\", per_server = 0 }]", "is 0, but must be above 0\n")]
#[case("target = [{ signal = \"a\", per_server = -1.5 }]", "is -1.5, but must be above 0")]
#[case("target = [{ signal = \"a\", per_server = nan }]", "must be a finite number")]
#[case("target = [{ signal = \"a\", per_server = 1e999 }]", "must be a finite number")]
#[case("target = [{ signal = \"a b\", per_server = 1 }]", "is not a valid signal name")]
#[case(
    "target = [{ signal = \"a\", per_server = 1 }, { signal = \"a\", per_server = 2 }]",
    "two targets follow the signal \"a\""
)]
#[case("flavour = \"d2-2\"", "did you mean `flavor`?")]
#[case("zones = [\"a\"]", "did you mean `availability_zones`?")]
fn a_group_that_cannot_be_right_is_refused(#[case] line: &str, #[case] said: &str) {
    let refused = Place::with(&right(line)).refused();
    assert!(refused.contains(said), "{refused}");
    assert!(
        refused.contains("scaling.toml:10:") || refused.contains("scaling.toml:11:"),
        "{refused}"
    );
}

/// What is needed, replaced by what cannot be.
#[rstest]
#[case("min = 1", "min = -1", "`group.web.min` is -1, which is no number from 0 upwards")]
#[case("min = 1", "min = 10001", "is 10001, but must be 0 to 10000")]
#[case("min = 1", "min = 99999999999999999999", "is no number from 0 upwards")]
#[case("min = 1", "min = 1.5", "must be a whole number, but it is a number with a fraction")]
#[case("min = 1", "min = 4", "`group.web.max` is 3, below `group.web.min`, which is 4")]
#[case("min = 1", "min = 4", "raise max, or lower min")]
#[case("max = 3", "max = 4294967296", "is 4294967296, but must be 0 to 10000")]
#[case("\"d2-2\"", "[]", "`group.web.flavor` is empty")]
#[case("\"d2-2\"", "[\"a\", \" b\"]", "`group.web.flavor[1]` begins or ends with a blank")]
#[case("\"Debian 12\"", "{}", "`group.web.image` says no image")]
#[case("\"Debian 12\"", "{ id = \"a\", name = \"b\" }", "exclude each other")]
#[case("\"Debian 12\"", "{ nam = \"b\" }", "did you mean `name`?")]
#[case("[\"Ext-Net\"]", "[]", "`group.web.networks` is empty")]
#[case("[\"Ext-Net\"]", "\"Ext-Net\"", "write [\"Ext-Net\"], \"auto\" or \"none\"")]
#[case("[\"Ext-Net\"]", "[\"auto\"]", "\"auto\" stands alone, not in a list")]
#[case("[group.web]", "[group.Web]", "`group.Web` is not a valid group name")]
#[case("[group.web]", "[groups.web]", "did you mean `group`?")]
#[case("[cloud]", "[clouds]", "did you mean `cloud`?")]
fn what_is_needed_must_be_right(#[case] from: &str, #[case] to: &str, #[case] said: &str) {
    let refused = Place::with(&right("").replace(from, to)).refused();
    assert!(refused.contains(said), "{refused}");
}

/// The rest of the file.
#[rstest]
#[case("[controller]\nid = \"ABC\"", "`controller.id` is not a valid install id")]
#[case("[controller]\nstate_dir = \"\"", "`controller.state_dir` is empty")]
#[case("[controller]\nstate_dir = \"a\\u0000\"", "`controller.state_dir` holds a NUL")]
#[case("[http]\nwebhook = \"localhost:80\"", "write an IP address and a port")]
#[case("[http]\nwebhook = \"0.0.0.0:80\"", "would take plain http from other machines")]
#[case("[http]\nadmin = \"127.0.0.1:7780\"", "are both 127.0.0.1:7780")]
#[case("[http.limits]\nbody_bytes = 1", "is 1, but must be 256 to 16777216")]
#[case("[http.limits]\nsignals_burst = 1", "is below `http.limits.signals_per_second`")]
#[case("[http.limits]\nconnections = 0", "is 0, but must be 1 to 65536")]
#[case("[http.limits]\nrequest_timeout = \"1h\"", "is 1 h, but must be 1 s to 5 min")]
#[case("[http.limits]\nheader_timeout = \"61s\"", "is 1 min 1 s, but must be 1 s to 1 min")]
#[case("[http.limits]\nidle_timeout = \"11m\"", "is 11 min, but must be 1 s to 10 min")]
#[case("[http.limits]\nin_flight = 65537", "is 65537, but must be 1 to 65536")]
#[case("[http.limits]\nsignals_per_second = 0", "is 0, but must be 1 to 1000000")]
#[case("[http.limits]\ncommands_per_second = 10001", "is 10001, but must be 1 to 10000")]
#[case("[http.limits]\nfailed_sign_ins_per_second = 0", "is 0, but must be 1 to 1000")]
#[case("[http.limits]\nfailed_sign_ins_burst = 1001", "is 1001, but must be 1 to 1000")]
#[case("[cloud.limits]\nwrite_per_second = 1001", "is 1001, but must be above 0 and at most 1000")]
#[case("[cloud.limits]\nretry_after_most = \"0s\"", "is 0 s, but must be 1 s to 1 h")]
#[case("[cloud.sandbox]\nquota_instances = 10001", "is 10001, but must be 0 to 10000")]
#[case("[cloud.sandbox]\ntoken_life = \"0s\"", "is 0 s, but must be 1 s to 1 d")]
#[case("[cloud.sandbox]\ndelete = \"2h\"", "is 2 h, but must be 0 s to 1 h")]
#[case("[cloud.limits]\nread_per_second = 0", "is 0, but must be above 0 and at most 1000")]
#[case("[cloud.limits]\nconcurrency = 0", "is 0, but must be 1 to 256")]
#[case("[cloud.limits]\ncall_timeout = \"1d\"", "is 1 d, but must be 1 s to 10 min")]
#[case("[cloud.sandbox]\nport = 65536", "is 65536, but must be 0 to 65535")]
#[case("[cloud.sandbox]\nbuild = [\"1s\"]", "`cloud.sandbox.build` must be two spans of time")]
#[case("[cloud.sandbox]\nbuild = [\"2s\", \"1s\"]", "begins with the longer span")]
#[case("[cloud.sandbox]\nregion = \"\"", "`cloud.sandbox.region` is not a valid region")]
fn the_rest_must_be_right(#[case] section: &str, #[case] said: &str) {
    let refused = Place::with(&right(section)).refused();
    assert!(refused.contains(said), "{refused}");
    assert!(refused.contains("1 fault:"), "{refused}");
}

#[test]
fn two_groups_must_not_claim_the_same_servers() {
    let second = "[group.other]\ntag = \"Novascale:WEB\"\nmin = 0\nmax = 1\nflavor = \"f\"\nimage = \"i\"\nnetworks = \"none\"\n";
    let refused = Place::with(&right(second)).refused();
    assert!(refused.contains("groups `other` and `web` have the same tag"), "{refused}");
}

#[test]
fn too_much_metadata_is_refused() {
    let entries = |n: usize| (0..n).map(|i| format!("k{i} = \"v\"\n")).collect::<String>();
    let text = |n: usize| right(&format!("[group.web.metadata]\n{}", entries(n)));
    assert!(Place::with(&text(124)).load().is_ok());
    assert!(Place::with(&text(125)).refused().contains("Nova allows 128, and novascale adds 4"));
    let long = right(&format!("metadata = {{ a = \"{}\" }}", "é".repeat(256)));
    assert!(Place::with(&long).refused().contains("longer than the 255 characters"));
}

const DOZEN: &str = r#"# A file with something wrong everywhere.
[controler]
state_dir = "state"

[cloud]
preset = "ovhcloud-uk"
auth_url = "https://novascale:hunter2@keystone.example/v3"
client_secret = "hunter2"   # never quoted

[http]
webhook = "0.0.0.0:7780"
limits = { signals_per_second = "many" }

[group.web]
min = 5
max = 3
flavour = "d2-2"
image = { newest = 12 }
networks = "Ext-Net"
user_data = """
password: hunter2
"""
metadata = { "novascale:group" = "mine", ok = "fine" }

[group.web.scale_in]
cooldown = 60
velocity = "150%"

[group.Batch]
min = 0
max = 1
flavor = "d2-2"
image = "Debian 12"
networks = "auto"
"#;

#[test]
fn a_dozen_faults_are_reported_together() {
    let refused = Place::with(DOZEN).refused();
    assert!(!refused.contains("hunter2"));
    insta::assert_snapshot!("a_dozen_faults", refused);
}

/// What follows from a fault is no fault of its own.
#[rstest]
#[case("use = 5", "`cloud.use` must be a string")]
#[case("preset = true", "`cloud.preset` must be a string")]
#[case("prset = \"ovhcloud-eu\"", "did you mean `preset`?")]
#[case("client_secret = \"hunter2\"", "`cloud.client_secret` holds the secret itself")]
fn a_cloud_that_could_not_be_read_is_one_fault(#[case] line: &str, #[case] said: &str) {
    let text = right("").replace("use = \"sandbox\"", line);
    // Whatever other places hold: it is not what was meant.
    let place = Place::with(&text).var("OS_AUTH_URL", "nonsense").var("OS_USERNAME", "me");
    let refused = place.refused();
    assert!(refused.contains(said) && refused.contains("1 fault:"), "{refused}");
}

#[test]
fn a_secret_without_a_place_is_one_fault() {
    let cloud =
        "preset = \"ovhcloud-eu\"\nproject_id = \"p\"\nclient_id = \"c\"\nclient_secret = {}";
    let refused = Place::with(&with_cloud(cloud)).refused();
    assert!(refused.contains("`cloud.client_secret` says no place"), "{refused}");
    assert!(refused.contains("1 fault:"), "{refused}");
}

#[test]
fn a_region_that_is_missing_is_told_beside_what_else_is() {
    for (preset, also) in
        [("ovhcloud-eu", "`cloud.client_secret` is missing"), ("ovhcloud-uk", "no preset")]
    {
        let cloud = format!("preset = \"{preset}\"\nproject_id = \"p\"\nclient_id = \"c\"");
        let text = with_cloud(&cloud).replace("region = \"GRA11\"\n", "");
        let refused = Place::with(&text).refused();
        assert!(refused.contains("`group.web.region` is missing"), "{refused}");
        assert!(refused.contains(also), "{refused}");
        let wrong = text.replace("client_id = \"c\"", "client_id = \"c\"\nregion = 5");
        assert!(!Place::with(&wrong).refused().contains("region` is missing"), "{refused}");
    }
}

#[test]
fn a_cloud_section_that_names_none_is_pointed_at() {
    let refused = Place::with(&right("").replace("use = \"sandbox\"", "")).refused();
    assert!(refused.contains("no telling which cloud to use"), "{refused}");
    assert!(refused.contains("scaling.toml:1:"), "{refused}");
}

#[test]
fn more_faults_than_anybody_reads_are_counted() {
    let many: String = (0..60).map(|n| format!("key{n}key = 1\n")).collect();
    let refused = Place::with(&right(&many)).refused();
    assert_eq!(refused.matches("is not a setting").count(), 50);
    assert!(refused.contains("60 faults, of which the first 50 are shown:"), "{refused}");
}

#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    let cloud = "auth_type = \"v3token\"\nauth_url = \"https://u:hunter2@k.example/v3\"\n\
                 token = { env = \"T\" }\nproject_id = \"p\"";
    let refused = Place::with(&with_cloud(cloud)).var("T", "x").refused();
    assert!(refused.contains("`cloud.auth_url` holds a user name or password"), "{refused}");
    assert!(refused.contains("https://*********@k.example/v3"), "{refused}");
}

#[test]
fn what_is_missing_is_not_told_where_something_says_more() {
    let text = right("").replace("flavor", "flavour")
        + right("").replace("web", "web2").replace("flavor = ", "#").split("\n\n").nth(1).unwrap();
    let refused = Place::with(&text).refused();
    assert!(!refused.contains("`group.web.flavor` is missing"), "{refused}");
    assert!(refused.contains("`group.web2.flavor` is missing"), "{refused}");
    assert!(refused.ends_with("2 faults: the configuration is refused, nothing was changed"));
}

#[test]
fn faults_can_be_read_by_programs() {
    let faults = Place::with(&right("flavour = \"d2-2\"")).load().unwrap_err();
    insta::assert_json_snapshot!(faults, @r#"
    [
      {
        "severity": "fault",
        "key": "group.web.flavour",
        "file": "scaling.toml",
        "line": 10,
        "reason": "`group.web.flavour` is not a setting",
        "hint": "did you mean `flavor`?"
      }
    ]
    "#);
}

#[test]
fn colour_is_a_choice() {
    let faults = Place::with(&right("flavour = \"d2-2\"")).load().unwrap_err();
    assert!(!faults.to_string().contains('\u{1b}') && faults.render(true).contains("\u{1b}["));
}

#[test]
fn a_text_that_is_no_toml_is_refused_where_it_breaks() {
    let place = Place::with("[group.web]\nmin = = 1\npassword = \"hunter2\n[group.web]\nmin = 1\n");
    let refused = place.refused();
    assert!(
        refused.contains("this is not TOML") && refused.contains("scaling.toml:2:"),
        "{refused}"
    );
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let refused = Place::with(&right("min = 2")).refused();
    assert!(refused.contains("this is not TOML: duplicate key"), "{refused}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    let refused = place.refused();
    assert!(
        refused.contains("scaling.toml cannot be read") && refused.contains("--config FILE"),
        "{refused}"
    );
    place.write("scaling.toml", &"#".repeat(1_100_000));
    assert!(place.refused().contains("longer than 1 MiB"));
    std::fs::write(place.path().join("scaling.toml"), b"a = 1\n# \xc3\xa9 \xff").unwrap();
    let refused = place.refused();
    assert!(refused.contains("line 2 is not UTF-8 text"), "{refused}");
    assert!(refused.contains("scaling.toml:2:5"), "{refused}");
    std::fs::remove_file(place.path().join("scaling.toml")).unwrap();
    std::fs::create_dir(place.path().join("scaling.toml")).unwrap();
    assert!(place.refused().contains("name the file in it, as scaling.toml/scaling.toml"));
}

#[test]
fn who_named_a_file_is_not_told_to_name_one() {
    let place = Place::new();
    let absent = Config::load(Path::new("etc/absent.toml"), &place.env()).unwrap_err().to_string();
    assert!(absent.contains("is the path right?") && !absent.contains("--config"), "{absent}");
}

proptest::proptest! {
    /// Whatever the bytes, there is an answer, and no secret in it.
    #[test]
    fn no_text_breaks_it(text in "(\\[?(cloud|group\\.web|http|x)\\]?\n|min = -?[0-9]{1,25}\n|[a-z_]{1,9} ?= ?[\"'{\\[]{0,3}[a-zé0-9 ,]{0,6}[\"'}\\]]{0,3}\n|client_secret = ['\"]{0,3}hunter2['\"\\\\]{0,3}\n){0,12}") {
        if let Err(faults) = Config::parse(&text, Path::new("scaling.toml"), &Env::default()) {
            let said = faults.render(true);
            proptest::prop_assert!(!said.contains("hunter2"), "{}", said);
        }
    }
}
