//! Our client, doing what a recorded one did.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::message::MessageId;
use drawspan_client::{
    C2dOutcome, ConnectionConfig, Credentials, DeviceSession, HubConnection, Inbox, Incoming,
    KeyPair, Keys, ListedDevice, MethodAnswer, Open, Send, Status, StatusMailbox, TwinOperation,
    TwinRequest, message,
};
use drawspan_hub::{
    AttemptId, ConnectionKey, DeviceId, HostName, Outcome, Receive, SymmetricKey, Telemetry, Wants,
    WhichKey,
};
use drawspan_net::{Clock, Connector, Route, Transport, client_config};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::conversation::Conversation;
use crate::hub::{self, Sends};

/// Nothing here takes long; this is for a client that waits for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    /// Send a message, with a policy's token.
    Telemetry(Telemetry),
    /// Subscribe to desired properties, read the twin, report this patch. This and the rest with the device's own token.
    Twin { patch: Bytes },
    /// Answer a method.
    Method {
        id: MessageId,
        status: i32,
        payload: Bytes,
    },
    /// Take a message from the cloud.
    C2d(Outcome),
}

impl Errand {
    fn keys(&self, host: &HostName, device: &DeviceId) -> Keys {
        let keys = KeyPair::single(SymmetricKey::from_bytes(&[7; 32]).unwrap());
        match self {
            Self::Telemetry(_) => Keys::Policy {
                name: "device".into(),
                keys,
            },
            _ => {
                let hub = host.clone();
                Keys::Explicit([(device.clone(), ListedDevice { hub, keys })].into())
            }
        }
    }

    fn wants(&self) -> Wants {
        Wants {
            methods: matches!(self, Self::Method { .. }),
            c2d: match self {
                Self::C2d(_) => Receive::Flowing,
                _ => Receive::No,
            },
            desired: matches!(self, Self::Twin { .. }),
        }
    }

    /// What the hub has for the device.
    fn hub_sends(&self) -> Sends {
        match self {
            Self::Method { id, .. } => Sends::Method(id.clone()),
            Self::C2d(_) => Sends::C2d,
            Self::Telemetry(_) | Self::Twin { .. } => Sends::Nothing,
        }
    }
}

/// Opens `device` at `host` and runs the errand.
pub(crate) async fn our_conversation(
    host: &str,
    device: &DeviceId,
    errand: Errand,
) -> Conversation {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([host.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let route = Route {
        host: host.to_owned(),
        port: None,
        to: listener.local_addr().unwrap(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let trusted = client_config(vec![cert.der().clone()]).unwrap();
    let tls = TlsAcceptor::from(Arc::new(server));
    let hub = tokio::spawn(hub::serve(listener, tls, errand.hub_sends()));
    let connector = Connector::new(trusted, vec![route]);
    let client = run(
        HostName::parse(host).unwrap(),
        connector,
        device.clone(),
        errand,
    );
    tokio::time::timeout(LIMIT, client).await.unwrap();
    Conversation::of_bytes(&tokio::time::timeout(LIMIT, hub).await.unwrap().unwrap())
}

async fn run(host: HostName, connector: Connector, device: DeviceId, errand: Errand) {
    let mailbox = Arc::new(StatusMailbox::default());
    let inbox = Arc::new(Inbox::default());
    let clock = Clock::start();
    let config = ConnectionConfig {
        pool: 0,
        credentials: Arc::new(Credentials::new(errand.keys(&host, &device))),
        host,
        connector,
        transport: Transport::Amqps,
        clock,
        mailbox: Arc::clone(&mailbox),
        inbox: Arc::clone(&inbox),
    };
    let connection = HubConnection::start(Arc::new(config), ConnectionKey(0));
    assert!(connection.open(Open {
        attempt: AttemptId {
            device: 0,
            serial: 0
        },
        device,
        registration: None,
        key: WhichKey::Primary,
        token_life_s: 3_600,
        wants: errand.wants(),
    }));
    let session = opened(&mailbox).await;
    let deadline = clock.now() + LIMIT;
    match errand {
        Errand::Telemetry(telemetry) => {
            let message = message::encode(&telemetry);
            let send = Send {
                session,
                message,
                deadline,
            };
            connection.send(send).await.unwrap();
        }
        Errand::Twin { patch } => {
            for operation in [TwinOperation::Get, TwinOperation::Report(patch)] {
                let request = TwinRequest {
                    session,
                    operation,
                    deadline,
                };
                connection.twin(request).await.unwrap();
            }
        }
        Errand::Method {
            status, payload, ..
        } => {
            let Some(Incoming::Method { request, .. }) = inbox.take().await.pop() else {
                panic!("no method");
            };
            assert!(connection.answer_method(MethodAnswer {
                session,
                request,
                status,
                payload: Some(payload),
            }));
        }
        Errand::C2d(outcome) => {
            let Some(Incoming::C2d { delivery, .. }) = inbox.take().await.pop() else {
                panic!("no message");
            };
            let outcome = C2dOutcome {
                session,
                delivery,
                outcome,
            };
            connection.settle_c2d(outcome).await.unwrap();
        }
    }
}

async fn opened(mailbox: &StatusMailbox) -> DeviceSession {
    loop {
        let news = mailbox.take().await;
        let opened = news.iter().find_map(|status| match status {
            Status::Opened(_, session) => Some(*session),
            Status::ConnectionReady(..) => None,
            other => panic!("{other:?}"),
        });
        if let Some(session) = opened {
            return session;
        }
    }
}
