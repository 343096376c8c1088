//! Receivers among services: links over which one kind of news is taken.

use std::sync::{Arc, Mutex, PoisonError};

use drawspan_amqp::engine::LinkId;
use drawspan_hub::HostName;

use super::signals::{Notice, Signals};

/// The links over which feedback, or file notifications, are taken, of all hubs.
#[derive(Debug, Clone, Default)]
pub(super) struct Receivers(Arc<Mutex<Vec<Receiver>>>);

#[derive(Debug)]
struct Receiver {
    host: HostName,
    signals: Arc<Signals>,
    link: LinkId,
}

/// A link's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct ReceiverSlot {
    receivers: Receivers,
    signals: Arc<Signals>,
    link: LinkId,
}

impl Receivers {
    /// Notifies a link from now on.
    pub(super) fn enter(
        &self,
        host: &HostName,
        signals: &Arc<Signals>,
        link: LinkId,
    ) -> ReceiverSlot {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Receiver {
                host: host.clone(),
                signals: Arc::clone(signals),
                link,
            });
        ReceiverSlot {
            receivers: self.clone(),
            signals: Arc::clone(signals),
            link,
        }
    }

    /// There is something: the first link gets it.
    pub(super) fn tell(&self, host: &HostName) {
        let receivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for receiver in receivers.iter().filter(|receiver| receiver.host == *host) {
            receiver.signals.notify(Notice::Waiting(receiver.link));
        }
    }
}

impl Drop for ReceiverSlot {
    fn drop(&mut self) {
        let mut receivers = self
            .receivers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        receivers.retain(|receiver| {
            receiver.link != self.link || !Arc::ptr_eq(&receiver.signals, &self.signals)
        });
    }
}
