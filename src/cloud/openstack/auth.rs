//! The token: had once for all, renewed ahead of its end, never shown.
//!
//! Signing in takes up to four requests (`auth/oidc.rs`, `auth/identity.rs`); every other
//! call only asks the [`Keeper`] for the current [`Ticket`]. One sign-in is under way at a
//! time, and whoever needs a token joins it. After a 401 the ticket that was sent is
//! compared with the current one: the first to notice signs in, the others only take the
//! new ticket. A token that still lives is used while a refresh runs or fails: a caller lends
//! the refresh [`AHEAD`] of its time, and the next one takes it on where it stands. A failed
//! sign-in is remembered for some seconds, for Keystone counts sign-ins (60 per minute at
//! OVHcloud). Source of the rules: keystoneauth1/identity/base.py, without its two traps:
//! signing in again for a token that was just issued, and giving up on parallel 401s.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::catalog::{Catalog, Trust};
use super::link::Link;
use crate::cloud::Fence;
use crate::config::cloud::Auth;
use crate::config::secret::{Secret, SecretEnv};
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::{Steady, Wall};

mod attempt;
mod identity;
mod oidc;
mod step;

use attempt::{Attempt, SignIn};

/// How long a call waits for a token that is renewed ahead of its end: it has a good one.
const AHEAD: Duration = Duration::from_secs(3);

/// After a call has waited so in vain, the next ones only look whether the renewal has ended.
const AHEAD_REST: Duration = Duration::from_secs(10);

/// How long a failed sign-in is remembered before the next is tried.
const HOLD: Duration = Duration::from_secs(5);

/// The same where the other side said no: it will hardly change its mind sooner.
pub(super) const HOLD_DENIED: Duration = Duration::from_secs(15);

/// A catalog that does not lead anywhere is believed for so long, and then had anew with another
/// token: a fault of the provider's may be over long before the token ends.
const CATALOG_BELIEVED: Duration = Duration::from_secs(60);

/// What a sign-in brought: for people, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Id and name.
    pub project: (String, Option<String>),
    pub user: (String, Option<String>),
    /// Names of the granted roles; shown, never relied upon.
    pub roles: Vec<String>,
    pub expires_at: Wall,
    /// False for `v3token`: when the token ends, novascale cannot go on.
    pub renewable: bool,
}

/// A token and all that came with it.
pub(super) struct Ticket {
    pub token: HeaderValue,
    pub catalog: Catalog,
    pub record: SignedIn,
    issued: Steady,
    refresh_from: Steady,
    dies: Steady,
    /// Its catalog did not lead to where a call had to go.
    misleads: AtomicBool,
}

/// Keeps the ticket.
pub(super) struct Keeper {
    how: SignIn,
    current: Mutex<Option<Arc<Ticket>>>,
    flight: tokio::sync::Mutex<Flight>,
}

/// What only the one who signs in touches.
#[derive(Default)]
struct Flight {
    /// The token endpoint, as discovered.
    discovered: Option<Url>,
    /// A sign-in that began and has not ended. Whoever waited for it gave up or was dropped;
    /// it goes on when the next one waits.
    attempt: Option<Attempt>,
    /// Until when nobody waits for a renewal ahead.
    rests_until: Steady,
    failed: Option<(Steady, Failure)>,
}

impl Flight {
    /// The failure that is still remembered, and until when.
    fn held(&self, now: Steady) -> Option<&(Steady, Failure)> {
        self.failed.as_ref().filter(|(until, _)| now < *until)
    }
}

impl Keeper {
    pub(super) fn new(
        link: Arc<Link>,
        auth: Auth,
        trust: Arc<Trust>,
        fence: Option<Arc<dyn Fence>>,
    ) -> Self {
        let how = SignIn { link, auth: Arc::new(auth), trust, fence };
        Self { how, current: Mutex::default(), flight: <_>::default() }
    }

    /// The current ticket, signed in for if need be.
    pub(super) async fn ticket(&self) -> Result<Arc<Ticket>, Failure> {
        let now = self.now();
        let Some(ticket) = self.current().clone().filter(|t| now < t.dies) else {
            let mut flight = self.flight.lock().await;
            let now = self.now();
            let joined = self.current().clone().filter(|t| now < t.dies);
            return match joined {
                Some(ticket) => Ok(ticket),
                None => self.sign_in(&mut flight).await,
            };
        };
        if now < ticket.refresh_from && !ticket.misleads.load(Ordering::Relaxed) {
            return Ok(ticket);
        }
        // Renewing ahead: whoever finds somebody at it, or fails, goes on with the old one.
        let Ok(mut flight) = self.flight.try_lock() else { return Ok(ticket) };
        if flight.held(now).is_some() {
            // It was told when it failed, and is not yet tried again.
            return Ok(ticket);
        }
        let wait = if now < flight.rests_until { Duration::ZERO } else { AHEAD };
        match tokio::time::timeout(wait, self.sign_in(&mut flight)).await {
            Ok(Ok(fresh)) => Ok(fresh),
            Ok(Err(failure)) => {
                tracing::warn!(%failure, "the token could not be renewed yet; it still lives");
                Ok(ticket)
            }
            Err(_) => {
                if !wait.is_zero() {
                    flight.rests_until = self.now().plus(AHEAD_REST);
                }
                Ok(ticket)
            }
        }
    }

