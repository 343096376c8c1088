//! Devices that register by an enrollment group with X.509, whose authority the bridge holds.

use drawspan_emulator::{Attestation, Certificate, EnrollmentGroup, Terms};
use drawspan_gateway::{DeviceError, DeviceGateway as _};
use drawspan_hub::{HostName, PemCertificate, Telemetry};
use drawspan_metrics::{Format, Page};
use drawspan_runtime::Gateway;
use drawspan_settings::{Enrollment, Profile};
use drawspan_store::Store;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::stand::{HUB, Stand, id, soon};

/// An authority, and what a group knows of it.
struct Authority {
    pem: PemCertificate,
    known: Certificate,
}

/// One that is valid until the first of January of that year.
fn authority(name: &str, until: i32) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Authority {
        pem: PemCertificate::new(&certificate.pem(), key.serialize_pem()),
        known: Certificate::from_der(certificate.der()).unwrap(),
    }
}

async fn stand(known: &[&Authority]) -> Stand {
    let known = known.iter().map(|authority| authority.known.clone());
    let group = EnrollmentGroup {
        name: "cars".into(),
        attestation: Attestation::Signing(known.collect()),
        terms: Terms::default(),
    };
    Stand::start_with(&[], vec![group]).await
}

fn profile(stand: &Stand, authority: &Authority) -> Profile {
    Profile::Dps {
        endpoint: HostName::parse(HUB).unwrap(),
        id_scope: stand.emulator.dps().id_scope().to_owned(),
        group: Enrollment::Authority(authority.pem.clone()),
    }
}

async fn send(bridge: &Gateway, device: &str) -> Result<(), DeviceError> {
    bridge
        .send(id(device), Telemetry::json("{}"), soon())
        .await
        .map(drop)
}

async fn metric(bridge: &Gateway, name: &str) -> Option<String> {
    let mut page = Page::default();
    bridge.measure(&mut page).await;
    let text = page.text(Format::Text);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next().map(str::to_owned))
}

#[tokio::test]
async fn devices_register_by_certificate_once_and_have_a_connection_each() {
    let authority = authority("cars", 2100);
    let stand = stand(&[&authority]).await;
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let store = Store::open(directory.path(), &directory.path().join("keyring")).unwrap();
        let (bridge, _) = stand.bridge_of(profile(&stand, &authority), Some(&store));
        for device in ["car-1", "car-2"] {
            send(&bridge, device).await.unwrap();
        }
        for name in [
            "drawspan_hub_connections",
            "drawspan_hub_certificate_connections",
        ] {
            let count = metric(&bridge, name).await;
            assert_eq!(count.as_deref(), Some("2"), "{name}");
        }
    }
    // The certificates of the second process are those of the first.
    assert_eq!(stand.emulator.dps().observations().registrations, 2);
}

#[tokio::test]
async fn a_caller_is_told_at_once_why_a_certificate_is_refused() {
    let check = async |of: &Authority, known: &Authority, said: &str| {
        let stand = stand(&[known]).await;
        let (bridge, _) = stand.bridge_of(profile(&stand, of), None);
        for _ in 0..2 {
            let error = send(&bridge, "car-1").await.unwrap_err();
            let DeviceError::RefusedUntil { failure, .. } = &error else {
                panic!("{error:?}");
            };
            assert!(failure.message.contains(said), "{failure}");
        }
        let readiness = bridge.readiness();
        let codes: Vec<_> = readiness.problems.iter().map(|it| it.code()).collect();
        assert_eq!(codes, ["dps-refuses-credentials"]);
    };
    let (ours, other, expired) = (
        authority("cars", 2100),
        authority("cars", 2100),
        authority("cars", 2021),
    );
    check(&ours, &other, "the authority's certificate").await;
    check(&expired, &expired, "has expired, on 2021-01-01").await;
}

#[tokio::test]
async fn another_authority_is_taken_under_way_and_devices_register_anew() {
    let (first, second) = (authority("one", 2100), authority("two", 2100));
    let stand = stand(&[&first, &second]).await;
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), &directory.path().join("keyring")).unwrap();
    {
        let store = open();
        let (bridge, credentials) = stand.bridge_of(profile(&stand, &first), Some(&store));
        send(&bridge, "car-1").await.unwrap();
        credentials
            .replace(profile(&stand, &second).keys())
            .unwrap();
        // The one that is connected stays so.
        send(&bridge, "car-1").await.unwrap();
        send(&bridge, "car-2").await.unwrap();
        assert_eq!(stand.emulator.dps().observations().registrations, 2);
    }
    let store = open();
    let (bridge, _) = stand.bridge_of(profile(&stand, &second), Some(&store));
    send(&bridge, "car-2").await.unwrap();
    assert_eq!(stand.emulator.dps().observations().registrations, 2);
    // Its hub knows it by the certificate of before.
    send(&bridge, "car-1").await.unwrap();
    assert_eq!(stand.emulator.dps().observations().registrations, 3);
}

#[tokio::test]
async fn an_id_that_does_not_fit_into_a_certificate_is_refused() {
    let authority = authority("cars", 2100);
    let stand = stand(&[&authority]).await;
    let (bridge, _) = stand.bridge_of(profile(&stand, &authority), None);
    let error = send(&bridge, &"x".repeat(65)).await.unwrap_err();
    let shown = format!("{error:?}");
    assert!(shown.contains("too long for the common name"), "{shown}");
    send(&bridge, &"x".repeat(64)).await.unwrap();
}
