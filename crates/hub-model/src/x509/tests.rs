//! Certificates as devices have them, and what a hub makes of them.

mod authorities;
mod modules;

use std::sync::Arc;

use drawspan_hub::ErrorCode;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use super::*;
use crate::access::{Denied, verify_certificate};
use crate::device::{Authentication, AuthenticationSpec, DeviceStatus};
use crate::policy::Right;
use crate::registry::Registry;
use crate::tests::{fresh, id, spec};

/// The middle of every test certificate's validity.
pub(crate) const NOW_S: u64 = 1_700_000_000;
const DAY_S: u64 = 24 * 60 * 60;

/// A key and its certificate.
pub(crate) struct Made {
    pub(crate) certificate: Certificate,
    params: CertificateParams,
    key: KeyPair,
}

impl Made {
    fn new(name: &str, is_ca: bool, issuer: Option<&Self>, life: (u64, u64)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        }
        let at = |unix_s| OffsetDateTime::from_unix_timestamp(unix_s as i64).unwrap();
        (params.not_before, params.not_after) = (at(life.0), at(life.1));
        let key = KeyPair::generate().unwrap();
        let made = match issuer {
            None => params.self_signed(&key),
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)),
        };
        let certificate = Certificate::from_der(made.unwrap().der()).unwrap();
        Self {
            certificate,
            params,
            key,
        }
    }

    pub(crate) fn authority(name: &str) -> Self {
        Self::new(name, true, None, (NOW_S - DAY_S, NOW_S + DAY_S))
    }

    pub(crate) fn below(&self, name: &str, is_ca: bool) -> Self {
        Self::new(name, is_ca, Some(self), (NOW_S - DAY_S, NOW_S + DAY_S))
    }

    pub(crate) fn self_signed(name: &str) -> Self {
        Self::new(name, false, None, (NOW_S - DAY_S, NOW_S + DAY_S))
    }

    pub(crate) fn presented(&self, above: &[&Self]) -> Arc<Presented> {
        let above = above.iter().map(|made| made.certificate.der().clone());
        let chain: Vec<_> = [self.certificate.der().clone()]
            .into_iter()
            .chain(above)
            .collect();
        Arc::new(Presented::from_chain(&chain, leads_to).unwrap())
    }
}

/// As the emulator has it, by the library that rustls uses.
fn leads_to(
    leaf: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
    authority: &CertificateDer<'_>,
    now_unix_s: u64,
) -> bool {
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_unix_s));
    let anchors = [webpki::anchor_from_trusted_cert(authority).unwrap()];
    let usage = webpki::KeyUsage::client_auth();
    let leaf = webpki::EndEntityCert::try_from(leaf).unwrap();
    let all = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(all, &anchors, above, now, usage, None, None)
        .is_ok()
}

fn registry(devices: Vec<(&str, Authentication)>) -> Registry {
    let mut registry = Registry::default();
    for (number, (name, authentication)) in devices.into_iter().enumerate() {
        let mut spec = spec(name);
        spec.authentication = AuthenticationSpec::Other(authentication);
        registry.create(spec, fresh(number as u8), 0).unwrap();
    }
    registry
}

fn trusting(authority: &Made, is_verified: bool) -> Authorities {
    let mut authorities = Authorities::default();
    let certificate = authority.certificate.clone();
    authorities
        .put(
            "root",
            None,
            certificate,
            is_verified,
            "1".into(),
            NOW_S * 1_000,
        )
        .unwrap();
    authorities
}

fn self_signed(primary: String, secondary: Option<String>) -> Authentication {
    Authentication::SelfSigned { primary, secondary }
}

#[test]
fn fields_are_those_of_the_certificate() {
    let made = Made::self_signed("sensor-1");
    let certificate = &made.certificate;
    assert_eq!(certificate.common_name(), Some("sensor-1"));
    assert_eq!(certificate.subject(), "CN=sensor-1");
    assert_eq!(
        (certificate.version(), certificate.is_authority()),
        (3, false)
    );
    assert_eq!(certificate.validity(NOW_S - DAY_S - 1), Validity::NotYet);
    assert_eq!(certificate.validity(NOW_S - DAY_S), Validity::Valid);
    assert_eq!(certificate.validity(NOW_S + DAY_S), Validity::Valid);
    assert_eq!(certificate.validity(NOW_S + DAY_S + 1), Validity::Expired);
    assert_eq!(certificate.sha1_thumbprint().len(), 40);
    assert!(is_thumbprint(&certificate.sha256_thumbprint()));
    assert!(Made::authority("a").certificate.is_authority());
    assert_eq!(Made::self_signed("").certificate.common_name(), None);
}

