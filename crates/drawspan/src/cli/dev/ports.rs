//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

use drawspan_emulator::{AMQPS_PORT, HTTPS_PORT_UNPRIVILEGED};

/// How many ports are tried.
const TRIES: u16 = 100;

/// Ports for bridge and emulator as two processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TwoProcesses {
    pub(super) http: u16,
    pub(super) amqps: u16,
    pub(super) https: u16,
}

/// A port and those behind it.
pub(super) fn from(first: u16) -> impl Iterator<Item = u16> {
    first..first.saturating_add(TRIES)
}

/// Ports that are free now, so that the printed lines work while `dev` still runs on `taken`.
pub(super) fn of_two_processes(taken: u16) -> TwoProcesses {
    TwoProcesses {
        http: free(taken.saturating_add(1)),
        amqps: free(AMQPS_PORT),
        https: free(HTTPS_PORT_UNPRIVILEGED),
    }
}

fn free(first: u16) -> u16 {
    from(first)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or(first)
}
