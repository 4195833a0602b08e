//! A planted secret in every place that a sender can reach is found nowhere: in no log
//! line at the loudest level, in no answer.

use std::io;
use std::sync::{Arc, Mutex};

use novascale::http::tokens::Scope;
use novascale::telemetry::line::Look;
use novascale::telemetry::log::{LogFormat, LogOptions, subscriber};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

use super::face::{Face, Mood};
use super::sockets::talk;

const CANARY: &str = "CANARYf00dfeedCANARY";

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Paper {
    type Writer = Self;
    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Requests of all kinds, right and wrong, with the canary wherever there is room for one.
fn requests(face: &Face) -> Vec<String> {
    let sample = "{\"name\": \"requests\", \"value\": 1}";
    let tokens = [
        format!("Bearer {}", face.token(Scope::Operate)),
        format!("Bearer {}", face.token(Scope::Signal)),
        format!("Bearer {CANARY}"),
        format!("Basic {CANARY}"),
        CANARY.to_owned(),
    ];
    let bodies = [
        sample.to_owned(),
        format!("{{\"name\": \"{CANARY} \", \"value\": 1}}"),
        format!("{{\"name\": \"requests\", \"value\": \"{CANARY}\"}}"),
        format!("{{\"name\": \"requests\", \"value\": 1, \"at\": \"{CANARY}\"}}"),
        format!("{CANARY} is no JSON"),
        format!("{{\"set\": \"{CANARY}\"}}"),
    ];
    let mut all = Vec::new();
    for token in &tokens {
        for body in &bodies {
            for path in ["signals", "capacity", "pin"] {
                let method = if path == "pin" { "PUT" } else { "POST" };
                all.push(format!(
                    "{method} /v1/groups/web/{path}?{CANARY}={CANARY} HTTP/1.1\r\n\
                     host: {CANARY}\r\nauthorization: {token}\r\ncookie: {CANARY}\r\nx-{CANARY}: {CANARY}\r\n\
                     idempotency-key: {CANARY}{}\r\ncontent-type: application/json\r\n\
                     connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    all.len(),
                    body.len()
                ));
            }
        }
        for path in
            ["/v1/groups/web", "/v1/groups/web/decisions?marker=", "/metrics", "/readyz?", "/"]
        {
            all.push(format!(
                "GET {path}{CANARY} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\
                 connection: close\r\n\r\n"
            ));
        }
    }
    all.push(format!("{CANARY} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    all.push(format!("GET / HTTP/9.9 {CANARY}\r\n\r\n"));
    all.push(format!("GET / HTTP/1.1\r\n{CANARY}\u{1}: {CANARY}\r\n\r\n"));
    all
}

/// On one thread, so that the subscriber of this test hears whatever its sockets do.
#[tokio::test(flavor = "current_thread")]
async fn what_senders_send_is_repeated_nowhere() {
    // With a single subscriber alive, tracing asks the current thread whether an event is
    // wanted, and keeps its answer for all threads: another test must not answer for us.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let logs = [LogFormat::Text, LogFormat::Json].map(|format| (format, Paper::default()));
    for (format, paper) in &logs {
        let options = LogOptions {
            format: *format,
            level: Some("trace,novascale=trace".into()),
            ..LogOptions::default()
        };
        let look =
            Look { color: false, local: false, time: || "2026-11-23T12:00:00Z".parse().unwrap() };
        let subscriber = subscriber(&options, look, paper.clone()).unwrap();
        let _guard = tracing::subscriber::set_default(subscriber);
        for mood in [Mood::Well, Mood::Fails] {
            let face = Face::new();
            face.store.is(mood);
            let answers = asked(&face).await;
            for token in
                Scope::ALL.map(|scope| face.token(scope)).into_iter().chain([CANARY.into()])
            {
                let secret = &token[token.len() - 16..];
                let found = answers.iter().find(|answer| answer.contains(secret));
                assert_eq!(found, None, "an answer repeats what was sent");
                let log = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
                let found = log.lines().find(|line| line.contains(secret));
                assert_eq!(found, None, "the log repeats what was sent");
            }
        }
        let log = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("request answered"), "the log was heard: {log}");
    }
}

async fn asked(face: &Face) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(novascale::http::serve(
        listener,
        (face.admin.clone(), None),
        face.limits,
        face.counters.clone(),
        stop.clone(),
    ));
    let mut answers = Vec::new();
    for request in requests(face) {
        answers.push(talk(address, request.as_bytes()).await);
    }
    stop.cancel();
    serving.await.unwrap();
    answers
}
