//! A plan that has grown old, or whose group was frozen meanwhile, is not acted on, wherever
//! its calls were held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::{Compute, Create, Deleted, Leave, Marks};
use novascale::domain::freeze::NoBrake;
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::time::{Clock, Steady};
use reqwest::Method;

use super::changing::permit;
use super::marks::marks;
use super::samples::create;
use super::script::{Paused, Script, answer, client, nova, page, region, sign_in, tags};

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
    too_late(client.delete(&region(), permit("s1", not_after, &(Arc::new(NoBrake) as _))).await);
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

/// Whether somebody has frozen the group.
#[derive(Debug, Default)]
struct Freezer(AtomicBool);

#[async_trait]
impl Leave for Freezer {
    async fn refused(&self) -> Option<String> {
        self.0.load(Ordering::Relaxed).then(|| "frozen by the test".to_owned())
    }
}

/// Wants no change for ten seconds, and takes each after that.
fn wants_a_pause() -> Arc<Script> {
    let first = AtomicBool::new(true);
    Script::new(move |seen| {
        sign_in(seen).unwrap_or_else(|| match seen.method {
            Method::POST if first.swap(false, Ordering::Relaxed) => {
                answer(429, &[("retry-after", "10")], "{}")
            }
            Method::DELETE => nova(204, ""),
            _ => nova(202, "{}"),
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_freeze_stops_also_what_waits_in_the_limiter() {
    let script = wants_a_pause();
    let client = client(&script);
    let asked_for_a_pause = client.create(&create()).await.unwrap_err();
    assert_eq!((asked_for_a_pause.kind, changes(&script)), (FailureKind::Busy, 1));

    let freezer = Arc::new(Freezer::default());
    let leave: Arc<dyn Leave> = Arc::clone(&freezer) as _;
    let (launch, marks) =
        (Create { leave: leave.clone(), ..create() }, Marks { leave: leave.clone(), ..marks() });
    let region = region();
    let (launched, deleted, adopted, ()) = tokio::join!(
        client.create(&launch),
        client.delete(&region, permit("s1", Steady(u64::MAX), &leave)),
        client.adopt(&marks),
        async {
            tokio::time::sleep(5 * SECOND).await;
            freezer.0.store(true, Ordering::Relaxed);
        }
    );
    for failure in [launched.unwrap_err(), deleted.unwrap_err(), adopted.unwrap_err()] {
        assert_eq!(failure, Failure::new(FailureKind::Held, "frozen by the test"));
    }
    assert_eq!(changes(&script), 1, "nothing that waited was sent");

    freezer.0.store(false, Ordering::Relaxed);
    let deleted = client.delete(&region, permit("s1", Steady(u64::MAX), &leave)).await;
    assert_eq!(deleted, Ok(Deleted::Accepted), "the cloud is held to have done no wrong");
}
