//! Spellings of device ids. DPS ignores the case of ids, so ids that differ only in case are one device, named by the spelling that
//! was used first.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::hub_cache::StoredHub;
use crate::limits::SPELLINGS_UNCHECKED;
use drawspan_hub::DeviceId;

/// The spelling of each device whose id has capital letters.
#[derive(Debug)]
pub(super) struct Spellings {
    /// Whether case does not matter.
    fold: bool,
    /// By the id in lower case.
    capitals: HashMap<DeviceId, DeviceId>,
    /// With as many, those that are not needed any more are thrown out.
    check_at: usize,
}

impl Spellings {
    /// `fold`: whether ids that differ only in case are one device.
    pub(super) fn new(fold: bool) -> Self {
        Self {
            fold,
            capitals: HashMap::new(),
            check_at: SPELLINGS_UNCHECKED,
        }
    }

    /// Whether ids that differ only in case are one device.
    pub(super) const fn fold(&self) -> bool {
        self.fold
    }

    /// The name of the device. `is_known` tells whether an id belongs to a known device.
    pub(super) fn of(
        &self,
        device: &DeviceId,
        is_known: impl FnOnce(&DeviceId) -> bool,
    ) -> DeviceId {
        if !self.fold {
            return device.clone();
        }
        let lower = device.to_lower_case();
        match self.capitals.get(&lower) {
            Some(called) => called.clone(),
            None if lower != *device && is_known(&lower) => lower,
            None => device.clone(),
        }
    }

    /// The device is called so from now on.
    pub(super) fn call(&mut self, device: &DeviceId) {
        if !self.fold {
            return;
        }
        let lower = device.to_lower_case();
        if lower == *device {
            self.capitals.remove(&lower);
        } else {
            self.capitals.insert(lower, device.clone());
        }
    }

    /// The device is forgotten: its next request names it.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.capitals.remove(&device.to_lower_case());
    }

    /// Whether there may be many that are not needed any more.
    pub(super) fn are_many(&self) -> bool {
        self.capitals.len() >= self.check_at
    }

    /// Keeps those of devices that are known.
    pub(super) fn keep(&mut self, is_known: impl Fn(&DeviceId) -> bool) {
        self.capitals.retain(|_, called| is_known(called));
        self.check_at = SPELLINGS_UNCHECKED.max(2 * self.capitals.len());
    }

    /// Each device once, of what is stored: `cached` hubs and devices that are `subscribed` to. Returns what the others are
    /// called from now on.
    ///
    /// The device keeps the spelling that DPS has for it; else the one with subscriptions, or the one that was used last.
    pub(super) fn settle(
        &mut self,
        cached: &[StoredHub],
        subscribed: &[DeviceId],
    ) -> BTreeMap<DeviceId, DeviceId> {
        let mut others = BTreeMap::new();
        if !self.fold {
            return others;
        }
        for group in groups(cached, subscribed).into_values() {
            let best = group.iter().max_by_key(|(id, rank)| (**rank, *id));
            let Some((called, _)) = best else { continue };
            self.call(called);
            let rest = group.keys().filter(|id| *id != called);
            others.extend(rest.map(|id| (id.clone(), called.clone())));
        }
        others
    }
}

/// The rank of a spelling, compared from the first field on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Rank {
    is_assigned: bool,
    is_subscribed: bool,
    renewed_unix_s: u64,
}

type Group = BTreeMap<DeviceId, Rank>;

/// The spellings of each device that has one with capital letters.
fn groups(cached: &[StoredHub], subscribed: &[DeviceId]) -> BTreeMap<DeviceId, Group> {
    let ids = || cached.iter().map(|row| &row.device).chain(subscribed);
    let lower = ids().filter_map(|id| {
        let lower = id.to_lower_case();
        (lower != *id).then_some(lower)
    });
    let lower: HashSet<DeviceId> = lower.collect();
    let mut groups: BTreeMap<DeviceId, Group> = BTreeMap::new();
    if lower.is_empty() {
        return groups;
    }
    let mut rank = |id: &DeviceId, add: &dyn Fn(&mut Rank)| {
        let key = id.to_lower_case();
        if lower.contains(&key) {
            add(groups
                .entry(key)
                .or_default()
                .entry(id.clone())
                .or_default());
        }
    };
    for row in cached {
        rank(&row.device, &|rank| {
            rank.is_assigned = row.assigned.is_none();
            rank.renewed_unix_s = row.renewed_unix_s;
        });
    }
    for id in subscribed {
        rank(id, &|rank| rank.is_subscribed = true);
    }
    groups
}

