//! The faults stop: within bounded time every device does what is wanted of it.

use std::time::Duration;

use drawspan_fleet::State;

use super::World;
use crate::check::{Violation, ensure};
use crate::dps;
use crate::fault::Fault;
use crate::hub::{DeviceNo, Registered, Troubles};
use crate::scenario::Profile;

/// The longest that devices take once nothing goes wrong any more and no quota is used up: the longest waits of the
/// schedule, of the budget at DPS and of the pace, one after the other.
pub(super) const SETTLES_WITHIN: Duration = Duration::from_secs(4 * 3_600);

const DAY: Duration = Duration::from_secs(86_400);

impl World {
    /// From now on there are no faults and no requests. Returns when everything must be in order.
    pub(crate) fn calm(&mut self) -> Duration {
        self.calm = true;
        self.troubled.all(self.now);
        self.process.skew_s = 0;
        self.dps.troubles = dps::Troubles::default();
        let mut quota = false;
        for hub in &mut self.hubs {
            quota |= hub.troubles.quota;
            hub.troubles = Troubles {
                quota: hub.troubles.quota,
                gone: hub.troubles.gone,
                down: hub.troubles.gone,
                ..Troubles::default()
            };
        }
        let unix_s = self.scenario.epoch_unix_s + self.now.as_secs();
        let midnight = Duration::from_secs(86_400 - unix_s % 86_400);
        let quota_lasts = match (quota, self.clock_was_off) {
            // Somebody waits for the midnight of a clock that was wrong.
            (_, true) => DAY,
            (true, false) => midnight,
            (false, false) => Duration::ZERO,
        };
        self.now + SETTLES_WITHIN + self.scenario.gone_after + quota_lasts
    }

    /// Whether every device does what is wanted of it.
    pub(crate) fn is_settled(&self) -> bool {
        let mut devices = 0..self.scenario.devices as DeviceNo;
        devices.all(|device| self.unsettled(device).is_none())
            && self.unsettled_connections().is_none()
    }

    /// Why there are other connections than there should be: both sides have the same, and not many more than are needed.
    fn unsettled_connections(&self) -> Option<String> {
        for (number, hub) in self.hubs.iter().enumerate() {
            let (here, there) = (self.process.lines_to(number), hub.lines().len());
            if here != there {
                return Some(format!(
                    "{here} connections to {}, which has {there}",
                    hub.host
                ));
            }
        }
        // A limit learned from a refusal without a cause is unlearned as devices come, which no longer happens. Nor is there a
        // cause here when tokens of a clock that was ahead count longer than it says.
        if self.clock_was_ahead || self.scenario.faults.contains(&Fault::TokenLimit) {
            return None;
        }
        let mut all = self.process.connections();
        let many = all.find(|(_, connections, needed)| *connections > needed + 1 + needed / 10);
        many.map(|(hub, connections, needed)| {
            format!("{connections} connections to {hub:?}, where {needed} would do")
        })
    }

    /// Why a device is not as it should be.
    fn unsettled(&self, device: DeviceNo) -> Option<String> {
        let state = self.process.machine_of(device).map(|it| it.state());
        let connected = matches!(state, Some(State::Connected { .. }));
        if !self.process.wants[device as usize].permanent() {
            return state.map(|state| format!("device {device} is wanted by nobody and {state:?}"));
        }
        let standing = self.hubs.iter().any(|hub| hub.session(device).is_some());
        if connected != standing {
            return Some(format!(
                "device {device} is {state:?}, at its hub: {standing}"
            ));
        }
        (self.is_admissible(device) && !connected)
            .then(|| format!("device {device} is wanted and {state:?}"))
    }

    /// Whether its hub takes it, or will once it asks DPS.
    fn is_admissible(&self, device: DeviceNo) -> bool {
        let enrolment = self.dps.enrolment(device);
        let registered = self.hubs[enrolment.hub].registered(device);
        match self.scenario.profile {
            Profile::Policy | Profile::DeviceKeys => registered == Registered::Enabled,
            Profile::Dps => enrolment.enabled && registered != Registered::Disabled,
        }
    }

    /// At the end.
    pub(crate) fn settled(&self) -> Result<(), Violation> {
        for device in 0..self.scenario.devices as DeviceNo {
            let why = self.unsettled(device);
            ensure(why.is_none(), "SETTLED", || why.unwrap_or_default())?;
        }
        let why = self.unsettled_connections();
        ensure(why.is_none(), "CONNECTIONS", || why.unwrap_or_default())?;
        let attached: usize = self.hubs.iter().map(|hub| hub.sessions()).sum();
        let known = self.process.fleet().len();
        ensure(attached <= known, "SETTLED", || {
            format!("{attached} devices are attached at hubs, {known} are known here")
        })
    }
}
