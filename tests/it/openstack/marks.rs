//! What an adoption writes: in which order, how often, and what its refusals mean.

use std::sync::Arc;

use novascale::cloud::{Compute, Marks};
use novascale::domain::freeze::NoBrake;
use novascale::domain::id::{ServerId, Tag, mark};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::time::Steady;
use serde_json::json;

use super::script::{NOVA, Reply, Script, answer, client, nova, region};

pub(super) fn marks() -> Marks {
    Marks {
        region: region(),
        server: ServerId::new("s1").unwrap(),
        metadata: [(mark::GROUP.to_owned(), "web".to_owned())].into(),
        tag: Some(Tag::new("novascale:web").unwrap()),
        untag: Some(Tag::new("novascale:old").unwrap()),
        not_after: Steady(u64::MAX),
        leave: Arc::new(NoBrake),
    }
}

async fn marked(replies: impl IntoIterator<Item = Reply>) -> (Vec<String>, Result<(), Failure>) {
    let script = Script::services(replies);
    let result = client(&script).adopt(&marks()).await;
    let asked = script.asked().into_iter();
    (asked.map(|seen| format!("{} {}", seen.method, seen.place())).collect(), result)
}

fn refusal(status: u16, key: &str, text: &str) -> Reply {
    nova(status, json!({ key: { "code": status, "message": text } }).to_string())
}

#[tokio::test(start_paused = true)]
async fn metadata_comes_first_then_the_tag_then_the_former_one_goes() {
    let took = || nova(200, json!({"metadata": {}}).to_string());
    let (asked, result) = marked([took(), nova(201, ""), nova(204, "")]).await;
    assert_eq!(result, Ok(()));
    let at = format!("{NOVA}/servers/s1");
    let expected = [
        format!("POST {at}/metadata"),
        format!("PUT {at}/tags/novascale:web"),
        format!("DELETE {at}/tags/novascale:old"),
    ];
    assert_eq!(asked, expected);
    let gone = refusal(404, "itemNotFound", "Instance s1 has no tag 'novascale:old'");
    let (_, result) = marked([took(), nova(204, ""), gone]).await;
    assert_eq!(result, Ok(()), "it was taken off before");
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_ends_it_and_says_what_to_do() {
    let took = || nova(200, json!({"metadata": {}}).to_string());
    let policy = "Policy doesn't allow os_compute_api:server-metadata:create to be performed.";
    let cases: [(Vec<Reply>, FailureKind, &str); 6] = [
        (vec![refusal(403, "forbidden", policy)], FailureKind::Denied, "computeOperator"),
        (
            vec![
                took(),
                refusal(
                    403,
                    "forbidden",
                    "Policy doesn't allow os_compute_api:os-server-tags:update to be performed.",
                ),
            ],
            FailureKind::Denied,
            "computeOperator",
        ),
        (
            vec![refusal(409, "conflictingRequest", "Instance s1 is locked")],
            FailureKind::Conflict,
            "openstack server unlock",
        ),
        (
            vec![refusal(404, "itemNotFound", "Instance s1 could not be found.")],
            FailureKind::Gone,
            "",
        ),
        (
            vec![
                took(),
                refusal(400, "badRequest", "The number of tags exceeded the per-server limit 50"),
            ],
            FailureKind::Refused,
            "",
        ),
        (vec![answer(404, &[], "<html>")], FailureKind::Unclear, ""),
    ];
    for (replies, kind, advice) in cases {
        let n = replies.len();
        let (asked, result) = marked(replies).await;
        let failure = result.unwrap_err();
        assert_eq!((asked.len(), failure.kind), (n, kind), "{failure:?}");
        assert!(failure.hint.unwrap_or_default().contains(advice), "{advice}");
    }
}
