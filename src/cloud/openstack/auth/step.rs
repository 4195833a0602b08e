//! The steps of a sign-in, and what a refusal at each of them means.
//!
//! Keystone hides its reasons: wrong project, disabled project and missing right share one
//! body. The step at which it said no is the diagnosis, so each failure names it, the
//! likely cause, and the key to mend. Source: keystone/auth/core.py, keystone/exception.py,
//! RFC 6749 § 5.2.

use crate::cloud::openstack::error::told;
use crate::cloud::openstack::link::Answered;
use crate::cloud::openstack::transport::Response;
use crate::cloud::rights;
use crate::config::cloud::{AccessTokenType, Oidc};
use crate::domain::outcome::{Failure, FailureKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Discovery,
    TokenRequest,
    Federation,
    Scoping,
    /// Password, application credential or token: one request does all.
    Authentication,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Discovery => "sign-in, step 1 of 4 (discovery)",
            Self::TokenRequest => "sign-in, step 2 of 4 (token request)",
            Self::Federation => "sign-in, step 3 of 4 (federation)",
            Self::Scoping => "sign-in, step 4 of 4 (scoping to the project)",
            Self::Authentication => "sign-in",
        }
    }

    /// A failure of this step. Whatever was unclear about it, the call that needed the
    /// token was not made: it counts as not reached.
    pub(super) fn failed(self, failure: Failure) -> Failure {
        let kind = match failure.kind {
            FailureKind::Unclear => FailureKind::Unreached,
            FailureKind::Conflict | FailureKind::Gone => FailureKind::Refused,
            FailureKind::Busy
            | FailureKind::Quota { .. }
            | FailureKind::Capacity
            | FailureKind::Refused
            | FailureKind::Denied
            | FailureKind::Unreached
            | FailureKind::Held => failure.kind,
        };
        let message = format!("{}: {}", self.words(), failure.message);
        let status = failure.status.filter(|_| kind != FailureKind::Unreached);
        Failure { kind, message, status, ..failure }
    }

    /// A success that lacks what it should hold.
    pub(super) fn useless(self, answer: &Response, why: &str) -> Failure {
        let message = format!("{}: the answer ({}) {why}", self.words(), answer.status);
        let status = Some(answer.status.as_u16());
        Failure { status, ..Failure::new(FailureKind::Refused, message) }
    }
}

/// The verdict on a refusal: kind, key, and what to do.
struct Verdict(FailureKind, &'static str, String);

fn with(failure: Failure, step: Step, verdict: Option<Verdict>) -> Failure {
    let failure = step.failed(failure);
    match verdict {
        Some(Verdict(kind, key, hint)) => Failure { kind, ..failure }.key(key).hint(hint),
        None => failure,
    }
}

pub(super) fn discovery(answered: Answered) -> Result<Response, Failure> {
    let Some(failure) = answered.failure else { return Ok(answered.response) };
    let verdict = failure.status.filter(|s| (300..500).contains(s) && ![408, 429].contains(s));
    let verdict = verdict.map(|_| {
        let hint = "The URL is wrong, or of another OVHcloud subsidiary: iam.ovh.net (EU), \
                    iam.ovh.ca (rest of the world), iam.ovh.us (US).";
        Verdict(FailureKind::Refused, "cloud.discovery_endpoint", hint.into())
    });
    Err(with(failure, Step::Discovery, verdict))
}

pub(super) fn token_request(answered: Answered) -> Result<Response, Failure> {
    let Some(failure) = answered.failure else { return Ok(answered.response) };
    let status = failure.status.unwrap_or_default();
    let verdict = match told(&answered.response.body).name.as_str() {
        "invalid_client" => Some(wrong_secret()),
        "invalid_scope" => Some(Verdict(
            FailureKind::Refused,
            "cloud.openid_scope",
            "The provider does not know this scope; OVHcloud's is \
             `openid profile email publicCloudProject/all`."
                .into(),
        )),
        "unauthorized_client" | "unsupported_grant_type" | "invalid_grant" => Some(Verdict(
            FailureKind::Refused,
            "cloud.client_id",
            "This client may not use client credentials: make a service account of flow \
             CLIENT_CREDENTIALS."
                .into(),
        )),
        _ if status == 401 || status == 403 => Some(wrong_secret()),
        _ if status == 404 || status == 410 => Some(Verdict(
            FailureKind::Refused,
            "cloud.access_token_endpoint",
            "There is no token endpoint at this address.".into(),
        )),
        _ => None,
    };
    Err(with(failure, Step::TokenRequest, verdict))
}

fn wrong_secret() -> Verdict {
    let hint = "Client id and secret do not belong together, or the service account was deleted.";
    Verdict(FailureKind::Denied, "cloud.client_secret", hint.into())
}

pub(super) fn federation(answered: Answered, oidc: &Oidc) -> Result<Response, Failure> {
    let Some(failure) = answered.failure else { return Ok(answered.response) };
    let verdict = match failure.status {
        Some(404) => Some(Verdict(
            FailureKind::Refused,
            "cloud.identity_provider",
            format!(
                "This Keystone knows no identity provider {} with protocol {}; OVHcloud's are \
                 ovhcloud-emea, ovhcloud-world and ovhcloud-us, with openid. Or cloud.auth_url is \
                 another's.",
                oidc.identity_provider, oidc.protocol
            ),
        )),
        Some(401) if oidc.access_token_type == AccessTokenType::AccessToken => Some(Verdict(
            FailureKind::Denied,
            "cloud.access_token_type",
            "The access token was refused; OVHcloud wants the id token: set \
             access_token_type = \"id_token\"."
                .into(),
        )),
        Some(401) => Some(Verdict(
            FailureKind::Denied,
            "cloud.identity_provider",
            "The id token was refused: it is of another provider than identity_provider names, \
             it has expired, or no mapping fits the account."
                .into(),
        )),
        Some(403) => Some(Verdict(
            FailureKind::Denied,
            "cloud.client_id",
            "The account is known, but Keystone's mapping gives it nothing: grant it a right on \
             the project."
                .into(),
        )),
        _ => None,
    };
    Err(with(failure, Step::Federation, verdict))
}

pub(super) fn scoping(answered: Answered) -> Result<Response, Failure> {
    let Some(failure) = answered.failure else { return Ok(answered.response) };
    let verdict = (failure.status == Some(401)).then(|| {
        let hint = format!(
            "The project is unknown, it is disabled, or the account has no OpenStack right on it; \
             Keystone answers all three alike. Check the id, and grant e.g. {} on it; a new \
             policy takes effect after a while.",
            rights::COMPUTE_OPERATOR
        );
        Verdict(FailureKind::Denied, "cloud.project_id", hint)
    });
    Err(with(failure, Step::Scoping, verdict))
}

/// `key` names the secret of the auth type.
pub(super) fn authentication(answered: Answered, key: &'static str) -> Result<Response, Failure> {
    let Some(failure) = answered.failure else { return Ok(answered.response) };
    let verdict = match failure.status {
        Some(401) => Some(Verdict(
            FailureKind::Denied,
            key,
            "Name and secret do not belong together, the credential has expired, or the account \
             has no right on the project; Keystone answers all alike."
                .into(),
        )),
        Some(404) => Some(Verdict(
            FailureKind::Refused,
            "cloud.auth_url",
            "There is no Keystone v3 at this address.".into(),
        )),
        _ => None,
    };
    Err(with(failure, Step::Authentication, verdict))
}
