//! Terms of delivery of an event: its time limit, its weight, and how it replaces another one.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Content, Event};
use crate::delivery::{Deadline, Job, Terms};
use crate::limits::{C2D_TIMEOUT, EVENT_OVERHEAD_BYTES, EVENT_TIMEOUT};
use crate::subscriptions::Callback;

pub(super) fn of<C: Callback, T>(event: &Event<C, T>, method_answer_timeout: Duration) -> Terms {
    let received = event.received;
    Terms {
        origin: Arc::clone(event.callback.origin()),
        size_bytes: EVENT_OVERHEAD_BYTES + weight(&event.content),
        deadline: match event.content {
            Content::Method { .. } => Deadline::Answer(received + method_answer_timeout),
            Content::C2d(_) => Deadline::Until(received + C2D_TIMEOUT),
            Content::Status { .. } | Content::Desired { .. } | Content::Replay { .. } => {
                Deadline::FromFirstAttempt(EVENT_TIMEOUT)
            }
        },
        merges: matches!(event.content, Content::Status { .. }),
    }
}

fn weight(content: &Content) -> usize {
    match content {
        Content::Status { .. } => 0,
        Content::Desired { properties, .. } => properties.len(),
        Content::Method { name, payload } => name.len() + payload.len(),
        Content::C2d(message) => {
            let properties = message.properties.iter();
            let properties = properties.map(|(name, value)| name.len() + value.len());
            message.body.len() + properties.sum::<usize>()
        }
        Content::Replay { event, .. } => event.len(),
    }
}

impl<C, T> Job for Event<C, T> {
    fn replace(&mut self, mut newer: Self) {
        if let (
            Content::Status {
                skipped: before, ..
            },
            Content::Status { skipped, .. },
        ) = (&self.content, &mut newer.content)
        {
            *skipped = skipped.saturating_add(*before).saturating_add(1);
        }
        *self = newer;
    }
}
