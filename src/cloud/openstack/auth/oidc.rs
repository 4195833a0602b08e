//! `v3oidcclientcredentials`: how a service account gets an unscoped token.
//!
//! Discovery names the token endpoint; the client's id and secret get an id token there
//! (or an access token); Keystone's federation endpoint exchanges it. Source:
//! keystoneauth1/identity/v3/oidc.py and federation.py; RFC 6749 § 4.4; OpenID Connect
//! Discovery 1.0.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::step::{self, Step};
use super::{parse_url, read_secret, sensitive};
use crate::cloud::openstack::call::{Call, Service, below};
use crate::cloud::openstack::link::Link;
use crate::cloud::openstack::transport::Response;
use crate::cloud::openstack::wire::Discovery;
use crate::config::cloud::{AccessTokenType, Oidc};
use crate::config::host::loopback;
use crate::domain::outcome::{Failure, FailureKind};

/// Redirects of the discovery that are followed: one for a moved document, one for https.
const REDIRECTS_MOST: usize = 4;

/// Steps 1 to 3. `discovered` keeps the token endpoint between sign-ins.
pub(super) async fn unscoped(
    link: &Link,
    oidc: &Oidc,
    discovered: &mut Option<Url>,
) -> Result<HeaderValue, Failure> {
    let bearer = match (&oidc.access_token_endpoint, discovered.clone()) {
        (Some(endpoint), _) => {
            let endpoint = parse_url(endpoint, "cloud.access_token_endpoint")?;
            request_token(link, oidc, endpoint).await?
        }
        (None, Some(endpoint)) => match request_token(link, oidc, endpoint).await {
            // The endpoint has moved: what was discovered is out of date, once.
            Err(failure) if matches!(failure.status, Some(404 | 410)) => {
                let endpoint = discover(link, oidc).await?;
                *discovered = Some(endpoint.clone());
                request_token(link, oidc, endpoint).await?
            }
            other => other?,
        },
        (None, None) => {
            let endpoint = discover(link, oidc).await?;
            *discovered = Some(endpoint.clone());
            request_token(link, oidc, endpoint).await?
        }
    };
    federate(link, oidc, &bearer).await
}

async fn discover(link: &Link, oidc: &Oidc) -> Result<Url, Failure> {
    let key = "cloud.discovery_endpoint";
    let endpoint = oidc.discovery_endpoint.as_deref().unwrap_or_default();
    let mut url = parse_url(endpoint, key)?;
    for _ in 0..=REDIRECTS_MOST {
        let call = Call::new(Service::IdentityProvider, Method::GET, "discovery", url.clone());
        let answered = link.send(&call).await.map_err(|f| Step::Discovery.failed(f))?;
        if let Some(next) = redirect(&url, &answered.response) {
            url = next;
            continue;
        }
        let answer = step::discovery(answered)?;
        return token_endpoint(&answer, &url, link.allow_http());
    }
    let message = format!("sign-in, step 1 of 4 (discovery): more than {REDIRECTS_MOST} redirects");
    Err(Failure::new(FailureKind::Refused, message).key(key))
}

/// Where a redirect of the discovery leads: to https, or from this machine to itself.
/// It goes without credentials, for none were sent.
fn redirect(from: &Url, answer: &Response) -> Option<Url> {
    if !answer.status.is_redirection() {
        return None;
    }
    let to = from.join(answer.header("location")?).ok()?;
    (to.scheme() == "https" || (loopback(&to) && loopback(from))).then_some(to)
}

