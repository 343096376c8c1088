//! Arbitrary values, performatives and messages. Boxed where they nest: a test's stack does not hold them otherwise.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Header, Message, MessageId, Properties};
use drawspan_amqp::performative::{
    Attach, Begin, Close, DeliveryState, DeliveryTag, Detach, Disposition, End, Error,
    ExpiryPolicy, Flow, Open, Performative, ReceiverSettleMode, Role, SaslCode, SaslFrame,
    SenderSettleMode, Source, Target, TerminusDurability, Transfer,
};
use drawspan_amqp::value::{Array, Map, Symbol, Value};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn symbol() -> impl Strategy<Value = Symbol> {
    prop_oneof![9 => "[ -~]{0,20}", 1 => "[a-z]{250,260}"]
        .prop_map(|text| Symbol::new(text).unwrap())
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![9 => "\\PC{0,20}", 1 => "[a-z]{250,260}"].boxed()
}

fn binary() -> impl Strategy<Value = Bytes> {
    prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 250..260)].prop_map(Bytes::from)
}

/// Numbers around the edges of their encodings.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u32>().prop_map(u64::from), any::<u64>()]
}

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn small() -> impl Strategy<Value = u32> {
    number().prop_map(|number| number as u32)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "any bits will do"
)]
fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Ubyte),
        any::<u16>().prop_map(Value::Ushort),
        small().prop_map(Value::Uint),
        number().prop_map(Value::Ulong),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        number().prop_map(|number| Value::Int((number as i32).wrapping_sub(150))),
        number().prop_map(|number| Value::Long((number as i64).wrapping_sub(150))),
        // Not NaN, which does not equal itself.
        proptest::num::f32::NORMAL.prop_map(Value::Float),
        proptest::num::f64::NORMAL.prop_map(Value::Double),
        any::<[u8; 4]>().prop_map(Value::Decimal32),
        any::<[u8; 8]>().prop_map(Value::Decimal64),
        any::<[u8; 16]>().prop_map(Value::Decimal128),
        any::<char>().prop_map(Value::Char),
        any::<i64>().prop_map(Value::Timestamp),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        binary().prop_map(Value::Binary),
        text().prop_map(Value::String),
        symbol().prop_map(Value::Symbol),
    ]
    .boxed()
}

/// Any value but an array of items without width, of which only so many are read as the data has bytes.
pub(crate) fn value() -> BoxedStrategy<Value> {
    scalar()
        .prop_recursive(4, 64, 8, |inner| {
            let descriptor = prop_oneof![
                number().prop_map(Value::Ulong),
                symbol().prop_map(Value::Symbol)
            ];
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Value::List),
                vec((inner.clone(), inner.clone()), 0..6)
                    .prop_map(|entries| Value::Map(Map(entries))),
                (descriptor, inner.clone())
                    .prop_map(|(descriptor, value)| Value::described(descriptor, value)),
                vec(inner, 1..8).prop_filter_map("an array", array),
            ]
        })
        .boxed()
}

/// Values of the same type as the first; arrays are generated separately to shrink well.
fn array(mut items: Vec<Value>) -> Option<Value> {
    let first = items.first().cloned()?;
    items.retain(|item| Array::new(vec![first.clone(), item.clone()]).is_ok());
    let mut innermost = &first;
    while let Value::Described(described) = innermost {
        innermost = &described.1;
    }
    let is_described = matches!(first, Value::Described(_));
    if *innermost == Value::Null || is_described && items.len() > 1 {
        return None;
    }
    Array::new(items).ok().map(Value::Array)
}

fn map() -> BoxedStrategy<Map> {
    vec((symbol().prop_map(Value::Symbol), value()), 0..4)
        .prop_map(Map)
        .boxed()
}

fn symbols() -> BoxedStrategy<Vec<Symbol>> {
    vec(symbol(), 1..4).boxed()
}

prop_compose! {
    fn error()(condition in symbol(), description in of(text()), info in of(map())) -> Error {
        Error { condition, description, info }
    }
}

fn state() -> BoxedStrategy<DeliveryState> {
    prop_oneof![
        Just(DeliveryState::Accepted),
        Just(DeliveryState::Released),
        of(error()).prop_map(DeliveryState::Rejected),
        (small(), number()).prop_map(|(section_number, section_offset)| DeliveryState::Received {
            section_number,
            section_offset
        }),
        (any::<bool>(), any::<bool>(), of(map())).prop_map(
            |(delivery_failed, undeliverable_here, message_annotations)| DeliveryState::Modified {
                delivery_failed,
                undeliverable_here,
                message_annotations
            }
        ),
        (0x30_u64..0x40, value())
            .prop_map(|(code, value)| DeliveryState::Other(Value::described(code, value))),
    ]
    .boxed()
}

