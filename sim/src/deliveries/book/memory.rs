//! Who takes how much of the memory for events.

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_bridge::delivery::{Deliveries, LaneName, NoRoom, Offered, Terms};
use drawspan_bridge::limits::ORIGIN_SHARE_PERCENT;

use super::{Book, Entry, check};
use crate::deliveries::Numbered;

impl Book {
    /// What an event that was offered takes of the shared memory; `None` if it was refused.
    pub(super) fn charge(
        &self,
        lane: &LaneName,
        terms: &Terms,
        offered: Offered,
    ) -> Result<Option<usize>, String> {
        let waiting = self.lanes.get(lane).map_or(0, Vec::len);
        let taken = self.charged(|entry| entry.charged_to == terms.origin);
        let free = self.config.bytes - self.charged(|_| true);
        let share = free * ORIGIN_SHARE_PERCENT / 100;
        let fits = taken + terms.size_bytes <= share;
        let said =
            || format!("{offered:?} by {terms:?}: has {taken}, free are {free}, wait {waiting}");
        match offered {
            Offered::Queued => check(fits || terms.merges, said)?,
            // What was replaced stays in this list until it comes out.
            Offered::Merged => check(!fits || waiting >= self.config.events_per_lane, said)?,
            Offered::Full(NoRoom::Share) => check(!fits, said)?,
            Offered::Full(NoRoom::Lane) => check(waiting == self.config.events_per_lane, said)?,
            Offered::Full(NoRoom::Origins) => {}
        }
        Ok(match offered {
            Offered::Queued if fits => Some(terms.size_bytes),
            Offered::Queued | Offered::Merged => Some(0),
            Offered::Full(_) => None,
        })
    }

    /// The fullest origin has as many bytes as its events here take together.
    pub(super) fn memory_holds(&self, deliveries: &Deliveries<Numbered>) -> Result<(), String> {
        let mut each: HashMap<&str, usize> = HashMap::new();
        for entry in self.lanes.values().flatten() {
            *each.entry(&entry.charged_to).or_default() += entry.charged_bytes;
        }
        let most = each.into_values().max().unwrap_or_default();
        let said = deliveries.load().most_bytes;
        check(said == most, || {
            format!("one origin has {said} bytes, not {most}")
        })
    }

    fn charged(&self, of: impl Fn(&Entry) -> bool) -> usize {
        let entries = self.lanes.values().flatten();
        entries
            .filter(|entry| of(entry))
            .map(|entry| entry.charged_bytes)
            .sum()
    }
}

/// An event comes out that took the place of others in its lane: it has the place of the oldest, and what that took of the memory.
pub(super) fn inherit(lane: &mut Vec<Entry>, job: &Numbered) {
    let is_replaced = |entry: &Entry| job.replaced.contains(&entry.number);
    let oldest = lane.iter().find(|entry| is_replaced(entry));
    let place = oldest.map(|entry| (entry.charged_bytes, Arc::clone(&entry.charged_to)));
    lane.retain(|entry| !is_replaced(entry));
    let newest = lane.iter_mut().find(|entry| entry.number == job.number);
    if let (Some(newest), Some(place)) = (newest, place) {
        (newest.charged_bytes, newest.charged_to) = place;
    }
}
