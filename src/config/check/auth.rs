//! Turns a cloud's options into a way to sign in, by its auth type.
//!
//! Only what the type uses is looked at: an `OS_TOKEN` beside a password is nobody's fault. An
//! application credential is bound to its project, so a project beside it is left out: Keystone
//! answers 401 to a scope there (keystone `keystone/auth/core.py`).

use super::super::cloud::{
    AccessTokenType, ApplicationCredential, Auth, CredentialName, Domain, Oidc, Password, Project,
    Token, User,
};
use super::super::fault::Sink;
use super::super::options::{Base, OptionValue, Options, Origin};
use super::super::presets::{self, Parts};
use super::super::secret::Secret;
use super::super::view::CloudView;
use super::endpoint::{self, Allowed};
use super::{Around, secrets};

const SUPPORTED: &str = "v3oidcclientcredentials, v3applicationcredential, v3password (or password), v3token (or token)";

/// keystoneauth's default. Source: `keystoneauth1/loading/_plugins/identity/v3.py`.
const DEFAULT_SCOPE: &str = "openid profile";

/// Takes options one by one, noting each in the view.
pub(super) struct Taker<'a> {
    pub(super) options: &'a Options,
    pub(super) around: Around<'a>,
    pub(super) allowed: Allowed,
    pub(super) sink: &'a mut Sink,
    pub(super) view: &'a mut CloudView,
}

/// The way to sign in; none if a fault stands in it.
pub(super) fn check(taker: &mut Taker<'_>) -> Option<Auth> {
    match taker.auth_type()?.as_str() {
        "v3oidcclientcredentials" => oidc(taker).map(Auth::OidcClientCredentials),
        "v3applicationcredential" => application_credential(taker).map(Auth::ApplicationCredential),
        "v3password" | "password" => password(taker).map(Auth::Password),
        "v3token" | "token" => token(taker).map(Auth::Token),
        other => {
            let why = format!("is \"{other}\", which novascale cannot sign in with");
            let fault = taker.options.fault("auth_type", &why, taker.sink);
            fault.hint(format!("it can with {SUPPORTED}"));
            None
        }
    }
}

impl Taker<'_> {
    /// In clouds.yaml and in variables it is `password` unless said otherwise.
    /// Source: openstacksdk `openstack/config/defaults.json`.
    fn auth_type(&mut self) -> Option<String> {
        if let Some(given) = self.text("auth_type") {
            return Some(given);
        }
        let has = |name: &str| self.options.get(name).is_some();
        let meant = [
            ("client_id", "v3oidcclientcredentials"),
            ("application_credential_id", "v3applicationcredential"),
            ("application_credential_secret", "v3applicationcredential"),
        ];
        let meant = meant.iter().find(|(name, _)| has(name)).map(|(_, auth_type)| *auth_type);
        let hint = meant.map(|auth_type| format!("did you mean \"{auth_type}\"?"));
        if hint.is_some() || matches!(self.options.base, Base::Written(_)) {
            let fault = self.options.missing("auth_type", self.sink);
            fault.hint(hint.unwrap_or_else(|| format!("one of {SUPPORTED}")));
            return None;
        }
        self.view.show("auth_type", "password", "default");
        Some("password".to_owned())
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.options.text(name)?.to_owned();
        let origin = self.options.get(name).map(|given| given.origin.describe());
        self.view.show(name, text.as_str(), origin.unwrap_or_default());
        Some(text)
    }

    fn need(&mut self, name: &str) -> Option<String> {
        let text = self.text(name).filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.options.missing(name, self.sink);
        }
        text
    }

    fn or_default(&mut self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.view.show(name, default, "default");
            default.to_owned()
        })
    }

    fn secret(&mut self, name: &'static str) -> Option<Secret> {
        if self.options.is_refused(name) {
            return None;
        }
        let Some(given) = self.options.get(name) else {
            let fault = self.options.missing(name, self.sink);
            if matches!(self.options.base, Base::Written(_)) {
                fault.hint(format!("write {name} = {{ file = \"…\" }}: never the secret itself"));
            }
            return None;
        };
        let OptionValue::Secret(secret) = &given.value else { return None };
        self.view.show_secret(name, secret, &given.origin.describe());
        secrets::judge(self.options, name, secret, self.around, self.sink);
        Some(secret.clone())
    }

    /// A text that becomes part of a URL's path as it is.
    fn segment(&mut self, name: &str) -> Option<String> {
        let text = self.need(name)?;
        if text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~:@".contains(c)) {
            return Some(text);
        }
        let why = "goes into a URL and holds a character that may not";
        self.options.fault(name, why, self.sink).hint("use letters, digits, '-', '_' and '.'");
        None
    }

    fn auth_url(&mut self) -> Option<String> {
        self.need("auth_url")?;
        let url = self.endpoint("auth_url")??;
        let url = url.trim_end_matches('/');
        if url.ends_with("/v2.0") {
            let fault = self.options.fault("auth_url", "is Keystone's version 2", self.sink);
            fault.hint("end it in /v3");
            return None;
        }
        Some(if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") })
    }

    /// An endpoint: not given, given and refused, or given and right.
    #[expect(clippy::option_option, reason = "absent and refused differ: only one is a fault here")]
    fn endpoint(&mut self, name: &str) -> Option<Option<String>> {
        let text = self.text(name)?;
        let refused = endpoint::refusal(&text, self.allowed);
        if let Some(refusal) = &refused {
            self.options.fault(name, &refusal.why, self.sink).hint(refusal.hint);
        }
        Some(refused.is_none().then_some(text))
    }

    fn domain(&mut self, of: &str) -> Option<Domain> {
        let (id, name) = (format!("{of}_domain_id"), format!("{of}_domain_name"));
        for option in [id.as_str(), "default_domain_id"] {
            if let Some(id) = self.text(option) {
                return Some(Domain::Id(id));
            }
        }
        for option in [name.as_str(), "default_domain_name"] {
            if let Some(name) = self.text(option) {
                return Some(Domain::Name(name));
            }
        }
        self.options.missing(&name, self.sink).hint("a name is unique only within a domain");
        None
    }

    /// Without a project a token works for nothing, so one is needed.
    fn project(&mut self) -> Option<Project> {
        if let Some(id) = self.text("project_id") {
            return Some(Project::Id(id));
        }
        let Some(name) = self.text("project_name") else {
            let hint = "a sign-in without a project is good for nothing";
            self.options.missing("project_id", self.sink).hint(hint);
            return None;
        };
        Some(Project::Name { name, domain: self.domain("project")? })
    }

    fn user(&mut self) -> Option<User> {
        if let Some(id) = self.text("user_id") {
            return Some(User::Id(id));
        }
        let name = self.need("username")?;
        Some(User::Name { name, domain: self.domain("user")? })
    }
}

