//! Words that several verbs take.

use std::time::Duration;

use drawspan_hub::{DeviceId, HostName};

use super::path::encoded;
use super::verb::InvalidWords;

/// Units of a duration, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A device id.
pub(super) fn device(word: &str) -> Result<DeviceId, InvalidWords> {
    DeviceId::parse(word).map_err(|error| InvalidWords::new(format!("`{word}`: {error}")))
}

/// `500ms`, `30s`, `61m`, `2h`, `1d`.
pub(super) fn duration(word: &str) -> Result<Duration, InvalidWords> {
    let unit = UNITS
        .iter()
        .find_map(|(unit, ms)| Some((word.strip_suffix(unit)?, ms)));
    let parsed = unit.and_then(|(digits, ms)| digits.parse::<u64>().ok()?.checked_mul(*ms));
    let parsed = parsed.filter(|ms| *ms > 0);
    parsed.map(Duration::from_millis).ok_or_else(|| {
        InvalidWords::new(format!(
            "`{word}` is no duration, such as 500ms, 30s or 61m"
        ))
    })
}

/// Whether a word is meant as a duration, a wrong one included: a number and a unit.
pub(super) fn is_meant_as_duration(word: &str) -> bool {
    let number = UNITS.iter().find_map(|(unit, _)| word.strip_suffix(unit));
    let is_number = |number: &str| number.bytes().all(|it| b"0123456789.,+-".contains(&it));
    number.is_some_and(|number| !number.is_empty() && is_number(number))
}

/// The words in front of `hub NAME`, and that name.
pub(super) fn with_hub<'a, 'b>(
    words: &'a [&'b str],
) -> Result<(&'a [&'b str], Option<HostName>), InvalidWords> {
    let [before @ .., "hub", name] = words else {
        return Ok((words, None));
    };
    let name =
        HostName::parse(name).map_err(|error| InvalidWords::new(format!("`{name}`: {error}")))?;
    Ok((before, Some(name)))
}

/// A target that is limited to one hub, if one is named.
pub(super) fn at_hub(target: String, hub: Option<HostName>) -> String {
    let Some(hub) = hub else {
        return target;
    };
    let join = if target.contains('?') { '&' } else { '?' };
    format!("{target}{join}hub={}", encoded(hub.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_are_not_zero() {
        for (word, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("61m", 3_660_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(word).unwrap().as_millis(), ms, "{word}");
        }
        for word in [
            "",
            "s",
            "0s",
            "5",
            "-5s",
            "1.5s",
            "5 s",
            "99999999999999999999d",
        ] {
            assert!(duration(word).is_err(), "{word}");
        }
        for word in ["5s", "0s", "-5s", "1.5s", "99999999999999999999d"] {
            assert!(is_meant_as_duration(word), "{word}");
        }
        for word in ["", "s", "5", "sensor-5s", "d-5"] {
            assert!(!is_meant_as_duration(word), "{word}");
        }
    }
}
