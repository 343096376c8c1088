//! A provisioning service.

use drawspan_hub::Failure;

use crate::dice::Dice;
use crate::hub::DeviceNo;
use crate::words;

/// Number of a hub.
pub(crate) type HubNo = usize;

/// What is wrong with it at the moment.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    pub(crate) down: bool,
    pub(crate) throttle: Option<Option<u32>>,
    pub(crate) errors_percent: usize,
    pub(crate) wrong_key: bool,
    pub(crate) slow: bool,
}

impl Troubles {
    pub(crate) const fn is_any(&self) -> bool {
        self.down
            || self.throttle.is_some()
            || self.errors_percent > 0
            || self.wrong_key
            || self.slow
    }
}

#[derive(Debug)]
pub(crate) struct Dps {
    pub(crate) troubles: Troubles,
    assignments: Vec<Enrolment>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Enrolment {
    pub(crate) hub: HubNo,
    pub(crate) enabled: bool,
}

impl Dps {
    pub(crate) fn new(assignments: Vec<Enrolment>) -> Self {
        Self {
            troubles: Troubles::default(),
            assignments,
        }
    }

    pub(crate) fn enrolment(&self, device: DeviceNo) -> Enrolment {
        let unknown = Enrolment {
            hub: 0,
            enabled: false,
        };
        let known = self.assignments.get(device as usize).copied();
        known.unwrap_or(unknown)
    }

    pub(crate) fn enrol(&mut self, device: DeviceNo, enrolment: Enrolment) {
        if let Some(known) = self.assignments.get_mut(device as usize) {
            *known = enrolment;
        }
    }

    /// The hub of a device.
    pub(crate) fn register(
        &self,
        device: DeviceNo,
        skew_s: i64,
        dice: &mut Dice,
    ) -> Result<HubNo, Failure> {
        let troubles = &self.troubles;
        if troubles.down {
            return Err(words::unreachable());
        }
        // A token that is valid for an hour.
        if troubles.wrong_key || skew_s < -3_600 {
            return Err(refused(401, 401_002, None));
        }
        if let Some(retry_after_s) = troubles.throttle
            && dice.percent(70)
        {
            return Err(refused(429, 429_001, retry_after_s));
        }
        if dice.percent(troubles.errors_percent) {
            let (status, code) = dice
                .pick(&[(500, 500_001), (503, 503_001)])
                .unwrap_or((500, 500_001));
            return Err(refused(status, code, None));
        }
        let enrolment = self.enrolment(device);
        if enrolment.enabled {
            Ok(enrolment.hub)
        } else {
            Err(refused(404, 404_204, None))
        }
    }
}

/// As DPS words it.
fn refused(status: u16, code: u32, retry_after_s: Option<u32>) -> Failure {
    let body = format!("{{\"errorCode\":{code},\"trackingId\":\"t\",\"message\":\"no\"}}");
    Failure::from_http(status, None, &body, retry_after_s)
}
