//! Measures with one number of devices.

use std::path::Path;

use super::plan::{CONNECTING, Floors, Identity, REGISTERING, Scale};
use super::read_back::Reader;
use super::report::{Measured, Run, Target};
use super::spread::Spread;
use super::stand::Stand;
use super::table::thousands;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Connects all devices, runs the pairs, looks at the memory at rest, and counts what arrived.
pub(crate) fn measure(
    workspace: &Workspace,
    scale: &Scale,
    reader: &Reader,
    folder: &Path,
) -> Result<Measured> {
    let devices = thousands(f64::from(scale.devices));
    println!("   {devices} devices, {}", scale.identity.name());
    let mut stand = Stand::start(workspace, scale, folder)?;
    let empty_bytes = stand.resident_bytes()?;
    let registering = match scale.identity {
        Identity::Policy => None,
        Identity::Enrolled => Some(register(&mut stand, scale)?),
    };

    let first_of_each = flags(&[("messages", scale.devices), ("connections", CONNECTING)]);
    let connecting = stand.load(Target::Bridge, &first_of_each)?;
    println!("   connected {devices} in {:.1} s", connecting.load.seconds);
    let mut idle = vec![stand.idle("connecting", empty_bytes)?];

    // The ceiling has no devices to connect; this only warms it as the bridge was warmed.
    stand.load(Target::Ceiling, &first_of_each)?;
    let as_fast = flags(&[
        ("duration", scale.seconds),
        ("connections", scale.connections),
    ]);
    let mut runs = Vec::new();
    for pair in 1..=scale.pairs {
        let ceiling = stand.load(Target::Ceiling, &as_fast)?;
        let bridge = stand.load(Target::Bridge, &as_fast)?;
        println!(
            "   pair {pair} of {}: {}",
            scale.pairs,
            line(&ceiling, &bridge)
        );
        runs.extend([ceiling, bridge]);
        if scale.floors == Floors::Memory {
            idle.push(stand.idle(&format!("load {pair}"), empty_bytes)?);
        }
    }
    let read_back = stand.read_back(reader)?;
    stand.end()?;
    let measured = Measured {
        devices: scale.devices,
        floors: scale.floors,
        empty_bytes,
        of_ceiling: Spread::of(runs.chunks(2).map(of_ceiling)),
        ok: sent(&registering, &connecting, &runs),
        identity: scale.identity.name(),
        registering,
        connecting,
        runs,
        idle,
        read_back,
    };
    check_count(&measured)?;
    Ok(measured)
}

/// Each device registers with its first message; then the bridge restarts, and knows their hubs.
fn register(stand: &mut Stand<'_>, scale: &Scale) -> Result<Run> {
    let first_of_each = flags(&[("messages", scale.devices), ("connections", REGISTERING)]);
    let registering = stand.load(Target::Bridge, &first_of_each)?;
    println!(
        "   registered and connected in {:.1} s",
        registering.load.seconds
    );
    stand.restart_bridge()?;
    Ok(registering)
}

fn flags(values: &[(&str, u32)]) -> Vec<String> {
    let flag = |(name, value): &(&str, u32)| [format!("--{name}"), value.to_string()];
    values.iter().flat_map(flag).collect()
}

fn of_ceiling(pair: &[Run]) -> f64 {
    match pair {
        [ceiling, bridge] => bridge.load.ok_per_s / ceiling.load.ok_per_s,
        _ => 0.0,
    }
}

fn line(ceiling: &Run, bridge: &Run) -> String {
    format!(
        "ceiling {}/s, bridge {}/s",
        thousands(ceiling.load.ok_per_s),
        thousands(bridge.load.ok_per_s)
    )
}

fn sent(registering: &Option<Run>, connecting: &Run, runs: &[Run]) -> u64 {
    let registered = registering.as_ref().map_or(0, |run| run.load.ok);
    let bridge = runs.iter().filter(|run| run.target == Target::Bridge);
    registered + connecting.load.ok + bridge.map(|run| run.load.ok).sum::<u64>()
}

/// Every request got 200 here, so nothing was ever sent twice: the counts must be the same.
fn check_count(measured: &Measured) -> Result<()> {
    match measured.read_back {
        Some(found) if found != measured.ok => Err(Error::Unexpected(format!(
            "{} devices: {} requests got 200, but the hub holds {found} messages",
            measured.devices, measured.ok
        ))),
        _ => Ok(()),
    }
}
