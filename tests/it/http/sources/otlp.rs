//! OpenTelemetry metrics over HTTP.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use serde_json::{Value, json};

use super::super::face::{Answer, Face};
use super::measures::{self, NOON, of_server, samples, whole};

/// open-telemetry/opentelemetry-proto `collector/metrics/v1/metrics_service.proto`,
/// `metrics/v1/metrics.proto`, `common/v1/common.proto`, `resource/v1/resource.proto`, as far as
/// senders fill them.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(message, optional, tag = "5")]
    gauge: Option<Numbers>,
    #[prost(message, optional, tag = "7")]
    sum: Option<Numbers>,
    #[prost(message, optional, tag = "9")]
    histogram: Option<Histogram>,
    #[prost(message, optional, tag = "10")]
    exponential: Option<Exponential>,
    #[prost(message, optional, tag = "11")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Numbers {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")]
    temporality: i32,
    #[prost(bool, tag = "3")]
    monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
struct NumberDataPoint {
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(double, optional, tag = "4")]
    as_double: Option<f64>,
    #[prost(sfixed64, optional, tag = "6")]
    as_int: Option<i64>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<HistogramDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct HistogramDataPoint {
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, optional, tag = "5")]
    sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Exponential {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<ExponentialDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct ExponentialDataPoint {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, optional, tag = "5")]
    sum: Option<f64>,
    #[prost(uint32, tag = "10")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<SummaryDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryDataPoint {
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, tag = "5")]
    sum: f64,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
    #[prost(bool, optional, tag = "2")]
    boolean: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    int: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_data_points: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// google/rpc/status.proto
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

const PROTOBUF: [(&str, &str); 1] = [("content-type", "application/x-protobuf")];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const NANOS: u64 = 1_000_000;

fn face() -> Face {
    let face = measures::face("otlp");
    let signal = |metric: &str, signal: &str, more: &str| {
        format!("[[source.s.signal]]\nmetric = \"{metric}\"\nsignal = \"{signal}\"\n{more}")
    };
    let all = [
        signal("requests", "requests", "labels = { \"service.name\" = \"web\" }\n"),
        signal("cpu", "cpu", "server_label = \"host.id\"\n"),
        signal("latency_sum", "spent", ""),
        signal("latency_count", "calls", ""),
        signal("flags", "flags", "labels = { up = \"true\", slot = \"7\" }\n"),
    ];
    let sections = format!("{}{}", super::section("otlp"), all.concat());
    face.speaks(&sections, &[("TOKEN", "open sesame")]);
    face
}

async fn send(face: &Face, request: &Request) -> Answer {
    measures::send(face, &PROTOBUF, request.encode_to_vec()).await
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { string: Some(value.to_owned()), ..AnyValue::default() };
    KeyValue { key: key.to_owned(), value: Some(value) }
}

fn of(service: &str, metrics: Vec<Metric>) -> Request {
    let resource = Resource { attributes: vec![attribute("service.name", service)] };
    let other = ScopeMetrics { metrics: vec![gauge("memory", vec![int(1, NOON)])] };
    let scope_metrics = vec![other, ScopeMetrics { metrics }];
    let schema_url = "https://opentelemetry.io/schemas/1.30.0".to_owned();
    let one = ResourceMetrics { resource: Some(resource), scope_metrics, schema_url };
    Request { resource_metrics: vec![one] }
}

fn gauge(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let gauge = Some(Numbers { data_points, ..Numbers::default() });
    Metric { name: name.to_owned(), description: "d".to_owned(), gauge, ..Metric::default() }
}

fn int(value: i64, at: i64) -> NumberDataPoint {
    let time = at.cast_unsigned() * NANOS;
    NumberDataPoint { start: time, time, as_int: Some(value), ..NumberDataPoint::default() }
}

fn double(value: f64, at: i64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    let time = at.cast_unsigned() * NANOS;
    let as_double = Some(value);
    NumberDataPoint { time, as_double, attributes, ..NumberDataPoint::default() }
}

fn empty(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    assert_eq!(Response::decode(&*answer.bytes).unwrap(), Response::default());
}

