//! While everything that a device needs works, no caller waits for it long, regardless of other devices.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_fleet::State;
use drawspan_fleet::governor::Pace;

use super::World;
use super::settle::SETTLES_WITHIN;
use crate::check::{Violation, ensure};
use crate::dps::HubNo;
use crate::hub::{DeviceNo, Registered};
use crate::process::{PATIENCE, Waiting};
use crate::scenario::Profile;

/// How long after the end of a trouble a hub, or DPS, may still be approached with care: the longest waits between probes, and
/// what a hub may ask to be left alone for.
const RECOVERY: Duration = Duration::from_secs(300);

/// What may be started of a pace that is learned, at least.
const LEARNED_INTERVAL: Duration = Duration::from_millis(200);

/// When something was wrong last.
#[derive(Debug, Default)]
pub(super) struct Troubled {
    hubs: Vec<Duration>,
    dps: Duration,
    devices: Vec<Duration>,
    /// Requests of the last minute.
    asks: VecDeque<Duration>,
}

impl Troubled {
    pub(super) fn new(hubs: usize, devices: usize) -> Self {
        Self {
            hubs: vec![Duration::ZERO; hubs],
            devices: vec![Duration::ZERO; devices],
            ..Self::default()
        }
    }

    pub(super) fn hub(&mut self, hub: HubNo, now: Duration) {
        self.hubs[hub] = now;
    }

    pub(super) const fn dps(&mut self, now: Duration) {
        self.dps = now;
    }

    pub(super) fn device(&mut self, device: DeviceNo, now: Duration) {
        self.devices[device as usize] = now;
    }

    /// Everything.
    pub(super) fn all(&mut self, now: Duration) {
        self.hubs.fill(now);
        self.dps = now;
    }

    pub(super) fn asks(&mut self, now: Duration) {
        self.asks.push_back(now);
        while self.asks.front().is_some_and(|at| *at + 2 * PATIENCE < now) {
            self.asks.pop_front();
        }
    }
}

impl World {
    /// A caller waits no longer, and has not been answered.
    pub(super) fn give_up(&mut self, caller: u64) -> Result<(), Violation> {
        let Some(waiting) = self.process.gives_up(caller) else {
            return Ok(());
        };
        self.process.tally.note("waited in vain");
        let Waiting { device, asked, .. } = waiting;
        let well = self.trouble_of(device) + RECOVERY <= asked;
        let crowd = self.troubled.asks.len() as u32;
        let crowded = [self.scenario.hub_pace, self.scenario.dps_pace]
            .into_iter()
            .any(|pace| crowd * interval(pace) > PATIENCE / 3);
        ensure(!well || crowded, "WAITED-IN-VAIN", || {
            let delay = self.process.delay_of(device, self.now);
            format!("somebody asked for device {device} at {asked:?}, and is told: {delay:?}")
        })
    }

    /// A device that stays connected is, once everything has been well for long enough.
    pub(super) fn is_connected_in_time(&self, device: DeviceNo) -> Result<(), Violation> {
        let want = self.process.wants[device as usize];
        let Some(since) = want.permanent_since else {
            return Ok(());
        };
        let before = self.process.connected_until(device).unwrap_or_default();
        let well_since = self.trouble_of(device).max(since).max(before);
        let within = SETTLES_WITHIN + self.scenario.gone_after;
        if well_since + within > self.now || self.clock_was_off {
            return Ok(());
        }
        let state = self.process.machine_of(device).map(|it| it.state());
        let connected = matches!(state, Some(State::Connected { .. }));
        ensure(connected, "CONNECTED-IN-TIME", || {
            format!("device {device}, for which all is well since {well_since:?}, is {state:?}")
        })
    }

    /// When something was wrong last of what a device needs.
    fn trouble_of(&self, device: DeviceNo) -> Duration {
        let enrolment = self.dps.enrolment(device);
        let registered = self.hubs[enrolment.hub].registered(device);
        let by_dps = self.scenario.profile == Profile::Dps;
        let is_shut = match by_dps {
            true => !enrolment.enabled || registered == Registered::Disabled,
            false => registered != Registered::Enabled,
        };
        // It may be known elsewhere.
        let known = self.process.hub_of_device(device).unwrap_or(enrolment.hub);
        let hubs = [enrolment.hub, known].into_iter();
        let hub_is_wrong = |hub: HubNo| {
            let troubles = &self.hubs[hub].troubles;
            troubles.is_any() || troubles.has_wrong_key(device)
        };
        let wrong = is_shut
            || self.process.skew_s != 0
            || by_dps && self.dps.troubles.is_any()
            || hubs.clone().any(hub_is_wrong);
        if wrong {
            return self.now;
        }
        let of_dps = by_dps.then_some(self.troubled.dps);
        let of_hubs = hubs.map(|hub| self.troubled.hubs[hub]);
        let own = self.troubled.devices[device as usize];
        of_hubs.chain(of_dps).fold(own, Duration::max)
    }
}

fn interval(pace: Pace) -> Duration {
    match pace {
        Pace::Unlimited => Duration::ZERO,
        Pace::Learned | Pace::LearnedUpTo(_) => LEARNED_INTERVAL,
        Pace::Limited(rate) => Duration::from_nanos(60_000_000_000 / rate.per_minute.max(1)),
    }
}
