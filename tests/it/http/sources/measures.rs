//! What the formats have in common that carry metrics.

use axum::body::Body;

use super::super::face::{Answer, Face};

/// The wall time of a face, in milliseconds.
pub const NOON: i64 = 1_795_435_200_000;

/// A source of this format: `requests` of the job `web` is a signal, and so is `cpu`, of servers.
pub fn face(format: &str) -> Face {
    super::face(
        format,
        "[[source.s.signal]]\nmetric = \"requests\"\nlabels = { job = \"web\" }\nsignal = \"requests\"\n\
         [[source.s.signal]]\nmetric = \"cpu\"\nsignal = \"cpu\"\nserver_label = \"server_id\"\n",
    )
}

pub async fn send(face: &Face, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    at(face, "/v1/webhooks/s", headers, body).await
}

pub async fn at(
    face: &Face,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let asking = face.stranger("POST", path).header("authorization", "Bearer open sesame");
    let asking = headers.iter().fold(asking, |asking, (name, value)| asking.header(name, value));
    asking.body(body).send().await
}

/// The newest samples of the group: name, value, time, server.
pub async fn samples(face: &Face) -> Vec<(String, f64, i64, Option<String>)> {
    let mut all: Vec<_> = face
        .stored("web")
        .await
        .samples
        .iter()
        .map(|sample| {
            let server = sample.server.as_ref().map(ToString::to_string);
            (sample.name.to_string(), sample.value.get(), sample.at.0, server)
        })
        .collect();
    all.sort_by(|a, b| (&a.0, &a.3).cmp(&(&b.0, &b.3)));
    all
}

pub fn whole(name: &str, value: f64, at: i64) -> (String, f64, i64, Option<String>) {
    (name.to_owned(), value, at, None)
}

pub fn of_server(
    name: &str,
    value: f64,
    at: i64,
    server: &str,
) -> (String, f64, i64, Option<String>) {
    (name.to_owned(), value, at, Some(server.to_owned()))
}
