//! Devices with certificates over real sockets: HTTPS and MQTT, at hubs and at the provisioning service.

use drawspan_emulator::{Config, Emulator, Running};
use drawspan_hub::{DeviceId, ErrorCode, RegistrationId};
use drawspan_hub_model::device::Authentication;
use drawspan_hub_model::dps::{Attestation, Enrollment, EnrollmentGroup, Terms};
use drawspan_hub_model::x509::Certificate;
use drawspan_segment_log::{AuthKind, AuthScope};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{HUB, Identity, ask, ask_as, assert_refused, config, connect_as};

const SCOPE: &str = "0ne00000001";

/// Makes certificates.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name, 30);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(crate) fn pem(&self) -> String {
        pem(&self.der)
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der).unwrap()
    }

    /// A device, which is valid for so many days yet.
    pub(crate) fn device(&self, name: &str, days: i64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let made = params(name, days).signed_by(&key, &issuer).unwrap();
        identity(made.der().clone(), &key)
    }
}

pub(crate) fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// A device that signs for itself.
pub(crate) fn self_signed(name: &str, days: i64) -> Identity {
    let key = KeyPair::generate().unwrap();
    let made = params(name, days).self_signed(&key).unwrap();
    identity(made.der().clone(), &key)
}

fn params(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    params.not_before = params.not_after - Duration::days(60);
    params
}

fn identity(der: CertificateDer<'static>, key: &KeyPair) -> Identity {
    Identity {
        chain: vec![der],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub(crate) fn thumbprint(identity: &Identity) -> String {
    let leaf = Certificate::from_der(&identity.chain[0]).unwrap();
    leaf.sha256_thumbprint()
}

/// `ca` has a certificate of the authority, `print` is known by its thumbprint, `old` by the thumbprint of one that has expired.
pub(crate) struct Fleet {
    pub(crate) authority: Authority,
    pub(crate) ca: Identity,
    pub(crate) print: Identity,
    pub(crate) old: Identity,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("devices");
        Self {
            ca: authority.device("ca", 1),
            print: self_signed("anything", 1),
            old: self_signed("old", -1),
            authority,
        }
    }

    pub(crate) fn configure(&self, config: &mut Config) {
        let printed = |identity: &Identity| Authentication::SelfSigned {
            primary: thumbprint(identity),
            secondary: None,
        };
        config.devices.push(id("keys"));
        config.authorities = vec![self.authority.certificate()];
        config.certificate_devices = vec![
            (id("ca"), Authentication::CertificateAuthority),
            (id("print"), printed(&self.print)),
            (id("old"), printed(&self.old)),
        ];
    }

    async fn start(&self) -> Running {
        let mut config = config();
        config.partitions = 1;
        self.configure(&mut config);
        Emulator::start(config).await.unwrap()
    }
}

pub(crate) async fn send(
    running: &Running,
    identity: Option<&Identity>,
    device: &str,
) -> crate::support::Answer {
    let target = format!("/devices/{device}/messages/events?api-version=2020-03-13");
    ask_as(running, identity, ("POST", &target), "x").await
}

#[tokio::test]
async fn over_https_a_certificate_stands_for_its_device() {
    let fleet = Fleet::new();
    let running = fleet.start().await;
    for (identity, device) in [(&fleet.ca, "ca"), (&fleet.print, "print")] {
        let answer = send(&running, Some(identity), device).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    let stored = running.hubs().hubs()[0].read(0, 0, 10, 10_000).unwrap();
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|it| it.origin.kind == AuthKind::X509));
    let other = Authority::new("devices").device("ca", 1);
    let refusals = [
        (None, "ca", ErrorCode::UNAUTHORIZED),
        (Some(&fleet.ca), "print", ErrorCode::UNAUTHORIZED_ACCESS),
        (Some(&fleet.print), "ca", ErrorCode::UNAUTHORIZED_ACCESS),
        (Some(&other), "ca", ErrorCode::UNAUTHORIZED_ACCESS),
        (Some(&fleet.old), "old", ErrorCode::UNAUTHORIZED_ACCESS),
        (Some(&fleet.ca), "keys", ErrorCode::UNAUTHORIZED_ACCESS),
        (Some(&fleet.ca), "nobody", ErrorCode::UNAUTHORIZED_ACCESS),
    ];
    for (identity, device, code) in refusals {
        assert_refused(&send(&running, identity, device).await, code);
    }
    // It is a device's, and no service's.
    let target = "/devices/ca?api-version=2021-04-12";
    let read = ask_as(&running, Some(&fleet.ca), ("GET", target), "").await;
    assert_refused(&read, ErrorCode::UNAUTHORIZED);
    running.shutdown().await;
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// The return code of CONNECT without a password, and the connection.
pub(crate) async fn mqtt(
    running: &Running,
    identity: Option<&Identity>,
    client: &str,
    user: &str,
) -> (
    u8,
    impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + use<>,
) {
    let (ca, address) = (running.ca_path(), running.addresses().mqtts.unwrap());
    let mut stream = connect_as(ca, address, "localhost", identity).await;
    let mut body = [&b"\0\x04MQTT\x04\x82\0\x3c"[..], &text(client), &text(user)].concat();
    let mut packet = vec![0x10, body.len() as u8];
    packet.append(&mut body);
    stream.write_all(&packet).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..2], [0x20, 2]);
    (answer[3], stream)
}

