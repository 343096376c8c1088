//! The header `Idempotency-Key`.

use tokio::sync::{mpsc, oneshot};

use super::batch::BATCH;
use super::*;

const OTHER: &str = r#"{"data":{"other":1}}"#;

fn keyed(path: &str, key: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = post(path, body);
    let key = key.parse().unwrap();
    request.headers_mut().insert("idempotency-key", key);
    request
}

fn sends(bench: &Bench) -> usize {
    bench.calls.lock().unwrap().len()
}

fn is_replayed(answer: &HttpAnswer) -> bool {
    assert_eq!(answer.status, StatusCode::OK);
    answer.header("idempotency-replayed") == Some("true")
}

#[tokio::test]
async fn a_message_that_was_accepted_is_not_sent_again() {
    let bench = bench(Ok(()));
    assert!(!is_replayed(&bench.ask(keyed(EVENTS, "k", GOOD)).await));
    assert!(is_replayed(&bench.ask(keyed(EVENTS, "k", GOOD)).await));
    assert_eq!(sends(&bench), 1);
    // Another device, another key, no key.
    let other = "/devices/dev-2/messages/events";
    assert!(!is_replayed(&bench.ask(keyed(other, "k", GOOD)).await));
    assert!(!is_replayed(&bench.ask(keyed(EVENTS, "k2", GOOD)).await));
    assert!(!is_replayed(&bench.ask(post(EVENTS, GOOD)).await));
    assert!(!is_replayed(&bench.ask(post(EVENTS, GOOD)).await));
    assert_eq!(sends(&bench), 5);
}

#[tokio::test]
async fn a_key_goes_with_the_device_however_it_is_spelt() {
    for folds_case in [true, false] {
        let bench = with(Fake {
            folds_case,
            ..Fake::default()
        });
        let mut replayed = Vec::new();
        for device in ["AbC", "aBC", "abc"] {
            let path = format!("/devices/{device}/messages/events");
            replayed.push(is_replayed(&bench.ask(keyed(&path, "k", GOOD)).await));
        }
        assert_eq!(replayed, [false, folds_case, folds_case]);
    }
}

#[tokio::test]
async fn callers_do_not_share_keys() {
    let bench = bench(Ok(()));
    bench.api.replace_keys(ApiKeys::new([KEY, "k-2"]));
    assert!(!is_replayed(&bench.ask(keyed(EVENTS, "k", GOOD)).await));
    let mut request = keyed(EVENTS, "k", GOOD);
    request
        .headers_mut()
        .insert("x-api-key", "k-2".parse().unwrap());
    assert!(!is_replayed(&bench.ask(request).await));
    assert_eq!(sends(&bench), 2);
}

