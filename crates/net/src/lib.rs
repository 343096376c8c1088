//! The one hard I/O loop of Drawspan: an AMQP [`Connection`](drawspan_amqp::Connection) on a socket.
//!
//! * [`drive`]: reads, writes, timers and commands of one connection, in one task.
//! * [`Connector`], [`listen`]: TCP with the options that matter, TLS, HTTP proxy.
//! * [`HttpClient`]: requests to one service, over few connections.
//! * [`DeviceAuthority`], [`ClientIdentity`]: certificates of clients.
//! * [`Mailbox`]: where tasks leave news for one listener.
//! * [`WebSocket`]: a WebSocket as a stream of bytes, at both ends.

mod authority_key;
mod clock;
mod connect;
mod device_authority;
mod drive;
mod http;
mod identity;
pub mod limits;
mod listen;
mod mailbox;
mod proxy;
mod stream;
mod tls;
pub mod websocket;

pub use clock::Clock;
pub use connect::{ConnectError, Connector, Route, Transport, is_certificate_refused};
pub use device_authority::{DeviceAuthority, InvalidAuthority, NoCertificate};
pub use drive::{Ended, Handler, drive};
pub use http::{HttpBounds, HttpChannel, HttpClient, HttpError, HttpStream};
pub use identity::{ClientIdentity, InvalidIdentity};
pub use listen::listen;
pub use mailbox::Mailbox;
pub use proxy::{InvalidProxy, Proxy, ProxyError};
pub use stream::Stream;
pub use tls::{TrustError, client_config};
pub use websocket::{WebSocket, WebSocketError};