#[tokio::test]
async fn gauges_and_sums_are_signals() {
    let face = face();
    let host = |id, value| double(value, NOON, vec![attribute("host.id", id)]);
    let sum = Some(Numbers { data_points: vec![int(540, NOON)], temporality: 2, monotonic: false });
    let requests = Metric { name: "requests".to_owned(), sum, ..Metric::default() };
    let cpu = gauge("cpu", vec![host("s-1", 40.5), host("s-2", 60.0)]);
    empty(&send(&face, &of("web", vec![requests.clone(), cpu])).await);
    let kept = [
        of_server("cpu", 40.5, NOON, "s-1"),
        of_server("cpu", 60.0, NOON, "s-2"),
        whole("requests", 540.0, NOON),
    ];
    assert_eq!(samples(&face).await, kept);
    // Another service's.
    empty(&send(&face, &of("db", vec![requests])).await);
    assert_eq!(samples(&face).await, kept);
}

#[tokio::test]
async fn histograms_and_summaries_are_their_sum_and_count() {
    let time = NOON.cast_unsigned() * NANOS;
    let histogram = HistogramDataPoint {
        time,
        count: 3,
        sum: Some(1.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.5],
        ..HistogramDataPoint::default()
    };
    let histogram = Some(Histogram { data_points: vec![histogram] });
    let exponential =
        ExponentialDataPoint { time, count: 3, sum: Some(1.5), ..ExponentialDataPoint::default() };
    let exponential = Some(Exponential { data_points: vec![exponential] });
    let summary = SummaryDataPoint { time, count: 3, sum: 1.5, ..SummaryDataPoint::default() };
    let summary = Some(Summary { data_points: vec![summary] });
    let name = "latency".to_owned();
    let kinds = [
        Metric { name: name.clone(), histogram, ..Metric::default() },
        Metric { name: name.clone(), exponential, ..Metric::default() },
        Metric { name, summary, ..Metric::default() },
    ];
    for metric in kinds {
        let face = face();
        empty(&send(&face, &of("web", vec![metric.clone()])).await);
        let kept = [whole("calls", 3.0, NOON), whole("spent", 1.5, NOON)];
        assert_eq!(samples(&face).await, kept, "{metric:?}");
    }
}

#[tokio::test]
async fn attributes_of_any_kind_are_labels_and_the_points_come_first() {
    let face = face();
    let up = AnyValue { boolean: Some(true), ..AnyValue::default() };
    let slot = AnyValue { int: Some(7), ..AnyValue::default() };
    let labels = vec![
        KeyValue { key: "up".to_owned(), value: Some(up) },
        KeyValue { key: "slot".to_owned(), value: Some(slot) },
        KeyValue { key: "none".to_owned(), value: None },
    ];
    let web = vec![attribute("service.name", "web")];
    let metrics = vec![
        gauge("flags", vec![double(5.0, NOON, labels)]),
        gauge("requests", vec![double(6.0, NOON, web)]),
    ];
    empty(&send(&face, &of("db", metrics)).await);
    assert_eq!(samples(&face).await, [whole("flags", 5.0, NOON), whole("requests", 6.0, NOON)]);
}

#[tokio::test]
async fn what_was_not_recorded_says_nothing_and_what_is_refused_is_counted() {
    let face = face();
    let hole = NumberDataPoint { flags: 1, as_double: Some(0.0), ..int(0, NOON) };
    empty(&send(&face, &of("web", vec![gauge("requests", vec![hole])])).await);
    assert!(samples(&face).await.is_empty(), "unknown is not zero");
    let points = vec![double(-1.0, NOON, Vec::new()), int(9, NOON), int(9, NOON + 3_600_000)];
    let request = of("web", vec![gauge("requests", points), gauge("cpu", vec![int(1, NOON)])]);
    let answer = send(&face, &request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let partial = Response::decode(&*answer.bytes).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 3);
    assert!(partial.error_message.contains("host.id"), "{partial:?}");
    assert!(partial.error_message.contains("in the future"), "{partial:?}");
    assert_eq!(samples(&face).await, [whole("requests", 9.0, NOON)]);
}

/// One gauge with one point, written down by hand: time and whole number have 64 bits each.
const GOLDEN: &[u8] = b"\
    \x0a\x47\
      \x0a\x17\x0a\x15\
        \x0a\x0cservice.name\
        \x12\x05\x0a\x03web\
      \x12\x2c\
        \x0a\x05\x0a\x03lib\
        \x12\x23\
          \x0a\x08requests\x1a\x01\x31\
          \x2a\x14\
            \x0a\x12\
              \x19\0\x80\x3b\x41\xcd\xaa\xea\x18\
              \x31\x1c\x02\0\0\0\0\0\0";

