//! Emulator, receiver and bridge of a test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use drawspan_client::service::{Call, Called, Message, ServiceClient, ServiceConfig};
use drawspan_client::{Credentials, KeyPair, Keys};
use drawspan_emulator::{Config as EmulatorConfig, Emulator, EnrollmentGroup, Ports, Running};
use drawspan_fleet::governor::Pace;
use drawspan_gateway::{CallbackUrl, Scope, Subscribe, SubscriptionStatus, Subscriptions as _};
use drawspan_hub::{
    DeviceId, Failure, HostName, HubConnectionString, SubscriptionType, SymmetricKey, sas,
};
use drawspan_net::{Connector, Route, Transport, client_config};
use drawspan_runtime::{self as runtime, Gateway};
use drawspan_settings::{
    self as settings, ApiKeys, Config, ConnectTo, Enrollment, GuardMode, Profile,
};
use drawspan_store::Store;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

pub(crate) const HUB: &str = "localhost";
/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a receiver may take to answer a method: less than callers wait.
const METHOD_ANSWER: Duration = Duration::from_secs(3);

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub(crate) fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub(crate) fn own(device: &str) -> Scope {
    Scope::Device(id(device))
}

/// An event as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) webhook_id: String,
    pub(crate) body: Value,
}

type Answer = (u16, &'static str);

/// Instead of an answer: nothing, until there is another one.
pub(crate) const HANGS: Answer = (0, "");

/// What the receiver got, and what it answers, path by path.
#[derive(Default)]
pub(crate) struct Receiver {
    received: Mutex<Vec<Received>>,
    answers: Mutex<Vec<(String, Answer)>>,
    changed: tokio::sync::Notify,
}

impl Receiver {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let receiver = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    /// Answers so at this path from now on.
    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.answers
            .lock()
            .unwrap()
            .insert(0, (path.to_owned(), answer));
        self.changed.notify_waiters();
    }

    fn answer_at(&self, path: &str) -> Answer {
        let answers = self.answers.lock().unwrap();
        let answer = answers.iter().find(|(of, _)| of == path);
        answer.map_or((200, ""), |(_, answer)| *answer)
    }

    /// All events at a path, once there are so many.
    pub(crate) async fn wait(&self, path: &str, count: usize) -> Vec<Received> {
        let enough = async {
            loop {
                let changed = self.changed.notified();
                let received = self.at(path);
                if received.len() >= count {
                    return received;
                }
                let _ = tokio::time::timeout(Duration::from_millis(200), changed).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough)
            .await
            .unwrap_or_else(|_| panic!("not {count} events at {path}: {:?}", self.at("/")))
    }

    pub(crate) fn at(&self, path: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        let at = received.iter().filter(|it| it.path.starts_with(path));
        at.cloned().collect()
    }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, &'static str) {
    let path = uri.path().to_owned();
    let webhook_id = headers.get("webhook-id").unwrap().to_str().unwrap();
    receiver.received.lock().unwrap().push(Received {
        path: path.clone(),
        webhook_id: webhook_id.to_owned(),
        body: serde_json::from_slice(&body).unwrap(),
    });
    receiver.changed.notify_waiters();
    let answer = loop {
        let changed = receiver.changed.notified();
        match receiver.answer_at(&path) {
            HANGS => changed.await,
            answer => break answer,
        }
    };
    (StatusCode::from_u16(answer.0).unwrap(), answer.1)
}

pub(crate) struct Stand {
    pub(crate) emulator: Running,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) receiver_address: SocketAddr,
    pub(crate) service: ServiceClient,
}

impl Stand {
    pub(crate) async fn start(devices: &[&str]) -> Self {
        Self::start_with(devices, Vec::new()).await
    }

    /// With enrollment groups besides.
    pub(crate) async fn start_with(devices: &[&str], groups: Vec<EnrollmentGroup>) -> Self {
        let mut config = EmulatorConfig::new(vec![HostName::parse(HUB).unwrap()]);
        config.devices = devices.iter().map(|device| id(device)).collect();
        config.provisioning.other_groups = groups;
        config.ports = Ports {
            amqps: 0,
            mqtts: Some(0),
            https: Some(0),
        };
        let emulator = Emulator::start(config).await.unwrap();
        let (receiver, receiver_address) = Receiver::start().await;
        let string = policy(&emulator, "service");
        let service = ServiceClient::new(ServiceConfig {
            host: string.host.clone(),
            credentials: Arc::new(Credentials::new(Keys::Policy {
                name: string.policy.clone(),
                keys: KeyPair::single(string.key),
            })),
            connector: connector(&emulator),
            transport: Transport::Amqps,
        });
        Self {
            emulator,
            receiver,
            receiver_address,
            service,
        }
    }

    pub(crate) fn bridge(&self, store: Option<&Store>) -> Gateway {
        let profile = Profile::of_hub(&policy(&self.emulator, "device"));
        self.bridge_of(profile, store).0
    }

    /// One whose devices register at DPS, and its keys.
    pub(crate) fn bridge_by_dps(&self, store: Option<&Store>) -> (Gateway, Arc<Credentials>) {
        let keys = KeyPair::single(self.group_key());
        self.bridge_by_dps_with(keys, store)
    }

