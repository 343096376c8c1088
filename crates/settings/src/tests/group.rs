//! The authority of an enrollment group.

use drawspan_hub::Keys;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::*;

/// Certificate and key, as files of a folder.
fn authority(folder: &Path, name: &str, is_ca: IsCa) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap();
    write(folder, &format!("{name}.pem"), &certificate.pem());
    write(folder, &format!("{name}-key.pem"), &key.serialize_pem());
}

fn a_ca() -> IsCa {
    IsCa::Ca(BasicConstraints::Unconstrained)
}

fn by_dps(folder: &Path, certificate: &str, key: &str) -> ServeArgs {
    let path = |name: &str| folder.join(name).display().to_string();
    ServeArgs::default()
        .with("api-key", "key")
        .with("id-scope", "0ne000")
        .with("group-certificate", &path(certificate))
        .with("group-certificate-key", &path(key))
}

#[test]
fn a_group_has_an_authority_whose_key_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "cars", a_ca());
    let config = config(&by_dps(folder.path(), "cars.pem", "cars-key.pem"));
    assert_eq!(
        config.profile.to_string(),
        "devices by DPS at global.azure-devices-provisioning.net, id scope 0ne000, with certificates, a connection each"
    );
    let Keys::Authority(pem) = config.profile.keys() else {
        panic!("no authority")
    };
    assert!(pem.key().contains("PRIVATE KEY"));
    assert!(!format!("{config:?}").contains("PRIVATE KEY"));
}

#[test]
fn what_is_no_authority_is_named() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "cars", a_ca());
    authority(folder.path(), "other", a_ca());
    authority(folder.path(), "leaf", IsCa::NoCa);
    let check = |args: &ServeArgs, expected: &str| {
        check_mistakes(args, &no_environment(), &[expected]);
    };
    let given = |certificate, key| by_dps(folder.path(), certificate, key);
    check(&given("leaf.pem", "leaf-key.pem"), "needs CA:TRUE");
    check(
        &given("cars.pem", "other-key.pem"),
        "the key is not the certificate's",
    );
    check(&given("gone.pem", "cars-key.pem"), "cannot read");
    let both = given("cars.pem", "cars-key.pem").with("group-key", KEY);
    check(&both, "not both");
    let path = folder.path().join("cars.pem").display().to_string();
    let without_key = dps_without_key().with("group-certificate", &path);
    check(&without_key, "the certificate needs its private key");
    check(&dps_without_key(), "--group-key");
}

fn dps_without_key() -> ServeArgs {
    ServeArgs::default()
        .with("api-key", "key")
        .with("id-scope", "0ne000")
}

#[test]
fn another_authority_counts_by_a_hangup_and_a_key_instead_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "cars", a_ca());
    authority(folder.path(), "other", a_ca());
    let start = config(&by_dps(folder.path(), "cars.pem", "cars-key.pem"));
    let other = config(&by_dps(folder.path(), "other.pem", "other-key.pem"));
    let reload = start.reload(&start, &other);
    assert!(matches!(reload.keys, Some(Keys::Authority(_))));
    assert_eq!(
        reload.changed,
        ["group_certificate", "group_certificate_key"]
    );
    let reload = start.reload(&start, &config(&dps()));
    assert!(reload.keys.is_none());
}
