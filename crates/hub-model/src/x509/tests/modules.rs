//! Modules with certificates.

use super::*;
use crate::client_id::ClientId;
use crate::module::ModuleSpec;

#[test]
fn a_module_has_a_certificate_of_its_own() {
    let root = Made::authority("root");
    let own = Made::self_signed("any");
    let thumbprint = own.certificate.sha1_thumbprint();
    let mut registry = registry(vec![
        ("a", Authentication::CertificateAuthority),
        ("b", self_signed(thumbprint.clone(), None)),
    ]);
    let module = |device: &str, name: &str| ClientId {
        device: id(device),
        module: drawspan_hub::ModuleId::parse(name).ok(),
    };
    let mut create = |device: &str, name: &str, authentication| {
        let name = drawspan_hub::ModuleId::parse(name).unwrap();
        let mut spec = ModuleSpec::new(id(device), name);
        spec.authentication = AuthenticationSpec::Other(authentication);
        registry.create_module(spec, fresh(9)).unwrap()
    };
    create("a", "ca", Authentication::CertificateAuthority);
    create("a", "print", self_signed(thumbprint, None));
    create("a", "none", Authentication::None);
    let key = crate::tests::key(7);
    let keys = Authentication::Sas {
        primary: key.clone(),
        secondary: key,
    };
    create("b", "keys", keys);
    let authorities = trusting(&root, true);
    let check = |device: &str, name: &str, made: &Made, now, expected: Option<Denied>| {
        let (presented, client) = (made.presented(&[]), module(device, name));
        let grant = verify_certificate(&presented, &client, &authorities, &registry, now);
        let granted = grant.map(|grant| grant.principal.client());
        assert_eq!(granted, expected.map_or(Ok(Some(client)), Err), "{name}");
    };
    check("a", "ca", &root.below("a/ca", false), NOW_S, None);
    check("a", "print", &own, NOW_S, None);
    let other = Some(Denied::OtherCommonName);
    for name in ["a", "ca", "a/CA", "a/ca/", "b/ca", "a/print"] {
        check("a", "ca", &root.below(name, false), NOW_S, other);
    }
    let untrusted = Some(Denied::UntrustedCertificate);
    check("a", "ca", &Made::self_signed("a/ca"), NOW_S, untrusted);
    // Its device's certificate is none for it.
    let not_taken = Some(Denied::CertificateNotTaken);
    check("b", "keys", &own, NOW_S, not_taken);
    check("a", "none", &root.below("a/none", false), NOW_S, not_taken);
    check("a", "missing", &own, NOW_S, Some(Denied::UnknownModule));
    check("missing", "m", &own, NOW_S, Some(Denied::UnknownDevice));
    let late = NOW_S + DAY_S + 1;
    check("a", "print", &own, late, Some(Denied::CertificateExpired));
}

#[test]
fn a_modules_grant_is_for_itself_and_ends_with_its_thumbprint_and_its_device() {
    let own = Made::self_signed("any");
    let mut registry = registry(vec![("a", Authentication::None)]);
    let name = drawspan_hub::ModuleId::parse("m").unwrap();
    let spec = |thumbprint: String| {
        let mut spec = ModuleSpec::new(id("a"), name.clone());
        spec.authentication = AuthenticationSpec::Other(self_signed(thumbprint, None));
        spec
    };
    let thumbprint = own.certificate.sha256_thumbprint();
    let module = registry.create_module(spec(thumbprint), fresh(9)).unwrap();
    let client = module.module.client();
    let verify = |registry: &Registry| {
        let authorities = Authorities::default();
        verify_certificate(&own.presented(&[]), &client, &authorities, registry, NOW_S)
    };
    let grant = verify(&registry).unwrap();
    let host = drawspan_hub::HostName::parse("contoso.test").unwrap();
    let connect = |path| grant.allows(Right::DeviceConnect, &host, path);
    assert_eq!(connect("/devices/a/modules/m/messages/events"), Ok(()));
    for other in ["/devices/a/messages/events", "/devices/a/modules/n"] {
        assert_eq!(connect(other), Err(Denied::MissingRight), "{other}");
    }
    assert!(grant.is_of_module(&module.module));
    let any = crate::registry::IfMatch::Any;
    let changed = registry.update_module(spec("0".repeat(40)), &any, fresh(2));
    assert!(!grant.is_of_module(&changed.unwrap().module));
    let thumbprint = own.certificate.sha1_thumbprint();
    let back = registry.update_module(spec(thumbprint), &any, fresh(3));
    assert!(back.is_ok() && verify(&registry).is_ok());
    let mut off = crate::tests::spec("a");
    off.status = DeviceStatus::Disabled;
    registry.update(off, &any, fresh(4), 1).unwrap();
    assert_eq!(verify(&registry).err(), Some(Denied::DeviceDisabled));
}
