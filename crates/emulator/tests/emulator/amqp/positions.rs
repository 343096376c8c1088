//! Where reading starts, how far credit goes, and who is not there to be read.

use drawspan_amqp::engine::Event;
use drawspan_amqp::performative::SenderSettleMode;
use drawspan_emulator::Running;
use drawspan_segment_log::{AuthKind, AuthScope, MessageSource, NewRecord, Origin, StoredRecord};

use super::client::{
    Client, body_of, connect_as, data, device, hub, owner, reader, reader_of, start, start_with,
};

fn store(running: &Running, body: &str) {
    let origin = Origin {
        scope: AuthScope::Device,
        kind: AuthKind::Sas,
        generation_id: "1".into(),
        source: MessageSource::Telemetry,
    };
    let record = NewRecord {
        device_id: device("a"),
        module_id: None,
        origin,
        message: data(body).to_bytes(),
    };
    hub(running).ingest(&[record]).unwrap();
}

/// Five messages, each a millisecond after the one before at least.
fn store_five(running: &Running) -> Vec<StoredRecord> {
    for body in 0..5 {
        let before = hub(running).now_unix_ms();
        while hub(running).now_unix_ms() == before {
            std::hint::spin_loop();
        }
        store(running, &body.to_string());
    }
    hub(running).read(0, 0, 10, 100_000).unwrap()
}

async fn read_from(client: &mut Client, filter: Option<&str>) -> Vec<String> {
    let name = format!("reader of {filter:?}");
    let link = client.attach(reader(&name, filter)).await;
    let link = link.unwrap_or_else(|error| panic!("{filter:?}: {error}"));
    let bodies = client.drain(link, 100).await.iter().map(body_of).collect();
    client.detach(link);
    bodies
}

