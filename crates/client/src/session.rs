//! Names an open device towards its connection.

use drawspan_amqp::engine::SessionId;

/// An open device on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceSession(pub(crate) SessionId);
