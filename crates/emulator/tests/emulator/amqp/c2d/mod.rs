//! Messages to devices, and feedback on them.

mod delivery;
mod feedback;
mod file_notifications;
mod locks;
mod restart;
mod service;

use drawspan_amqp::engine::{Credit, DeliveryId, Event, LinkId, LinkOptions};
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::performative::{DeliveryState, Error, ReceiverSettleMode};
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator::Running;
use serde_json::Value as Json;

use super::client::{Client, body_of, connect_as, device_token, owner};
use crate::support::ask;

/// A message that came, with what names it.
#[derive(Debug)]
struct Got {
    link: LinkId,
    delivery: DeliveryId,
    tag: Vec<u8>,
    message: Message,
}

impl Got {
    fn body(&self) -> String {
        body_of(&self.message)
    }

    /// How often it has been given back.
    fn count(&self) -> u8 {
        let annotations = self.message.message_annotations.as_ref().unwrap();
        match annotations.get_symbol("iothub-deliverycount") {
            Some(Value::Ubyte(count)) => *count,
            other => panic!("{other:?}"),
        }
    }

    fn sequence(&self) -> u64 {
        let annotations = self.message.message_annotations.as_ref().unwrap();
        match annotations.get_symbol("x-opt-sequence-number") {
            Some(Value::Ulong(sequence)) => *sequence,
            other => panic!("{other:?}"),
        }
    }
}

/// A receiver that settles first, or second.
fn receiver(address: &str, mode: ReceiverSettleMode, credit: Credit) -> LinkOptions {
    let mut options = LinkOptions::receiver("c2d", address, credit);
    options.rcv_settle_mode = mode;
    options
}

fn devicebound(id: &str) -> String {
    format!("/devices/{id}/messages/deviceBound")
}

/// A device on a separate connection, which settles second.
async fn device_of(running: &Running, id: &str, credit: u32) -> (Client, LinkId) {
    let mut client = connect_as(running, &device_token(running, id)).await;
    let options = receiver(
        &devicebound(id),
        ReceiverSettleMode::Second,
        Credit::Manual(credit),
    );
    let link = client.attach(options).await.unwrap();
    (client, link)
}

/// A service with a link to send.
async fn service_of(running: &Running) -> (Client, LinkId) {
    let mut client = connect_as(running, &owner()).await;
    let link = client
        .attach(LinkOptions::sender("c2d", "/messages/devicebound"))
        .await
        .unwrap();
    (client, link)
}

/// A message to a device, whose id is its body.
fn message(to: &str, id: &str, ack: &str) -> Message {
    Message {
        properties: Some(Properties {
            message_id: Some(id.into()),
            to: Some(format!("/devices/{to}/messages/devicebound")),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![(Value::from("iothub-ack"), Value::from(ack))])),
        body: Body::Data(vec![id.to_owned().into()]),
        ..Message::default()
    }
}

/// Sends messages that must be taken.
async fn send((client, link): &mut (Client, LinkId), messages: &[Message]) {
    for message in messages {
        let state = client.deliver(*link, 0, &message.to_bytes()).await;
        assert_eq!(state, DeliveryState::Accepted, "{message:?}");
    }
}

/// Why a message is not taken.
async fn refusal((client, link): &mut (Client, LinkId), message: &Message) -> Error {
    match client.deliver(*link, 0, &message.to_bytes()).await {
        DeliveryState::Rejected(Some(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The next message of a link.
async fn got(client: &mut Client, of: LinkId) -> Got {
    client
        .next(|event| match event {
            Event::Delivery {
                link,
                delivery,
                tag,
                settled: false,
                payload,
                ..
            } if *link == of => Some(Got {
                link: of,
                delivery: *delivery,
                tag: tag.as_bytes().to_vec(),
                message: Message::decode(payload).unwrap(),
            }),
            _ => None,
        })
        .await
}

/// Says what became of a message and waits for the hub's last word on it: for receivers that settle second.
async fn agree(client: &mut Client, got: &Got, state: DeliveryState) -> DeliveryState {
    client
        .connection
        .propose(got.link, got.delivery, state)
        .unwrap();
    let wanted = got.delivery;
    let agreed = client.next(|event| match event {
        Event::SettledBySender {
            delivery, state, ..
        } if *delivery == wanted => Some(state.clone()),
        _ => None,
    });
    agreed.await.expect("a state")
}

/// Nothing comes, though there is credit for it.
async fn nothing_for(client: &mut Client, link: LinkId) {
    let messages = client.drain(link, 10).await;
    assert!(messages.is_empty(), "{messages:?}");
}

/// How many messages wait, as the registry says.
async fn count(running: &Running, id: &str) -> Json {
    let answer = ask(running, "GET", &format!("/devices/{id}"), &[], "").await;
    answer.json()["cloudToDeviceMessageCount"].clone()
}

/// Waits until that many wait.
async fn count_becomes(running: &Running, id: &str, expected: u64) {
    for _ in 0..500 {
        if count(running, id).await == expected {
            return;
        }
    }
    panic!("{id} does not get to {expected} messages");
}

fn rejected() -> DeliveryState {
    DeliveryState::Rejected(None)
}
