//! Results as Markdown, ready for `BENCHMARKS.md`.

use std::fmt::Write as _;

use super::subscribed::Subscribed;
use super::{Downlinks, Manner, Run};
use crate::bench::plan::{
    DEVICES_PER_CONNECTION, FLOOR_BYTES_PER_SUBSCRIBED_DEVICE, FLOOR_CONNECTED_PER_S,
    FLOOR_DOWNLINK_P99_MS, FLOOR_SLOWED,
};
use crate::bench::spread::Spread;
use crate::bench::table::{Unit, mb, thousands};
use crate::load::downlink::{Latencies, Report};

/// Messages and methods to devices.
pub(in crate::bench) fn of(measured: &Downlinks) -> String {
    let rate = thousands(f64::from(measured.rate));
    let mut rows = Rows(format!(
        "{} devices, {rate} messages and {rate} methods to devices per second, through to a receiver of events:\n\n\
         | | messages | methods | floor |\n|---|---|---|---|\n",
        thousands(f64::from(measured.devices))
    ));
    let figure = |figure: fn(&Run) -> f64| Spread::of(measured.runs.iter().map(figure));
    let sum = |count: fn(&Report) -> u64| {
        let counts = measured.runs.iter().map(|run| count(&run.load));
        thousands(counts.sum::<u64>() as f64)
    };
    rows.add(
        "sent, and answered by the receiver",
        &format!(
            "{}, {}",
            sum(|load| load.c2d.sent),
            sum(|load| load.c2d.taken)
        ),
        &format!(
            "{}, {}",
            sum(|load| load.methods.sent),
            sum(|load| load.methods.answered)
        ),
        "all",
    );
    rows.add(
        "answered by the receiver more than once",
        &sum(|load| load.c2d.twice),
        &sum(|load| load.methods.twice),
        "no method",
    );
    let ms = |spread: Spread| Unit::Ms.spread(spread);
    rows.add(
        "p50",
        &ms(figure(|run| run.load.c2d.latency_us.p50 as f64 / 1e3)),
        &ms(figure(|run| run.load.methods.latency_us.p50 as f64 / 1e3)),
        "",
    );
    rows.add(
        "p99",
        &ms(figure(|run| run.load.c2d.latency_us.p99 as f64 / 1e3)),
        &ms(figure(|run| run.load.methods.latency_us.p99 as f64 / 1e3)),
        &format!("< {FLOOR_DOWNLINK_P99_MS:.0} ms"),
    );
    rows.add(
        "slowest",
        &ms(figure(|run| run.load.c2d.latency_us.max as f64 / 1e3)),
        &ms(figure(|run| run.load.methods.latency_us.max as f64 / 1e3)),
        "",
    );
    for (index, name) in ["bridge", "emulator", "load with its receiver"]
        .into_iter()
        .enumerate()
    {
        let costs = measured.runs.iter();
        let costs = costs.filter_map(|run| run.cpu_us_per_event.get(index).copied());
        let both = Unit::Us.spread(Spread::of(costs));
        rows.add(&format!("CPU per event of both, {name}"), &both, "", "");
    }
    let others = Unit::Ratio.spread(figure(|run| run.cores_of_others));
    rows.add("cores busy with other things", &others, "", "");
    rows.0.push('\n');
    rows.0.push_str(&beside_bad(measured));
    rows.0
}

fn beside_bad(measured: &Downlinks) -> String {
    let all = &measured.beside_bad;
    let mut text = format!(
        "Two bridges at the same time, each with {} of both per second and {} % of the devices at a second receiver, which answers like the first at one bridge, \
         and answers too, hangs, or answers 503 at the other ({} pairs of each). Of the devices whose receiver is good, how much slower beside such a one:\n\n\
         | | the second answers too | hangs | answers 503 | floor |\n|---|---|---|---|---|\n",
        all.rate, all.percent, all.rounds
    );
    let mut row = |name: &str, floor: &str, figure: &dyn Fn(&Run) -> f64| {
        let columns = Manner::ALL.map(|manner| Unit::Ratio.spread(all.slowed(manner, figure)));
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {} | {floor} |", columns.join(" | "));
    };
    let floor = format!("≤ {FLOOR_SLOWED:.2}");
    let kinds: [(&str, LatenciesOf); 2] = [
        ("messages", |run| &run.load.c2d.latency_us),
        ("methods", |run| &run.load.methods.latency_us),
    ];
    for (name, of) in kinds {
        row(&format!("{name}, mean"), &floor, &|run| of(run).mean as f64);
        row(&format!("{name}, p50"), &floor, &|run| of(run).p50 as f64);
        row(&format!("{name}, p99"), "", &|run| of(run).p99 as f64);
    }
    row("CPU of the bridge", "", &|run| run.bridge_cpu_s);
    text
}

/// Many devices with four subscriptions each.
pub(in crate::bench) fn subscribed(measured: &Subscribed) -> String {
    let devices = f64::from(measured.devices);
    let mut rows = Rows(format!(
        "{} devices with four subscriptions each, one token of the hub's policy for each connection:\n\n\
         | | bridge | | floor |\n|---|---|---|---|\n",
        thousands(devices)
    ));
    let subscribing = format!(
        "{:.1} s, {}/s",
        measured.subscribing_s,
        thousands(4.0 * devices / measured.subscribing_s.max(0.001))
    );
    rows.add(
        "subscriptions made over HTTP, one by one",
        &subscribing,
        "",
        "",
    );
    let connecting = format!("{:.1} s later", measured.connecting_s);
    rows.add("… all connected", &connecting, "", "");
    let restarts = measured.restarts_s.iter();
    let per_s = Unit::Count.spread(Spread::of(restarts.map(|seconds| devices / seconds)));
    let seconds: Vec<_> = measured
        .restarts_s
        .iter()
        .map(|s| format!("{s:.1} s"))
        .collect();
    rows.add(
        "killed and started again, until all are Running",
        &format!("{per_s} devices/s ({})", seconds.join(", ")),
        "",
        &format!("≥ {}/s", thousands(FLOOR_CONNECTED_PER_S)),
    );
    let costs = measured.restarts_cpu_s.iter();
    let costs = Unit::Us.spread(Spread::of(costs.map(|seconds| seconds * 1e6 / devices)));
    rows.add("… CPU per device, bridge", &costs, "", "");
    for (number, held) in measured.at_rest.iter().enumerate() {
        let after = match number {
            0 => "subscribing".to_owned(),
            restart => format!("restart {restart}"),
        };
        rows.add(
            &format!("resident per device with all links, idle after {after}"),
            &format!(
                "{} bytes ({:.1} MB, was {:.1}; peak {:.1})",
                thousands(held.bytes_per_device),
                mb(held.resident_bytes),
                mb(measured.empty_bytes),
                mb(held.peak_bytes)
            ),
            "",
            &format!("≤ {}", thousands(FLOOR_BYTES_PER_SUBSCRIBED_DEVICE)),
        );
    }
    let connections = measured.at_rest.iter().map(|held| held.connections as f64);
    rows.add(
        "connections to the hub",
        &Unit::Count.spread(Spread::of(connections)),
        "",
        &format!("≤ {}", measured.devices.div_ceil(DEVICES_PER_CONNECTION)),
    );
    rows.0
}

type LatenciesOf = fn(&Run) -> &Latencies;

struct Rows(String);

impl Rows {
    fn add(&mut self, what: &str, first: &str, second: &str, floor: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "| {what} | {first} | {second} | {floor} |");
    }
}