#[tokio::test]
async fn reading_starts_where_it_is_asked_to() {
    let running = start(&["a"]).await;
    let stored = store_five(&running);
    let mut client = connect_as(&running, &owner()).await;
    let offset = |at: usize| stored[at].offset;
    let time = |at: usize| stored[at].enqueued_unix_ms;
    let by = |name: &str, how: &str, value: String| {
        Some(format!("amqp.annotation.x-opt-{name} {how} '{value}'"))
    };
    let cases = [
        (None, 0),
        (by("offset", ">", "-1".into()), 0),
        (by("offset", ">=", "-1".into()), 0),
        (by("offset", ">", offset(2).to_string()), 3),
        (by("offset", ">=", offset(2).to_string()), 2),
        (by("offset", ">", offset(4).to_string()), 5),
        (by("sequence-number", ">", "-1".into()), 0),
        (by("sequence-number", ">", "0".into()), 1),
        (by("sequence-number", ">=", "4".into()), 4),
        (by("sequence-number", ">", "4".into()), 5),
        (by("enqueued-time", ">", (time(0) - 1).to_string()), 0),
        (by("enqueued-time", ">", time(1).to_string()), 2),
        (by("enqueued-time", ">=", time(1).to_string()), 1),
        (by("enqueued-time", ">", (time(4) + 60_000).to_string()), 5),
        (by("offset", ">", "@latest".into()), 5),
    ];
    for (filter, first) in cases {
        let bodies = read_from(&mut client, filter.as_deref()).await;
        let expected: Vec<_> = (first..5).map(|body: i32| body.to_string()).collect();
        assert_eq!(bodies, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_position_that_is_none_is_refused() {
    let running = start(&[]).await;
    let mut client = connect_as(&running, &owner()).await;
    for filter in [
        "",
        "amqp.annotation.x-opt-offset > 'x'",
        "amqp.annotation.other > '1'",
        "offset > '1'",
    ] {
        let error = client
            .attach(reader("r", Some(filter)))
            .await
            .expect_err(filter);
        assert_eq!(error.condition.as_str(), "amqp:invalid-field", "{filter}");
    }
}

#[tokio::test]
async fn a_position_beyond_the_end_is_refused() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let refused = async |client: &mut Client, filter: String| {
        let error = client.attach(reader("r", Some(&filter))).await;
        let error = error.expect_err(&filter);
        let condition = error.condition.as_str().to_owned();
        assert_eq!(condition, "com.microsoft:argument-error", "{filter}");
        error.description.unwrap_or_default()
    };
    let by =
        |name: &str, how: &str, value: u64| format!("amqp.annotation.x-opt-{name} {how} '{value}'");
    let text = refused(&mut client, by("offset", ">=", 0)).await;
    assert!(
        text.contains("The last offset in the system is '-1'"),
        "{text}"
    );
    let stored = store_five(&running);
    let last = stored[4].offset;
    for how in [">", ">="] {
        let text = refused(&mut client, by("offset", how, last + 1)).await;
        let expected = format!(
            "The supplied offset '{}' is invalid. The last offset in the system is '{last}'",
            last + 1
        );
        assert_eq!(text, expected);
        let text = refused(&mut client, by("sequence-number", how, 5)).await;
        assert!(
            text.contains("The last sequence number in the system is '4'"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn latest_means_from_the_attach_on() {
    let running = start(&["a"]).await;
    store(&running, "before");
    let mut client = connect_as(&running, &owner()).await;
    let link = client
        .attach(reader(
            "r",
            Some("amqp.annotation.x-opt-offset > '@latest'"),
        ))
        .await
        .unwrap();
    store(&running, "between attach and credit");
    client.grant(link, 10);
    assert_eq!(
        body_of(&client.receive(link).await),
        "between attach and credit"
    );
    store(&running, "after");
    assert_eq!(body_of(&client.receive(link).await), "after");
}

#[tokio::test]
async fn credit_is_all_that_is_sent() {
    let running = start(&["a"]).await;
    store_five(&running);
    let mut client = connect_as(&running, &owner()).await;
    let link = client.attach(reader("r", None)).await.unwrap();
    client.settle_down().await;
    assert!(client.arrived(link).is_empty(), "no credit yet");
    client.grant(link, 2);
    for body in ["0", "1"] {
        assert_eq!(body_of(&client.receive(link).await), body);
    }
    client.settle_down().await;
    assert!(client.arrived(link).is_empty(), "the credit is used up");
    client.grant(link, 100);
    for body in ["2", "3", "4"] {
        assert_eq!(body_of(&client.receive(link).await), body);
    }
    store(&running, "5");
    assert_eq!(body_of(&client.receive(link).await), "5");
}

#[tokio::test]
async fn an_empty_partition_can_be_drained() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let link = client.attach(reader("r", None)).await.unwrap();
    assert!(client.drain(link, 10).await.is_empty());
    store(&running, "later");
    client.settle_down().await;
    assert!(client.arrived(link).is_empty(), "the credit was used up");
    client.grant(link, 1);
    assert_eq!(body_of(&client.receive(link).await), "later");
}

#[tokio::test]
async fn events_go_out_settled_unless_the_reader_wants_otherwise() {
    let running = start(&["a"]).await;
    store(&running, "x");
    let mut client = connect_as(&running, &owner()).await;
    let modes = [
        (SenderSettleMode::Mixed, true),
        (SenderSettleMode::Settled, true),
        (SenderSettleMode::Unsettled, false),
    ];
    for (mode, expected) in modes {
        let mut options = reader(&format!("{mode:?}"), None);
        options.snd_settle_mode = mode;
        let link = client.attach(options).await.unwrap();
        client.grant(link, 1);
        let settled = client.next(|event| match event {
            Event::Delivery {
                link: of, settled, ..
            } if *of == link => Some(*settled),
            _ => None,
        });
        assert_eq!(settled.await, expected, "{mode:?}");
    }
}

#[tokio::test]
async fn each_partition_has_its_own_devices() {
    let ids: Vec<_> = (0..40).map(|number| format!("d{number}")).collect();
    let names: Vec<_> = ids.iter().map(String::as_str).collect();
    let running = start_with(&names, |config| config.partitions = 2).await;
    let mut client = connect_as(&running, &owner()).await;
    for id in &ids {
        let link = client.telemetry(id).await;
        client.deliver(link, 0, &data(id).to_bytes()).await;
    }
    let mut bodies = Vec::new();
    for partition in 0..2 {
        let address =
            format!("amqps://contoso.test/CONTOSO/consumergroups/$default/partitions/{partition}");
        let link = client
            .attach(reader_of(&address, &address, None))
            .await
            .unwrap();
        let events = client.drain(link, 100).await;
        assert!(!events.is_empty(), "partition {partition}");
        bodies.extend(events.iter().map(body_of));
    }
    bodies.sort();
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_read() {
    let running = start_with(&[], |config| config.consumer_groups = vec!["mine".into()]).await;
    let mut client = connect_as(&running, &owner()).await;
    let cases = [
        (
            "contoso/ConsumerGroups/other/Partitions/0",
            "'contoso:other' could not be found",
        ),
        (
            "elsewhere/ConsumerGroups/$Default/Partitions/0",
            "'elsewhere' could not be found",
        ),
        (
            "contoso/ConsumerGroups/$Default/Partitions/1",
            "no partition 1",
        ),
        (
            "contoso/ConsumerGroups/$Default/Partitions/65536",
            "no partition 65536",
        ),
    ];
    for (address, words) in cases {
        let error = client
            .attach(reader_of("r", address, None))
            .await
            .expect_err(address);
        assert_eq!(error.condition.as_str(), "amqp:not-found", "{address}");
        assert!(error.to_string().contains(words), "{address}: {error}");
    }
    let mine = "contoso/ConsumerGroups/MINE/Partitions/0";
    client.attach(reader_of("r", mine, None)).await.unwrap();
}
