//! Feedback for services.

use drawspan_emulator::Config;
use drawspan_hub::UtcTime;

use super::super::client::{code_in, start_with, unix_s};
use super::*;

const PATH: &str = "/messages/servicebound/feedback";

fn soon(config: &mut Config) {
    config.cloud_to_device.feedback_gather_ms = 20;
}

async fn listener(running: &Running) -> (Client, LinkId) {
    let mut client = connect_as(running, &owner()).await;
    let options = receiver(PATH, ReceiverSettleMode::Second, Credit::Manual(1));
    let link = client.attach(options).await.unwrap();
    (client, link)
}

fn records(got: &Got) -> Vec<Json> {
    serde_json::from_str(&got.body()).unwrap()
}

/// Listens until `count` records have come, completing each batch.
async fn hear((client, link): &mut (Client, LinkId), count: usize) -> Vec<Json> {
    let mut all = Vec::new();
    while all.len() < count {
        client.grant(*link, 1);
        let got = got(client, *link).await;
        all.extend(records(&got));
        let state = agree(client, &got, DeliveryState::Accepted).await;
        assert_eq!(state, DeliveryState::Accepted);
    }
    all
}

/// Message id and how it ended, sorted.
fn ends(records: &[Json]) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let mut ends: Vec<_> = records
        .iter()
        .map(|record| {
            (
                text(&record["originalMessageId"]),
                text(&record["statusCode"]),
            )
        })
        .collect();
    ends.sort();
    ends
}

#[tokio::test]
async fn every_end_is_told_to_those_who_asked() {
    let running = start_with(&["a"], |config| {
        soon(config);
        config.cloud_to_device.max_delivery_count = 1;
    })
    .await;
    let mut service = service_of(&running).await;
    let (mut device, link) = device_of(&running, "a", 100).await;
    let mut expected = Vec::new();
    let ways = [
        ("Success", DeliveryState::Accepted),
        ("Rejected", rejected()),
        ("DeliveryCountExceeded", DeliveryState::Released),
    ];
    for (end, state) in ways {
        for ack in ["none", "positive", "negative", "full"] {
            let id = format!("{end}-{ack}");
            send(&mut service, &[message("a", &id, ack)]).await;
            let got = got(&mut device, link).await;
            assert_eq!(agree(&mut device, &got, state.clone()).await, state);
            let told = match ack {
                "positive" => end == "Success",
                "negative" => end != "Success",
                ack => ack == "full",
            };
            expected.extend(told.then(|| (id, end.to_owned())));
        }
    }
    device.close().await;
    let mut expiring = message("a", "Expired-full", "full");
    expiring.properties.as_mut().unwrap().absolute_expiry_time = Some(1);
    send(&mut service, &[expiring]).await;
    count_becomes(&running, "a", 0).await;
    send(&mut service, &[message("a", "Purged-full", "full")]).await;
    ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    expected.push(("Expired-full".into(), "Expired".into()));
    expected.push(("Purged-full".into(), "Purged".into()));
    expected.sort();
    let heard = hear(&mut listener(&running).await, expected.len()).await;
    assert_eq!(ends(&heard), expected);
}

#[tokio::test]
async fn feedback_looks_as_services_expect() {
    let running = start_with(&["a"], soon).await;
    let mut service = service_of(&running).await;
    let mut listener = listener(&running).await;
    let (mut device, link) = device_of(&running, "a", 100).await;
    send(&mut service, &[message("a", "the id", "full")]).await;
    let taken = got(&mut device, link).await;
    agree(&mut device, &taken, DeliveryState::Accepted).await;
    // It comes to one who listens already.
    let batch = got(&mut listener.0, listener.1).await;
    assert_eq!(batch.tag.len(), 16);
    let properties = batch.message.properties.as_ref().unwrap();
    let content_type = properties.content_type.as_ref().unwrap().as_str();
    assert_eq!(
        content_type,
        "application/vnd.microsoft.iothub.feedback.json"
    );
    assert_eq!(properties.user_id.as_deref(), Some(&b"contoso"[..]));
    let annotations = batch.message.message_annotations.as_ref().unwrap();
    let time = annotations.get_symbol("iothub-enqueuedtime");
    assert!(matches!(time, Some(Value::Timestamp(_))), "{time:?}");
    let records = records(&batch);
    let device = ask(&running, "GET", "/devices/a", &[], "").await.json();
    let time = records[0]["enqueuedTimeUtc"].as_str().unwrap();
    let age_s = unix_s() as i64 - UtcTime::parse(time).unwrap().unix_ms() / 1000;
    assert!((0..60).contains(&age_s), "{time}");
    let expected = serde_json::json!([{
        "originalMessageId": "the id",
        "deviceGenerationId": device["generationId"],
        "deviceId": "a",
        "enqueuedTimeUtc": time,
        "statusCode": "Success",
        "description": "Success",
    }]);
    assert_eq!(Json::from(records), expected);
}

#[tokio::test]
async fn feedback_that_is_given_back_comes_again() {
    let running = start_with(&["a"], soon).await;
    let mut service = service_of(&running).await;
    send(&mut service, &[message("a", "1", "full")]).await;
    ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    let mut first = listener(&running).await;
    let batch = got(&mut first.0, first.1).await;
    let mut second = listener(&running).await;
    second.0.settle_down().await;
    assert!(
        second.0.arrived(second.1).is_empty(),
        "the first one has it"
    );
    let released = DeliveryState::Released;
    assert_eq!(
        agree(&mut first.0, &batch, released.clone()).await,
        released
    );
    let again = got(&mut second.0, second.1).await;
    assert_eq!(records(&again), records(&batch));
    let state = agree(&mut second.0, &again, DeliveryState::Accepted).await;
    assert_eq!(state, DeliveryState::Accepted);
    nothing_for(&mut first.0, first.1).await;
}

#[tokio::test]
async fn feedback_that_is_held_too_long_is_lost() {
    let running = start_with(&["a"], |config| {
        soon(config);
        config.cloud_to_device.feedback_lock_ms = 200;
    })
    .await;
    let mut service = service_of(&running).await;
    send(&mut service, &[message("a", "1", "full")]).await;
    ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    let mut listener = listener(&running).await;
    let late = got(&mut listener.0, listener.1).await;
    listener.0.grant(listener.1, 1);
    let again = got(&mut listener.0, listener.1).await;
    assert_eq!(records(&again), records(&late));
    let DeliveryState::Rejected(Some(error)) =
        agree(&mut listener.0, &late, DeliveryState::Accepted).await
    else {
        panic!("it is not told");
    };
    assert_eq!(code_in(&error), 412_002);
}
