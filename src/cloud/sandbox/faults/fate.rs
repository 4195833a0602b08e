//! What becomes of one call on the wire: drawn before it is carried out.

use axum::http::Method;

use super::Faults;
use crate::cloud::sandbox::model::Millis;
use crate::config::rehearsal::Fault;

/// What a request asks for, as far as faults tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    SignIn,
    /// A listing of servers.
    List,
    /// One server, read.
    Get,
    Create,
    Delete,
    /// Flavors, images, networks, keys.
    Resolve,
    Other,
}

impl Call {
    pub(super) fn of(method: &Method, path: &str) -> Call {
        let mut parts = path.trim_matches('/').split('/');
        let (service, rest) = (parts.next().unwrap_or_default(), parts.skip(2));
        let below: Vec<&str> = rest.collect();
        match (service, below.as_slice()) {
            ("oidc" | "identity", _) => Call::SignIn,
            ("image" | "network", _) => Call::Resolve,
            ("compute", ["servers"]) if method == Method::POST => Call::Create,
            ("compute", ["servers"] | ["servers", "detail"]) if method == Method::GET => Call::List,
            ("compute", ["servers", _]) if method == Method::GET => Call::Get,
            ("compute", ["servers", _]) if method == Method::DELETE => Call::Delete,
            ("compute", ["flavors" | "os-keypairs" | "os-server-groups", ..]) => Call::Resolve,
            _ => Call::Other,
        }
    }
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it would without faults.
    Whole,
    /// Not carried out; this is the answer.
    Instead(Form),
    /// Carried out; this is the answer.
    Over(Form),
    /// A create that is carried out later, its client left without an answer.
    Late(Millis),
    /// The token is taken back before the call is looked at.
    TokenDies,
    /// Carried out; its answer names another microversion.
    OldVersion,
}

/// What stands in an answer's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The connection closes.
    Nothing,
    /// The service's own error of this status.
    Error(u16),
    /// A proxy's page of this status.
    Page(u16),
    /// The true answer, up to its middle: as if it were whole, or with a cut connection.
    Half { cut: bool },
    /// 429, which says when to come again in this way.
    Busy(After),
}

/// Retry-After.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Unsaid,
    Seconds(i64),
    Date(i64),
    Absurd,
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) before: Millis,
    pub(super) after: Millis,
    pub(super) end: End,
}

impl Fate {
    pub(super) fn drawn(call: Call, faults: &mut Faults) -> Fate {
        let wait = faults.lasts(Fault::SlowCalls).unwrap_or_default();
        let (before, after) =
            if wait > 0 && faults.dice.percent(50) { (0, wait) } else { (wait, 0) };
        let end = of_call(call, faults).or_else(|| of_any(call, faults)).unwrap_or(End::Whole);
        Fate { before, after, end }
    }
}

fn of_call(call: Call, faults: &mut Faults) -> Option<End> {
    match call {
        Call::SignIn => faults.strikes(Fault::SignInFails).then(|| failure(faults)),
        Call::List => faults.strikes(Fault::ListFails).then(|| failure(faults)),
        Call::Get => faults.strikes(Fault::GetFails).then(|| failure(faults)),
        Call::Resolve => faults.strikes(Fault::ResolveFails).then(|| failure(faults)),
        Call::Create => create(faults),
        Call::Delete => delete(faults),
        Call::Other => None,
    }
}

/// How what changes nothing may fail.
fn failure(faults: &mut Faults) -> End {
    let others = [
        End::Instead(Form::Page(502)),
        End::Instead(Form::Page(200)),
        End::Instead(Form::Page(404)),
        End::Instead(Form::Error(503)),
        End::Instead(Form::Nothing),
        End::Over(Form::Half { cut: false }),
        End::Over(Form::Half { cut: true }),
    ];
    faults.one_of(End::Instead(Form::Error(500)), &others)
}

