use super::*;
use proptest::prelude::*;

fn device_at(text: &str, id: &str, module: Option<&str>, function: DeviceFunction) {
    let expected = Address::Device {
        device: DeviceId::parse(id).unwrap(),
        module: module.map(|module| ModuleId::parse(module).unwrap()),
        function,
    };
    assert_eq!(parse(text), Ok(expected), "{text}");
}

fn at(text: &str, expected: Address) {
    assert_eq!(parse(text), Ok(expected), "{text}");
}

fn consumer(entity: Entity, group: &str, partition: u32) -> Address {
    Address::EventHub {
        entity,
        part: EventHubPart::Consumer {
            group: group.into(),
            partition,
        },
    }
}

#[test]
fn devices_in_every_clients_spelling() {
    use DeviceFunction::{DeviceBound, Events, Methods, Twin};
    // C#
    device_at(
        "amqps://h.net:5671/devices/a%23b/messages/events",
        "a#b",
        None,
        Events,
    );
    device_at(
        "amqps://h.net:5671/devices/a/messages/deviceBound",
        "a",
        None,
        DeviceBound,
    );
    device_at(
        "amqps://h.net:5671/devices/a/methods/deviceBound",
        "a",
        None,
        Methods,
    );
    // Node
    device_at("/devices/a/messages/devicebound", "a", None, DeviceBound);
    device_at("/devices/a/methods/devicebound", "a", None, Methods);
    device_at("/devices/a/twin", "a", None, Twin);
    // C
    device_at("amqps://h.net/devices/a/messages/events", "a", None, Events);
    // Edge clients, and other spellings
    device_at("devices/a/messages/events", "a", None, Events);
    device_at(
        "/DEVICES/MixedCase/Messages/Events/",
        "MixedCase",
        None,
        Events,
    );
}

#[test]
fn modules() {
    use DeviceFunction::{Events, Twin};
    device_at(
        "/devices/a/modules/m/messages/events",
        "a",
        Some("m"),
        Events,
    );
    device_at(
        "amqps://h/devices/a/Modules/%24edge/twin",
        "a",
        Some("$edge"),
        Twin,
    );
    // A device may be called like a literal.
    device_at("/devices/modules/twin", "modules", None, Twin);
    device_at(
        "/devices/a/modules/modules/twin",
        "a",
        Some("modules"),
        Twin,
    );
}

#[test]
fn ids_with_special_characters() {
    use DeviceFunction::Events;
    device_at("/devices/50%25/messages/events", "50%", None, Events);
    device_at("/devices/a%2520b/messages/events", "a%20b", None, Events);
    // Raw, as Node writes them.
    device_at("/devices/a#b?c/messages/events", "a#b?c", None, Events);
    device_at("/devices/50%/messages/events", "50%", None, Events);
    device_at("/devices/a+b/messages/events", "a+b", None, Events);
}

#[test]
fn nodes_and_services() {
    at("$cbs", Address::Cbs);
    at("/$CBS", Address::Cbs);
    at("amqps://h:5671/$cbs", Address::Cbs);
    at("$management", Address::Management);
    at(
        "amqps://h/messages/devicebound",
        Address::Service(ServiceFunction::DeviceBound),
    );
    at(
        "/messages/deviceBound",
        Address::Service(ServiceFunction::DeviceBound),
    );
    at(
        "/messages/serviceBound/feedback",
        Address::Service(ServiceFunction::Feedback),
    );
    at(
        "messages/servicebound/Feedback",
        Address::Service(ServiceFunction::Feedback),
    );
    at(
        "/messages/serviceBound/filenotifications",
        Address::Service(ServiceFunction::FileNotifications),
    );
}