#[tokio::test]
async fn another_body_is_refused() {
    let bench = bench(Ok(()));
    assert!(!is_replayed(&bench.ask(keyed(EVENTS, "k", GOOD)).await));
    let answer = bench.ask(keyed(EVENTS, "k", OTHER)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = "urn:drawspan:problem:idempotency-mismatch";
    assert_eq!(answer.problem()["type"], expected);
    assert_eq!(sends(&bench), 1);
}

#[tokio::test]
async fn keys_that_are_none_are_refused() {
    let long = "x".repeat(256);
    for (path, body) in [
        (EVENTS, GOOD),
        (BATCH, r#"{"messages":[{"deviceId":"a","data":{}}]}"#),
    ] {
        for key in ["", "a b", "\u{e4}", &long] {
            let mut request = post(path, body);
            let key = axum::http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
            request.headers_mut().insert("idempotency-key", key);
            check_bad(request, 400, "invalid-idempotency-key").await;
        }
        let mut request = keyed(path, "a", body);
        request
            .headers_mut()
            .append("idempotency-key", "a".parse().unwrap());
        check_bad(request, 400, "invalid-idempotency-key").await;
    }
    let answer = bench(Ok(()))
        .ask(keyed(EVENTS, &"x".repeat(255), GOOD))
        .await;
    assert!(!is_replayed(&answer));
}

#[tokio::test]
async fn what_failed_is_tried_again() {
    let bench = bench(Err(DeviceError::NotSent));
    for tries in 1..3 {
        let answer = bench.ask(keyed(EVENTS, "k", GOOD)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(sends(&bench), tries);
    }
    // What failed leaves no body behind either.
    bench.ask(keyed(EVENTS, "k", OTHER)).await;
    assert_eq!(sends(&bench), 3);
}

struct Gated {
    bench: Bench,
    messages: mpsc::Receiver<oneshot::Sender<()>>,
}

fn gated() -> Gated {
    let (came, messages) = mpsc::channel(8);
    let bench = with(Fake {
        gate: Some(came),
        ..Fake::default()
    });
    Gated { bench, messages }
}

#[tokio::test]
async fn a_duplicate_waits_for_the_first() {
    let Gated {
        bench,
        mut messages,
    } = gated();
    let first = bench.ask(keyed(EVENTS, "k", GOOD));
    let second = bench.ask(keyed(EVENTS, "k", GOOD));
    let other = bench.ask(keyed(EVENTS, "k", OTHER));
    let accepting = async {
        let accept = messages.recv().await.unwrap();
        // The second waits meanwhile, and another body is refused at once.
        assert_eq!(other.await.status, StatusCode::UNPROCESSABLE_ENTITY);
        accept.send(()).unwrap();
    };
    let (first, second, ()) = tokio::join!(first, second, accepting);
    assert_eq!((is_replayed(&first), is_replayed(&second)), (false, true));
    assert_eq!(sends(&bench), 1);
}

#[tokio::test]
async fn after_a_first_that_fails_the_others_try_one_by_one() {
    let Gated {
        bench,
        mut messages,
    } = gated();
    let ask = || bench.ask(keyed(EVENTS, "k", GOOD));
    let accepting = async {
        // The first fails, and a caller that is gone gives its turn back too.
        drop(messages.recv().await.unwrap());
        let accept = messages.recv().await.unwrap();
        assert!(messages.try_recv().is_err());
        accept.send(()).unwrap();
    };
    let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), accepting);
    assert_eq!(first.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((is_replayed(&second), is_replayed(&third)), (false, true));
    assert_eq!(sends(&bench), 2);
}

#[tokio::test]
async fn who_goes_away_leaves_its_turn() {
    let Gated {
        bench,
        mut messages,
    } = gated();
    {
        let mut first = Box::pin(bench.ask(keyed(EVENTS, "k", GOOD)));
        tokio::select! {
            _ = &mut first => panic!("nobody accepted it"),
            accept = messages.recv() => drop((first, accept)),
        }
    }
    let accepting = async { messages.recv().await.unwrap().send(()).unwrap() };
    let (second, ()) = tokio::join!(bench.ask(keyed(EVENTS, "k", GOOD)), accepting);
    assert!(!is_replayed(&second));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_waits_no_longer_than_its_own_time() {
    let Gated {
        bench,
        mut messages,
    } = gated();
    let never = async {
        let _accept = messages.recv().await.unwrap();
        let answer = bench.ask(keyed(EVENTS, "k", GOOD)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let expected = "urn:drawspan:problem:not-sent-in-time";
        assert_eq!(answer.problem()["type"], expected);
        assert!(answer.header("retry-after").is_some());
    };
    tokio::select! {
        _ = bench.ask(keyed(EVENTS, "k", GOOD)) => panic!("nobody accepted it"),
        () = never => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_after_a_day() {
    let bench = bench(Ok(()));
    assert!(!is_replayed(&bench.ask(keyed(EVENTS, "k", GOOD)).await));
    tokio::time::advance(Duration::from_secs(24 * 3_600 - 1)).await;
    assert!(is_replayed(&bench.ask(keyed(EVENTS, "k", GOOD)).await));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!is_replayed(&bench.ask(keyed(EVENTS, "k", OTHER)).await));
}

const THREE: &str = r#"{"messages":[{"deviceId":"a","data":{}},{"deviceId":"bad","data":{}},{"deviceId":"a","data":{"n":2}}]}"#;

#[tokio::test]
async fn a_batch_that_was_accepted_is_not_sent_again() {
    let bench = bench(Ok(()));
    assert!(!is_replayed(&bench.ask(keyed(BATCH, "k", THREE)).await));
    let again = bench.ask(keyed(BATCH, "k", THREE)).await;
    assert!(is_replayed(&again));
    let found: Value = serde_json::from_slice(&again.body).unwrap();
    assert_eq!(
        (&found["accepted"], &found["failed"]),
        (&3.into(), &0.into())
    );
    assert_eq!(found["results"][2]["deviceId"], "a");
    assert_eq!(sends(&bench), 3);
    let other = bench
        .ask(keyed(BATCH, "k", THREE.replace("\"n\":2", "\"n\":3")))
        .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(sends(&bench), 3);
}

#[tokio::test]
async fn of_a_batch_only_what_failed_is_sent_again() {
    let bench = with(Fake {
        refuses: Some(("bad", DeviceError::NotSent)),
        ..Fake::default()
    });
    for tries in 0..3 {
        let answer = bench.ask(keyed(BATCH, "k", THREE)).await;
        assert!(!is_replayed(&answer));
        let found: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (&found["accepted"], &found["failed"]),
            (&2.into(), &1.into())
        );
        assert_eq!(found["results"][1]["status"], 503);
        assert_eq!(sends(&bench), 3 + tries);
    }
}

#[tokio::test]
async fn what_was_done_survives_the_end_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let keyring = directory.path().join("keyring");
    let run = async |expected: bool, body: &'static str| {
        let store = drawspan_store::Store::open(directory.path(), &keyring).unwrap();
        let fake = Fake {
            refuses: Some(("bad", DeviceError::NotSent)),
            ..Fake::default()
        };
        let calls = Arc::clone(&fake.calls);
        let memory = Memory::stored(store.idempotency());
        let timeout = Duration::from_secs(30);
        let api = Api::remembering(fake, ApiKeys::new([KEY]), timeout, memory);
        let bench = Bench { api, calls };
        assert_eq!(
            is_replayed(&bench.ask(keyed(EVENTS, "k", body)).await),
            expected
        );
        bench.ask(keyed(BATCH, "k", THREE)).await;
        sends(&bench)
    };
    assert_eq!(run(false, GOOD).await, 4);
    // Only what failed.
    assert_eq!(run(true, GOOD).await, 1);
}
