//! AMQP 1.0 as a value: bytes and time go in; bytes, events and the next deadline come out.
//!
//! * [`codec`]: reading and writing the type system ([`Value`]) without trusting what a peer announces.
//! * [`performative`]: the frame bodies of connection, session and link, and of SASL.
//! * [`message`]: message sections.
//! * [`engine`]: connection, session and link state machines for both roles.
//!
//! The crate has no sockets, clocks or async runtime.

pub mod codec;
pub mod engine;
pub mod frame;
pub mod limits;
pub mod message;
pub mod performative;
pub mod value;

pub use engine::{Connection, Event};
pub use message::Message;
pub use performative::{DeliveryState, Error, Source, Target};
pub use value::{Symbol, Value};