fn create(faults: &mut Faults) -> Option<End> {
    if faults.strikes(Fault::CreateBusy) {
        return Some(End::Instead(busy(faults)));
    }
    if faults.strikes(Fault::CreateDenied) {
        return Some(End::Instead(Form::Error(403)));
    }
    if faults.strikes(Fault::CreateRefused) {
        return Some(End::Instead(Form::Error(400)));
    }
    if faults.strikes(Fault::CreateLost) {
        return Some(End::Instead(lost(faults)));
    }
    if let Some(after) = faults.lasts(Fault::CreateLate) {
        return Some(End::Late(after));
    }
    faults.strikes(Fault::CreateReplyLost).then(|| End::Over(lost(faults)))
}

fn delete(faults: &mut Faults) -> Option<End> {
    if faults.strikes(Fault::DeleteDenied) {
        return Some(End::Instead(Form::Error(403)));
    }
    if faults.strikes(Fault::DeleteConflict) {
        return Some(End::Instead(Form::Error(409)));
    }
    if faults.strikes(Fault::DeleteLost) {
        return Some(End::Instead(lost(faults)));
    }
    faults.strikes(Fault::DeleteReplyLost).then(|| End::Over(lost(faults)))
}

/// What its client may see of a call that got lost, or whose answer did: none of it tells which.
fn lost(faults: &mut Faults) -> Form {
    faults.one_of(Form::Nothing, &[Form::Page(504), Form::Page(404), Form::Error(500)])
}

fn busy(faults: &mut Faults) -> Form {
    let seconds = faults.dice.within(&(1..=90));
    let others = [After::Seconds(seconds), After::Date(seconds), After::Absurd];
    Form::Busy(faults.one_of(After::Unsaid, &others))
}

fn of_any(call: Call, faults: &mut Faults) -> Option<End> {
    if faults.strikes(Fault::CallsBusy) {
        return Some(End::Instead(busy(faults)));
    }
    if faults.strikes(Fault::CallsDropped) {
        return Some(either(Form::Nothing, faults));
    }
    if faults.strikes(Fault::ProxyPages) {
        let page =
            faults.one_of(Form::Page(200), &[Form::Page(403), Form::Page(404), Form::Page(503)]);
        return Some(either(page, faults));
    }
    if faults.strikes(Fault::BrokenJson) {
        let cut = faults.dice.percent(50);
        return Some(End::Over(Form::Half { cut }));
    }
    let with_token = !matches!(call, Call::SignIn);
    if with_token && faults.strikes(Fault::TokenDies) {
        return Some(End::TokenDies);
    }
    let of_nova = matches!(call, Call::List | Call::Get | Call::Create | Call::Delete);
    (of_nova && faults.strikes(Fault::VersionWrong)).then_some(End::OldVersion)
}

/// In the place of the call, or of its answer.
fn either(form: Form, faults: &mut Faults) -> End {
    if faults.dice.percent(50) { End::Instead(form) } else { End::Over(form) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart_by_method_and_path() {
        let of = |line: &str| {
            let (method, path) = line.split_once(' ').unwrap();
            Call::of(&method.parse().unwrap(), path)
        };
        for (line, call) in [
            ("POST /oidc/token", Call::SignIn),
            ("POST /identity/v3/auth/tokens", Call::SignIn),
            ("GET /compute/v2.1/p/servers/detail", Call::List),
            ("GET /compute/v2.1/p/servers", Call::List),
            ("POST /compute/v2.1/p/servers", Call::Create),
            ("GET /compute/v2.1/p/servers/7", Call::Get),
            ("DELETE /compute/v2.1/p/servers/7", Call::Delete),
            ("PUT /compute/v2.1/p/servers/7/tags/t", Call::Other),
            ("GET /compute/v2.1/p/flavors/detail", Call::Resolve),
            ("GET /image/v2/images", Call::Resolve),
            ("GET /network/v2.0/networks", Call::Resolve),
            ("GET /compute/v2.1/", Call::Other),
        ] {
            assert_eq!(of(line), call, "{line}");
        }
    }
}
