use super::*;
use crate::limits::MAX_DEPTH;
use crate::value::{Array, Map, Symbol};

pub(crate) fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

fn symbol(text: &'static str) -> Value {
    Symbol::from_static(text).into()
}

fn array(items: impl IntoIterator<Item = impl Into<Value>>) -> Value {
    Array::new(items.into_iter().map(Into::into).collect())
        .unwrap()
        .into()
}

/// The value is written as these bytes, and read back from them.
fn check(value: impl Into<Value>, hex: &str) {
    let value = value.into();
    let mut out = BytesMut::new();
    encode_value(&value, &mut out);
    assert_eq!(out, bytes(hex), "{value:?}");
    reads(hex, value);
}

fn reads(hex: &str, value: impl Into<Value>) {
    assert_eq!(decode_value(&bytes(hex)), Ok(value.into()), "{hex}");
    let source = bytes(hex);
    let mut reader = Reader::new(&source);
    assert_eq!(
        reader.skip().and_then(|()| reader.finish()),
        Ok(()),
        "skipping {hex}"
    );
}

fn refuses(hex: &str, error: DecodeError) {
    assert_eq!(decode_value(&bytes(hex)), Err(error), "{hex}");
}

#[test]
fn scalars() {
    check(Value::Null, "40");
    check(true, "41");
    check(false, "42");
    check(0xab_u8, "50 ab");
    check(0xabcd_u16, "60 abcd");
    check(0_u32, "43");
    check(255_u32, "52 ff");
    check(256_u32, "70 00000100");
    check(0_u64, "44");
    check(255_u64, "53 ff");
    check(256_u64, "80 0000000000000100");
    check(-1_i8, "51 ff");
    check(-2_i16, "61 fffe");
    check(-128_i32, "54 80");
    check(200_i32, "71 000000c8");
    check(127_i64, "55 7f");
    check(128_i64, "81 0000000000000080");
    check(1.5_f32, "72 3fc00000");
    check(-2.0_f64, "82 c000000000000000");
    check(Value::Decimal32([1, 2, 3, 4]), "74 01020304");
    check(
        Value::Decimal64([1, 2, 3, 4, 5, 6, 7, 8]),
        "84 0102030405060708",
    );
    check(
        Value::Decimal128([7; 16]),
        "94 07070707070707070707070707070707",
    );
    check('Ω', "73 000003a9");
    check(Value::Timestamp(-1), "83 ffffffffffffffff");
    check(Value::Uuid([9; 16]), "98 09090909090909090909090909090909");
}

#[test]
fn scalars_in_longer_encodings() {
    reads("56 00", false);
    reads("56 01", true);
    reads("52 00", 0_u32);
    reads("70 00000007", 7_u32);
    reads("53 00", 0_u64);
    reads("80 0000000000000007", 7_u64);
    reads("71 ffffffff", -1_i32);
    reads("81 ffffffffffffffff", -1_i64);
}

#[test]
fn variable_widths() {
    check("", "a1 00");
    check("é", "a1 02 c3a9");
    check(symbol("abc"), "a3 03 616263");
    check(Bytes::from_static(&[1, 2]), "a0 02 0102");
    reads("b1 00000002 c3a9", "é");
    reads("b3 00000003 616263", symbol("abc"));
    reads("b0 00000002 0102", Bytes::from_static(&[1, 2]));

    check("x".repeat(255), &format!("a1 ff {}", "78".repeat(255)));
    check(
        "x".repeat(256),
        &format!("b1 00000100 {}", "78".repeat(256)),
    );
    check(
        Bytes::from(vec![7; 256]),
        &format!("b0 00000100 {}", "07".repeat(256)),
    );
}

#[test]
fn lists_and_maps() {
    check(Vec::new(), "45");
    reads("c0 01 00", Vec::new());
    reads("d0 00000004 00000000", Vec::new());
    check(vec![Value::Null, 1_u32.into()], "c0 04 02 40 5201");
    reads(
        "d0 00000007 00000002 40 5201",
        vec![Value::Null, 1_u32.into()],
    );
    check(
        vec![Value::Null; 254],
        &format!("c0 ff fe {}", "40".repeat(254)),
    );
    check(
        vec![Value::Null; 255],
        &format!("d0 00000103 000000ff {}", "40".repeat(255)),
    );
    // Inside a list that turns out to be wide, the narrow one must survive the move.
    let inner = Value::List(vec![true.into()]);
    check(
        vec![inner.clone(), "x".repeat(255).into(), inner],
        &format!(
            "d0 0000010d 00000003 c00201 41 a1ff {} c00201 41",
            "78".repeat(255)
        ),
    );

    check(Map::new(), "c1 01 00");
    let map: Map = [("a", 1_i32)].into_iter().collect();
    check(map.clone(), "c1 06 02 a10161 5401");
    reads("d1 00000009 00000002 a10161 5401", map);
}

