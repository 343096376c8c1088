//! What is left after the end of the process.

use std::path::Path;

use drawspan_emulator::{Config, Emulator};

use super::super::client::device;
use super::*;
use crate::support::config;

fn kept(folder: &Path) -> Config {
    let mut config = config();
    config.partitions = 1;
    config.state = Some(folder.to_path_buf());
    config.devices = vec![device("a"), device("b")];
    config.cloud_to_device.feedback_gather_ms = 20;
    config
}

#[tokio::test]
async fn what_was_accepted_waits_and_what_was_completed_does_not_return() {
    let folder = tempfile::tempdir().unwrap();
    let running = Emulator::start(kept(folder.path())).await.unwrap();
    let mut service = service_of(&running).await;
    let ids = ["1", "2", "3", "4"];
    send(&mut service, &ids.map(|id| message("a", id, "full"))).await;
    send(&mut service, &[message("b", "5", "full")]).await;
    let (mut client, link) = device_of(&running, "a", 3).await;
    let ways = [
        DeliveryState::Accepted,
        DeliveryState::Released,
        DeliveryState::Accepted,
    ];
    for state in ways {
        let got = got(&mut client, link).await;
        assert_eq!(agree(&mut client, &got, state.clone()).await, state);
    }
    // "2" comes again, and the device holds it at the end.
    client.grant(link, 1);
    assert_eq!(got(&mut client, link).await.count(), 1);
    // Not shut down: what was answered must be there all the same.
    drop(running);
    drop((client, service));

    let running = Emulator::start(kept(folder.path())).await.unwrap();
    assert_eq!(
        (count(&running, "a").await, count(&running, "b").await),
        (2.into(), 1.into())
    );
    let (mut client, link) = device_of(&running, "a", 10).await;
    for (id, deliveries, sequence) in [("2", 1, 2), ("4", 0, 4)] {
        let got = got(&mut client, link).await;
        assert_eq!(
            (got.body().as_str(), got.count(), got.sequence()),
            (id, deliveries, sequence)
        );
        let state = agree(&mut client, &got, DeliveryState::Accepted).await;
        assert_eq!(state, DeliveryState::Accepted);
    }
    let mut service = service_of(&running).await;
    send(&mut service, &[message("a", "6", "full")]).await;
    assert_eq!(got(&mut client, link).await.sequence(), 6);

    let mut listener = connect_as(&running, &owner()).await;
    let path = "/messages/serviceBound/feedback";
    let options = receiver(path, ReceiverSettleMode::Second, Credit::Manual(10));
    let feedback = listener.attach(options).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let batch = got(&mut listener, feedback).await;
        let records: Vec<Json> = serde_json::from_str(&batch.body()).unwrap();
        let id = |record: &Json| record["originalMessageId"].as_str().unwrap().to_owned();
        heard.extend(records.iter().map(id));
        agree(&mut listener, &batch, DeliveryState::Accepted).await;
    }
    heard.sort();
    assert_eq!(heard, ids, "each once, whether before or after");
    drop(running);

    let running = Emulator::start(kept(folder.path())).await.unwrap();
    let mut listener = connect_as(&running, &owner()).await;
    let options = receiver(path, ReceiverSettleMode::Second, Credit::Manual(0));
    let feedback = listener.attach(options).await.unwrap();
    nothing_for(&mut listener, feedback).await;
    running.shutdown().await;
}
