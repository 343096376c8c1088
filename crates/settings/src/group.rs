//! The enrollment group at DPS: its keys, or its authority.

use drawspan_hub::{KeyPair, PemCertificate, SymmetricKey};
use drawspan_net::DeviceAuthority;

use super::file::read_text;
use super::layers::Values;
use super::mistakes::Mistakes;
use super::profile::Enrollment;
use super::settings::Setting;
use super::value::Value;
use crate::limits::MAX_CERTIFICATE_FILE_BYTES;

/// What was given for it.
pub(super) struct Group<'a> {
    key: Option<&'a Value>,
    key_secondary: Option<&'a Value>,
    certificate: Option<&'a Value>,
    certificate_key: Option<&'a Value>,
}

impl<'a> Group<'a> {
    pub(super) fn of(values: &'a Values) -> Self {
        Self {
            key: values.get(Setting::GroupKey),
            key_secondary: values.get(Setting::GroupKeySecondary),
            certificate: values.get(Setting::GroupCertificate),
            certificate_key: values.get(Setting::GroupCertificateKey),
        }
    }

    /// The first of it, if there is any.
    pub(super) fn given(&self) -> Option<&'a Value> {
        self.keys_given().or(self.authority_given())
    }

    fn keys_given(&self) -> Option<&'a Value> {
        self.key.or(self.key_secondary)
    }

    fn authority_given(&self) -> Option<&'a Value> {
        self.certificate.or(self.certificate_key)
    }

    pub(super) fn check(&self, values: &Values, mistakes: &mut Mistakes) -> Option<Enrollment> {
        if let (Some(_), Some(authority)) = (self.keys_given(), self.authority_given()) {
            mistakes.add(
                &authority.source,
                "an enrollment group has keys (group_key) or an authority (group_certificate), not both",
            );
        }
        match self.authority_given() {
            Some(_) => self.authority(values, mistakes).map(Enrollment::Authority),
            None => self.keys(mistakes).map(Enrollment::Keys),
        }
    }

    fn keys(&self, mistakes: &mut Mistakes) -> Option<KeyPair> {
        if self.key.is_none() {
            mistakes.add_missing("--group-key", "missing; DPS needs it, with --id-scope");
        }
        let primary = key(self.key, mistakes);
        let secondary = key(self.key_secondary, mistakes);
        Some(KeyPair {
            primary: primary?,
            secondary,
        })
    }

    /// One that has expired is taken: devices and their callers are told so, as `drawspan config check --online` tells.
    fn authority(&self, values: &Values, mistakes: &mut Mistakes) -> Option<PemCertificate> {
        let mut read = |value: Option<&Value>| {
            let value = value?;
            let text = read_text(&values.path(value), MAX_CERTIFICATE_FILE_BYTES);
            mistakes.keep(&value.source, text)
        };
        let (chain, key) = (read(self.certificate), read(self.certificate_key));
        if self.certificate.is_none() {
            let text = "missing; the private key needs its certificate";
            mistakes.add_missing("--group-certificate", text);
        }
        if self.certificate_key.is_none() {
            let text = "missing; the certificate needs its private key";
            mistakes.add_missing("--group-certificate-key", text);
        }
        let (chain, key) = (chain?, key?);
        let authority = DeviceAuthority::from_pem(&chain, &key);
        mistakes.keep(&self.certificate?.source, authority)?;
        Some(PemCertificate::new(&chain, key))
    }
}

fn key(value: Option<&Value>, mistakes: &mut Mistakes) -> Option<SymmetricKey> {
    let value = value?;
    mistakes.keep(value.place(0), SymmetricKey::from_base64(value.text()))
}
