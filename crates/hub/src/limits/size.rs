//! Editions of hubs, their units, and the rates and quotas that follow from them.

use std::fmt;
use std::str::FromStr;

use super::METHOD_BLOCK_BYTES;

/// Most units of an F1 hub, of a level 1 or 2 hub, and of a level 3 hub.
const UNITS_MAX: [u32; 3] = [1, 200, 10];

/// Edition of a hub: free, basic or standard, with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sku {
    /// Free.
    F1,
    /// Basic, level 1.
    B1,
    /// Standard, level 1.
    S1,
    /// Basic, level 2.
    B2,
    /// Standard, level 2.
    S2,
    /// Basic, level 3.
    B3,
    /// Standard, level 3.
    S3,
}

/// An edition with its number of units: what all throttles follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubSize {
    sku: Sku,
    units: u32,
}

/// A number of units that the edition does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{sku:?} hubs have 1 to {limit} units, not {units}")]
pub struct InvalidUnits {
    /// The edition.
    pub sku: Sku,
    /// Units asked for.
    pub units: u32,
    /// Most units of that edition.
    pub limit: u32,
}

/// How often something may happen, per minute, so that all documented figures are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// Events per minute.
    pub per_minute: u64,
}

impl Rate {
    /// `count` events per second.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::per_minute(count as u64 * 60)
    }

    /// `count` events per minute.
    #[must_use]
    pub const fn per_minute(count: u64) -> Self {
        Self { per_minute: count }
    }
}

impl Sku {
    /// All editions.
    pub const ALL: [Self; 7] = [
        Self::F1,
        Self::B1,
        Self::S1,
        Self::B2,
        Self::S2,
        Self::B3,
        Self::S3,
    ];

    /// Its name, as in `S1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::B1 => "B1",
            Self::S1 => "S1",
            Self::B2 => "B2",
            Self::S2 => "S2",
            Self::B3 => "B3",
            Self::S3 => "S3",
        }
    }

    /// Whether cloud-to-device messages, twins and methods exist.
    #[must_use]
    pub const fn has_cloud_to_device(self) -> bool {
        matches!(self, Self::F1 | Self::S1 | Self::S2 | Self::S3)
    }

    /// The size that counts as one message of the daily quota, in bytes.
    #[must_use]
    pub const fn meter_bytes(self) -> usize {
        match self {
            Self::F1 => 512,
            _ => 4096,
        }
    }

    const fn units_max(self) -> u32 {
        match self {
            Self::F1 => UNITS_MAX[0],
            Self::B3 | Self::S3 => UNITS_MAX[2],
            _ => UNITS_MAX[1],
        }
    }
}

impl HubSize {
    /// The smallest paid hub; what is assumed of a hub of unknown size.
    pub const S1: Self = Self {
        sku: Sku::S1,
        units: 1,
    };

    /// An edition with `units` units; F1 has 1, levels 1 and 2 up to 200, level 3 up to 10.
    pub const fn new(sku: Sku, units: u32) -> Result<Self, InvalidUnits> {
        let limit = sku.units_max();
        if units == 0 || units > limit {
            return Err(InvalidUnits { sku, units, limit });
        }
        Ok(Self { sku, units })
    }

    /// The edition.
    #[must_use]
    pub const fn sku(self) -> Sku {
        self.sku
    }

    /// The number of units.
    #[must_use]
    pub const fn units(self) -> u32 {
        self.units
    }

    /// Messages per day, counted in [`Sku::meter_bytes`], starting again at 00:00 UTC.
    #[must_use]
    pub const fn messages_per_day(self) -> u64 {
        let per_unit = match self.sku {
            Sku::F1 => 8_000,
            Sku::B1 | Sku::S1 => 400_000,
            Sku::B2 | Sku::S2 => 6_000_000,
            Sku::B3 | Sku::S3 => 300_000_000,
        };
        per_unit * self.units as u64
    }

    /// New device connections, and device-to-cloud messages: both have the same figures.
    #[must_use]
    pub const fn connections(self) -> Rate {
        Rate::per_second(match self.level() {
            Level::One => max(100, 12 * self.units),
            Level::Two => 120 * self.units,
            Level::Three => 6_000 * self.units,
        })
    }

    /// Device-to-cloud messages, of any size.
    #[must_use]
    pub const fn d2c_sends(self) -> Rate {
        self.connections()
    }