#[tokio::test]
async fn over_mqtt_a_certificate_takes_the_place_of_the_password() {
    let fleet = Fleet::new();
    let running = fleet.start().await;
    let other = Authority::new("devices").device("ca", 1);
    let cases = [
        (Some(&fleet.ca), "ca", 0),
        (Some(&fleet.print), "print", 0),
        (None, "ca", 5),
        (Some(&fleet.ca), "print", 5),
        (Some(&other), "ca", 5),
        (Some(&fleet.old), "old", 5),
        (Some(&fleet.ca), "keys", 5),
    ];
    for (identity, device, expected) in cases {
        let user = format!("{HUB}/{device}/?api-version=2021-04-12");
        let (code, _) = mqtt(&running, identity, device, &user).await;
        assert_eq!(code, expected, "{device}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn over_mqtt_a_module_has_a_certificate_of_its_own() {
    let fleet = Fleet::new();
    let running = fleet.start().await;
    let print = thumbprint(&fleet.print);
    for (path, authentication) in [
        (
            "/devices/ca/modules/m",
            r#"{"type":"certificateAuthority"}"#.to_owned(),
        ),
        (
            "/devices/keys/modules/print",
            format!(
                r#"{{"type":"selfSigned","x509Thumbprint":{{"primaryThumbprint":"{print}"}}}}"#
            ),
        ),
        ("/devices/ca/modules/keys", r#"{"type":"sas"}"#.to_owned()),
    ] {
        let body = format!(r#"{{"authentication":{authentication}}}"#);
        let answer = ask(&running, "PUT", path, &[], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let m = fleet.authority.device("ca/m", 1);
    let stranger = Authority::new("devices").device("ca/m", 1);
    let cases = [
        (&m, "ca/m", 0),
        (&fleet.print, "keys/print", 0),
        (&fleet.ca, "ca/m", 5),
        (&m, "ca", 5),
        (&m, "keys/print", 5),
        (&stranger, "ca/m", 5),
        (&m, "ca/keys", 5),
        (&m, "ca/missing", 5),
    ];
    for (identity, client, expected) in cases {
        let user = format!("{HUB}/{client}/?api-version=2021-04-12");
        let (code, mut stream) = mqtt(&running, Some(identity), client, &user).await;
        assert_eq!(code, expected, "{client}");
        if client == "ca/m" && code == 0 {
            let topic = text("devices/ca/modules/m/messages/events/");
            let body = [&topic[..], &[0, 7], b"x"].concat();
            let packet = [&[0x32, body.len() as u8][..], &body].concat();
            stream.write_all(&packet).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [0x40, 2, 0, 7]);
        }
    }
    let stored = running.hubs().hubs()[0].read(0, 0, 10, 10_000).unwrap();
    let origin = &stored[0].origin;
    assert_eq!(
        (origin.scope, origin.kind),
        (AuthScope::Module, AuthKind::X509)
    );
    running.shutdown().await;
}

/// A group of what the emulator's own authority does not sign but this one does, and one device of its own enrollment.
fn enrolled(authority: &Authority, own: &Identity) -> Config {
    let mut config = config();
    config.provisioning.retry_after_s = 0;
    config.provisioning.other_groups = vec![EnrollmentGroup {
        name: "cars".into(),
        attestation: Attestation::Signing(vec![authority.certificate()]),
        terms: Terms::default(),
    }];
    config.provisioning.individual = vec![Enrollment {
        id: RegistrationId::parse("own").unwrap(),
        device: Some(id("pump")),
        attestation: Attestation::Thumbprints(vec![thumbprint(own)]),
        terms: Terms::default(),
    }];
    config
}

async fn register(running: &Running, identity: Option<&Identity>, id: &str) -> (u16, Value) {
    let target = format!("/{SCOPE}/registrations/{id}/register?api-version=2021-06-01");
    let answer = ask_as(running, identity, ("PUT", &target), "{}").await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn devices_register_over_https_by_their_certificates() {
    let (authority, own) = (Authority::new("cars"), self_signed("own", 1));
    let running = Emulator::start(enrolled(&authority, &own)).await.unwrap();
    let car = authority.device("car-1", 1);
    let (status, answer) = register(&running, Some(&car), "car-1").await;
    assert_eq!(status, 202, "{answer}");
    let state = &answer["registrationState"];
    assert_eq!(state["x509"]["enrollmentGroupId"], "cars");
    assert_eq!(state["x509"]["certificateInfo"]["subjectName"], "CN=car-1");
    assert_eq!(state.get("symmetricKey"), None);
    let (status, answer) = register(&running, Some(&own), "own").await;
    assert_eq!(
        (status, &answer["registrationState"]["deviceId"]),
        (202, &"pump".into())
    );
    for (identity, id) in [(&car, "car-2"), (&self_signed("car-1", 1), "car-1")] {
        let (status, answer) = register(&running, Some(identity), id).await;
        assert_eq!(
            (status, &answer["errorCode"]),
            (401, &401_002.into()),
            "{answer}"
        );
    }
    let late = authority.device("car-3", -1);
    assert_eq!(register(&running, Some(&late), "car-3").await.0, 401);
    assert_eq!(register(&running, None, "car-1").await.0, 401);

    // The certificate that registered is the hub's credential.
    let hub = state["assignedHub"].as_str().unwrap();
    let hub = running
        .hubs()
        .hubs()
        .iter()
        .find(|it| it.host().as_str() == hub);
    let device = hub.unwrap().device(&id("car-1")).unwrap();
    let Authentication::SelfSigned { primary, .. } = &device.authentication else {
        panic!("{device:?}");
    };
    assert_eq!(*primary, thumbprint(&car));
    running.shutdown().await;
}

#[tokio::test]
async fn devices_register_over_mqtt_by_their_certificates() {
    let (authority, own) = (Authority::new("cars"), self_signed("own", 1));
    let running = Emulator::start(enrolled(&authority, &own)).await.unwrap();
    let car = authority.device("car-1", 1);
    let user = format!("{SCOPE}/registrations/car-1/api-version=2019-03-31");
    assert_eq!(mqtt(&running, None, "car-1", &user).await.0, 5);
    assert_eq!(mqtt(&running, Some(&own), "car-1", &user).await.0, 5);
    let (code, mut stream) = mqtt(&running, Some(&car), "car-1", &user).await;
    assert_eq!(code, 0);
    let subscribe = [&[0, 1][..], &text("$dps/registrations/res/#"), &[1]].concat();
    let topic = text("$dps/registrations/PUT/iotdps-register/?$rid=1");
    let publish = [&topic[..], b"{}"].concat();
    for (first, body) in [(0x82, subscribe), (0x30, publish)] {
        let packet = [&[first, body.len() as u8][..], &body].concat();
        stream.write_all(&packet).await.unwrap();
    }
    stream.flush().await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("assignedHub") {
        assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0, "{heard:?}");
    }
    assert!(String::from_utf8_lossy(&heard).contains("$dps/registrations/res/202/?$rid=1"));
    running.shutdown().await;
}

#[tokio::test]
async fn a_service_registers_devices_by_thumbprint_and_by_authority() {
    let fleet = Fleet::new();
    let running = fleet.start().await;
    let print = thumbprint(&fleet.old);
    for body in [
        format!(
            r#"{{"deviceId":"new","authentication":{{"type":"selfSigned","x509Thumbprint":{{"primaryThumbprint":"{print}"}}}}}}"#
        ),
        r#"{"deviceId":"new-2","authentication":{"type":"certificateAuthority"}}"#.to_owned(),
    ] {
        let target = if body.contains("new-2") {
            "/devices/new-2"
        } else {
            "/devices/new"
        };
        let answer = ask(&running, "PUT", target, &[], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let two = fleet.authority.device("new-2", 1);
    assert_eq!(send(&running, Some(&two), "new-2").await.status, 204);
    running.shutdown().await;
}
