//! Registration at the Device Provisioning Service over HTTPS, which assigns a device its hub and its id there.
//!
//! Many registrations may be in progress at once. They share few connections, and a registration that waits for the service's next
//! answer holds no connection. With certificates each request has a connection of its own, since TLS proves whose it is.

mod advice;
mod answer;
mod registration;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{DeviceId, Failure, FailureKind, HostName, WhichKey};
use drawspan_net::Connector;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::credentials::Credentials;
use crate::https::{Ask, Exchange, Reply};
use crate::limits;
use advice::advised;
use answer::{Next, OperationStatus};
use registration::Registration;

/// The service's address that all tenants share.
pub const GLOBAL_ENDPOINT: &str = "global.azure-devices-provisioning.net";

/// The service and the credentials with which devices are registered.
#[derive(Debug, Clone)]
pub struct DpsConfig {
    /// The service's host name; [`GLOBAL_ENDPOINT`], unless the cloud is a sovereign one or a local one.
    pub endpoint: HostName,
    /// Id scope of the instance.
    pub id_scope: String,
    /// How to get there.
    pub connector: Connector,
    /// The credentials.
    pub credentials: Arc<Credentials>,
}

/// Registers devices. Shared by reference; holds at most [`limits::DPS_CONNECTIONS`] connections.
#[derive(Debug)]
pub struct DpsClient {
    config: DpsConfig,
    exchange: Exchange,
    /// One per request with a certificate that may be under way.
    turns: Semaphore,
    /// How long a second of the service's waits lasts; tests make it short.
    second: Duration,
}

/// The hub of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Its hub.
    pub hub: HostName,
    /// Its name there, which need not be the one that it was registered by.
    pub device: DeviceId,
}

impl DpsClient {
    /// Connects when the first device is registered.
    #[must_use]
    pub fn new(config: DpsConfig) -> Self {
        let connector = config.connector.clone();
        Self {
            exchange: exchange(&config, connector, limits::DPS_CONNECTIONS),
            turns: Semaphore::new(limits::DPS_CONNECTIONS),
            config,
            second: Duration::from_secs(1),
        }
    }

    /// Registers `device`, and waits until the service says where it belongs or `deadline` comes. `payload` is JSON that
    /// the service keeps, such as `{"modelId":"…"}`.
    ///
    /// An operation that has begun is polled until it ends, even through errors of the service: a second registration would only
    /// add load. Nothing else is retried.
    ///
    /// # Errors
    /// What the service said, with its code, tracking id and `Retry-After`; [`FailureKind::HubUnreachable`] when it
    /// cannot be reached, [`FailureKind::Timeout`] at the deadline, [`FailureKind::ServerError`] for an answer that makes
    /// no sense, [`FailureKind::InvalidRequest`] for a name or payload that it would not take, and
    /// [`FailureKind::Unauthorized`] when there is no key or certificate for the device. The last two are returned without asking the service.
    pub async fn register(
        &self,
        device: &DeviceId,
        which: WhichKey,
        payload: Option<&str>,
        deadline: Instant,
    ) -> Result<Assigned, Failure> {
        self.register_with(device, (which, payload, deadline), || ())
            .await
    }

    /// As [`register`](Self::register); calls `answers` when the service has taken the registration and asks to wait.
    ///
    /// # Errors
    /// As there.
    pub async fn register_with(
        &self,
        device: &DeviceId,
        (which, payload, deadline): (WhichKey, Option<&str>, Instant),
        answers: impl FnOnce(),
    ) -> Result<Assigned, Failure> {
        let running = async {
            let registration = Registration::new(&self.config, device, which, payload).await?;
            self.run(&registration, answers).await
        };
        tokio::time::timeout_at(deadline, running)
            .await
            .unwrap_or_else(|_| {
                let text = format!("{} did not assign the device in time", self.config.endpoint);
                Err(Failure::local(FailureKind::Timeout, &text))
            })
    }

    /// The hub of `device`, without registering it; `None` if it is not registered. The service checks id scope and key in any
    /// case.
    ///
    /// # Errors
    /// As [`register`](Self::register); [`FailureKind::NotFound`] when there is no such id scope.
    pub async fn look_up(
        &self,
        device: &DeviceId,
        which: WhichKey,
    ) -> Result<Option<Assigned>, Failure> {
        let registration = Registration::new(&self.config, device, which, None).await?;
        let reply = self.ask(&registration, registration.look_up()?).await?;
        answer::known(&reply)
    }

    async fn run(
        &self,
        registration: &Registration<'_>,
        answers: impl FnOnce(),
    ) -> Result<Assigned, Failure> {
        let reply = self.ask(registration, registration.register()?).await?;
        let next = OperationStatus::read(&reply).and_then(OperationStatus::into_next);
        let by_certificate = registration.identity().is_some();
        let advised = |failure| advised(failure, reply.skew, by_certificate);
        let (operation, wait_s) = match next.map_err(advised)? {
            Next::Assigned(assigned) => return Ok(assigned),
            Next::Ask { operation, wait_s } => (operation, wait_s),
        };
        answers();
        self.follow(registration, &operation, wait_s).await
    }

    async fn ask(&self, registration: &Registration<'_>, ask: Ask) -> Result<Reply, Failure> {
        let Some(identity) = registration.identity() else {
            return self.exchange.ask(&ask).await;
        };
        // The semaphore is never closed, so that this is always a permit.
        let _turn = self.turns.acquire().await.ok();
        let connector = self.config.connector.with_identity(identity);
        exchange(&self.config, connector, 1).ask(&ask).await
    }

    async fn follow(
        &self,
        registration: &Registration<'_>,
        operation: &str,
        mut wait_s: u32,
    ) -> Result<Assigned, Failure> {
        let mut failures = 0;
        loop {
            tokio::time::sleep(self.second * wait_s).await;
            let reply = self
                .ask(registration, registration.status(operation)?)
                .await;
            let (failure, passing) = match reply {
                Ok(reply) => match OperationStatus::read(&reply) {
                    Ok(answer) => match answer.into_next()? {
                        Next::Assigned(assigned) => return Ok(assigned),
                        Next::Ask { wait_s: next, .. } => {
                            (failures, wait_s) = (0, next);
                            continue;
                        }
                    },
                    Err(failure) => (failure, reply.is_passing()),
                },
                Err(failure) => (failure, true),
            };
            failures += 1;
            if !passing || failures >= limits::DPS_STATUS_FAILURES {
                return Err(failure);
            }
            wait_s = answer::wait_s(failure.retry_after_s);
        }
    }
}

fn exchange(config: &DpsConfig, connector: Connector, connections: usize) -> Exchange {
    Exchange::new(
        connector,
        config.endpoint.clone(),
        connections,
        limits::DPS_REQUEST_TIMEOUT_MS,
        limits::HTTPS_ANSWER_BYTES,
    )
}

impl Reply {
    /// Whether the service speaks of itself: the operation goes on.
    fn is_passing(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}