fn durability() -> impl Strategy<Value = TerminusDurability> {
    use TerminusDurability::{Configuration, None, UnsettledState};
    prop_oneof![Just(None), Just(Configuration), Just(UnsettledState)]
}

fn expiry_policy() -> impl Strategy<Value = ExpiryPolicy> {
    use ExpiryPolicy::{ConnectionClose, LinkDetach, Never, SessionEnd};
    prop_oneof![
        Just(LinkDetach),
        Just(SessionEnd),
        Just(ConnectionClose),
        Just(Never)
    ]
}

fn rcv_settle_mode() -> impl Strategy<Value = ReceiverSettleMode> {
    prop_oneof![
        Just(ReceiverSettleMode::First),
        Just(ReceiverSettleMode::Second)
    ]
}

fn snd_settle_mode() -> impl Strategy<Value = SenderSettleMode> {
    use SenderSettleMode::{Mixed, Settled, Unsettled};
    prop_oneof![Just(Unsettled), Just(Settled), Just(Mixed)]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Sender), Just(Role::Receiver)]
}

prop_compose! {
    fn source()(
        (address, durable, expiry_policy, timeout_s, dynamic) in
            (of(text()), durability(), expiry_policy(), small(), any::<bool>()),
        (dynamic_node_properties, distribution_mode, filter, default_outcome, outcomes, capabilities) in
            (of(map()), of(symbol()), of(map()), of(state()), of(symbols()), of(symbols())),
    ) -> Box<Source> {
        Box::new(Source {
            address, durable, expiry_policy, timeout_s, dynamic, dynamic_node_properties, distribution_mode, filter,
            default_outcome, outcomes, capabilities,
        })
    }
}

prop_compose! {
    fn target()(
        (address, durable, expiry_policy, timeout_s, dynamic, dynamic_node_properties, capabilities) in
            (of(text()), durability(), expiry_policy(), small(), any::<bool>(), of(map()), of(symbols())),
    ) -> Box<Target> {
        Box::new(Target { address, durable, expiry_policy, timeout_s, dynamic, dynamic_node_properties, capabilities })
    }
}

prop_compose! {
    fn open()(
        (container_id, hostname, max_frame_size, channel_max, idle_time_out_ms) in
            (text(), of(text()), small(), any::<u16>(), of(small())),
        (outgoing_locales, incoming_locales, offered_capabilities, desired_capabilities, properties) in
            (of(symbols()), of(symbols()), of(symbols()), of(symbols()), of(map())),
    ) -> Performative {
        Performative::Open(Box::new(Open {
            container_id, hostname, max_frame_size, channel_max, idle_time_out_ms, outgoing_locales, incoming_locales,
            offered_capabilities, desired_capabilities, properties,
        }))
    }
}

prop_compose! {
    fn begin()(
        (remote_channel, next_outgoing_id, incoming_window, outgoing_window, handle_max) in
            (of(any::<u16>()), small(), small(), small(), small()),
        (offered_capabilities, desired_capabilities, properties) in (of(symbols()), of(symbols()), of(map())),
    ) -> Performative {
        Performative::Begin(Box::new(Begin {
            remote_channel, next_outgoing_id, incoming_window, outgoing_window, handle_max, offered_capabilities,
            desired_capabilities, properties,
        }))
    }
}

prop_compose! {
    fn attach()(
        (name, handle, role, snd_settle_mode, rcv_settle_mode, source, target) in
            (text(), small(), role(), snd_settle_mode(), rcv_settle_mode(), of(source()), of(target())),
        (unsettled, incomplete_unsettled, initial_delivery_count, max_message_size) in
            (of(map()), any::<bool>(), of(small()), of(number())),
        (offered_capabilities, desired_capabilities, properties) in (of(symbols()), of(symbols()), of(map())),
    ) -> Performative {
        Performative::Attach(Box::new(Attach {
            name, handle, role, snd_settle_mode, rcv_settle_mode, source, target, unsettled, incomplete_unsettled,
            initial_delivery_count, max_message_size, offered_capabilities, desired_capabilities, properties,
        }))
    }
}

prop_compose! {
    fn flow()(
        (next_incoming_id, incoming_window, next_outgoing_id, outgoing_window, handle) in
            (of(small()), small(), small(), small(), of(small())),
        (delivery_count, link_credit, available, drain, echo, properties) in
            (of(small()), of(small()), of(small()), any::<bool>(), any::<bool>(), of(map())),
    ) -> Performative {
        Performative::Flow(Flow {
            next_incoming_id, incoming_window, next_outgoing_id, outgoing_window, handle, delivery_count, link_credit,
            available, drain, echo, properties,
        })
    }
}

