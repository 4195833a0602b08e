//! What the machine tells a program: variables, the home and the working directory.
//!
//! It is a value that is handed in, so that what a configuration means depends on nothing
//! else, and a test brings its own. It may hold secrets, so it never prints a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::secret::SecretEnv;

/// Variables and directories, as they were when it was made.
#[derive(Clone, Default)]
pub struct Env {
    variables: Arc<BTreeMap<String, String>>,
    home: Option<PathBuf>,
    cwd: PathBuf,
    site: Vec<PathBuf>,
}

/// Where openstacksdk looks after the user's own directories.
/// Source: openstacksdk `openstack/config/loader.py`, `SITE_CONFIG_HOME` and `UNIX_SITE_CONFIG_HOME`.
const SITE: [&str; 2] = ["/etc/xdg/openstack", "/etc/openstack"];

impl Env {
    /// An environment of exactly these variables; no site directory is looked into.
    pub fn new<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
        home: Option<PathBuf>,
        cwd: PathBuf,
    ) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { variables: Arc::new(variables), home, cwd, site: Vec::new() }
    }

    /// This process's. A variable that is not UTF-8 counts as not set.
    pub fn from_process() -> Self {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((text(k)?, text(v)?)));
        let home = std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { site: SITE.map(PathBuf::from).into(), ..Self::new(variables, home, cwd) }
    }

    /// A variable's value; one that is set to nothing counts as not set.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All variables that are set to something, in order of their names.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.variables.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        all.filter(|(_, value)| !value.is_empty())
    }

    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// A path as people write it: `~` is the home directory, and a relative one lies below `base`.
    pub fn path(&self, text: &str, base: &Path) -> PathBuf {
        match (text.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => {
                home.join(rest.trim_start_matches('/'))
            }
            _ => base.join(text),
        }
    }

    /// Where clouds.yaml is looked for, in order.
    /// Source: openstacksdk `openstack/config/loader.py`, `CONFIG_SEARCH_PATH`.
    pub fn openstack_dirs(&self) -> Vec<PathBuf> {
        let user = self.var("XDG_CONFIG_HOME").map(|dir| self.path(dir, &self.cwd));
        let user = user.or_else(|| Some(self.home.as_ref()?.join(".config")));
        let mut dirs = vec![self.cwd.clone()];
        dirs.extend(user.map(|dir| dir.join("openstack")));
        dirs.extend(self.site.iter().cloned());
        dirs
    }

    /// What secrets are read with.
    pub fn secrets(&self) -> SecretEnv {
        SecretEnv::new(self.clone())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Env({} variables, in {})", self.variables.len(), self.cwd.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_people_write_them() {
        let env = Env::new([("A", ""), ("B", "b")], Some("/home/me".into()), "/srv".into());
        let base = Path::new("/etc/novascale");
        assert_eq!(env.path("~/x", base), Path::new("/home/me/x"));
        assert_eq!(env.path("~", base), Path::new("/home/me"));
        assert_eq!(env.path("~you/x", base), Path::new("/etc/novascale/~you/x"));
        assert_eq!(env.path("x", base), Path::new("/etc/novascale/x"));
        assert_eq!(env.path("/x", base), Path::new("/x"));
        assert_eq!((env.var("A"), env.var("B"), env.var("C")), (None, Some("b"), None));
    }

    #[test]
    fn no_value_prints() {
        let env = Env::new([("OS_PASSWORD", "hunter2")], None, "/".into());
        assert_eq!(format!("{env:?}"), "Env(1 variables, in /)");
    }
}
