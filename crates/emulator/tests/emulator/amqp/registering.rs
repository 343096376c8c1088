//! Devices that register at DPS over AMQP.

use drawspan_amqp::engine::{ClientSasl, Credit, LinkOptions};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::DeliveryState;
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator::{GroupSpec, Running};
use drawspan_hub::HostName;
use drawspan_hub_model::dps::Allocation;
use drawspan_net::Transport;

use super::client::{Client, body_of, code_in, data, open, start_with};
use crate::dps::token;
use crate::support::{HUB, key};

fn request(operation: &str, id: &str, body: &str) -> Message {
    let entry = |name: &str, value: &str| (Value::from(name), Value::from(value));
    Message {
        application_properties: Some(Map(vec![
            entry("iotdps-operation-type", operation),
            entry("iotdps-operation-id", id),
        ])),
        ..data(body)
    }
}

async fn come(running: &Running, transport: Transport, id: &str) -> Client {
    let user = format!("{}/registrations/{id}", running.dps().id_scope());
    let token = token(id, &key(5).derive(id));
    let sasl = ClientSasl {
        mechanism: Symbol::from_static("PLAIN"),
        initial_response: Some(format!("\0{user}\0{token}").into()),
    };
    open(running, Some(sasl), transport).await.unwrap()
}

#[tokio::test]
async fn a_device_registers_over_either_kind_of_connection() {
    let running = start_with(&[], |config| {
        config.provisioning.groups = vec![GroupSpec {
            name: "meters".into(),
            primary: Some(key(5)),
            secondary: Some(key(6)),
        }];
        config.provisioning.allocation = Allocation::Static(HostName::parse(HUB).unwrap());
    })
    .await;
    for (transport, id) in [(Transport::Amqps, "a"), (Transport::WebSocket, "b")] {
        let mut client = come(&running, transport, id).await;
        client.heed_no_size();
        let address = format!("{}/registrations/{id}", running.dps().id_scope());
        let answers = LinkOptions::receiver("answers", &address, Credit::Auto(10));
        let answers = client.attach(answers).await.unwrap();
        let requests = LinkOptions::sender("requests", &address);
        let requests = client.attach(requests).await.unwrap();

        let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(200_000));
        let large = request("iotdps-register", "", &large).to_bytes();
        let DeliveryState::Rejected(Some(error)) = client.deliver(requests, 0, &large).await else {
            panic!("it is too large");
        };
        assert_eq!(code_in(&error), 413_001);

        let state = client
            .deliver(
                requests,
                0,
                &request("iotdps-register", "", "{}").to_bytes(),
            )
            .await;
        assert_eq!(state, DeliveryState::Accepted);
        let answer = client.receive(answers).await;
        let answer: serde_json::Value = serde_json::from_str(&body_of(&answer)).unwrap();
        let operation = answer["operationId"].as_str().unwrap();
        let status = request("iotdps-get-operationstatus", operation, "");
        client.send(requests, 0, &status.to_bytes(), true).await;
        let answer = client.receive(answers).await;
        let answer: serde_json::Value = serde_json::from_str(&body_of(&answer)).unwrap();
        assert_eq!(answer["registrationState"]["assignedHub"], HUB);
        client.close().await;
    }
    running.shutdown().await;
}
