//! What is measured, and for how long.

/// Devices that one hub connection carries at most: the floor for connections.
pub(crate) const DEVICES_PER_CONNECTION: u32 = 995;
/// The bridge shall reach this part of the ceiling's messages per second.
pub(crate) const FLOOR_OF_CEILING: f64 = 0.30;
/// A connected device shall take no more than this of the bridge's memory.
pub(crate) const FLOOR_BYTES_PER_DEVICE: f64 = 4096.0;
/// HTTP connections of the load that connects the devices.
pub(crate) const CONNECTING: u32 = 256;

/// One run of `cargo xtask bench`.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) scales: [Scale; 2],
}

/// Measurements with one number of devices.
pub(crate) struct Scale {
    pub(crate) devices: u32,
    /// Runs of ceiling and bridge, in turn.
    pub(crate) pairs: u32,
    /// How long each run takes.
    pub(crate) seconds: u32,
    /// HTTP connections of each run, one request in flight on each.
    pub(crate) connections: u32,
    /// Which floors hold for this number of devices.
    pub(crate) floors: Floors,
}

/// What is worth comparing at a number of devices.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Floors {
    /// Speed beside the ceiling.
    Speed,
    /// Memory per device.
    Memory,
}

impl Plan {
    /// What figures are quoted from.
    pub(crate) const FULL: Self = Self {
        name: "full",
        scales: [
            Scale {
                devices: 1_000,
                pairs: 5,
                seconds: 5,
                connections: 64,
                floors: Floors::Speed,
            },
            Scale {
                devices: 50_000,
                pairs: 2,
                seconds: 10,
                connections: 64,
                floors: Floors::Memory,
            },
        ],
    };
    /// For a look.
    pub(crate) const QUICK: Self = Self {
        name: "quick",
        scales: [
            Scale {
                devices: 1_000,
                pairs: 2,
                seconds: 2,
                connections: 64,
                floors: Floors::Speed,
            },
            Scale {
                devices: 10_000,
                pairs: 1,
                seconds: 2,
                connections: 64,
                floors: Floors::Memory,
            },
        ],
    };

    /// Roughly, with starting and connecting.
    pub(crate) fn about_s(&self) -> u32 {
        let runs = |scale: &Scale| 2 * scale.pairs * scale.seconds;
        let connecting = |scale: &Scale| 10 + scale.devices / 2_500;
        self.scales
            .iter()
            .map(|scale| runs(scale) + connecting(scale))
            .sum()
    }
}
