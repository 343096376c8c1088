//! Nothing goes wrong any more: within bounded time everything is as it should be.

use std::time::Duration;

use drawspan_bridge::subscriptions::Callback as _;
use drawspan_fleet::State;
use drawspan_hub::SubscriptionType;

use super::{DeviceNo, World};
use crate::check::{Violation, ensure};

/// The longest that links, looks at twins and waits for receivers take, one after the other.
const SETTLES_WITHIN: Duration = Duration::from_secs(2 * 3_600);

impl World {
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        let until = self.now + SETTLES_WITHIN;
        while self.now < until && self.step()? {}
        for device in 0..self.ids.len() {
            self.has_its_links(device)?;
            self.has_no_messages(device)?;
            self.is_mirrored(device)?;
        }
        let (load, _) = self.controller.events();
        ensure(load.events == 0, "EVENTS-LEFT", || format!("{load:?}"))
    }

    /// Every link that somebody wants is there, and no other.
    fn has_its_links(&self, device: DeviceNo) -> Result<(), Violation> {
        let id = &self.ids[device];
        let fleet = self.controller.fleet();
        let wish = self.controller.table().wish(id);
        let index = fleet.find(id);
        let state = index.and_then(|index| Some(fleet.machine(index)?.state()));
        // Subscriptions of the fleet are for devices that are known.
        let is_known = index.is_some() || self.controller.table().has_own(id);
        if !wish.permanent || !is_known {
            return ensure(state.is_none(), "FORGOTTEN", || {
                format!("{id} is wanted by nobody, and {state:?}")
            });
        }
        let connected = matches!(state, Some(State::Connected { .. }));
        ensure(connected, "CONNECTED", || format!("{id} is {state:?}"))?;
        let session = self.hub.devices[device].session;
        let links = session.map(|session| session.links);
        let up = index.and_then(|index| Some(fleet.context(index)?.up));
        let mut wanted = wish.links.links();
        // Whoever asked for a message keeps the link as long as the connection.
        wanted.c2d |= links.is_some_and(|links| links.c2d);
        let wanted = Some(wanted);
        ensure(links == wanted && up == wanted, "LINKS", || {
            format!("{id} has {links:?}, believes {up:?}, and should have {wanted:?}")
        })
    }

    fn is_connected(&self, device: DeviceNo) -> bool {
        self.hub.devices[device].session.is_some()
    }

    /// Messages for subscribers do not stay.
    fn has_no_messages(&self, device: DeviceNo) -> Result<(), Violation> {
        let id = &self.ids[device];
        let table = self.controller.table();
        let kind = SubscriptionType::C2dMessages;
        let left = self.hub.devices[device].messages.len();
        let wanted = table.of(id, kind).is_some() && self.is_connected(device);
        ensure(!wanted || left == 0, "MESSAGES-LEFT", || {
            format!("{left} messages for {id} are still at the hub")
        })
    }

    /// Whoever subscribes to desired properties has what the twin holds.
    fn is_mirrored(&self, device: DeviceNo) -> Result<(), Violation> {
        let id = &self.ids[device];
        let table = self.controller.table();
        let row = table.of(id, SubscriptionType::DesiredProperties);
        let Some(row) = row.filter(|_| self.is_connected(device)) else {
            return Ok(());
        };
        let receiver = row.callback.number;
        let key = (receiver, id.to_string());
        let has = self.receivers.twins.get(&key).cloned().unwrap_or_default();
        let twin = &self.hub.devices[device].twin;
        ensure(has == twin.properties, "DESIRED", || {
            let origin = row.callback.origin();
            format!(
                "{origin} has {has:?} of {id}, whose twin is {}",
                twin.json()
            )
        })
    }
}
