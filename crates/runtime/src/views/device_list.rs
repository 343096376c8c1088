//! The list of known devices, in pages.

use std::ops::Bound;

use drawspan_gateway::{ListPage, ListQuery, Listed, Prefix};
use drawspan_hub::DeviceId;

use crate::limits::LISTED_AT_ONCE;
use crate::platform::Controller;

/// A page of the list. It visits a limited number of devices, regardless of the request.
pub(super) fn page(controller: &Controller, query: &ListQuery) -> ListPage {
    let after = query.after.as_ref();
    let candidates = match query.subscription {
        None => controller.known_after(&query.prefix, after, LISTED_AT_ONCE),
        Some(_) => subscribed_after(controller, query),
    };
    let mut page = ListPage::default();
    let full = candidates.len() >= LISTED_AT_ONCE;
    let mut last = None;
    for device in candidates {
        if page.devices.len() >= query.limit {
            page.next = last;
            return page;
        }
        let listed = listed(controller, device);
        last = Some(listed.device.clone());
        if is_asked_for(&listed, query) && is_within(controller, &listed.device, &query.within) {
            page.devices.push(listed);
        }
    }
    if full {
        page.next = last;
    }
    page
}

fn subscribed_after(controller: &Controller, query: &ListQuery) -> Vec<DeviceId> {
    let prefix = query.prefix.as_str();
    let from = match &query.after {
        Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
        _ => Bound::Included(prefix),
    };
    let devices = controller.table().devices_from(from);
    devices
        .take_while(|device| query.prefix.covers(device))
        .take(LISTED_AT_ONCE)
        .cloned()
        .collect()
}

fn is_within(controller: &Controller, device: &DeviceId, within: &Prefix) -> bool {
    if within.as_str().is_empty() {
        return true;
    }
    let names = controller.names(device);
    within.covers(&names.assigned.unwrap_or(names.called))
}

fn listed(controller: &Controller, device: DeviceId) -> Listed {
    let index = controller.fleet().find(&device);
    let machine = index.and_then(|index| controller.fleet().machine(index));
    let hub = machine.and_then(|machine| machine.hub()).cloned();
    let cached = || controller.cache().get(&device).map(|it| it.hub.clone());
    Listed {
        status: controller.status_of(&device),
        hub: hub.or_else(cached),
        subscriptions: controller.table().kinds(&device),
        device,
    }
}

fn is_asked_for(listed: &Listed, query: &ListQuery) -> bool {
    let status = listed.status.map(|(status, _)| status);
    query.status.is_none_or(|wanted| status == Some(wanted))
        && query
            .subscription
            .is_none_or(|wanted| listed.subscriptions.contains(&wanted))
}
