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

fn at(call: &str) -> String {
    let (method, rest) = call.split_once(' ').unwrap();
    format!("{method} {NOVA}/servers/s1/{rest}")
}

fn took() -> Reply {
    nova(200, json!({"metadata": {}}).to_string())
}

const TAGS_DENIED: &str =
    "Policy doesn't allow os_compute_api:os-server-tags:update to be performed.";
const METADATA_DENIED: &str =
    "Policy doesn't allow os_compute_api:server-metadata:create to be performed.";

#[tokio::test(start_paused = true)]
async fn the_tag_comes_first_then_metadata_then_the_former_tag_goes() {
    let (asked, result) = marked([nova(201, ""), took(), nova(204, "")]).await;
    assert_eq!(result, Ok(()));
    let expected = ["PUT tags/novascale:web", "POST metadata", "DELETE tags/novascale:old"];
    assert_eq!(asked, expected.map(at));
    let gone = refusal(404, "itemNotFound", "Instance s1 has no tag 'novascale:old'");
    let (_, result) = marked([nova(204, ""), took(), gone]).await;
    assert_eq!(result, Ok(()), "it was taken off before");
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_ends_it_and_says_what_to_do() {
    let full = "The number of tags exceeded the per-server limit 50";
    let cases: [(Vec<Reply>, FailureKind, &str); 5] = [
        (vec![refusal(403, "forbidden", TAGS_DENIED)], FailureKind::Denied, "computeOperator"),
        (vec![refusal(400, "badRequest", full)], FailureKind::Refused, ""),
        (
            vec![refusal(404, "itemNotFound", "Instance s1 could not be found.")],
            FailureKind::Gone,
            "",
        ),
        (vec![answer(404, &[], "<html>")], FailureKind::Unclear, ""),
        // What may pass leaves the tag: the next try goes on from there.
        (vec![nova(201, ""), answer(502, &[], "<html>")], FailureKind::Unclear, ""),
    ];
    for (replies, kind, advice) in cases {
        let n = replies.len();
        let (asked, result) = marked(replies).await;
        let failure = result.unwrap_err();
        assert_eq!((asked.len(), failure.kind), (n, kind), "{failure:?}");
        assert!(failure.hint.unwrap_or_default().contains(advice), "{advice}");
    }
}

#[tokio::test(start_paused = true)]
async fn marks_that_are_refused_take_the_tag_off_again() {
    let undone = ["PUT tags/novascale:web", "POST metadata", "DELETE tags/novascale:web"];
    let locked = || refusal(409, "conflictingRequest", "Instance s1 is locked");
    let denied = || refusal(403, "forbidden", METADATA_DENIED);
    let cases = [
        (denied(), FailureKind::Denied, "computeOperator"),
        (locked(), FailureKind::Conflict, "openstack server unlock"),
    ];
    for (refused, kind, advice) in cases {
        let (asked, result) = marked([nova(201, ""), refused, nova(204, "")]).await;
        let failure = result.unwrap_err();
        assert_eq!((asked, failure.kind), (undone.map(at).to_vec(), kind), "{failure:?}");
        assert!(failure.hint.unwrap_or_default().contains(advice), "{advice}");
        assert!(!failure.message.contains("stays"), "{}", failure.message);
    }
    // A tag that it had before is nobody's to take off.
    let script = Script::services([denied()]);
    let tagged = Marks { tag: None, ..marks() };
    assert!(client(&script).adopt(&tagged).await.is_err());
    assert_eq!(script.asked().len(), 1);
    let (_, result) = marked([nova(201, ""), denied(), answer(502, &[], "")]).await;
    let said = result.unwrap_err().message;
    assert!(said.contains("the tag novascale:web stays"), "{said}");
}
