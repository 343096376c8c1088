//! The MQTT head: devices at their hub, and devices that register at DPS, on one port and in WebSockets.
//!
//! [`head`] handles a connection's events. A connection is one device's: [`device`] is what a hub's device has on it, with
//! [`telemetry`], [`c2d`], [`methods`] and [`twin`]; [`registration`] is one at DPS. [`device_session`] is how the hub reaches the
//! connection's task.

mod c2d;
mod device;
mod device_session;
mod head;
mod methods;
mod registration;
mod telemetry;
mod throttling;
mod twin;
mod will;

use std::sync::Arc;
use std::time::Duration;

use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::faults::Faults;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_set::{Failovers, HubSet};
use drawspan_emulator_hub::reached::Secured;
use drawspan_emulator_hub::refusals::Refusals;
use drawspan_emulator_hub::stop::Stop;
use drawspan_hub_model::event::DisconnectReason;
use drawspan_mqtt::Server;
use drawspan_mqtt::topic::unknown_feature;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::limits;
use device_session::Wake;
use head::Head;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) hubs: HubSet,
    pub(crate) dps: Arc<Dps>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) faults: Arc<Faults>,
    /// The reason code by which clients of MQTT 5 are refused.
    pub(crate) mqtt_5_reason: u8,
}

/// Serves one connection until it ends, or until the emulator stops.
pub(crate) async fn serve<S>(connection: Secured<S>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Secured {
        stream,
        reached,
        stop,
    } = connection;
    let peer = reached.peer;
    let _present = shared.faults.connections().present().await;
    let (wake, wakes) = mpsc::channel::<Wake>(1);
    let mqtt_5_reason = shared.mqtt_5_reason;
    let of_hub = shared.clock.clone();
    let failovers = shared.hubs.failovers();
    let mut head = Head::new(shared, reached, wake);
    let entered = Arc::clone(head.connection());
    let outside = Outside {
        wakes,
        stop,
        clock: of_hub,
        failovers,
    };
    let reason = tokio::select! {
        reason = run(stream, (&mut head, mqtt_5_reason), outside) => reason,
        () = entered.severed() => DisconnectReason::ConnectionLost,
    };
    tracing::debug!(%peer, ?reason, "MQTT connection over");
    head.leave(reason);
}

/// What a connection's task waits for besides the client.
struct Outside {
    wakes: mpsc::Receiver<Wake>,
    stop: Stop,
    clock: Clock,
    failovers: Failovers,
}

/// Reads, writes and waits; all that is decided is decided by `head`.
async fn run<S>(
    stream: S,
    (head, mqtt_5_reason): (&mut Head, u8),
    outside: Outside,
) -> DisconnectReason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Outside {
        mut wakes,
        mut stop,
        clock: of_hub,
        mut failovers,
    } = outside;
    let clock = drawspan_net::Clock::start();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut server =
        Server::new(limits::MQTT_PACKET_BYTES, clock.now()).with_mqtt_5_reason(mqtt_5_reason);
    let mut changes = of_hub.changes();
    server.set_pace(of_hub.scale(), clock.now());
    let connect_by = clock.now() + Duration::from_millis(limits::MQTT_CONNECT_MS);
    let mut buffer = vec![0; limits::MQTT_READ_BYTES];
    loop {
        head.register(&mut server).await;
        let output = server.output();
        if !output.is_empty() {
            let limit = Duration::from_millis(limits::MQTT_WRITE_MS);
            let written = async {
                writer.write_all(&output).await?;
                writer.flush().await
            };
            match tokio::time::timeout(limit, written).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return head.ended().unwrap_or(DisconnectReason::ConnectionLost),
                Err(_) => return head.ended().unwrap_or(DisconnectReason::ClientFault),
            }
        }
        if let Some(reason) = head.ended() {
            // The client may have closed it already.
            let _ = writer.shutdown().await;
            return reason;
        }
        let silent_at = match head.waits_to_connect() {
            // The client waits for the hub, not the hub for it.
            true => clock.now() + Duration::from_millis(limits::MQTT_WRITE_MS),
            false => server.deadline().unwrap_or(connect_by),
        };
        let due = head.due().map_or(silent_at, |due| due.min(silent_at));
        tokio::select! {
            read = reader.read(&mut buffer), if head.reads(&server) && !head.is_stalled() => match read {
                Ok(0) | Err(_) => return DisconnectReason::ConnectionLost,
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    head.received(&mut server, bytes, clock.now());
                }
            },
            () = released(head.next_release()) => head.look(&mut server, clock.now()),
            _ = wakes.recv() => head.look(&mut server, clock.now()),
            () = failovers.begun() => head.look(&mut server, clock.now()),
            () = changes.changed() => {
                server.set_pace(of_hub.scale(), clock.now());
                head.clock_changed(clock.now());
            }
            () = tokio::time::sleep(due.saturating_sub(clock.now())) => {
                if head.waits_to_connect() {
                    continue;
                }
                if clock.now() >= silent_at {
                    head.silent(server.deadline().is_some());
                } else {
                    head.on_time(&mut server, clock.now());
                }
            }
            () = stop.stopped() => head.end(DisconnectReason::HubStopped),
        }
    }
}

/// Waits until something that waits because of a hub's rates is due; for ever if nothing waits.
async fn released(next: Option<(Arc<Hub>, Duration)>) {
    match next {
        Some((hub, at)) => hub.until_due(at).await,
        None => std::future::pending().await,
    }
}

/// Why a topic or filter is refused: it belongs to a part of IoT Hub that has a name, or `otherwise`.
fn foreign(topic: &str, otherwise: &str) -> String {
    match unknown_feature(topic) {
        Some(feature) => format!("the emulator does not serve {feature}"),
        None => otherwise.to_owned(),
    }
}
