//! Enrollments as JSON.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::device::DeviceStatus;
use crate::x509::tests::Made;

use super::*;

fn base64(made: &Made) -> String {
    base64::engine::general_purpose::STANDARD.encode(made.certificate.der())
}

fn read(body: &Value) -> Result<EnrollmentFile, Vec<String>> {
    let read = EnrollmentFile::parse(body.to_string().as_bytes());
    read.map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn keys() -> Value {
    let keys = json!({ "primaryKey": key(1).to_base64(), "secondaryKey": key(2).to_base64() });
    json!({ "type": "symmetricKey", "symmetricKey": keys })
}

#[test]
fn enrollments_are_read_as_the_service_writes_them() {
    let (leaf, root) = (Made::self_signed("dev-2"), Made::authority("root"));
    let thumbprint = leaf.certificate.sha1_thumbprint();
    let file = read(&json!({
        "enrollments": [
            {
                "registrationId": "dev-1", "deviceId": "pump", "attestation": keys(),
                "iotHubHostName": "b.test", "capabilities": { "iotEdge": true },
                "etag": "x", "createdDateTimeUtc": "y", "registrationState": { "status": "assigned" },
                "initialTwin": { "tags": {}, "properties": { "desired": {} } },
                "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": true },
            },
            {
                "registrationId": "dev-2", "provisioningStatus": "disabled", "attestation": { "type": "x509", "x509": {
                    "clientCertificates": {
                        "primary": { "certificate": base64(&leaf) },
                        "secondary": { "certificate": null, "info": { "sha1Thumbprint": thumbprint } },
                    },
                    "signingCertificates": null, "caReferences": { "primary": null, "secondary": null },
                }},
            },
        ],
        "enrollmentGroups": [
            { "enrollmentGroupId": "keys", "attestation": keys(), "allocationPolicy": "hashed" },
            {
                "enrollmentGroupId": "cars", "allocationPolicy": "static", "iotHubs": ["b.test"],
                "attestation": { "type": "x509", "x509": {
                    "signingCertificates": { "primary": { "certificate": base64(&root) }, "secondary": null },
                }},
            },
        ],
    }))
    .unwrap();
    let [one, two] = file.individual.as_slice() else {
        panic!("{file:?}");
    };
    assert_eq!(
        (one.id.as_str(), one.device.as_ref().unwrap().as_str()),
        ("dev-1", "pump")
    );
    let terms = Terms {
        status: DeviceStatus::Enabled,
        hub: Some(host("b.test")),
        iot_edge: true,
    };
    assert_eq!(one.terms, terms);
    assert!(matches!(&one.attestation, Attestation::SymmetricKey { .. }));
    assert_eq!(two.terms.status, DeviceStatus::Disabled);
    let Attestation::Thumbprints(known) = &two.attestation else {
        panic!("{two:?}");
    };
    assert_eq!(*known, [leaf.certificate.sha256_thumbprint(), thumbprint]);
    assert!(matches!(
        &file.groups[0].attestation,
        Attestation::SymmetricKey { .. }
    ));
    assert_eq!(file.groups[1].terms.hub, Some(host("b.test")));
    let Attestation::Signing(signing) = &file.groups[1].attestation else {
        panic!("{:?}", file.groups);
    };
    assert_eq!(*signing, [root.certificate]);
}