#[tokio::test]
async fn a_request_is_read_as_it_is_written_down() {
    let face = face();
    empty(&measures::send(&face, &PROTOBUF, GOLDEN).await);
    assert_eq!(samples(&face).await, [whole("requests", 540.0, NOON)]);
}

/// The form of open-telemetry/opentelemetry-proto `examples/metrics.json`.
fn example() -> Value {
    let time = format!("{NOON}000000");
    let plain: u64 = time.parse().unwrap();
    let attributes =
        |key: &str, value: &str| json!([{ "key": key, "value": { "stringValue": value } }]);
    json!({ "resourceMetrics": [{
        "resource": { "attributes": attributes("service.name", "web") },
        "scopeMetrics": [{
            "scope": { "name": "my.library", "version": "1.0.0", "attributes": [] },
            "metrics": [
                { "name": "requests", "unit": "1", "description": "I'm a Counter", "sum": {
                    "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [
                        { "asInt": "540", "startTimeUnixNano": time, "timeUnixNano": time }] } },
                { "name": "cpu", "gauge": { "dataPoints": [
                    { "asDouble": 10, "timeUnixNano": plain, "attributes": attributes("host.id", "s-1") },
                    { "asDouble": 0.0, "timeUnixNano": time, "flags": 1,
                      "attributes": attributes("host.id", "s-2") }] } },
                { "name": "latency", "histogram": { "aggregationTemporality": 1, "dataPoints": [
                    { "timeUnixNano": time, "count": "3", "sum": 1.5, "bucketCounts": ["1", "2"],
                      "explicitBounds": [1], "min": 1, "max": 1 }] } },
                { "name": "flags", "gauge": { "dataPoints": [{ "asDouble": 5, "timeUnixNano": time,
                    "attributes": [{ "key": "up", "value": { "boolValue": true } },
                                   { "key": "slot", "value": { "intValue": "7" } }] }] } },
                { "name": "other", "exponentialHistogram": { "dataPoints": [{}] } },
            ]
        }]
    }] })
}

#[tokio::test]
async fn json_says_the_same() {
    let face = face();
    let answer = measures::send(&face, &JSON, example().to_string()).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
    assert_eq!(answer.header("content-type"), "application/json");
    let kept = [
        whole("calls", 3.0, NOON),
        of_server("cpu", 10.0, NOON, "s-1"),
        whole("flags", 5.0, NOON),
        whole("requests", 540.0, NOON),
        whole("spent", 1.5, NOON),
    ];
    assert_eq!(samples(&face).await, kept);
    let mut late = example();
    late["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"][0]["timeUnixNano"] =
        json!("1544712660300000000");
    let answer = measures::send(&face, &JSON, late.to_string()).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedDataPoints"], "1", "{answer:?}");
    assert_eq!(samples(&face).await, kept);
}

