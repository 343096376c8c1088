//! Enrollments of single devices, and of groups with certificates.

use crate::device::{Authentication, DeviceStatus};
use crate::x509::tests::{Made, NOW_S};

use super::*;

const DAY_S: u64 = 24 * 60 * 60;

fn own(name: &str, attestation: Attestation) -> Enrollment {
    Enrollment {
        id: id(name),
        device: None,
        attestation,
        terms: Terms::default(),
    }
}

fn keys(byte: u8) -> Attestation {
    Attestation::SymmetricKey {
        primary: key(byte),
        secondary: key(byte + 1),
    }
}

fn signing(name: &str, authorities: &[&Made]) -> EnrollmentGroup {
    let certificates = authorities.iter().map(|made| made.certificate.clone());
    EnrollmentGroup {
        name: name.into(),
        attestation: Attestation::Signing(certificates.collect()),
        terms: Terms::default(),
    }
}

fn token(name: &str, key: &SymmetricKey) -> String {
    let resource = sas::registration_resource(SCOPE, name);
    sas::sign(&resource, key, NOW + 60, Some("registration"))
}

fn by_token(
    enrollments: &Enrollments,
    name: &str,
    key: &SymmetricKey,
) -> Result<Admission, Denied> {
    let token = token(name, key);
    enrollments.admit(Credential::Token(&token), SCOPE, &id(name), NOW)
}

fn by_certificate(
    enrollments: &Enrollments,
    name: &str,
    made: &Made,
    above: &[&Made],
    now_s: u64,
) -> Result<Admission, Denied> {
    let presented = made.presented(above);
    enrollments.admit(Credential::Certificate(&presented), SCOPE, &id(name), now_s)
}

#[test]
fn a_device_of_its_own_enrollment_has_the_enrollments_keys() {
    let enrollments = Enrollments::new(groups(), vec![own("Dev-1", keys(9))]);
    for byte in [9, 10] {
        let admission = by_token(&enrollments, "dev-1", &key(byte)).unwrap();
        assert_eq!(admission.group, None);
        let Authentication::Sas { primary, secondary } = admission.authentication else {
            panic!("no keys");
        };
        assert_eq!(
            (primary.to_base64(), secondary.to_base64()),
            (key(9).to_base64(), key(10).to_base64())
        );
    }
    // Neither by a derived key, nor by that of a group which would take it otherwise.
    for key in [key(9).derive("Dev-1"), key(1).derive("Dev-1")] {
        assert_eq!(
            by_token(&enrollments, "Dev-1", &key).unwrap_err(),
            Denied::WrongKey
        );
    }
    let other = by_token(&enrollments, "Dev-2", &key(1).derive("Dev-2")).unwrap();
    assert_eq!(other.group.as_deref(), Some("one"));
}

#[test]
fn a_disabled_enrollment_takes_one_device_out_of_its_group() {
    let mut out = own("dev-1", keys(9));
    out.terms.status = DeviceStatus::Disabled;
    let enrollments = Enrollments::new(groups(), vec![out]);
    let by = |name: &str, key: &SymmetricKey| by_token(&enrollments, name, key).map(drop);
    assert_eq!(by("dev-1", &key(9)), Err(Denied::Disabled));
    assert_eq!(by("dev-1", &key(1).derive("dev-1")), Err(Denied::WrongKey));
    assert_eq!(by("dev-2", &key(1).derive("dev-2")), Ok(()));
    let mut disabled = groups();
    disabled[0].terms.status = DeviceStatus::Disabled;
    let enrollments = Enrollments::new(disabled, Vec::new());
    let by = |key: SymmetricKey| by_token(&enrollments, "a", &key).map(drop);
    assert_eq!(by(key(1).derive("a")), Err(Denied::Disabled));
    assert_eq!(by(key(3).derive("a")), Ok(()));
}

