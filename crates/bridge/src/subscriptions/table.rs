//! All subscriptions, in memory, since every event looks them up.

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use drawspan_hub::{DeviceId, Receive, SubscriptionType, UtcTime, Wants};

use super::Callback;
use super::shared::Shared;
use super::{Prefix, Scope, Subscription};
use crate::limits::MAX_FLEET_SUBSCRIPTIONS;

/// The destination of events of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<C> {
    /// The receiver.
    pub callback: C,
    /// When it was made, or last replaced.
    pub created_at: UtcTime,
    /// Whether devices of a prefix stay connected for it.
    pub keep_connected: bool,
    /// It came from another bridge's tables.
    pub imported: bool,
    /// Its maker may reach only some devices.
    pub limited: bool,
}

/// The links that the subscriptions need of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Whether it stays connected.
    pub permanent: bool,
    /// While it is connected.
    pub links: Wants,
}

/// All subscriptions.
#[derive(Debug)]
pub struct Table<C> {
    own: BTreeMap<DeviceId, Own<C>>,
    /// One map per kind, by prefix.
    fleet: [BTreeMap<Prefix, Row<C>>; 4],
    shared: Shared<C>,
    /// DPS's names of devices that are named differently here.
    assigned: HashMap<DeviceId, DeviceId>,
}

/// A device's own: four at most.
type Own<C> = Vec<(SubscriptionType, Row<C>)>;

/// The limit of fleet subscriptions is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl<C> Default for Table<C> {
    fn default() -> Self {
        Self {
            own: BTreeMap::new(),
            fleet: [const { BTreeMap::new() }; 4],
            shared: Shared::default(),
            assigned: HashMap::new(),
        }
    }
}

