//! The readers of a partition in a consumer group.
//!
//! Event Hubs' rules: without an epoch, five readers share a partition; a reader with an epoch has it exclusively, until another
//! one with the same or a higher epoch arrives (article "Event Hubs receiver epoch").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use drawspan_amqp::engine::LinkId;
use drawspan_amqp::performative::{Attach, Error, condition};
use drawspan_amqp::value::Value;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::HostName;

use super::signals::{Notice, Signals};

/// Link property of a reader that wants the partition for itself.
const EPOCH: &str = "com.microsoft:epoch";

/// The readers of all partitions of all hubs.
#[derive(Debug, Default)]
pub(super) struct Readers(Arc<Mutex<HashMap<PartitionKey, Vec<Holder>>>>);

/// Hub, consumer group as the hub writes it, partition.
type PartitionKey = (HostName, String, u16);

#[derive(Debug)]
struct Holder {
    signals: Arc<Signals>,
    link: LinkId,
    epoch: Option<i64>,
}

/// A reader that wants a place.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) epoch: Option<i64>,
    pub(super) signals: &'a Arc<Signals>,
    pub(super) link: LinkId,
}

/// A reader's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    readers: Readers,
    place: PartitionKey,
    signals: Arc<Signals>,
    link: LinkId,
}

/// The epoch that a reader asks for.
pub(super) fn epoch(attach: &Attach) -> Result<Option<i64>, Error> {
    let properties = attach.properties.as_ref();
    match properties.and_then(|properties| properties.get(EPOCH)) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| {
            let text = format!("{EPOCH} must be a number");
            Error::new(condition::INVALID_FIELD, text)
        }),
    }
}

/// The error for a reader that lost its place to one with an epoch.
pub(super) fn taken(by: i64) -> Error {
    let text = format!("a reader with epoch {by} took the partition over");
    Error::new(condition::LINK_STOLEN, text)
}

impl Readers {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    /// Gives a reader its place, and takes it from those who have to go.
    pub(super) fn take(
        &self,
        hub: &Hub,
        group: &str,
        partition: u16,
        wish: &Wish<'_>,
    ) -> Result<Taken, Error> {
        let place = (hub.host().clone(), group.to_owned(), partition);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holders) = places.get_mut(&place) {
            make_room(holders, wish.epoch, hub.limits().readers_per_partition)?;
        }
        places.entry(place.clone()).or_default().push(Holder {
            signals: Arc::clone(wish.signals),
            link: wish.link,
            epoch: wish.epoch,
        });
        Ok(Taken {
            readers: Self(Arc::clone(&self.0)),
            place,
            signals: Arc::clone(wish.signals),
            link: wish.link,
        })
    }
}

fn make_room(holders: &mut Vec<Holder>, epoch: Option<i64>, most: usize) -> Result<(), Error> {
    let held = holders.iter().filter_map(|holder| holder.epoch).max();
    match (epoch, held) {
        (None, Some(held)) => {
            let text = format!("a reader with epoch {held} has the partition for itself");
            Err(Error::new(condition::LINK_STOLEN, text))
        }
        (Some(epoch), Some(held)) if epoch < held => {
            let text =
                format!("a reader with epoch {held}, higher than {epoch}, has the partition");
            Err(Error::new(condition::LINK_STOLEN, text))
        }
        (None, None) if holders.len() >= most => {
            let text = format!(
                "{most} readers of one consumer group may share a partition, and do already"
            );
            Err(Error::new(condition::RESOURCE_LIMIT_EXCEEDED, text))
        }
        (None, None) => Ok(()),
        (Some(by), _) => {
            for Holder { signals, link, .. } in holders.drain(..) {
                signals.notify(Notice::ReaderTaken { link, by });
            }
            Ok(())
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut places = self
            .readers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(holders) = places.get_mut(&self.place) else {
            return;
        };
        holders.retain(|holder| {
            holder.link != self.link || !Arc::ptr_eq(&holder.signals, &self.signals)
        });
        if holders.is_empty() {
            places.remove(&self.place);
        }
    }
}
