//! A plan that has grown old is not acted on, wherever its calls were held up.

use std::sync::Arc;
use std::time::Duration;

use novascale::cloud::{Compute, Create};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::time::{Clock, Steady};
use reqwest::Method;

use super::changing::permit;
use super::samples::create;
use super::script::{Paused, Script, answer, client, page, region, sign_in, tags};

const SECOND: Duration = Duration::from_secs(1);

/// Each answer takes ten seconds; listings are empty, and no token is good for a change.
fn slow() -> Arc<Script> {
    Script::slow(10 * SECOND, |seen| {
        let nothing = || if seen.method == Method::GET { page(&[], false) } else { refused() };
        sign_in(seen).unwrap_or_else(nothing)
    })
}

fn refused() -> super::script::Reply {
    answer(401, &[("www-authenticate", "Keystone uri=\"https://k.test\"")], "{}")
}

/// How often a change was sent.
fn changes(script: &Script) -> usize {
    script.asked().iter().filter(|seen| seen.method != Method::GET).count()
}

fn too_late(result: Result<impl std::fmt::Debug, Failure>) {
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Busy, "certain to have done nothing: {failure}");
    assert!(failure.message.contains("not sent: its plan had grown old"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_waited_for_the_sign_in_too_long_is_not_sent() {
    let (clock, script) = (Paused::new(), slow());
    let client = client(&script);
    let not_after = clock.now().steady.plus(30 * SECOND);
    too_late(client.create(&Create { not_after, ..create() }).await);
    too_late(client.delete(&region(), permit("s1", not_after)).await);
    assert_eq!(changes(&script), 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_token_was_refused_is_repeated_only_while_its_plan_is_good() {
    for (good_for, sent) in [(15 * SECOND, 1), (15 * 60 * SECOND, 2)] {
        let (clock, script) = (Paused::new(), slow());
        let client = client(&script);
        client.list(&region(), &tags(&["a"])).await.unwrap();
        let not_after: Steady = clock.now().steady.plus(good_for);
        let failure = client.create(&Create { not_after, ..create() }).await.unwrap_err();
        assert_eq!(changes(&script), sent, "{failure}");
    }
}
