use super::*;

const ALL_DEVICE_CHARACTERS: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:.+%_#*?!(),=@;$'";

fn refused<T: fmt::Debug>(result: Result<T, InvalidId>, expected: &str) {
    assert_eq!(result.unwrap_err().to_string(), expected);
}

#[test]
fn a_device_id_keeps_its_characters_and_case() {
    let id = DeviceId::parse(ALL_DEVICE_CHARACTERS).unwrap();
    assert_eq!(id.as_str(), ALL_DEVICE_CHARACTERS);
    assert_ne!(DeviceId::parse("A"), DeviceId::parse("a"));
    assert!(DeviceId::parse(&"x".repeat(128)).is_ok());
    assert_eq!(format!("{id}"), ALL_DEVICE_CHARACTERS);
    assert_eq!(
        format!("{:?}", DeviceId::parse("a'").unwrap()),
        r#"DeviceId("a'")"#
    );
}

#[test]
fn every_other_ascii_character_is_refused() {
    for character in (0..128).map(char::from) {
        let allowed = ALL_DEVICE_CHARACTERS.contains(character);
        let text = character.to_string();
        assert_eq!(DeviceId::parse(&text).is_ok(), allowed, "{character:?}");
        assert_eq!(ModuleId::parse(&text).is_ok(), allowed, "{character:?}");
    }
}

#[test]
fn mistakes_are_named() {
    refused(DeviceId::parse(""), "invalid device id: it is empty");
    refused(
        DeviceId::parse("ab/c"),
        "invalid device id: character '/' at position 3 is not allowed",
    );
    refused(
        DeviceId::parse("äö"),
        "invalid device id: character 'ä' at position 1 is not allowed",
    );
    refused(
        DeviceId::parse("aä b"),
        "invalid device id: character 'ä' at position 2 is not allowed",
    );
    refused(
        ModuleId::parse(&"m".repeat(129)),
        "invalid module id: it has 129 characters, at most 128 are allowed",
    );
}

#[test]
fn a_registration_id_is_narrower() {
    for good in ["a", "A-b.c_d:e", "x-", "007", &"r".repeat(128)] {
        assert_eq!(RegistrationId::parse(good).unwrap().as_str(), good);
    }
    refused(
        RegistrationId::parse("a%b"),
        "invalid registration id: character '%' at position 2 is not allowed",
    );
    for bad in [".", "_", ":"] {
        refused(
            RegistrationId::parse(&format!("a{bad}")),
            &format!("invalid registration id: it must not end with '{bad}'"),
        );
    }
}

#[test]
fn a_host_is_lower_case_and_has_a_hub_name() {
    let host = HostName::parse("Contoso-1.Azure-Devices.NET").unwrap();
    assert_eq!(host.as_str(), "contoso-1.azure-devices.net");
    assert_eq!(host.hub_name(), "contoso-1");
    assert_eq!(
        HostName::parse("localhost").unwrap().hub_name(),
        "localhost"
    );
    assert!(HostName::parse("127.0.0.1").is_ok());
}

#[test]
fn a_host_that_is_none_is_refused() {
    refused(HostName::parse(""), "invalid host name: it is empty");
    refused(
        HostName::parse("hub:5671"),
        "invalid host name: character ':' at position 4 is not allowed",
    );
    let label = "must have 1 to 63 characters and neither start nor end with '-'";
    refused(
        HostName::parse("a..b"),
        &format!("invalid host name: label 2 {label}"),
    );
    refused(
        HostName::parse("a.b."),
        &format!("invalid host name: label 3 {label}"),
    );
    refused(
        HostName::parse("-a"),
        &format!("invalid host name: label 1 {label}"),
    );
    refused(
        HostName::parse(&"a".repeat(64)),
        &format!("invalid host name: label 1 {label}"),
    );
    refused(
        HostName::parse(&"a.".repeat(127)),
        "invalid host name: it has 254 characters, at most 253 are allowed",
    );
}
