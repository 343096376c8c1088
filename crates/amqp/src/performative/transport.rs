//! The nine performatives (specification 2.7).

use bytes::{Bytes, BytesMut};

use super::definitions::{
    DeliveryState, DeliveryTag, Error, Fields, ReceiverSettleMode, Role, SenderSettleMode,
};
use super::terminus::{Source, Target};
use crate::codec::{Composite, DecodeError, Encode, Reader, composite, descriptor};
use crate::value::{Map, Symbol};

/// Any performative.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is its type")]
pub enum Performative {
    Open(Box<Open>),
    Begin(Box<Begin>),
    Attach(Box<Attach>),
    Flow(Flow),
    Transfer(Transfer),
    Disposition(Disposition),
    Detach(Detach),
    End(End),
    Close(Close),
}

/// Negotiates the connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Name of the container.
    pub container_id: String,
    /// Host that the client means.
    pub hostname: Option<String>,
    /// Largest frame that the sender accepts; 4294967295 when absent.
    pub max_frame_size: u32,
    /// Highest channel number; 65535 when absent.
    pub channel_max: u16,
    /// Milliseconds of silence after which the sender closes; `None` if absent or zero.
    pub idle_time_out_ms: Option<u32>,
    /// Locales for outgoing text.
    pub outgoing_locales: Option<Vec<Symbol>>,
    /// Locales for incoming text.
    pub incoming_locales: Option<Vec<Symbol>>,
    /// Capabilities offered.
    pub offered_capabilities: Option<Vec<Symbol>>,
    /// Capabilities desired.
    pub desired_capabilities: Option<Vec<Symbol>>,
    /// Connection properties.
    pub properties: Option<Fields>,
}

/// Begins a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// In an answer: the channel of the peer's begin.
    pub remote_channel: Option<u16>,
    /// Transfer id of the first transfer.
    pub next_outgoing_id: u32,
    /// Transfers that the sender can take.
    pub incoming_window: u32,
    /// Transfers that the sender may have outstanding.
    pub outgoing_window: u32,
    /// Highest link handle.
    pub handle_max: u32,
    /// Capabilities offered.
    pub offered_capabilities: Option<Vec<Symbol>>,
    /// Capabilities desired.
    pub desired_capabilities: Option<Vec<Symbol>>,
    /// Session properties.
    pub properties: Option<Fields>,
}

/// Attaches a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Attach {
    /// Name of the link, unique per direction and session.
    pub name: String,
    /// Handle of the sender of this frame.
    pub handle: u32,
    /// Role of the sender of this frame.
    pub role: Role,
    /// How the sender settles.
    pub snd_settle_mode: SenderSettleMode,
    /// How the receiver settles.
    pub rcv_settle_mode: ReceiverSettleMode,
    /// Where messages come from; `None` refuses the link. A foreign described type is read as `None`.
    pub source: Option<Box<Source>>,
    /// Where messages go; `None` refuses the link. A foreign described type, such as a transaction coordinator, is read as `None`.
    pub target: Option<Box<Target>>,
    /// Unsettled deliveries of a resumed link.
    pub unsettled: Option<Map>,
    /// The map above is not whole.
    pub incomplete_unsettled: bool,
    /// Delivery count at the start; the sender must give it.
    pub initial_delivery_count: Option<u32>,
    /// Largest message; unlimited when absent or zero.
    pub max_message_size: Option<u64>,
    /// Capabilities offered.
    pub offered_capabilities: Option<Vec<Symbol>>,
    /// Capabilities desired.
    pub desired_capabilities: Option<Vec<Symbol>>,
    /// Link properties.
    pub properties: Option<Fields>,
}

/// Updates windows and credit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flow {
    /// Expected id of the next transfer; absent until the peer's begin was seen.
    pub next_incoming_id: Option<u32>,
    /// Transfers that the sender can take.
    pub incoming_window: u32,
    /// Id of the sender's next transfer.
    pub next_outgoing_id: u32,
    /// Transfers that the sender may have outstanding.
    pub outgoing_window: u32,
    /// Link concerned; the session only when absent.
    pub handle: Option<u32>,
    /// Deliveries so far on that link.
    pub delivery_count: Option<u32>,
    /// Credit on that link.
    pub link_credit: Option<u32>,
    /// Messages waiting at the sender.
    pub available: Option<u32>,
    /// Use up all credit.
    pub drain: bool,
    /// Asks for a flow in return.
    pub echo: bool,
    /// Link state properties.
    pub properties: Option<Fields>,
}

/// A delivery, or part of one. `payload` is the rest of the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// Link.
    pub handle: u32,
    /// Absent on continuations.
    pub delivery_id: Option<u32>,
    /// Absent on continuations.
    pub delivery_tag: Option<DeliveryTag>,
    /// Format; 0 is an AMQP message.
    pub message_format: Option<u32>,
    /// Whether the message is sent settled.
    pub settled: Option<bool>,
    /// More frames follow.
    pub more: bool,
    /// Settle mode of this delivery.
    pub rcv_settle_mode: Option<ReceiverSettleMode>,
    /// State of the delivery at the sender.
    pub state: Option<DeliveryState>,
    /// A resumed delivery.
    pub resume: bool,
    /// The delivery is given up.
    pub aborted: bool,
    /// A hint that dispositions may be batched.
    pub batchable: bool,
    /// Bytes of the message.
    pub payload: Bytes,
}

