//! Which items the list must have.

use std::ops::RangeInclusive;

/// Pitfalls of the wire protocol.
pub(super) const PITFALLS: RangeInclusive<u32> = 1..=55;

/// Findings of running the official clients.
pub(super) const FINDINGS: RangeInclusive<u32> = 1..=24;

/// Error codes of IoT Hub, as the article "troubleshoot IoT Hub error codes" and the SDKs list them.
pub(super) const CODES: &[RangeInclusive<u32>] = &[
    400_000..=400_032,
    400_035..=400_036,
    400_100..=400_103,
    401_000..=401_004,
    401_100..=401_100,
    403_000..=403_012,
    403_100..=403_101,
    403_800..=403_800,
    404_000..=404_002,
    404_004..=404_014,
    404_103..=404_104,
    404_301..=404_302,
    404_401..=404_402,
    405_000..=405_000,
    405_102..=405_104,
    409_000..=409_003,
    409_101..=409_104,
    409_301..=409_301,
    409_401..=409_402,
    409_501..=409_503,
    412_000..=412_004,
    413_000..=413_003,
    413_101..=413_101,
    413_201..=413_202,
    415_000..=415_000,
    415_101..=415_101,
    429_000..=429_005,
    499_000..=499_000,
    500_001..=500_001,
    500_008..=500_008,
    502_000..=502_000,
    503_000..=503_001,
    503_003..=503_006,
    503_008..=503_008,
    503_101..=503_102,
    503_201..=503_202,
    503_301..=503_301,
    504_000..=504_000,
    504_101..=504_101,
];

/// Families of codes that are listed as such.
pub(super) const FAMILIES: &[&str] = &["4003xx", "4004xx", "4005xx", "5003xx", "5004xx", "5005xx"];
