//! Many devices with four subscriptions each: what they take, and how soon they are there again.

use std::path::Path;
use std::thread::sleep;

use serde::Serialize;

use super::flags;
use super::stand::{Held, Stand};
use crate::bench::plan;
use crate::bench::stand::SETTLE;
use crate::error::Result;
use crate::workspace::Workspace;

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Subscribed {
    pub(crate) devices: u32,
    /// How long it took to make all subscriptions over HTTP.
    pub(crate) subscribing_s: f64,
    /// How long it took after that until all were connected.
    pub(crate) connecting_s: f64,
    /// The bridge's resident bytes before the first device.
    pub(crate) empty_bytes: u64,
    /// At rest after that, and after each restart.
    pub(crate) at_rest: Vec<AtRest>,
    /// From the start of the process until all were Running, each time.
    pub(crate) restarts_s: Vec<f64>,
    /// CPU time of the bridge for each restart, in seconds.
    pub(crate) restarts_cpu_s: Vec<f64>,
    /// Of how many subscriptions it was seen that they are Running, each time.
    pub(crate) seen_running: u64,
}

/// The bridge when nothing has happened for a while.
#[derive(Serialize)]
pub(crate) struct AtRest {
    pub(crate) resident_bytes: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) bytes_per_device: f64,
    /// TCP connections to the hub.
    pub(crate) connections: usize,
    pub(crate) emulator_resident_bytes: u64,
}

/// Measures all of it.
pub(crate) fn measure(
    workspace: &Workspace,
    plan: &plan::Subscribed,
    folder: &Path,
) -> Result<Subscribed> {
    println!("   {} devices with four subscriptions each", plan.devices);
    let mut stand = Stand::start(workspace, "subscribed", plan.devices, folder)?;
    let empty_bytes = stand.held()?.resident_bytes;
    let (first, _) = stand.load("subscribe", &flags(&[("subscribe", "all")]))?;
    println!(
        "   subscribed in {:.1} s, connected {:.1} s later",
        first.subscribing_s, first.connecting_s
    );
    sleep(SETTLE);
    let mut at_rest = vec![AtRest::of(stand.held()?, empty_bytes, plan.devices)];
    let (mut restarts_s, mut restarts_cpu_s) = (Vec::new(), Vec::new());
    let mut seen_running = first.seen_running;
    for number in 1..=plan.restarts {
        let started = stand.restart_bridge()?;
        let (report, _) = stand.load("restart", &flags(&[("subscribe", "none")]))?;
        let seconds = started.elapsed().as_secs_f64();
        seen_running = seen_running.min(report.seen_running);
        restarts_s.push(seconds);
        restarts_cpu_s.push(stand.bridge_cpu_s()?);
        sleep(SETTLE);
        let held = AtRest::of(stand.held()?, empty_bytes, plan.devices);
        println!(
            "   restart {number} of {}: all Running after {seconds:.1} s, {:.0} bytes per device at rest",
            plan.restarts, held.bytes_per_device
        );
        at_rest.push(held);
    }
    stand.end()?;
    Ok(Subscribed {
        devices: plan.devices,
        subscribing_s: first.subscribing_s,
        connecting_s: first.connecting_s,
        empty_bytes,
        at_rest,
        restarts_s,
        restarts_cpu_s,
        seen_running,
    })
}

impl AtRest {
    fn of(held: Held, empty_bytes: u64, devices: u32) -> Self {
        let added = held.resident_bytes as f64 - empty_bytes as f64;
        Self {
            resident_bytes: held.resident_bytes,
            peak_bytes: held.peak_bytes,
            bytes_per_device: added / f64::from(devices),
            connections: held.connections,
            emulator_resident_bytes: held.emulator_resident_bytes,
        }
    }
}