#[test]
fn arrays() {
    check(array(Vec::<Value>::new()), "e0 02 00 40");
    reads("f0 00000005 00000000 a3", array(Vec::<Value>::new()));
    check(
        array([symbol("a"), symbol("bc")]),
        "e0 07 02 a3 0161 026263",
    );
    reads(
        "f0 0000000a 00000002 a3 0161 026263",
        array([symbol("a"), symbol("bc")]),
    );
    reads(
        "e0 0d 02 b3 0000000161 000000026263",
        array([symbol("a"), symbol("bc")]),
    );
    check(array([1_u32, 2]), "e0 0a 02 70 00000001 00000002");
    reads("e0 04 02 52 0102", array([1_u32, 2]));
    check(array([true, false]), "e0 04 02 56 0100");
    reads("e0 02 02 41", array([true, true]));
    check(
        array(["x".repeat(256)]),
        &format!("f0 00000109 00000001 b1 00000100 {}", "78".repeat(256)),
    );
    check(
        array([vec![Value::Null], vec![]]),
        "e0 13 02 d0 00000005 00000001 40 00000004 00000000",
    );
    check(
        array([array([1_u8])]),
        "e0 0c 01 f0 00000006 00000001 50 01",
    );
    check(array([Map::new()]), "e0 0a 01 d1 00000004 00000000");
    reads(
        "e0 02 03 40",
        array([Value::Null, Value::Null, Value::Null]),
    );
    reads(
        "e0 09 04 00 5301 50 01020304",
        array([1_u8, 2, 3, 4].map(|number| Value::described(1_u64, number))),
    );
    // The descriptor stands once, before the constructor of all items.
    let described = [3_u16, 4].map(|number| Value::described(symbol("x:y"), number));
    check(array(described), "e0 0c 02 00 a303783a79 60 0003 0004");
}

#[test]
fn described_values() {
    check(Value::described(0x24_u64, Vec::new()), "00 53 24 45");
    reads(
        "00 80 0000000000000024 45",
        Value::described(0x24_u64, Vec::new()),
    );
    check(
        Value::described(symbol("a:b"), Value::described(1_u64, "x")),
        "00 a303613a62 00 5301 a10178",
    );
}

#[test]
fn malformed_values_are_named() {
    for truncated in [
        "",
        "00",
        "00 53",
        "00 5324",
        "50",
        "60 00",
        "71 000000",
        "80 00",
        "98 00",
        "a1",
        "a1 02 61",
        "b1 0000",
        "c0",
        "c0 00",
        "c0 03 01 40",
        "d0 00000003 000000",
        "e0 01 00",
        "b0 ffffffff",
    ] {
        refuses(truncated, DecodeError::Truncated);
    }
    refuses("3f", DecodeError::InvalidConstructor(0x3f));
    refuses("46", DecodeError::InvalidConstructor(0x46));
    refuses("e0 03 01 57 00", DecodeError::InvalidConstructor(0x57));
    refuses("56 02", DecodeError::InvalidBool);
    refuses("73 0000d800", DecodeError::InvalidChar);
    refuses("a1 01 ff", DecodeError::InvalidUtf8);
    refuses("a3 02 c3a9", DecodeError::InvalidSymbol);
    refuses("c1 04 01 a10161", DecodeError::OddMap);
    refuses("40 40", DecodeError::TrailingBytes(1));
    refuses("c0 03 01 40 40", DecodeError::TrailingBytes(1));
    refuses("c0 02 05 40", DecodeError::CountExceedsBuffer);
    refuses("d1 00000004 fffffffe", DecodeError::CountExceedsBuffer);
    refuses("d0 00000004 ffffffff", DecodeError::CountExceedsBuffer);
    // Items without width must not let an array of ten bytes become one of four thousand million values.
    refuses("f0 00000005 ffffffff 40", DecodeError::CountExceedsBuffer);
    refuses("f0 00000005 ffffffff 45", DecodeError::CountExceedsBuffer);
    refuses(
        "e0 06 01 00 a10161 40",
        DecodeError::InvalidValue("descriptor of an array"),
    );
}

#[test]
fn nesting_has_an_end() {
    let nested = |levels: usize| {
        (0..levels).fold(bytes("40"), |inner, _| {
            let mut out = BytesMut::new();
            out.extend_from_slice(&[constructor::LIST_32]);
            out.extend_from_slice(&u32::try_from(inner.len() + 4).unwrap().to_be_bytes());
            out.extend_from_slice(&1_u32.to_be_bytes());
            out.extend_from_slice(&inner);
            out.freeze()
        })
    };
    assert!(decode_value(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        decode_value(&nested(MAX_DEPTH + 1)),
        Err(DecodeError::TooDeep)
    );
    assert_eq!(decode_value(&nested(10_000)), Err(DecodeError::TooDeep));

    let described = |levels: usize| bytes(&format!("{}40", "005301".repeat(levels)));
    assert!(decode_value(&described(MAX_DEPTH)).is_ok());
    assert_eq!(
        decode_value(&described(MAX_DEPTH + 1)),
        Err(DecodeError::TooDeep)
    );
    let source = bytes(&"00".repeat(10_000));
    assert_eq!(Reader::new(&source).skip(), Err(DecodeError::TooDeep));
}

#[test]
fn copied_descriptors_count() {
    // A descriptor of 255 bytes for 200 items of no width: 50 KB from half a kilobyte.
    let hex = format!(
        "f0 {:08x} 000000c8 00 a3ff {} 40",
        4 + 1 + 2 + 255 + 1,
        "78".repeat(255)
    );
    refuses(&hex, DecodeError::CountExceedsBuffer);
}

#[test]
fn binaries_share_the_memory_of_their_source() {
    let source = bytes("a0 03 010203");
    let Ok(Value::Binary(binary)) = decode_value(&source) else {
        panic!("a binary")
    };
    assert_eq!(binary.as_ptr(), source[2..].as_ptr());
}
