//! Where things lie in the state directory.
//!
//! ```text
//! ROOT/                      --state-dir, $STATE_DIRECTORY, controller.state_dir, else .novascale
//!                            beside scaling.toml
//!   lock                     held by the daemon that runs; its text is the pid
//!   controller.id            which novascale launched a server
//!   freeze                   made by a person: holds every group, or those that it names
//!   daemon.json              while it runs: its pid and where it listens
//!   tokens/SCOPE             one per scope, mode 0600
//!   sandbox/                 the embedded cloud's own state
//!   clouds/HOST-PROJECT-xxxxxxxx/
//!     state.db               what is remembered of one cloud and project
//! ```
//!
//! Nothing here touches the disk.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::cloud::{Auth, Cloud, CredentialName, Domain, Project, User};
use super::env::Env;

/// The directory that all state lies in: systemd's `$STATE_DIRECTORY` (the first of its list),
/// else what is configured, else `.novascale` in `base`, where the configuration file lies.
/// Whoever starts there or elsewhere with the same file means the same daemon.
pub fn state_root(configured: Option<&Path>, base: &Path, env: &Env) -> PathBuf {
    match (systemd_root(env), configured) {
        (Some(dir), _) => dir,
        (None, Some(dir)) => env.cwd().join(dir),
        (None, None) => env.cwd().join(base).join(".novascale"),
    }
}

/// The state directory that systemd gave this process.
pub fn systemd_root(env: &Env) -> Option<PathBuf> {
    let dir = env.var("STATE_DIRECTORY").and_then(|list| list.split(':').next());
    dir.filter(|dir| !dir.is_empty()).map(|dir| env.cwd().join(dir))
}

/// The directory of the tokens, one file for each scope.
pub fn tokens_dir(root: &Path) -> PathBuf {
    root.join("tokens")
}

/// The file with the token of one scope (`signal`, `capacity`, `read`, `operate`).
pub fn token_file(root: &Path, scope: &str) -> PathBuf {
    tokens_dir(root).join(slug(scope))
}

/// Where a running daemon says its pid and its listeners' addresses.
pub fn daemon_file(root: &Path) -> PathBuf {
    root.join("daemon.json")
}

/// The install id: apart from the rest, so that it outlives lost state.
pub fn install_id_file(root: &Path) -> PathBuf {
    root.join("controller.id")
}

/// The embedded cloud's own directory, beside what the controller remembers of it.
pub fn sandbox_dir(root: &Path) -> PathBuf {
    root.join("sandbox")
}

/// The directory of one cloud and project: another project, another state. How one signs in
/// (preset, clouds.yaml, variables) has no part in it, so that moving settings keeps the state.
pub fn cloud_dir(root: &Path, cloud: &Cloud) -> PathBuf {
    root.join("clouds").join(cloud_name(cloud))
}

/// The database in a cloud's directory.
pub fn database_file(cloud_dir: &Path) -> PathBuf {
    cloud_dir.join("state.db")
}

fn cloud_name(cloud: &Cloud) -> String {
    let settings = match cloud {
        Cloud::Sandbox(_) => return "sandbox".to_owned(),
        Cloud::OpenStack(settings) => settings,
    };
    let (auth_url, project) = match &settings.auth {
        Auth::OidcClientCredentials(oidc) => (&oidc.auth_url, project(&oidc.project)),
        Auth::Password(password) => (&password.auth_url, project(&password.project)),
        Auth::Token(token) => (&token.auth_url, project(&token.project)),
        Auth::ApplicationCredential(credential) => (&credential.auth_url, who(&credential.who)),
    };
    let host = url::Url::parse(auth_url).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or("cloud");
    let label = project.last().map_or("", String::as_str);
    // The slugs are for people; the digest keeps apart what they make alike.
    let mut digest = Sha256::new();
    for part in std::iter::once(auth_url).chain(&project) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let digest = digest.finalize();
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{mark}", slug(host), slug(label))
}

fn project(project: &Project) -> Vec<String> {
    match project {
        Project::Id(id) => vec!["id".to_owned(), id.clone()],
        Project::Name { name, domain } => with_domain(domain, name),
    }
}

fn with_domain(domain: &Domain, name: &str) -> Vec<String> {
    match domain {
        Domain::Id(id) => vec!["domain id".to_owned(), id.clone(), name.to_owned()],
        Domain::Name(domain) => vec!["domain".to_owned(), domain.clone(), name.to_owned()],
    }
}

/// An application credential belongs to one project, which it does not name.
fn who(who: &CredentialName) -> Vec<String> {
    match who {
        CredentialName::Id(id) => vec!["credential".to_owned(), id.clone()],
        CredentialName::Name { name, user: User::Id(user) } => {
            vec!["credential of user id".to_owned(), user.clone(), name.clone()]
        }
        CredentialName::Name { name, user: User::Name { name: user, domain } } => {
            let mut parts = with_domain(domain, user);
            parts.push(name.clone());
            parts
        }
    }
}

/// Of a-z, 0-9, '-' and '.', at most 40, never beginning with a dot: safe in any file system.
fn slug(text: &str) -> String {
    let safe =
        |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let slug: String = text.chars().map(safe).take(40).collect();
    slug.trim_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_comes_before_the_file_and_the_file_before_the_default() {
        let plain = Env::new::<&str, &str>([], None, "/srv".into());
        let unit = Env::new([("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], None, "/".into());
        let configured = Some(Path::new("/var/state"));
        let base = Path::new("/etc/novascale");
        assert_eq!(state_root(None, base, &plain), Path::new("/etc/novascale/.novascale"));
        assert_eq!(state_root(None, Path::new(""), &plain), Path::new("/srv/.novascale"));
        assert_eq!(state_root(configured, base, &plain), Path::new("/var/state"));
        assert_eq!(state_root(configured, base, &unit), Path::new("/var/lib/a"));
    }

    #[test]
    fn names_stay_in_their_directory() {
        for (text, safe) in
            [("../../etc", "etc"), ("a/b\0c", "a-b-c"), ("GRA11", "gra11"), ("..", "")]
        {
            assert_eq!(slug(text), safe);
        }
        assert_eq!(token_file(Path::new("/s"), "../x"), Path::new("/s/tokens/x"));
    }
}
