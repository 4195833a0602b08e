//! Who is calling, and whether they may.
//!
//! A bearer token (RFC 6750) in the Authorization header and nowhere else. This runs
//! before anything of the body is read; what fails here has cost one digest.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::App;
use super::error::{Kind, Problem};
use super::limit::Peer;
use super::tokens::Scope;
use crate::domain::id::SourceName;
use crate::telemetry::count;

/// Who was signed in, and from where.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub who: Who,
    pub peer: Option<Peer>,
}

/// By what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Token(Scope),
    Source(SourceName),
}

impl Caller {
    /// As it stands in the history of commands.
    pub(super) fn name(&self) -> String {
        let who = match &self.who {
            Who::Token(scope) => format!("the {} token", scope.word()),
            Who::Source(name) => format!("the source {name}"),
        };
        match self.peer {
            Some(Peer(address)) => format!("{who}, from {}", address.ip()),
            None => who,
        }
    }
}

/// What a route asks of its callers.
pub(super) struct Door<'a> {
    pub app: &'a App,
    pub needs: Scope,
}

/// The token of exactly one Authorization header; the scheme's case does not matter
/// (RFC 9110 § 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then(|| token.trim_ascii())
}

impl Door<'_> {
    /// Lets a request in that carries a token which includes the door's scope.
    pub(super) fn sign_in(&self, mut request: Request) -> Result<Request, Problem> {
        let peer = request.extensions().get::<Peer>().copied();
        let scope = match bearer(request.headers()) {
            Some(token) => self.app.tokens().scope_of(token),
            None => return Err(self.failed(Kind::NoToken, peer)),
        };
        let Some(scope) = scope else { return Err(self.failed(Kind::BadToken, peer)) };
        if !scope.includes(self.needs) {
            return Err(self.wrong(scope));
        }
        let caller = Caller { who: Who::Token(scope), peer };
        self.within_rate(&caller)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }

    fn failed(&self, kind: Kind, peer: Option<Peer>) -> Problem {
        self.app.counters().add(count::SIGN_IN_FAILURES, &[], 1);
        if let Err(too_many) = self.app.senders().failed_sign_in(peer) {
            return too_many;
        }
        let detail = if kind == Kind::BadToken {
            "the token is not one of ours"
        } else {
            "a bearer token is missing"
        };
        let needs = self.needs.word();
        let hint = format!(
            "send `Authorization: Bearer TOKEN`; the token of scope {needs} lies in \
             tokens/{needs} below novascale's state directory"
        );
        Problem::new(kind, detail).hint(hint).needs(self.needs)
    }

    /// Whoever holds any token of ours is told the place of the right one, never the token:
    /// only the owner of the file can do anything with that.
    fn wrong(&self, has: Scope) -> Problem {
        let (has, needs) = (has.word(), self.needs.word());
        let detail = format!("a token of scope {has} may not do this; scope {needs} may");
        let file = self.app.tokens().file(self.needs);
        let hint = format!("the token of scope {needs} lies in {}", file.display());
        Problem::new(Kind::WrongScope, detail).hint(hint).needs(self.needs)
    }

    fn within_rate(&self, caller: &Caller) -> Result<(), Problem> {
        match self.needs {
            Scope::Signal => self.app.senders().signals(caller, 1),
            Scope::Capacity | Scope::Operate => self.app.senders().command(caller),
            // Looking costs little and is bounded by the requests in flight.
            Scope::Read => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers).map(|t| String::from_utf8(t.to_vec()).unwrap())
    }

    #[test]
    fn only_one_bearer_header_counts() {
        assert_eq!(token(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token(&["bEARER abc"]).as_deref(), Some("abc"));
        for bad in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer abc", "Bearer abc"]] {
            assert_eq!(token(bad), None, "{bad:?}");
        }
    }
}
