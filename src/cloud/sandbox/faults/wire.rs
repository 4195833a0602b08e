//! Around every request: what may befall it between the client and the cloud.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::answers;
use super::fate::{Call, End, Fate, Form};
use super::people;
use crate::cloud::sandbox::Sandbox;
use crate::cloud::sandbox::http::Later;
use crate::cloud::sandbox::model::Millis;
use crate::cloud::sandbox::model::identity::Account;

pub(in crate::cloud::sandbox) async fn befall(
    State(sandbox): State<Sandbox>,
    request: Request,
    next: Next,
) -> Response {
    if sandbox.world.faults(|faults, _| faults.quiet()) {
        return next.run(request).await;
    }
    let call = Call::of(request.method(), request.uri().path());
    if call == Call::List {
        meddle(&sandbox);
    }
    let fate = sandbox.world.faults(|faults, _| Fate::drawn(call, faults));
    wait(fate.before).await;
    let answer = carried_out(&sandbox, call, fate.end, request, next).await;
    wait(fate.after).await;
    answer
}

async fn carried_out(
    sandbox: &Sandbox,
    call: Call,
    end: End,
    mut request: Request,
    next: Next,
) -> Response {
    match end {
        End::Whole => next.run(request).await,
        End::Instead(form @ Form::Half { .. }) | End::Over(form) => {
            let answer = next.run(request).await;
            formed(sandbox, call, form, answer).await
        }
        End::Instead(form) => formed(sandbox, call, form, answers::nothing()).await,
        End::Late(after) => {
            request.extensions_mut().insert(Later(after));
            let answer = next.run(request).await;
            // What was refused was not put off.
            if answer.status().is_success() { answers::nothing() } else { answer }
        }
        End::TokenDies => {
            let token = request.headers().get("x-auth-token").and_then(|it| it.to_str().ok());
            if let Some(token) = token {
                let text = token.to_owned();
                sandbox.world.change(Account::Service, "", |model, _| model.revoke(&text));
            }
            next.run(request).await
        }
        End::OldVersion => answers::old_version(next.run(request).await),
    }
}

async fn formed(sandbox: &Sandbox, call: Call, form: Form, answer: Response) -> Response {
    match form {
        Form::Nothing => answers::nothing(),
        Form::Error(status) => answers::error(call, status),
        Form::Page(status) => answers::page(status),
        Form::Half { cut } => answers::half(answer, cut).await,
        Form::Busy(after) => answers::busy(after, sandbox.world.now()),
    }
}

/// What people do is done before a look.
fn meddle(sandbox: &Sandbox) {
    if sandbox.world.faults(|faults, _| people::are_at_it(faults)) {
        sandbox.world.change(Account::Operator, "req-by-hand", people::meddle);
    }
}

async fn wait(millis: Millis) {
    if let Ok(millis @ 1..) = u64::try_from(millis) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
