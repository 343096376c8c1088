//! Every bound of this crate. Units are in the names.

/// How long the name in a callback URL is looked up at most before a subscription is taken.
pub const CALLBACK_LOOK_UP_MS: u64 = 2_000;
/// How long connecting to a receiver may take, its name and TLS included.
pub const CALLBACK_CONNECT_MS: u64 = 5_000;
/// How long one of several addresses of a receiver is tried.
pub const CALLBACK_ADDRESS_MS: u64 = 2_000;
/// Most bytes of the head of a receiver's answer.
pub const MAX_CALLBACK_HEAD_BYTES: usize = 65_536;
/// How long an idle connection to a receiver is kept. Node.js closes its own after 5 s: an event that crosses that would be lost
/// on the way, and wait for its next attempt.
pub const CALLBACK_IDLE_MS: u64 = 4_000;
