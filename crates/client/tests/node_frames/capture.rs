//! Our client at a hub that takes everything and keeps the bytes.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use drawspan_amqp::engine::{AcceptOptions, Config, Connection, Credit, Event, LinkId, Outgoing};
use drawspan_amqp::message::{Message, Properties};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Role};
use drawspan_amqp::value::{Map, Value};
use drawspan_client::{
    ConnectionConfig, ConnectionKey, Credentials, HubConnection, KeyPair, Keys, Open, Owner, Send,
    Status, StatusBoard, Wants, WhichKey, message,
};
use drawspan_hub::{DeviceId, HostName, SymmetricKey, Telemetry};
use drawspan_net::{Clock, Connector, Handler, Route, Transport, client_config, drive};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::conversation::Conversation;

/// Nothing here takes long; this is for a client that waits for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// Opens `device` at `host` with a policy's token, and sends one message.
pub(crate) async fn our_conversation(
    host: &str,
    device: &DeviceId,
    telemetry: Telemetry,
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
    let hub = tokio::spawn(hub(listener, TlsAcceptor::from(Arc::new(server))));
    let connector = Connector::new(trusted, vec![route]);
    let client = send_one(
        HostName::parse(host).unwrap(),
        connector,
        device.clone(),
        telemetry,
    );
    tokio::time::timeout(LIMIT, client).await.unwrap();
    Conversation::of_bytes(&tokio::time::timeout(LIMIT, hub).await.unwrap().unwrap())
}

async fn send_one(host: HostName, connector: Connector, device: DeviceId, telemetry: Telemetry) {
    let board = Arc::new(StatusBoard::default());
    let clock = Clock::start();
    let keys = Keys::Policy {
        name: "device".into(),
        keys: KeyPair::single(SymmetricKey::from_bytes(&[7; 32]).unwrap()),
    };
    let config = ConnectionConfig {
        pool: 0,
        host,
        credentials: Arc::new(Credentials::new(keys)),
        connector,
        transport: Transport::Amqps,
        clock,
        board: Arc::clone(&board),
        inbox: Arc::default(),
    };
    let connection = HubConnection::start(Arc::new(config), ConnectionKey(0));
    assert!(connection.open(Open {
        owner: Owner { index: 0, epoch: 0 },
        device,
        key: WhichKey::Primary,
        token_life_s: 3_600,
        wants: Wants::default(),
    }));
    let session = loop {
        let news = board.take().await;
        let opened = news.iter().find_map(|status| match status {
            Status::Opened(_, session) => Some(*session),
            Status::ConnectionReady(..) => None,
            other => panic!("{other:?}"),
        });
        if let Some(session) = opened {
            break session;
        }
    };
    let send = Send {
        session,
        message: message::encode(&telemetry),
        deadline: clock.now() + LIMIT,
    };
    connection.send(send).await.unwrap();
}

async fn hub(listener: TcpListener, tls: TlsAcceptor) -> Vec<u8> {
    let (stream, _) = listener.accept().await.unwrap();
    let stream = tls.accept(stream).await.unwrap();
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let kept = Kept {
        stream,
        bytes: Arc::clone(&bytes),
    };
    let clock = Clock::start();
    let engine = Connection::server(Config::default(), Vec::new(), clock.now());
    let (_commands, none) = mpsc::channel(1);
    drive(kept, engine, &mut LenientHub::default(), none, clock).await;
    let bytes = bytes.lock().unwrap();
    bytes.clone()
}

/// Takes every link and message, and every token.
#[derive(Default)]
struct LenientHub {
    answers: Option<LinkId>,
    cbs: Option<LinkId>,
}

impl Handler for LenientHub {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, _now: Duration) {
        match event {
            Event::AttachRequested { link, attach, .. } => {
                match (attach.role, &attach.target) {
                    (Role::Receiver, _) => self.answers = Some(link),
                    (Role::Sender, Some(target)) if target.address.as_deref() == Some("$cbs") => {
                        self.cbs = Some(link);
                    }
                    (Role::Sender, _) => {}
                }
                let options = AcceptOptions {
                    credit: Some(Credit::Auto(10)),
                    ..AcceptOptions::default()
                };
                connection.accept(link, options).unwrap();
            }
            Event::Delivery {
                link,
                delivery,
                payload,
                ..
            } => {
                connection
                    .settle(link, delivery, DeliveryState::Accepted)
                    .unwrap();
                if self.cbs == Some(link) {
                    self.answer(connection, &Message::decode(&payload).unwrap());
                }
            }
            _ => {}
        }
    }

    fn on_command(&mut self, _connection: &mut Connection, (): (), _now: Duration) {}
}

impl LenientHub {
    fn answer(&self, connection: &mut Connection, request: &Message) {
        let answer = Message {
            properties: Some(Properties {
                correlation_id: request.properties.as_ref().unwrap().message_id.clone(),
                ..Properties::default()
            }),
            application_properties: Some(Map(vec![
                (Value::from("status-code"), Value::Int(200)),
                (Value::from("status-description"), Value::from("OK")),
            ])),
            ..Message::default()
        };
        let outgoing = Outgoing {
            tag: DeliveryTag::from_u32(0),
            message_format: 0,
            settled: true,
            context: 0,
            payload: &answer.to_bytes(),
        };
        connection.send(self.answers.unwrap(), &outgoing).unwrap();
    }
}

/// A stream of which everything that is read is kept.
struct Kept<S> {
    stream: S,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Kept<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.bytes
            .lock()
            .unwrap()
            .extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Kept<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
