//! Modules of devices over MQTT.

use drawspan_emulator_hub::test_hub::{create_module, module_token};
use drawspan_hub::ModuleId;
use drawspan_hub_model::client_id::ClientId;

use super::*;

/// A hub with device `d`, which has modules `m` and `n`.
fn hub_with_modules() -> Arc<Hub> {
    let hub = hub(&["d"]);
    for module in ["m", "n"] {
        change(&hub, |registry| create_module(registry, "d", module, "1"));
    }
    hub
}

fn change(hub: &Hub, change: impl FnOnce(&mut drawspan_hub_model::registry::Registry) -> Change) {
    hub.change_soon(|registry| ((), vec![change(registry)]), |_| {})
        .unwrap();
}

fn connected(shared: &Arc<Shared>, module: &str) -> Link {
    let mut link = Link::new(shared);
    let token = module_token("d", module, 600);
    let answer = link.take(&connect(&format!("d/{module}"), &token));
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
    link
}

#[test]
fn a_module_sends_in_its_own_name() {
    let hub = hub_with_modules();
    let mut link = connected(&shared(&hub), "m");
    let answer = link.take(&publish("devices/d/modules/m/messages/events/a=b", 1, b"x"));
    assert_eq!(answer[..], [0x40, 2, 0, 1]);
    let stored = hub.read(0, 0, 10, 10_000).unwrap();
    let [record] = &stored[..] else {
        panic!("{stored:?}")
    };
    assert_eq!(record.device_id.as_str(), "d");
    assert_eq!(record.module_id, Some(ModuleId::parse("m").unwrap()));
}

#[test]
fn a_module_sends_to_no_other_topic() {
    for (topic, reason) in [
        ("devices/d/messages/events/", "its device's"),
        ("devices/d/modules/n/messages/events/", "another module's"),
        (
            "devices/d/modules/m/messages/events/%24.on=out",
            "an output",
        ),
    ] {
        let hub = hub_with_modules();
        let mut link = connected(&shared(&hub), "m");
        assert!(link.take(&publish(topic, 1, b"x")).is_empty(), "{reason}");
        assert_eq!(
            link.head.ended(),
            Some(DisconnectReason::ClientFault),
            "{reason}"
        );
    }
    let hub = hub_with_modules();
    let mut device = Link::connected(&shared(&hub), "d");
    device.take(&publish("devices/d/modules/m/messages/events/", 1, b"x"));
    assert_eq!(device.head.ended(), Some(DisconnectReason::ClientFault));
    assert!(hub.read(0, 0, 10, 10_000).unwrap().is_empty());
}

#[test]
fn who_is_refused() {
    let hub = hub_with_modules();
    let shared = shared(&hub);
    for (id, token) in [
        ("d/m", device_token("d", 600)),
        ("d/m", module_token("d", "n", 600)),
        ("d/x", module_token("d", "x", 600)),
        ("d", module_token("d", "m", 600)),
    ] {
        let mut link = Link::new(&shared);
        let answer = link.take(&connect(id, &token));
        assert_eq!(answer[..], [0x20, 2, 0, 5], "{id}");
    }
}

#[test]
fn a_device_and_its_modules_are_connected_side_by_side() {
    let hub = hub_with_modules();
    let shared = shared(&hub);
    let mut device = Link::connected(&shared, "d");
    let (mut m, mut n) = (connected(&shared, "m"), connected(&shared, "n"));
    for link in [&mut device, &mut m, &mut n] {
        link.look();
        assert_eq!(link.head.ended(), None);
    }
    let mut again = connected(&shared, "m");
    again.look();
    m.look();
    assert_eq!(m.head.ended(), Some(DisconnectReason::Replaced));
    for link in [&mut device, &mut again, &mut n] {
        link.look();
        assert_eq!(link.head.ended(), None);
    }
}

#[test]
fn a_module_has_a_twin_of_its_own_and_no_messages() {
    let hub = hub_with_modules();
    let mut link = connected(&shared(&hub), "m");
    let granted = |answer: Bytes| answer[4];
    assert_eq!(granted(link.take(&subscribe("$iothub/twin/res/#", 0))), 0);
    for filter in [
        "devices/d/messages/devicebound/#",
        "devices/+/messages/devicebound/#",
        "devices/d/modules/m/inputs/#",
        "devices/d/modules/m/#",
    ] {
        assert_eq!(granted(link.take(&subscribe(filter, 1))), 0x80, "{filter}");
    }
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    let answer = link.take(&publish(topic, 2, br#"{"on":true}"#));
    assert!(contains(&answer, "$iothub/twin/res/204/?$rid=1&$version=2"));
    let answer = link.take(&publish("$iothub/twin/GET/?$rid=2", 3, b""));
    assert!(contains(&answer, r#""on":true"#));
    let device = ClientId::from(DeviceId::parse("d").unwrap());
    assert_eq!(hub.registry().twin(&device), Some(Arc::default()));
}

#[test]
fn a_module_is_shut_out_with_itself_or_its_device() {
    let id = || DeviceId::parse("d").unwrap();
    let module = || ModuleId::parse("m").unwrap();
    type Deed<'d> = &'d dyn Fn(&mut drawspan_hub_model::registry::Registry) -> Change;
    let delete_module: Deed<'_> = &|registry| {
        registry
            .delete_module(&id(), &module(), &IfMatch::Any)
            .unwrap();
        Change::DeleteModule(id(), module())
    };
    let delete_device: Deed<'_> = &|registry| {
        registry.delete(&id(), &IfMatch::Any).unwrap();
        Change::Delete(id())
    };
    let disable_device: Deed<'_> = &|registry| {
        let mut spec = drawspan_hub_model::device::DeviceSpec::new(id());
        spec.status = drawspan_hub_model::device::DeviceStatus::Disabled;
        let fresh = drawspan_emulator_hub::random::fresh(0).unwrap();
        let entry = registry.update(spec, &IfMatch::Any, fresh, 0).unwrap();
        Change::Put(entry.device)
    };
    let create_anew: Deed<'_> = &|registry| {
        registry.delete(&id(), &IfMatch::Any).unwrap();
        create(registry, "d", "2");
        create_module(registry, "d", "m", "2");
        Change::Delete(id())
    };
    for (deed, expected, takes_other) in [
        (delete_module, DisconnectReason::ModuleDeleted, false),
        (delete_device, DisconnectReason::DeviceDeleted, true),
        (disable_device, DisconnectReason::DeviceDisabled, true),
        (create_anew, DisconnectReason::ModuleDeleted, true),
    ] {
        let hub = hub_with_modules();
        let shared = shared(&hub);
        let (mut link, mut other) = (connected(&shared, "m"), connected(&shared, "n"));
        change(&hub, deed);
        link.look();
        other.look();
        assert_eq!(link.head.ended(), Some(expected));
        assert_eq!(other.head.ended().is_some(), takes_other, "{expected:?}");
    }
}

#[test]
fn the_subscriptions_of_a_module_go_on() {
    let hub = hub_with_modules();
    let shared = shared(&hub);
    let mut link = connected(&shared, "m");
    link.take(&subscribe("$iothub/methods/POST/#", 0));
    link.head.leave(DisconnectReason::ConnectionLost);
    let mut again = Link::new(&shared);
    let answer = again.take(&connect("d/m", &module_token("d", "m", 600)));
    assert_eq!(answer[..], [0x20, 2, 1, 0], "the session is present");
    let mut device = Link::new(&shared);
    let answer = device.take(&connect("d", &device_token("d", 600)));
    assert_eq!(answer[..], [0x20, 2, 0, 0], "the device has none");
}
