//! The devices of a soak, as the hub and the bridge get to know them.

use super::{STALLED, Soak};
use crate::error::Result;

/// Devices that send once come round again after this time, which bounds the hub's registry. They are idle by then: the bridge keeps
/// a device connected for 9 to 11 minutes.
const CHURN_ROUND_S: u32 = 900;

impl Soak {
    /// The emulator's devices and faults.
    pub(crate) fn emulator_flags(&self) -> Result<Vec<String>> {
        let devices = [
            format!("good-[1-{}]", self.good),
            // The others are as if deleted.
            format!("bad-[1-{}]", self.wrong_keys()),
            format!("churn-[1-{}]", self.churn(self.length.seconds()?)),
            STALLED.to_owned(),
        ];
        let faults = ["renewals=10%".to_owned(), format!("stall={STALLED}")];
        let devices = devices.map(|id| ["--device".to_owned(), id]);
        let faults = faults.map(|fault| ["--fault".to_owned(), fault]);
        Ok(devices.into_iter().chain(faults).flatten().collect())
    }

    /// Devices with a wrong key. As many again are unknown.
    fn wrong_keys(&self) -> u32 {
        self.bad / 2
    }

    /// Different devices that send once.
    pub(super) fn churn(&self, seconds: u32) -> u32 {
        self.churn_rate * seconds.min(CHURN_ROUND_S)
    }

    /// All devices, as `device_file.py` takes them.
    pub(super) fn listed(&self, seconds: u32) -> [String; 5] {
        [
            format!("good-:1:{}", self.good),
            format!("bad-:1:{}:wrong", self.wrong_keys()),
            format!("bad-:{}:{}", self.wrong_keys() + 1, self.bad),
            format!("churn-:1:{}", self.churn(seconds)),
            "stalled-:1:1".to_owned(),
        ]
    }
}
