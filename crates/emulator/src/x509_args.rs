//! Flags about certificates of devices, and about enrollments.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use drawspan_hub::DeviceId;
use drawspan_hub_model::device::Authentication;
use drawspan_hub_model::dps::{Attestation, EnrollmentFile, EnrollmentGroup, Terms};
use drawspan_hub_model::x509::{Certificate, is_thumbprint};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::cli::check;
use crate::config::Config;
use crate::limits::{AUTHORITY_FILE_BYTES, ENROLLMENT_FILE_BYTES};

/// Flags about certificates of devices, and about enrollments.
#[derive(Args, Clone, Debug)]
pub(crate) struct X509Args {
    /// Device with a certificate to create on every hub, repeatable: one that an authority of the hub issued to its id, or the one
    /// with this SHA-1 or SHA-256 thumbprint
    #[arg(long = "x509-device", value_name = "ID[=THUMBPRINT]")]
    x509_devices: Vec<String>,
    /// PEM file of authorities that issue certificates of devices, repeatable; taken for verified, beside the emulator's own
    #[arg(long = "x509-ca", value_name = "FILE")]
    x509_authorities: Vec<PathBuf>,
    /// Enrollment group with certificates, repeatable: of devices whose certificates the authority in this PEM file signed
    /// [default file: the emulator's own authority]
    #[arg(long = "x509-enrollment-group", value_name = "NAME[=FILE]")]
    x509_groups: Vec<String>,
    /// JSON file of enrollments, as the service API writes them: {"enrollments": […], "enrollmentGroups": […]}
    #[arg(long = "dps-enrollments", value_name = "FILE")]
    enrollments: Option<PathBuf>,
}

impl X509Args {
    /// Adds what is meant to a configuration, and what is wrong to `errors`.
    pub(crate) fn apply(&self, config: &mut Config, errors: &mut Vec<String>) {
        for text in &self.x509_devices {
            config
                .certificate_devices
                .extend(check(errors, "x509-device", device(text)));
        }
        for path in &self.x509_authorities {
            let read = check(errors, "x509-ca", authorities(path));
            config.authorities.extend(read.into_iter().flatten());
        }
        for text in &self.x509_groups {
            let read = check(errors, "x509-enrollment-group", group(text));
            config.provisioning.other_groups.extend(read);
        }
        if let Some(path) = &self.enrollments
            && let Some(text) = check(errors, "dps-enrollments", read(path, ENROLLMENT_FILE_BYTES))
        {
            match EnrollmentFile::parse(&text) {
                Ok(file) => {
                    config.provisioning.individual = file.individual;
                    config.provisioning.other_groups.extend(file.groups);
                }
                Err(invalid) => errors.extend(
                    invalid
                        .iter()
                        .map(|it| format!("--dps-enrollments: {}: {it}", path.display())),
                ),
            }
        }
    }
}

/// `ID` or `ID=THUMBPRINT`. An id may have a `=` itself, so that only a thumbprint behind it counts as one.
fn device(text: &str) -> Result<(DeviceId, Authentication), String> {
    let thumbprint = text
        .rsplit_once('=')
        .map(|(id, digits)| (id, digits.replace(':', "")))
        .filter(|(_, digits)| is_thumbprint(digits));
    let (id, authentication) = match thumbprint {
        Some((id, primary)) => (
            id,
            Authentication::SelfSigned {
                primary,
                secondary: None,
            },
        ),
        None => (text, Authentication::CertificateAuthority),
    };
    let id = DeviceId::parse(id).map_err(|error| error.to_string())?;
    Ok((id, authentication))
}

/// `NAME` or `NAME=FILE`.
fn group(text: &str) -> Result<EnrollmentGroup, String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name, Some(path)),
        None => (text, None),
    };
    Ok(EnrollmentGroup {
        name: name.into(),
        attestation: Attestation::Signing(match path {
            Some(path) => authorities(Path::new(path))?,
            None => Vec::new(),
        }),
        terms: Terms::default(),
    })
}

/// The certificates in a PEM file, at least one, all of them authorities'.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let text = read(path, AUTHORITY_FILE_BYTES)?;
    let mut found = Vec::new();
    for der in CertificateDer::pem_slice_iter(&text) {
        let der = der.map_err(|error| format!("{}: {error}", path.display()))?;
        let read = Certificate::from_der(&der).map_err(|error| error.to_string());
        let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
        if !read.is_authority() {
            let subject = read.subject();
            return Err(format!(
                "{}: {subject} is not an authority's certificate",
                path.display()
            ));
        }
        found.push(read);
    }
    match found.is_empty() {
        true => Err(format!("{}: there is no certificate in it", path.display())),
        false => Ok(found),
    }
}

fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let of = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let found = fs::metadata(path).map_err(of)?.len();
    if found > max_bytes {
        return Err(format!(
            "{} has more than {max_bytes} bytes",
            path.display()
        ));
    }
    fs::read(path).map_err(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_thumbprint_or_an_authority() {
        let thumbprint = "ab".repeat(20);
        let check = |text: &str, id: &str, expected: Option<&str>| {
            let (device, authentication) = device(text).unwrap();
            assert_eq!(device.as_str(), id);
            let found = match authentication {
                Authentication::SelfSigned { primary, .. } => Some(primary),
                _ => None,
            };
            assert_eq!(found.as_deref(), expected);
        };
        check("a", "a", None);
        check("a=b", "a=b", None);
        check(&format!("a={thumbprint}"), "a", Some(&thumbprint));
        check(&format!("a=b={thumbprint}"), "a=b", Some(&thumbprint));
        let colons = ["ab"; 20].join(":");
        check(&format!("a={colons}"), "a", Some(&thumbprint));
        assert!(device("a b").is_err());
    }
}
