//! The file of listed devices: one connection string per line; empty lines and lines that begin with `#` are ignored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use drawspan_hub::{DeviceConnectionString, DeviceId, KeyPair, ListedDevice};

use super::file::read_text;
use super::mistakes::Mistakes;
use super::provenance::Source;
use crate::limits::{MAX_DEVICES, MAX_DEVICES_FILE_BYTES, MAX_DEVICES_FILE_MISTAKES};
use crate::plural::count;

/// Reads the list; `None` if it cannot be used.
pub(super) fn read(
    path: &Path,
    named_by: &Source,
    mistakes: &mut Mistakes,
) -> Option<HashMap<DeviceId, ListedDevice>> {
    let text = mistakes.keep(named_by, read_text(path, MAX_DEVICES_FILE_BYTES))?;
    let name = path.display();
    let (devices, wrong) = parse(&text);
    for (line, mistake) in wrong.iter().take(MAX_DEVICES_FILE_MISTAKES) {
        mistakes.add(format_args!("{name}:{line}"), mistake);
    }
    if let Some(more) = wrong
        .len()
        .checked_sub(MAX_DEVICES_FILE_MISTAKES)
        .filter(|more| *more > 0)
    {
        mistakes.add(
            &name,
            format_args!(
                "{} like these",
                count(more, "more mistake", "more mistakes")
            ),
        );
    }
    if devices.is_empty() && wrong.is_empty() {
        mistakes.add(
            named_by,
            format_args!("{name} lists no device (HostName=…;DeviceId=…;SharedAccessKey=…)"),
        );
    }
    if devices.len() > MAX_DEVICES {
        mistakes.add(
            named_by,
            format_args!("{name} lists more than {MAX_DEVICES} devices"),
        );
    }
    (!devices.is_empty() && wrong.is_empty()).then_some(devices)
}

type Wrong = Vec<(usize, String)>;

fn parse(text: &str) -> (HashMap<DeviceId, ListedDevice>, Wrong) {
    let mut devices = HashMap::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let added = match DeviceConnectionString::parse(line) {
            Ok(connection) => add(&mut devices, connection),
            Err(error) => Err(error.to_string()),
        };
        if let Err(mistake) = added {
            wrong.push((number, mistake));
        }
    }
    (devices, wrong)
}

fn add(
    devices: &mut HashMap<DeviceId, ListedDevice>,
    connection: DeviceConnectionString,
) -> Result<(), String> {
    let (device, new) = listed(connection);
    match devices.entry(device) {
        Entry::Vacant(place) => {
            place.insert(new);
            Ok(())
        }
        Entry::Occupied(place) if place.get().hub != new.hub => {
            Err(format!("device `{}` is listed with two hubs", place.key()))
        }
        Entry::Occupied(place) if place.get().keys.secondary.is_some() => Err(format!(
            "device `{}` is listed a third time; a device has two keys",
            place.key()
        )),
        Entry::Occupied(mut place) => {
            place.get_mut().keys.secondary = Some(new.keys.primary);
            Ok(())
        }
    }
}

/// A device as its connection string tells it.
fn listed(connection: DeviceConnectionString) -> (DeviceId, ListedDevice) {
    let DeviceConnectionString {
        host,
        device_id,
        key,
    } = connection;
    let listed = ListedDevice {
        hub: host,
        keys: KeyPair::single(key),
    };
    (device_id, listed)
}
