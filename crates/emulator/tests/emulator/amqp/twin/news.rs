//! News of desired properties: who hears them, when, and in which order.

use std::future::Future as _;

use drawspan_amqp::engine::Credit;
use serde_json::{Value as Json, json};

use super::super::client::{connect_as, device_token, start, start_with};
use super::{DESIRED, REPORTED, Twin, answers, desire, requests};
use crate::support::ask;

#[tokio::test]
async fn only_who_asked_for_news_gets_them() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    desire(&running, "a", json!({ "n": 1 })).await;
    let read = twin.ask(&mut client, "GET", "", " ").await;
    assert_eq!(
        read.body["desired"],
        json!({ "n": 1, "$version": 2 }),
        "and no news before it"
    );

    let wanted = twin.ask(&mut client, "PUT", DESIRED, " ").await;
    assert_eq!(
        (wanted.status, wanted.version, wanted.body),
        (200, None, Json::Null)
    );
    let again = twin.ask(&mut client, "PUT", DESIRED, "").await;
    assert_eq!(again.status, 200, "C# asks again before each request");
    for n in 2..5 {
        desire(&running, "a", json!({ "n": n, "gone": null })).await;
    }
    for n in 2..5 {
        let news = twin.news(&mut client).await;
        assert_eq!(news, json!({ "n": n, "gone": null, "$version": n + 1 }));
    }
    let tags = ask(&running, "PATCH", "/twins/a", &[], r#"{"tags":{"t":1}}"#).await;
    assert_eq!(tags.status, 200);
    let put = ask(
        &running,
        "PUT",
        "/twins/a",
        &[],
        r#"{"properties":{"desired":{"m":1}}}"#,
    )
    .await;
    assert_eq!(put.status, 200);
    let news = twin.news(&mut client).await;
    assert_eq!(
        news,
        json!({ "m": 1, "n": null, "$version": 6 }),
        "tags are no news"
    );

    let unwanted = twin.ask(&mut client, "DELETE", DESIRED, " ").await;
    assert_eq!(unwanted.status, 200);
    desire(&running, "a", json!({ "n": 6 })).await;
    let read = twin.ask(&mut client, "GET", "", " ").await;
    assert_eq!(read.body["desired"]["n"], 6, "and no news before it");
}

#[tokio::test]
async fn a_new_pair_of_links_must_ask_for_news_again() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    twin.ask(&mut client, "PUT", DESIRED, " ").await;
    client.detach(twin.requests);
    client.detach(twin.answers);
    client.settle_down().await;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    desire(&running, "a", json!({ "n": 1 })).await;
    assert_eq!(
        twin.ask(&mut client, "GET", "", " ").await.body["desired"]["n"],
        1
    );
}

#[tokio::test]
async fn answers_wait_for_credit() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = answers("a");
    options.credit = Credit::Manual(0);
    let link = client.attach(options).await.unwrap();
    let mut twin = Twin {
        requests: client.attach(requests("a")).await.unwrap(),
        answers: link,
        asked: 0,
    };
    let put = twin.send(&mut client, "PUT", DESIRED, " ").await;
    let patch = twin
        .send(&mut client, "PATCH", REPORTED, r#"{"a":1}"#)
        .await;
    client.settle_down().await;
    desire(&running, "a", json!({ "n": 1 })).await;
    client.settle_down().await;
    assert_eq!(client.arrived(link).len(), 0);
    client.grant(link, 3);
    assert_eq!(twin.answer(&mut client, &put).await.status, 200);
    assert_eq!(twin.answer(&mut client, &patch).await.status, 204);
    assert_eq!(twin.news(&mut client).await["n"], 1);
}

#[tokio::test]
async fn a_device_that_takes_no_answers_must_start_again() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = answers("a");
    options.credit = Credit::Manual(0);
    let link = client.attach(options).await.unwrap();
    let mut twin = Twin {
        requests: client.attach(requests("a")).await.unwrap(),
        answers: link,
        asked: 0,
    };
    for _ in 0..=drawspan_emulator_amqp::limits::ANSWERS_MAX {
        twin.send(&mut client, "GET", "", " ").await;
    }
    let error = client.detached(link).await;
    assert_eq!(error.condition.as_str(), "amqp:link:detach-forced");
}

#[tokio::test]
async fn news_come_in_the_order_of_versions() {
    let folder = tempfile::tempdir().unwrap();
    for state in [None, Some(folder.path().to_path_buf())] {
        let running = start_with(&["a"], |config| config.state = state).await;
        let mut client = connect_as(&running, &device_token(&running, "a")).await;
        let session = client.session;
        let mut twin = Twin::attach(&mut client, session, "a").await;
        twin.ask(&mut client, "PUT", DESIRED, " ").await;
        let mut changes: Vec<_> = (0..20)
            .map(|n| Box::pin(desire(&running, "a", json!({ "n": n }))))
            .collect();
        // All at once, from as many connections.
        std::future::poll_fn(|context| {
            changes.retain_mut(|change| change.as_mut().poll(context).is_pending());
            match changes.is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        let mut last = Json::Null;
        for version in 2..22 {
            last = twin.news(&mut client).await;
            assert_eq!(last["$version"], version);
        }
        let read = twin.ask(&mut client, "GET", "", " ").await;
        assert_eq!(read.body["desired"], last);
    }
}
