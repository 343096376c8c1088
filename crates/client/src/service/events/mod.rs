//! Telemetry as it arrives, read at a hub's Event Hubs-compatible endpoint.
//!
//! [`ServiceClient::event_endpoint`](super::ServiceClient::event_endpoint) gets the endpoint's address from the hub;
//! [`EventStream`] has one connection there, and one reader per partition.

mod message;
mod reader;
mod redirect;
mod request;

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::LinkId;
use drawspan_hub::{Failure, FailureKind, HostName};
use drawspan_net::{Clock, Connector, Transport};
use tokio::sync::{mpsc, oneshot};

use crate::credentials::Credentials;
use crate::limits;

pub use message::TelemetryEvent;
pub(super) use redirect::ask;

/// The endpoint where a hub's telemetry can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEndpoint {
    /// Its host, which is not the hub's at the real service.
    pub host: HostName,
    /// The Event Hubs-compatible name.
    pub entity: String,
}

/// The endpoint and the credentials.
#[derive(Debug, Clone)]
pub struct EventConfig {
    /// The endpoint.
    pub endpoint: EventEndpoint,
    /// Keys of a policy of the hub that may connect services.
    pub credentials: Arc<Credentials>,
    /// How to get there.
    pub connector: Connector,
}

/// Options of reading.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The consumer group, such as `$Default`.
    pub group: String,
    /// From where on.
    pub start: EventStart,
}

/// The start position of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStart {
    /// With what arrives from now on.
    Now,
    /// With the oldest event that there is.
    Oldest,
    /// With what arrived after that time, milliseconds since 1970.
    After(i64),
}

/// Events of all partitions, each partition's in their order. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    events: mpsc::Receiver<Result<Arrived, Failure>>,
    taken: mpsc::Sender<LinkId>,
    partitions: usize,
}

/// An event, and whose room it takes.
#[derive(Debug)]
struct Arrived {
    link: LinkId,
    event: TelemetryEvent,
}

impl EventStream {
    /// Connects, and resolves when every partition has its reader: what arrives from then on is not missed.
    ///
    /// # Errors
    /// What the endpoint said; [`FailureKind::HubUnreachable`] when it cannot be reached.
    pub async fn open(config: EventConfig, options: WatchOptions) -> Result<Self, Failure> {
        let host = config.endpoint.host.as_str().to_owned();
        // At the usual port, regardless of the redirect: routes lead to another one.
        let stream = config.connector.connect_to(&host, Transport::Amqps).await;
        let stream = stream
            .map_err(|error| Failure::local(FailureKind::HubUnreachable, &error.to_string()))?;
        let room = limits::EVENT_PARTITIONS * limits::EVENTS_PER_PARTITION as usize;
        // One more, for the reason of the end.
        let (sender, events) = mpsc::channel(room + 1);
        let (taken, commands) = mpsc::channel(room + 1);
        let (ready, opened) = oneshot::channel();
        let reader = reader::Reading::new(config, options, sender, ready);
        tokio::spawn(reader::run(stream, reader, commands, Clock::start()));
        let limit = Duration::from_millis(limits::EVENT_OPEN_TIMEOUT_MS);
        let partitions = match tokio::time::timeout(limit, opened).await {
            Ok(Ok(opened)) => opened?,
            Ok(Err(_)) => return Err(reader::protocol("the reader ended")),
            Err(_) => {
                let text = format!("{host} did not take the readers in time");
                return Err(Failure::local(FailureKind::Timeout, &text));
            }
        };
        Ok(Self {
            events,
            taken,
            partitions,
        })
    }

    /// How many partitions are read.
    #[must_use]
    pub const fn partitions(&self) -> usize {
        self.partitions
    }

    /// The next event.
    ///
    /// # Errors
    /// Why the connection is over. Nothing comes after that.
    pub async fn next(&mut self) -> Result<TelemetryEvent, Failure> {
        match self.events.recv().await {
            Some(Ok(Arrived { link, event })) => {
                // All permitted requests fit in. If the connection is gone, there is no one to give room to.
                let _ = self.taken.try_send(link);
                Ok(event)
            }
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::local(
                FailureKind::ConnectionLost,
                "the connection to the event endpoint is over",
            )),
        }
    }
}

impl EventStart {
    /// The selector of a reader's source.
    fn selector(self) -> String {
        match self {
            Self::Now => "amqp.annotation.x-opt-offset > '@latest'".to_owned(),
            Self::Oldest => "amqp.annotation.x-opt-offset > '-1'".to_owned(),
            Self::After(unix_ms) => {
                format!("amqp.annotation.x-opt-enqueued-time > '{unix_ms}'")
            }
        }
    }
}
