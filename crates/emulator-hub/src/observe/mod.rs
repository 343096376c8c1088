//! The one place through which everything that happens at the hubs passes.

use std::fmt;
use std::sync::Arc;

use drawspan_hub::HostName;
use drawspan_hub_model::event::{Event, HubEvent};

use crate::clock::Clock;

/// Target of the log lines.
const TARGET: &str = "drawspan_emulator::events";

/// An observer of the events at the hubs.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Takes an event. The code that caused the event calls it and may hold locks, so it must be short, and must not call the hub.
    /// Events of one device come in order.
    fn observe(&self, event: &Event);
}

/// The destinations of events: one log line each, at `debug`, and the observers.
#[derive(Clone, Debug)]
pub struct Events {
    clock: Clock,
    observers: Arc<[Arc<dyn Observer>]>,
}

impl Events {
    /// Destinations of events, which are stamped by this clock.
    pub fn new(clock: Clock, observers: Vec<Arc<dyn Observer>>) -> Self {
        Self {
            clock,
            observers: observers.into(),
        }
    }

    /// Something happened at a hub, or at the provisioning service.
    pub fn emit(&self, hub: Option<&HostName>, what: HubEvent) {
        tracing::debug!(
            target: TARGET,
            event = what.name(),
            hub = hub.map(HostName::as_str),
            device = what.device().map(|device| device.as_str()),
            module = what.module().map(|module| module.as_str()),
            "{what}"
        );
        if self.observers.is_empty() {
            return;
        }
        let event = Event {
            unix_ms: self.clock.unix_ms(),
            hub: hub.cloned(),
            what,
        };
        for observer in &*self.observers {
            observer.observe(&event);
        }
    }
}
