//! What is measured, and for how long.

/// Devices that one hub connection carries at most: the floor for connections.
pub(crate) const DEVICES_PER_CONNECTION: u32 = 995;
/// The bridge shall reach this part of the ceiling's messages per second.
pub(crate) const FLOOR_OF_CEILING: f64 = 0.40;
/// A connected device shall take no more than this of the bridge's memory.
pub(crate) const FLOOR_BYTES_PER_DEVICE: f64 = 3072.0;
/// Devices shall be connected no slower than that, per second.
pub(crate) const FLOOR_CONNECTED_PER_S: f64 = 2_000.0;
/// HTTP connections of the load that connects the devices.
pub(crate) const CONNECTING: u32 = 256;
/// HTTP connections while devices register at DPS, which makes each of them wait for a second.
pub(crate) const REGISTERING: u32 = 2_048;

/// One run of `cargo xtask bench`.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) scales: [Scale; 3],
}

/// Measurements with one number of devices.
pub(crate) struct Scale {
    pub(crate) devices: u32,
    pub(crate) identity: Identity,
    /// Runs of ceiling and bridge, in turn.
    pub(crate) pairs: u32,
    /// How long each run takes.
    pub(crate) seconds: u32,
    /// HTTP connections of each run, one request in flight on each.
    pub(crate) connections: u32,
    /// Which floors hold for this number of devices.
    pub(crate) floors: Floors,
}

/// How devices prove who they are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Identity {
    /// One token of the hub's policy for each connection.
    Policy,
    /// A token of its own for each device, with a key of an enrollment group; registered at DPS before.
    Enrolled,
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
                identity: Identity::Policy,
                pairs: 5,
                seconds: 5,
                connections: 64,
                floors: Floors::Speed,
            },
            Scale {
                devices: 50_000,
                identity: Identity::Policy,
                pairs: 2,
                seconds: 10,
                connections: 64,
                floors: Floors::Memory,
            },
            Scale {
                devices: 50_000,
                identity: Identity::Enrolled,
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
                identity: Identity::Policy,
                pairs: 2,
                seconds: 2,
                connections: 64,
                floors: Floors::Speed,
            },
            Scale {
                devices: 10_000,
                identity: Identity::Policy,
                pairs: 1,
                seconds: 2,
                connections: 64,
                floors: Floors::Memory,
            },
            Scale {
                devices: 10_000,
                identity: Identity::Enrolled,
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
        let connecting = |scale: &Scale| match scale.identity {
            Identity::Policy => 10 + scale.devices / 2_500,
            Identity::Enrolled => 15 + scale.devices / 1_000,
        };
        self.scales
            .iter()
            .map(|scale| runs(scale) + connecting(scale))
            .sum()
    }
}
