//! The emulator over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests count as tests"
)]

mod amqp;
mod authorities;
mod bulk;
mod clock;
mod dps;
mod https;
mod lifecycle;
mod limits;
mod modules;
mod support;
mod twins;
mod uploads;
mod x509;
