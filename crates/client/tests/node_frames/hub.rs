//! A hub that takes everything, answers what must be answered, and keeps the bytes.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{AcceptOptions, Config, Connection, Credit, Event, LinkId, Outgoing};
use drawspan_amqp::message::{Message, MessageId, Properties};
use drawspan_amqp::performative::{Attach, DeliveryState, DeliveryTag, Role};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_net::{Clock, Handler, drive};
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// What the hub has for the device: sent when it gives credit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sends {
    Nothing,
    Method(MessageId),
    C2d,
}

/// Serves one connection and returns what the client wrote.
pub(crate) async fn serve(listener: TcpListener, tls: TlsAcceptor, sends: Sends) -> Vec<u8> {
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
    let mut hub = LenientHub {
        links: Vec::new(),
        sends,
    };
    drive(kept, engine, &mut hub, none, clock).await;
    let bytes = bytes.lock().unwrap();
    bytes.clone()
}

/// Takes every link and message, and every token.
struct LenientHub {
    /// Address, whether the client sends over it, link.
    links: Vec<(String, bool, LinkId)>,
    sends: Sends,
}

impl Handler for LenientHub {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, _now: Duration) {
        match event {
            Event::AttachRequested { link, attach, .. } => self.accept(connection, link, &attach),
            Event::Delivery {
                link,
                delivery,
                settled,
                payload,
                ..
            } => {
                if !settled {
                    connection
                        .settle(link, delivery, DeliveryState::Accepted)
                        .unwrap();
                }
                self.answer(connection, link, &payload);
            }
            Event::Credit { link, .. } => self.send_what_there_is(connection, link),
            Event::Outcome {
                link,
                delivery,
                state,
                settled: false,
                ..
            } => {
                let session = connection.session_of(link).unwrap();
                connection.settle_sent(session, delivery, state).unwrap();
            }
            _ => {}
        }
    }

    fn on_command(&mut self, _connection: &mut Connection, (): (), _now: Duration) {}
}

impl LenientHub {
    fn accept(&mut self, connection: &mut Connection, link: LinkId, attach: &Attach) {
        let (address, sends) = match attach.role {
            Role::Sender => (&attach.target.as_ref().unwrap().address, true),
            Role::Receiver => (&attach.source.as_ref().unwrap().address, false),
        };
        self.links.push((address.clone().unwrap(), sends, link));
        let options = AcceptOptions {
            credit: Some(Credit::Auto(10)),
            ..AcceptOptions::default()
        };
        connection.accept(link, options).unwrap();
    }

    fn address(&self, link: LinkId) -> &str {
        let (address, ..) = self.links.iter().find(|(.., of)| *of == link).unwrap();
        address
    }

    fn send_what_there_is(&mut self, connection: &mut Connection, link: LinkId) {
        let address = self.address(link);
        let message = match &self.sends {
            Sends::Method(id) if address.ends_with("/methods/devicebound") => Message {
                properties: Some(Properties {
                    correlation_id: Some(id.clone()),
                    ..Properties::default()
                }),
                application_properties: Some([("IoThub-methodname", "m")].into_iter().collect()),
                ..Message::from_data("1")
            },
            Sends::C2d if address.ends_with("/messages/devicebound") => Message::from_data("hi"),
            _ => return,
        };
        self.sends = Sends::Nothing;
        send(connection, link, &[9; 16], &message);
    }

    /// Answers a token, or a twin request.
    fn answer(&self, connection: &mut Connection, link: LinkId, payload: &Bytes) {
        let address = self.address(link);
        let request = Message::decode(payload).unwrap();
        let properties = request.properties.unwrap_or_default();
        let answers = |id: Option<MessageId>| Message {
            properties: Some(Properties {
                correlation_id: id,
                ..Properties::default()
            }),
            ..Message::default()
        };
        let answer = match address {
            "$cbs" => Message {
                application_properties: Some(Map(vec![
                    (Value::from("status-code"), Value::Int(200)),
                    (Value::from("status-description"), Value::from("OK")),
                ])),
                ..answers(properties.message_id)
            },
            twin if twin.ends_with("/twin") => Message {
                message_annotations: Some(Map(vec![(
                    Value::Symbol(Symbol::from_static("status")),
                    Value::Int(200),
                )])),
                ..answers(properties.correlation_id)
            },
            _ => return,
        };
        let back = |(of, sends, _): &&(String, bool, LinkId)| of == address && !sends;
        let (.., back) = self.links.iter().find(back).unwrap();
        send(connection, *back, b"a", &answer);
    }
}

fn send(connection: &mut Connection, link: LinkId, tag: &[u8], message: &Message) {
    let outgoing = Outgoing {
        tag: DeliveryTag::new(tag).unwrap(),
        message_format: 0,
        settled: tag.len() < 16,
        context: 0,
        payload: &message.to_bytes(),
    };
    connection.send(link, &outgoing).unwrap();
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
