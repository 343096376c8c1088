use super::*;

#[test]
fn integers_are_read_from_every_type_that_fits() {
    let sevens = [
        Value::Ubyte(7),
        Value::Ushort(7),
        Value::Uint(7),
        Value::Ulong(7),
        Value::Byte(7),
        Value::Short(7),
        Value::Int(7),
        Value::Long(7),
    ];
    for value in sevens {
        assert_eq!(
            (value.as_i64(), value.as_u64()),
            (Some(7), Some(7)),
            "{value:?}"
        );
    }
    assert_eq!(Value::Long(-1).as_u64(), None);
    assert_eq!(Value::Ulong(u64::MAX).as_i64(), None);
    assert_eq!(Value::Ulong(u64::MAX).as_u64(), Some(u64::MAX));
    assert_eq!(Value::Timestamp(7).as_i64(), None, "a time is not a number");
    assert_eq!(Value::from("7").as_i64(), None);
}

#[test]
fn text_is_read_from_strings_and_symbols() {
    assert_eq!(Value::from("a").as_str(), Some("a"));
    assert_eq!(Value::from(Symbol::from_static("a")).as_str(), Some("a"));
    assert_eq!(Value::from(Bytes::from_static(b"a")).as_str(), None);
    assert_eq!(
        Value::from(Bytes::from_static(b"a")).as_bytes(),
        Some(&Bytes::from_static(b"a"))
    );
    assert_eq!(Value::from(true).as_bool(), Some(true));
}

#[test]
fn symbols_are_ascii() {
    assert_eq!(Symbol::new("größe"), Err(NotAscii));
    let symbol = Symbol::new("amqp:not-found").unwrap();
    assert_eq!(symbol, Symbol::from_static("amqp:not-found"));
    assert!(symbol == "amqp:not-found" && symbol == *"amqp:not-found" && symbol != "amqp");
    assert_eq!(symbol.to_string(), "amqp:not-found");
}

#[test]
fn the_first_of_equal_keys_counts() {
    let mut map = Map::new();
    map.push("key", 1_i32);
    map.push(Symbol::from_static("key"), 2_i32);
    assert_eq!(map.get("key"), Some(&Value::Int(1)));
    assert_eq!(map.get_symbol("key"), Some(&Value::Int(2)));
    assert_eq!(map.get("other"), None);
    assert_eq!(map.insert("key", 3_i32), Some(Value::Int(1)));
    assert_eq!(map.insert("other", 4_i32), None);
    let expected: Map = [
        (Value::from("key"), 3_i32),
        (Symbol::from_static("key").into(), 2),
        ("other".into(), 4),
    ]
    .into_iter()
    .collect();
    assert_eq!(map, expected);
    assert_eq!(map.len(), 3);
}

#[test]
fn arrays_hold_one_type() {
    assert_eq!(
        Array::new(vec![1_i32.into(), 2_i64.into()]),
        Err(MixedArray)
    );
    assert_eq!(
        Array::new(vec![1_i32.into(), 2_i32.into()])
            .unwrap()
            .items(),
        [1_i32.into(), 2_i32.into()]
    );
    assert!(Array::new(Vec::new()).unwrap().items().is_empty());
    let described = |descriptor: u64, value: Value| Value::described(descriptor, value);
    assert!(Array::new(vec![described(1, 1_i32.into()), described(1, 2_i32.into())]).is_ok());
    assert_eq!(
        Array::new(vec![described(1, 1_i32.into()), described(2, 1_i32.into())]),
        Err(MixedArray)
    );
    assert_eq!(
        Array::new(vec![described(1, 1_i32.into()), described(1, 1_i64.into())]),
        Err(MixedArray)
    );
}
