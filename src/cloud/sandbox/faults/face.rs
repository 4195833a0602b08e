//! `/faults`: the faults that are on, seen and set by who holds their token.
//!
//! `GET` shows all, `PUT` puts some in place of all, `PATCH` changes some, `DELETE` clears all, and
//! `DELETE /faults/{name}` one. What hung because of a fault goes on once it is cleared.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::Faults;
use crate::cloud::sandbox::http::Shared;
use crate::cloud::sandbox::oidc::same;
use crate::cloud::sandbox::world::World;
use crate::config::rehearsal::{Fault, WishError, Wishes};

pub(in crate::cloud::sandbox) fn routes() -> Router<Shared> {
    let all = routing::get(show).put(put).patch(patch).delete(clear);
    Router::new().route("/faults", all).route("/faults/{name}", routing::delete(clear_one))
}

async fn show(State(world): State<Shared>, headers: HeaderMap) -> Response {
    allowed(&world, &headers, || Ok(()))
}

async fn put(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    allowed(&world, &headers, || {
        let asked = read(Wishes::default(), &body)?;
        let mut wishes = Wishes::default();
        asked.0.into_iter().for_each(|(fault, strength)| wishes.put(fault, strength));
        world.wish(|_| wishes);
        Ok(())
    })
}

async fn patch(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    allowed(&world, &headers, || {
        let changes = read(Wishes::default(), &body)?;
        world.wish(|mut wishes| {
            changes.0.into_iter().for_each(|(fault, strength)| wishes.put(fault, strength));
            wishes
        });
        Ok(())
    })
}

async fn clear(State(world): State<Shared>, headers: HeaderMap) -> Response {
    allowed(&world, &headers, || {
        world.wish(|_| Wishes::default());
        Ok(())
    })
}

async fn clear_one(
    State(world): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    allowed(&world, &headers, || {
        let fault = Fault::named(&name).map_err(|why| why.to_string())?;
        world.wish(|mut wishes| {
            wishes.0.remove(&fault);
            wishes
        });
        Ok(())
    })
}

/// Does it for who holds the token, and shows what is on then.
fn allowed(
    world: &World,
    headers: &HeaderMap,
    act: impl FnOnce() -> Result<(), String>,
) -> Response {
    if !holds_token(world, headers) {
        let why = "these faults want a token of their own: `Authorization: Bearer` and the text \
                   of faults.token in the embedded cloud's directory";
        let refused = problem(StatusCode::UNAUTHORIZED, why);
        return ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response();
    }
    match act() {
        Ok(()) => world.faults(|faults, _| axum::Json(shown(faults)).into_response()),
        Err(why) => problem(StatusCode::BAD_REQUEST, &why),
    }
}

fn holds_token(world: &World, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split_once(' '));
    let given = given.filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let token = world.config.rehearsal.token.as_ref();
    token.zip(given).is_some_and(|(token, (_, given))| same(given.trim(), token.expose_secret()))
}

/// RFC 9457.
fn problem(status: StatusCode, why: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": why });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

fn read(mut wishes: Wishes, body: &[u8]) -> Result<Wishes, String> {
    let example = "send an object as {\"list-fails\": 20, \"build-slow\": \"60s\"}";
    let object: Map<String, Value> =
        serde_json::from_slice(body).map_err(|why| format!("{why}: {example}"))?;
    for (word, strength) in &object {
        wishes.read(word, strength).map_err(|why: WishError| why.to_string())?;
    }
    Ok(wishes)
}

/// All faults by name, the ones that are on with their strength.
fn shown(faults: &Faults) -> Value {
    let each = Fault::ALL.iter().map(|fault| {
        let on = faults.wishes().0.get(fault).filter(|strength| !strength.is_off(*fault));
        let about = json!({
            "is": on.map(|strength| strength.json()),
            "struck": faults.struck(*fault),
            "meaning": fault.meaning(),
            "takes": fault.form(),
        });
        (fault.word().to_owned(), about)
    });
    let on = faults.wishes().0.iter().map(|(fault, it)| (fault.word().to_owned(), it.json()));
    json!({ "on": on.collect::<Map<_, _>>(), "faults": each.collect::<Map<_, _>>() })
}