#[test]
fn a_certificate_opens_the_enrollment_that_knows_it() {
    let (one, two) = (Made::self_signed("Dev-1"), Made::self_signed("dev-1"));
    let known = Attestation::Thumbprints(vec![
        one.certificate.sha1_thumbprint(),
        two.certificate.sha256_thumbprint(),
    ]);
    let mut own = own("dev-1", known);
    own.device = Some(DeviceId::parse("pump").unwrap());
    own.terms.hub = Some(host("b.test"));
    own.terms.iot_edge = true;
    let enrollments = Enrollments::new(groups(), vec![own]);
    for made in [&one, &two] {
        let admission = by_certificate(&enrollments, "dev-1", made, &[], NOW_S).unwrap();
        assert_eq!((admission.group, admission.iot_edge), (None, true));
        assert_eq!(admission.device.unwrap().as_str(), "pump");
        assert_eq!(admission.hub, Some(host("b.test")));
        let Authentication::SelfSigned {
            primary,
            secondary: None,
        } = admission.authentication
        else {
            panic!("no thumbprint");
        };
        assert_eq!(primary, made.certificate.sha256_thumbprint());
    }
    let refused =
        |made: &Made, now_s| by_certificate(&enrollments, "dev-1", made, &[], now_s).unwrap_err();
    assert_eq!(
        refused(&Made::self_signed("dev-1"), NOW_S),
        Denied::NotEnrolled
    );
    assert_eq!(
        refused(&Made::self_signed("dev-2"), NOW_S),
        Denied::OtherCommonName
    );
    assert_eq!(refused(&one, NOW_S + 2 * DAY_S), Denied::CertificateExpired);
    assert_eq!(
        refused(&one, NOW_S - 2 * DAY_S),
        Denied::CertificateNotYetValid
    );
    // One way for each enrollment.
    let derived = key(1).derive("dev-1");
    assert_eq!(
        by_token(&enrollments, "dev-1", &derived).unwrap_err(),
        Denied::TokenNotTaken
    );
    let enrollments = Enrollments::new(Vec::new(), vec![super::enrollments::own("dev-1", keys(9))]);
    let refused = by_certificate(&enrollments, "dev-1", &one, &[], NOW_S).unwrap_err();
    assert_eq!(refused, Denied::CertificateNotTaken);
}

#[test]
fn a_group_takes_what_its_certificates_signed() {
    let (root, other) = (Made::authority("root"), Made::authority("other"));
    let middle = root.below("middle", true);
    let mut groups = groups();
    groups.push(signing("cars", &[&root, &other]));
    let enrollments = Enrollments::new(groups, Vec::new());
    let group = |made: &Made, above: &[&Made], name: &str| {
        let admitted = by_certificate(&enrollments, name, made, above, NOW_S);
        admitted.map(|admission| admission.group.unwrap().to_string())
    };
    let cars = Ok("cars".to_owned());
    assert_eq!(group(&root.below("car-1", false), &[], "car-1"), cars);
    assert_eq!(group(&other.below("car-2", false), &[], "CAR-2"), cars);
    assert_eq!(
        group(&middle.below("car-3", false), &[&middle], "car-3"),
        cars
    );
    let refused = Err(Denied::NotEnrolled);
    assert_eq!(group(&middle.below("car-3", false), &[], "car-3"), refused);
    assert_eq!(group(&Made::self_signed("car-1"), &[], "car-1"), refused);
    assert_eq!(
        group(&root.below("car-1", false), &[], "car-9"),
        Err(Denied::OtherCommonName)
    );
}

#[test]
fn an_individual_certificate_goes_before_its_group() {
    let root = Made::authority("root");
    let (mine, stranger) = (root.below("car-1", false), root.below("car-1", false));
    let known = Attestation::Thumbprints(vec![mine.certificate.sha1_thumbprint()]);
    let enrollments = Enrollments::new(vec![signing("cars", &[&root])], vec![own("car-1", known)]);
    let admitted = by_certificate(&enrollments, "car-1", &mine, &[], NOW_S).unwrap();
    assert_eq!(admitted.group, None);
    let refused = by_certificate(&enrollments, "car-1", &stranger, &[], NOW_S).unwrap_err();
    assert_eq!(refused, Denied::NotEnrolled);
}