/// The state of deliveries.
#[derive(Debug, Clone, PartialEq)]
pub struct Disposition {
    /// Role of the sender of this frame.
    pub role: Role,
    /// First delivery id.
    pub first: u32,
    /// Last delivery id; `first` when absent.
    pub last: Option<u32>,
    /// The sender of this frame forgets these deliveries.
    pub settled: bool,
    /// Their state.
    pub state: Option<DeliveryState>,
    /// A hint that answers may be batched.
    pub batchable: bool,
}

/// Detaches a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Detach {
    /// Link.
    pub handle: u32,
    /// Whether the link is closed, not only detached.
    pub closed: bool,
    /// Why.
    pub error: Option<Error>,
}

/// Ends a session.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct End {
    /// Why.
    pub error: Option<Error>,
}

/// Closes the connection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Close {
    /// Why.
    pub error: Option<Error>,
}

impl Performative {
    /// Reads a performative; what follows a transfer is its payload.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let descriptor = reader.descriptor()?;
        let performative = match descriptor.code() {
            Some(descriptor::TRANSFER) => {
                let mut transfer = Transfer::decode_list(reader)?;
                transfer.payload = reader.take_rest();
                Self::Transfer(transfer)
            }
            Some(descriptor::DISPOSITION) => Self::Disposition(Disposition::decode_list(reader)?),
            Some(descriptor::FLOW) => Self::Flow(Flow::decode_list(reader)?),
            Some(descriptor::OPEN) => Self::Open(Box::new(Open::decode_list(reader)?)),
            Some(descriptor::BEGIN) => Self::Begin(Box::new(Begin::decode_list(reader)?)),
            Some(descriptor::ATTACH) => Self::Attach(Box::new(Attach::decode_list(reader)?)),
            Some(descriptor::DETACH) => Self::Detach(Detach::decode_list(reader)?),
            Some(descriptor::END) => Self::End(End::decode_list(reader)?),
            Some(descriptor::CLOSE) => Self::Close(Close::decode_list(reader)?),
            _ => return Err(descriptor.unknown()),
        };
        reader.finish()?;
        Ok(performative)
    }
}

/// Without the payload of a transfer.
impl Encode for Performative {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Open(open) => open.encode(out),
            Self::Begin(begin) => begin.encode(out),
            Self::Attach(attach) => attach.encode(out),
            Self::Flow(flow) => flow.encode(out),
            Self::Transfer(transfer) => transfer.encode(out),
            Self::Disposition(disposition) => disposition.encode(out),
            Self::Detach(detach) => detach.encode(out),
            Self::End(end) => end.encode(out),
            Self::Close(close) => close.encode(out),
        }
    }
}

composite! {
    Open = OPEN {
        container_id: required,
        hostname: optional,
        max_frame_size: or(u32::MAX),
        channel_max: or(u16::MAX),
        idle_time_out_ms: optional,
        outgoing_locales: multiple,
        incoming_locales: multiple,
        offered_capabilities: multiple,
        desired_capabilities: multiple,
        properties: optional,
    }
}

composite! {
    Begin = BEGIN {
        remote_channel: optional,
        next_outgoing_id: required,
        incoming_window: required,
        outgoing_window: required,
        handle_max: or(u32::MAX),
        offered_capabilities: multiple,
        desired_capabilities: multiple,
        properties: optional,
    }
}

composite! {
    Attach = ATTACH {
        name: required,
        handle: required,
        role: required,
        snd_settle_mode: or(SenderSettleMode::Mixed),
        rcv_settle_mode: or(ReceiverSettleMode::First),
        source: if_known,
        target: if_known,
        unsettled: optional,
        incomplete_unsettled: or(false),
        initial_delivery_count: optional,
        max_message_size: optional,
        offered_capabilities: multiple,
        desired_capabilities: multiple,
        properties: optional,
    }
}

composite! {
    Flow = FLOW {
        next_incoming_id: optional,
        incoming_window: required,
        next_outgoing_id: required,
        outgoing_window: required,
        handle: optional,
        delivery_count: optional,
        link_credit: optional,
        available: optional,
        drain: or(false),
        echo: or(false),
        properties: optional,
    }
}

composite! {
    Transfer = TRANSFER {
        handle: required,
        delivery_id: optional,
        delivery_tag: optional,
        message_format: optional,
        settled: optional,
        more: or(false),
        rcv_settle_mode: optional,
        state: optional,
        resume: or(false),
        aborted: or(false),
        batchable: or(false),
        ; payload: Bytes::new()
    }
}

composite! {
    Disposition = DISPOSITION {
        role: required,
        first: required,
        last: optional,
        settled: or(false),
        state: optional,
        batchable: or(false),
    }
}

composite! {
    Detach = DETACH {
        handle: required,
        closed: or(false),
        error: optional,
    }
}

composite! {
    End = END {
        error: optional,
    }
}

composite! {
    Close = CLOSE {
        error: optional,
    }
}
