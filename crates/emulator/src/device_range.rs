//! Values of `--device`: an id, or many ids in one text, as `load-[1-50000]`. No device id has brackets.

use drawspan_hub::{DeviceId, InvalidDeviceId};
use drawspan_hub_model::limits::DEVICES_MAX;

/// Why a text names no devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidDevices {
    /// It, or what it stands for, is no device id.
    #[error("`{text}`: {cause}")]
    Id {
        /// The invalid text.
        text: String,
        /// The mistake.
        #[source]
        cause: InvalidDeviceId,
    },
    /// Brackets, but not as they should be.
    #[error("`{0}` is neither a device id nor a range like load-[1-50000]")]
    Shape(String),
    /// More than a hub takes.
    #[error("`{0}`: together these are more than {DEVICES_MAX} devices")]
    TooMany(String),
}

/// One value of the flag.
struct Devices<'a> {
    text: &'a str,
    before: &'a str,
    /// First and last number; `None` for a single id.
    range: Option<(u32, u32)>,
    after: &'a str,
}

/// All devices of all `texts`, at most [`DEVICES_MAX`], in order. Nothing is made of a text that names too many.
pub(crate) fn parse_all(texts: &[String]) -> (Vec<DeviceId>, Vec<InvalidDevices>) {
    let (mut ids, mut errors) = (Vec::new(), Vec::new());
    for text in texts {
        let added = Devices::parse(text).and_then(|devices| {
            if devices.len() > DEVICES_MAX - ids.len() {
                return Err(InvalidDevices::TooMany(text.clone()));
            }
            devices.ids()
        });
        match added {
            Ok(more) => ids.extend(more),
            Err(error) => errors.push(error),
        }
    }
    (ids, errors)
}

impl<'a> Devices<'a> {
    fn parse(text: &'a str) -> Result<Self, InvalidDevices> {
        if !text.contains(['[', ']']) {
            return Ok(Self {
                text,
                before: text,
                range: None,
                after: "",
            });
        }
        let shape = || InvalidDevices::Shape(text.to_owned());
        let (before, rest) = text.split_once('[').ok_or_else(shape)?;
        let (range, after) = rest.split_once(']').ok_or_else(shape)?;
        let (first, last) = range.split_once('-').ok_or_else(shape)?;
        let (first, last) = (number(first), number(last));
        match (first, last) {
            (Some(first), Some(last)) if first <= last && !after.contains(['[', ']']) => Ok(Self {
                text,
                before,
                range: Some((first, last)),
                after,
            }),
            _ => Err(shape()),
        }
    }

    fn len(&self) -> usize {
        self.range
            .map_or(1, |(first, last)| (last - first) as usize + 1)
    }

    fn ids(&self) -> Result<Vec<DeviceId>, InvalidDevices> {
        let Some((first, last)) = self.range else {
            return Ok(vec![id(self.text)?]);
        };
        (first..=last)
            .map(|number| id(&format!("{}{number}{}", self.before, self.after)))
            .collect()
    }
}

fn id(text: &str) -> Result<DeviceId, InvalidDevices> {
    DeviceId::parse(text).map_err(|cause| InvalidDevices::Id {
        text: text.to_owned(),
        cause,
    })
}

/// Digits only, and no zeros in front: `[01-10]` could mean two things.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (digits && !padded).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> (Vec<String>, Vec<String>) {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let (ids, errors) = parse_all(&texts);
        (
            ids.iter().map(|id| id.as_str().to_owned()).collect(),
            errors.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn ranges_stand_for_their_ids() {
        let check = |texts: &[&str], expected: &[&str]| {
            let (ids, errors) = parse(texts);
            assert_eq!(ids, expected, "{texts:?}");
            assert!(errors.is_empty(), "{errors:?}");
        };
        check(&[], &[]);
        check(&["a", "b-1-2"], &["a", "b-1-2"]);
        check(&["a[9-11]z", "b"], &["a9z", "a10z", "a11z", "b"]);
        check(&["[0-0]"], &["0"]);
        check(&["[4294967295-4294967295]"], &["4294967295"]);
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for text in [
            "a[1-2",
            "a]1-2[",
            "a1-2]",
            "a[]",
            "a[1]",
            "a[1-]",
            "a[-1-2]",
            "a[+1-2]",
            "a[2-1]",
            "a[01-02]",
            "a[1-2][1-2]",
            "a[1-4294967296]",
            "a[[1-2]]",
            "a[b-c]",
        ] {
            let (ids, errors) = parse(&[text]);
            assert!(ids.is_empty(), "{text}");
            let expected = format!("`{text}` is neither a device id nor a range");
            assert!(errors[0].starts_with(&expected), "{errors:?}");
        }
        let (ids, errors) = parse(&["a/b", "c", "d/[1-2]"]);
        assert_eq!(ids, ["c"]);
        assert!(errors[0].starts_with("`a/b`: ") && errors[1].starts_with("`d/1`: "));
    }

    #[test]
    fn a_million_together_is_the_most() {
        let (ids, errors) = parse(&["a[0-4294967295]", "b[1-999999]", "c[1-2]", "d", "e"]);
        assert_eq!((ids.len(), errors.len()), (DEVICES_MAX, 3), "{errors:?}");
        assert_eq!(ids.last().map(String::as_str), Some("d"));
        assert!(errors[0].contains("more than 1000000 devices"));
    }
}
