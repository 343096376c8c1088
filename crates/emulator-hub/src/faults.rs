//! Faults on request, which are rare at a real hub.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use drawspan_hub::{DeviceId, InvalidDeviceId};

/// One fault: `renewals=PERCENT%` or `stall=DEVICE_ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Share of token renewals that are answered 500, in percent: 1 to 100.
    Renewals(u8),
    /// A device whose AMQP sessions accept nothing from it: their windows are shut when it attaches a link.
    Stall(DeviceId),
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// A name that no fault has.
    #[error("`{0}` is neither renewals=PERCENT% nor stall=DEVICE_ID")]
    Unknown(String),
    /// The share is not a percentage from 1% to 100%.
    #[error("`{0}`: the share of renewals must be 1% to 100%")]
    Share(String),
    /// The device id is invalid.
    #[error("`{text}`: {cause}")]
    Device {
        /// The whole text.
        text: String,
        /// The mistake in the id.
        #[source]
        cause: InvalidDeviceId,
    },
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        match text.split_once('=') {
            Some(("renewals", share)) => {
                let percent = share
                    .strip_suffix('%')
                    .and_then(|digits| digits.parse().ok());
                percent
                    .filter(|percent| (1..=100).contains(percent))
                    .map(Self::Renewals)
                    .ok_or_else(|| InvalidFault::Share(text.to_owned()))
            }
            Some(("stall", id)) => match DeviceId::parse(id) {
                Ok(device) => Ok(Self::Stall(device)),
                Err(cause) => Err(InvalidFault::Device {
                    text: text.to_owned(),
                    cause,
                }),
            },
            _ => Err(InvalidFault::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renewals(percent) => write!(f, "renewals={percent}%"),
            Self::Stall(device) => write!(f, "stall={device}"),
        }
    }
}

/// The faults of a running emulator.
#[derive(Debug, Default)]
pub struct Faults {
    /// In percent.
    failing_renewals: u8,
    renewals: AtomicU64,
    stalled: HashSet<DeviceId>,
}

impl Faults {
    /// What is caused from now on.
    pub fn new(faults: &[Fault]) -> Self {
        let mut all = Self::default();
        for fault in faults {
            match fault {
                Fault::Renewals(percent) => all.failing_renewals = *percent,
                Fault::Stall(device) => {
                    all.stalled.insert(device.clone());
                }
            }
        }
        all
    }

    /// Whether any renewals fail.
    pub fn fail_renewals(&self) -> bool {
        self.failing_renewals > 0
    }

    /// Whether the next renewal fails. The share is spread evenly, the same in each run.
    pub fn fails_next_renewal(&self) -> bool {
        let percent = u64::from(self.failing_renewals);
        let before = self.renewals.fetch_add(1, Ordering::Relaxed) % 100 * percent;
        before / 100 < (before + percent) / 100
    }

    /// Whether the device's sessions accept nothing from it.
    pub fn stalls(&self, device: &DeviceId) -> bool {
        self.stalled.contains(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_strictly() {
        for text in [
            "renewals=1%",
            "renewals=100%",
            "stall=sensor-1",
            "stall=a=b",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "renewals",
            "renewals=10",
            "renewals=0%",
            "renewals=101%",
            "renewals=-1%",
            "renewals=1.5%",
            "Renewals=10%",
            "stall",
            "stall=",
            "stall=a/b",
            "drop=10%",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_renewals_is_exact_and_spread() {
        for percent in [1_u8, 10, 33, 50, 99, 100] {
            let faults = Faults::new(&[Fault::Renewals(percent)]);
            let failing =
                |number: usize| (0..number).filter(|_| faults.fails_next_renewal()).count();
            let (first, second) = (failing(50), failing(50));
            assert_eq!(first + second, usize::from(percent), "{percent}");
            assert!(
                first.abs_diff(second) <= 1,
                "{percent}: {first} and {second}"
            );
        }
    }
}
