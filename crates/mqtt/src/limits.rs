//! Every limit of a connection.

use std::time::Duration;

/// How long a client may be silent before its connection is cut, whatever keep-alive it asked for (Microsoft's article "Communicate with
/// an IoT hub using the MQTT protocol": 1.5 times the client's value, at most 29.45 minutes).
pub const SILENCE_MAX: Duration = Duration::from_secs(1_767);

/// A CONNECT packet, with client id, user name, password and will.
pub const CONNECT_BYTES_MAX: usize = 300 * 1024;

/// Bytes of the first packet's head by which the protocol's version is known: fixed header, name and level.
pub(crate) const HEAD_BYTES_MAX: usize = 16;

/// Packets of a connection that are noted on request.
pub const TRACED_PACKETS: usize = 256;
/// Characters of the name and fields of one such packet.
pub const TRACED_CHARS: usize = 300;
