//! A whole life at the most talkative log: no key, token or payload is in it, and of a callback URL nothing beyond its origin.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use drawspan_client::service::{Call, Message, ServiceClient, ServiceConfig};
use drawspan_client::{Credentials, KeyPair, Keys};
use drawspan_emulator::{Config, Emulator, Ports, Running as Hub};
use drawspan_hub::{DeviceId, HostName, HubConnectionString};
use drawspan_net::{Connector, Route, Transport, client_config};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{BOUND, Running, command, post_text, rest, wait_for_log, write};

const HUB: &str = "one.test";
/// Stands in every payload.
const PAYLOAD: &str = "marker-payload";
/// Stands in every callback URL, behind its origin.
const SECRET_PATH: &str = "marker-callback";
const KEY: &str = "marker-api-key";
const WRONG_KEY: &str = "marker-wrong-key";
const WEBHOOK_SECRET: &str = "whsec_bWFya2VyLXdlYmhvb2stc2VjcmV0LTAwMDAwMA==";

async fn hub() -> Hub {
    let mut config = Config::new(vec![HostName::parse(HUB).expect("a name")]);
    config.ports = Ports {
        amqps: 0,
        mqtts: Some(0),
        https: Some(0),
    };
    config.devices = vec![device()];
    Emulator::start(config).await.expect("it starts")
}

fn device() -> DeviceId {
    DeviceId::parse("d1").expect("an id")
}

fn policy(hub: &Hub, name: &str) -> HubConnectionString {
    let one = hub
        .hubs()
        .hubs()
        .first()
        .expect("a hub")
        .connection_strings();
    let found = one.iter().find(|string| string.policy == name);
    found.expect("a policy").clone()
}

fn service(hub: &Hub) -> ServiceClient {
    let addresses = hub.addresses();
    let route = |port, to| Route {
        host: HUB.into(),
        port: Some(port),
        to,
    };
    let routes = vec![route(5_671, addresses.amqps), route(443, addresses.https)];
    let authority = drawspan_settings::read_authorities(hub.ca_path()).expect("an authority");
    let string = policy(hub, "service");
    let keys = Keys::Policy {
        name: string.policy.clone(),
        keys: KeyPair::single(string.key.clone()),
    };
    ServiceClient::new(ServiceConfig {
        host: string.host,
        credentials: Arc::new(Credentials::new(keys)),
        connector: Connector::new(client_config(authority).expect("trust"), routes),
        transport: Transport::Amqps,
    })
}

/// Answers every event; those whose path has `fail` with 500. Returns its origin, and the events.
fn receiver() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let (came, events) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let came = came.clone();
            std::thread::spawn(move || answer(stream, &came));
        }
    });
    (origin, events)
}

fn answer(mut stream: std::net::TcpStream, came: &mpsc::Sender<String>) -> Option<()> {
    stream.set_read_timeout(Some(BOUND)).ok()?;
    let mut request = Vec::new();
    let body = loop {
        let mut bytes = [0; 4_096];
        let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&bytes[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                break text;
            }
        }
    };
    let status = if body.contains("fail") {
        "500 No"
    } else {
        "200 OK"
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 28\r\n\r\n{{\"payload\":\"{PAYLOAD}\"}}"
    );
    let _ = stream.write_all(answer.as_bytes());
    let _ = came.send(body);
    Some(())
}

struct Bridge {
    running: Running,
    address: String,
}

impl Bridge {
    fn start(hub: &Hub, folder: &Path) -> Self {
        let log = File::create(folder.join("log")).expect("a log");
        std::fs::write(folder.join("keys"), KEY).expect("written");
        let mut command = command(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--http-retry-limit",
            "1",
        ]);
        command
            .env("DRAWSPAN_LOG", "trace")
            .env("DRAWSPAN_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env(
                "DRAWSPAN_HUB_CONNECTION_STRING",
                policy(hub, "device").to_secret_string(),
            )
            .args(["--allow-callbacks", "127.0.0.1"])
            .arg("--api-key-file")
            .arg(folder.join("keys"))
            .arg("--state")
            .arg(folder.join("state"))
            .arg("--ca")
            .arg(hub.ca_path())
            .arg("--connect")
            .arg(format!("{HUB}={}", hub.addresses().amqps))
            .stdout(Stdio::piped())
            .stderr(log);
        let mut running = Running(command.spawn().expect("it starts"));
        let mut out = running.0.stdout.take().expect("its output");
        let mut said = String::new();
        while !said.ends_with("ready\n") {
            let mut bytes = [0; 256];
            let read = out.read(&mut bytes).expect("its output");
            assert!(read > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let (_, address) = said.split_once("http://").expect("an address");
        let address = address.split(',').next().expect("an address").to_owned();
        Self { running, address }
    }

    /// The status of the answer.
    fn ask(&self, line: &str, key: &str, body: &str) -> String {
        let (method, path) = line.split_once(' ').expect("a method");
        let request = post_text(path, &format!("x-api-key: {key}\r\n"), body);
        let request = request.replacen("POST", method, 1);
        let answer = rest(write(&self.address, &request));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.running.0);
        kill_process(pid, signal).expect("it is there");
    }
}

/// Waits until one event of each kind came.
fn wait_for(events: &mpsc::Receiver<String>, mut kinds: Vec<&str>) {
    let until = Instant::now() + BOUND;
    while !kinds.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left);
        let event = event.unwrap_or_else(|_| panic!("no {kinds:?}"));
        kinds.retain(|kind| !event.contains(kind));
    }
}

