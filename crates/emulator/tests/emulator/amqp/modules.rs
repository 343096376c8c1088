//! Modules over AMQP: beside their device on one connection, with telemetry, twins and methods of their own.

use drawspan_amqp::engine::{LinkOptions, SessionId};
use drawspan_amqp::performative::DeliveryState;
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator::Running;
use drawspan_hub::{HostName, ModuleId, SymmetricKey, sas};
use serde_json::json;

use super::client::{
    Client, code_in, connect_as, data, device, device_token, start, stored, unix_s,
};
use super::methods::Methods;
use super::twin::Twin;
use crate::support::{HUB, ask, set_status};

/// Registers a module, and returns a token by its own key.
async fn create(running: &Running, device_id: &str, module: &str) -> String {
    let path = format!("/devices/{device_id}/modules/{module}");
    let created = ask(running, "PUT", &path, &[], "{}").await.json();
    let key = &created["authentication"]["symmetricKey"]["primaryKey"];
    let key = SymmetricKey::from_base64(key.as_str().unwrap()).unwrap();
    let (host, module) = (
        HostName::parse(HUB).unwrap(),
        ModuleId::parse(module).unwrap(),
    );
    let resource = sas::device_resource(&host, &device(device_id), Some(&module));
    sas::sign(&resource, &key, unix_s() + 3600, None)
}

/// A connection of device `a` and its modules `m` and `n`.
async fn connected(running: &Running) -> Client {
    let mut client = connect_as(running, &device_token(running, "a")).await;
    for module in ["m", "n"] {
        let token = create(running, "a", module).await;
        assert_eq!(client.put_token(&token).await.status, 200);
    }
    client
}

fn session(client: &mut Client) -> SessionId {
    client.begin()
}