#[test]
fn event_hubs() {
    let hub = || Entity::Named("MyHub".into());
    let whole = |entity, part| Address::EventHub { entity, part };
    at("MyHub", whole(hub(), EventHubPart::Root));
    at(
        "sb://ns.net/MyHub/$management",
        whole(hub(), EventHubPart::Management),
    );
    at(
        "MyHub/Partitions/3",
        whole(hub(), EventHubPart::Partition(3)),
    );
    at(
        "amqps://ns.net/MyHub/ConsumerGroups/$Default/Partitions/0",
        consumer(hub(), "$Default", 0),
    );
    at(
        "MyHub/consumergroups/%24default/partitions/31",
        consumer(hub(), "$default", 31),
    );
    at(
        "messages/events",
        whole(Entity::BuiltIn, EventHubPart::Root),
    );
    at(
        "amqps://h.net/messages/events/$management",
        whole(Entity::BuiltIn, EventHubPart::Management),
    );
    at(
        "/messages/events/ConsumerGroups/g/Partitions/1",
        consumer(Entity::BuiltIn, "g", 1),
    );
}

#[test]
fn what_is_none_of_them_is_refused() {
    for unknown in [
        "",
        "/",
        "//",
        "amqps://h.net",
        "amqps://h.net/",
        "/devices",
        "/devices/a",
        "/devices/a/messages",
        "/devices/a/messages/events/more",
        "/devices/a/modules/m",
        "/devices//messages/events/x",
        "/messages",
        "/messages/servicebound",
        "//devices/a/twin",
        "$other",
        "hub/ConsumerGroups//Partitions/1",
        "hub/ConsumerGroups/g/Partitions",
        "hub/anything",
    ] {
        assert_eq!(parse(unknown), Err(UnknownAddress::NoSuchPath), "{unknown}");
    }
}

#[test]
fn mistakes_are_named() {
    let check = |text: &str, expected: &str| {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
    };
    check(
        "/devices/a%20b/twin",
        "the address has an invalid device id: character ' ' at position 2 is not allowed",
    );
    check(
        "/devices//twin",
        "the address has an invalid device id: it is empty",
    );
    check(
        "/devices/a/modules//twin",
        "the address has an invalid module id: it is empty",
    );
    check("/devices/%ff/twin", "segment 2 of the address is not text");
    let partition = "the address has a partition that is no number";
    check("h/ConsumerGroups/g/Partitions/x", partition);
    check("h/Partitions/+1", partition);
    check("h/Partitions/", "IoT Hub has no such address");
    check("h/Partitions/4294967296", partition);
    check(
        &"x".repeat(3000),
        "the address has 3000 characters, at most 2048 are allowed",
    );
}

#[test]
fn writes_as_node_does() {
    let id = DeviceId::parse("A%#?'(x)*!").unwrap();
    assert_eq!(telemetry(&id), "/devices/A%25%23%3F'(x)*!/messages/events");
    assert_eq!(
        consumer(Entity::Named("hub".into()), "$Default", 2).to_string(),
        "hub/ConsumerGroups/$Default/Partitions/2"
    );
}

fn function() -> impl Strategy<Value = DeviceFunction> {
    prop_oneof![
        Just(DeviceFunction::Events),
        Just(DeviceFunction::DeviceBound),
        Just(DeviceFunction::Methods),
        Just(DeviceFunction::Twin),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        id in r"[A-Za-z0-9:.+%_#*?!(),=@;$'-]{1,128}",
        module in proptest::option::of(r"[A-Za-z0-9:.+%_#*?!(),=@;$'-]{1,128}"),
        function in function(),
    ) {
        let address = Address::Device {
            device: DeviceId::parse(&id).unwrap(),
            module: module.map(|module| ModuleId::parse(&module).unwrap()),
            function,
        };
        prop_assert_eq!(parse(&address.to_string()), Ok(address));
    }

    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = parse(&text);
    }
}

#[test]
fn registrations_in_every_clients_spelling() {
    let expected = Some(("0ne1".to_owned(), "a:b".to_owned()));
    for text in [
        "0ne1/registrations/a:b",
        "/0ne1/registrations/a:b",
        "/0ne1/registrations/a%3ab",
        "amqps://dps.test/0ne1/registrations/a:b",
        "amqps://dps.test:5671/0ne1/Registrations/a%3Ab",
    ] {
        assert_eq!(parse_registration(text), expected, "{text}");
    }
    for text in [
        "",
        "0ne1/registrations",
        "0ne1/registrations/",
        "/registrations/a",
        "0ne1/registrations/a/b",
        "0ne1/devices/a",
        "$cbs",
    ] {
        assert_eq!(parse_registration(text), None, "{text}");
    }
}