#[test]
fn certificates_are_read_as_pem_and_as_base64() {
    use base64::Engine as _;
    let certificate = Made::self_signed("a").certificate;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    assert_eq!(Certificate::from_text(&text).unwrap(), certificate);
    assert_eq!(Certificate::from_text(&pem).unwrap(), certificate);
    let check = |text: &str, expected| assert_eq!(Certificate::from_text(text), Err(expected));
    check(" ", InvalidCertificate::Missing);
    check("?", InvalidCertificate::Encoding);
    check("-----BEGIN CERTIFICATE-----", InvalidCertificate::Encoding);
    check("AAAA", InvalidCertificate::Malformed);
    let mut longer = certificate.der().to_vec();
    longer.push(0);
    assert_eq!(
        Certificate::from_der(&longer),
        Err(InvalidCertificate::Malformed)
    );
    for end in 0..certificate.der().len() {
        assert!(
            Certificate::from_der(&certificate.der()[..end]).is_err(),
            "{end}"
        );
    }
    let large = vec![0x30; crate::limits::CERTIFICATE_BYTES_MAX + 1];
    assert_eq!(
        Certificate::from_der(&large),
        Err(InvalidCertificate::TooLarge)
    );
    let nothing = Presented::from_chain(&[], leads_to);
    assert_eq!(nothing.unwrap_err(), InvalidCertificate::Missing);
}

#[test]
fn both_thumbprints_of_both_kinds_open() {
    let (one, two) = (Made::self_signed("x"), Made::self_signed("y"));
    let identities = [
        (
            one.certificate.sha1_thumbprint(),
            two.certificate.sha256_thumbprint(),
        ),
        (
            one.certificate.sha256_thumbprint().to_lowercase(),
            two.certificate.sha1_thumbprint(),
        ),
    ];
    for (primary, secondary) in identities {
        let registry = registry(vec![("a", self_signed(primary, Some(secondary)))]);
        let verify = |made: &Made| {
            let authorities = Authorities::default();
            verify_certificate(
                &made.presented(&[]),
                &id("a").into(),
                &authorities,
                &registry,
                NOW_S,
            )
        };
        for made in [&one, &two] {
            let grant = verify(made).unwrap();
            assert_eq!(grant.device().unwrap().id, id("a"));
            let host = drawspan_hub::HostName::parse("contoso.test").unwrap();
            let allows = |right, path| grant.allows(right, &host, path);
            assert_eq!(
                allows(Right::DeviceConnect, "/devices/a/messages/events"),
                Ok(())
            );
            assert_eq!(
                allows(Right::DeviceConnect, "/devices/b"),
                Err(Denied::MissingRight)
            );
            assert_eq!(
                allows(Right::RegistryRead, "/devices/a"),
                Err(Denied::MissingRight)
            );
        }
        let other = verify(&Made::self_signed("a")).unwrap_err();
        assert_eq!(other, Denied::OtherThumbprint);
    }
}