impl<C: Callback> Table<C> {
    /// Makes or replaces one.
    pub fn put(
        &mut self,
        scope: &Scope,
        kind: SubscriptionType,
        mut row: Row<C>,
    ) -> Result<(), TooMany> {
        row.callback = self.shared.share(row.callback);
        match scope {
            Scope::Device(device) => {
                let own = self.own.entry(device.clone()).or_default();
                match own.iter_mut().find(|(of, _)| *of == kind) {
                    Some((_, known)) => *known = row,
                    None => {
                        // These lists are many, and rarely grow.
                        own.reserve_exact(1);
                        own.push((kind, row));
                    }
                }
            }
            Scope::Fleet(prefix) => {
                let count: usize = self.fleet.iter().map(BTreeMap::len).sum();
                match self.fleet_mut(kind).entry(prefix.clone()) {
                    Entry::Occupied(mut known) => *known.get_mut() = row,
                    Entry::Vacant(_) if count >= MAX_FLEET_SUBSCRIPTIONS => return Err(TooMany),
                    Entry::Vacant(place) => {
                        place.insert(row);
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes a subscription. False if there was none.
    pub fn remove(&mut self, scope: &Scope, kind: SubscriptionType) -> bool {
        match scope {
            Scope::Fleet(prefix) => self.fleet_mut(kind).remove(prefix).is_some(),
            Scope::Device(device) => {
                let Entry::Occupied(mut own) = self.own.entry(device.clone()) else {
                    return false;
                };
                let before = own.get().len();
                own.get_mut().retain(|(of, _)| *of != kind);
                let removed = own.get().len() < before;
                if own.get().is_empty() {
                    own.remove();
                }
                removed
            }
        }
    }

    /// The one of exactly this scope.
    pub fn get(&self, scope: &Scope, kind: SubscriptionType) -> Option<&Row<C>> {
        match scope {
            Scope::Device(device) => self.own(device, kind),
            Scope::Fleet(prefix) => self.fleet(kind).get(prefix),
        }
    }

    /// The one that counts for a device: its own, else that of the longest prefix.
    pub fn of(&self, device: &DeviceId, kind: SubscriptionType) -> Option<&Row<C>> {
        self.own(device, kind)
            .or_else(|| self.of_fleet(device, kind))
    }

    fn own(&self, device: &DeviceId, kind: SubscriptionType) -> Option<&Row<C>> {
        let own = self.own.get(device)?;
        own.iter().find(|(of, _)| *of == kind).map(|(_, row)| row)
    }

    fn of_fleet(&self, device: &DeviceId, kind: SubscriptionType) -> Option<&Row<C>> {
        let assigned = self.assigned.get(device).unwrap_or(device);
        let covers = |prefix: &Prefix, row: &Row<C>| match row.limited {
            true => prefix.covers(assigned),
            false => prefix.covers(device),
        };
        let covering = self
            .fleet(kind)
            .iter()
            .filter(|(prefix, row)| covers(prefix, row));
        covering
            .max_by_key(|(prefix, _)| prefix.as_str().len())
            .map(|(_, row)| row)
    }

    /// Records DPS's spelling of a device id; `None` if it is the same as here.
    pub fn note_assigned(&mut self, device: &DeviceId, assigned: Option<&DeviceId>) {
        match assigned {
            Some(assigned) => {
                self.assigned.insert(device.clone(), assigned.clone());
            }
            None => {
                self.assigned.remove(device);
            }
        }
    }

    /// Whether a subscription of the fleet may be for devices that are called otherwise than it says.
    pub fn has_assigned(&self) -> bool {
        !self.assigned.is_empty()
    }

    /// Takes all of a device's own away.
    pub fn take_own(&mut self, device: &DeviceId) -> Vec<(SubscriptionType, Row<C>)> {
        self.own.remove(device).unwrap_or_default()
    }

    /// The links that the subscriptions need of a known device.
    pub fn wish(&self, device: &DeviceId) -> Wish {
        let mut wish = Wish::default();
        for kind in SubscriptionType::ALL {
            let own = self.own(device, kind);
            let Some(row) = own.or_else(|| self.of_fleet(device, kind)) else {
                continue;
            };
            match kind {
                SubscriptionType::DesiredProperties => wish.links.desired = true,
                SubscriptionType::Methods => wish.links.methods = true,
                SubscriptionType::C2dMessages => wish.links.c2d = Receive::Flowing,
                SubscriptionType::ConnectionStatus => continue,
            }
            wish.permanent |= own.is_some() || row.keep_connected;
        }
        wish
    }

    /// Whether a device has subscriptions of its own.
    pub fn has_own(&self, device: &DeviceId) -> bool {
        self.own.contains_key(device)
    }

    /// The kinds of a device's own.
    pub fn kinds(&self, device: &DeviceId) -> Vec<SubscriptionType> {
        let own = self.own.get(device).into_iter().flatten();
        let mut kinds: Vec<_> = own.map(|(kind, _)| *kind).collect();
        kinds.sort_unstable();
        kinds
    }

    /// All fleet subscriptions, by kind and prefix.
    pub fn all_of_fleet(&self) -> Vec<Subscription<C>> {
        let kinds = SubscriptionType::ALL.into_iter();
        let rows = kinds.flat_map(|kind| self.fleet(kind).iter().map(move |row| (kind, row)));
        rows.map(|(kind, (prefix, row))| row.subscription(Scope::Fleet(prefix.clone()), kind))
            .collect()
    }

    /// Devices with individual subscriptions, from there on, in the order of ids.
    pub fn devices_from(&self, from: Bound<&str>) -> impl Iterator<Item = &DeviceId> {
        let devices = self.own.range::<str, _>((from, Bound::Unbounded));
        devices.map(|(device, _)| device)
    }

    /// Devices with individual subscriptions.
    pub fn devices(&self) -> usize {
        self.own.len()
    }

    const fn fleet(&self, kind: SubscriptionType) -> &BTreeMap<Prefix, Row<C>> {
        let [desired, methods, c2d, status] = &self.fleet;
        match kind {
            SubscriptionType::DesiredProperties => desired,
            SubscriptionType::Methods => methods,
            SubscriptionType::C2dMessages => c2d,
            SubscriptionType::ConnectionStatus => status,
        }
    }

    const fn fleet_mut(&mut self, kind: SubscriptionType) -> &mut BTreeMap<Prefix, Row<C>> {
        let [desired, methods, c2d, status] = &mut self.fleet;
        match kind {
            SubscriptionType::DesiredProperties => desired,
            SubscriptionType::Methods => methods,
            SubscriptionType::C2dMessages => c2d,
            SubscriptionType::ConnectionStatus => status,
        }
    }
}

impl<C: Clone> Row<C> {
    /// A subscription, for display.
    #[must_use]
    pub fn subscription(&self, scope: Scope, kind: SubscriptionType) -> Subscription<C> {
        let always = matches!(scope, Scope::Device(_)) && kind.needs_connection();
        Subscription {
            scope,
            kind,
            callback: self.callback.clone(),
            created_at: self.created_at,
            keep_connected: self.keep_connected || always,
        }
    }
}
