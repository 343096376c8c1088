//! The AMQP head of the emulator: devices, the Event Hubs-compatible endpoint, and devices that register at DPS, on one port.
//!
//! `head` handles a connection's events. `links` is the table from (address, direction) to link kind; each kind has its own
//! file: `cbs`, `telemetry`, `methods`, `twin`, `locked_delivery` (messages to devices, `c2d_message`, `feedback`
//! on them, and each `file_notification`), `service_send` (messages from services), `events`, `management`, `redirect`. `registration` is a device at
//! DPS. `access` holds the rights of the connection, `device_session` the links of a device on it, `readers` the readers of
//! each partition; through `signals`, connections reach each other, and services reach them by way of the hub
//! ([`drawspan_emulator_hub::sessions`]).

mod access;
mod answers;
mod c2d_message;
mod cbs;
mod device_session;
mod error;
mod event_message;
mod events;
mod faulted;
mod feedback;
mod file_notification;
mod filter;
mod head;
pub mod limits;
mod links;
mod locked_delivery;
mod management;
mod methods;
mod readers;
mod receivers;
mod redirect;
mod registration;
mod sasl;
mod service_send;
mod signals;
mod telemetry;
mod twin;

use std::io;
use std::sync::Arc;

use drawspan_amqp::engine::{Closed, Config, Connection};
use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::faults::Faults;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::reached::Secured;
use drawspan_emulator_hub::refusals::Refusals;
use drawspan_hub_model::event::DisconnectReason;
use drawspan_hub_model::limits::Limits;
use drawspan_net::{Ended, drive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use head::Head;
use readers::Readers;
use receivers::Receivers;
use signals::{Signals, Wake};

/// State shared by all connections.
#[derive(Debug)]
pub struct Shared {
    clock: Clock,
    limits: Limits,
    hubs: HubSet,
    dps: Arc<Dps>,
    readers: Readers,
    feedback: Receivers,
    file_notifications: Receivers,
    refusals: Arc<Refusals>,
    faults: Arc<Faults>,
}

impl Shared {
    /// Also lets the hubs notify of feedback and uploaded files.
    pub fn new(
        clock: Clock,
        limits: Limits,
        hubs: HubSet,
        dps: Arc<Dps>,
        refusals: Arc<Refusals>,
        faults: Arc<Faults>,
    ) -> Arc<Self> {
        let shared = Arc::new(Self {
            clock,
            limits,
            hubs,
            dps,
            readers: Readers::default(),
            feedback: Receivers::default(),
            file_notifications: Receivers::default(),
            refusals,
            faults,
        });
        for hub in shared.hubs.hubs() {
            let (host, receivers) = (hub.host().clone(), shared.feedback.clone());
            hub.tell_of_feedback(move || receivers.tell(&host));
            let (host, receivers) = (hub.host().clone(), shared.file_notifications.clone());
            hub.tell_of_file_notifications(move || receivers.tell(&host));
        }
        shared
    }

    /// The log of refusals.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }
}

/// Serves one connection until it ends, or until the emulator stops.
pub async fn serve<S>(connection: Secured<S>, shared: Arc<Shared>)
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
    let _present = shared.faults.connections().present().await;
    let clock = drawspan_net::Clock::start();
    let mut engine = Connection::server(engine_config(), sasl::mechanisms(), clock.now());
    let (mut changes, mut failovers) = (shared.clock.changes(), shared.hubs.failovers());
    engine.set_pace(shared.clock.scale(), clock.now());
    let mut head = Head::new(shared, reached, Arc::clone(&signals));
    let entered = Arc::clone(head.connection());
    let ended = {
        let driven = drive(stream, engine, &mut head, commands, clock);
        tokio::pin!(driven);
        loop {
            tokio::select! {
                ended = &mut driven => break ended,
                () = stop.stopped() => {
                    signals.stop();
                    break driven.await;
                }
                () = changes.changed() => signals.wake(),
                () = failovers.begun() => signals.wake(),
                () = entered.severed() => {
                    break Ended::Stream(io::ErrorKind::ConnectionAborted.into());
                }
                never = signals.ring() => match never {},
            }
        }
    };
    tracing::debug!(%peer, ?ended, "AMQP connection over");
    head.log_end(&ended);
    head.leave(disconnect_reason(&ended));
}

/// Why a connection's devices are not connected any more.
fn disconnect_reason(ended: &Ended) -> DisconnectReason {
    match ended {
        Ended::Closed(Closed::ByUs | Closed::ByPeer(_)) => DisconnectReason::ClientClosed,
        Ended::Closed(Closed::Silent) => DisconnectReason::Silent,
        Ended::Closed(Closed::TimedOut) | Ended::Stream(_) => DisconnectReason::ConnectionLost,
        Ended::Closed(
            Closed::Violation(_)
            | Closed::SaslRefused(_)
            | Closed::NoSaslMechanism(_)
            | Closed::WrongProtocol(_)
            | Closed::PeerDoesNotRead,
        ) => DisconnectReason::ClientFault,
    }
}

fn engine_config() -> Config {
    Config {
        container_id: String::from("drawspan-emulator"),
        silence_ms: Some(limits::AMQP_SILENCE_MS),
        ..Config::default()
    }
}
