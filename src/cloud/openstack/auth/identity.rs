//! Keystone's `POST /v3/auth/tokens`: the last step of every sign-in, and for passwords,
//! application credentials and tokens the only one. Source: keystone/auth/schema.py,
//! keystoneauth1/identity/v3/.

use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::oidc::subject_token;
use super::step::{self, Step};
use super::{parse_url, read_secret, sensitive};
use crate::cloud::openstack::call::{Call, Service, below};
use crate::cloud::openstack::catalog::Catalog;
use crate::cloud::openstack::error::http_date;
use crate::cloud::openstack::link::Link;
use crate::cloud::openstack::transport::Response;
use crate::cloud::openstack::wire::{Issued, Named};
use crate::config::cloud::{
    ApplicationCredential, CredentialName, Domain, Oidc, Password, Project, Token, User,
};
use crate::domain::outcome::Failure;
use crate::domain::time::Wall;

/// A scoped token as Keystone issued it.
pub(super) struct IssuedTicket {
    pub token: HeaderValue,
    pub expires_at: Wall,
    /// Keystone's clock when it answered.
    pub server_time: Option<Wall>,
    pub catalog: Catalog,
    pub project: (String, Option<String>),
    pub user: (String, Option<String>),
    pub roles: Vec<String>,
}

/// Step 4 of the federated sign-in: from the unscoped token to the project.
pub(super) async fn rescope(
    link: &Link,
    oidc: &Oidc,
    unscoped: HeaderValue,
) -> Result<IssuedTicket, Failure> {
    let id = unscoped.to_str().unwrap_or_default();
    let identity = json!({"methods": ["token"], "token": {"id": id}});
    let call = tokens(&oidc.auth_url, identity, Some(&oidc.project))?;
    let call = call.header("x-auth-token", unscoped);
    let answered = link.send(&call).await.map_err(|f| Step::Scoping.failed(f))?;
    read(Step::Scoping, &step::scoping(answered)?)
}

pub(super) async fn password(link: &Link, with: &Password) -> Result<IssuedTicket, Failure> {
    let secret = read_secret(&with.password, "cloud.password")?;
    let mut who = user(&with.user);
    who["password"] = json!(secret.expose_secret());
    let identity = json!({"methods": ["password"], "password": {"user": who}});
    let call = tokens(&with.auth_url, identity, Some(&with.project))?;
    authenticate(link, &call.hiding(secret.expose_secret()), "cloud.password").await
}

/// The credential is bound to its project: Keystone refuses a scope beside it.
pub(super) async fn application_credential(
    link: &Link,
    with: &ApplicationCredential,
) -> Result<IssuedTicket, Failure> {
    let key = "cloud.application_credential_secret";
    let secret = read_secret(&with.secret, key)?;
    let mut credential = match &with.who {
        CredentialName::Id(id) => json!({"id": id}),
        CredentialName::Name { name, user: owner } => json!({"name": name, "user": user(owner)}),
    };
    credential["secret"] = json!(secret.expose_secret());
    let identity =
        json!({"methods": ["application_credential"], "application_credential": credential});
    let call = tokens(&with.auth_url, identity, None)?;
    authenticate(link, &call.hiding(secret.expose_secret()), key).await
}

pub(super) async fn token(link: &Link, with: &Token) -> Result<IssuedTicket, Failure> {
    let secret = read_secret(&with.token, "cloud.token")?;
    let token = sensitive(secret.expose_secret(), "cloud.token")?;
    let identity = json!({"methods": ["token"], "token": {"id": secret.expose_secret()}});
    let call = tokens(&with.auth_url, identity, Some(&with.project))?;
    authenticate(link, &call.header("x-auth-token", token), "cloud.token").await
}

async fn authenticate(
    link: &Link,
    call: &Call,
    key: &'static str,
) -> Result<IssuedTicket, Failure> {
    let answered = link.send(call).await.map_err(|f| Step::Authentication.failed(f))?;
    read(Step::Authentication, &step::authentication(answered, key)?)
}

fn tokens(auth_url: &str, identity: Value, scope: Option<&Project>) -> Result<Call, Failure> {
    let mut auth = json!({"identity": identity});
    if let Some(scope) = scope {
        auth["scope"] = json!({"project": project(scope)});
    }
    let base = parse_url(auth_url, "cloud.auth_url")?;
    let url = below(&base, &["auth", "tokens"]);
    let call = Call::new(Service::Identity, Method::POST, "/auth/tokens", url);
    Ok(call.json(&json!({"auth": auth})))
}

fn project(project: &Project) -> Value {
    match project {
        Project::Id(id) => json!({"id": id}),
        Project::Name { name, domain: of } => json!({"name": name, "domain": domain(of)}),
    }
}

fn user(user: &User) -> Value {
    match user {
        User::Id(id) => json!({"id": id}),
        User::Name { name, domain: of } => json!({"name": name, "domain": domain(of)}),
    }
}

fn domain(domain: &Domain) -> Value {
    match domain {
        Domain::Id(id) => json!({"id": id}),
        Domain::Name(name) => json!({"name": name}),
    }
}

fn read(step: Step, answer: &Response) -> Result<IssuedTicket, Failure> {
    let useless = |why: &str| step.useless(answer, why).key("cloud.auth_url");
    let token = subject_token(answer).ok_or_else(|| useless("holds no X-Subject-Token"))?;
    let issued: Issued = serde_json::from_slice(&answer.body)
        .map_err(|_| useless("is not what Keystone v3 answers"))?;
    let issued = issued.token;
    let expires_at = Wall::parse(&issued.expires_at)
        .map_err(|_| useless("has an expires_at that is no time"))?;
    let Some(project) = issued.project else {
        return Err(step.useless(answer, "is a token without a project").key("cloud.project_id"));
    };
    let pair = |named: Named| (named.id, named.name);
    Ok(IssuedTicket {
        token,
        expires_at,
        server_time: answer.header("date").and_then(http_date),
        catalog: Catalog::read(&issued.catalog),
        project: pair(project),
        user: issued.user.map(pair).unwrap_or_default(),
        roles: issued.roles.into_iter().filter_map(|role| role.name).collect(),
    })
}
