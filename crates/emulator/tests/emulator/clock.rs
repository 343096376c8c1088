//! Connections over real sockets whose emulator's clock is changed.

use std::time::Duration;

use drawspan_emulator::{Clock, Emulator, Running};
use drawspan_hub::{DeviceId, HostName, sas};
use drawspan_hub_model::token_life::SasGrace;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::support::{HUB, config, connect, key};

const LONG: Duration = Duration::from_secs(20);

/// A hub with device `a`, which gives tokens no time beyond their expiry.
async fn start() -> (Running, Clock) {
    let clock = Clock::system();
    let mut config = config();
    config.clock = clock.clone();
    config.group_key = Some(key(5));
    config.devices = vec![DeviceId::parse("a").unwrap()];
    config.limits.sas_grace = SasGrace {
        connect_s: 0,
        live_s: 0,
    };
    (Emulator::start(config).await.unwrap(), clock)
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// Connects over MQTT with a token of so many seconds and a keep-alive.
async fn mqtt(running: &Running, life_s: u64, keep_alive_s: u16) -> TlsStream<TcpStream> {
    let now_s = running.hubs().hubs()[0].clock().machine_unix_ms() / 1_000;
    let host = HostName::parse(HUB).unwrap();
    let a = DeviceId::parse("a").unwrap();
    let resource = sas::device_resource(&host, &a, None);
    let token = sas::sign(&resource, &key(5).derive("a"), now_s + life_s, None);
    let user = format!("{HUB}/a/?api-version=2021-04-12");
    let head = [&b"\0\x04MQTT\x04\xc0"[..], &keep_alive_s.to_be_bytes()].concat();
    let body = [head, text("a"), text(&user), text(&token)].concat();
    // Two bytes of length: the token alone is longer than 127.
    let length = [(body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8];
    let address = running.addresses().mqtts.unwrap();
    let mut stream = connect(running.ca_path(), address, HUB).await;
    let connect = [&[0x10][..], &length, &body].concat();
    stream.write_all(&connect).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer[..2], answer[3]), (&[0x20, 2][..], 0), "accepted");
    stream
}

/// Waits until the hub ends the connection.
async fn is_cut(stream: &mut TlsStream<TcpStream>) {
    let mut rest = Vec::new();
    let ended = timeout(LONG, stream.read_to_end(&mut rest)).await;
    // With or without a word of TLS.
    let _ = ended.expect("the connection is cut");
    assert!(rest.is_empty(), "MQTT 3.1.1 has no packet for that");
}

#[tokio::test]
async fn an_advance_ends_a_token_at_once_and_the_client_comes_back() {
    let (running, clock) = start().await;
    for _ in 0..2 {
        let mut device = mqtt(&running, 3_600, 60).await;
        clock.advance(Duration::from_secs(61 * 60)).unwrap();
        is_cut(&mut device).await;
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_scale_cuts_a_client_that_pings_in_its_own_time() {
    let (running, clock) = start().await;
    // 10 s, and 15 s of silence, at a thousand times the speed.
    let mut device = mqtt(&running, 1_000_000, 10).await;
    clock.set_scale(1_000.0).unwrap();
    is_cut(&mut device).await;
    running.shutdown().await;
}

#[tokio::test]
async fn a_failover_ends_a_connection_and_refuses_the_next() {
    let (running, _) = start().await;
    let mut device = mqtt(&running, 3_600, 60).await;
    let hub = running.hubs().find(HUB).unwrap();
    hub.fail_over(Duration::from_secs(600)).await.unwrap();
    is_cut(&mut device).await;
    running.shutdown().await;
}
