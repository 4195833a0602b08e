//! Who fails too often is slowed down, and nobody else is.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use novascale::config::http::HttpLimits;
use novascale::http::limit::Peer;
use tower::ServiceExt;

use super::{Door, PEER, Stamp, WAYS, Way, body};
use crate::http::face::Face;

fn stamp(id: &str) -> Stamp<'_> {
    Stamp { id, off: 0 }
}

fn limits() -> HttpLimits {
    HttpLimits { failed_sign_ins_per_second: 1, failed_sign_ins_burst: 5, ..HttpLimits::default() }
}

#[tokio::test]
async fn failures_are_limited_for_each_address_and_a_valid_sender_is_not() {
    for way in WAYS {
        let door = Door::of(way, Face::with(limits()));
        let mut forged = door.letter(0, stamp("msg_f"), &body("firing"));
        match way.header() {
            Some(name) => forged.headers.iter_mut().find(|(n, _)| n == name).unwrap().1[9] ^= 1,
            None => forged.path.push('x'),
        }
        for n in 0..5 {
            assert_eq!(door.deliver(&forged, PEER).await.0, 401, "{way:?} {n}");
        }
        let (status, answer) = door.deliver(&forged, PEER).await;
        assert_eq!((status, &answer["code"]), (429, &"too-fast".into()), "{way:?}");
        // From the same address as from others, with the right secret.
        let letter = door.letter(1, stamp("msg_1"), &body("firing"));
        assert_eq!(door.deliver(&letter, PEER).await.0, 202, "{way:?}");
        assert_eq!(door.deliver(&forged, "192.0.2.2:9").await.0, 401, "{way:?}: another address");
        door.face.clock.forward(Duration::from_secs(1));
        assert_eq!(door.deliver(&forged, PEER).await.0, 401, "{way:?}: a second later");
        assert_eq!(door.deliver(&forged, PEER).await.0, 429, "{way:?}");
    }
}

#[tokio::test]
async fn to_guess_the_name_of_a_source_costs_as_much() {
    let door = Door::of(Way::Bearer, Face::with(limits()));
    let mut letter = door.letter(0, stamp("msg_1"), &body("firing"));
    for path in ["/v1/webhooks/t", "/v1/webhooks/%FF", "/v1/webhooks/t/x", "/v1/webhooks/s/%FF"] {
        letter.path = path.to_owned();
        let (status, answer) = door.deliver(&letter, PEER).await;
        assert_eq!((status, &answer["code"]), (404, &"no-such-route".into()), "{path}");
    }
    letter.path = "/v1/webhooks/t".to_owned();
    assert_eq!(door.deliver(&letter, PEER).await.0, 404);
    assert_eq!(door.deliver(&letter, PEER).await.0, 429);
}

#[tokio::test]
async fn forgeries_use_up_nothing_that_their_victim_may_send() {
    for way in WAYS.into_iter().filter(|way| way.is_signed()) {
        let few = HttpLimits { signals_per_second: 1, signals_burst: 2, ..limits() };
        let door = Door::of(way, Face::with(few));
        let mut forged = door.letter(0, stamp("msg_f"), &body("firing"));
        forged.body.push(b' ');
        for _ in 0..8 {
            door.deliver(&forged, PEER).await;
        }
        for n in 0..2 {
            let id = format!("msg_{n}");
            let letter = door.letter(0, stamp(&id), &body("firing"));
            assert_eq!(door.deliver(&letter, PEER).await.0, 202, "{way:?} {n}");
        }
        let letter = door.letter(0, stamp("msg_3"), &body("firing"));
        assert_eq!(door.deliver(&letter, PEER).await.0, 429, "{way:?}");
    }
}

/// A made-up signature and a body that never comes hold few places, and none once they are gone.
#[tokio::test]
async fn bodies_of_strangers_hold_few_places() {
    for way in WAYS.into_iter().filter(|way| way.is_signed()) {
        let few = HttpLimits { in_flight: 4, ..HttpLimits::default() };
        let door = Door::of(way, Face::with(few));
        let letter = door.letter(0, stamp("msg_1"), &body("firing"));
        let mut stalled = Request::builder().method(letter.method).uri(&letter.path);
        for (name, value) in &letter.headers {
            stalled = stalled.header(name, value.as_slice());
        }
        let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let stalled = stalled.extension(Peer(PEER.parse().unwrap()));
        let stalled = stalled.body(Body::from_stream(never)).unwrap();
        let mut stalled = Box::pin(door.face.webhook.clone().oneshot(stalled));
        assert!(futures_util::future::poll_immediate(&mut stalled).await.is_none(), "{way:?}");
        let (status, answer) = door.deliver(&letter, PEER).await;
        assert_eq!((status, &answer["code"]), (503, &"overloaded".into()), "{way:?}");
        drop(stalled);
        assert_eq!(door.deliver(&letter, PEER).await.0, 202, "{way:?}");
    }
}
