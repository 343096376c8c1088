//! Direct methods: calls to the device, and its answers.

use std::collections::HashMap;

use bytes::Bytes;
use drawspan_emulator_hub::sessions::{CallFailure, MethodAnswer, MethodCall};
use drawspan_hub_model::limits::Limits;
use drawspan_mqtt::{Server, property_bag};
use tokio::sync::oneshot;

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
        let name = property_bag::topic_level(&call.name);
        let topic = format!("$iothub/methods/POST/{name}/?$rid={id}");
        match server.publish(&topic, &call.payload) {
            Ok(()) => _ = self.sent.insert(id, call.answer),
            Err(_) => _ = call.answer.send(Err(CallFailure::RequestTooLarge)),
        }
    }

    /// Passes the device's answer to the caller of the method. An answer to an unknown call is dropped.
    pub(super) fn answered(&mut self, request_id: &str, status: i32, payload: Bytes, hub: &Limits) {
        let id = request_id.parse().ok();
        let Some(caller) = id.and_then(|id: u16| self.sent.remove(&id)) else {
            return;
        };
        // The caller may have given up.
        let answer = MethodAnswer::new(status, payload, hub.method_payload_bytes);
        let _ = caller.send(answer);
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