#[test]
fn an_authority_vouches_for_the_device_that_its_certificate_names() {
    let root = Made::authority("root");
    let middle = root.below("middle", true);
    let registry = registry(vec![("a", Authentication::CertificateAuthority)]);
    let check = |made: &Made, above: &[&Made], authorities: &Authorities, expected| {
        let presented = made.presented(above);
        let grant = verify_certificate(&presented, &id("a").into(), authorities, &registry, NOW_S);
        assert_eq!(
            grant.map(|grant| grant.device().unwrap().id.clone()),
            expected
        );
    };
    let trusts_root = trusting(&root, true);
    let accepted = Ok(id("a"));
    check(&root.below("a", false), &[], &trusts_root, accepted.clone());
    check(
        &middle.below("a", false),
        &[&middle],
        &trusts_root,
        accepted.clone(),
    );
    check(
        &middle.below("a", false),
        &[&middle, &root],
        &trusts_root,
        accepted.clone(),
    );
    check(
        &middle.below("a", false),
        &[],
        &trusting(&middle, true),
        accepted,
    );
    let refused = Err(Denied::UntrustedCertificate);
    check(
        &middle.below("a", false),
        &[],
        &trusts_root,
        refused.clone(),
    );
    check(
        &root.below("a", false),
        &[],
        &trusting(&root, false),
        refused.clone(),
    );
    check(
        &root.below("a", false),
        &[],
        &Authorities::default(),
        refused.clone(),
    );
    check(&Made::self_signed("a"), &[], &trusts_root, refused.clone());
    // The authority's name and nothing else of it.
    check(
        &Made::authority("root").below("a", false),
        &[],
        &trusts_root,
        refused.clone(),
    );
    // A device's certificate cannot issue others.
    let device = root.below("b", false);
    check(&device.below("a", false), &[&device], &trusts_root, refused);
    let other = Err(Denied::OtherCommonName);
    check(&root.below("A", false), &[], &trusts_root, other.clone());
    check(&root.below("", false), &[], &trusts_root, other);
}

#[test]
fn each_device_proves_itself_in_its_own_way_at_its_own_time() {
    let root = Made::authority("root");
    let leaf = root.below("ca", false);
    let own = Made::self_signed("any");
    let key = crate::tests::key(7);
    let keys = Authentication::Sas {
        primary: key.clone(),
        secondary: key,
    };
    let mut registry = registry(vec![
        ("ca", Authentication::CertificateAuthority),
        (
            "print",
            self_signed(own.certificate.sha1_thumbprint(), None),
        ),
        ("keys", keys),
        ("none", Authentication::None),
    ]);
    let mut off = spec("off");
    off.status = DeviceStatus::Disabled;
    let thumbprint = own.certificate.sha1_thumbprint();
    off.authentication = AuthenticationSpec::Other(self_signed(thumbprint, None));
    registry.create(off, fresh(9), 0).unwrap();
    let authorities = trusting(&root, true);
    let check = |device: &str, made: &Made, now, expected: Option<Denied>| {
        let presented = made.presented(&[]);
        let grant =
            verify_certificate(&presented, &id(device).into(), &authorities, &registry, now);
        assert_eq!(grant.err(), expected, "{device}");
    };
    check("ca", &leaf, NOW_S, None);
    check("print", &own, NOW_S, None);
    check("print", &leaf, NOW_S, Some(Denied::OtherThumbprint));
    check("keys", &leaf, NOW_S, Some(Denied::CertificateNotTaken));
    check("none", &leaf, NOW_S, Some(Denied::CertificateNotTaken));
    check("other", &leaf, NOW_S, Some(Denied::UnknownDevice));
    check("off", &own, NOW_S, Some(Denied::DeviceDisabled));
    for (device, made) in [("ca", &leaf), ("print", &own)] {
        check(
            device,
            made,
            NOW_S + DAY_S + 1,
            Some(Denied::CertificateExpired),
        );
        check(
            device,
            made,
            NOW_S - DAY_S - 1,
            Some(Denied::CertificateNotYetValid),
        );
    }
    assert_eq!(
        Denied::OtherThumbprint.code(),
        ErrorCode::UNAUTHORIZED_ACCESS
    );
}

#[test]
fn a_grant_ends_with_the_thumbprint_that_it_is_for() {
    let own = Made::self_signed("any");
    let thumbprint = own.certificate.sha256_thumbprint();
    let mut registry = registry(vec![("a", self_signed(thumbprint, None))]);
    let presented = own.presented(&[]);
    let authorities = Authorities::default();
    let grant =
        verify_certificate(&presented, &id("a").into(), &authorities, &registry, NOW_S).unwrap();
    assert!(grant.is_by_certificate() && grant.is_of(grant.device().unwrap()));
    assert_eq!(grant.expires_unix_s(), NOW_S + DAY_S);
    let mut changed = spec("a");
    changed.authentication = AuthenticationSpec::Other(self_signed("0".repeat(40), None));
    let any = crate::registry::IfMatch::Any;
    let changed = registry.update(changed, &any, fresh(2), 1).unwrap();
    assert!(!grant.is_of(&changed.device));
}
