//! The devices' side against the emulator and a real receiver, on real sockets.

#![cfg(feature = "emulator")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests count as tests"
)]

mod certificates;
mod device_limits;
mod dps;
mod events;
mod imports;
mod metrics;
mod pull;
mod restart;
mod spellings;
mod stand;
