//! Memory that decoded values hold, counted from the outside: the workspace forbids the `unsafe` that a counting
//! allocator needs. Binaries count nothing, they share the memory of the input.

use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{
    Attach, Begin, DeliveryState, Error, Open, Performative, SaslFrame, Source, Target,
};
use drawspan_amqp::value::{Map, Symbol, Value};

/// Bytes on the heap behind a value.
pub(crate) trait Footprint {
    fn heap_bytes(&self) -> usize;
}

impl<T: Footprint> Footprint for Option<T> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: Footprint> Footprint for Box<T> {
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + self.as_ref().heap_bytes()
    }
}

impl<T: Footprint> Footprint for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(T::heap_bytes).sum::<usize>()
    }
}

impl Footprint for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl Footprint for Symbol {
    fn heap_bytes(&self) -> usize {
        self.as_str().len()
    }
}

impl Footprint for bytes::Bytes {
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<A: Footprint, B: Footprint> Footprint for (A, B) {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

impl Footprint for Map {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl Footprint for Value {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.heap_bytes(),
            Self::Symbol(symbol) => symbol.heap_bytes(),
            Self::List(items) => items.heap_bytes(),
            Self::Map(map) => map.heap_bytes(),
            Self::Array(array) => {
                size_of_val(array.items())
                    + array.items().iter().map(Self::heap_bytes).sum::<usize>()
            }
            Self::Described(described) => described.heap_bytes(),
            _ => 0,
        }
    }
}

impl Footprint for DeliveryState {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Rejected(error) => error.heap_bytes(),
            Self::Modified {
                message_annotations,
                ..
            } => message_annotations.heap_bytes(),
            Self::Other(value) => value.heap_bytes(),
            _ => 0,
        }
    }
}

impl Footprint for MessageId {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.heap_bytes(),
            _ => 0,
        }
    }
}

/// Adds up the fields that can hold memory.
macro_rules! fields {
    ($($type:ty { $($field:ident)* })*) => {
        $(impl Footprint for $type {
            fn heap_bytes(&self) -> usize {
                0 $(+ self.$field.heap_bytes())*
            }
        })*
    };
}

fields! {
    Error { condition description info }
    Open {
        container_id hostname outgoing_locales incoming_locales offered_capabilities desired_capabilities properties
    }
    Begin { offered_capabilities desired_capabilities properties }
    Attach { name source target unsettled offered_capabilities desired_capabilities properties }
    Source {
        address dynamic_node_properties distribution_mode filter default_outcome outcomes capabilities
    }
    Target { address dynamic_node_properties capabilities }
    Properties {
        message_id to subject reply_to correlation_id content_type content_encoding group_id reply_to_group_id
    }
    Message {
        delivery_annotations message_annotations properties application_properties body footer
    }
}

impl Footprint for Body {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Data(parts) => parts.heap_bytes(),
            Self::Sequence(parts) => parts.heap_bytes(),
            Self::Value(value) => value.heap_bytes(),
        }
    }
}

impl Footprint for Performative {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Open(open) => open.heap_bytes(),
            Self::Begin(begin) => begin.heap_bytes(),
            Self::Attach(attach) => attach.heap_bytes(),
            Self::Flow(flow) => flow.properties.heap_bytes(),
            Self::Transfer(transfer) => transfer.state.heap_bytes(),
            Self::Disposition(disposition) => disposition.state.heap_bytes(),
            Self::Detach(detach) => detach.error.heap_bytes(),
            Self::End(end) => end.error.heap_bytes(),
            Self::Close(close) => close.error.heap_bytes(),
        }
    }
}

impl Footprint for SaslFrame {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Mechanisms(mechanisms) => mechanisms.heap_bytes(),
            Self::Init {
                mechanism,
                hostname,
                ..
            } => mechanism.heap_bytes() + hostname.heap_bytes(),
            _ => 0,
        }
    }
}