fn oidc(taker: &mut Taker<'_>) -> Option<Oidc> {
    let auth_url = taker.auth_url();
    let identity_provider = taker.segment("identity_provider");
    let protocol = taker.segment("protocol");
    let client_id = taker.need("client_id");
    let client_secret = taker.secret("client_secret");
    let discovery_endpoint = taker.endpoint("discovery_endpoint");
    let access_token_endpoint = taker.endpoint("access_token_endpoint");
    if discovery_endpoint.is_none() && access_token_endpoint.is_none() {
        let fault = taker.options.missing("discovery_endpoint", taker.sink);
        fault.hint("or give access_token_endpoint, where the provider has no discovery document");
    }
    let access_token_type = access_token_type(taker);
    let openid_scope = taker.or_default("openid_scope", DEFAULT_SCOPE);
    let project = taker.project();
    let oidc = Oidc {
        auth_url: auth_url?,
        identity_provider: identity_provider?,
        protocol: protocol?,
        client_id: client_id?,
        client_secret: client_secret?,
        discovery_endpoint: discovery_endpoint.flatten(),
        access_token_endpoint: access_token_endpoint.flatten(),
        access_token_type: access_token_type?,
        openid_scope,
        project: project?,
    };
    judge_ovhcloud(&oidc, taker);
    Some(oidc)
}

fn access_token_type(taker: &mut Taker<'_>) -> Option<AccessTokenType> {
    match taker.or_default("access_token_type", "access_token").as_str() {
        "access_token" => Some(AccessTokenType::AccessToken),
        "id_token" => Some(AccessTokenType::IdToken),
        other => {
            let why = format!("is \"{other}\"");
            let fault = taker.options.fault("access_token_type", &why, taker.sink);
            fault.hint("it is \"id_token\" or \"access_token\"");
            None
        }
    }
}

/// OVHcloud refuses both mistakes with a 401 that names neither.
fn judge_ovhcloud(oidc: &Oidc, taker: &mut Taker<'_>) {
    let endpoint = oidc.access_token_endpoint.as_ref().or(oidc.discovery_endpoint.as_ref());
    let parts = Parts {
        auth_url: &oidc.auth_url,
        identity_provider: &oidc.identity_provider,
        discovery_endpoint: endpoint.map(String::as_str),
    };
    if let Some(said) = presets::disagreement(parts) {
        let why = format!("and its neighbours belong to different OVHcloud subsidiaries: {said}");
        let fault = taker.options.warn("identity_provider", &why, taker.sink);
        fault.hint("take all of them from one preset: ovhcloud-eu, ovhcloud-ca or ovhcloud-us");
    }
    let ovhcloud = oidc.identity_provider.starts_with("ovhcloud-");
    if ovhcloud && oidc.access_token_type == AccessTokenType::AccessToken {
        let why = "is access_token, which OVHcloud's Keystone refuses";
        taker.options.warn("access_token_type", why, taker.sink).hint("set it to id_token");
    }
}

fn application_credential(taker: &mut Taker<'_>) -> Option<ApplicationCredential> {
    let auth_url = taker.auth_url();
    let who = match taker.text("application_credential_id") {
        Some(id) => Some(CredentialName::Id(id)),
        None => match taker.text("application_credential_name") {
            Some(name) => taker.user().map(|user| CredentialName::Name { name, user }),
            None => {
                taker.options.missing("application_credential_id", taker.sink);
                None
            }
        },
    };
    let secret = taker.secret("application_credential_secret");
    Some(ApplicationCredential { auth_url: auth_url?, who: who?, secret: secret? })
}

fn password(taker: &mut Taker<'_>) -> Option<Password> {
    let auth_url = taker.auth_url();
    let user = taker.user();
    let password = taker.secret("password");
    let project = taker.project();
    Some(Password { auth_url: auth_url?, user: user?, password: password?, project: project? })
}

fn token(taker: &mut Taker<'_>) -> Option<Token> {
    let auth_url = taker.auth_url();
    let token = taker.secret("token");
    let project = taker.project();
    let token = Token { auth_url: auth_url?, token: token?, project: project? };
    let renewed = "cannot be renewed: when the token expires, novascale can do nothing more";
    taker.options.warn("auth_type", renewed, taker.sink);
    Some(token)
}

/// Whether an option was written in scaling.toml.
pub(super) fn is_written(options: &Options, name: &str) -> bool {
    options.get(name).is_some_and(|given| matches!(given.origin, Origin::Written(_)))
}
