//! Readers of the event endpoint: from the log to a link, as fast as its credit allows.

use std::sync::Arc;

use drawspan_amqp::engine::{AcceptOptions, CommandError, Connection, LinkId, Outgoing};
use drawspan_amqp::performative::{Attach, DeliveryTag};
use drawspan_amqp::value::Symbol;
use drawspan_emulator_hub::hub::Hub;
use drawspan_segment_log::{LogError, Position, Subscription};

use super::event_message;
use super::readers::Taken;
use super::signals::Signals;
use crate::limits;

/// Capability of a reader that wants to know, with each event, where its partition ends.
const METRIC: Symbol = Symbol::from_static("com.microsoft:enable-receiver-runtime-metric");

/// A reader of one partition.
#[derive(Debug)]
pub(super) struct Reader {
    of: Of,
    partition: u16,
    next_sequence: u64,
    next_tag: u32,
    drain: bool,
    subscription: Subscription,
}

/// The kind of a reader's link.
#[derive(Debug)]
pub(super) struct Of {
    pub(super) link: LinkId,
    /// The path that a token must cover.
    pub(super) path: String,
    /// Whether events go out settled.
    pub(super) settled: bool,
    /// Whether each event says where the partition ends.
    pub(super) metric: bool,
    /// Its place among the partition's readers, held as long as it reads.
    #[expect(dead_code, reason = "dropping it is its use")]
    pub(super) place: Taken,
}

/// The result of pumping.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Everything available was sent, or the credit is used up.
    Idle,
    /// More is available; the connection has enough to write for now.
    More,
}

/// Whether a reader desires the metric.
pub(super) fn wants_metric(attach: &Attach) -> bool {
    let desired = attach.desired_capabilities.as_ref();
    desired.is_some_and(|desired| desired.contains(&METRIC))
}

/// How such a link is accepted.
pub(super) fn accept_options(metric: bool) -> AcceptOptions {
    AcceptOptions {
        offered_capabilities: metric.then(|| vec![METRIC]),
        ..AcceptOptions::default()
    }
}

impl Reader {
    /// Starts behind `position` of a partition that there is. It is looked up now: "latest" means from here on.
    pub(super) fn new(
        hub: &Hub,
        partition: u16,
        position: Position,
        of: Of,
        signals: &Arc<Signals>,
    ) -> Result<Self, LogError> {
        let signals = Arc::clone(signals);
        let subscription = hub.subscribe(partition, move || signals.wake())?;
        let subscription = subscription.ok_or(LogError::TooManyReaders)?;
        let next_sequence = hub.seek(partition, position)?;
        Ok(Self {
            of,
            partition,
            next_sequence,
            next_tag: 0,
            drain: false,
            subscription,
        })
    }

    /// The path that a token must cover for it.
    pub(super) fn path(&self) -> &str {
        &self.of.path
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
            let credit = connection.credit(self.of.link) as usize;
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
            let end = self
                .of
                .metric
                .then(|| Some((hub.partition(self.partition)?, hub.now_unix_ms())))
                .flatten();
            for record in records {
                self.next_sequence = record.sequence + 1;
                match event_message::encode(&record, end.as_ref()) {
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
            let _ = connection.drained(self.of.link);
        }
        Ok(Pumped::Idle)
    }

    /// False when the event must be sent again later.
    fn send(&mut self, connection: &mut Connection, event: &[u8]) -> bool {
        let tag = DeliveryTag::from_u32(self.next_tag);
        let message = Outgoing {
            tag,
            message_format: 0,
            settled: self.of.settled,
            context: 0,
            payload: event,
        };
        match connection.send(self.of.link, &message) {
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
