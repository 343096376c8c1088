//! Results as Markdown, ready for `BENCHMARKS.md`.

use std::fmt::Write as _;

use super::downlink;
use super::plan::{
    DEVICES_PER_CONNECTION, FLOOR_BYTES_PER_DEVICE, FLOOR_CONNECTED_PER_S, FLOOR_OF_CEILING, Floors,
};
use super::report::{Measured, Results, Run, Target};
use super::spread::Spread;
use super::storm;

/// The whole text.
pub(crate) fn of(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{}, {} plan, commit {}. {} cores ({}), {} MB, Linux {}, {}; load average before: {:.1}.\n",
        machine.at,
        machine.plan,
        machine.commit,
        machine.cores,
        machine.processor,
        thousands(machine.memory_mb as f64),
        machine.kernel,
        machine.rustc,
        machine.load_before
    );
    for measured in &results.scales {
        text.push('\n');
        text.push_str(&scale(measured));
    }
    for part in [
        results.downlinks.as_ref().map(downlink::table::of),
        results.subscribed.as_ref().map(downlink::table::subscribed),
        results.storms.as_ref().map(storm::table),
    ] {
        text.extend(part.map(|part| format!("\n{part}")));
    }
    text
}

fn scale(measured: &Measured) -> String {
    let devices = thousands(f64::from(measured.devices));
    let mut rows = Rows(format!(
        "{devices} devices, {}:\n\n| | ceiling | bridge | floor |\n|---|---|---|---|\n",
        measured.identity
    ));
    let both = |figure: fn(&Run) -> f64, unit: Unit| {
        [Target::Ceiling, Target::Bridge].map(|target| unit.spread(measured.spread(target, figure)))
    };
    let [ceiling, bridge] = both(|run| run.load.ok_per_s, Unit::Count);
    rows.add("messages/s", &ceiling, &bridge, "");
    let floor = match measured.floors {
        Floors::Speed => format!("≥ {FLOOR_OF_CEILING:.2}"),
        Floors::Memory => String::new(),
    };
    let of_ceiling = Unit::Ratio.spread(measured.of_ceiling);
    rows.add("of the ceiling, pair by pair", "1", &of_ceiling, &floor);
    let [ceiling, bridge] = both(|run| run.load.latency_us.p50 as f64 / 1e3, Unit::Ms);
    rows.add("p50", &ceiling, &bridge, "");
    let [ceiling, bridge] = both(|run| run.load.latency_us.p99 as f64 / 1e3, Unit::Ms);
    rows.add("p99", &ceiling, &bridge, "");
    let [ceiling, bridge] = both(|run| run.cpu_us_per_message.server, Unit::Us);
    rows.add("CPU per message, server", &ceiling, &bridge, "");
    let [_, bridge] = both(|run| run.cpu_us_per_message.emulator, Unit::Us);
    rows.add("CPU per message, emulator", "", &bridge, "");
    let [ceiling, bridge] = both(|run| run.cpu_us_per_message.load, Unit::Us);
    rows.add("CPU per message, load", &ceiling, &bridge, "");
    let [ceiling, bridge] = both(|run| run.cores_of_others, Unit::Ratio);
    rows.add("cores busy with other things", &ceiling, &bridge, "");
    connecting(&mut rows, measured);
    at_rest(&mut rows, measured);
    let read_back = match measured.read_back {
        Some(found) => format!(
            "{} of {}",
            thousands(found as f64),
            thousands(measured.ok as f64)
        ),
        None => format!("NOT READ BACK; {} got 200", thousands(measured.ok as f64)),
    };
    rows.add("messages at the hub", "", &read_back, "all");
    rows.0
}

fn connecting(rows: &mut Rows, measured: &Measured) {
    if let Some(registering) = &measured.registering {
        let load = &registering.load;
        let text = format!(
            "{}/s, all in {:.1} s",
            thousands(load.ok_per_s),
            load.seconds
        );
        rows.add(
            "devices registered and connected by a first message",
            "",
            &text,
            "",
        );
    }
    let load = &measured.connecting.load;
    let text = format!(
        "{}/s, all in {:.1} s",
        thousands(load.ok_per_s),
        load.seconds
    );
    let floor = match measured.floors {
        Floors::Memory => format!("≥ {}/s", thousands(FLOOR_CONNECTED_PER_S)),
        Floors::Speed => String::new(),
    };
    rows.add("devices connected by a first message", "", &text, &floor);
    let ms = |us: u64| us as f64 / 1e3;
    let text = format!(
        "{:.1} ms, {:.1} ms",
        ms(load.latency_us.p50),
        ms(load.latency_us.p99)
    );
    rows.add("… p50, p99 of that message", "", &text, "");
    let costs = &measured.connecting.cpu_us_per_message;
    let text = format!("{:.1} µs, {:.1} µs", costs.server, costs.emulator);
    rows.add("… CPU per device, bridge and emulator", "", &text, "");
}

fn at_rest(rows: &mut Rows, measured: &Measured) {
    for idle in &measured.idle {
        let floor = match measured.floors {
            Floors::Memory => format!("≤ {}", thousands(FLOOR_BYTES_PER_DEVICE)),
            Floors::Speed => String::new(),
        };
        let text = format!(
            "{} bytes ({:.1} MB, was {:.1}; peak {:.1})",
            thousands(idle.bytes_per_device),
            mb(idle.resident_bytes),
            mb(measured.empty_bytes),
            mb(idle.peak_bytes)
        );
        let what = format!("resident per device, idle after {}", idle.after);
        rows.add(&what, "", &text, &floor);
    }
    let connections = measured.idle.iter().map(|idle| idle.connections as f64);
    let floor = format!("≤ {}", measured.devices.div_ceil(DEVICES_PER_CONNECTION));
    let text = Unit::Count.spread(Spread::of(connections));
    rows.add("connections to the hub", "", &text, &floor);
}

struct Rows(String);

impl Rows {
    fn add(&mut self, what: &str, ceiling: &str, bridge: &str, floor: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "| {what} | {ceiling} | {bridge} | {floor} |");
    }
}

#[derive(Clone, Copy)]
pub(super) enum Unit {
    Count,
    Ratio,
    Ms,
    Us,
}

impl Unit {
    /// Median, and where the others lie unless they are the same.
    pub(super) fn spread(self, spread: Spread) -> String {
        let Spread { median, min, max } = spread;
        let (median, min, max) = (self.number(median), self.number(min), self.number(max));
        let unit = match self {
            Self::Count | Self::Ratio => "",
            Self::Ms => " ms",
            Self::Us => " µs",
        };
        if min == max {
            format!("{median}{unit}")
        } else {
            format!("{median}{unit} ({min}–{max})")
        }
    }

    fn number(self, value: f64) -> String {
        match self {
            Self::Count => thousands(value),
            Self::Ratio | Self::Ms => format!("{value:.2}"),
            Self::Us => format!("{value:.1}"),
        }
    }
}

pub(super) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// A whole number with commas.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    if value < 0.0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let check = |value: f64, text: &str| assert_eq!(thousands(value), text);
        check(0.0, "0");
        check(999.4, "999");
        check(1000.0, "1,000");
        check(-1234567.0, "-1,234,567");
        let spread = Spread::of([1.0, 2.0, 30.0]);
        assert_eq!(Unit::Ms.spread(spread), "2.00 ms (1.00–30.00)");
        assert_eq!(Unit::Count.spread(Spread::of([51.0, 51.0])), "51");
    }
}