#[test]
fn what_is_wrong_or_not_served_is_refused_by_name() {
    let leaf = base64(&Made::self_signed("a"));
    let x509 = |x509: Value| json!({ "type": "x509", "x509": x509 });
    let pair = |text: &str| json!({ "primary": { "certificate": text } });
    let with = |name: &str, value: Value| {
        let mut body = json!({ "registrationId": "a", "attestation": keys() });
        body[name] = value;
        body
    };
    let table = [
        (json!({}), "registrationId is missing"),
        (with("registrationId", json!("a b")), "registration id"),
        (json!({ "registrationId": "a" }), "attestation is missing"),
        (
            with("attestation", json!({ "type": "tpm" })),
            "tpm is not served",
        ),
        (with("attestation", json!({})), "attestation.type"),
        (
            with(
                "attestation",
                json!({ "type": "symmetricKey", "symmetricKey": {} }),
            ),
            "primaryKey is missing",
        ),
        (
            with("attestation", x509(json!({}))),
            "clientCertificates is missing",
        ),
        (
            with("attestation", x509(json!({ "clientCertificates": {} }))),
            "primary certificate",
        ),
        (
            with(
                "attestation",
                x509(json!({ "clientCertificates": pair("?") })),
            ),
            "neither PEM",
        ),
        (
            with(
                "attestation",
                x509(json!({ "signingCertificates": pair(&leaf) })),
            ),
            "are for groups",
        ),
        (
            with(
                "attestation",
                x509(json!({ "caReferences": { "primary": "x" } })),
            ),
            "caReferences",
        ),
        (
            with("provisioningStatus", json!("off")),
            "provisioningStatus",
        ),
        (
            with("allocationPolicy", json!("geoLatency")),
            "geoLatency is not served",
        ),
        (
            with("allocationPolicy", json!("static")),
            "needs iotHubHostName",
        ),
        (
            with("iotHubs", json!(["a.test", "b.test"])),
            "several iotHubs",
        ),
        (
            with("initialTwin", json!({ "tags": { "a": 1 } })),
            "initialTwin",
        ),
        (
            with("customAllocationDefinition", json!({ "webhookUrl": "x" })),
            "customAllocation",
        ),
        (
            with("reprovisionPolicy", json!({ "migrateDeviceData": false })),
            "reprovisionPolicy",
        ),
        (with("deviceId", json!("a b")), "device id"),
    ];
    for (body, expected) in table {
        let errors = read(&json!({ "enrollments": [body] })).unwrap_err();
        assert!(errors[0].contains(expected), "{expected}: {errors:?}");
    }
    let group = |attestation| json!({ "enrollmentGroups": [{ "enrollmentGroupId": "g", "attestation": attestation }] });
    for (attestation, expected) in [
        (
            x509(json!({ "signingCertificates": pair(&leaf) })),
            "not an authority",
        ),
        (
            x509(json!({ "clientCertificates": pair(&leaf) })),
            "single devices",
        ),
    ] {
        let errors = read(&group(attestation)).unwrap_err();
        assert!(
            errors[0].starts_with("enrollmentGroups[0], g: "),
            "{errors:?}"
        );
        assert!(errors[0].contains(expected), "{expected}: {errors:?}");
    }
    // Everything at once, and nothing of what may be a key.
    let two =
        json!({ "enrollments": [{}, {}], "enrollmentGroups": [{ "enrollmentGroupId": "a b" }] });
    assert_eq!(read(&two).unwrap_err().len(), 3);
    let secret = EnrollmentFile::parse(br#"{"enrollments": "c2VjcmV0"}"#).unwrap_err();
    assert_eq!(
        secret[0].to_string(),
        "the file: it is not what is expected, at line 1, column 26"
    );
    assert!(read(&json!({ "other": [] })).is_err());
}

#[test]
fn a_service_takes_each_name_once_and_hubs_that_there_are() {
    let twice = json!({ "registrationId": "a", "attestation": keys(), "iotHubHostName": "c.test" });
    let mut again = twice.clone();
    again["registrationId"] = json!("A");
    let file = read(&json!({
        "enrollments": [twice, again],
        "enrollmentGroups": [{ "enrollmentGroupId": "Default", "attestation": keys() }],
    }))
    .unwrap();
    let mut service = Provisioning {
        individual: file.individual,
        other_groups: file.groups,
        ..Provisioning::default()
    };
    let hubs = [host("a.test")];
    let expected = [
        InvalidProvisioning::SameEnrollment(id("A")),
        InvalidProvisioning::NoSuchHub(host("c.test")),
    ];
    assert_eq!(service.mistakes(&hubs), expected);
    assert!(
        service.groups().is_empty(),
        "its own default group takes the place of ours"
    );
    service.individual.clear();
    service.groups = vec![GroupSpec::new("default")];
    assert_eq!(
        service.mistakes(&hubs),
        [InvalidProvisioning::SameGroup("Default".into())]
    );
}
