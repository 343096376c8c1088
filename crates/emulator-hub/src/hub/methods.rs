//! Direct methods: a service's call, to a device or module that is connected, and back.

use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::HubEvent;
use tokio::sync::oneshot;

use super::Hub;
use crate::sessions::{CallFailure, MethodAnswer, MethodCall};

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The device does not exist.
    NotFound,
    /// The device exists, and the module does not.
    ModuleNotFound,
    /// It did not connect in time, or takes no method calls.
    NotOnline,
    /// It left before it answered.
    Left,
    /// It did not answer in time.
    TimedOut,
    /// The call did not get through, or the answer did not.
    Failed(CallFailure),
}

impl InvokeError {
    /// The hub's code for it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::DEVICE_NOT_FOUND,
            Self::ModuleNotFound => ErrorCode::MODULE_NOT_FOUND,
            Self::NotOnline | Self::Left => ErrorCode::DEVICE_NOT_ONLINE,
            Self::TimedOut => ErrorCode::GATEWAY_TIMEOUT,
            Self::Failed(CallFailure::TooMany) => {
                ErrorCode::DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED
            }
            Self::Failed(CallFailure::RequestTooLarge | CallFailure::AnswerTooLarge) => {
                ErrorCode::MESSAGE_TOO_LARGE
            }
            Self::Failed(CallFailure::BadAnswer(_)) => ErrorCode::FORMAT_ERROR,
        }
    }
}

impl Hub {
    /// Calls a method of a device or module: waits up to `connect` until it takes calls, then up to `response` for its answer.
    pub async fn invoke(
        &self,
        client: &ClientId,
        name: String,
        payload: Bytes,
        connect: Duration,
        response: Duration,
    ) -> Result<MethodAnswer, InvokeError> {
        let result = self
            .call(client, name.clone(), payload, connect, response)
            .await;
        let (client, method) = (client.clone(), name);
        self.emit(match &result {
            Ok(answer) => HubEvent::MethodAnswered {
                client,
                method,
                status: answer.status,
            },
            Err(InvokeError::TimedOut) => HubEvent::MethodTimedOut { client, method },
            Err(error) => HubEvent::MethodFailed {
                client,
                method,
                code: error.code(),
            },
        });
        result
    }

    /// Some client takes method calls from now on: those who wait with one try again.
    pub fn takes_calls(&self) {
        self.sessions.calls_taken().notify_waiters();
    }

    async fn call(
        &self,
        client: &ClientId,
        name: String,
        payload: Bytes,
        connect: Duration,
        response: Duration,
    ) -> Result<MethodAnswer, InvokeError> {
        let (answer, answered) = oneshot::channel();
        let call = MethodCall {
            name: name.clone(),
            payload,
            answer,
        };
        // Both limits are the caller's, which counts them in its own time.
        let handed_over = (self.clock).machine_timeout(connect, self.hand_over(client, call));
        handed_over.await.unwrap_or(Err(InvokeError::NotOnline))?;
        self.emit(HubEvent::MethodInvoked {
            client: client.clone(),
            method: name,
        });
        // Giving up closes the channel, by which the client's connection knows.
        match self.clock.machine_timeout(response, answered).await {
            None => Err(InvokeError::TimedOut),
            Some(Err(_)) => Err(InvokeError::Left),
            Some(Ok(result)) => result.map_err(InvokeError::Failed),
        }
    }

    /// Waits until the client takes calls, and hands it this one.
    async fn hand_over(&self, client: &ClientId, mut call: MethodCall) -> Result<(), InvokeError> {
        loop {
            // Before looking, so that no client slips in between.
            let mut calls_taken = std::pin::pin!(self.sessions.calls_taken().notified());
            calls_taken.as_mut().enable();
            if self.registry().generation_id(client).is_none() {
                return Err(match self.device(&client.device) {
                    Some(_) => InvokeError::ModuleNotFound,
                    None => InvokeError::NotFound,
                });
            }
            call = match self.sessions.call(client, call) {
                Ok(()) => return Ok(()),
                Err(call) => call,
            };
            calls_taken.await;
        }
    }
}
