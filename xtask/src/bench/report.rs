//! What was measured.

use serde::Serialize;

use super::downlink::Downlinks;
use super::downlink::subscribed::Subscribed;
use super::machine::Machine;
use super::plan::{Floors, Identity};
use super::spread::Spread;
use super::storm::Storms;
use crate::error::{Error, Result};
use crate::load::Report;

/// All of it.
#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) scales: Vec<Measured>,
    /// Messages and methods to devices.
    pub(crate) downlinks: Option<Downlinks>,
    /// Many devices with four subscriptions each.
    pub(crate) subscribed: Option<Subscribed>,
    /// A send storm of one device.
    pub(crate) storms: Option<Storms>,
}

/// With one number of devices.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) devices: u32,
    /// How they prove who they are.
    pub(crate) identity: &'static str,
    #[serde(skip)]
    pub(crate) floors: Floors,
    /// The bridge's resident bytes before the first device.
    pub(crate) empty_bytes: u64,
    /// The first message of each device, which registers and connects it, where DPS is asked.
    pub(crate) registering: Option<Run>,
    /// The first message of each device, which connects it.
    pub(crate) connecting: Run,
    /// Ceiling and bridge in turn.
    pub(crate) runs: Vec<Run>,
    /// Bridge's messages per second over the ceiling's, pair by pair.
    pub(crate) of_ceiling: Spread,
    /// The bridge at rest, in order.
    pub(crate) idle: Vec<Idle>,
    /// Requests to the bridge that got 200.
    pub(crate) ok: u64,
    /// Messages that the event endpoint holds; unknown where the reader cannot run.
    pub(crate) read_back: Option<u64>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// The same API with devices that accept at once.
    Ceiling,
    /// `drawspan serve`.
    Bridge,
}

/// One load.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) target: Target,
    pub(crate) load: Report,
    pub(crate) cpu_us_per_message: Costs,
    /// Cores that were busy with something else meanwhile.
    pub(crate) cores_of_others: f64,
}

/// CPU time per message that got 200, user and system, in microseconds.
#[derive(Serialize)]
pub(crate) struct Costs {
    /// Bridge or ceiling.
    pub(crate) server: f64,
    pub(crate) emulator: f64,
    /// The load itself, which shares the cores.
    pub(crate) load: f64,
}

/// The bridge at rest.
#[derive(Serialize)]
pub(crate) struct Idle {
    /// After what.
    pub(crate) after: String,
    pub(crate) resident_bytes: u64,
    /// What was added since there was no device, by device.
    pub(crate) bytes_per_device: f64,
    /// The most that ever was resident.
    pub(crate) peak_bytes: u64,
    /// TCP connections to the hub.
    pub(crate) connections: usize,
    /// The emulator's, for comparison.
    pub(crate) emulator_resident_bytes: u64,
}

impl Identity {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Policy => "one token of the hub's policy for each connection",
            Self::Enrolled => "a token of its own for each device, registered at DPS",
        }
    }
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Bridge => "bridge",
        }
    }
}

impl Results {
    /// The file for machines.
    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Unexpected(error.to_string()))
    }
}

impl Measured {
    /// A figure of all runs of a target.
    pub(crate) fn spread(&self, target: Target, figure: impl Fn(&Run) -> f64) -> Spread {
        let runs = self.runs.iter().filter(|run| run.target == target);
        Spread::of(runs.map(figure))
    }
}
