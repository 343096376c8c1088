//! How long a fleet takes to connect to hubs of several sizes.

use std::time::Duration;

use clap::Args;
use drawspan_chart::{Axis, Lines, Mark, Series, number};
use drawspan_hub::limits::HubSize;
use drawspan_hub_model::throttle::{Admission, Now, OperationClass, RateLimits, Throttle};

use super::size;

/// Points of a line.
const POINTS: u32 = 400;
/// Hubs that are compared.
const SIZES: [&str; 3] = ["S1", "S1x9", "S2x4"];

/// Flags of the picture.
#[derive(Args, Clone, Debug)]
pub(super) struct MassConnectArgs {
    /// Devices that all want to connect at once
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// Edition and units of a hub, repeatable, up to six
    #[arg(long = "sku", value_name = "SKU[xUNITS]", default_values = SIZES, value_parser = size)]
    sizes: Vec<HubSize>,
}

impl MassConnectArgs {
    /// The picture.
    pub(super) fn draw(&self) -> Lines {
        let lines = self.sizes.iter().map(|size| self.connect(*size));
        let lines: Vec<Vec<(f64, f64)>> = lines.collect();
        let ends = lines.iter().filter_map(|line| line.last());
        let longest = ends.map(|(at, _)| *at).fold(1.0, f64::max);
        let series = self.sizes.iter().zip(&lines).map(|(size, points)| {
            let took = points.last().map_or(0.0, |(at, _)| *at);
            Series {
                label: format!("{size}: {took:.0} s"),
                points: points.clone(),
            }
        });
        Lines {
            title: format!("{} devices connect", number(self.devices.into())),
            x: Axis::to("time [s]", longest * 1.02),
            y: Axis::to("devices connected", f64::from(self.devices) * 1.08),
            series: series.collect(),
            marks: Vec::<Mark>::new(),
        }
    }

    /// Connects all devices, each of which tries again when the hub has room for it. Returns how many are connected, over time.
    fn connect(&self, size: HubSize) -> Vec<(f64, f64)> {
        let mut hub = Throttle::new(RateLimits::of(size), at(Duration::ZERO));
        let mut now = Duration::ZERO;
        let mut points = vec![(0.0, 0.0)];
        let step = (self.devices / POINTS).max(1);
        let mut connected = 0;
        while connected < self.devices {
            let at = match hub.admit(OperationClass::Connects, 1, [], at(now)) {
                Admission::Now => now,
                Admission::At(time) => time,
                Admission::Refused(refusal) => {
                    now += refusal.retry_after.max(Duration::from_micros(1));
                    continue;
                }
            };
            connected += 1;
            if connected % step == 0 || connected == self.devices {
                points.push((at.as_secs_f64(), f64::from(connected)));
            }
        }
        points
    }
}

fn at(elapsed: Duration) -> Now {
    Now {
        elapsed,
        unix_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}
