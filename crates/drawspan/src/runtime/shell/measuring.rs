//! What happens here, in figures. Looks at every connection and every receiver, at no device.

use drawspan_bridge::State;
use drawspan_bridge::fleet::ServiceId;
use drawspan_hub::FailureKind;

use super::Shell;
use crate::runtime::figures::{Figures, HubFigures};

impl Shell {
    pub(super) fn figures(&self) -> Figures {
        let mut services = self.fleet.services();
        // DPS is the first.
        let dps_queue = services.next().map_or(0, |(.., queue)| queue);
        let hubs = services.map(|(id, host, queue)| {
            let pool = self.pools.get(&id);
            HubFigures {
                host: host.clone(),
                queue,
                connections: pool.map_or(0, |pool| pool.connections()),
                slots: pool.map_or(0, |pool| pool.slots()),
                slots_used: pool.map_or(0, |pool| pool.slots_used()),
                tally: pool.map(|pool| pool.tally).unwrap_or_default(),
            }
        });
        Figures {
            census: self.fleet.census(),
            hubs: hubs.collect(),
            dps_queue,
            registering: self.parts.registrations.under_way(),
            registrations: self.parts.registrations.tally,
            load: self.webhooks.load(),
            events: self.webhooks.tally(),
            letters: self.letters,
            unread_answers: self.unread_answers,
        }
    }

    /// A device's attempt, or its connection, ends like this; to be told while it still has its place.
    pub(super) fn count_end(&mut self, index: u32, hub: ServiceId, kind: FailureKind) {
        let state = self.fleet.machine(index).map(|machine| machine.state());
        let Some(pool) = self.pools.get_mut(&hub) else {
            return;
        };
        match state {
            Some(State::Connected { .. }) => pool.tally.disconnects.add(kind),
            Some(State::Connecting) => pool.tally.failures.add(kind),
            // It was on its way out.
            _ => {}
        }
    }
}
