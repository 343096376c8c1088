mod enrollments;
mod files;

use drawspan_hub::sas;

use super::*;

const NOW: u64 = crate::x509::tests::NOW_S;
const SCOPE: &str = "0ne1";

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 64]).unwrap()
}

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).unwrap()
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn groups() -> Vec<EnrollmentGroup> {
    let group = |name: &str, byte| Group {
        name: name.into(),
        primary: key(byte),
        secondary: key(byte + 1),
    };
    vec![group("one", 1).into(), group("two", 3).into()]
}

fn judge(token: &str) -> Result<String, Denied> {
    let enrollments = Enrollments::new(groups(), Vec::new());
    let found = enrollments.admit(Credential::Token(token), SCOPE, &id("Dev-1"), NOW);
    found.map(|admission| admission.group.unwrap().to_string())
}

#[test]
fn derived_keys_of_every_group_open() {
    let resource = sas::registration_resource(SCOPE, "Dev-1");
    for (byte, group) in [(1, "one"), (2, "one"), (3, "two"), (4, "two")] {
        let token = sas::sign(
            &resource,
            &key(byte).derive("Dev-1"),
            NOW + 60,
            Some("registration"),
        );
        assert_eq!(judge(&token), Ok(group.to_owned()));
    }
    // Node leaves the resource as it is; Python names no policy.
    for resource in ["0ne1/registrations/Dev-1", "0NE1/Registrations/dev-1/"] {
        let token = sas::sign(resource, &key(1).derive("Dev-1"), NOW, None);
        assert_eq!(judge(&token), Ok("one".to_owned()), "{resource}");
    }
}

#[test]
fn everything_else_is_refused_by_name() {
    let resource = sas::registration_resource(SCOPE, "Dev-1");
    let own = key(1).derive("Dev-1");
    let check = |resource: &str, key: &SymmetricKey, expiry, policy, expected| {
        let token = sas::sign(resource, key, expiry, policy);
        assert_eq!(judge(&token), Err(expected), "{resource}");
    };
    let policy = Some("registration");
    check(&resource, &key(1), NOW, policy, Denied::WrongKey);
    check(
        &resource,
        &key(1).derive("dev-1"),
        NOW,
        policy,
        Denied::WrongKey,
    );
    check(
        &resource,
        &key(9).derive("Dev-1"),
        NOW,
        policy,
        Denied::WrongKey,
    );
    check(&resource, &own, NOW - 301, policy, Denied::Expired);
    check(&resource, &own, NOW, Some("device"), Denied::OtherPolicy);
    for resource in [
        "0ne2/registrations/Dev-1",
        "0ne1/registrations/Dev-2",
        "0ne1/registrations",
        "0ne1/registrations/Dev-1/x",
        "0ne1",
        "hub.test/devices/Dev-1",
    ] {
        check(resource, &own, NOW, policy, Denied::OtherRegistration);
    }
    assert_eq!(judge("Bearer x"), Err(Denied::Malformed));
    let enrollments = Enrollments::new(groups(), Vec::new());
    let none = enrollments.admit(Credential::Nothing, SCOPE, &id("a"), NOW);
    assert_eq!(none.map(drop), Err(Denied::NoToken));
}

#[test]
fn hashed_devices_are_spread_evenly_and_move_little() {
    let hubs: Vec<_> = (1..=4).map(|n| host(&format!("hub-{n}.test"))).collect();
    let place = |number: u32, hubs: &[HostName]| {
        let id = id(&format!("device-{number}"));
        Allocation::Hashed.choose(&id, hubs.iter()).cloned()
    };
    let mut counts = HashMap::new();
    let mut moved = 0;
    for number in 0..8_000 {
        let (of_three, of_four) = (place(number, &hubs[..3]), place(number, &hubs));
        if of_three != of_four {
            assert_eq!(
                of_four.as_ref(),
                Some(&hubs[3]),
                "only the new one attracts"
            );
            moved += 1;
        }
        *counts.entry(of_four).or_insert(0) += 1;
    }
    assert!(
        counts.values().all(|count| (1_600..2_400).contains(count)),
        "{counts:?}"
    );
    assert!((1_600..2_400).contains(&moved), "{moved}");
    let (upper, lower) = (id("ABC"), id("abc"));
    let choose = |id| Allocation::Hashed.choose(id, hubs.iter());
    assert_eq!(choose(&upper), choose(&lower));
}

#[test]
fn static_allocation_knows_one_hub() {
    let hubs = [host("a.test"), host("b.test")];
    let allocation = Allocation::Static(host("b.test"));
    assert_eq!(allocation.choose(&id("x"), hubs.iter()), Some(&hubs[1]));
    assert_eq!(allocation.choose(&id("x"), hubs[..1].iter()), None);
    assert_eq!(Allocation::Hashed.choose(&id("x"), [].iter()), None);
}

#[test]
fn registrations_are_found_whatever_their_case() {
    let mut registrations = Registrations::default();
    let registration = Registration {
        id: id("Dev-1"),
        group: "one".into(),
        hub: host("a.test"),
        device: DeviceId::parse("Dev-1").unwrap(),
        substatus: Substatus::InitialAssignment,
        created_unix_ms: 1,
        updated_unix_ms: 2,
        etag: "e".into(),
        operation: "4.x".into(),
        payload: None,
    };
    registrations.put(Arc::new(registration.clone()));
    assert_eq!(
        registrations.get(&id("dEV-1")).map(AsRef::as_ref),
        Some(&registration)
    );
    assert!(registrations.get(&id("dev-2")).is_none());
}
