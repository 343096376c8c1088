//! Modules: their registry, their twins, and who speaks for them.

use std::collections::{BTreeMap, BTreeSet};

use drawspan_hub::{DeviceId, ErrorCode, HostName, ModuleId, SymmetricKey, sas};
use proptest::prelude::*;
use serde_json::json;

use super::{fresh, id, key, spec};
use crate::access::{Denied, Grant, verify};
use crate::client_id::ClientId;
use crate::device::{AuthenticationSpec, DeviceStatus};
use crate::event::HubEvent;
use crate::limits::Limits;
use crate::module::ModuleSpec;
use crate::policy::{Policies, Right};
use crate::registry::{Change, IfMatch, Registry, RegistryError};
use crate::twin::{TwinUpdate, parse_patch};

const NOW_S: u64 = 1_700_000_000;

fn module(name: &str) -> ModuleId {
    ModuleId::parse(name).unwrap()
}

fn client(device: &str, name: &str) -> ClientId {
    ClientId::of_module(&id(device), &module(name))
}

fn of(device: &str, name: &str) -> ModuleSpec {
    ModuleSpec::new(id(device), module(name))
}

/// Devices `a`, `b` and `off`, which is disabled; modules `m` (keys 11 and 111) and `n` of `a`, `m` of `b` and of `off` (key 13).
fn registry() -> Registry {
    let mut registry = Registry::default();
    for (number, name) in (1..).zip(["a", "b", "off"]) {
        let mut spec = spec(name);
        if name == "off" {
            spec.status = DeviceStatus::Disabled;
        }
        registry.create(spec, fresh(number), 0).unwrap();
    }
    for (device, name, number) in [
        ("a", "m", 11),
        ("a", "n", 12),
        ("b", "m", 14),
        ("off", "m", 13),
    ] {
        registry
            .create_module(of(device, name), fresh(number))
            .unwrap();
    }
    registry.take_events();
    registry
}

fn names(registry: &Registry, device: &str) -> Vec<String> {
    let device = id(device);
    let of_device = registry.modules_of(&device).unwrap();
    of_device.map(|entry| entry.module.id.to_string()).collect()
}

#[test]
fn a_module_is_created_changed_and_deleted_by_its_version() {
    let mut registry = registry();
    assert_eq!(names(&registry, "a"), ["m", "n"]);
    let created = registry.module(&id("a"), &module("m")).unwrap().clone();
    assert_eq!(&*created.module.generation_id, "generation-11");
    assert!(
        created
            .module
            .keys()
            .any(|it| it.to_base64() == key(111).to_base64())
    );
    let check = |error: RegistryError, code: ErrorCode, text: &str| {
        assert_eq!((error.code(), &*error.to_string()), (code, text));
    };
    check(
        registry.create_module(of("a", "m"), fresh(20)).unwrap_err(),
        ErrorCode::MODULE_ALREADY_EXISTS_ON_DEVICE,
        "Device a already contains Module m.",
    );
    check(
        registry.create_module(of("x", "m"), fresh(20)).unwrap_err(),
        ErrorCode::DEVICE_NOT_FOUND,
        "Device x not registered",
    );
    let edge = registry
        .create_module(of("a", "$edgeHub"), fresh(20))
        .unwrap_err();
    assert!(edge.to_string().contains("IoT Edge"), "{edge}");

    let mut changed = of("a", "m");
    changed.managed_by = Some("somebody".into());
    changed.authentication = AuthenticationSpec::Sas(Some((key(8), key(9))));
    let stale = IfMatch::Etag("etag-9".into());
    let error = registry
        .update_module(changed.clone(), &stale, fresh(20))
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::PRECONDITION_FAILED);
    let current = IfMatch::Etag("etag-11".into());
    let updated = registry
        .update_module(changed, &current, fresh(20))
        .unwrap()
        .module;
    assert_eq!(
        (&*updated.generation_id, &*updated.etag),
        ("generation-11", "etag-20")
    );
    assert_eq!(updated.managed_by.as_deref(), Some("somebody"));

    let error = registry
        .delete_module(&id("a"), &module("m"), &current)
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::PRECONDITION_FAILED);
    registry
        .delete_module(&id("a"), &module("m"), &IfMatch::Any)
        .unwrap();
    let again = registry.delete_module(&id("a"), &module("m"), &IfMatch::Any);
    check(
        again.unwrap_err(),
        ErrorCode::MODULE_NOT_FOUND,
        "Module m on Device a not registered",
    );
    assert_eq!(names(&registry, "a"), ["n"]);
    let m = client("a", "m");
    let expected = [
        HubEvent::ModuleUpdated { client: m.clone() },
        HubEvent::ModuleDeleted { client: m },
    ];
    assert_eq!(registry.take_events(), expected);
}

