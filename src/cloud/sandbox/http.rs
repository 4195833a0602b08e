//! What all faces share: how a request reaches a verb, and how answers are written.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{self, MethodRouter};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::model::identity::{Account, Kind};
use super::model::refusal::Refusal;
use super::model::{Millis, Model, Turn};
use super::world::World;
use super::{Sandbox, keystone, nova};

pub(super) type Shared = Arc<World>;

/// What a face does with one request. It cannot wait for anything.
pub(super) type Verb = fn(&World, &Ask) -> Result<Response, Refusal>;

/// A service: the way in which it refuses.
#[derive(Clone, Copy)]
pub(super) struct Face {
    pub(super) refuse: fn(&World, &Refusal) -> Response,
}

/// A request, read whole.
pub(super) struct Ask {
    path: Vec<(String, String)>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Or why it cannot be used.
    body: Result<Bytes, Refusal>,
    pub(super) request_id: String,
    /// Whose token came with it; `None` on routes without a token check.
    pub(super) caller: Option<Caller>,
    /// Nova's microversion 2.x; 1 elsewhere.
    pub(super) version: Version,
    /// It is to be carried out so much later.
    pub(super) later: Option<Millis>,
}

/// What a fault puts off, and by how much.
#[derive(Clone, Copy)]
pub(super) struct Later(pub(super) Millis);

/// Who asks, by token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) account: Account,
    /// The token is scoped to the project.
    pub(super) scoped: bool,
}

/// The minor part of a microversion 2.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32);

#[derive(Clone)]
struct RequestId(String);

impl Face {
    pub(super) fn get(self, verb: Verb) -> MethodRouter<Shared> {
        routing::get(move |State(world): State<Shared>, ask: Ask| async move {
            self.answer(&world, &ask, verb)
        })
    }

    pub(super) fn post(self, verb: Verb) -> MethodRouter<Shared> {
        routing::post(move |State(world): State<Shared>, ask: Ask| async move {
            self.answer(&world, &ask, verb)
        })
    }

    pub(super) fn put(self, verb: Verb) -> MethodRouter<Shared> {
        routing::put(move |State(world): State<Shared>, ask: Ask| async move {
            self.answer(&world, &ask, verb)
        })
    }

    pub(super) fn delete(self, verb: Verb) -> MethodRouter<Shared> {
        routing::delete(move |State(world): State<Shared>, ask: Ask| async move {
            self.answer(&world, &ask, verb)
        })
    }

    fn answer(self, world: &World, ask: &Ask, verb: Verb) -> Response {
        verb(world, ask).unwrap_or_else(|why| (self.refuse)(world, &why))
    }
}

impl FromRequest<Shared> for Ask {
    type Rejection = Response;

    async fn from_request(request: Request, world: &Shared) -> Result<Ask, Response> {
        let (mut parts, body) = request.into_parts();
        let path = axum::RequestPartsExt::extract::<RawPathParams>(&mut parts).await;
        let path = path.map_err(|error| error.into_response())?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let caller = parts.extensions.get::<Caller>().copied();
        let version = parts.extensions.get::<Version>().copied().unwrap_or(Version(1));
        let request_id =
            parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let later = parts.extensions.get::<Later>().map(|Later(after)| *after);
        let headers = parts.headers.clone();
        let body = Bytes::from_request(Request::from_parts(parts, body), world).await;
        let body = body.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
            _ => Refusal::Invalid("Malformed request body".to_owned()),
        });
        Ok(Ask { path, query, headers, body, request_id, caller, version, later })
    }
}

