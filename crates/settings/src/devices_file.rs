//! The file of listed devices: one connection string per line; empty lines and lines that begin with `#` are ignored. Either all
//! devices have keys, or all have certificates, whose files are found from the folder of the list.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use drawspan_hub::{
    CertifiedConnectionString, CertifiedDevice, DeviceConnectionString, DeviceId, KeyPair,
    ListedDevice, PemCertificate,
};
use drawspan_net::ClientIdentity;

use super::file::read_text;
use super::mistakes::Mistakes;
use super::profile::Profile;
use super::provenance::Source;
use crate::limits::{
    MAX_CERTIFICATE_FILE_BYTES, MAX_DEVICES, MAX_DEVICES_FILE_BYTES, MAX_DEVICES_FILE_MISTAKES,
};
use crate::plural::count;

/// Reads the list; `None` if it cannot be used.
pub(super) fn read(path: &Path, named_by: &Source, mistakes: &mut Mistakes) -> Option<Profile> {
    let text = mistakes.keep(named_by, read_text(path, MAX_DEVICES_FILE_BYTES))?;
    let name = path.display();
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let (devices, wrong) = parse(&text, folder);
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
    (!devices.is_empty() && wrong.is_empty()).then(|| devices.into_profile())
}

const MIXED: &str = "a list has devices with keys or devices with certificates (x509=true), not both: run a bridge for each";

type Wrong = Vec<(usize, String)>;

/// The devices of a list, by what they prove themselves by.
#[derive(Default)]
struct Listed {
    by_key: HashMap<DeviceId, ListedDevice>,
    by_certificate: HashMap<DeviceId, CertifiedDevice>,
}

impl Listed {
    fn len(&self) -> usize {
        self.by_key.len() + self.by_certificate.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn into_profile(self) -> Profile {
        match self.by_certificate.is_empty() {
            true => Profile::Devices(self.by_key),
            false => Profile::Certificates(self.by_certificate),
        }
    }

    fn add_certified(&mut self, line: &str, folder: &Path) -> Result<(), String> {
        if !self.by_key.is_empty() {
            return Err(MIXED.to_owned());
        }
        let parsed = CertifiedConnectionString::parse(line);
        let parsed = parsed.map_err(|error| error.to_string())?;
        let read = |name: &str| read_text(&folder.join(name), MAX_CERTIFICATE_FILE_BYTES);
        let chain = read(&parsed.certificate_file)?;
        let key = read(&parsed.key_file)?;
        ClientIdentity::from_pem(&chain, &key).map_err(|error| {
            let (certificate, key) = (&parsed.certificate_file, &parsed.key_file);
            format!("{certificate} and {key}: {error}")
        })?;
        let device = CertifiedDevice {
            hub: parsed.host,
            certificate: PemCertificate::new(&chain, key),
        };
        match self.by_certificate.entry(parsed.device_id) {
            Entry::Vacant(place) => {
                place.insert(device);
                Ok(())
            }
            Entry::Occupied(place) => Err(format!("device `{}` is listed twice", place.key())),
        }
    }
}

fn parse(text: &str, folder: &Path) -> (Listed, Wrong) {
    let mut devices = Listed::default();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let added = if CertifiedConnectionString::is_meant(line) {
            devices.add_certified(line, folder)
        } else {
            match DeviceConnectionString::parse(line) {
                Ok(_) if !devices.by_certificate.is_empty() => Err(MIXED.to_owned()),
                Ok(connection) => add(&mut devices.by_key, connection),
                Err(error) => Err(error.to_string()),
            }
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