/// What callers and devices do, and what goes wrong.
fn live(bridge: &Bridge, origin: &str) {
    let subscribe = |path: &str, origin: &str, name: &str| {
        let body =
            format!(r#"{{"callbackUrl":"{origin}/{SECRET_PATH}/{name}?code={SECRET_PATH}"}}"#);
        bridge.ask(&format!("PUT /devices/d1/{path}/sub"), KEY, &body)
    };
    // Before the device connects, so that it sees the change.
    assert_eq!(subscribe("connectionStatus", origin, "fail"), "200");
    let data = format!(r#"{{"data":{{"a":"{PAYLOAD}"}},"properties":{{"p":"{PAYLOAD}"}}}}"#);
    let events = "POST /devices/d1/messages/events";
    assert_eq!(bridge.ask(events, KEY, &data), "200");
    assert_eq!(bridge.ask(events, WRONG_KEY, &data), "401");
    assert_eq!(
        bridge.ask(events, KEY, &format!("{{\"data\":{PAYLOAD}")),
        "400"
    );
    assert_eq!(
        bridge.ask("POST /devices/no/messages/events", KEY, &data),
        "502"
    );
    let patch = format!(r#"{{"patch":{{"a":"{PAYLOAD}"}}}}"#);
    let reported = "PATCH /devices/d1/twin/properties/reported";
    assert_eq!(bridge.ask(reported, KEY, &patch), "204");
    assert_eq!(bridge.ask("GET /devices/d1/twin", KEY, ""), "200");
    assert_eq!(subscribe("deviceBound", origin, "c2d"), "200");
    assert_eq!(subscribe("methods", origin, "methods"), "200");
    assert_eq!(
        subscribe("twin/properties/desired", "http://10.1.2.3", "x"),
        "400"
    );
    assert_eq!(
        subscribe("twin/properties/desired", "ftp://127.0.0.1", "x"),
        "400"
    );
    assert_eq!(
        subscribe("twin/properties/desired", "http://127.0.0.1:1", "x"),
        "200"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_whole_life_holds_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = hub().await;
    let (origin, events) = receiver();
    let bridge = Bridge::start(&hub, folder.path());
    live(&bridge, &origin);

    let service = service(&hub);
    let message = Message::new(device(), format!(r#""{PAYLOAD}""#));
    let soon = tokio::time::Instant::now() + BOUND;
    service.send(&message, soon).await.expect("it is queued");
    let call = Call {
        device: device(),
        method: "turn".into(),
        payload: serde_json::value::to_raw_value(PAYLOAD).ok(),
        response_timeout_s: 30,
        connect_timeout_s: 30,
    };
    let called = service.call(&call).await.expect("it is answered");
    assert_eq!(called.status, 200);
    wait_for(&events, vec!["C2DMessage", "ConnectionStatusChange"]);

    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("{KEY} {WRONG_KEY}\n")).expect("written");
    bridge.signal(Signal::HUP);
    wait_for_log(folder.path(), "everything stays as it is");
    std::fs::write(&keys, format!("{KEY}\n{KEY}-2\n")).expect("written");
    bridge.signal(Signal::HUP);
    wait_for_log(folder.path(), "configuration read again");
    let ended = "DELETE /devices/d1/deviceBound/sub";
    assert_eq!(bridge.ask(ended, &format!("{KEY}-2"), ""), "204");
    bridge.signal(Signal::TERM);
    let log = wait_for_log(folder.path(), "stopping: no new connections");
    drop(bridge);

    assert!(log.contains("DEBUG") || log.contains("TRACE"), "{log}");
    let key = policy(&hub, "device").key.to_base64();
    let secrets = [
        PAYLOAD,
        SECRET_PATH,
        KEY,
        WRONG_KEY,
        &WEBHOOK_SECRET[6..30],
        &key,
        "SharedAccessSignature",
        "sig=",
    ];
    // Also as bytes in a list, as Debug writes them.
    let listed = |text: &str| {
        let bytes: Vec<String> = text.bytes().take(8).map(|byte| byte.to_string()).collect();
        bytes.join(", ")
    };
    for secret in secrets {
        for form in [secret.to_owned(), listed(secret)] {
            let line = log.lines().find(|line| line.contains(&form));
            assert_eq!(line, None, "{secret}");
        }
    }
}
