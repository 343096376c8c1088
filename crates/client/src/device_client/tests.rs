//! A device client at scripted hubs, one per connection, on virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drawspan_amqp::message::{Message, MessageId, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::{
    DeviceConnectionString, Failure, FailureKind, Outcome, Receive, Telemetry, Wants,
};
use drawspan_net::{Clock, Connector, client_config};
use tokio::io::duplex;

use super::{DeviceClient, DeviceEvent, DeviceEvents, DeviceOptions};
use crate::connection::tests::hub::{Hub, Seen, Tokens};
use crate::connection::{HubConnection, SendFailure};

const EVENTS: &str = ">/devices/d1/messages/events";
const C2D: &str = "</devices/d1/messages/devicebound";
const METHODS: &str = "</devices/d1/methods/devicebound";
const METHOD_ANSWERS: &str = ">/devices/d1/methods/devicebound";
const TWIN: &str = ">/devices/d1/twin";
const TWIN_ANSWERS: &str = "</devices/d1/twin";

/// The hubs that the client met, the newest last.
#[derive(Clone, Default)]
struct Hubs(Arc<Mutex<Vec<Arc<Hub>>>>);

impl Hubs {
    fn newest(&self) -> Arc<Hub> {
        Arc::clone(self.0.lock().unwrap().last().unwrap())
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Connects a client; each connection has its own hub, which answers tokens as scripted.
    async fn connect(
        &self,
        wants: Wants,
        reconnect: bool,
        tokens: Tokens,
    ) -> Result<(DeviceClient, DeviceEvents), Failure> {
        let text = "HostName=hub.example;DeviceId=d1;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAA==";
        let certificate = rcgen::generate_simple_self_signed(["hub.example".to_owned()]).unwrap();
        let trusted = client_config(vec![certificate.cert.der().clone()]).unwrap();
        let options = DeviceOptions {
            wants,
            reconnect,
            ..DeviceOptions::new(
                DeviceConnectionString::parse(text).unwrap(),
                Connector::new(trusted, Vec::new()),
            )
        };
        let hubs = self.clone();
        let clock = Clock::start();
        let start = move |config, key| {
            let (ours, theirs) = duplex(64 * 1_024);
            let hub = Hub::start(theirs, clock);
            hub.with(|state| state.tokens = tokens);
            hubs.0.lock().unwrap().push(Arc::new(hub));
            HubConnection::on_stream(config, key, ours)
        };
        DeviceClient::connect_by(options, Box::new(start)).await
    }
}

fn drop_connection(hub: &Hub) {
    hub.act(|_, connection| connection.close(None, Duration::ZERO));
}

fn hello() -> Telemetry {
    Telemetry {
        body: "hello".into(),
        ..Telemetry::default()
    }
}

async fn link_up(hub: &Hub, name: &str) {
    hub.until(|state| state.link(name).map(|_| ())).await;
    // The client's credit comes behind its attach.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_sends_reads_reports_and_closes() {
    let hubs = Hubs::default();
    let (client, mut events) = hubs
        .connect(Wants::default(), false, Tokens::Take)
        .await
        .unwrap();
    assert_eq!(client.send(&hello()).await, Ok(()));
    let hub = hubs.newest();
    hub.message(EVENTS, 0).await;

    let answers = async {
        for number in 0..2u8 {
            let request = hub.message(TWIN, number.into()).await;
            let status = Symbol::from_static("status");
            let version = Symbol::from_static("version");
            let answer = Message {
                message_annotations: Some(Map(vec![
                    (Value::Symbol(status), Value::Int(200)),
                    (Value::Symbol(version), Value::Long(4)),
                ])),
                properties: Some(Properties {
                    correlation_id: request.properties.unwrap().correlation_id,
                    ..Properties::default()
                }),
                ..Message::from_data("{}")
            };
            hub.send(TWIN_ANSWERS, &[number], answer);
        }
    };
    let asks = async {
        assert_eq!(client.twin().await.unwrap(), "{}");
        assert_eq!(client.report("{}").await, Ok(Some(4)));
    };
    tokio::join!(answers, asks);

    let other = client.clone();
    client.close().await;
    assert!(hub.with(|state| state.seen.contains(&Seen::End)));
    assert_eq!(other.send(&hello()).await, Err(SendFailure::Stale));
    assert!(events.next().await.is_none());
    assert_eq!(hubs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_that_fails_is_told_and_not_repeated() {
    let hubs = Hubs::default();
    let tokens = Tokens::Refuse(401, "wrong key");
    let refused = hubs.connect(Wants::default(), true, tokens).await;
    assert_eq!(refused.unwrap_err().kind, FailureKind::Unauthorized);
    assert_eq!(hubs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_the_end_unless_reconnection_is_wanted() {
    let hubs = Hubs::default();
    let (client, mut events) = hubs
        .connect(Wants::default(), false, Tokens::Take)
        .await
        .unwrap();
    drop_connection(&hubs.newest());
    let lost = events.next().await;
    assert!(
        matches!(lost, Some(DeviceEvent::Disconnected(_))),
        "{lost:?}"
    );
    assert!(events.next().await.is_none());
    assert_eq!(client.send(&hello()).await, Err(SendFailure::Stale));
    assert_eq!(hubs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reconnects_sends_and_receives_as_before() {
    let hubs = Hubs::default();
    let wants = Wants {
        methods: true,
        ..Wants::default()
    };
    let (client, mut events) = hubs.connect(wants, true, Tokens::Take).await.unwrap();
    for round in 2..6 {
        drop_connection(&hubs.newest());
        hubs.newest().ended().await;
        // Waits for the next connection.
        assert_eq!(client.send(&hello()).await, Ok(()));
        assert_eq!(hubs.count(), round);
        let lost = events.next().await;
        assert!(
            matches!(lost, Some(DeviceEvent::Disconnected(_))),
            "{lost:?}"
        );
        let back = events.next().await;
        assert!(matches!(back, Some(DeviceEvent::Connected)), "{back:?}");
    }
    let hub = hubs.newest();
    link_up(&hub, METHODS).await;
    let request = Message {
        properties: Some(Properties {
            correlation_id: Some(MessageId::Uuid([5; 16])),
            ..Properties::default()
        }),
        application_properties: Some([("IoThub-methodname", "m")].into_iter().collect()),
        ..Message::from_data("7")
    };
    hub.send(METHODS, b"1", request);
    let Some(DeviceEvent::Method(call)) = events.next().await else {
        panic!("no method");
    };
    assert_eq!((call.name(), &call.payload()[..]), ("m", &b"7"[..]));
    call.answer(200, None);
    hub.message(METHOD_ANSWERS, 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_an_earlier_connections_message_is_not_that_of_a_later_one() {
    let hubs = Hubs::default();
    let wants = Wants {
        c2d: Receive::Flowing,
        ..Wants::default()
    };
    let (_client, mut events) = hubs.connect(wants, true, Tokens::Take).await.unwrap();
    let mut received = Vec::new();
    for _ in 0..2 {
        let hub = hubs.newest();
        link_up(&hub, C2D).await;
        hub.send(C2D, &[1; 16], Message::from_data("x"));
        loop {
            match events.next().await {
                Some(DeviceEvent::Message(message)) => break received.push(message),
                Some(DeviceEvent::Disconnected(_) | DeviceEvent::Connected) => {}
                other => panic!("{other:?}"),
            }
        }
        if received.len() == 1 {
            drop_connection(&hub);
            hub.ended().await;
            hubs.wait_for(2).await;
        }
    }
    let (late, current) = (received.remove(0), received.remove(0));
    assert_eq!(&current.message().body[..], b"x");
    assert_eq!(
        late.settle(Outcome::Complete).await,
        Err(SendFailure::Stale)
    );
    let outcomes = |seen: &[Seen]| seen.iter().any(|seen| matches!(seen, Seen::Outcome(..)));
    assert!(!hubs.newest().with(|state| outcomes(&state.seen)));
    assert_eq!(current.settle(Outcome::Abandon).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn wants_change_in_place_and_hold_for_later_connections() {
    let hubs = Hubs::default();
    let (client, _events) = hubs
        .connect(Wants::default(), true, Tokens::Take)
        .await
        .unwrap();
    client.want(Wants {
        c2d: Receive::Flowing,
        ..Wants::default()
    });
    link_up(&hubs.newest(), C2D).await;
    drop_connection(&hubs.newest());
    hubs.newest().ended().await;
    hubs.wait_for(2).await;
    link_up(&hubs.newest(), C2D).await;
    client.want(Wants::default());
    hubs.newest().seen(&Seen::Detach(C2D.to_owned()), 1).await;
}

impl Hubs {
    async fn wait_for(&self, count: usize) {
        let wait = async {
            while self.count() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let limit = Duration::from_secs(3_600);
        tokio::time::timeout(limit, wait).await.unwrap();
    }
}
