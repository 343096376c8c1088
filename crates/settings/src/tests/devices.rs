use drawspan_hub::DeviceId;

use super::*;

fn device(host: &str, id: &str, key: &str) -> String {
    format!("HostName={host};DeviceId={id};SharedAccessKey={key}\n")
}

fn listed(text: &str) -> (tempfile::TempDir, ServeArgs) {
    let (folder, args) = file("devices_file = 'devices.txt'\napi_key = 'k'");
    write(folder.path(), "devices.txt", text);
    (folder, args)
}

#[test]
fn devices_are_listed_with_hub_and_keys() {
    let text = format!(
        "# the first ones\n\n{}{}  {}",
        device("one.example", "a", KEY),
        device("one.example", "a", OTHER_KEY),
        device("two.example", "b", KEY)
    );
    let (_folder, args) = listed(&text);
    let Profile::Devices(devices) = config(&args).profile else {
        panic!("not listed")
    };
    let get = |id: &str| devices[&DeviceId::parse(id).unwrap()].clone();
    assert_eq!(get("a").keys.primary.to_base64(), KEY);
    assert_eq!(get("a").keys.secondary.unwrap().to_base64(), OTHER_KEY);
    assert_eq!(get("b").hub.as_str(), "two.example");
    assert!(get("b").keys.secondary.is_none());
    assert_eq!(devices.len(), 2);
}

#[test]
fn wrong_lines_are_named() {
    let check = |text: &str, expected: &[&str]| {
        let (_folder, args) = listed(text);
        check_mistakes(&args, &no_environment(), expected);
    };
    let good = device("one.example", "a", KEY);
    check("", &["devices.txt lists no device"]);
    check(
        &format!("{good}nonsense hunter\n"),
        &["devices.txt:2: part 1 of the connection string"],
    );
    check(
        &format!("{good}{good}{good}"),
        &["devices.txt:3: device `a` is listed a third time"],
    );
    check(
        &format!("{good}{}", device("two.example", "a", KEY)),
        &["devices.txt:2: device `a` is listed with two hubs"],
    );
    let (_folder, args) = listed(&"x\n".repeat(30));
    let mistakes = load(&args, &no_environment()).config.unwrap_err();
    assert_eq!(mistakes.lines().len(), 21);
    assert!(mistakes.lines()[20].contains("10 more mistakes"));
}

/// A device with a certificate, whose files lie beside the list.
fn certified(folder: &std::path::Path, id: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    write(folder, &format!("{id}.pem"), &certificate.pem());
    write(folder, &format!("{id}-key.pem"), &key.serialize_pem());
    format!(
        "HostName=one.example;DeviceId={id};x509=true;CertificateFile={id}.pem;KeyFile={id}-key.pem\n"
    )
}

#[test]
fn devices_are_listed_with_hub_and_certificate() {
    let (folder, args) = listed("");
    let lines = [certified(folder.path(), "a"), certified(folder.path(), "b")];
    write(folder.path(), "devices.txt", &lines.concat());
    let config = config(&args);
    assert_eq!(
        config.profile.to_string(),
        "2 listed devices with certificates, a connection each"
    );
    let Profile::Certificates(devices) = config.profile else {
        panic!("not listed by certificate")
    };
    let device = &devices[&DeviceId::parse("a").unwrap()];
    assert_eq!(device.hub.as_str(), "one.example");
    assert!(device.certificate.chain.contains("BEGIN CERTIFICATE"));
    assert!(device.certificate.key().contains("PRIVATE KEY"));
    assert_eq!(format!("{:?}", device.certificate), "PemCertificate");
}

#[test]
fn wrong_certificates_are_named_and_lists_are_not_mixed() {
    let (folder, args) = listed("");
    let (a, b) = (certified(folder.path(), "a"), certified(folder.path(), "b"));
    let check = |text: &str, expected: &[&str]| {
        write(folder.path(), "devices.txt", text);
        check_mistakes(&args, &no_environment(), expected);
    };
    let key = device("one.example", "k", KEY);
    check(
        &format!("{a}{key}"),
        &["devices.txt:2: a list has devices with keys or"],
    );
    check(
        &format!("{key}{a}"),
        &["devices.txt:2: a list has devices with keys or"],
    );
    check(
        &format!("{a}{a}"),
        &["devices.txt:2: device `a` is listed twice"],
    );
    check(
        &a.replace("a-key.pem", "b-key.pem"),
        &["devices.txt:1: a.pem and b-key.pem: the key is not"],
    );
    check(
        &a.replace("=a-key.pem", "=a.pem"),
        &["devices.txt:1: a.pem and a.pem: there is no unencrypted"],
    );
    check(
        &a.replace("=a.pem", "=gone.pem"),
        &["devices.txt:1: cannot read"],
    );
    check(
        &a.replace("x509=true", "x509=yes"),
        &["devices.txt:1: x509 must be true"],
    );
    check(
        &b.replace("KeyFile=b-key.pem", ""),
        &["devices.txt:1: the connection string has no KeyFile"],
    );
}

#[test]
fn a_list_that_is_not_there_is_named_by_who_named_it() {
    let (folder, args) = listed("x");
    std::fs::remove_file(folder.path().join("devices.txt")).unwrap();
    check_mistakes(&args, &no_environment(), &["drawspan.toml:1: cannot read"]);
}
