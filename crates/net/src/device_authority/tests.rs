use rcgen::{BasicConstraints, KeyPair, PKCS_ECDSA_P384_SHA384};
use rustls::pki_types::UnixTime;

use super::*;

const P256: (&str, &str) = (
    include_str!("fixtures/p256.pem"),
    include_str!("fixtures/p256-key.pem"),
);
const RSA: (&str, &str) = (
    include_str!("fixtures/rsa.pem"),
    include_str!("fixtures/rsa-key.pem"),
);
/// In 2030.
const NOW: u64 = 1_900_000_000;

fn authority((chain, key): (&str, &str)) -> DeviceAuthority {
    DeviceAuthority::from_pem(chain, key).unwrap()
}

fn certificate(of: (&str, &str), name: &str) -> Vec<u8> {
    let identity = authority(of).certify(name, NOW).unwrap();
    identity.certificate().unwrap().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    hash.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}

#[test]
fn a_device_has_the_same_certificate_each_time_and_another_one_than_others() {
    for of in [P256, RSA] {
        assert_eq!(certificate(of, "pump-1"), certificate(of, "pump-1"));
        assert_ne!(certificate(of, "pump-1"), certificate(of, "pump-2"));
    }
}

/// Another certificate than that of the version before makes every device register anew.
#[test]
fn certificates_are_those_of_earlier_versions() {
    let hashes = [P256, RSA].map(|of| hash(&certificate(of, "pump-1")));
    assert_eq!(
        hashes,
        [
            "021ec5771867cdfc71154e4984e83557287676a9333fd0643b150578c9826a1d",
            "bc04805078e3c2b3b39562979d0824fcfe588c4a57f0195ec3c8f9e7044199f5",
        ]
    );
}

#[test]
fn the_authority_signs_for_clients_under_the_devices_name() {
    for of in [P256, RSA] {
        let der = CertificateDer::from(certificate(of, "pump-1"));
        let root = CertificateDer::from_pem_slice(of.0.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            roots.into(),
            rustls::crypto::ring::default_provider().into(),
        );
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
        let verified = verifier.build().unwrap().verify_client_cert(&der, &[], now);
        verified.unwrap();
        let (_, read) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(read.subject().to_string(), "CN=pump-1");
    }
}

#[test]
fn names_and_times_that_do_not_fit_are_refused() {
    let authority = authority(P256);
    let long = "x".repeat(MAX_COMMON_NAME_CHARS + 1);
    let refused = |name: &str, now| authority.certify(name, now).unwrap_err();
    assert_eq!(refused(&long, NOW), NoCertificate::Name(long.clone()));
    assert!(matches!(refused("a", 1), NoCertificate::NotYet(_)));
    assert!(matches!(refused("a", u64::MAX), NoCertificate::Expired(_)));
    assert!(authority.certify(&long[1..], NOW).is_ok());
}

#[test]
fn what_is_no_authority_is_refused() {
    let check = |chain: &str, key: &str, expected| {
        let refused = DeviceAuthority::from_pem(chain, key).unwrap_err();
        assert_eq!(refused, expected);
    };
    check("", P256.1, InvalidIdentity::Certificate.into());
    check(P256.0, "", InvalidIdentity::Key.into());
    check(P256.0, RSA.1, InvalidIdentity::OtherKey.into());

    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default().self_signed(&key).unwrap();
    let (leaf, key) = (leaf.pem(), key.serialize_pem());
    check(&leaf, &key, InvalidAuthority::NotAuthority);

    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let other = params.self_signed(&key).unwrap().pem();
    check(&other, &key.serialize_pem(), InvalidAuthority::KeyKind);
}

#[test]
fn nothing_of_it_is_shown() {
    assert_eq!(format!("{:?}", authority(P256)), "DeviceAuthority");
}