impl Ask {
    /// A part of the path, decoded.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Invalid`].
    pub(super) fn body(&self) -> Result<&Bytes, Refusal> {
        self.body.as_ref().map_err(Clone::clone)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`]; [`Refusal::Invalid`] in Nova's words.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(self.body()?)
            .map_err(|_| Refusal::Invalid("Malformed request body".to_owned()))
    }

    /// Changes the model in the name of the caller.
    pub(super) fn change<T>(
        &self,
        world: &World,
        change: impl FnOnce(&mut Model, &mut Turn<'_>) -> T,
    ) -> T {
        let account = self.caller.map_or(Account::Service, |caller| caller.account);
        world.change(account, &self.request_id, change)
    }

    /// The owner of what this request looks at.
    pub(super) fn account(&self) -> Account {
        self.caller.map_or(Account::Service, |caller| caller.account)
    }
}

impl Version {
    pub(super) fn has(self, minor: u32) -> bool {
        minor <= self.0
    }
}

/// The parameters behind the question mark, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The last value of this name: the one that counts in OpenStack when a name comes twice.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same parameters with another `marker`, encoded.
    pub(super) fn after(&self, marker: &str) -> String {
        let kept = self.0.iter().filter(|(key, _)| key != "marker");
        let mut out = form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(kept).append_pair("marker", marker).finish()
    }
}

/// Around every request: counts it, gives it an id, saves what it changed, and puts the id on the
/// answer.
pub(super) async fn mark(
    State(sandbox): State<Sandbox>,
    mut request: Request,
    next: Next,
) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or("unknown path", MatchedPath::as_str);
    let reads = request.method() == Method::GET;
    let id = sandbox.world.count(format!("{} {route}", counted(request.method())));
    request.extensions_mut().insert(RequestId(id.clone()));
    let compute = request.uri().path().starts_with("/compute/");
    let mut answer = next.run(request).await;
    if !reads && answer.status().is_success() {
        answer = saved(&sandbox, answer).await;
    }
    // A request id is hexadecimal digits and hyphens: always a legal header.
    if let Ok(id) = HeaderValue::from_str(&id) {
        if compute {
            answer.headers_mut().insert("x-compute-request-id", id.clone());
        }
        answer.headers_mut().insert("x-openstack-request-id", id);
    }
    answer
}

/// The method as it is counted: strangers may make up words without end.
fn counted(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH];
    let known = known.contains(method) || [Method::DELETE, Method::OPTIONS].contains(method);
    if known { method.as_str() } else { "other" }
}

/// The answer, once what it acknowledges outlives a crash.
async fn saved(sandbox: &Sandbox, answer: Response) -> Response {
    match sandbox.cover().await {
        Ok(()) => answer,
        Err(why) => nova::fault(500, &why.to_string()),
    }
}

/// Around the routes that want a token (keystonemiddleware `auth_token`): whichever service, the
/// refusal is Keystone's.
pub(super) async fn authenticate(
    State(world): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&world, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(why) => keystone::refuse(&world, &why),
    }
}

/// Around a service's routes: axum answers 405 without a body, OpenStack never does.
pub(super) async fn bad_method(
    State((world, face, why)): State<(Shared, Face, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let answer = next.run(request).await;
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        (face.refuse)(&world, &Refusal::NotOffered(why))
    } else {
        answer
    }
}

/// Whose token the header holds.
pub(super) fn caller(world: &World, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let token = headers
        .get("x-auth-token")
        .and_then(|value| value.to_str().ok())
        .ok_or(Refusal::Unauthenticated)?;
    let now = world.now();
    let found =
        world.look(|model| model.token(token, now).cloned()).ok_or(Refusal::Unauthenticated)?;
    match found.kind {
        Kind::Keystone { scoped, .. } => Ok(Caller { account: found.account, scoped }),
        Kind::Id => Err(Refusal::Unauthenticated),
    }
}

/// A path that no service knows.
pub(super) fn unknown_path(request: Request) -> impl Future<Output = Response> + Send {
    std::future::ready(match request.uri().path() {
        path if path.starts_with("/identity") => keystone::missing_path(),
        path if path.starts_with("/image") => html_not_found(),
        _ => json(
            404,
            &json!({ "code": "404 Not Found", "title": "Not Found", "message": NOT_FOUND }),
        ),
    })
}

pub(super) const NOT_FOUND: &str = "The resource could not be found.";

/// A JSON answer.
pub(super) fn json(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    status.into_response()
}

/// A 404 as webob writes it when nobody turns it into JSON; Glance never does.
pub(super) fn html_not_found() -> Response {
    let page = format!(
        "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  \
         <h1>404 Not Found</h1>\n  {NOT_FOUND}\n </body>\n</html>"
    );
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")], page)
        .into_response()
}

/// Puts a header on an answer; a value that is no legal header is left out.
pub(super) fn with_header(mut answer: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// `2026-01-02T03:04:05Z`.
pub(super) fn seconds(at: Millis) -> String {
    write(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2026-01-02T03:04:05.000000`, with the zone left unsaid as Nova does in places; it is UTC.
pub(super) fn micros(at: Millis) -> String {
    write(at, "%Y-%m-%dT%H:%M:%S.%6f")
}

fn write(at: Millis, form: &str) -> String {
    let instant = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::MAX);
    instant.strftime(form).to_string()
}