    /// Cloud-to-device messages from services; also registry operations and file upload initiations.
    #[must_use]
    pub const fn c2d_sends(self) -> Rate {
        Rate::per_minute(match self.level() {
            Level::One | Level::Two => 100 * self.units as u64,
            Level::Three => 5_000 * self.units as u64,
        })
    }

    /// Registry operations; each identity of a bulk call counts.
    #[must_use]
    pub const fn registry_operations(self) -> Rate {
        self.c2d_sends()
    }

    /// Cloud-to-device messages that devices receive over HTTPS; over AMQP and MQTT no rate applies.
    #[must_use]
    pub const fn c2d_receives(self) -> Rate {
        Rate::per_minute(match self.level() {
            Level::One | Level::Two => 1_000 * self.units as u64,
            Level::Three => 50_000 * self.units as u64,
        })
    }

    /// File upload initiations.
    #[must_use]
    pub const fn uploads(self) -> Rate {
        self.c2d_sends()
    }

    /// Queries over twins.
    #[must_use]
    pub const fn queries(self) -> Rate {
        Rate::per_minute(match self.level() {
            Level::One | Level::Two => 20 * self.units as u64,
            Level::Three => 1_000 * self.units as u64,
        })
    }

    /// Operations on jobs: create, update, list, delete.
    #[must_use]
    pub const fn job_operations(self) -> Rate {
        self.c2d_sends()
    }

    /// Operations of jobs on single devices.
    #[must_use]
    pub const fn job_device_operations(self) -> Rate {
        Rate::per_second(match self.level() {
            Level::One => 10,
            Level::Two => max(10, self.units),
            Level::Three => 50 * self.units,
        })
    }

    /// Operations on automatic configurations and Edge deployments.
    #[must_use]
    pub const fn configuration_operations(self) -> Rate {
        Rate::per_minute(20 * self.units as u64)
    }

    /// Twin reads of devices and modules.
    #[must_use]
    pub const fn twin_reads(self) -> Rate {
        Rate::per_second(match self.level() {
            Level::One => 100,
            Level::Two => max(100, 10 * self.units),
            Level::Three => 500 * self.units,
        })
    }

    /// Twin updates of devices and modules.
    #[must_use]
    pub const fn twin_updates(self) -> Rate {
        Rate::per_second(match self.level() {
            Level::One => 50,
            Level::Two => max(50, 5 * self.units),
            Level::Three => 250 * self.units,
        })
    }

    /// Direct method requests in bytes of payload per second, each rounded up to 4 KB.
    #[must_use]
    pub const fn method_bytes_per_s(self) -> u64 {
        let kilobytes = match self.level() {
            Level::One => 160,
            Level::Two => 480,
            Level::Three => 24 * 1024,
        };
        kilobytes * 1024 * self.units as u64
    }

    /// Direct methods in blocks of 4 KB of request payload.
    #[must_use]
    pub const fn method_blocks(self) -> Rate {
        Rate::per_minute(self.method_bytes_per_s() / METHOD_BLOCK_BYTES as u64 * 60)
    }

    const fn level(self) -> Level {
        match self.sku {
            Sku::F1 | Sku::B1 | Sku::S1 => Level::One,
            Sku::B2 | Sku::S2 => Level::Two,
            Sku::B3 | Sku::S3 => Level::Three,
        }
    }
}

/// A text that is not an edition with a number of units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSize {
    /// It has another form.
    #[error("`{0}` is not an edition with its units, like S1 or S1x2 (F1, B1, S1, B2, S2, B3, S3)")]
    Form(String),
    /// The edition does not have so many units.
    #[error(transparent)]
    Units(#[from] InvalidUnits),
}

impl FromStr for Sku {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let found = Self::ALL
            .iter()
            .find(|it| it.name().eq_ignore_ascii_case(text));
        found
            .copied()
            .ok_or_else(|| InvalidSize::Form(text.to_owned()))
    }
}

/// `S1`, or `S1x2` for two units; case does not matter.
impl FromStr for HubSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize::Form(text.to_owned());
        let (sku, units) = match text.split_once(['x', 'X']) {
            Some((sku, units)) => (sku, units.trim().parse().map_err(|_| invalid())?),
            None => (text, 1),
        };
        let sku = sku.trim().parse::<Sku>().map_err(|_| invalid())?;
        Ok(Self::new(sku, units)?)
    }
}

