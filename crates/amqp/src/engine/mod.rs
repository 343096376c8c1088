//! Connection, session and link state machines (specification parts 2 and 5), for both roles, without I/O.
//!
//! [`Connection`] is driven like this: append what was read to [`input`](Connection::input) and call
//! [`received`](Connection::received); take every event with [`poll_event`](Connection::poll_event), calling commands in
//! between; write what [`poll_output`](Connection::poll_output) returns; call [`tick`](Connection::tick) when
//! [`deadline`](Connection::deadline) is reached. `drawspan-net` does just that over a socket.
//!
//! The engine answers what the protocol itself settles (open, begin, detach, end, close, heartbeats, windows). What
//! depends on meaning (SASL, attach, outcomes, credit) is an [`Event`] for the embedder.

mod attach;
mod config;
mod connection;
mod dispatch;
mod event;
mod handshake;
mod link;
mod receive;
mod send;
mod session;
mod settle;
mod silence;
mod slab;
#[cfg(test)]
mod tests;
mod trace;
mod unsettled;

pub use config::{AcceptOptions, ClientSasl, Config, Credit, LinkOptions};
pub use connection::Connection;
pub use event::{Closed, CommandError, DeliveryId, Event, LinkId, SessionId};
pub use send::Outgoing;
pub use trace::TracedFrame;
