//! Devices for the tests of the HTTP side.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, Telemetry};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::devices::{DeviceError, Devices, Diagnostics, Readiness};

/// What the devices were asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Send(DeviceId, Telemetry),
    Twin(DeviceId),
    Report(DeviceId, Bytes),
    Register(DeviceId, Option<String>),
    Status(DeviceId),
    Resync(DeviceId),
    Diagnostics(DeviceId),
    Forget(DeviceId),
}

/// Remembers what it was asked and answers as it was told.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) calls: Arc<Mutex<Vec<Call>>>,
    /// What it says to everything, instead of doing it.
    pub(super) refusal: Option<DeviceError>,
    pub(super) twin: &'static str,
    pub(super) status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    pub(super) diagnostics: Option<Diagnostics>,
    pub(super) readiness: Readiness,
    /// Whoever is told here of a message decides when it is accepted.
    pub(super) gate: Option<mpsc::Sender<oneshot::Sender<()>>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
            refusal: None,
            twin: "{}",
            status: None,
            diagnostics: None,
            readiness: Readiness::READY,
            gate: None,
        }
    }
}

impl Fake {
    fn done<T>(&self, call: Call, answer: T) -> Result<T, DeviceError> {
        self.calls.lock().unwrap().push(call);
        self.refusal.clone().map_or(Ok(answer), Err)
    }
}

impl Devices for Fake {
    async fn send(
        &self,
        device: DeviceId,
        message: Telemetry,
        _: Instant,
    ) -> Result<(), DeviceError> {
        self.done(Call::Send(device, message), ())?;
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        let (accept, accepted) = oneshot::channel();
        let _ = gate.send(accept).await;
        accepted.await.map_err(|_| DeviceError::NotReady)
    }

    async fn twin(&self, device: DeviceId, _: Instant) -> Result<Bytes, DeviceError> {
        self.done(Call::Twin(device), Bytes::from_static(self.twin.as_bytes()))
    }

    async fn report(&self, device: DeviceId, patch: Bytes, _: Instant) -> Result<(), DeviceError> {
        self.done(Call::Report(device, patch), ())
    }

    async fn register(
        &self,
        device: DeviceId,
        model_id: Option<String>,
        _: Instant,
    ) -> Result<(), DeviceError> {
        self.done(Call::Register(device, model_id), ())
    }

    async fn connection_status(
        &self,
        device: DeviceId,
    ) -> Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError> {
        self.done(Call::Status(device), self.status)
    }

    fn resync(&self, device: DeviceId) -> Result<(), DeviceError> {
        self.done(Call::Resync(device), ())
    }

    async fn diagnostics(&self, device: DeviceId) -> Result<Option<Diagnostics>, DeviceError> {
        self.done(Call::Diagnostics(device), self.diagnostics.clone())
    }

    async fn forget(&self, device: DeviceId, _: Instant) -> Result<(), DeviceError> {
        self.done(Call::Forget(device), ())
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
}
