use super::*;

fn mark(version: i64, section: &str) -> Option<Mark> {
    let section = Section::of(section.as_bytes()).unwrap();
    assert_eq!(section.version, version);
    Some(Mark {
        version,
        fingerprint: Some(section.fingerprint()),
        receiver: 1,
    })
}

const fn by_change(version: i64) -> Option<Mark> {
    Some(Mark {
        version,
        fingerprint: None,
        receiver: 1,
    })
}

fn check(look: Look, mark: Option<Mark>, section: &str, expected: Finding) {
    let desired = Desired {
        look,
        ..Desired::default()
    };
    let found = Section::of(section.as_bytes()).unwrap();
    assert_eq!(
        found.compare(mark, &desired),
        expected,
        "{look:?} {mark:?} {section}"
    );
}

#[test]
fn a_receiver_gets_everything_unless_it_certainly_has_it() {
    let section = r#"{"a":1,"$version":7}"#;
    check(Look::Gap, mark(7, section), section, Finding::Same);
    check(
        Look::Gap,
        mark(7, r#"{ "$version":7, "a":1 }"#),
        section,
        Finding::Same,
    );
    check(
        Look::Gap,
        mark(6, r#"{"$version":6}"#),
        section,
        Finding::News,
    );
    // The device was created again: another twin has reached the same version, or a lower one.
    check(
        Look::Gap,
        mark(7, r#"{"a":2,"$version":7}"#),
        section,
        Finding::News,
    );
    check(
        Look::Gap,
        mark(9, r#"{"a":1,"$version":9}"#),
        section,
        Finding::News,
    );
    // Whether this is the twin of the change cannot be known where its section is not.
    check(Look::Gap, by_change(7), section, Finding::News);
    check(Look::Gap, None, section, Finding::News);
}

#[test]
fn a_twin_that_was_never_changed_is_no_news() {
    check(Look::Gap, None, r#"{"$version":1}"#, Finding::Complete);
    check(Look::Dirty, None, r#"{"$version":1}"#, Finding::Complete);
    // Set and removed again.
    check(Look::Gap, None, r#"{"$version":3}"#, Finding::News);
}

#[test]
fn a_change_that_holds_everything_is_not_sent_again() {
    let check = |look, mark, change: &str, expected| {
        let section = r#"{"a": {"b": 1, "c": [2]}, "$version": 2}"#;
        let desired = Desired {
            look,
            first: First::Change(Section::of(change.as_bytes()).unwrap().fingerprint()),
            ..Desired::default()
        };
        let section = Section::of(section.as_bytes()).unwrap();
        assert_eq!(section.compare(mark, &desired), expected, "{change}");
    };
    let same = r#"{"$version":2,"a":{"c":[2],"b":1}}"#;
    check(Look::Gap, None, same, Finding::Complete);
    check(
        Look::Gap,
        None,
        r#"{"$version":2,"a":{"b":1}}"#,
        Finding::News,
    );
    // It was not taken, or something else was missed.
    check(Look::Dirty, None, same, Finding::News);
}

#[test]
fn what_was_refused_is_not_sent_again_until_it_changes() {
    let section = |text: &str| Section::of(text.as_bytes()).unwrap();
    let refused = r#"{"a":1,"$version":7}"#;
    let mut desired = Desired {
        look: Look::Dirty,
        sent: Some(7),
        refused: Some(section(refused).fingerprint()),
        ..Desired::default()
    };
    for mark in [by_change(5), by_change(7)] {
        assert_eq!(section(refused).compare(mark, &desired), Finding::Refused);
    }
    let other = section(r#"{"a":2,"$version":8}"#);
    assert_eq!(other.compare(by_change(5), &desired), Finding::News);
    desired.look = Look::No;
    let change = br#"{"a":2,"$version":8}"#;
    assert!(desired.arrived(Some(8), by_change(5), change));
    assert_eq!((desired.look, desired.refused), (Look::Dirty, None));
}

#[test]
fn a_mark_never_moves_over_a_hole() {
    let mut desired = Desired::default();
    assert!(desired.arrived(Some(6), by_change(5), b"{}"));
    assert_eq!(desired.look, Look::No);
    assert_eq!(desired.after_change(Some(6), by_change(5)), by_change(6));
    desired.sent = Some(6);
    // Seen before.
    assert!(!desired.arrived(Some(6), by_change(5), b"{}"));
    // 7 was missed.
    assert!(desired.arrived(Some(8), by_change(6), b"{}"));
    assert_eq!(desired.look, Look::Dirty);
    assert_eq!(desired.after_change(Some(8), by_change(6)), None);

    let mut unlooked = Desired {
        look: Look::Gap,
        ..Desired::default()
    };
    assert!(unlooked.arrived(Some(6), by_change(5), b"{}"));
    assert_eq!(unlooked.after_change(Some(6), by_change(5)), None);
    // Without anything to follow on there is a hole.
    let mut new = Desired::default();
    assert!(new.arrived(Some(6), None, b"{}"));
    assert_eq!(new.look, Look::Dirty);
}

#[test]
fn a_change_makes_the_section_that_the_hub_has() {
    let check = |before: &str, change: &str, after: &str| {
        let found = Section::changed(before, change.as_bytes()).unwrap();
        assert_eq!(found, Section::of(after.as_bytes()).unwrap(), "{change}");
        assert_eq!(
            found.fingerprint(),
            Section::of(after.as_bytes()).unwrap().fingerprint()
        );
    };
    check("{}", r#"{"a":1,"$version":2}"#, r#"{"a":1,"$version":2}"#);
    check(
        r#"{"a":{"b":1,"c":2},"d":[1]}"#,
        r#"{"a":{"b":null,"e":{"f":1}},"d":[2,3],"g":null,"$version":9}"#,
        r#"{"$version":9,"a":{"c":2,"e":{"f":1}},"d":[2,3]}"#,
    );
    assert_eq!(Section::changed("{}", br#"{"a":1}"#), None);
}

#[test]
fn what_the_hub_adds_is_no_property() {
    let section = Section::of(br#"{"$metadata":{"a":{}},"$version":17}"#).unwrap();
    assert_eq!(section, Section::of(br#"{"$version":17}"#).unwrap());
    assert_eq!(Section::of(br#"{"a":{"$version":1}}"#), None);
    assert_eq!(section.remembered().as_deref(), Some("{}"));
    let many = format!(
        r#"{{"a":"{}","$version":1}}"#,
        "x".repeat(REMEMBERED_SECTION_BYTES)
    );
    assert_eq!(Section::of(many.as_bytes()).unwrap().remembered(), None);
}

#[test]
fn fingerprints_do_not_change_with_the_program() {
    let section = Section::of(br#"{"b":[1.5,null],"$version":3,"a":"x"}"#).unwrap();
    let hash = Sha256::digest(r#"3 {"a":"x","b":[1.5,null]}"#);
    let first: [u8; 8] = hash[..8].try_into().unwrap();
    assert_eq!(section.fingerprint(), i64::from_be_bytes(first));
}