impl fmt::Display for HubSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.sku.name(), self.units)
    }
}

/// F1 is throttled like level 1.
enum Level {
    One,
    Two,
    Three,
}

const fn max(a: u32, b: u32) -> u32 {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_follow_the_documented_table() {
        let check = |sku, units, connections_s, c2d_min, reads_s, updates_s, methods_kb_s, day| {
            let size = HubSize::new(sku, units).unwrap();
            assert_eq!(size.connections(), Rate::per_second(connections_s));
            assert_eq!(size.d2c_sends(), Rate::per_second(connections_s));
            assert_eq!(size.c2d_sends(), Rate::per_minute(c2d_min));
            assert_eq!(size.registry_operations(), Rate::per_minute(c2d_min));
            assert_eq!(size.twin_reads(), Rate::per_second(reads_s));
            assert_eq!(size.twin_updates(), Rate::per_second(updates_s));
            assert_eq!(size.method_bytes_per_s(), methods_kb_s * 1024_u64);
            assert_eq!(size.messages_per_day(), day);
        };
        check(Sku::F1, 1, 100, 100, 100, 50, 160, 8_000);
        check(Sku::S1, 1, 100, 100, 100, 50, 160, 400_000);
        check(Sku::S1, 2, 100, 200, 100, 50, 320, 800_000);
        check(Sku::B1, 9, 108, 900, 100, 50, 1_440, 3_600_000);
        check(Sku::S2, 1, 120, 100, 100, 50, 480, 6_000_000);
        check(Sku::B2, 20, 2_400, 2_000, 200, 100, 9_600, 120_000_000);
        check(Sku::S3, 1, 6_000, 5_000, 500, 250, 24_576, 300_000_000);
        check(
            Sku::B3,
            10,
            60_000,
            50_000,
            5_000,
            2_500,
            245_760,
            3_000_000_000,
        );
    }

    #[test]
    fn operations_of_services_follow_the_documented_table() {
        let check = |size: &str, receives, operations, queries, job_devices_s, configurations| {
            let size: HubSize = size.parse().unwrap();
            assert_eq!(size.c2d_receives(), Rate::per_minute(receives));
            assert_eq!(size.uploads(), Rate::per_minute(operations));
            assert_eq!(size.job_operations(), Rate::per_minute(operations));
            assert_eq!(size.queries(), Rate::per_minute(queries));
            assert_eq!(
                size.job_device_operations(),
                Rate::per_second(job_devices_s)
            );
            assert_eq!(
                size.configuration_operations(),
                Rate::per_minute(configurations)
            );
        };
        check("F1", 1_000, 100, 20, 10, 20);
        check("S1x2", 2_000, 200, 40, 10, 40);
        check("S2", 1_000, 100, 20, 10, 20);
        check("S2x20", 20_000, 2_000, 400, 20, 400);
        check("S3x2", 100_000, 10_000, 2_000, 100, 40);
    }

    #[test]
    fn methods_count_in_blocks() {
        let blocks_s = |size: &str| size.parse::<HubSize>().unwrap().method_blocks();
        assert_eq!(blocks_s("S1"), Rate::per_second(40));
        assert_eq!(blocks_s("S2x2"), Rate::per_second(240));
        assert_eq!(blocks_s("S3"), Rate::per_second(6_144));
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, written) in [("S1", "S1x1"), ("s3X10", "S3x10"), ("B2 x 7", "B2x7")] {
            assert_eq!(text.parse::<HubSize>().unwrap().to_string(), written);
        }
        for wrong in ["", "S4", "S1x", "S1xx2", "S1x0", "x2", "S1x99999999999"] {
            assert!(wrong.parse::<HubSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn units_have_limits() {
        let check = |sku, units, limit| {
            let error = HubSize::new(sku, units).unwrap_err();
            assert_eq!(error, InvalidUnits { sku, units, limit });
        };
        check(Sku::F1, 2, 1);
        check(Sku::S1, 0, 200);
        check(Sku::B2, 201, 200);
        check(Sku::S3, 11, 10);
    }

    #[test]
    fn editions_differ() {
        assert!(!Sku::B1.has_cloud_to_device());
        assert!(Sku::F1.has_cloud_to_device());
        assert_eq!(Sku::F1.meter_bytes(), 512);
        assert_eq!(Sku::S3.meter_bytes(), 4096);
        assert_eq!(HubSize::S1.sku(), Sku::S1);
    }
}