#[cfg(test)]
mod tests {
    use drawspan_hub::HostName;

    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    #[test]
    fn the_first_spelling_names_the_device() {
        let mut spellings = Spellings::new(true);
        let unknown = |_: &DeviceId| false;
        assert_eq!(spellings.of(&id("S1"), unknown), id("S1"));
        spellings.call(&id("S1"));
        for spelling in ["s1", "S1"] {
            assert_eq!(spellings.of(&id(spelling), unknown), id("S1"));
        }
        // One without capitals is looked for where devices are.
        let known = |device: &DeviceId| *device == id("t1");
        assert_eq!(spellings.of(&id("T1"), known), id("t1"));
        assert_eq!(spellings.of(&id("U1"), known), id("U1"));
        spellings.forget(&id("s1"));
        assert_eq!(spellings.of(&id("s1"), unknown), id("s1"));
    }

    #[test]
    fn where_case_matters_every_id_is_a_device() {
        let mut spellings = Spellings::new(false);
        spellings.call(&id("S1"));
        assert_eq!(spellings.of(&id("s1"), |_| true), id("s1"));
        assert_eq!(spellings.of(&id("S1"), |_| true), id("S1"));
    }

    #[test]
    fn those_that_nobody_needs_are_thrown_out() {
        let mut spellings = Spellings::new(true);
        for number in 0..SPELLINGS_UNCHECKED {
            assert!(!spellings.are_many());
            spellings.call(&id(&format!("S{number}")));
        }
        assert!(spellings.are_many());
        spellings.keep(|device| device.as_str().ends_with('7'));
        assert!(!spellings.are_many());
        assert_eq!(spellings.of(&id("s7"), |_| false), id("S7"));
        assert_eq!(spellings.of(&id("s8"), |_| false), id("s8"));
    }

    fn check(cached: &[(&str, Option<&str>, u64)], subscribed: &[&str], expected: &[(&str, &str)]) {
        let row = |(device, assigned, renewed): &(&str, Option<&str>, u64)| StoredHub {
            device: id(device),
            hub: HostName::parse("h.net").unwrap(),
            assigned: assigned.map(id),
            renewed_unix_s: *renewed,
        };
        let rows: Vec<_> = cached.iter().map(row).collect();
        let subscribed: Vec<_> = subscribed.iter().map(|text| id(text)).collect();
        let mut spellings = Spellings::new(true);
        let found = spellings.settle(&rows, &subscribed);
        let expected = expected
            .iter()
            .map(|(other, called)| (id(other), id(called)));
        assert_eq!(found, expected.collect(), "{cached:?} {subscribed:?}");
        for (other, called) in &found {
            let known = |device: &DeviceId| device == called;
            assert_eq!(spellings.of(other, known), *called);
        }
    }

    #[test]
    fn what_is_stored_in_two_spellings_becomes_one_device() {
        check(&[("s1", None, 1), ("t1", None, 1)], &["s1", "u1"], &[]);
        check(&[("S1", None, 1)], &["S1"], &[]);
        // The spelling that DPS has.
        let both = [("S1", Some("s1"), 9), ("s1", None, 1)];
        check(&both, &[], &[("S1", "s1")]);
        check(&both, &["S1"], &[("S1", "s1")]);
        // DPS has an id that is not used here.
        let neither = [("S1", Some("S1-x"), 1), ("s1", Some("S1-x"), 2)];
        check(&neither, &[], &[("S1", "s1")]);
        check(&neither, &["S1"], &[("s1", "S1")]);
        // Without a hub.
        check(
            &[],
            &["DEV", "Dev", "dev"],
            &[("DEV", "dev"), ("Dev", "dev")],
        );
        check(&[("DEV", None, 1)], &["dev"], &[("dev", "DEV")]);
    }
}
