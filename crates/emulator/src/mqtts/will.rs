//! Wills: messages that are sent for clients whose connection ends without a goodbye.

use drawspan_emulator_hub::message_size::counted_bytes;
use drawspan_hub_model::throttle::{Admission, OperationClass};
use drawspan_mqtt::server::Will;
use drawspan_mqtt::topic::Topic as Published;

use super::device::Device;
use super::telemetry::{self, Kind};

impl Device {
    /// The client says goodbye: its will is void.
    pub(super) fn forget_will(&mut self) {
        self.will = None;
    }

    /// Its connection ended without a goodbye.
    pub(super) fn publish_will(&mut self, will: Will) {
        let Some(Published::Telemetry { sender, bag }) = Published::parse(&will.topic) else {
            return tracing::info!(client = %self.id, "a will is for a topic that a hub has not, and is dropped");
        };
        if !self.is(&sender) {
            return tracing::info!(client = %self.id, "a will is for another client, and is dropped");
        }
        let kind = Kind {
            retain: will.retain,
            will: true,
            model_id: self.model_id.as_deref(),
        };
        match telemetry::message(bag, will.payload, kind) {
            Ok(message) => {
                // It cannot wait: its connection is over. So it is taken, unless the hub takes no more at all.
                let bytes = usize::try_from(counted_bytes(&message)).unwrap_or(usize::MAX);
                let admission = self
                    .hub
                    .throttle(Some(&self.id), OperationClass::D2c, 1, [bytes]);
                if let Admission::Refused(refused) = admission {
                    return tracing::info!(client = %self.id, code = %refused.code, "a will is dropped");
                }
                let record = self.record(message.to_bytes());
                if let Err(error) = self.hub.ingest(&[record]) {
                    tracing::error!(hub = %self.hub.host(), %error, "a will could not be stored");
                }
            }
            Err(error) => tracing::info!(client = %self.id, %error, "a will is dropped"),
        }
    }
}
