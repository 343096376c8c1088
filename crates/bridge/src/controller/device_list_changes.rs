//! Changes of the list of devices after it was read again: devices that belong to another hub now, or are no longer listed.

use drawspan_hub::{DeviceId, Failure, FailureKind, HostName};

use super::platform::{Listing as _, Platform};
use super::response::{Refusal, Relisted};
use super::{Controller, Profile};
use crate::subscriptions::Prefix;

/// The effect of the list on a device in memory.
enum Change {
    /// It belongs to this hub, as before.
    Stays,
    /// It belongs to another one.
    Moves(HostName),
    /// It is not on the list.
    Gone,
}

impl<P: Platform> Controller<P> {
    /// Applies other keys and another list: devices that were refused try again. Moves every device in memory to its hub in the
    /// list, and connects newly listed devices that have subscriptions.
    pub(super) fn relist(&mut self) -> Relisted {
        let mut relisted = Relisted::default();
        self.fleet.credentials_changed(self.now);
        let Profile::Listed(list) = &self.profile else {
            return relisted;
        };
        let changes: Vec<(u32, Change)> = self
            .fleet
            .iter()
            .map(|(index, id, machine)| (index, change::<P>(list, id, machine.hub())))
            .collect();
        let now = self.now;
        for (index, change) in changes {
            let is_gone = matches!(change, Change::Gone);
            if let Some(context) = self.fleet.context_mut(index) {
                context.removed = is_gone;
            }
            match change {
                Change::Stays => {}
                Change::Moves(hub) => {
                    self.fleet.moved(index, hub, now);
                    relisted.moved += 1;
                }
                Change::Gone => {
                    let text = "the device is not listed any more";
                    let failure = Failure::local(FailureKind::DeviceNotFound, text);
                    self.refuse_waiters(index, &Refusal::from(failure));
                    self.fleet.release(index, now);
                    relisted.gone += 1;
                }
            }
        }
        self.sweep(Prefix::default());
        relisted
    }
}

fn change<P: Platform>(list: &P::Listing, id: &DeviceId, hub: Option<&HostName>) -> Change {
    match list.hub_of(id) {
        None => Change::Gone,
        Some(listed) if hub == Some(&listed) => Change::Stays,
        Some(listed) => Change::Moves(listed),
    }
}