prop_compose! {
    fn transfer()(
        (handle, delivery_id, delivery_tag, message_format, settled, more) in
            (small(), of(small()), of(vec(any::<u8>(), 0..=32)), of(small()), of(any::<bool>()), any::<bool>()),
        (rcv_settle_mode, state, resume, aborted, batchable, payload) in
            (of(rcv_settle_mode()), of(state()), any::<bool>(), any::<bool>(), any::<bool>(), binary()),
    ) -> Performative {
        let delivery_tag = delivery_tag.and_then(|tag| DeliveryTag::new(&tag));
        Performative::Transfer(Transfer {
            handle, delivery_id, delivery_tag, message_format, settled, more, rcv_settle_mode, state, resume, aborted,
            batchable, payload,
        })
    }
}

pub(crate) fn performative() -> impl Strategy<Value = Performative> {
    let disposition = (
        role(),
        small(),
        of(small()),
        any::<bool>(),
        of(state()),
        any::<bool>(),
    )
        .prop_map(|(role, first, last, settled, state, batchable)| {
            Performative::Disposition(Disposition {
                role,
                first,
                last,
                settled,
                state,
                batchable,
            })
        });
    let detach = (small(), any::<bool>(), of(error())).prop_map(|(handle, closed, error)| {
        Performative::Detach(Detach {
            handle,
            closed,
            error,
        })
    });
    prop_oneof![
        open().boxed(),
        begin().boxed(),
        attach().boxed(),
        flow().boxed(),
        transfer().boxed(),
        disposition,
        detach,
        of(error()).prop_map(|error| Performative::End(End { error })),
        of(error()).prop_map(|error| Performative::Close(Close { error })),
    ]
}

pub(crate) fn sasl() -> impl Strategy<Value = SaslFrame> {
    use SaslCode::{Auth, Ok, Sys, SysPerm, SysTemp};
    prop_oneof![
        symbols().prop_map(SaslFrame::Mechanisms),
        (symbol(), of(binary()), of(text())).prop_map(|(mechanism, initial_response, hostname)| {
            SaslFrame::Init {
                mechanism,
                initial_response,
                hostname,
            }
        }),
        binary().prop_map(SaslFrame::Challenge),
        binary().prop_map(SaslFrame::Response),
        (
            prop_oneof![
                Just(Ok),
                Just(Auth),
                Just(Sys),
                Just(SysPerm),
                Just(SysTemp)
            ],
            of(binary())
        )
            .prop_map(|(code, additional_data)| SaslFrame::Outcome {
                code,
                additional_data
            }),
    ]
}

fn message_id() -> impl Strategy<Value = MessageId> {
    prop_oneof![
        number().prop_map(MessageId::Ulong),
        any::<[u8; 16]>().prop_map(MessageId::Uuid),
        binary().prop_map(MessageId::Binary),
        text().prop_map(MessageId::String),
    ]
}

prop_compose! {
    fn properties()(
        (message_id, user_id, to, subject, reply_to, correlation_id) in
            (of(message_id()), of(binary()), of(text()), of(text()), of(text()), of(message_id())),
        (content_type, content_encoding, absolute_expiry_time, creation_time) in
            (of(symbol()), of(symbol()), of(any::<i64>()), of(any::<i64>())),
        (group_id, group_sequence, reply_to_group_id) in (of(text()), of(small()), of(text())),
    ) -> Properties {
        Properties {
            message_id, user_id, to, subject, reply_to, correlation_id, content_type, content_encoding,
            absolute_expiry_time, creation_time, group_id, group_sequence, reply_to_group_id,
        }
    }
}

prop_compose! {
    fn header()(
        durable in any::<bool>(), priority in any::<u8>(), ttl_ms in of(small()), first_acquirer in any::<bool>(),
        delivery_count in small(),
    ) -> Header {
        Header { durable, priority, ttl_ms, first_acquirer, delivery_count }
    }
}

prop_compose! {
    pub(crate) fn message()(
        header in of(header()), delivery_annotations in of(map()), message_annotations in of(map()),
        properties in of(properties()), application_properties in of(map()), footer in of(map()),
        body in prop_oneof![
            Just(Body::Empty),
            vec(binary(), 1..4).prop_map(Body::Data),
            vec(vec(value(), 0..4), 1..4).prop_map(Body::Sequence),
            value().prop_map(Body::Value),
        ],
    ) -> Message {
        Message {
            header, delivery_annotations, message_annotations, properties, application_properties, body, footer,
        }
    }
}
