use super::*;
use crate::performative::{
    Attach, Begin, Close, DeliveryState, DeliveryTag, Detach, End, Error, Open, ReceiverSettleMode,
    Role, SaslCode, SenderSettleMode, Source, Target, condition,
};
use crate::value::{Map, Symbol, Value};

/// Bytes from hexadecimal digits, in which `[count fields]` stands for a `list8` with the right size.
fn bytes(hex: &str) -> BytesMut {
    let mut open = vec![BytesMut::new()];
    let mut digits = hex.chars().filter(|c| !c.is_whitespace());
    while let Some(digit) = digits.next() {
        match digit {
            '[' => open.push(BytesMut::new()),
            ']' => {
                let list = open.pop().unwrap();
                let outer = open.last_mut().unwrap();
                outer.put_slice(&[0xc0, u8::try_from(list.len()).unwrap()]);
                outer.put_slice(&list);
            }
            high => {
                let byte =
                    high.to_digit(16).unwrap() * 16 + digits.next().unwrap().to_digit(16).unwrap();
                open.last_mut().unwrap().put_u8(u8::try_from(byte).unwrap());
            }
        }
    }
    open.pop().unwrap()
}

fn open() -> Open {
    Open {
        container_id: "c".into(),
        hostname: None,
        max_frame_size: 65_536,
        channel_max: 8191,
        idle_time_out_ms: Some(240_000),
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

fn transfer() -> Transfer {
    Transfer {
        handle: 0,
        delivery_id: Some(1),
        delivery_tag: DeliveryTag::new(b"t"),
        message_format: Some(0),
        settled: Some(false),
        more: false,
        rcv_settle_mode: None,
        state: None,
        resume: false,
        aborted: false,
        batchable: false,
        payload: Bytes::new(),
    }
}

/// The performative is written as a frame with this body, and read back from it.
fn check(performative: &Performative, hex: &str) {
    let mut out = BytesMut::new();
    encode_performative(&mut out, 7, performative);
    let frame = split_frame(&mut out, 512).unwrap().unwrap();
    assert_eq!((frame.kind, frame.channel), (FrameKind::Amqp, 7));
    assert_eq!(frame.body, bytes(hex), "{performative:?}");
    reads(hex, performative);
}

fn reads(hex: &str, performative: &Performative) {
    assert_eq!(
        decode_performative(bytes(hex).freeze()).as_ref(),
        Ok(&Some(performative.clone())),
        "{hex}"
    );
}

fn refuses(hex: &str, error: DecodeError) {
    assert_eq!(
        decode_performative(bytes(hex).freeze()),
        Err(error),
        "{hex}"
    );
}

#[test]
fn performatives_are_written_at_full_length() {
    let error = Error::new(condition::NOT_FOUND, "x");
    check(
        &Performative::Open(Box::new(open())),
        "005310 [0a a10163 40 7000010000 601fff 700003a980 4040404040]",
    );
    let begin = Begin {
        remote_channel: Some(1),
        next_outgoing_id: 0,
        incoming_window: 5,
        outgoing_window: 5,
        handle_max: u32::MAX,
        offered_capabilities: None,
        desired_capabilities: Some(vec![Symbol::from_static("a"), Symbol::from_static("b")]),
        properties: None,
    };
    check(
        &Performative::Begin(Box::new(begin)),
        "005311 [08 600001 43 5205 5205 70ffffffff 40 e00602a301610162 40]",
    );
    check(
        &Performative::Flow(Flow {
            incoming_window: 1,
            link_credit: Some(300),
            drain: true,
            ..Flow::default()
        }),
        "005313 [0b 40 5201 43 43 40 40 700000012c 40 41 42 40]",
    );
    check(
        &Performative::Transfer(transfer()),
        "005314 [0b 43 5201 a00174 43 42 42 40 40 42 42 42]",
    );
    check(
        &Performative::Transfer(Transfer {
            payload: Bytes::from_static(b"\x00\x53\x75"),
            ..transfer()
        }),
        "005314 [0b 43 5201 a00174 43 42 42 40 40 42 42 42] 005375",
    );
    let disposition = Disposition {
        role: Role::Receiver,
        first: 1,
        last: None,
        settled: true,
        state: Some(DeliveryState::Accepted),
        batchable: false,
    };
    check(
        &Performative::Disposition(disposition),
        "005315 [06 41 5201 40 41 00532445 42]",
    );
    check(
        &Performative::Detach(Detach {
            handle: 2,
            closed: true,
            error: Some(error.clone()),
        }),
        "005316 [03 5202 41 00531d [03 a30e616d71703a6e6f742d666f756e64 a10178 40]]",
    );
    check(&Performative::End(End::default()), "005317 [01 40]");
    check(&Performative::Close(Close::default()), "005318 [01 40]");
}

#[test]
fn outcomes() {
    let states = [
        (DeliveryState::Released, "00532645"),
        (DeliveryState::Rejected(None), "005325 [01 40]"),
        (
            DeliveryState::Received {
                section_number: 1,
                section_offset: 300,
            },
            "005323 [02 5201 80000000000000012c]",
        ),
        (
            DeliveryState::Modified {
                delivery_failed: true,
                undeliverable_here: false,
                message_annotations: Some(Map::new()),
            },
            "005327 [03 41 42 c10100]",
        ),
        (
            DeliveryState::Other(Value::described(0x33_u64, vec![Value::Null])),
            "005333 [01 40]",
        ),
    ];
    for (state, hex) in states {
        let disposition = Disposition {
            role: Role::Sender,
            first: 0,
            last: Some(0),
            settled: false,
            state: Some(state),
            batchable: true,
        };
        check(
            &Performative::Disposition(disposition),
            &format!("005315 [06 42 43 43 42 {hex} 41]"),
        );
    }
}

#[test]
fn an_attach_carries_both_termini_at_full_length() {
    let attach = Attach {
        name: "n".into(),
        handle: 0,
        role: Role::Sender,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(Source {
            address: Some("s".into()),
            ..Source::default()
        })),
        target: Some(Box::new(Target::default())),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: Some(0),
        max_message_size: Some(262_144),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    check(
        &Performative::Attach(Box::new(attach)),
        "005312 [0e a1016e 43 42 5002 5000 005328 [0b a10173 43 40 43 42 404040404040] 005329 [07 40 43 40 43 42 4040] 40 42 43 800000000000040000 404040]",
    );
}

#[test]
fn every_permitted_form_is_read() {
    let close = Performative::Close(Close::default());
    for hex in [
        "005318 45",
        "005318 c00100",
        "005318 d00000000400000000",
        "00 800000000000000018 45",
        "00 a30f616d71703a636c6f73653a6c697374 45",
        "00 b30000000f616d71703a636c6f73653a6c697374 45",
        // Fields that are not known yet.
        "005318 [03 404041]",
    ] {
        reads(hex, &close);
    }
    // An empty array of symbols, of any type, means the same as null; one symbol means the same as an array of one.
    let mut capable = Open {
        desired_capabilities: Some(vec![Symbol::from_static("x")]),
        ..open()
    };
    capable.hostname = Some("h".into());
    let hex = "005310 [09 a10163 a10168 7000010000 601fff 700003a980 e00200a3 e0020040 40 a30178]";
    reads(hex, &Performative::Open(Box::new(capable)));
    let short = Performative::Flow(Flow {
        incoming_window: 1,
        next_outgoing_id: 2,
        outgoing_window: 3,
        ..Flow::default()
    });
    reads("005313 [04 40 5201 5202 5203]", &short);
    let mut rest = open();
    (rest.max_frame_size, rest.channel_max, rest.idle_time_out_ms) = (u32::MAX, u16::MAX, None);
    reads("005310 [01 a10163]", &Performative::Open(Box::new(rest)));
    assert_eq!(decode_performative(Bytes::new()), Ok(None));
}

#[test]
fn empty_arrays_of_symbols_are_written_as_null() {
    let mut with_none = BytesMut::new();
    encode_performative(&mut with_none, 0, &Performative::Open(Box::new(open())));
    let mut with_empty = BytesMut::new();
    let empty = Open {
        offered_capabilities: Some(Vec::new()),
        ..open()
    };
    encode_performative(&mut with_empty, 0, &Performative::Open(Box::new(empty)));
    assert_eq!(with_empty, with_none);
}

#[test]
fn a_foreign_terminus_counts_as_none() {
    let body = bytes("005312 [07 a1016e 43 42 40 40 00532845 005330 [01 40]]");
    let Ok(Some(Performative::Attach(attach))) = decode_performative(body.freeze()) else {
        panic!("an attach")
    };
    assert_eq!((attach.source, attach.target), (Some(Box::default()), None));
}

#[test]
fn malformed_bodies_are_named() {
    refuses("005319 45", DecodeError::UnknownDescriptor(Some(0x19)));
    refuses("00a30161 45", DecodeError::UnknownDescriptor(None));
    refuses(
        "45",
        DecodeError::WrongType {
            expected: "a described type",
            found: 0x45,
        },
    );
    refuses(
        "005318 40",
        DecodeError::WrongType {
            expected: "list",
            found: 0x40,
        },
    );
    refuses("005318 45 00", DecodeError::TrailingBytes(1));
    refuses("005310 45", DecodeError::MissingField("container_id"));
    refuses("005310 [01 a30163 40]", DecodeError::TrailingBytes(1));
    refuses(
        "005310 [01 5201]",
        DecodeError::WrongType {
            expected: "string",
            found: 0x52,
        },
    );
    refuses("005310 [01 3f]", DecodeError::InvalidConstructor(0x3f));
    refuses("005314 [03 43 5201 a002 00]", DecodeError::Truncated);
    refuses(
        &format!("005314 [03 43 5201 a021 {}]", "00".repeat(33)),
        DecodeError::InvalidValue("delivery-tag"),
    );
    refuses(
        "005312 [04 a1016e 43 42 5003]",
        DecodeError::InvalidValue("snd-settle-mode"),
    );
    refuses("005318 d0000000040fffffff", DecodeError::CountExceedsBuffer);
}

#[test]
fn an_open_that_announces_a_map_of_four_thousand_million_is_an_error() {
    let mut input = bytes(
        "00000028 02000000 005310 [0a a1026363 40 40 40 40 40 40 40 40 d100000009fffffffe 4040404040]",
    );
    assert_eq!(input.len(), 40);
    let frame = split_frame(&mut input, 512).unwrap().unwrap();
    assert_eq!(
        decode_performative(frame.body),
        Err(DecodeError::CountExceedsBuffer)
    );
}

#[test]
fn sasl_frames() {
    let frames = [
        (
            SaslFrame::Mechanisms(vec![
                Symbol::from_static("MSSBCBS"),
                Symbol::from_static("PLAIN"),
            ]),
            "005340 [01 e01002 a3 074d535342434253 05504c41494e]",
        ),
        (
            SaslFrame::Init {
                mechanism: Symbol::from_static("PLAIN"),
                initial_response: Some(Bytes::from_static(b"\0a\0b")),
                hostname: None,
            },
            "005341 [03 a305504c41494e a00400610062 40]",
        ),
        (SaslFrame::Challenge(Bytes::new()), "005342 [01 a000]"),
        (SaslFrame::Response(Bytes::new()), "005343 [01 a000]"),
        (
            SaslFrame::Outcome {
                code: SaslCode::Auth,
                additional_data: None,
            },
            "005344 [02 5001 40]",
        ),
    ];
    for (sasl, hex) in frames {
        let mut out = BytesMut::new();
        encode_sasl(&mut out, &sasl);
        let frame = split_frame(&mut out, 512).unwrap().unwrap();
        assert_eq!(
            (frame.kind, &frame.body[..]),
            (FrameKind::Sasl, &bytes(hex)[..])
        );
        assert_eq!(decode_sasl(frame.body), Ok(sasl));
    }
    let one = bytes("005340 [01 a30161]").freeze();
    assert_eq!(
        decode_sasl(one),
        Ok(SaslFrame::Mechanisms(vec![Symbol::from_static("a")]))
    );
    assert_eq!(
        decode_sasl(bytes("005344 [01 5005]").freeze()),
        Err(DecodeError::InvalidValue("sasl code"))
    );
    assert_eq!(
        decode_sasl(bytes("005310 45").freeze()),
        Err(DecodeError::UnknownDescriptor(Some(0x10)))
    );
}

#[test]
fn frames_are_split() {
    let mut input =
        bytes("00000008 02000000 0000000c 03000001 aabbccdd 0000000a 02010000 0102 0000");
    let frame = |kind, channel, body: &'static [u8]| {
        Some(RawFrame {
            kind,
            channel,
            body: Bytes::from_static(body),
        })
    };
    // A heartbeat; a frame with an extended header; a SASL frame; a beginning.
    assert_eq!(
        split_frame(&mut input, 512),
        Ok(frame(FrameKind::Amqp, 0, b""))
    );
    assert_eq!(
        split_frame(&mut input, 512),
        Ok(frame(FrameKind::Amqp, 1, b""))
    );
    assert_eq!(
        split_frame(&mut input, 512),
        Ok(frame(FrameKind::Sasl, 0, b"\x01\x02"))
    );
    assert_eq!(split_frame(&mut input, 512), Ok(None));
    assert_eq!(input, bytes("0000"));
    let mut empty = BytesMut::new();
    encode_empty(&mut empty);
    assert_eq!(empty, bytes("00000008 02000000"));
}

#[test]
fn malformed_headers_are_named_before_their_bodies_arrive() {
    let errors = [
        ("00000007", FrameError::TooSmall(7)),
        (
            "00000201",
            FrameError::TooLarge {
                size: 513,
                limit: 512,
            },
        ),
        (
            "ffffffff",
            FrameError::TooLarge {
                size: u32::MAX,
                limit: 512,
            },
        ),
        ("00000010 01000000", FrameError::InvalidDataOffset(1)),
        ("00000010 05000000", FrameError::InvalidDataOffset(5)),
        ("00000010 02020000", FrameError::UnknownType(2)),
    ];
    for (hex, error) in errors {
        assert_eq!(split_frame(&mut bytes(hex), 512), Err(error), "{hex}");
    }
}

#[test]
fn the_overhead_of_a_transfer_is_an_upper_bound() {
    let largest = Transfer {
        handle: u32::MAX,
        delivery_id: Some(u32::MAX),
        delivery_tag: DeliveryTag::new(&[7; 32]),
        message_format: Some(u32::MAX),
        rcv_settle_mode: Some(ReceiverSettleMode::Second),
        state: Some(DeliveryState::Accepted),
        ..transfer()
    };
    let mut out = BytesMut::new();
    encode_transfer(&mut out, u16::MAX, &largest, &[]);
    // All but the six bytes by which a wide list is longer than a narrow one.
    assert_eq!(out.len() + 6, transfer_overhead_bytes());
}
