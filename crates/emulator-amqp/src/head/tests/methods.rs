//! Calls that time out. The clock advances only while a test waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Credit, Event, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::message::{Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag};
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator_hub::hub::{Hub, InvokeError};
use drawspan_emulator_hub::sessions::MethodAnswer;
use drawspan_hub::DeviceId;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{HUB, Pair, hub, owner, shared};

const NEVER: Duration = Duration::ZERO;
const CONNECT: Duration = Duration::from_secs(20);
const RESPONSE: Duration = Duration::from_secs(5);

struct Device {
    hub: Arc<Hub>,
    pair: Pair,
    calls: LinkId,
    answers: LinkId,
}

/// A device that takes calls, `credit` of them.
fn device(credit: u32) -> Device {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &owner(HUB, 1_000));
    let session = pair.client.begin().unwrap();
    let address = "/devices/a/methods/devicebound";
    let options = LinkOptions::receiver("calls", address, Credit::Manual(credit));
    let calls = pair.client.attach(session, options).unwrap();
    let options = LinkOptions::sender("answers", address);
    let answers = pair.client.attach(session, options).unwrap();
    pair.run();
    pair.events.clear();
    Device {
        hub,
        pair,
        calls,
        answers,
    }
}

async fn invoke(hub: Arc<Hub>, connect: Duration) -> Result<MethodAnswer, InvokeError> {
    let id = DeviceId::parse("a").unwrap();
    hub.invoke(&id.into(), "x".into(), Bytes::new(), connect, RESPONSE)
        .await
}

impl Device {
    async fn call(&self) -> JoinHandle<Result<MethodAnswer, InvokeError>> {
        let call = tokio::spawn(invoke(Arc::clone(&self.hub), NEVER));
        tokio::task::yield_now().await;
        call
    }

    /// The ids of calls that reach the device when its connection is woken.
    fn reached(&mut self) -> Vec<MessageId> {
        let end = &mut self.pair.end;
        end.head.look(&mut end.connection, end.now);
        self.pair.run();
        let id = |event: Event| match event {
            Event::Delivery { payload, .. } => {
                let message = Message::decode(&payload).unwrap();
                message.properties.unwrap().correlation_id
            }
            _ => None,
        };
        self.pair.events.drain(..).filter_map(id).collect()
    }

    /// Answers a call, and says what the hub made of the answer.
    fn answer(&mut self, to: MessageId) -> Option<DeliveryState> {
        let message = Message {
            properties: Some(Properties {
                correlation_id: Some(to),
                ..Properties::default()
            }),
            application_properties: Some(Map(vec![(
                Value::from("IoThub-status"),
                Value::Int(200),
            )])),
            ..Message::default()
        };
        let answer = Outgoing {
            tag: DeliveryTag::from_u32(1),
            message_format: 0,
            settled: false,
            context: 0,
            payload: &message.to_bytes(),
        };
        self.pair.client.send(self.answers, &answer).unwrap();
        self.pair.run();
        let outcome = |event: Event| match event {
            Event::Outcome { state, .. } => state,
            _ => None,
        };
        self.pair.events.drain(..).find_map(outcome)
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_does_not_hear_of_a_call_that_was_given_up() {
    let mut device = device(0);
    let call = device.call().await;
    assert_eq!(device.reached(), [], "no credit");
    assert_eq!(call.await.unwrap(), Err(InvokeError::TimedOut));
    let unheard = device.call().await;
    assert_eq!(unheard.await.unwrap(), Err(InvokeError::TimedOut));
    device.pair.client.grant(device.calls, 10).unwrap();
    assert_eq!(device.reached(), [], "neither of them");
    let call = device.call().await;
    let ids = device.reached();
    assert_eq!(ids.len(), 1);
    device.answer(ids[0].clone());
    assert_eq!(call.await.unwrap().unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_nobodys() {
    let mut device = device(10);
    let start = Instant::now();
    let call = device.call().await;
    let late = device.reached();
    assert_eq!(call.await.unwrap(), Err(InvokeError::TimedOut));
    assert_eq!(start.elapsed().as_secs(), RESPONSE.as_secs());
    let next = device.call().await;
    let ids = device.reached();
    let taken = device.answer(late[0].clone());
    assert_eq!(
        taken,
        Some(DeliveryState::Accepted),
        "the device did nothing wrong"
    );
    assert!(!next.is_finished(), "it is no answer to another call");
    device.answer(ids[0].clone());
    assert_eq!(next.await.unwrap().unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_no_longer_than_it_said() {
    let hub = hub(&["a"]);
    let _shared = shared(&hub);
    let start = Instant::now();
    assert_eq!(
        invoke(Arc::clone(&hub), NEVER).await,
        Err(InvokeError::NotOnline)
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(invoke(hub, CONNECT).await, Err(InvokeError::NotOnline));
    assert_eq!(start.elapsed().as_secs(), CONNECT.as_secs());
}
