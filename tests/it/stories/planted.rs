//! A secret in each place that one can stand in, and everything that may go wrong with it: what
//! is said and stored holds none of them.
//!
//! The other stories end with the same search; this one goes through the places. What single
//! answers may repeat is tried in `tests/it/openstack/hush.rs`, what senders send in
//! `tests/it/http/secrets.rs`.

use serde_json::json;

use super::canary;
use super::cloud::{APPLICATION_SECRET, CLIENT_SECRET, Cloud, Fault, PASSWORD};
use super::place::{FAST, Place, group};

/// A way to sign in, with the place that its secret stands in.
struct Way {
    name: &'static str,
    /// `[cloud]`, with the cloud's own settings at hand.
    section: fn(&Cloud) -> String,
    /// Files beside scaling.toml.
    files: fn(&Cloud) -> Vec<(&'static str, String)>,
    variables: fn(&Cloud, &Place) -> Vec<(&'static str, String)>,
}

const WAYS: [Way; 7] = [
    Way {
        name: "a variable that the file names",
        section: |cloud| {
            cloud.section().replace("{ file = \"client-secret\" }", "{ env = \"KEY\" }")
        },
        files: |_| vec![],
        variables: |_, _| vec![("KEY", CLIENT_SECRET.to_owned())],
    },
    Way {
        name: "a credential of systemd",
        section: |cloud| {
            cloud
                .section()
                .replace("{ file = \"client-secret\" }", "{ credential = \"client-secret\" }")
        },
        files: |_| vec![],
        variables: |_, place| vec![("CREDENTIALS_DIRECTORY", place.path().display().to_string())],
    },
    Way {
        name: "a password in a file",
        section: |cloud| password(cloud, "{ file = \"password\" }"),
        files: |_| vec![("password", PASSWORD.to_owned())],
        variables: |_, _| vec![],
    },
    Way {
        name: "an application credential in a file",
        section: |cloud| {
            format!(
                "[cloud]\nauth_type = \"v3applicationcredential\"\nauth_url = \"{}\"\n\
                 application_credential_id = \"credential-1\"\n\
                 application_credential_secret = {{ file = \"application\" }}\nregion = \"{}\"\n\n",
                cloud.auth_url(),
                cloud.region()
            )
        },
        files: |_| vec![("application", APPLICATION_SECRET.to_owned())],
        variables: |_, _| vec![],
    },
    Way {
        name: "a token in a file",
        section: |cloud| {
            format!(
                "[cloud]\nauth_type = \"v3token\"\nauth_url = \"{}\"\ntoken = {{ file = \"token\" }}\n\
                 project_id = \"{}\"\nregion = \"{}\"\n\n",
                cloud.auth_url(),
                cloud.project(),
                cloud.region()
            )
        },
        files: |cloud| vec![("token", cloud.operator())],
        variables: |_, _| vec![],
    },
    Way {
        name: "clouds.yaml",
        section: |_| "[cloud]\ncloud = \"there\"\n\n".to_owned(),
        files: |cloud| vec![("clouds.yaml", clouds_yaml(cloud))],
        variables: |_, _| vec![],
    },
    Way {
        name: "OS_PASSWORD",
        section: |_| "[cloud]\nuse = \"env\"\n\n".to_owned(),
        files: |_| vec![],
        variables: |cloud, _| {
            vec![
                ("OS_AUTH_TYPE", "v3password".to_owned()),
                ("OS_AUTH_URL", cloud.auth_url()),
                ("OS_USERNAME", "operator".to_owned()),
                ("OS_USER_DOMAIN_NAME", "Default".to_owned()),
                ("OS_PASSWORD", PASSWORD.to_owned()),
                ("OS_PROJECT_ID", cloud.project()),
                ("OS_REGION_NAME", cloud.region()),
            ]
        },
    },
];

fn password(cloud: &Cloud, secret: &str) -> String {
    format!(
        "[cloud]\nauth_type = \"v3password\"\nauth_url = \"{}\"\nusername = \"operator\"\n\
         user_domain_name = \"Default\"\npassword = {secret}\nproject_id = \"{}\"\n\
         region = \"{}\"\n\n",
        cloud.auth_url(),
        cloud.project(),
        cloud.region()
    )
}

fn clouds_yaml(cloud: &Cloud) -> String {
    format!(
        "clouds:\n  there:\n    auth_type: v3password\n    region_name: {}\n    auth:\n      \
         auth_url: {}\n      username: operator\n      user_domain_name: Default\n      \
         password: {PASSWORD}\n      project_id: {}\n",
        cloud.region(),
        cloud.auth_url(),
        cloud.project()
    )
}

/// What goes wrong, or nothing: whatever the cloud is asked it says back; it is well. Each ends
/// with a line of the log.
type Trouble = (fn(&Cloud), &'static str);

const TROUBLES: [Trouble; 2] = [
    (|cloud| cloud.tamper(|_| Some(Fault::Echo(401))), "cannot sign in"),
    (Cloud::mend, "1 serve"),
];

fn story(way: &Way) {
    let cloud = Cloud::start();
    let section = (way.section)(&cloud);
    let place = Place::new(&format!("{section}{FAST}{}", group("web", 1, 3)));
    let mut planted = Vec::new();
    for (name, text) in (way.files)(&cloud) {
        place.write(name, &text);
        planted.push(text);
    }
    let variables = (way.variables)(&cloud, &place);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for words in ["check --verbose", "check --show-cloud", "check --show-cloud --output json"] {
        let ran = place.novascale_with(words, &variables);
        assert_eq!(ran.code, 0, "{}: {words}: {}{}", way.name, ran.out, ran.err);
    }
    for (befalls, said) in TROUBLES {
        befalls(&cloud);
        let daemon = place.start_with(&variables);
        daemon.says(said);
        canary::ask_everything(&place);
        place.novascale("status --verbose");
        place.novascale("explain web --verbose");
        let stopped = daemon.stop();
        assert_eq!(stopped.code, 0, "{}: {}", way.name, stopped.log);
    }
    assert_eq!(cloud.members("web"), 1, "{}", way.name);
    canary::search(&place, Some(&cloud));
    // A file that holds more than its secret is not one itself.
    canary::search_for(&place, planted.into_iter().filter(|text| !text.contains('\n')).collect());
}

#[test]
fn a_secret_is_shown_from_no_place_that_it_may_stand_in() {
    std::thread::scope(|scope| {
        for way in &WAYS {
            let named = std::thread::Builder::new().name(way.name.to_owned());
            named.spawn_scoped(scope, || story(way)).unwrap();
        }
    });
}

/// `[cloud]` as a slip has broken it at the secret itself, or beside it.
fn broken(cloud: &Cloud) -> [String; 9] {
    let inline = password(cloud, &format!("\"{PASSWORD}\""));
    let url = cloud.auth_url().replace("http://", &format!("http://operator:{PASSWORD}@"));
    [
        inline.clone(),
        inline.replace("password = \"", "password = "),
        inline.replace("password = \"", "pasword = \""),
        password(cloud, &format!("{{ file = 7, text = \"{PASSWORD}\" }}")),
        password(cloud, &format!("{{ text = \"{PASSWORD}\" }}")),
        password(cloud, &format!("[\"{PASSWORD}\"]")),
        password(cloud, &format!("\"\"\"\n{PASSWORD}")),
        password(cloud, "{ file = \"password\" }").replace(&cloud.auth_url(), &url),
        format!("{inline}[[group\n"),
    ]
}

#[test]
fn a_secret_in_a_broken_file_is_not_shown() {
    let cloud = Cloud::start();
    let rest = format!("{FAST}{}", group("web", 1, 3));
    let files = broken(&cloud);
    let place = Place::new(&rest);
    for file in &files {
        place.write("scaling.toml", &format!("{file}{rest}"));
        for words in ["check", "check --show-cloud", "check --output json", "run"] {
            let ran = place.novascale(words);
            assert_eq!(ran.code, 78, "{words}: {ran:?}\n{file}");
        }
    }
    let yaml = clouds_yaml(&cloud);
    for broken in [
        yaml.replace(": Default", ": [Default"),
        yaml.replace("      password: ", "      password "),
        yaml.replace("auth:\n", "auth: "),
        yaml.replace("password: ", "password: \"\\q"),
    ] {
        place.write("clouds.yaml", &broken);
        place.write("scaling.toml", &format!("[cloud]\ncloud = \"there\"\n\n{rest}"));
        for words in ["check", "check --show-cloud", "run"] {
            let ran = place.novascale(words);
            assert_eq!(ran.code, 78, "{words}: {ran:?}\n{broken}");
        }
    }
    for (who, text) in place.said() {
        assert!(!text.contains(PASSWORD), "{who}: {text}");
    }
}

/// What a daemon says of a file that is read again, by a signal or by a command.
#[test]
fn a_secret_in_a_file_that_is_not_taken_is_not_shown() {
    let cloud = Cloud::start();
    let (rest, web) = (format!("{FAST}{}", group("web", 1, 3)), group("web", 1, 3));
    let place = Place::new(&format!("{}{rest}", cloud.section()));
    let daemon = place.start();
    place.until_steady("web", 1);
    let user_data = "user_data = \"#!/bin/sh";
    let of_group = [
        web.replace(user_data, "user_data = 7 # #!/bin/sh"),
        web.replace(user_data, "user_date = \"#!/bin/sh"),
        web.replace(user_data, "user_data = [\"#!/bin/sh"),
        web.replace("min = 1", "min = \"many\""),
    ];
    let files = broken(&cloud).map(|section| format!("{section}{rest}")).into_iter();
    let of_group = of_group.map(|web| format!("{}{FAST}{web}", cloud.section())).into_iter();
    for (told, file) in files.chain(of_group).enumerate() {
        place.write("scaling.toml", &file);
        daemon.signal("HUP");
        daemon.says_often("not reloaded: ", 2 * told + 1);
        let heard = place.ask("admin", "POST /v1/reload", "operate", Some(json!({})));
        assert_eq!(heard.status, 422, "{heard:?}\n{file}");
        place.novascale("status --state-dir .novascale");
        canary::ask_everything(&place);
    }
    assert_eq!(daemon.stop().code, 0);
    canary::search(&place, Some(&cloud));
}
