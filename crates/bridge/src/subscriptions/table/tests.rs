use std::sync::Arc;

use super::*;
use crate::subscriptions::TestUrl;

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn device(text: &str) -> Scope {
    Scope::Device(id(text))
}

fn fleet(text: &str) -> Scope {
    Scope::Fleet(Prefix::parse(text).unwrap())
}

fn row(url: &str, keep_connected: bool) -> Row<TestUrl> {
    Row {
        callback: TestUrl::new(url),
        created_at: UtcTime::from_unix_ms(0),
        keep_connected,
        imported: false,
        limited: false,
    }
}

fn url(row: Option<&Row<TestUrl>>) -> Option<&str> {
    row.map(|row| row.callback.as_str())
}

#[test]
fn a_devices_own_counts_first_and_then_the_longest_prefix() {
    use SubscriptionType::{C2dMessages, Methods};
    let mut table = Table::default();
    for (scope, to) in [
        (fleet(""), "http://a/all"),
        (fleet("pump-"), "http://a/pumps"),
        (fleet("pump-1"), "http://a/ones"),
        (device("pump-1"), "http://a/own"),
    ] {
        table.put(&scope, Methods, row(to, false)).unwrap();
    }
    let check = |table: &Table<TestUrl>, of: &str, expected: Option<&str>| {
        assert_eq!(url(table.of(&id(of), Methods)), expected, "{of}");
    };
    check(&table, "pump-1", Some("http://a/own"));
    check(&table, "pump-17", Some("http://a/ones"));
    check(&table, "pump-2", Some("http://a/pumps"));
    check(&table, "Pump-2", Some("http://a/all"));
    assert_eq!(table.of(&id("pump-1"), C2dMessages), None);

    assert!(table.remove(&device("pump-1"), Methods));
    assert!(!table.remove(&device("pump-1"), Methods));
    check(&table, "pump-1", Some("http://a/ones"));
    assert!(table.remove(&fleet(""), Methods));
    check(&table, "sensor", None);
    assert_eq!(table.devices(), 0);
}

#[test]
fn own_subscriptions_keep_a_device_connected_and_those_of_the_fleet_when_they_say_so() {
    use SubscriptionType::{C2dMessages, ConnectionStatus, DesiredProperties, Methods};
    let mut table = Table::default();
    let check = |table: &Table<TestUrl>, of: &str, permanent, methods, c2d, desired| {
        let links = Wants {
            methods,
            c2d: if c2d { Receive::Flowing } else { Receive::No },
            desired,
        };
        assert_eq!(table.wish(&id(of)), Wish { permanent, links }, "{of}");
    };
    let put = |table: &mut Table<TestUrl>, scope, kind, keep| {
        table.put(&scope, kind, row("http://a/b", keep)).unwrap();
    };
    put(&mut table, device("d"), ConnectionStatus, false);
    check(&table, "d", false, false, false, false);
    put(&mut table, fleet(""), C2dMessages, false);
    check(&table, "d", false, false, true, false);
    put(&mut table, device("d"), Methods, false);
    check(&table, "d", true, true, true, false);
    put(&mut table, fleet("e"), DesiredProperties, true);
    check(&table, "e1", true, false, true, true);
    // The longer prefix counts as a whole.
    put(&mut table, fleet("e1"), DesiredProperties, false);
    check(&table, "e1", false, false, true, true);
    assert_eq!(table.kinds(&id("d")), [Methods, ConnectionStatus]);
}

#[test]
fn equal_texts_are_kept_once() {
    let mut table = Table::default();
    let kind = SubscriptionType::Methods;
    for (of, to) in [
        ("a", "http://a/same"),
        ("b", "http://a/same"),
        ("c", "http://a/other"),
    ] {
        table.put(&device(of), kind, row(to, false)).unwrap();
    }
    let callback = |of: &str| table.get(&device(of), kind).unwrap().callback.clone();
    assert!(std::ptr::eq(callback("a").as_str(), callback("b").as_str()));
    assert!(Arc::ptr_eq(callback("a").origin(), callback("c").origin()));
}

#[test]
fn the_fleets_are_few() {
    let mut table = Table::default();
    let kind = SubscriptionType::Methods;
    for number in 0..MAX_FLEET_SUBSCRIPTIONS {
        let scope = fleet(&number.to_string());
        table.put(&scope, kind, row("http://a/b", false)).unwrap();
    }
    let put = table.put(&fleet("more"), kind, row("http://a/b", false));
    assert_eq!(put, Err(TooMany));
    let again = table.put(&fleet("0"), kind, row("http://a/c", false));
    assert_eq!(again, Ok(()));
    assert_eq!(table.all_of_fleet().len(), MAX_FLEET_SUBSCRIPTIONS);
}

#[test]
fn one_made_for_some_devices_is_for_those_by_their_id_at_the_hub() {
    let mut table = Table::default();
    let limited = |url: &str| Row {
        limited: true,
        ..row(url, false)
    };
    let (theirs, ours) = (
        limited("https://a.example/theirs"),
        limited("https://a.example/ours"),
    );
    table
        .put(&fleet("Line-1-"), SubscriptionType::Methods, theirs)
        .unwrap();
    table
        .put(&fleet("line-1-"), SubscriptionType::Methods, ours)
        .unwrap();
    let (device, assigned) = (id("Line-1-A"), id("line-1-a"));
    let found = |table: &Table<TestUrl>| {
        let row = table.of(&device, SubscriptionType::Methods);
        url(row).map(str::to_owned)
    };
    assert_eq!(found(&table).as_deref(), Some("https://a.example/theirs"));
    table.note_assigned(&device, Some(&assigned));
    assert_eq!(found(&table).as_deref(), Some("https://a.example/ours"));
    // One by somebody who may reach all goes by what the device is called here.
    let all = row("https://a.example/all", false);
    table
        .put(&fleet("Line-1-A"), SubscriptionType::Methods, all)
        .unwrap();
    assert_eq!(found(&table).as_deref(), Some("https://a.example/all"));
}