#[tokio::test]
async fn the_path_that_exporters_add_is_known() {
    let face = face();
    let body = of("web", vec![gauge("requests", vec![int(5, NOON)])]).encode_to_vec();
    empty(&measures::at(&face, "/v1/webhooks/s/v1/metrics", &PROTOBUF, body.clone()).await);
    assert_eq!(samples(&face).await.len(), 1);
    let section = super::section("otlp").replace("bearer", "url");
    let rule = "[[source.s.signal]]\nmetric = \"requests\"\nsignal = \"requests\"\n";
    face.speaks(&format!("{section}{rule}"), &[("TOKEN", "sesame")]);
    empty(&measures::at(&face, "/v1/webhooks/s/sesame/v1/metrics", &PROTOBUF, body.clone()).await);
    let wrong = measures::at(&face, "/v1/webhooks/s/other/v1/metrics", &PROTOBUF, body).await;
    assert_eq!(wrong.status, 401);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_senders_encoding() {
    let face = face();
    let answer = measures::send(&face, &PROTOBUF, &b"\x0a\x7f"[..]).await;
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/x-protobuf"));
    let status = Status::decode(&*answer.bytes).unwrap();
    assert!(status.message.contains("ExportMetricsServiceRequest"), "{status:?}");
    let answer = measures::send(&face, &JSON, "[").await;
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/json"));
    assert!(answer.json()["message"].as_str().unwrap().contains("OpenTelemetry"), "{answer:?}");
    let stranger = face.stranger("POST", "/v1/webhooks/s").header(PROTOBUF[0].0, PROTOBUF[0].1);
    let answer = stranger.send().await;
    assert_eq!(answer.status, 401);
    assert!(Status::decode(&*answer.bytes).unwrap().message.contains("nothing shows who"));
}

#[tokio::test]
async fn what_is_no_request_changes_nothing() {
    let face = face();
    let good = of("web", vec![gauge("requests", vec![int(5, NOON)])]).encode_to_vec();
    for cut in 1..good.len() {
        let answer = measures::send(&face, &PROTOBUF, good[..cut].to_vec()).await;
        assert_eq!(answer.status, 400, "cut at {cut}");
    }
    let with = |pointer: &str, value: Value| {
        let mut body = example();
        *body
            .pointer_mut(&format!("/resourceMetrics/0/scopeMetrics/0/metrics{pointer}"))
            .unwrap() = value;
        body
    };
    let bad = [
        json!([]),
        json!({ "resourceMetrics": {} }),
        with("/0/name", json!(7)),
        with("/0/sum", json!("one")),
        with("/0/sum/dataPoints/0/asInt", json!("many")),
        with("/0/sum/dataPoints/0/asInt", json!(1.5)),
        with("/0/sum/dataPoints/0/timeUnixNano", json!("-1")),
        with("/1/gauge/dataPoints/0/asDouble", json!({})),
        with("/2/histogram/dataPoints/0/count", json!("-3")),
    ];
    for body in bad {
        let answer = measures::send(&face, &JSON, body.to_string()).await;
        assert_eq!(answer.status, 422, "{body}");
    }
    let answer = measures::send(&face, &[("content-type", "text/plain")], good).await;
    assert_eq!((answer.status, answer.code().as_str()), (415, "wrong-content-type"));
    assert!(samples(&face).await.is_empty());
}

/// Monitoring sends all it has: what nobody asks for is not even read.
#[tokio::test]
async fn what_is_not_asked_for_is_passed_over_unread() {
    let face = face();
    let mut body = example();
    let metrics = body.pointer_mut("/resourceMetrics/0/scopeMetrics/0/metrics").unwrap();
    metrics[4] = json!({ "name": "other", "gauge": { "dataPoints": [7, { "asInt": {} }] } });
    metrics[0]["sum"]["dataPoints"][0]["attributes"] = json!([{ "key": "host.id", "value": null },
        { "key": "unasked", "value": { "stringValue": 7 } }]);
    assert_eq!(measures::send(&face, &JSON, body.to_string()).await.text, "{}");
    assert_eq!(samples(&face).await.len(), 5);
}

#[tokio::test]
async fn what_many_points_share_is_not_kept_without_bound() {
    let face = face();
    let of_all = |length: usize| {
        let mut body = example();
        body["resourceMetrics"][0]["resource"]["attributes"][0]["value"]["stringValue"] =
            json!("w".repeat(length));
        let points: Vec<_> = (0..9_000).map(|_| json!({ "asInt": 1 })).collect();
        body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"] =
            json!(points);
        body.to_string()
    };
    assert_eq!(measures::send(&face, &JSON, of_all(400)).await.status, 200);
    let answer = measures::send(&face, &JSON, of_all(1_000)).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["message"].as_str().unwrap().contains("bytes of labels"), "{answer:?}");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_unpacked_within_the_bound_of_the_body() {
    let face = face();
    let gzip = |kind| [kind, ("content-encoding", "gzip")];
    let good = of("web", vec![gauge("requests", vec![int(5, NOON)])]).encode_to_vec();
    let whole_body = packed(&good);
    for bad in [&whole_body[..whole_body.len() - 9], b"no gzip"] {
        let answer = measures::send(&face, &gzip(PROTOBUF[0]), bad.to_vec()).await;
        assert_eq!(answer.status, 400);
    }
    // A bomb: a thousand times as large as it comes.
    let bomb = packed(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 128 * 1024, "{}", bomb.len());
    for kind in [PROTOBUF[0], JSON[0]] {
        let answer = measures::send(&face, &gzip(kind), bomb.clone()).await;
        assert_eq!(answer.status, 413);
    }
    assert!(samples(&face).await.is_empty());
    let brotli = [PROTOBUF[0], ("content-encoding", "br")];
    assert_eq!(measures::send(&face, &brotli, good).await.status, 415);
    empty(&measures::send(&face, &gzip(PROTOBUF[0]), whole_body).await);
    assert_eq!(samples(&face).await, [whole("requests", 5.0, NOON)]);
    let json = packed(example().to_string().as_bytes());
    assert_eq!(measures::send(&face, &gzip(JSON[0]), json).await.status, 200);
}
