//! The AMQP head: devices, and the Event Hubs-compatible endpoint, on one port.
//!
//! [`head`] handles a connection's events. What a link is for stands in [`links`], a table from (address, direction) to
//! link kind; each kind has a file of its own: [`cbs`], [`telemetry`], [`methods`], [`twin`], [`handout`] (messages
//! to devices, [`devicebound`], and [`feedback`] on them), [`commands`] (messages from services), [`events`], [`management`],
//! [`redirect`].
//! [`access`] keeps what the connection may do, [`presence`] which connection holds which device, [`readers`] who reads
//! which partition; [`signals`] is how connections, and services by way of the hub ([`crate::reach`]), reach each other.

mod access;
mod answers;
mod cbs;
mod commands;
mod devicebound;
mod error;
mod events;
mod feedback;
mod filter;
mod handout;
mod head;
mod links;
mod management;
mod methods;
mod presence;
mod readers;
mod redirect;
mod sasl;
mod signals;
mod stamp;
mod telemetry;
mod twin;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use drawspan_amqp::engine::{Config, Connection};
use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::limits::Limits;
use drawspan_net::drive;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::hub_set::HubSet;
use crate::reach::{MethodCall, Reach};
use crate::refusals::Refusals;
use crate::server::Secured;
use head::{Head, Wake};
use presence::Presences;
use readers::Readers;
use signals::Signals;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    limits: Limits,
    hubs: HubSet,
    presences: Presences,
    readers: Readers,
    feedback: feedback::Receivers,
    refusals: Arc<Refusals>,
    faults: Faults,
}

impl Shared {
    /// Also lets the hubs reach their devices.
    pub(crate) fn new(
        clock: Clock,
        limits: Limits,
        hubs: HubSet,
        refusals: Arc<Refusals>,
        faults: Faults,
    ) -> Arc<Self> {
        let shared = Arc::new(Self {
            clock,
            limits,
            hubs,
            presences: Presences::default(),
            readers: Readers::default(),
            feedback: feedback::Receivers::default(),
            refusals,
            faults,
        });
        for hub in shared.hubs.hubs() {
            hub.reach_by(Devices {
                host: hub.host().clone(),
                shared: Arc::downgrade(&shared),
            });
        }
        shared
    }

    /// Where refusals are logged.
    pub(crate) fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }
}

/// The devices of one hub that are connected by AMQP.
struct Devices {
    host: HostName,
    shared: Weak<Shared>,
}

impl Reach for Devices {
    fn shut_out(&self, device: &DeviceId) {
        if let Some(shared) = self.shared.upgrade() {
            shared.presences.changed(&self.host, device);
        }
    }

    fn message_waits(&self, device: &DeviceId) {
        if let Some(shared) = self.shared.upgrade() {
            shared.presences.message_waits(&self.host, device);
        }
    }

    fn feedback_waits(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.feedback.tell(&self.host);
        }
    }

    fn desired(&self, device: &DeviceId, patch: &Bytes) {
        if let Some(shared) = self.shared.upgrade() {
            shared.presences.desired(&self.host, device, patch);
        }
    }

    fn call(&self, device: &DeviceId, call: MethodCall) -> Result<(), MethodCall> {
        match self.shared.upgrade() {
            Some(shared) => shared.presences.call(&self.host, device, call),
            None => Err(call),
        }
    }
}

/// Serves one connection until it ends, or until the emulator stops.
pub(crate) async fn serve<S>(connection: Secured<S>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Secured {
        stream,
        reached,
        mut stop,
    } = connection;
    // A wake-up that waits already stands for all others.
    let (wake, commands) = mpsc::channel::<Wake>(1);
    let signals = Arc::new(Signals::new(wake));
    let peer = reached.peer;
    let clock = drawspan_net::Clock::start();
    let engine = Connection::server(engine_config(), sasl::mechanisms(), clock.now());
    let mut head = Head::new(shared, reached, Arc::clone(&signals));
    let ended = {
        let driven = drive(stream, engine, &mut head, commands, clock);
        tokio::pin!(driven);
        tokio::select! {
            ended = &mut driven => ended,
            () = stop.stopped() => {
                signals.stop();
                driven.await
            }
        }
    };
    tracing::debug!(%peer, ?ended, "AMQP connection over");
    head.log_end(&ended);
    head.leave();
}

fn engine_config() -> Config {
    Config {
        container_id: String::from("drawspan-emulator"),
        ..Config::default()
    }
}
