//! Who reads a partition: readers with and without an epoch.

use drawspan_amqp::engine::{LinkId, LinkOptions};
use drawspan_amqp::performative::Error;
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator::Running;

use super::client::{
    Client, body_of, connect_as, data, device_token, owner, reader, reader_of, start, start_with,
};

fn with_epoch(name: &str, epoch: impl Into<Value>) -> LinkOptions {
    let property = Value::Symbol(Symbol::from_static("com.microsoft:epoch"));
    LinkOptions {
        properties: Some(Map(vec![(property, epoch.into())])),
        ..reader(name, None)
    }
}

/// A reader on a separate connection.
async fn attach(running: &Running, options: LinkOptions) -> Result<(Client, LinkId), Error> {
    let mut client = connect_as(running, &owner()).await;
    let link = client.attach(options).await?;
    Ok((client, link))
}

async fn refused(running: &Running, options: LinkOptions) -> String {
    let error = attach(running, options).await.err().expect("a refusal");
    error.condition.as_str().to_owned()
}

const STOLEN: &str = "amqp:link:stolen";

#[tokio::test]
async fn a_higher_epoch_takes_the_partition_over() {
    let running = start(&["a"]).await;
    let (mut first, link) = attach(&running, with_epoch("first", 1_i64)).await.unwrap();
    let (mut second, newer) = attach(&running, with_epoch("second", 2_i64)).await.unwrap();
    assert_eq!(first.detached(link).await.condition.as_str(), STOLEN);

    let mut sender = connect_as(&running, &device_token(&running, "a")).await;
    let telemetry = sender.telemetry("a").await;
    sender.deliver(telemetry, 0, &data("x").to_bytes()).await;
    second.grant(newer, 1);
    assert_eq!(body_of(&second.receive(newer).await), "x");
}

#[tokio::test]
async fn a_lower_epoch_and_none_are_refused() {
    let running = start(&[]).await;
    let (mut first, link) = attach(&running, with_epoch("first", 5_i64)).await.unwrap();
    assert_eq!(refused(&running, with_epoch("lower", 4_i64)).await, STOLEN);
    assert_eq!(refused(&running, reader("none", None)).await, STOLEN);
    assert_eq!(
        first.drain(link, 1).await.len(),
        0,
        "the first still has it"
    );
    // The same epoch again: its holder is taken to have come back.
    let (mut again, newer) = attach(&running, with_epoch("again", 5_i64)).await.unwrap();
    assert_eq!(first.detached(link).await.condition.as_str(), STOLEN);

    again.detach(newer);
    again.settle_down().await;
    attach(&running, with_epoch("lower", 4_i64))
        .await
        .expect("nobody has it");
}

#[tokio::test]
async fn an_epoch_sends_those_without_away() {
    let running = start(&[]).await;
    let mut sharing = Vec::new();
    for name in ["1", "2"] {
        sharing.push(attach(&running, reader(name, None)).await.unwrap());
    }
    let (client, _) = attach(&running, with_epoch("epoch", 0_i64)).await.unwrap();
    for (client, link) in &mut sharing {
        assert_eq!(client.detached(*link).await.condition.as_str(), STOLEN);
    }
    drop(client);
}

#[tokio::test]
async fn five_share_a_partition() {
    let running = start(&[]).await;
    let mut client = connect_as(&running, &owner()).await;
    let mut links = Vec::new();
    for number in 0..5 {
        links.push(
            client
                .attach(reader(&number.to_string(), None))
                .await
                .unwrap(),
        );
    }
    assert_eq!(
        refused(&running, reader("6", None)).await,
        "amqp:resource-limit-exceeded"
    );
    client.detach(links[2]);
    client.settle_down().await;
    attach(&running, reader("6", None))
        .await
        .expect("one has left");
}

#[tokio::test]
async fn places_of_a_connection_that_is_gone_are_free() {
    let running = start(&[]).await;
    for round in 0..4 {
        // The session's end frees them, as the connection's does.
        let mut client = connect_as(&running, &owner()).await;
        for number in 0..5 {
            let link = client.attach(reader(&number.to_string(), None)).await;
            link.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        client.close().await;
    }
}

#[tokio::test]
async fn groups_and_partitions_do_not_get_in_each_others_way() {
    let running = start_with(&[], |config| {
        config.partitions = 2;
        config.consumer_groups = vec!["mine".into()];
    })
    .await;
    let (mut first, link) = attach(&running, with_epoch("first", 5_i64)).await.unwrap();
    for address in [
        "contoso/ConsumerGroups/mine/Partitions/0",
        "contoso/ConsumerGroups/$default/Partitions/1",
    ] {
        attach(&running, reader_of("other", address, None))
            .await
            .unwrap();
    }
    let address = "contoso/consumergroups/$DEFAULT/partitions/0";
    assert_eq!(
        refused(&running, reader_of("same", address, None)).await,
        STOLEN
    );
    assert_eq!(first.drain(link, 1).await.len(), 0);
}

#[tokio::test]
async fn an_epoch_may_be_any_number_and_nothing_else() {
    let running = start(&[]).await;
    for epoch in [
        Value::Long(1),
        Value::Int(2),
        Value::Uint(3),
        Value::Ubyte(4),
    ] {
        attach(&running, with_epoch("r", epoch)).await.unwrap();
    }
    assert_eq!(
        refused(&running, with_epoch("r", Value::from("5"))).await,
        "amqp:invalid-field"
    );
}
