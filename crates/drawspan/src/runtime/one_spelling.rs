//! What was stored of one device in several spellings, brought together at start.

use std::collections::HashMap;

use drawspan_hub::DeviceId;
use drawspan_store::CachedHub;

use super::records::{Records, Then};
use super::shell::Remembered;
use super::spellings::Spellings;
use super::table::{Row, Table};
use crate::devices::Scope;

/// Most ids that are named in the log.
const NAMED: usize = 10;

/// Leaves one row of each device in `cached`, and its subscriptions and versions under that row's name. What the store holds
/// under other names is removed from it.
pub(super) fn settle(
    remembered: &mut Remembered,
    cached: &mut Vec<CachedHub>,
    store: Option<&drawspan_store::HubCache>,
) {
    let subscribed: Vec<DeviceId> = remembered
        .table
        .devices_from(std::ops::Bound::Unbounded)
        .cloned()
        .collect();
    let others = remembered.spellings.settle(cached, &subscribed);
    for row in cached
        .iter()
        .filter(|row| !others.contains_key(&row.device))
    {
        let assigned = row.assigned.as_ref();
        remembered.table.note_assigned(&row.device, assigned);
    }
    if others.is_empty() {
        return;
    }
    warn(&others);
    cached.retain(|row| !others.contains_key(&row.device));
    for (other, called) in &others {
        let (table, records) = (&mut remembered.table, &mut remembered.records);
        move_subscriptions(table, records, other, called);
        remembered.versions.rename(other, called);
    }
    if let Some(store) = store.cloned() {
        tokio::spawn(async move {
            for other in others.into_keys() {
                // It is looked for again at the next start.
                if let Err(error) = store.forget(other).await {
                    tracing::warn!(%error, "an old spelling of a device stays in the hub cache");
                }
            }
        });
    }
}

/// The newer one of a kind counts.
fn move_subscriptions(
    table: &mut Table,
    records: &mut Records,
    other: &DeviceId,
    called: &DeviceId,
) {
    let (from, to) = (Scope::Device(other.clone()), Scope::Device(called.clone()));
    for (kind, row) in table.take_own(other) {
        let is_newer = |known: &Row| row.created_at > known.created_at;
        if table.get(&to, kind).is_none_or(is_newer) && table.put(&to, kind, row.clone()).is_ok() {
            // First there, then away: whatever ends in between leaves one of them.
            records.put(&to, kind, &row, Then::Removed(None));
        }
        records.remove(&from, kind, Then::Removed(None));
    }
}

fn warn(others: &HashMap<DeviceId, DeviceId>) {
    let named = others.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|(other, called)| format!("{other} is {called}"))
        .collect();
    tracing::warn!(
        spellings = others.len(),
        some = ?named,
        "DPS compares ids without case: what was stored of one device by several spellings is one device's now"
    );
}

impl Spellings {
    /// For a profile in which DPS names hubs, or for another one.
    pub(super) fn of_profile(profile: &super::shell::Profile) -> Self {
        Self::new(*profile == super::shell::Profile::Dps)
    }
}
