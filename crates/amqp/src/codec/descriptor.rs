//! Descriptors of the specification's types: a number, or the equivalent symbol.

pub(crate) const OPEN: u8 = 0x10;
pub(crate) const BEGIN: u8 = 0x11;
pub(crate) const ATTACH: u8 = 0x12;
pub(crate) const FLOW: u8 = 0x13;
pub(crate) const TRANSFER: u8 = 0x14;
pub(crate) const DISPOSITION: u8 = 0x15;
pub(crate) const DETACH: u8 = 0x16;
pub(crate) const END: u8 = 0x17;
pub(crate) const CLOSE: u8 = 0x18;
pub(crate) const ERROR: u8 = 0x1d;
pub(crate) const RECEIVED: u8 = 0x23;
pub(crate) const ACCEPTED: u8 = 0x24;
pub(crate) const REJECTED: u8 = 0x25;
pub(crate) const RELEASED: u8 = 0x26;
pub(crate) const MODIFIED: u8 = 0x27;
pub(crate) const SOURCE: u8 = 0x28;
pub(crate) const TARGET: u8 = 0x29;
pub(crate) const SASL_MECHANISMS: u8 = 0x40;
pub(crate) const SASL_INIT: u8 = 0x41;
pub(crate) const SASL_CHALLENGE: u8 = 0x42;
pub(crate) const SASL_RESPONSE: u8 = 0x43;
pub(crate) const SASL_OUTCOME: u8 = 0x44;
pub(crate) const HEADER: u8 = 0x70;
pub(crate) const DELIVERY_ANNOTATIONS: u8 = 0x71;
pub(crate) const MESSAGE_ANNOTATIONS: u8 = 0x72;
pub(crate) const PROPERTIES: u8 = 0x73;
pub(crate) const APPLICATION_PROPERTIES: u8 = 0x74;
pub(crate) const DATA: u8 = 0x75;
pub(crate) const AMQP_SEQUENCE: u8 = 0x76;
pub(crate) const AMQP_VALUE: u8 = 0x77;
pub(crate) const FOOTER: u8 = 0x78;

/// The number of a symbolic descriptor.
pub(crate) fn of_symbol(symbol: &[u8]) -> Option<u8> {
    Some(match symbol {
        b"amqp:open:list" => OPEN,
        b"amqp:begin:list" => BEGIN,
        b"amqp:attach:list" => ATTACH,
        b"amqp:flow:list" => FLOW,
        b"amqp:transfer:list" => TRANSFER,
        b"amqp:disposition:list" => DISPOSITION,
        b"amqp:detach:list" => DETACH,
        b"amqp:end:list" => END,
        b"amqp:close:list" => CLOSE,
        b"amqp:error:list" => ERROR,
        b"amqp:received:list" => RECEIVED,
        b"amqp:accepted:list" => ACCEPTED,
        b"amqp:rejected:list" => REJECTED,
        b"amqp:released:list" => RELEASED,
        b"amqp:modified:list" => MODIFIED,
        b"amqp:source:list" => SOURCE,
        b"amqp:target:list" => TARGET,
        b"amqp:sasl-mechanisms:list" => SASL_MECHANISMS,
        b"amqp:sasl-init:list" => SASL_INIT,
        b"amqp:sasl-challenge:list" => SASL_CHALLENGE,
        b"amqp:sasl-response:list" => SASL_RESPONSE,
        b"amqp:sasl-outcome:list" => SASL_OUTCOME,
        b"amqp:header:list" => HEADER,
        b"amqp:delivery-annotations:map" => DELIVERY_ANNOTATIONS,
        b"amqp:message-annotations:map" => MESSAGE_ANNOTATIONS,
        b"amqp:properties:list" => PROPERTIES,
        b"amqp:application-properties:map" => APPLICATION_PROPERTIES,
        b"amqp:data:binary" => DATA,
        b"amqp:amqp-sequence:list" => AMQP_SEQUENCE,
        b"amqp:amqp-value:*" => AMQP_VALUE,
        b"amqp:footer:map" => FOOTER,
        _ => return None,
    })
}
