//! AMQP in WebSockets, on the HTTPS port.

use drawspan_amqp::performative::DeliveryState;
use drawspan_net::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{connect_over, data, device_token, start, stored};
use crate::support::{Answer, HUB, connect};

#[tokio::test]
async fn a_device_sends_over_a_websocket() {
    let running = start(&["a"]).await;
    let token = device_token(&running, "a");
    let mut client = connect_over(&running, Transport::WebSocket, &token).await;
    let link = client.telemetry("a").await;
    for size in [1, 1_000, 100_000, 200_000] {
        let message = data(&"x".repeat(size)).to_bytes();
        let state = client.deliver(link, 0, &message).await;
        assert_eq!(state, DeliveryState::Accepted, "{size}");
    }
    assert_eq!(stored(&running, 4).await.len(), 4);
}

#[tokio::test]
async fn a_websocket_holds_500_devices_tokens() {
    let ids: Vec<_> = (0..501).map(|number| format!("d{number}")).collect();
    let names: Vec<_> = ids.iter().map(String::as_str).collect();
    let running = start(&names).await;
    let token = device_token(&running, &ids[0]);
    let mut client = connect_over(&running, Transport::WebSocket, &token).await;
    for id in &ids[1..500] {
        let answer = client.put_token(&device_token(&running, id)).await;
        assert_eq!(answer.status, 200, "{id}: {answer:?}");
    }
    let answer = client.put_token(&device_token(&running, &ids[500])).await;
    let text = "The maximum number of tokens per connection (500) has been reached.";
    assert_eq!((answer.status, answer.description.as_str()), (500, text));
    let answer = client.put_token(&device_token(&running, &ids[7])).await;
    assert_eq!(answer.status, 200, "a renewal is free: {answer:?}");
}

#[tokio::test]
async fn the_emulator_stops_although_a_websocket_is_open() {
    let running = start(&["a"]).await;
    let token = device_token(&running, "a");
    let mut client = connect_over(&running, Transport::WebSocket, &token).await;
    let stopping = tokio::spawn(running.shutdown());
    client.closed().await;
    stopping.await.unwrap();
}

#[tokio::test]
async fn handshakes_are_answered_as_they_deserve() {
    const GOOD: [(&str, &str); 5] = [
        ("Upgrade", "WebSocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "other, amqpwsb10"),
    ];
    let running = start(&[]).await;
    let ask = async |method: &str, path: &str, change: Option<(&str, &str)>| {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {HUB}\r\n");
        for (name, value) in GOOD {
            let value = change
                .filter(|(changed, _)| *changed == name)
                .map_or(value, |(_, value)| value);
            if !value.is_empty() {
                request.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        request.push_str("\r\n");
        let address = running.addresses().https;
        let mut stream = connect(running.ca_path(), address, HUB).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head,
            body: String::new(),
        }
    };
    for path in [
        "/$iothub/websocket",
        "/$IoTHub/WebSocket?iothub-no-client-cert=true",
        "/%24servicebus/websocket/",
    ] {
        let answer = ask("GET", path, None).await;
        assert_eq!(answer.status, 101, "{path}: {answer:?}");
        let accept = answer.header("sec-websocket-accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(answer.header("sec-websocket-protocol"), Some("amqpwsb10"));
    }
    let path = "/$iothub/websocket";
    let check = async |method: &str, path: &str, change, status| {
        let answer = ask(method, path, change).await;
        assert_eq!(answer.status, status, "{change:?}: {answer:?}");
    };
    check("GET", "/$iothub/other", None, 404).await;
    check("POST", path, None, 426).await;
    check("GET", path, Some(("Upgrade", "h2c")), 426).await;
    check("GET", path, Some(("Sec-WebSocket-Version", "8")), 426).await;
    check("GET", path, Some(("Sec-WebSocket-Key", "")), 400).await;
    check("GET", path, Some(("Sec-WebSocket-Protocol", "mqtt")), 101).await;
    check("GET", "/", Some(("Sec-WebSocket-Protocol", "mqtt")), 101).await;
    check("GET", "/", Some(("Upgrade", "")), 404).await;
    check("GET", path, Some(("Sec-WebSocket-Protocol", "stomp")), 400).await;
    check("GET", path, Some(("Sec-WebSocket-Protocol", "")), 400).await;
}
