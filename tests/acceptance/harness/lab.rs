//! The lab as a test holds it: one at a time, put back to what it was when it is let go.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use super::log::Mark;

/// There is one lab on a machine, and its quotas and hosts are everybody's.
static ONE: Mutex<()> = Mutex::new(());

/// A cloud of clouds.yaml, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub struct NamedCloud {
    pub region_name: String,
    pub auth: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct CloudsYaml {
    clouds: BTreeMap<String, NamedCloud>,
}

/// The lab, held by one test.
pub struct Lab {
    root: PathBuf,
    story: &'static str,
    began: Instant,
    clouds: BTreeMap<String, NamedCloud>,
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    /// Takes the lab for one story. The first time it is made sure that all of it runs.
    pub fn take(story: &'static str) -> Self {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let root = root();
        let clouds = root.join("clouds.yaml");
        let clouds = std::fs::read_to_string(&clouds).unwrap_or_else(|error| {
            panic!("there is no lab ({}: {error}); tests/lab/up makes one", clouds.display())
        });
        let CloudsYaml { clouds } = serde_saphyr::from_str(&clouds).unwrap();
        let mut lab = Self { root, story, began: Instant::now(), clouds, _alone: alone };
        static LEFTOVERS: Once = Once::new();
        LEFTOVERS.call_once(|| {
            lab.run(&["status"]);
            // What a run that was cut short left behind.
            lab.run(&["reset"]);
        });
        lab.began = Instant::now();
        say(&format!("{story}: begins"));
        lab
    }

    /// `tests/lab/lab …`; it must succeed.
    pub fn run(&self, words: &[&str]) -> String {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab");
        let mut command = Command::new(tool);
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("OPENSTACK_LAB", &self.root);
        let (good, out, err) = output(&mut command);
        assert!(good, "lab {}: {out}{err}", words.join(" "));
        out
    }

    /// The real command line, as the service account, with a microversion that shows tags.
    pub fn openstack(&self, words: &[&str]) -> String {
        let cloud = ["--os-cloud", "ovhcloud", "--os-compute-api-version", "2.90"];
        openstack(&self.clouds_yaml(), &[&cloud, words].concat())
    }

    /// How many servers carry the tag, and whether all are ACTIVE: the `openstack` command's word.
    pub fn counted(&self, tag: &str) -> usize {
        let listed = self.openstack(&["server", "list", "--tags", tag, "-f", "json"]);
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let active = listed.iter().filter(|server| server["Status"] == "ACTIVE").count();
        assert_eq!(active, listed.len(), "not all are ACTIVE: {listed:?}");
        listed.len()
    }

    pub fn clouds_yaml(&self) -> PathBuf {
        self.root.join("clouds.yaml")
    }

    pub fn cloud(&self, name: &str) -> &NamedCloud {
        self.clouds.get(name).unwrap_or_else(|| panic!("clouds.yaml has no {name}"))
    }

    /// The end of a service's log as it is now.
    pub fn mark(&self, log: &str) -> Mark {
        Mark::now(self.root.join("log").join(log))
    }

    /// Ids of what the lab was made with.
    pub fn ids(&self) -> Value {
        let text = std::fs::read_to_string(self.root.join("ids.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What was measured, beside the test's name.
    pub fn note(&self, words: &str) {
        say(&format!("{}: {:4} s: {words}", self.story, self.began.elapsed().as_secs()));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let took = self.began.elapsed().as_secs();
        let verdict = if std::thread::panicking() { "FAILED" } else { "done" };
        say(&format!("{}: {verdict} after {took} s", self.story));
        if std::thread::panicking() {
            let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab");
            let reset = Command::new(tool).arg("reset").env("OPENSTACK_LAB", &self.root).status();
            say(&format!("{}: the lab was reset: {reset:?}", self.story));
        } else {
            self.run(&["reset"]);
        }
    }
}

/// The real command line, with the clouds of this file; it must succeed.
pub(super) fn openstack(clouds_yaml: &Path, words: &[&str]) -> String {
    let mut command = Command::new("/usr/bin/openstack");
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    command.envs(clouds_yaml.parent().map(|home| ("HOME", home)));
    let (good, out, err) = output(command.env("OS_CLIENT_CONFIG_FILE", clouds_yaml));
    assert!(good, "openstack {}: {out}{err}", words.join(" "));
    out
}

/// One line that is seen at once, also of a test that passes: the test runner keeps back what
/// the print macros write.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn root() -> PathBuf {
    let named = ["NOVASCALE_LAB", "OPENSTACK_LAB"].iter().find_map(std::env::var_os);
    named.filter(|path| !path.is_empty()).map_or("/var/tmp/openstack-lab".into(), PathBuf::from)
}

fn output(command: &mut Command) -> (bool, String, String) {
    let ended = command.stdin(Stdio::null()).output();
    let ended = ended.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.success(), text(&ended.stdout), text(&ended.stderr))
}
