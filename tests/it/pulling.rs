//! Signals that novascale asks for itself, from a server on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, Uri};
use novascale::app::pull::ask::{Asker, Found, Kind, Trouble};
use novascale::app::pull::{Parts, Pullers};
use novascale::config::pull::{From, Pull};
use novascale::config::secret::SecretEnv;
use novascale::config::{Config, Env, Loaded};
use novascale::domain::id::ServerId;
use novascale::domain::time::Clock;
use novascale::store::Store;
use novascale::telemetry::count;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::face::Face;

/// What the server says to a request.
#[derive(Clone)]
enum Reply {
    Says(u16, String),
    /// By what is asked.
    Echoes,
    Redirects,
    Hangs,
}

/// A server that is asked: what it says next, and what it was asked.
struct Asked {
    address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    requests: mpsc::UnboundedReceiver<(Uri, String)>,
}

impl Asked {
    async fn new(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Arc::new(Mutex::new(reply));
        let (heard, requests) = mpsc::unbounded_channel();
        let says = Arc::clone(&reply);
        let router = Router::new().fallback(move |request: Request| {
            let reply = says.lock().unwrap().clone();
            let shown = request.headers().get("authorization");
            let shown = shown.map_or("", |value| value.to_str().unwrap()).to_owned();
            heard.send((request.uri().clone(), shown)).unwrap();
            async move { answer(reply, request.uri()).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, reply, requests }
    }

    fn says(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn prometheus(&self, more: &str) -> String {
        format!("prometheus = \"http://{}\"\nquery = \"sum(x)\"\n{more}", self.address)
    }

    fn json(&self, pointer: &str) -> String {
        format!("url = \"http://{}/stats?of=web\"\npointer = \"{pointer}\"\n", self.address)
    }
}

async fn answer(reply: Reply, uri: &Uri) -> Response<Body> {
    let (status, body) = match reply {
        Reply::Says(status, body) => (status, body),
        Reply::Echoes => {
            let number = uri.query().unwrap().rsplit('=').next().unwrap().to_owned();
            (200, scalar(&number))
        }
        Reply::Redirects => (302, String::new()),
        Reply::Hangs => std::future::pending().await,
    };
    let to = Response::builder().status(status).header("location", "/elsewhere");
    to.body(Body::from(body)).unwrap()
}

fn success(kind: &str, result: &Value) -> String {
    json!({ "status": "success", "data": { "resultType": kind, "result": result } }).to_string()
}

fn scalar(number: &str) -> String {
    success("scalar", &json!([1_435_781_451.781, number]))
}

fn vector(elements: &[(&str, &str)]) -> String {
    let element =
        |(id, number): &(&str, &str)| json!({ "metric": { "id": id }, "value": [1.5, number] });
    success("vector", &elements.iter().map(element).collect())
}

fn says(body: impl ToString) -> Reply {
    Reply::Says(200, body.to_string())
}

fn load(section: &str) -> Result<Loaded, String> {
    let text = format!(
        "[cloud]\nuse = \"sandbox\"\n[group.web]\nmin = 0\nmax = 8\nflavor = \"f\"\nimage = \"i\"\n\
         networks = \"auto\"\n[[group.web.target]]\nsignal = \"requests\"\nper_server = 1\n\
         [signal.requests]\n{section}"
    );
    Config::parse(&text, Path::new("scaling.toml"), &env()).map_err(|faults| faults.to_string())
}

fn env() -> Env {
    Env::new([("TOKEN", "open sesame")], None, "/".into())
}

fn pull(section: &str) -> Pull {
    let loaded = load(&format!("group = \"web\"\n{section}")).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config.pulls.into_iter().next().unwrap()
}

async fn ask(pull: &Pull) -> Result<Found, Trouble> {
    Asker::new(pull, &SecretEnv::new(env())).unwrap().ask().await
}

/// Whose values were found.
fn values(found: &Found) -> Vec<(Option<&str>, f64)> {
    let all = found.values.iter();
    all.map(|(server, value)| (server.as_ref().map(ServerId::as_str), value.get())).collect()
}

#[tokio::test]
async fn a_query_finds_one_number_or_one_for_each_server() {
    let mut asked = Asked::new(says(scalar("12.5"))).await;
    let one = pull(&asked.prometheus(""));
    assert_eq!(values(&ask(&one).await.unwrap()), [(None, 12.5)]);
    assert_eq!(asked.requests.recv().await.unwrap().0, "/api/v1/query?query=sum%28x%29");
    asked.says(says(vector(&[("a", "0")])));
    assert_eq!(values(&ask(&one).await.unwrap()), [(None, 0.0)]);
    let each = pull(&asked.prometheus("server_label = \"id\"\n"));
    asked.says(says(vector(&[("s-1", "40"), ("s-2", "NaN"), ("s-3", "60")])));
    let found = ask(&each).await.unwrap();
    assert_eq!(values(&found), [(Some("s-1"), 40.0), (Some("s-3"), 60.0)]);
    assert_eq!(found.passed.unwrap().kind, Kind::Value, "what is missing is told");
}

#[tokio::test]
async fn a_pointer_leads_to_a_number() {
    let mut asked = Asked::new(says(json!({ "queue": [{ "length": 7 }] }))).await;
    let pull = pull(&asked.json("/queue/0/length"));
    assert_eq!(values(&ask(&pull).await.unwrap()), [(None, 7.0)]);
    assert_eq!(asked.requests.recv().await.unwrap().0, "/stats?of=web");
    for (body, kind) in [
        (json!({ "queue": [] }).to_string(), Kind::Form),
        (json!({ "queue": [{ "length": "7" }] }).to_string(), Kind::Form),
        (json!({ "queue": [{ "length": null }] }).to_string(), Kind::Form),
        (json!({ "queue": [{ "length": -1 }] }).to_string(), Kind::Value),
        ("queue: 7".to_owned(), Kind::Form),
        (String::new(), Kind::Form),
    ] {
        asked.says(says(&body));
        assert_eq!(ask(&pull).await.unwrap_err().kind, kind, "{body}");
    }
}

#[tokio::test]
async fn whatever_is_no_number_is_trouble_and_never_zero() {
    let asked = Asked::new(Reply::Redirects).await;
    let one = pull(&asked.prometheus(""));
    let redirected = ask(&one).await.unwrap_err();
    assert_eq!(redirected.kind, Kind::Status(302));
    assert!(redirected.said.contains("not followed"), "{redirected:?}");
    let failed = json!({ "status": "error", "errorType": "bad_data", "error": "parse\u{7} error" });
    let matrix = success("matrix", &json!([]));
    let cases = [
        (Reply::Says(500, "oops".to_owned()), Kind::Status(500)),
        (Reply::Says(400, failed.to_string()), Kind::Status(400)),
        (Reply::Says(204, String::new()), Kind::Status(204)),
        (says(failed), Kind::Form),
        (says(vector(&[])), Kind::Nothing),
        (says(vector(&[("a", "1"), ("b", "2")])), Kind::Form),
        (says(matrix), Kind::Form),
        (says(scalar("NaN")), Kind::Value),
        (says(scalar("+Inf")), Kind::Value),
        (says(scalar("-1")), Kind::Value),
        (says(scalar("many")), Kind::Form),
        (says(success("scalar", &json!([1.5, 2]))), Kind::Form),
        (says(json!({ "status": "success" })), Kind::Form),
        (says(json!([])), Kind::Form),
        (says("x".repeat(1024 * 1024 + 1)), Kind::Unreached),
    ];
    for (reply, kind) in cases {
        asked.says(reply);
        let trouble = ask(&one).await.unwrap_err();
        assert_eq!(trouble.kind, kind, "{trouble:?}");
        assert!(trouble.said.len() < 400 && !trouble.said.contains('\u{7}'), "{trouble:?}");
    }
    let each = pull(&asked.prometheus("server_label = \"id\"\n"));
    for (reply, kind) in [
        (says(scalar("1")), Kind::Form),
        (says(vector(&[])), Kind::Nothing),
        (says(vector(&[("s-1", "NaN")])), Kind::Value),
        (says(vector(&[("no id at all", "1")])), Kind::Form),
        (says(success("vector", &json!([{ "metric": {}, "value": [1.5, "1"] }]))), Kind::Form),
    ] {
        asked.says(reply);
        assert_eq!(ask(&each).await.unwrap_err().kind, kind);
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_is_not_there_is_given_up() {
    let asked = Asked::new(Reply::Hangs).await;
    let mut one = pull(&asked.prometheus(""));
    one.timeout = Duration::from_millis(50);
    assert_eq!(ask(&one).await.unwrap_err().kind, Kind::Unreached);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let one = pull(&format!("url = \"http://{nobody}/\"\npointer = \"/x\""));
    assert_eq!(ask(&one).await.unwrap_err().kind, Kind::Unreached);
}

#[tokio::test]
async fn it_shows_who_asks() {
    let mut asked = Asked::new(says(scalar("1"))).await;
    let bearer = "bearer = { env = \"TOKEN\" }\n";
    let basic = "basic = { env = \"TOKEN\" }\nusername = \"nova\"\n";
    for (login, shown) in
        [(bearer, "Bearer open sesame"), (basic, "Basic bm92YTpvcGVuIHNlc2FtZQ=="), ("", "")]
    {
        ask(&pull(&asked.prometheus(login))).await.unwrap();
        assert_eq!(asked.requests.recv().await.unwrap().1, shown);
    }
    let one = pull(&asked.prometheus(bearer));
    let absent = Asker::new(&one, &SecretEnv::default());
    assert_eq!(absent.err().map(|trouble| trouble.kind), Some(Kind::Setup));
}

#[test]
fn settings_are_judged() {
    let base = "group = \"web\"\nprometheus = \"http://127.0.0.1:9090/prom/\"\nquery = \"up\"\n";
    let pull = load(base).unwrap().config.pulls.remove(0);
    assert_eq!((pull.every.as_secs(), pull.timeout.as_secs()), (30, 10));
    let From::Prometheus { base: url, server: None, .. } = &pull.from else { panic!("{pull:?}") };
    assert_eq!(url.path(), "/prom");
    let quick = load(&format!("{base}every = \"1s\"")).unwrap().config.pulls.remove(0);
    assert_eq!(quick.timeout, Duration::from_millis(500));
    let bad = [
        ("group = \"db\"\nurl = \"http://a\"\npointer = \"/x\"", "names no group"),
        ("url = \"http://a\"\npointer = \"/x\"", "`signal.requests.group` is missing"),
        ("group = \"web\"", "says nowhere to ask"),
        ("group = \"web\"\nurl = \"http://a\"", "pointer` is missing"),
        ("group = \"web\"\nurl = \"http://a\"\npointer = \"x\"", "no JSON pointer"),
        ("group = \"web\"\nurl = \"ftp://a\"\npointer = \"/x\"", "no URL of http"),
        ("group = \"web\"\nurl = \"http://u:p@a\"\npointer = \"/x\"", "user name or password"),
        ("group = \"web\"\nurl = \"http://169.254.169.254/x\"\npointer = \"/x\"", "link-local"),
        ("group = \"web\"\nurl = \"http://[::ffff:a9fe:a9fe]/\"\npointer = \"/x\"", "link-local"),
        ("group = \"web\"\nprometheus = \"http://a\"", "query` is missing"),
        ("group = \"web\"\nprometheus = \"http://a?x=1\"\nquery = \"up\"", "holds a query"),
        (
            "group = \"web\"\nurl = \"http://a\"\npointer = \"/x\"\nquery = \"up\"",
            "goes with `prometheus`",
        ),
        (
            "group = \"web\"\nurl = \"http://a\"\npointer = \"/x\"\nusername = \"u\"",
            "goes with `basic`",
        ),
    ];
    for (section, said) in bad {
        let faults = load(section).unwrap_err();
        assert!(faults.contains(said), "{section}\n{faults}");
    }
    for (more, said) in [
        ("every = \"500ms\"", "must be 1 s to 1 h"),
        ("every = \"2h\"", "must be 1 s to 1 h"),
        ("timeout = \"30s\"", "shorter than `every`"),
        ("url = \"http://a\"\npointer = \"/x\"", "exclude each other"),
        ("bearer = { env = \"TOKEN\" }\nbasic = { env = \"TOKEN\" }\nusername = \"u\"", "exclude"),
        ("basic = { env = \"TOKEN\" }", "username` is missing"),
        ("bearer = { env = \"NONE\" }", "cannot be had"),
        ("cacert = \"absent.pem\"", "cannot be read"),
    ] {
        let faults = load(&format!("{base}{more}")).unwrap_err();
        assert!(faults.contains(said), "{more}\n{faults}");
    }
    let warned = [
        ("signal = \"nobody_reads\"", base, "reads nobody_reads"),
        (
            "bearer = { env = \"TOKEN\" }",
            "group = \"web\"\nprometheus = \"http://a\"\nquery = \"up\"\n",
            "plain http",
        ),
    ];
    for (more, base, said) in warned {
        let warnings = format!("{:?}", load(&format!("{base}{more}")).unwrap().warnings);
        assert!(warnings.contains(said), "{warnings}");
    }
}

/// Pullers over a face's store and loops.
struct House {
    face: Face,
    pullers: Pullers,
    stopping: CancellationToken,
    broken: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    fn new() -> Self {
        let face = Face::new();
        let (stopping, broken) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let pullers = Pullers::new(Parts {
            store: Arc::clone(&face.store) as Arc<dyn Store>,
            lease: face.lease.clone(),
            clock: Arc::clone(&face.clock) as Arc<dyn Clock>,
            handle: face.loops.subscribe(),
            counters: face.counters.clone(),
            env: SecretEnv::new(env()),
            tasks: tasks.clone(),
            stopping: stopping.clone(),
            broken: broken.clone(),
        });
        Self { face, pullers, stopping, broken, tasks }
    }

    async fn nudged(&self) {
        self.face.ends["web"].nudge.notified().await;
    }

    async fn stored(&self) -> Vec<f64> {
        let stored = self.face.stored("web").await.samples;
        let now = self.face.clock.now().wall;
        assert!(stored.iter().all(|sample| sample.at == now && sample.name.as_str() == "requests"));
        stored.iter().map(|sample| sample.value.get()).collect()
    }

    async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        assert!(!self.broken.is_cancelled());
    }
}

#[tokio::test]
async fn failures_store_nothing_and_the_next_answer_counts() {
    let mut asked = Asked::new(Reply::Says(500, String::new())).await;
    let mut house = House::new();
    let mut pull = pull(&asked.prometheus(""));
    pull.every = Duration::from_millis(1);
    house.pullers.keep(vec![pull]);
    for _ in 0..3 {
        asked.requests.recv().await.unwrap();
    }
    // Two of the three are over.
    assert!(house.face.counters.total(count::PULL_FAILURES) >= 2);
    assert!(house.stored().await.is_empty());
    asked.says(says(scalar("540")));
    house.nudged().await;
    assert_eq!(house.stored().await, [540.0]);
    assert_eq!(house.face.counters.total(count::SIGNALS), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_reload_asks_the_next_question_at_once() {
    let mut asked = Asked::new(Reply::Echoes).await;
    let mut house = House::new();
    let question = |query: &str| {
        let mut pull = pull(&asked.prometheus(""));
        pull.every = Duration::from_secs(3600);
        let From::Prometheus { query: asks, .. } = &mut pull.from else { panic!("{pull:?}") };
        query.clone_into(asks);
        pull
    };
    let (first, second) = (question("5"), question("3"));
    house.pullers.keep(vec![first]);
    house.nudged().await;
    assert_eq!(house.stored().await, [5.0]);
    house.face.clock.forward(Duration::from_secs(1));
    house.pullers.keep(vec![second]);
    house.nudged().await;
    assert_eq!(house.stored().await, [3.0]);
    for query in ["5", "3"] {
        let (uri, _) = asked.requests.recv().await.unwrap();
        assert_eq!(uri.query(), Some(format!("query={query}").as_str()));
    }
    house.pullers.keep(Vec::new());
    house.tasks.close();
    house.tasks.wait().await;
    assert!(asked.requests.try_recv().is_err(), "nobody asks any more");
    house.stop().await;
}

#[tokio::test]
async fn what_the_store_does_not_take_is_a_failure_and_asked_again() {
    let mut asked = Asked::new(says(scalar("5"))).await;
    let mut house = House::new();
    house.face.store.is(crate::http::face::Mood::Fails);
    let mut pull = pull(&asked.prometheus(""));
    pull.every = Duration::from_millis(1);
    house.pullers.keep(vec![pull]);
    for _ in 0..2 {
        asked.requests.recv().await.unwrap();
    }
    assert!(house.face.counters.total(count::PULL_FAILURES) >= 1);
    house.face.store.is(crate::http::face::Mood::Well);
    house.nudged().await;
    assert_eq!(house.stored().await, [5.0]);
    house.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_no_answer() {
    let mut asked = Asked::new(Reply::Hangs).await;
    let mut house = House::new();
    house.pullers.keep(vec![pull(&asked.prometheus(""))]);
    asked.requests.recv().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), house.stop()).await.unwrap();
}
