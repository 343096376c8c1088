//! Direct methods: a service's call, to a device that is connected, and back.

use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::DeviceId;
use tokio::sync::oneshot;

use super::Hub;
use crate::sessions::{CallFailure, MethodAnswer, MethodCall};

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvokeError {
    /// There is no such device.
    NotFound,
    /// It did not connect in time, or takes no method calls.
    NotOnline,
    /// It left before it answered.
    Left,
    /// It did not answer in time.
    TimedOut,
    /// The call did not get through, or the answer did not.
    Failed(CallFailure),
}

impl Hub {
    /// Calls a method of a device: waits up to `connect` until it takes calls, then up to `response` for its answer.
    pub(crate) async fn invoke(
        &self,
        device: &DeviceId,
        name: String,
        payload: Bytes,
        connect: Duration,
        response: Duration,
    ) -> Result<MethodAnswer, InvokeError> {
        let (answer, answered) = oneshot::channel();
        let call = MethodCall {
            name,
            payload,
            answer,
        };
        let handed_over = self.clock.timeout(connect, self.hand_over(device, call));
        handed_over.await.unwrap_or(Err(InvokeError::NotOnline))?;
        // Giving up closes the channel, by which the device's connection knows.
        match self.clock.timeout(response, answered).await {
            None => Err(InvokeError::TimedOut),
            Some(Err(_)) => Err(InvokeError::Left),
            Some(Ok(result)) => result.map_err(InvokeError::Failed),
        }
    }

    /// Waits until the device takes calls, and hands it this one.
    async fn hand_over(&self, device: &DeviceId, mut call: MethodCall) -> Result<(), InvokeError> {
        loop {
            // Before looking, so that no device slips in between.
            let mut calls_taken = std::pin::pin!(self.sessions.calls_taken().notified());
            calls_taken.as_mut().enable();
            if self.device(device).is_none() {
                return Err(InvokeError::NotFound);
            }
            call = match self.sessions.call(device, call) {
                Ok(()) => return Ok(()),
                Err(call) => call,
            };
            calls_taken.await;
        }
    }
}
