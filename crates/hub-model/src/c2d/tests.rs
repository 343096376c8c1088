mod properties;
mod rules;

use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::DeviceId;

use super::{Ack, CloudToDevice, Effects, Kept, LockToken, NewMessage, Settings};

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn token(number: u8) -> LockToken {
    LockToken([number; 16])
}

fn message(id: &str, ack: Ack) -> NewMessage {
    NewMessage {
        message_id: Some(id.to_owned()),
        ack,
        expires_unix_ms: None,
        generation_id: "g".into(),
        payload: Bytes::copy_from_slice(id.as_bytes()),
    }
}

fn empty() -> CloudToDevice {
    CloudToDevice::default()
}

/// Everything that the model holds, as one would find it in the store.
fn held(model: &CloudToDevice) -> Kept {
    let mut messages: Vec<_> = model
        .queues
        .iter()
        .flat_map(|(device, waiting)| {
            let of = |message: &_| (device.clone(), Clone::clone(message));
            waiting.queue.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    messages.sort_by_key(|(_, message)| message.sequence);
    Kept {
        messages,
        records: model.feedback.records().map(Arc::clone).collect(),
        last_sequence: model.next_sequence - 1,
    }
}
