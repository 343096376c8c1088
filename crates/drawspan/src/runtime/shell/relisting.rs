//! A list of devices that was read again: some belong to other hubs now, some are not on it any more.

use drawspan_hub::{DeviceId, Failure, FailureKind, HostName};

use super::{Profile, Shell};
use crate::devices::Prefix;
use crate::runtime::beside::Refusal;
use crate::runtime::request::Relisted;

/// What the list means for a device in memory.
enum Listing {
    /// It belongs to this hub, as before.
    Stays,
    /// It belongs to another one.
    Moves(HostName),
    /// It is not on the list.
    Gone,
}

impl Shell {
    /// There are other keys: those who were refused try again. Brings every device in memory to where the list says that it belongs, and connects those that are subscribed to and were
    /// not listed before.
    pub(super) fn relist(&mut self) -> Relisted {
        let mut relisted = Relisted::default();
        self.fleet.credentials_changed(self.now());
        if self.parts.profile != Profile::Listed {
            return relisted;
        }
        let looked_at: Vec<(u32, Listing)> = self
            .fleet
            .iter()
            .map(|(index, id, machine)| (index, self.listing(id, machine.hub())))
            .collect();
        let now = self.now();
        for (index, listing) in looked_at {
            let is_gone = matches!(listing, Listing::Gone);
            if let Some(beside) = self.fleet.beside_mut(index) {
                beside.removed = is_gone;
            }
            match listing {
                Listing::Stays => {}
                Listing::Moves(hub) => {
                    self.fleet.moved(index, hub, now);
                    relisted.moved += 1;
                }
                Listing::Gone => {
                    let text = "the device is not listed any more";
                    let failure = Failure::local(FailureKind::DeviceNotFound, text);
                    let refusal = Refusal::from(failure);
                    if let Some(beside) = self.fleet.beside_mut(index) {
                        beside.refuse_waiters(|_| Some(refusal.clone()));
                    }
                    self.fleet.release(index, now);
                    relisted.gone += 1;
                }
            }
        }
        self.sweep(Prefix::default());
        relisted
    }

    fn listing(&self, id: &DeviceId, hub: Option<&HostName>) -> Listing {
        match self.parts.credentials.listed_hub(id) {
            None => Listing::Gone,
            Some(listed) if hub == Some(&listed) => Listing::Stays,
            Some(listed) => Listing::Moves(listed),
        }
    }
}
