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

/// Messages and methods to devices shall take no longer, for 99 of 100, from their sender to the receiver (or back).
pub(crate) const FLOOR_DOWNLINK_P99_MS: f64 = 100.0;
/// A receiver that hangs or fails shall make the events of others so much slower at most.
pub(crate) const FLOOR_SLOWED: f64 = 1.10;
/// During a send storm of one device, 99 of 100 messages of the others shall take no longer than this many times as long.
pub(crate) const FLOOR_STORM: f64 = 1.20;
/// A device with all its links and four subscriptions shall take no more than this of the bridge's memory.
pub(crate) const FLOOR_BYTES_PER_SUBSCRIBED_DEVICE: f64 = 6144.0;

/// One run of `cargo xtask bench`.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) scales: [Scale; 3],
    pub(crate) downlinks: Downlinks,
    pub(crate) subscribed: Subscribed,
    pub(crate) storm: Storm,
}

/// A send storm of one device.
pub(crate) struct Storm {
    /// Devices beside it.
    pub(crate) devices: u32,
    /// What these send, in percent of the hub's rate.
    pub(crate) load_percent: u32,
    /// Runs without and with the storm, in turn.
    pub(crate) pairs: u32,
    /// How long each run takes.
    pub(crate) seconds: u32,
}

/// Messages and methods to devices.
pub(crate) struct Downlinks {
    pub(crate) devices: u32,
    /// Of each of both, per second.
    pub(crate) rate: u32,
    /// How long each run takes.
    pub(crate) seconds: u32,
    /// Runs.
    pub(crate) runs: u32,
    /// Of each of both, per second, while one receiver misbehaves.
    pub(crate) beside_bad_rate: u32,
    /// Part of the devices whose events go to that receiver.
    pub(crate) bad_percent: u32,
    /// Pairs of bridges with one that answers too, with one that hangs and with one that fails.
    pub(crate) rounds: u32,
    /// How long each of these takes.
    pub(crate) round_seconds: u32,
}

/// Devices with all four subscriptions.
pub(crate) struct Subscribed {
    pub(crate) devices: u32,
    /// How often the bridge is killed and started again.
    pub(crate) restarts: u32,
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

/// Which part of it to measure.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Everything.
    All,
    /// What devices send.
    Telemetry,
    /// Messages and methods to devices.
    Downlinks,
    /// Many devices with four subscriptions each.
    Subscribed,
    /// A send storm of one device.
    Storm,
}

/// How devices prove who they are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Identity {
    /// One token of the hub's policy for each connection.
    Policy,
    /// One token per device, with a key of an enrollment group; registered at DPS before.
    Enrolled,
}

/// What is worth comparing at a number of devices.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Floors {
    /// Speed compared with the ceiling.
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
        downlinks: Downlinks {
            devices: 500,
            rate: 1_000,
            seconds: 20,
            runs: 3,
            beside_bad_rate: 400,
            bad_percent: 20,
            rounds: 5,
            round_seconds: 12,
        },
        subscribed: Subscribed {
            devices: 50_000,
            restarts: 3,
        },
        storm: Storm {
            devices: 100,
            load_percent: 60,
            pairs: 5,
            seconds: 20,
        },
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
        downlinks: Downlinks {
            devices: 200,
            rate: 500,
            seconds: 3,
            runs: 1,
            beside_bad_rate: 200,
            bad_percent: 20,
            rounds: 1,
            round_seconds: 3,
        },
        subscribed: Subscribed {
            devices: 2_000,
            restarts: 1,
        },
        storm: Storm {
            devices: 100,
            load_percent: 60,
            pairs: 1,
            seconds: 5,
        },
    };

    /// Roughly, with starting and connecting.
    pub(crate) fn about_s(&self, part: Part) -> u32 {
        let downlinks = &self.downlinks;
        let runs = downlinks.runs * (downlinks.seconds + 3);
        let rounds = downlinks.rounds * 3 * (downlinks.round_seconds + 12);
        let subscribed = self.subscribed.devices / 1_000 * (2 + self.subscribed.restarts);
        let telemetry = self.telemetry_s();
        let storm = self.storm.seconds + self.storm.pairs * 2 * (self.storm.seconds + 3);
        match part {
            Part::All => telemetry + runs + rounds + subscribed + storm,
            Part::Telemetry => telemetry,
            Part::Downlinks => runs + rounds,
            Part::Subscribed => subscribed,
            Part::Storm => storm,
        }
    }

    fn telemetry_s(&self) -> u32 {
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
