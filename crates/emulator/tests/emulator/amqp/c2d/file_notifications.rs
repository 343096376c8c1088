//! News of uploaded files for services, which come under locks as feedback does.

use drawspan_hub_model::uploads;

use super::super::client::{hub, start_with};
use super::*;
use crate::support::{HUB, ask_raw};

const PATH: &str = "/messages/serviceBound/filenotifications";

async fn listener(running: &Running) -> (Client, LinkId) {
    let mut client = connect_as(running, &owner()).await;
    let options = receiver(PATH, ReceiverSettleMode::Second, Credit::Manual(1));
    let link = client.attach(options).await.unwrap();
    (client, link)
}

/// Uploads a file of that name.
async fn upload(running: &Running, name: &str) {
    let id = drawspan_hub::DeviceId::parse("a").unwrap();
    let hub = hub(running);
    let place = hub.begin_upload(&id, name.to_owned(), HUB).await.unwrap();
    let target = format!("/uploads/{}{}", place.blob, place.signature);
    let headers = [("x-ms-blob-type", "BlockBlob")];
    let put = ask_raw(running, HUB, "PUT", &target, &headers, "1234567").await;
    assert_eq!(put.status, 201, "{put:?}");
    hub.end_upload(&id, &place.correlation_id, Ok(()))
        .await
        .unwrap();
}

fn name(got: &Got) -> String {
    let news: Json = serde_json::from_str(&got.body()).unwrap();
    news["blobName"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_service_has_what_waits_and_what_comes_until_it_ends_it() {
    let running = start_with(&["a"], |config| {
        config.uploads = uploads::Settings {
            notification_max_delivery_count: 2,
            ..uploads::Settings::default()
        };
    })
    .await;
    upload(&running, "first").await;
    let (mut client, link) = listener(&running).await;
    let first = got(&mut client, link).await;
    let properties = first.message.properties.as_ref().unwrap();
    let content_type = properties.content_type.as_ref().unwrap().as_str();
    let expected = "application/vnd.microsoft.iothub.filenotification.json";
    assert_eq!((content_type, first.tag.len()), (expected, 16));
    let news: Json = serde_json::from_str(&first.body()).unwrap();
    assert_eq!(news["deviceId"], "a");
    assert_eq!(news["blobUri"], format!("https://{HUB}/uploads/a/first"));
    assert_eq!(news["blobSizeInBytes"], 7);
    assert_eq!(news.as_object().unwrap().len(), 6, "{news}");
    let state = agree(&mut client, &first, DeliveryState::Released).await;
    assert_eq!(state, DeliveryState::Released);
    client.grant(link, 1);
    let again = got(&mut client, link).await;
    assert_eq!(name(&again), "a/first");
    agree(&mut client, &again, DeliveryState::Released).await;

    // Given back twice, it is out.
    upload(&running, "second").await;
    client.grant(link, 1);
    let second = got(&mut client, link).await;
    assert_eq!(name(&second), "a/second");
    agree(&mut client, &second, DeliveryState::Accepted).await;
    upload(&running, "third").await;
    client.grant(link, 1);
    let third = got(&mut client, link).await;
    agree(&mut client, &third, rejected()).await;
    nothing_for(&mut client, link).await;
    assert_eq!(hub(&running).file_notification_count(), 0);
}

#[tokio::test]
async fn a_service_that_loses_its_lock_is_told_so_and_another_one_has_the_news() {
    let running = start_with(&["a"], |config| {
        config.uploads.notification_lock_ms = 50;
    })
    .await;
    let (mut client, link) = listener(&running).await;
    let (mut other, other_link) = listener(&running).await;
    upload(&running, "file").await;
    let slow = got(&mut client, link).await;
    let fast = got(&mut other, other_link).await;
    assert_eq!(name(&fast), name(&slow));
    let state = agree(&mut other, &fast, DeliveryState::Accepted).await;
    assert_eq!(state, DeliveryState::Accepted);
    match agree(&mut client, &slow, DeliveryState::Accepted).await {
        DeliveryState::Rejected(Some(error)) => {
            let code = super::super::client::code_in(&error);
            assert_eq!(code, 412_002);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_services_have_the_news() {
    let running = start_with(&["a"], |_| {}).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let options = receiver(PATH, ReceiverSettleMode::Second, Credit::Manual(1));
    let error = client.attach(options).await.unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
}
