//! Readers of the event endpoint: from the log to a link, as fast as its credit allows.

use std::sync::Arc;

use drawspan_amqp::engine::{CommandError, Connection, LinkId, Outgoing};
use drawspan_amqp::performative::DeliveryTag;

use super::presence::Signals;
use super::stamp;
use crate::hub::Hub;
use crate::limits;
use crate::log::{LogError, Position, Subscription};

/// A reader of one partition.
#[derive(Debug)]
pub(super) struct Reader {
    link: LinkId,
    partition: u16,
    next_sequence: u64,
    settled: bool,
    next_tag: u32,
    drain: bool,
    subscription: Subscription,
}

/// What came of pumping.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Everything that is there was sent, or the credit is used up.
    Idle,
    /// There is more; the connection has enough to write for now.
    More,
}

impl Reader {
    /// Starts behind `position`, which is looked up now: "latest" means from here on.
    pub(super) fn new(
        hub: &Hub,
        partition: u16,
        position: Position,
        link: LinkId,
        settled: bool,
        signals: &Arc<Signals>,
    ) -> Result<Option<Self>, LogError> {
        let signals = Arc::clone(signals);
        let Some(subscription) = hub.subscribe(partition, move || signals.wake())? else {
            return Ok(None);
        };
        let next_sequence = hub.seek(partition, position)?;
        Ok(Some(Self {
            link,
            partition,
            next_sequence,
            settled,
            next_tag: 0,
            drain: false,
            subscription,
        }))
    }

    /// The client wants what there is now, and its credit used up then.
    pub(super) fn drain(&mut self) {
        self.drain = true;
    }

    /// Sends what there is and what credit allows.
    pub(super) fn pump(
        &mut self,
        connection: &mut Connection,
        hub: &Hub,
    ) -> Result<Pumped, LogError> {
        // Before reading, so that what is stored meanwhile wakes again.
        self.subscription.rearm();
        loop {
            let credit = connection.credit(self.link) as usize;
            if credit == 0 {
                break;
            }
            if connection.waiting_bytes() > limits::READ_EVENT_BYTES {
                return Ok(Pumped::More);
            }
            let max = credit.min(limits::READ_EVENTS);
            let records = hub.read(
                self.partition,
                self.next_sequence,
                max,
                limits::READ_EVENT_BYTES,
            )?;
            if records.is_empty() {
                break;
            }
            for record in records {
                self.next_sequence = record.sequence + 1;
                match stamp::event(&record) {
                    Ok(event) => {
                        if !self.send(connection, &event) {
                            self.next_sequence = record.sequence;
                            return Ok(Pumped::More);
                        }
                    }
                    // It was checked when it came; a record that cannot be read now must not stop the others.
                    Err(error) => {
                        tracing::error!(sequence = record.sequence, %error, "an event is left out")
                    }
                }
            }
        }
        if std::mem::take(&mut self.drain) {
            // An error means that the link is gone, of which an event tells.
            let _ = connection.drained(self.link);
        }
        Ok(Pumped::Idle)
    }

    /// False when the event must be sent again later.
    fn send(&mut self, connection: &mut Connection, event: &[u8]) -> bool {
        let tag = DeliveryTag::from_u32(self.next_tag);
        let message = Outgoing {
            tag,
            message_format: 0,
            settled: self.settled,
            context: 0,
            payload: event,
        };
        match connection.send(self.link, &message) {
            Ok(_) => {
                self.next_tag = self.next_tag.wrapping_add(1);
                true
            }
            Err(CommandError::MessageTooLarge) => {
                tracing::warn!("an event is larger than its reader takes; it is left out");
                true
            }
            Err(_) => false,
        }
    }
}
