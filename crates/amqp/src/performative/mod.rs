//! Frame bodies (specification 2.7 and 5.3) and the types they carry.
//!
//! Every list is written at full length with explicit nulls, descriptors as `smallulong`: official Python clients
//! index fields by position.

mod definitions;
mod sasl;
mod terminus;
mod transport;

pub use definitions::{
    DeliveryState, DeliveryTag, Error, Fields, Outcome, ReceiverSettleMode, Role, SenderSettleMode,
    condition,
};
pub use sasl::{SaslCode, SaslFrame};
pub use terminus::{ExpiryPolicy, Source, Target, TerminusDurability};
pub use transport::{
    Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Performative, Transfer,
};