#[test]
fn modules_go_with_their_device_and_make_room() {
    let limits = Limits {
        devices: 4,
        modules: 2,
        ..Limits::default()
    };
    let mut registry = Registry::from_stored(&limits, Vec::new(), Vec::new());
    registry.create(spec("a"), fresh(1), 0).unwrap();
    registry.create(spec("b"), fresh(2), 0).unwrap();
    registry.create_module(of("a", "m"), fresh(3)).unwrap();
    registry.create_module(of("a", "n"), fresh(4)).unwrap();
    let many = registry.create_module(of("a", "o"), fresh(5)).unwrap_err();
    assert_eq!(many.code(), ErrorCode::TOO_MANY_MODULES_ON_DEVICE);
    let full = registry.create_module(of("b", "m"), fresh(5)).unwrap_err();
    assert_eq!(full.code(), ErrorCode::TOO_MANY_DEVICES);
    assert_eq!(registry.create(spec("c"), fresh(5), 0).unwrap_err(), full);
    registry.take_events();
    registry.delete(&id("a"), &IfMatch::Any).unwrap();
    let expected = [
        HubEvent::ModuleDeleted {
            client: client("a", "m"),
        },
        HubEvent::ModuleDeleted {
            client: client("a", "n"),
        },
        HubEvent::DeviceDeleted { device: id("a") },
    ];
    assert_eq!(registry.take_events(), expected);
    registry.create(spec("a"), fresh(5), 0).unwrap();
    assert_eq!(names(&registry, "a"), [""; 0]);
    registry.create_module(of("a", "m"), fresh(6)).unwrap();
    registry.create_module(of("b", "m"), fresh(6)).unwrap();
    assert!(registry.modules_of(&id("x")).is_err());
}

#[test]
fn all_modules_are_listed_behind_any_of_them() {
    let registry = registry();
    let behind = |after: Option<ClientId>| -> Vec<String> {
        let found = registry.modules_after(after.as_ref());
        found
            .map(|entry| entry.module.client().to_string())
            .collect()
    };
    assert_eq!(behind(None), ["a/m", "a/n", "b/m", "off/m"]);
    assert_eq!(behind(Some(client("a", "m"))), ["a/n", "b/m", "off/m"]);
    assert_eq!(behind(Some(client("a", "x"))), ["b/m", "off/m"]);
    assert_eq!(behind(Some(id("b").into())), ["b/m", "off/m"]);
    assert_eq!(behind(Some(client("z", "m"))), [""; 0]);
}

#[test]
fn a_module_has_a_twin_and_a_connection_of_its_own() {
    let mut registry = registry();
    let m = client("a", "m");
    let patch = parse_patch(b"{\"on\":true}").unwrap();
    registry.report(&m, &patch, None, 5).unwrap();
    let desired = json!({ "properties": { "desired": { "level": 3 } } });
    let update = TwinUpdate::from_json(desired.as_object().unwrap().clone(), false).unwrap();
    let change = registry.update_twin(&m, &update, &IfMatch::Any, 6).unwrap();
    let Change::Twin {
        client: of,
        twin,
        desired: Some(_),
    } = change
    else {
        panic!("{change:?}")
    };
    assert_eq!(
        (of, twin.for_device()["reported"]["on"].clone()),
        (m.clone(), json!(true))
    );
    assert_eq!(registry.twin(&m).unwrap(), twin);
    for other in [ClientId::from(id("a")), client("a", "n"), client("b", "m")] {
        assert_eq!(
            registry.twin(&other).unwrap(),
            Default::default(),
            "{other}"
        );
    }
    assert_eq!(registry.twin(&client("x", "m")), None);
    assert!(registry.set_connected(&m, true, 7));
    assert!(!registry.set_connected(&client("a", "x"), true, 7));
    assert!(
        registry
            .module(&id("a"), &module("m"))
            .unwrap()
            .connection
            .connected
    );
    assert!(!registry.get(&id("a")).unwrap().connection.connected);
    assert_eq!(registry.counts().connected, 0);
}