    /// A ticket other than the one that a service refused with 401.
    pub(super) async fn renew(&self, refused: &Arc<Ticket>) -> Result<Arc<Ticket>, Failure> {
        let mut flight = self.flight.lock().await;
        let current = self.current().clone();
        if let Some(other) = current.filter(|t| !Arc::ptr_eq(t, refused)) {
            return Ok(other);
        }
        *self.current() = None;
        // What began before the refusal may hold a token that is refused as well.
        flight.attempt = None;
        self.sign_in(&mut flight).await
    }

    /// A ticket that may be refused: the next call signs in anew.
    pub(super) fn doubt(&self, doubted: &Arc<Ticket>) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|t| Arc::ptr_eq(t, doubted)) {
            *current = None;
        }
    }

    /// The ticket's catalog has no address for a call: unless it is quite new, the next call has
    /// it anew. Its token stays good for every other call meanwhile.
    pub(super) fn misled(&self, by: &Ticket) {
        if self.now().since(by.issued) >= CATALOG_BELIEVED {
            by.misleads.store(true, Ordering::Relaxed);
        }
    }

    fn now(&self) -> Steady {
        self.how.link.now().steady
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Ticket>>> {
        lock(&self.current)
    }

    async fn sign_in(&self, flight: &mut Flight) -> Result<Arc<Ticket>, Failure> {
        let began = self.now();
        if let Some((until, failure)) = flight.held(began) {
            let left = until.since(began);
            let after = failure.retry_after.map_or(left, |after| after.max(left));
            return Err(Failure { retry_after: Some(after), ..failure.clone() });
        }
        let attempt = flight.attempt.take();
        let attempt = attempt.unwrap_or_else(|| self.how.begin(flight.discovered.clone()));
        // It stays in the flight while it is waited for: who gives up leaves it to the next.
        let landed = flight.attempt.insert(attempt).as_mut().await;
        flight.attempt = None;
        flight.discovered = landed.discovered;
        match landed.result {
            Ok(ticket) => {
                let ticket = Arc::new(ticket);
                flight.failed = None;
                *self.current() = Some(Arc::clone(&ticket));
                announce(&ticket.record);
                Ok(ticket)
            }
            Err(failure) => {
                let hold = if failure.kind == FailureKind::Denied { HOLD_DENIED } else { HOLD };
                let hold = failure.retry_after.map_or(hold, |after| after.max(hold));
                flight.failed = Some((self.now().plus(hold), failure.clone()));
                Err(failure)
            }
        }
    }
}

fn announce(record: &SignedIn) {
    tracing::debug!(
        project.id = record.project.0,
        roles = ?record.roles,
        expires_at = %record.expires_at,
        "signed in"
    );
    if !record.renewable {
        tracing::warn!(
            expires_at = %record.expires_at,
            "cloud.auth_type is v3token: the token cannot be renewed, and nothing works \
             after it has expired"
        );
    }
}
/// Where Keystone is, by the configuration.
pub(super) fn auth_url(auth: &Auth) -> &str {
    match auth {
        Auth::OidcClientCredentials(oidc) => &oidc.auth_url,
        Auth::ApplicationCredential(credential) => &credential.auth_url,
        Auth::Password(password) => &password.auth_url,
        Auth::Token(token) => &token.auth_url,
    }
}

fn parse_url(text: &str, key: &str) -> Result<Url, Failure> {
    Url::parse(text).ok().filter(|url| !url.cannot_be_a_base()).ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("{text:?} is not a URL")).key(key)
    })
}

/// Reads a secret anew: a rotated file counts from this sign-in on. The text never prints.
fn read_secret(secret: &Secret, key: &str) -> Result<SecretString, Failure> {
    let refuse = |why: String| {
        let message = format!("{key} cannot be read: {why}");
        Failure::new(FailureKind::Refused, message).key(key)
    };
    let text = secret.read(&SecretEnv::from_process()).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}"));
        refuse(format!("{error}{}", cause.unwrap_or_default()))
    })?;
    if text.expose_secret().is_empty() {
        return Err(refuse("it is empty".into()));
    }
    Ok(text)
}

/// A secret as a header's value, marked so that it never prints.
fn sensitive(text: &str, key: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = format!("{key} holds characters that no header can carry");
        Failure::new(FailureKind::Refused, message).key(key)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_anew_and_faults_name_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let secret = Secret::File(path.clone());
        let absent = read_secret(&secret, "cloud.client_secret").unwrap_err();
        assert_eq!(absent.key.as_deref(), Some("cloud.client_secret"));
        for text in ["first\n", "second\r\nmore"] {
            std::fs::write(&path, text).unwrap();
            let read = read_secret(&secret, "cloud.client_secret").unwrap();
            assert_eq!(Some(read.expose_secret()), text.lines().next());
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(read_secret(&secret, "k").unwrap_err().message.contains("empty"));
        let unset = Secret::Env("NOVASCALE_NEVER_SET".into());
        assert!(read_secret(&unset, "k").unwrap_err().message.contains("NOVASCALE_NEVER_SET"));
    }

    #[test]
    fn a_sensitive_header_does_not_print() {
        let value = sensitive("hush", "k").unwrap();
        assert!(!format!("{value:?}").contains("hush"));
        let bad = sensitive("hu\nsh", "cloud.token").unwrap_err();
        assert!(!bad.message.contains("hu"), "{bad}");
    }
}