fn token_endpoint(answer: &Response, from: &Url, allow_http: bool) -> Result<Url, Failure> {
    let key = "cloud.discovery_endpoint";
    let hint = "Check that the URL ends in /.well-known/openid-configuration and is the provider's \
                own.";
    let refuse = |why: &str| Step::Discovery.useless(answer, why).key(key).hint(hint);
    let document: Discovery = serde_json::from_slice(&answer.body)
        .map_err(|_| refuse("is not an OpenID Connect discovery document (JSON)"))?;
    let grants = document.grant_types_supported.unwrap_or_default();
    if !grants.is_empty() && grants.iter().all(|grant| grant != "client_credentials") {
        return Err(refuse(
            "does not offer the grant client_credentials: this provider does not \
                           know service accounts",
        ));
    }
    let endpoint = document.token_endpoint.filter(|endpoint| !endpoint.is_empty());
    let endpoint = endpoint.ok_or_else(|| {
        refuse("names no token_endpoint").hint("Give cloud.access_token_endpoint in its place.")
    })?;
    let endpoint =
        from.join(&endpoint).map_err(|_| refuse("names a token_endpoint that is no URL"))?;
    if from.scheme() == "https" && endpoint.scheme() != "https" && !allow_http {
        return Err(refuse("names a token_endpoint in plain http: the secret is not sent there"));
    }
    Ok(endpoint)
}

async fn request_token(link: &Link, oidc: &Oidc, endpoint: Url) -> Result<SecretString, Failure> {
    let secret = read_secret(&oidc.client_secret, "cloud.client_secret")?;
    // Raw, without the form encoding of RFC 6749 § 2.3.1: so keystoneauth does, and so
    // providers expect it.
    let basic = STANDARD.encode(format!("{}:{}", oidc.client_id, secret.expose_secret()));
    let form = [("scope", oidc.openid_scope.as_str()), ("grant_type", "client_credentials")];
    let form = Serializer::new(String::new()).extend_pairs(form).finish();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut call = Call::new(Service::IdentityProvider, Method::POST, "token endpoint", endpoint)
        .header("content-type", kind)
        .header("authorization", sensitive(&format!("Basic {basic}"), "cloud.client_secret")?)
        .hiding(secret.expose_secret());
    call.body = form.into_bytes();
    let answered = link.send(&call).await.map_err(|f| Step::TokenRequest.failed(f))?;
    let answer = step::token_request(answered)?;
    bearer(oidc, &answer)
}

fn bearer(oidc: &Oidc, answer: &Response) -> Result<SecretString, Failure> {
    let member = match oidc.access_token_type {
        AccessTokenType::AccessToken => "access_token",
        AccessTokenType::IdToken => "id_token",
    };
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| Step::TokenRequest.useless(answer, "is not JSON"))?;
    match body[member].as_str().filter(|token| !token.is_empty()) {
        Some(token) => Ok(SecretString::from(token.to_owned())),
        None => Err(Step::TokenRequest
            .useless(answer, &format!("holds no {member}"))
            .hint("The scope lacks `openid`, or the provider issues no id tokens.")
            .key("cloud.openid_scope")),
    }
}

async fn federate(link: &Link, oidc: &Oidc, bearer: &SecretString) -> Result<HeaderValue, Failure> {
    let base = parse_url(&oidc.auth_url, "cloud.auth_url")?;
    let (provider, protocol) = (oidc.identity_provider.as_str(), oidc.protocol.as_str());
    let path = ["OS-FEDERATION", "identity_providers", provider, "protocols", protocol, "auth"];
    let template = "/OS-FEDERATION/identity_providers/{idp}/protocols/{protocol}/auth";
    let value = sensitive(&format!("Bearer {}", bearer.expose_secret()), "the id token")?;
    let call = Call::new(Service::Identity, Method::POST, template, below(&base, &path))
        .header("authorization", value);
    let answered = link.send(&call).await.map_err(|f| Step::Federation.failed(f))?;
    let answer = step::federation(answered, oidc)?;
    subject_token(&answer).ok_or_else(|| {
        Step::Federation.useless(&answer, "holds no X-Subject-Token").key("cloud.auth_url")
    })
}

/// Keystone puts the token into a header.
pub(super) fn subject_token(answer: &Response) -> Option<HeaderValue> {
    let mut token = answer.headers.get("x-subject-token").filter(|t| !t.is_empty())?.clone();
    token.set_sensitive(true);
    Some(token)
}