fn grant(
    registry: &Registry,
    resource: &str,
    key: &SymmetricKey,
    policy: Option<&str>,
) -> Result<Grant, Denied> {
    let token = sas::sign(resource, key, NOW_S + 3600, policy);
    let host = HostName::parse("contoso.test").unwrap();
    verify(
        &token,
        &host,
        &Policies {
            key: super::key(50),
        },
        registry,
        &super::presented(NOW_S),
    )
}

#[test]
fn a_modules_key_is_for_that_module_only() {
    let registry = registry();
    let host = HostName::parse("contoso.test").unwrap();
    let allows = |grant: &Grant, path: &str| grant.allows(Right::DeviceConnect, &host, path);
    for (resource, number) in [
        ("contoso.test%2Fdevices%2Fa%2Fmodules%2Fm", 11),
        ("contoso.test/devices/a/modules/m", 111),
    ] {
        let grant = grant(&registry, resource, &key(number), None).unwrap();
        assert_eq!(grant.principal.client(), Some(client("a", "m")));
        for path in [
            "/devices/a/modules/m",
            "/devices/a/modules/m/messages/events",
        ] {
            assert_eq!(allows(&grant, path), Ok(()), "{path}");
        }
        for path in [
            "/devices/a",
            "/devices/a/twin",
            "/devices/a/modules/n/twin",
            "/devices/b/modules/m/twin",
            "/devices/a/modules",
        ] {
            assert_eq!(allows(&grant, path), Err(Denied::MissingRight), "{path}");
        }
    }
    let device = grant(&registry, "contoso.test/devices/a", &key(1), None).unwrap();
    assert_eq!(
        allows(&device, "/devices/a/modules/m/messages/events"),
        Err(Denied::MissingRight)
    );
    let policy = grant(
        &registry,
        "contoso.test/devices/a/modules/m",
        &key(50),
        Some("device"),
    )
    .unwrap();
    assert_eq!(allows(&policy, "/devices/a/modules/m/twin"), Ok(()));
    assert_eq!(allows(&policy, "/devices/a/twin"), Err(Denied::OutOfScope));
}

#[test]
fn who_does_not_speak_for_a_module() {
    let registry = registry();
    let check = |resource: &str, number: u8, expected: Denied| {
        let denied = grant(&registry, resource, &key(number), None).unwrap_err();
        assert_eq!(denied, expected, "{resource}");
    };
    check("contoso.test/devices/a/modules/m", 1, Denied::WrongKey);
    check("contoso.test/devices/a/modules/m", 12, Denied::WrongKey);
    check(
        "contoso.test/devices/a/modules/x",
        11,
        Denied::UnknownModule,
    );
    check(
        "contoso.test/devices/x/modules/m",
        11,
        Denied::UnknownDevice,
    );
    check(
        "contoso.test/devices/off/modules/m",
        13,
        Denied::DeviceDisabled,
    );
    check("contoso.test/devices/a/modules", 11, Denied::UnknownDevice);
}

