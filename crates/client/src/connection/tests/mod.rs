//! A connection at a scripted hub, on virtual time.

mod busy;
mod c2d;
mod ends;
pub(crate) mod hub;
mod methods;
mod tokens;
mod twin;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{
    AttemptId, ConnectionKey, DeviceId, Failure, HostName, Link, Links, SymmetricKey, Wants,
    WhichKey,
};
use drawspan_net::{Clock, Connector, Transport, client_config};
use hub::{Hub, Seen};
use tokio::io::{DuplexStream, duplex};
use wire::Decide;

use super::{ConnectionConfig, DeviceSession, HubConnection, Open};
use crate::credentials::{Credentials, KeyPair, Keys};
use crate::downlink::Incoming;
use crate::inbox::Inbox;
use crate::status::{Status, StatusMailbox};

/// Longer, in virtual time, than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(3 * 3_600);
const LIFE_S: u32 = 3_600;
const HOST: &str = "hub.example";

/// A connection and the hub behind it.
struct Bench {
    config: Arc<ConnectionConfig>,
    connection: HubConnection,
    hub: Hub,
    mailbox: Arc<StatusMailbox>,
    inbox: Arc<Inbox>,
    news: Vec<Status>,
    clock: Clock,
}

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 32]).unwrap()
}

/// Keys of a group: every device has one.
fn group() -> Keys {
    Keys::Group(KeyPair::single(key(1)))
}

fn policy(secondary: Option<u8>) -> Keys {
    Keys::Policy {
        name: "device".to_owned(),
        keys: KeyPair {
            primary: key(1),
            secondary: secondary.map(key),
        },
    }
}

fn attempt(index: u32) -> AttemptId {
    AttemptId {
        device: index,
        serial: 7,
    }
}

fn device(index: u32) -> DeviceId {
    DeviceId::parse(&format!("d{index}")).unwrap()
}

fn open(index: u32) -> Open {
    Open {
        attempt: attempt(index),
        device: device(index),
        registration: None,
        key: WhichKey::Primary,
        token_life_s: LIFE_S,
        wants: Wants::default(),
    }
}

fn telemetry_link(index: u32) -> Seen {
    Seen::Attach(format!(">/devices/d{index}/messages/events"))
}

fn token(index: u32) -> Seen {
    Seen::Token(format!("{HOST}%2Fdevices%2Fd{index}"))
}

impl Bench {
    fn new(keys: Keys) -> Self {
        let (ours, theirs) = duplex(64 * 1_024);
        Self::between(keys, ours, theirs)
    }

    /// As [`new`](Self::new), over a wire on which frames of the hub are lost or changed.
    fn over(keys: Keys, decide: Decide) -> Self {
        let (ours, theirs) = duplex(64 * 1_024);
        Self::between(keys, wire::join(ours, decide), theirs)
    }

    fn between(keys: Keys, ours: DuplexStream, theirs: DuplexStream) -> Self {
        let clock = Clock::start();
        let mailbox = Arc::new(StatusMailbox::default());
        let inbox = Arc::new(Inbox::default());
        let certificate = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let trusted = client_config(vec![certificate.cert.der().clone()]).unwrap();
        let config = ConnectionConfig {
            pool: 7,
            host: HostName::parse(HOST).unwrap(),
            credentials: Arc::new(Credentials::new(keys)),
            connector: Connector::new(trusted, Vec::new()),
            transport: Transport::Amqps,
            clock,
            mailbox: Arc::clone(&mailbox),
            inbox: Arc::clone(&inbox),
        };
        let hub = Hub::start(theirs, clock);
        let config = Arc::new(config);
        let connection = HubConnection::on_stream(Arc::clone(&config), ConnectionKey(3), ours);
        Self {
            config,
            connection,
            hub,
            mailbox,
            inbox,
            news: Vec::new(),
            clock,
        }
    }

    /// Waits until the device has these links.
    async fn linked(&mut self, links: Links) {
        match self.any_news().await {
            Status::Linked(of, up) => assert_eq!((of, up), (attempt(1), links)),
            other => panic!("{other:?}"),
        }
    }

    /// Why device 1 does not get a link.
    async fn refused(&mut self, link: Link) -> Failure {
        match self.news().await {
            Status::LinkRefused(of, which, failure) => {
                assert_eq!((of, which), (attempt(1), link));
                failure
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next news but for links that are there.
    async fn news(&mut self) -> Status {
        loop {
            match self.any_news().await {
                Status::Linked(..) => {}
                other => return other,
            }
        }
    }

    async fn any_news(&mut self) -> Status {
        if self.news.is_empty() {
            let taken = tokio::time::timeout(PATIENCE, self.mailbox.take()).await;
            self.news = taken.unwrap_or_else(|_| {
                panic!("no news: {:#?}", self.hub.with(|state| state.seen.clone()))
            });
        }
        self.news.remove(0)
    }

    async fn ready(&mut self) {
        let news = self.news().await;
        assert!(
            matches!(news, Status::ConnectionReady(7, ConnectionKey(3))),
            "{news:?}"
        );
    }

    async fn opened(&mut self, index: u32) -> DeviceSession {
        let news = self.news().await;
        let Status::Opened(of, session) = news else {
            panic!("{news:?}");
        };
        assert_eq!(of, attempt(index));
        session
    }

    /// Connects device 1 and opens it.
    async fn open_one(wants: Wants) -> (Self, DeviceSession) {
        let mut bench = Self::new(group());
        bench.ready().await;
        assert!(bench.connection.open(Open { wants, ..open(1) }));
        let session = bench.opened(1).await;
        (bench, session)
    }

    /// Everything that devices have received since.
    async fn incoming(&self) -> Vec<Incoming> {
        let taken = tokio::time::timeout(PATIENCE, self.inbox.take()).await;
        taken
            .unwrap_or_else(|_| panic!("nothing: {:#?}", self.hub.with(|state| state.seen.clone())))
    }

    /// The failure with which device 1 was lost.
    async fn lost(&mut self) -> Failure {
        match self.news().await {
            Status::Lost(of, failure) => {
                assert_eq!(of, attempt(1));
                failure
            }
            other => panic!("{other:?}"),
        }
    }

    /// Shows that the connection is well: it takes another device.
    async fn stays_open(&mut self, index: u32) {
        assert!(self.connection.open(open(index)));
        self.opened(index).await;
    }

    /// Lets virtual time pass, and everything happen that falls into it.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