#[tokio::test]
async fn telemetry_names_its_module() {
    let running = start(&["a"]).await;
    let mut client = connected(&running).await;
    for id in ["a", "a/modules/m"] {
        let link = client.telemetry(id).await;
        // What the sender says of itself does not count.
        let mut message = data(id);
        let name = Value::Symbol(Symbol::from_static("iothub-connection-module-id"));
        message.message_annotations = Some(Map(vec![(name, Value::from("other"))]));
        let state = client.deliver(link, 0, &message.to_bytes()).await;
        assert_eq!(state, DeliveryState::Accepted);
    }
    let annotation = |message: &drawspan_amqp::message::Message, name: &str| {
        let value = message.message_annotations.as_ref().unwrap().get(name);
        value.and_then(|it| it.as_str().map(str::to_owned))
    };
    let events = stored(&running, 2).await;
    let module = |at: usize| annotation(&events[at], "iothub-connection-module-id");
    assert_eq!((module(0), module(1)), (None, Some("m".into())));
    let device = annotation(&events[1], "iothub-connection-device-id");
    assert_eq!(device.as_deref(), Some("a"));
    let method = annotation(&events[1], "iothub-connection-auth-method").unwrap();
    assert!(
        method.starts_with(r#"{"scope":"module","type":"sas""#),
        "{method}"
    );
}

#[tokio::test]
async fn outputs_are_of_iot_edge() {
    let running = start(&["a"]).await;
    let mut client = connected(&running).await;
    let mut annotated = data("x");
    let name = Value::Symbol(Symbol::from_static("x-opt-output-name"));
    annotated.message_annotations = Some(Map(vec![(name, Value::from("out"))]));
    // As Node's client does it.
    let mut named = data("x");
    let name = Value::from("iothub-outputname");
    named.application_properties = Some(Map(vec![(name, Value::from("out"))]));
    let link = client.telemetry("a/modules/m").await;
    for message in [annotated, named] {
        let state = client.deliver(link, 0, &message.to_bytes()).await;
        let DeliveryState::Rejected(Some(error)) = state else {
            panic!("{state:?}")
        };
        assert_eq!(error.condition.as_str(), "amqp:not-implemented");
        assert!(error.description.unwrap().contains("IoT Edge"));
    }
}

#[tokio::test]
async fn twins_and_methods_of_a_device_and_its_modules_are_apart() {
    let running = start(&["a"]).await;
    let mut client = connected(&running).await;
    let ids = ["a", "a/modules/m", "a/modules/n"];
    let mut twins = Vec::new();
    for id in ids {
        let session = session(&mut client);
        twins.push(Twin::attach(&mut client, session, id).await);
    }
    for (twin, id) in twins.iter_mut().zip(ids) {
        twin.report(&mut client, json!({ "of": id })).await;
    }
    for id in ids {
        let twin = ask(&running, "GET", &format!("/twins/{id}"), &[], "").await;
        assert_eq!(twin.json()["properties"]["reported"]["of"], id);
        assert_eq!(twin.json()["connectionState"], "Connected");
    }
    let session = session(&mut client);
    let of_m = Methods::attach(&mut client, session, "a/modules/m").await;
    let of_n = Methods::attach(&mut client, session, "a/modules/n").await;
    let body = r#"{"methodName":"reboot","payload":1}"#;
    let path = |id: &str| format!("/twins/{id}/methods");
    let (answer, ()) = tokio::join!(ask_owned(&running, path("a/modules/n"), body), async {
        let (id, name, payload) = of_n.call(&mut client).await;
        assert_eq!((name.as_str(), payload.as_str()), ("reboot", "1"));
        of_n.answer(&mut client, id, 207, "2").await;
    });
    assert_eq!(answer, json!({ "status": 207, "payload": 2 }));
    let (answer, ()) = tokio::join!(ask_owned(&running, path("a/modules/m"), body), async {
        let (id, ..) = of_m.call(&mut client).await;
        of_m.answer(&mut client, id, 200, "null").await;
    });
    assert_eq!(answer["status"], 200);
    let device = ask(&running, "POST", &path("a"), &[], body).await;
    assert_eq!(device.header("iothub-errorcode"), Some("DeviceNotOnline"));
}

async fn ask_owned(running: &Running, path: String, body: &str) -> serde_json::Value {
    ask(running, "POST", &path, &[], body).await.json()
}

#[tokio::test]
async fn a_module_needs_a_token_of_its_own_and_is_registered() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let sender = |id: &str| LinkOptions::sender("t", format!("/devices/{id}/messages/events"));
    let error = client.attach(sender("a/modules/m")).await.unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
    let token = create(&running, "a", "m").await;
    let deleted = ask(&running, "DELETE", "/devices/a/modules/m", &[], "").await;
    assert_eq!(deleted.status, 204);
    let answer = client.put_token(&token).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.description,
        "Module m on Device a at IotHub contoso not registered."
    );
    let mut service = connect_as(&running, &super::client::owner()).await;
    let error = service.attach(sender("a/modules/m")).await.unwrap_err();
    assert_eq!(
        (error.condition.as_str(), code_in(&error)),
        ("amqp:not-found", 404_010)
    );
}

#[tokio::test]
async fn a_disabled_device_disables_its_modules() {
    let running = start(&["a"]).await;
    let mut client = connected(&running).await;
    let link = client.telemetry("a/modules/m").await;
    set_status(&running, "a", "disabled").await;
    let error = client.detached(link).await;
    assert_eq!(code_in(&error), 403_012);
    set_status(&running, "a", "enabled").await;
    let link = client.telemetry("a/modules/m").await;
    let deleted = ask(&running, "DELETE", "/devices/a", &[], "").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(
        client.detached(link).await.condition.as_str(),
        "amqp:not-found"
    );
}

#[tokio::test]
async fn a_newer_link_takes_only_its_module_over() {
    let running = start(&["a"]).await;
    let mut first = connected(&running).await;
    let (of_m, of_a) = (
        first.telemetry("a/modules/m").await,
        first.telemetry("a").await,
    );
    let mut second = connect_as(&running, &super::client::owner()).await;
    second.telemetry("a/modules/m").await;
    let error = first.detached(of_m).await;
    assert_eq!(error.condition.as_str(), "amqp:link:stolen");
    let state = first.deliver(of_a, 0, &data("x").to_bytes()).await;
    assert_eq!(state, DeliveryState::Accepted);
}