#[test]
fn clients_are_ordered_by_device_and_named_as_over_mqtt() {
    let device = |text| ClientId::from(DeviceId::parse(text).unwrap());
    let mut clients = [
        client("b", "a"),
        device("b"),
        client("a", "z"),
        device("a"),
        client("a", "b"),
        device("a-"),
    ];
    clients.sort();
    let names = clients.map(|client| client.to_string());
    assert_eq!(names, ["a", "a/b", "a/z", "a-", "b", "b/a"]);
    assert_eq!(client("a", "m").path(), "/devices/a/modules/m");
    assert_eq!(client("a", "m").described(), "module m of device a");
}

/// Something that is done to device and module by their numbers.
#[derive(Clone, Copy, Debug)]
enum Step {
    CreateDevice(usize),
    DeleteDevice(usize),
    Create(usize, usize),
    Update(usize, usize),
    Delete(usize, usize),
    Report(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let both = || (0..3_usize, 0..4_usize);
    let step = prop_oneof![
        2 => (0..3_usize).prop_map(Step::CreateDevice),
        1 => (0..3_usize).prop_map(Step::DeleteDevice),
        6 => both().prop_map(|(device, module)| Step::Create(device, module)),
        2 => both().prop_map(|(device, module)| Step::Update(device, module)),
        3 => both().prop_map(|(device, module)| Step::Delete(device, module)),
        3 => both().prop_map(|(device, module)| Step::Report(device, module)),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    /// Against devices as a map of their modules, and of how often each of these has reported.
    #[test]
    fn modules_are_those_of_a_reference(steps in steps()) {
        let limits = Limits { devices: 7, modules: 3, ..Limits::default() };
        let mut registry = Registry::from_stored(&limits, Vec::new(), Vec::new());
        let mut known: BTreeMap<usize, BTreeMap<usize, u64>> = BTreeMap::new();
        let (devices, names) = (["a", "a-", "b"], ["m", "M", "n", "o"]);
        let patch = parse_patch(b"{\"on\":true}").unwrap();
        for (number, step) in (1..).zip(steps) {
            let full = known.len() + known.values().map(BTreeMap::len).sum::<usize>() >= 7;
            let (done, expected) = match step {
                Step::CreateDevice(device) => {
                    let may = !known.contains_key(&device) && !full;
                    if may {
                        known.insert(device, BTreeMap::new());
                    }
                    (registry.create(spec(devices[device]), fresh(number), 0).is_ok(), may)
                }
                Step::DeleteDevice(device) => {
                    let done = registry.delete(&id(devices[device]), &IfMatch::Any).is_ok();
                    (done, known.remove(&device).is_some())
                }
                Step::Create(device, at) => {
                    let of = known.get_mut(&device);
                    let of = of.filter(|of| !full && of.len() < 3 && !of.contains_key(&at));
                    let may = of.map(|of| of.insert(at, 0)).is_some();
                    (registry.create_module(self::of(devices[device], names[at]), fresh(number)).is_ok(), may)
                }
                Step::Update(device, at) => {
                    let done = registry.update_module(self::of(devices[device], names[at]), &IfMatch::Any, fresh(number));
                    (done.is_ok(), known.get(&device).is_some_and(|of| of.contains_key(&at)))
                }
                Step::Delete(device, at) => {
                    let done = registry.delete_module(&id(devices[device]), &module(names[at]), &IfMatch::Any);
                    (done.is_ok(), known.get_mut(&device).is_some_and(|of| of.remove(&at).is_some()))
                }
                Step::Report(device, at) => {
                    let reports = known.get_mut(&device).and_then(|of| of.get_mut(&at));
                    let may = reports.map(|reports| *reports += 1).is_some();
                    (registry.report(&client(devices[device], names[at]), &patch, None, 0).is_ok(), may)
                }
            };
            prop_assert_eq!(done, expected, "{:?}", step);
            let found = registry.modules_after(None).map(|entry| {
                (entry.module.client().to_string(), entry.twin().reported.version() - 1)
            });
            let expected: BTreeSet<_> = known.iter().flat_map(|(device, of)| {
                of.iter().map(|(at, reports)| (format!("{}/{}", devices[*device], names[*at]), *reports))
            }).collect();
            prop_assert_eq!(found.collect::<BTreeSet<_>>(), expected);
        }
    }
}
