use std::time::Duration;

use bytes::{Buf, BytesMut};
use drawspan_amqp::engine::{
    AcceptOptions, Closed, Config, Connection, Credit, Event, LinkId, LinkOptions, Outgoing,
};
use drawspan_amqp::frame::{self, FrameKind};
use drawspan_amqp::performative::{Begin, DeliveryTag, Flow, Open, Performative};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Ended, Handler, drive};
use crate::clock::Clock;

/// Notes what happens.
#[derive(Default)]
struct Notes {
    events: Vec<Event>,
    due: Option<Duration>,
    fired: u32,
}

impl Handler for Notes {
    type Command = u32;

    fn on_event(&mut self, _: &mut Connection, event: Event, _: Duration) {
        self.events.push(event);
    }

    fn on_command(&mut self, _: &mut Connection, after_ms: u32, now: Duration) {
        self.due = Some(now + Duration::from_millis(u64::from(after_ms)));
    }

    fn deadline(&self) -> Option<Duration> {
        self.due
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        self.due = None;
        self.fired += 1;
        connection.close(None, now);
    }
}

/// Header and open of a peer that announces nothing.
fn greeting() -> BytesMut {
    let mut out = BytesMut::from(&frame::AMQP_HEADER[..]);
    let open = Open {
        container_id: "peer".to_owned(),
        hostname: None,
        max_frame_size: 65_536,
        channel_max: 0,
        idle_time_out_ms: None,
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame::encode_performative(&mut out, 0, &Performative::Open(Box::new(open)));
    out
}

/// Splits what a server wrote behind its header into performatives.
fn performatives(written: &[u8]) -> Vec<Performative> {
    let mut input = BytesMut::from(written.strip_prefix(&frame::AMQP_HEADER).unwrap());
    let mut found = Vec::new();
    while let Some(raw) = frame::split_frame(&mut input, 65_536).unwrap() {
        assert_eq!(raw.kind, FrameKind::Amqp);
        found.extend(frame::decode_performative(raw.body).unwrap());
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_connection_closes_when_nobody_can_command_it_any_more() {
    let (ours, theirs) = duplex(1_024);
    let clock = Clock::start();
    let (commands, received) = mpsc::channel::<u32>(1);
    let (_open, server_commands) = mpsc::channel::<u32>(1);
    let client = Connection::client(Config::default(), None, clock.now());
    let server = Connection::server(Config::default(), Vec::new(), clock.now());
    let (mut client_notes, mut server_notes) = (Notes::default(), Notes::default());
    let ends = async {
        tokio::join!(
            drive(ours, client, &mut client_notes, received, clock),
            drive(theirs, server, &mut server_notes, server_commands, clock),
        )
    };
    let quit = async {
        // An hour of heartbeats first.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        drop(commands);
    };
    let ((client, server), ()) = tokio::join!(ends, quit);
    assert!(matches!(client, Ended::Closed(Closed::ByUs)), "{client:?}");
    assert!(
        matches!(server, Ended::Closed(Closed::ByPeer(None))),
        "{server:?}"
    );
    assert!(matches!(client_notes.events[0], Event::Opened(_)));
    assert_eq!(client_notes.events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_deadline_is_met_on_an_idle_connection() {
    let (ours, mut theirs) = duplex(1_024);
    let clock = Clock::start();
    let (commands, received) = mpsc::channel(1);
    theirs.write_all(&greeting()).await.unwrap();
    commands.send(1_234).await.unwrap();
    let config = Config {
        idle_time_out_ms: None,
        ..Config::default()
    };
    let server = Connection::server(config, Vec::new(), clock.now());
    let mut notes = Notes::default();
    let started = clock.now();
    let ended = drive(ours, server, &mut notes, received, clock).await;
    // The peer never answers our close.
    assert!(
        matches!(ended, Ended::Closed(Closed::TimedOut)),
        "{ended:?}"
    );
    assert_eq!(notes.fired, 1);
    let waited = clock.now() - started;
    assert!(waited >= Duration::from_millis(31_234) && waited < Duration::from_secs(32));
}

/// Bytes that a pipe holds until a write waits.
const PIPE_BYTES: usize = 1_024;

/// A session, and then so many requests that their answers exceed what a connection keeps, but none beyond.
fn questions() -> BytesMut {
    let mut out = greeting();
    let begin = Begin {
        remote_channel: None,
        next_outgoing_id: 0,
        incoming_window: 100,
        outgoing_window: 100,
        handle_max: 0,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame::encode_performative(&mut out, 0, &Performative::Begin(Box::new(begin)));
    let mut echo = BytesMut::new();
    let flow = Flow {
        echo: true,
        ..Flow::default()
    };
    frame::encode_flow(&mut echo, 0, &flow);
    let mut server = Connection::server(Config::default(), Vec::new(), Duration::ZERO);
    server.input().extend_from_slice(&out);
    let mut written = 0;
    loop {
        while server.poll_event(Duration::ZERO).is_some() {}
        let output = server.poll_output();
        let taken = output.len().min(PIPE_BYTES - written);
        output.advance(taken);
        written += taken;
        if server.is_done() {
            return out;
        }
        server.input().extend_from_slice(&echo);
        out.extend_from_slice(&echo);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_and_never_reads_is_dropped() {
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    let clock = Clock::start();
    let server = Connection::server(Config::default(), Vec::new(), clock.now());
    let (_commands, received) = mpsc::channel(1);
    let mut notes = Notes::default();
    let mut questions = questions();
    let last = questions.split_off(questions.len() - 8);
    let asks = async {
        theirs.write_all(&questions).await.unwrap();
        // Alone, so that nothing but its arrival wakes the connection.
        tokio::time::sleep(Duration::from_millis(1)).await;
        theirs.write_all(&last).await.unwrap();
    };
    let both = async { tokio::join!(drive(ours, server, &mut notes, received, clock), asks) };
    let (ended, ()) = tokio::time::timeout(Duration::from_secs(1), both)
        .await
        .unwrap();
    assert!(clock.now() < Duration::from_secs(1));
    assert!(
        matches!(ended, Ended::Closed(Closed::PeerDoesNotRead)),
        "{ended:?}"
    );
    let closed = Event::Closed(Closed::PeerDoesNotRead);
    assert_eq!(notes.events.last(), Some(&closed));
}

#[tokio::test]
async fn a_peer_that_still_sends_learns_what_it_did_wrong() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock = Clock::start();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let connection = Connection::server(Config::default(), Vec::new(), clock.now());
        let (_commands, received) = mpsc::channel(1);
        drive(stream, connection, &mut Notes::default(), received, clock).await
    };
    let client = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&greeting()).await.unwrap();
        // A flow on a channel without session, and then megabytes on their way.
        let mut out = BytesMut::new();
        frame::encode_flow(&mut out, 7, &Flow::default());
        out.resize(8 * 1_024 * 1_024, 0);
        stream.write_all(&out).await.unwrap();
        let mut written = Vec::new();
        stream.read_to_end(&mut written).await.unwrap();
        written
    };
    let both = async { tokio::join!(server, client) };
    let (ended, written) = tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .unwrap();
    assert!(
        matches!(ended, Ended::Closed(Closed::Violation(_))),
        "{ended:?}"
    );
    let said = performatives(&written);
    assert!(
        matches!(
            &said[..],
            [Performative::Open(_), Performative::Close(close)] if close.error.is_some()
        ),
        "{said:?}"
    );
}

/// Sends settled messages whenever there is room, to a peer that says nothing of them.
struct Feed {
    link: Option<LinkId>,
    left: usize,
}

impl Feed {
    fn feed(&mut self, connection: &mut Connection) {
        let Some(link) = self.link else { return };
        while self.left > 0 && connection.credit(link) > 0 && connection.has_room(link) {
            self.left -= 1;
            let message = Outgoing {
                tag: DeliveryTag::from_u32(self.left as u32),
                message_format: 0,
                settled: true,
                context: 0,
                payload: &[0; 1_000],
            };
            connection.send(link, &message).unwrap();
        }
    }
}

impl Handler for Feed {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, _: Duration) {
        if let Event::Opened(_) = event {
            let session = connection.begin().unwrap();
            let options = LinkOptions::sender("feed", "queue");
            self.link = Some(connection.attach(session, options).unwrap());
        }
        self.feed(connection);
    }

    fn on_command(&mut self, _: &mut Connection, (): (), _: Duration) {}
}

/// Takes every link, counts messages, and closes after so many.
struct Takes(usize);

impl Handler for Takes {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::AttachRequested { link, .. } => {
                let options = AcceptOptions {
                    credit: Some(Credit::Manual(10_000)),
                    ..AcceptOptions::default()
                };
                connection.accept(link, options).unwrap();
            }
            Event::Delivery { .. } => {
                self.0 -= 1;
                if self.0 == 0 {
                    connection.close(None, now);
                }
            }
            _ => {}
        }
    }

    fn on_command(&mut self, _: &mut Connection, (): (), _: Duration) {}
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_room_goes_out_as_soon_as_there_is_some() {
    const MESSAGES: usize = 1_000;
    // Takes all at once, so that nothing but room wakes the sender.
    let (ours, theirs) = duplex(4 * 1_024 * 1_024);
    let clock = Clock::start();
    let (_client, client_commands) = mpsc::channel(1);
    let (_server, server_commands) = mpsc::channel(1);
    let client = Connection::client(Config::default(), None, clock.now());
    let server = Connection::server(Config::default(), Vec::new(), clock.now());
    let mut feed = Feed {
        link: None,
        left: MESSAGES,
    };
    let mut takes = Takes(MESSAGES);
    let started = clock.now();
    let (ended, _) = tokio::join!(
        drive(ours, client, &mut feed, client_commands, clock),
        drive(theirs, server, &mut takes, server_commands, clock),
    );
    assert!(
        matches!(ended, Ended::Closed(Closed::ByPeer(None))),
        "{ended:?}"
    );
    assert_eq!(clock.now(), started, "something waited for a heartbeat");
}