    pub(crate) fn bridge_by_dps_with(
        &self,
        keys: KeyPair,
        store: Option<&Store>,
    ) -> (Gateway, Arc<Credentials>) {
        let profile = Profile::Dps {
            endpoint: HostName::parse(HUB).unwrap(),
            id_scope: self.emulator.dps().id_scope().to_owned(),
            group: Enrollment::Keys(keys),
        };
        self.bridge_of(profile, store)
    }

    pub(crate) fn bridge_of(
        &self,
        profile: Profile,
        store: Option<&Store>,
    ) -> (Gateway, Arc<Credentials>) {
        let config = self.config(profile);
        let credentials = Arc::new(Credentials::new(config.profile.keys()));
        let bridge = runtime::start(&config, Arc::clone(&credentials), store).unwrap();
        (bridge, credentials)
    }

    /// One with other settings.
    pub(crate) fn bridge_with(&self, change: impl FnOnce(&mut Config)) -> Gateway {
        let mut config = self.config(Profile::of_hub(&policy(&self.emulator, "device")));
        change(&mut config);
        let credentials = Arc::new(Credentials::new(config.profile.keys()));
        runtime::start(&config, credentials, None).unwrap()
    }

    /// One that is led to this address instead of the emulator.
    pub(crate) fn bridge_at(&self, address: SocketAddr, profile: Profile) -> Gateway {
        let mut config = self.config(profile);
        for route in &mut config.connect {
            route.to = address;
        }
        let credentials = Arc::new(Credentials::new(config.profile.keys()));
        runtime::start(&config, credentials, None).unwrap()
    }

    /// The enrollment group's.
    pub(crate) fn group_key(&self) -> SymmetricKey {
        self.emulator.dps().groups()[0].primary.clone()
    }

    fn config(&self, profile: Profile) -> Config {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::new(listen, ApiKeys::new(None), profile);
        config.authorities = settings::read_authorities(self.emulator.ca_path()).unwrap();
        let addresses = self.emulator.addresses();
        let to = |port, to| ConnectTo {
            name: HostName::parse(HUB).unwrap(),
            port: Some(port),
            to,
        };
        config.connect = vec![to(5_671, addresses.amqps), to(443, addresses.https)];
        config.webhooks.guard = GuardMode::Off;
        config.webhooks.retry_limit = 0;
        config.webhooks.method_answer_timeout = METHOD_ANSWER;
        config.connect_pace = Pace::Unlimited;
        config
    }

    pub(crate) fn subscribe_to(
        &self,
        scope: Scope,
        kind: SubscriptionType,
        path: &str,
    ) -> Subscribe {
        let callback = format!("http://{}{path}", self.receiver_address);
        Subscribe {
            scope,
            kind,
            callback: CallbackUrl::parse(&callback).unwrap(),
            keep_connected: true,
            limited: false,
        }
    }

    /// Changes desired properties as a service does.
    pub(crate) async fn desire(&self, device: &str, desired: Value) {
        let string = policy(&self.emulator, "iothubowner");
        let token = sas::sign(HUB, &string.key, 4_000_000_000, Some(&string.policy));
        let body = serde_json::json!({ "properties": { "desired": desired } }).to_string();
        let mut stream = connector(&self.emulator).connect(HUB, 443).await.unwrap();
        let request = format!(
            "PATCH /twins/{device}?api-version=2021-04-12 HTTP/1.1\r\nHost: {HUB}\r\nConnection: close\r\n\
             Authorization: {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    pub(crate) async fn send(&self, device: &str, body: &'static str) {
        let message = Message::new(id(device), body);
        self.service.send(&message, soon()).await.unwrap();
    }

    pub(crate) async fn call(&self, device: &str) -> Result<Called, Failure> {
        let call = Call {
            device: id(device),
            method: "turn".into(),
            payload: Some(serde_json::value::to_raw_value(&[1, 2]).unwrap()),
            response_timeout_s: 30,
            connect_timeout_s: 0,
        };
        self.service.call(&call).await
    }
}

/// Waits until a subscription is so far.
pub(crate) async fn until(
    bridge: &Gateway,
    scope: &Scope,
    kind: SubscriptionType,
    wanted: SubscriptionStatus,
) {
    let started = Instant::now();
    loop {
        let found = bridge.subscription(scope.clone(), kind).await.unwrap();
        let status = found.and_then(|(_, status)| status);
        if status == Some(wanted) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{kind} is {status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn policy(emulator: &Running, name: &str) -> HubConnectionString {
    let hub = emulator.hubs().hubs().first().unwrap();
    let strings = hub.connection_strings();
    strings.into_iter().find(|it| it.policy == name).unwrap()
}

fn connector(emulator: &Running) -> Connector {
    let addresses = emulator.addresses();
    let route = |port, to| Route {
        host: HUB.into(),
        port: Some(port),
        to,
    };
    let routes = vec![route(5_671, addresses.amqps), route(443, addresses.https)];
    let authorities = settings::read_authorities(Path::new(emulator.ca_path())).unwrap();
    Connector::new(client_config(authorities).unwrap(), routes)
}
