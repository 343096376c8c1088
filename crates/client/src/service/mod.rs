//! The service side of a hub, as a back end uses it. Messages to devices go over one AMQP connection, many in flight at once.
//! Direct methods and requests about twins are HTTPS requests; each uses a connection while it waits for its answer, which is then
//! kept for the next one. Telemetry is read at the hub's event endpoint ([`EventStream`]), over a separate connection.
//!
//! The bridge does not use this module; tests and commands around the bridge do.

mod events;
mod message;
mod methods;
mod sender;
mod token;
mod twins;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drawspan_hub::{DeviceId, Failure, HostName, HubConnectionString};
use drawspan_net::{Clock, Connector, Transport};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::connection::SendFailure;
use crate::credentials::Credentials;
use crate::https::Exchange;
use crate::limits;
use sender::Sender;

pub use events::{
    EventConfig, EventEndpoint, EventStart, EventStream, TelemetryEvent, WatchOptions,
};
pub use message::Message;
pub use methods::{Call, Called};
pub use twins::{TwinPage, TwinSummary};

/// The hub and the credentials.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// The hub.
    pub host: HostName,
    /// Keys of a policy that may connect services.
    pub credentials: Arc<Credentials>,
    /// How to get there.
    pub connector: Connector,
    /// How AMQP is carried.
    pub transport: Transport,
}

impl ServiceConfig {
    /// Access by a policy's connection string, with AMQP over TLS.
    #[must_use]
    pub fn new(hub: HubConnectionString, connector: Connector) -> Self {
        Self {
            host: hub.host,
            credentials: Arc::new(Credentials::of_policy(hub.policy, hub.key)),
            connector,
            transport: Transport::Amqps,
        }
    }
}

/// A back end's access to a hub. Shared by reference.
pub struct ServiceClient {
    config: Arc<ServiceConfig>,
    clock: Clock,
    sender: Mutex<Option<Sender>>,
    calls: Exchange,
    twins: Exchange,
}

impl ServiceClient {
    /// Connects when there is something to send.
    #[must_use]
    pub fn new(config: ServiceConfig) -> Self {
        let calls = Exchange::new(
            config.connector.clone(),
            config.host.clone(),
            limits::METHOD_CALLS,
            limits::METHOD_CALL_TIMEOUT_MS,
            limits::HTTPS_ANSWER_BYTES,
        );
        let twins = Exchange::new(
            config.connector.clone(),
            config.host.clone(),
            limits::TWIN_CALLS,
            limits::TWIN_CALL_TIMEOUT_MS,
            limits::TWIN_PAGE_BYTES,
        );
        Self {
            config: Arc::new(config),
            clock: Clock::start(),
            sender: Mutex::default(),
            calls,
            twins,
        }
    }

    /// Sends a message to a device; ends when the hub has taken it, at `deadline` at the latest. The message stands in the
    /// queue when this returns, so that messages go out in the order of the calls. Connects first if there is no
    /// connection. Never sends twice. Must be called within a runtime.
    ///
    /// # Errors
    /// [`SendFailure`] says whether the hub may have it. [`SendFailure::Refused`] tells why no connection came about, too.
    pub fn send(
        &self,
        message: &Message,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), SendFailure>> + Send + use<> {
        let left = deadline.saturating_duration_since(Instant::now());
        let until = self.clock.now() + left;
        self.sender().send(message.encode(), until)
    }

    /// Calls a direct method of a device, and waits for its answer.
    ///
    /// # Errors
    /// What the hub said, for instance that the device is not online or did not answer in time;
    /// [`FailureKind::HubUnreachable`](drawspan_hub::FailureKind::HubUnreachable) when there was no answer at all.
    pub async fn call(&self, call: &Call) -> Result<Called, Failure> {
        let ask = call.ask(&self.config)?;
        Called::read(&self.calls.ask(&ask).await?)
    }

    /// The whole twin of a device, as JSON.
    ///
    /// # Errors
    /// What the hub said, for instance that there is no such device.
    pub async fn twin(&self, device: &DeviceId) -> Result<Box<RawValue>, Failure> {
        twins::get(&self.twins, &self.config, device).await
    }

    /// Changes desired properties of a device: `patch` is a JSON object, whose members replace those of the same name, and
    /// null removes one. Gives the twin as it is then.
    ///
    /// # Errors
    /// As [`twin`](Self::twin).
    pub async fn set_desired(
        &self,
        device: &DeviceId,
        patch: &RawValue,
    ) -> Result<Box<RawValue>, Failure> {
        twins::set_desired(&self.twins, &self.config, device, patch).await
    }

    /// A page of the hub's devices, from where an earlier page ended.
    ///
    /// # Errors
    /// What the hub said.
    pub async fn devices(&self, continuation: Option<&str>) -> Result<TwinPage, Failure> {
        twins::list(&self.twins, &self.config, continuation).await
    }

    /// Asks the hub where its telemetry can be read.
    ///
    /// # Errors
    /// What the hub said, for instance that the policy may not connect services.
    pub async fn event_endpoint(&self) -> Result<EventEndpoint, Failure> {
        events::ask(&self.config, self.clock).await
    }

    /// The connection for messages, or a new one.
    fn sender(&self) -> Sender {
        let mut held = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(sender) if !sender.is_over() => sender.clone(),
            before => {
                let pause = match before {
                    Some(_) => Duration::from_millis(limits::SERVICE_RECONNECT_MS),
                    None => Duration::ZERO,
                };
                let sender = Sender::start(Arc::clone(&self.config), self.clock, pause);
                held.insert(sender).clone()
            }
        }
    }
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceClient({})", self.config.host)
    }
}
