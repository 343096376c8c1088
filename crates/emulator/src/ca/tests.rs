use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use drawspan_hub::HostName;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use super::{CA_FILE, CaError, KEY_FILE, Tls, prepare};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn hubs() -> Vec<HostName> {
    ["contoso.azure-devices.net", "dps.test"]
        .iter()
        .map(|name| HostName::parse(name).unwrap())
        .collect()
}

/// Shakes hands in memory: a client that trusts nothing but `ca_pem` against the server.
fn shake(
    ca_pem: &str,
    tls: &Tls,
    name: &str,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(&tls.server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server
            .process_new_packets()
            .map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client
            .process_new_packets()
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn every_name_is_covered_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let tls = prepare(folder.path(), true, LOOPBACK, &hubs()).unwrap();
    let ca_pem = fs::read_to_string(folder.path().join(CA_FILE)).unwrap();
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "contoso.azure-devices.net",
        "dps.test",
    ] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            assert_eq!(
                shake(&ca_pem, &tls, name, version),
                Ok(()),
                "{name} {version:?}"
            );
        }
    }
    assert!(shake(&ca_pem, &tls, "other.test", &rustls::version::TLS13).is_err());
}

#[test]
fn the_authority_stays_and_covers_new_names() {
    let folder = tempfile::tempdir().unwrap();
    let first = prepare(folder.path(), true, LOOPBACK, &[]).unwrap();
    let second = prepare(folder.path(), true, LOOPBACK, &hubs()).unwrap();
    assert_eq!(first.ca_pem, second.ca_pem);
    assert_eq!(
        shake(&first.ca_pem, &second, "dps.test", &rustls::version::TLS12),
        Ok(())
    );
}

#[test]
fn two_authorities_have_nothing_in_common() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = prepare(one.path(), true, LOOPBACK, &[]).unwrap();
    let other = prepare(other.path(), true, LOOPBACK, &[]).unwrap();
    assert!(shake(&one.ca_pem, &other, "localhost", &rustls::version::TLS13).is_err());
}

#[test]
fn the_key_is_for_its_owner_or_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), false, LOOPBACK, &[]).unwrap();
    assert!(!folder.path().join(KEY_FILE).exists() && folder.path().join(CA_FILE).exists());
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), true, LOOPBACK, &[]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.path().join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_lost_certificate_is_made_again_from_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let before = prepare(folder.path(), true, LOOPBACK, &[]).unwrap();
    fs::remove_file(folder.path().join(CA_FILE)).unwrap();
    let after = prepare(folder.path(), true, LOOPBACK, &[]).unwrap();
    assert_eq!(
        shake(&before.ca_pem, &after, "localhost", &rustls::version::TLS13),
        Ok(())
    );
}

#[test]
fn what_does_not_fit_together_is_named() {
    let check = |harm: &dyn Fn(&Path), fits: &dyn Fn(&CaError) -> bool| {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path(), true, LOOPBACK, &[]).unwrap();
        harm(folder.path());
        let error = prepare(folder.path(), true, LOOPBACK, &[]).unwrap_err();
        assert!(fits(&error), "{error}");
    };
    let unusable = |error: &CaError| matches!(error, CaError::Unusable { .. });
    check(
        &|folder| fs::remove_file(folder.join(KEY_FILE)).unwrap(),
        &unusable,
    );
    check(
        &|folder| fs::write(folder.join(CA_FILE), "rubbish").unwrap(),
        &unusable,
    );
    check(
        &|folder| fs::write(folder.join(KEY_FILE), "rubbish").unwrap(),
        &|error| matches!(error, CaError::Certificate { .. }),
    );
}
