//! Direct methods: calls to the device, and its answers.

use std::collections::HashMap;

use bytes::Bytes;
use drawspan_hub_model::limits::Limits;
use drawspan_mqtt::Server;
use tokio::sync::oneshot;

use crate::sessions::{CallFailure, MethodAnswer, MethodCall};

/// The calls that a device has not answered.
#[derive(Debug, Default)]
pub(super) struct Methods {
    /// By request id, which the C client takes for a number of 16 bits. Dropping one tells its caller that the device is gone.
    sent: HashMap<u16, oneshot::Sender<Result<MethodAnswer, CallFailure>>>,
    next: u16,
}

impl Methods {
    /// Sends a call to the device.
    pub(super) fn call(&mut self, server: &mut Server, call: MethodCall, hub: &Limits) {
        self.sent.retain(|_, caller| !caller.is_closed());
        // The caller has given up: the device must not do it any more.
        if call.answer.is_closed() {
            return;
        }
        if self.sent.len() >= hub.methods_in_flight {
            // The caller may give up meanwhile.
            let _ = call.answer.send(Err(CallFailure::TooMany));
            return;
        }
        let id = self.free_id();
        let topic = format!("$iothub/methods/POST/{}/?$rid={id}", call.name);
        match server.publish(&topic, &call.payload) {
            Ok(()) => _ = self.sent.insert(id, call.answer),
            Err(_) => _ = call.answer.send(Err(CallFailure::RequestTooLarge)),
        }
    }

    /// Takes the device's answer to a call. One that nobody waits for is nobody's.
    pub(super) fn answered(&mut self, request_id: &str, status: i32, payload: Bytes, hub: &Limits) {
        let id = request_id.parse().ok();
        let Some(caller) = id.and_then(|id: u16| self.sent.remove(&id)) else {
            return;
        };
        // The caller may have given up.
        let _ = caller.send(answer(status, payload, hub.method_payload_bytes));
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next = self.next.wrapping_add(1).max(1);
            if !self.sent.contains_key(&self.next) {
                return self.next;
            }
        }
    }
}

fn answer(status: i32, payload: Bytes, max_bytes: usize) -> Result<MethodAnswer, CallFailure> {
    if payload.len() > max_bytes {
        return Err(CallFailure::AnswerTooLarge);
    }
    if !payload.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&payload).is_err() {
        return Err(CallFailure::BadAnswer("its body is not JSON"));
    }
    Ok(MethodAnswer { status, payload })
}
