//! Prometheus remote write 1.0.

use prost::Message as _;

use super::super::face::{Answer, Face};
use super::measures::{self, NOON, face, of_server, samples, whole};
use super::prompb::{Exemplar, Label, Metadata, Sample, TimeSeries, WriteRequest};

fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let sample = |&(value, timestamp): &(f64, i64)| Sample { value, timestamp };
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        exemplars: vec![Exemplar { labels: Vec::new(), value: 7.0 }],
    }
}

fn requests(samples: &[(f64, i64)]) -> TimeSeries {
    series(&[("__name__", "requests"), ("instance", "a:9090"), ("job", "web")], samples)
}

fn packed(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    let metadata = vec![Metadata { kind: 2, family: "requests".to_owned() }];
    pack(&WriteRequest { timeseries, metadata }.encode_to_vec())
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

/// As Prometheus sets them: `storage/remote/client.go`.
const HEADERS: [(&str, &str); 3] = [
    ("content-encoding", "snappy"),
    ("content-type", "application/x-protobuf"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

async fn send(face: &Face, body: Vec<u8>) -> Answer {
    measures::send(face, &HEADERS, body).await
}

/// One series with one sample, written down by hand; snappy's block has it as one literal.
const GOLDEN: &[u8] = b"\x36\xd4\
    \x0a\x34\
      \x0a\x14\x0a\x08__name__\x12\x08requests\
      \x0a\x0a\x0a\x03job\x12\x03web\
      \x12\x10\x09\0\0\0\0\0\xe0\x80\x40\x10\xa0\xa7\x98\xc2\xa0\x34";

#[tokio::test]
async fn a_request_is_read_as_prometheus_writes_it() {
    let face = face("remote_write");
    let answer = send(&face, GOLDEN.to_vec()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(samples(&face).await, [whole("requests", 540.0, NOON - 60_000)]);
}

#[tokio::test]
async fn only_what_the_source_asks_for_is_kept() {
    let face = face("remote_write");
    let cpu = |server, value| {
        series(&[("__name__", "cpu"), ("server_id", server), ("zone", "a")], &[(value, NOON)])
    };
    let answer = send(
        &face,
        packed(vec![
            series(&[("__name__", "up"), ("job", "web")], &[(1.0, NOON)]),
            requests(&[(10.0, NOON - 30_000), (20.0, NOON - 15_000), (30.0, NOON)]),
            series(&[("__name__", "requests"), ("job", "db")], &[(999.0, NOON)]),
            cpu("s-1", 40.0),
            cpu("s-2", 60.0),
            series(&[("__name__", "cpu")], &[(99.0, NOON)]),
            series(&[("job", "web")], &[(1.0, NOON)]),
        ]),
    )
    .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"][0]["samples"], 5);
    assert!(answer.json()["notes"].to_string().contains("without the label server_id"));
    let kept = [
        of_server("cpu", 40.0, NOON, "s-1"),
        of_server("cpu", 60.0, NOON, "s-2"),
        whole("requests", 30.0, NOON),
    ];
    assert_eq!(samples(&face).await, kept);
    // Nothing of it is asked for: that is no fault.
    let none = packed(vec![series(&[("__name__", "up")], &[(1.0, NOON)])]);
    assert_eq!(send(&face, none).await.status, 202);
    assert_eq!(send(&face, packed(Vec::new())).await.status, 202);
    assert_eq!(samples(&face).await, kept);
}

#[tokio::test]
async fn what_is_late_repeated_or_no_number_changes_nothing() {
    let face = face("remote_write");
    send(&face, packed(vec![requests(&[(30.0, NOON)])])).await;
    let kept = samples(&face).await;
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let changes_nothing: [&[(f64, i64)]; 6] = [
        &[(30.0, NOON)],
        &[(80.0, NOON - 60_000)],
        &[(stale, NOON + 1000)],
        &[(f64::NAN, NOON + 1000)],
        &[(f64::INFINITY, NOON + 1000), (-1.0, NOON + 1000)],
        &[(80.0, NOON + 3_600_000), (80.0, NOON - 90_000_000)],
    ];
    for sent in changes_nothing {
        let answer = send(&face, packed(vec![requests(sent)])).await;
        assert_eq!(answer.status, 202, "Prometheus would drop what else is in it: {answer:?}");
        assert_eq!(samples(&face).await, kept, "{sent:?}");
    }
}

#[tokio::test]
async fn a_label_names_the_group() {
    let face = face("remote_write");
    face.speaks(
        "[source.s]\nformat = \"remote_write\"\ngroup_label = \"asg\"\n[[source.s.auth]]\n\
         bearer = { env = \"TOKEN\" }\n[[source.s.signal]]\nmetric = \"requests\"\nsignal = \"requests\"\n",
        &[("TOKEN", "open sesame")],
    );
    let of = |asg| series(&[("__name__", "requests"), ("asg", asg)], &[(5.0, NOON)]);
    let answer = send(&face, packed(vec![of("web"), of("nobody's")])).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.json()["notes"].to_string().contains("names no group here"), "{answer:?}");
    assert_eq!(samples(&face).await, [whole("requests", 5.0, NOON)]);
}

#[tokio::test]
async fn version_2_and_other_encodings_are_refused_with_what_to_do() {
    let face = face("remote_write");
    let body = packed(vec![requests(&[(30.0, NOON)])]);
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let cases = [
        ([HEADERS[0], ("content-type", v2), HEADERS[2]], "protobuf_message"),
        ([HEADERS[0], HEADERS[1], ("x-prometheus-remote-write-version", "2.0.0")], "2.0"),
        ([HEADERS[0], ("content-type", "application/json"), HEADERS[2]], "x-protobuf"),
        ([("content-encoding", "zstd"), HEADERS[1], HEADERS[2]], "snappy"),
    ];
    for (headers, said) in cases {
        let answer = measures::send(&face, &headers, body.clone()).await;
        assert_eq!(answer.status, 415, "{headers:?}");
        assert!(answer.text.contains(said), "{answer:?}");
    }
    assert!(samples(&face).await.is_empty());
    let v1 = "application/x-protobuf;proto=prometheus.WriteRequest";
    let headers = [HEADERS[0], ("content-type", v1)];
    assert_eq!(measures::send(&face, &headers, body).await.status, 202);
}

#[tokio::test]
async fn what_is_no_request_changes_nothing() {
    let face = face("remote_write");
    let good = packed(vec![requests(&[(30.0, NOON)])]);
    let bad = [
        Vec::new(),
        b"not snappy".to_vec(),
        good[..good.len() - 3].to_vec(),
        pack(b"not protobuf"),
        // The first series is whole, the second one broken.
        pack(
            &[&snap::raw::Decoder::new().decompress_vec(&good).unwrap(), &b"\x0a\x7f"[..]].concat(),
        ),
        // A label's value that is no text.
        pack(b"\x0a\x0c\x0a\x0a\x0a\x04name\x12\x02\xff\xfe"),
        // Samples that are a number.
        pack(b"\x0a\x18\x0a\x14\x0a\x08__name__\x12\x08requests\x10\x01"),
    ];
    for body in bad {
        let answer = send(&face, body.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{body:?}");
        assert!(samples(&face).await.is_empty(), "{body:?}");
    }
}

#[tokio::test]
async fn bombs_are_refused_before_they_go_off() {
    let face = face("remote_write");
    // Says that it becomes 4 GiB less one byte.
    let answer = send(&face, b"\xff\xff\xff\xff\x0f\0\0".to_vec()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    // A megabyte is the bound of the body, sixteen what it may become.
    let zeros = pack(&vec![0; 16 * 1024 * 1024 + 1]);
    assert!(zeros.len() < 1024 * 1024);
    assert_eq!(send(&face, zeros).await.status, 413);
    // Empty series, two bytes each, become nothing at all.
    let empty = pack(&b"\x0a\0".repeat(8 * 1024 * 1024 - 8));
    assert_eq!(send(&face, empty).await.status, 202);
    // More samples than anybody sends at once.
    let many: Vec<(f64, i64)> = (0..10_001).map(|n| (1.0, NOON - n)).collect();
    assert_eq!(send(&face, packed(vec![requests(&many)])).await.status, 413);
    assert!(samples(&face).await.is_empty());
}

#[tokio::test]
async fn who_is_too_fast_hears_what_prometheus_repeats_after() {
    let face = face("remote_write");
    let body = || packed(vec![requests(&[(1.0, NOON); 3000])]);
    assert_eq!(send(&face, body()).await.status, 202);
    let answer = send(&face, body()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!answer.header("retry-after").is_empty());
}
