//! Authorities: what becomes one, and how possession of its key is proved.

use super::*;

#[test]
fn possession_of_an_authority_is_proved_by_a_signed_code() {
    let root = Made::authority("root");
    let mut authorities = trusting(&root, false);
    let now_ms = NOW_S * 1_000;
    let proof = root.below("CODE", false).presented(&[]);
    let verify = |authorities: &mut Authorities, proof: &Presented, now_ms| {
        let result = authorities.verify("Root", None, proof, "3".into(), now_ms);
        result.map(|authority| authority.is_verified)
    };
    assert_eq!(
        verify(&mut authorities, &proof, now_ms),
        Err(AuthorityError::NoCode)
    );
    let coded = authorities.set_code("ROOT", Some("1"), "code", "2".into(), now_ms);
    assert_eq!(coded.unwrap().verification_code.as_deref(), Some("code"));
    let other = root.below("other", false).presented(&[]);
    let expected = AuthorityError::OtherCode("code".into());
    assert_eq!(verify(&mut authorities, &other, now_ms), Err(expected));
    for wrong in [
        Made::self_signed("code"),
        Made::authority("root").below("code", false),
    ] {
        let result = verify(&mut authorities, &wrong.presented(&[]), now_ms);
        assert_eq!(result, Err(AuthorityError::NotSigned));
    }
    let late = verify(&mut authorities, &proof, now_ms + 2 * DAY_S * 1_000);
    assert_eq!(late, Err(AuthorityError::NotSigned));
    assert!(!authorities.get("root").unwrap().is_verified);
    assert_eq!(verify(&mut authorities, &proof, now_ms), Ok(true));
    // Replaced, it must be proved anew.
    let certificate = Made::authority("root").certificate;
    let replaced = authorities.put("root", Some("3"), certificate, false, "4".into(), now_ms);
    assert!(!replaced.unwrap().is_verified);
}

#[test]
fn authorities_are_refused_by_name() {
    let root = Made::authority("root");
    let now_ms = NOW_S * 1_000;
    let mut authorities = Authorities::default();
    let mut put = |name: &str, certificate: &Certificate, now_ms| {
        let if_match = name.starts_with("CA-").then_some("e");
        let certificate = certificate.clone();
        let result = authorities.put(name, if_match, certificate, false, "e".into(), now_ms);
        result.map(|authority| authority.name.to_string())
    };
    for name in ["", "a b", "a/b", "a:b", &"x".repeat(65)] {
        assert_eq!(
            put(name, &root.certificate, now_ms),
            Err(AuthorityError::Name)
        );
    }
    let leaf = root.below("leaf", false).certificate;
    let expected = AuthorityError::NotAnAuthority("CN=leaf".into());
    assert_eq!(put("a", &leaf, now_ms), Err(expected));
    let expected = AuthorityError::NotValid("CN=root".into());
    assert_eq!(put("a", &root.certificate, now_ms * 2), Err(expected));
    for number in 0..crate::limits::AUTHORITIES_MAX {
        let name = format!("ca-{number}");
        assert_eq!(put(&name, &root.certificate, now_ms), Ok(name));
    }
    assert_eq!(
        put("more", &root.certificate, now_ms),
        Err(AuthorityError::TooMany)
    );
    assert_eq!(put("CA-0", &root.certificate, now_ms), Ok("ca-0".into()));
    let unnamed = put("ca-0", &root.certificate, now_ms);
    assert_eq!(unnamed, Err(AuthorityError::AlreadyExists("ca-0".into())));
    let stale = authorities.delete("ca-0", Some("other"));
    assert_eq!(stale.unwrap_err().code(), ErrorCode::PRECONDITION_FAILED);
    assert_eq!(authorities.delete("Ca-0", Some("e")), Ok(()));
    let gone = authorities.delete("ca-0", None).unwrap_err();
    assert_eq!(gone.code(), ErrorCode::GENERIC_NOT_FOUND);
    assert_eq!(
        authorities.list().count(),
        crate::limits::AUTHORITIES_MAX - 1
    );
}

#[test]
fn what_the_configuration_gives_is_verified_and_does_not_change() {
    let (root, other) = (Made::authority("root"), Made::authority("other"));
    let now_ms = NOW_S * 1_000;
    let mut authorities = Authorities::default();
    let given = authorities.give("x509-ca:1", root.certificate.clone(), now_ms);
    assert_eq!(given, Ok(()));
    let leaf = root.below("leaf", false);
    let refused = authorities.give("x509-ca:2", leaf.certificate.clone(), now_ms);
    assert!(matches!(refused, Err(AuthorityError::NotAnAuthority(_))));
    assert!(authorities.vouch_for(&leaf.presented(&[]), NOW_S));
    let given = AuthorityError::Given("x509-ca:1".into());
    let certificate = other.certificate.clone();
    let put = authorities.put(
        "X509-CA:1",
        Some("*"),
        certificate,
        true,
        "e".into(),
        now_ms,
    );
    assert_eq!(put.unwrap_err(), given);
    let coded = authorities.set_code("x509-ca:1", None, "c", "e".into(), now_ms);
    assert_eq!(coded.unwrap_err(), given);
    assert_eq!(authorities.delete("x509-ca:1", None), Err(given));
    let mut stored = trusting(&other, true).get("root").unwrap().clone();
    stored.created_unix_ms = 7;
    let authorities = authorities.with_stored(vec![stored.clone()]);
    assert_eq!(authorities.get("ROOT"), Ok(&stored));
    assert!(authorities.vouch_for(&other.below("x", false).presented(&[]), NOW_S));
    assert_eq!(authorities.list().count(), 2);
}
