//! Devices with certificates over AMQP: no SASL, no tokens.

use drawspan_amqp::engine::{Credit, LinkOptions};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{DeliveryState, condition};
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator::GroupSpec;
use drawspan_hub_model::device::Authentication;
use drawspan_hub_model::dps::{Attestation, EnrollmentGroup, Terms};
use drawspan_net::Transport;

use super::client::{body_of, code_in, data, device_token, hub, open_as, start_with, stored};
use crate::authorities::{add, verify};
use crate::support::{Identity, ask};
use crate::x509::{Authority, Fleet};

fn events(id: &str) -> LinkOptions {
    LinkOptions::sender(id, format!("/devices/{id}/messages/events"))
}

#[tokio::test]
async fn a_connection_is_that_of_the_one_device_of_its_certificate() {
    let fleet = Fleet::new();
    let running = start_with(&[], |config| fleet.configure(config)).await;
    for transport in [Transport::Amqps, Transport::WebSocket] {
        for (identity, id) in [(&fleet.ca, "ca"), (&fleet.print, "print")] {
            let mut client = open_as(&running, identity, transport).await;
            let link = client.telemetry(id).await;
            let outcome = client.deliver(link, 0, &data("x").to_bytes()).await;
            assert_eq!(outcome, DeliveryState::Accepted);
            // Methods and twin of the same device, and nothing of another.
            let methods = LinkOptions::receiver(
                "m",
                format!("/devices/{id}/methods/devicebound"),
                Credit::Manual(10),
            );
            client.attach(methods).await.unwrap();
            let error = client.attach(events("keys")).await.unwrap_err();
            assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{error}");
            client.close().await;
        }
    }
    let messages = stored(&running, 4).await;
    let method = messages[0].message_annotations.as_ref().unwrap();
    let method = method
        .get("iothub-connection-auth-method")
        .and_then(Value::as_str);
    assert!(method.unwrap().contains(r#""type":"x509""#), "{method:?}");
    running.shutdown().await;
}

#[tokio::test]
async fn what_a_certificate_does_not_prove_is_refused_at_the_link() {
    let fleet = Fleet::new();
    let running = start_with(&[], |config| fleet.configure(config)).await;
    let stranger = Authority::new("devices").device("ca", 1);
    let cases: [(&Identity, &str); 5] = [
        (&fleet.old, "old"),
        (&fleet.ca, "print"),
        (&fleet.print, "ca"),
        (&stranger, "ca"),
        (&fleet.ca, "keys"),
    ];
    for (identity, id) in cases {
        let mut client = open_as(&running, identity, Transport::Amqps).await;
        let error = client.attach(events(id)).await.unwrap_err();
        assert_eq!(
            error.condition,
            condition::UNAUTHORIZED_ACCESS,
            "{id}: {error}"
        );
        assert_eq!(code_in(&error), 401_003, "{id}: {error}");
        // A token on the same connection is as good as on any other.
        if id == "keys" {
            let token = device_token(&running, "keys");
            assert_eq!(client.put_token(&token).await.status, 200);
            client.telemetry("keys").await;
        }
        client.close().await;
    }
    let mut client = open_as(&running, &fleet.ca, Transport::Amqps).await;
    let error = client.attach(events("nobody")).await.unwrap_err();
    assert_eq!(error.condition, condition::NOT_FOUND);
    assert!(
        hub(&running)
            .device(&super::client::device("nobody"))
            .is_none()
    );
    running.shutdown().await;
}

#[tokio::test]
async fn a_module_has_a_certificate_of_its_own() {
    let fleet = Fleet::new();
    let running = start_with(&[], |config| fleet.configure(config)).await;
    let path = "/devices/ca/modules/m";
    let body = r#"{"authentication":{"type":"certificateAuthority"}}"#;
    let created = ask(&running, "PUT", path, &[], body).await;
    assert_eq!(created.status, 200, "{created:?}");
    let module = fleet.authority.device("ca/m", 1);
    for transport in [Transport::Amqps, Transport::WebSocket] {
        let mut client = open_as(&running, &module, transport).await;
        let link = client.telemetry("ca/modules/m").await;
        let outcome = client.deliver(link, 0, &data("x").to_bytes()).await;
        assert_eq!(outcome, DeliveryState::Accepted);
        // Its device and its siblings prove themselves.
        let error = client.attach(events("ca")).await.unwrap_err();
        assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{error}");
        client.close().await;
    }
    let mut client = open_as(&running, &fleet.ca, Transport::Amqps).await;
    let error = client.attach(events("ca/modules/m")).await.unwrap_err();
    assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{error}");
    assert_eq!(code_in(&error), 401_003, "{error}");
    client.close().await;

    let messages = stored(&running, 2).await;
    let method = messages[0].message_annotations.as_ref().unwrap();
    let method = method.get("iothub-connection-auth-method");
    let method = method.and_then(Value::as_str).unwrap();
    assert!(
        method.starts_with(r#"{"scope":"module","type":"x509""#),
        "{method}"
    );
    // Another certificate than that of the module as it is now is detached.
    let mut client = open_as(&running, &module, Transport::Amqps).await;
    client.telemetry("ca/modules/m").await;
    let body = r#"{"authentication":{"type":"sas"}}"#;
    let changed = ask(&running, "PUT", path, &[("If-Match", "*")], body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let error = client.attach(events("ca/modules/m")).await.unwrap_err();
    assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{error}");
    running.shutdown().await;
}

#[tokio::test]
async fn an_authority_counts_once_it_is_verified() {
    let authority = Authority::new("devices");
    let running = start_with(&[], |config| {
        let device = (
            super::client::device("a"),
            Authentication::CertificateAuthority,
        );
        config.certificate_devices = vec![device];
    })
    .await;
    add(&running, "devices", &authority).await;
    let identity = authority.device("a", 1);
    let mut client = open_as(&running, &identity, Transport::Amqps).await;
    let error = client.attach(events("a")).await.unwrap_err();
    assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{error}");
    assert_eq!(code_in(&error), 401_003, "{error}");
    verify(&running, "devices", &authority).await;
    // On the connection that was refused, too.
    client.telemetry("a").await;
    running.shutdown().await;
}

fn register() -> Message {
    let entry = |name: &str, value: &str| (Value::from(name), Value::from(value));
    Message {
        application_properties: Some(Map(vec![entry("iotdps-operation-type", "iotdps-register")])),
        ..data("{}")
    }
}

/// The test's client opens with the name of the hub, at which the service is served as well.
#[tokio::test]
async fn devices_register_by_the_address_of_their_link() {
    let authority = Authority::new("cars");
    let running = start_with(&[], |config| {
        config.provisioning.retry_after_s = 0;
        config.provisioning.groups = vec![GroupSpec::new("meters")];
        config.provisioning.other_groups = vec![EnrollmentGroup {
            name: "cars".into(),
            attestation: Attestation::Signing(vec![authority.certificate()]),
            terms: Terms::default(),
        }];
    })
    .await;
    let scope = running.dps().id_scope().to_owned();
    for (transport, id) in [(Transport::Amqps, "car-1"), (Transport::WebSocket, "car-2")] {
        let identity = authority.device(id, 1);
        let mut client = open_as(&running, &identity, transport).await;
        let address = format!("{scope}/registrations/{id}");
        let answers = LinkOptions::receiver("answers", &address, Credit::Auto(10));
        let answers = client.attach(answers).await.unwrap();
        let requests = LinkOptions::sender("requests", &address);
        let requests = client.attach(requests).await.unwrap();
        let outcome = client.deliver(requests, 0, &register().to_bytes()).await;
        assert_eq!(outcome, DeliveryState::Accepted);
        let answer = body_of(&client.receive(answers).await);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["registrationState"]["deviceId"], id, "{answer}");
        // The hub is no longer to be had on this connection.
        let error = client.attach(events(id)).await.unwrap_err();
        assert_eq!(error.condition, condition::NOT_FOUND, "{error}");
        client.close().await;

        let mut other = open_as(&running, &identity, transport).await;
        let address = format!("{scope}/registrations/other");
        let error = other
            .attach(LinkOptions::sender("requests", &address))
            .await
            .unwrap_err();
        assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{error}");
        let text = error.description.unwrap_or_default();
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text["errorCode"], 401_002);
    }
    running.shutdown().await;
}
