//! The one hard I/O loop of Drawspan: an AMQP [`Connection`](drawspan_amqp::Connection) on a socket.
//!
//! * [`drive`]: reads, writes, timers and commands of one connection, in one task.
//! * [`Connector`], [`listen`]: TCP with the options that matter, and TLS.

mod clock;
mod connect;
mod drive;
pub mod limits;
mod listen;
mod tls;

pub use clock::Clock;
pub use connect::{ConnectError, Connector, Route};
pub use drive::{Ended, Handler, drive};
pub use listen::listen;
pub use tls::{TrustError, client_config};
