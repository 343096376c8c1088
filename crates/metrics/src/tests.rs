use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn the_table_in_the_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate.md");
    let document = fs::read_to_string(path).unwrap();
    let (_, rest) = document.split_once(reference::BEGIN).unwrap();
    let (found, _) = rest.split_once(reference::END).unwrap();
    assert_eq!(
        found.trim(),
        reference::markdown().trim(),
        "write it again: cargo run -p drawspan -- config metrics"
    );
}

/// promtool's rules, as far as they can be broken here.
#[test]
fn names_are_as_prometheus_wants_them() {
    let mut names = HashSet::new();
    for metric in Metric::ALL {
        let family = metric.family();
        assert!(names.insert(family), "{family} is there twice");
        let word = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        assert!(word(family) && metric.labels().iter().all(|it| word(it)));
        let ours = family.starts_with("drawspan_") || family.starts_with("process_");
        assert!(ours, "{family}");
        for end in ["_total", "_info", "_count", "_sum", "_bucket", "_created"] {
            assert!(!family.ends_with(end), "{family}");
        }
        // The page does not escape it.
        let about = metric.about();
        assert!(!about.contains(['"', '\\', '\n', '|']), "{about}");
        assert!(!about.is_empty() && !about.ends_with('.'), "{about}");
        let unbounded = ["device", "origin", "callback", "receiver", "url", "le"];
        let bounded = |label: &&str| !unbounded.contains(label);
        assert!(metric.labels().iter().all(bounded), "{family}");
    }
}

#[test]
fn a_page_is_open_metrics() {
    let mut page = Page::default();
    page.add(Metric::Build, [Sample::of(["1.0"], 1)]);
    page.add(
        Metric::ConnectFailures,
        [Sample::of_hub("a\"b\\c\n.net", ["throttled"], 3)],
    );
    page.some(
        Metric::DpsRegistrations,
        [Sample::of(["assigned"], 0), Sample::of(["timeout"], 2)],
    );
    page.one(Metric::DpsQueue, 7);
    page.real(Metric::ProcessCpu, 0.5);
    let latency = Latency::default();
    latency.add(std::time::Duration::from_millis(2));
    page.spread(Metric::MessageSeconds, &latency);
    let text = page.text(Format::OpenMetrics);
    let lines: Vec<_> = text
        .lines()
        .filter(|it| !it.starts_with("# HELP"))
        .collect();
    let expected = [
        "# TYPE drawspan_build info",
        "drawspan_build_info{version=\"1.0\"} 1",
        "# TYPE drawspan_device_connect_failures counter",
        "drawspan_device_connect_failures_total{hub=\"a\\\"b\\\\c\\n.net\",reason=\"throttled\"} 3",
        "# TYPE drawspan_dps_registrations counter",
        "drawspan_dps_registrations_total{result=\"timeout\"} 2",
        "# TYPE drawspan_dps_queue gauge",
        "drawspan_dps_queue 7",
        "# TYPE process_cpu_seconds counter",
        "process_cpu_seconds_total 0.5",
        "# TYPE drawspan_message_duration_seconds histogram",
        "drawspan_message_duration_seconds_sum 0.002",
        "drawspan_message_duration_seconds_count 1",
        "drawspan_message_duration_seconds_bucket{le=\"0.001\"} 0",
        "drawspan_message_duration_seconds_bucket{le=\"0.0025\"} 1",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(
        lines[lines.len() - 2],
        "drawspan_message_duration_seconds_bucket{le=\"+Inf\"} 1"
    );
    assert_eq!(lines[lines.len() - 1], "# EOF");
}

#[test]
fn a_page_is_text_of_the_older_format() {
    let mut page = Page::default();
    page.add(Metric::Build, [Sample::of(["1.0"], 1)]);
    let failures = Sample::of_hub("h", ["throttled"], 3);
    page.add(Metric::ConnectFailures, [failures]);
    page.one(Metric::DpsQueue, 7);
    page.spread(Metric::MessageSeconds, &Latency::default());
    let text = page.text(Format::Text);
    let lines: Vec<_> = text.lines().collect();
    for (metric, suffix) in [
        (Metric::Build, "_info"),
        (Metric::ConnectFailures, "_total"),
    ] {
        let help = format!("# HELP {}{suffix} {}", metric.family(), metric.about());
        assert!(text.contains(&help), "{help}: {text}");
    }
    let others: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("# HELP"))
        .collect();
    let expected = [
        "# TYPE drawspan_build_info gauge",
        "drawspan_build_info{version=\"1.0\"} 1",
        "# TYPE drawspan_device_connect_failures_total counter",
        "drawspan_device_connect_failures_total{hub=\"h\",reason=\"throttled\"} 3",
        "# TYPE drawspan_dps_queue gauge",
        "drawspan_dps_queue 7",
        "# TYPE drawspan_message_duration_seconds histogram",
    ];
    assert!(
        others
            .iter()
            .zip(expected)
            .all(|(line, expected)| **line == expected),
        "{text}"
    );
    assert!(!text.contains("# EOF") && text.ends_with('\n'), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_knows_itself() {
    let mut page = Page::default();
    process(&mut page);
    let text = page.text(Format::OpenMetrics);
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(value("process_cpu_seconds_total ") > 0.0);
    let resident = value("process_resident_memory_bytes ");
    assert!(resident > 1e6 && resident < value("process_virtual_memory_bytes "));
    let files = value("process_open_fds ");
    assert!(files > 2.0 && files < value("process_max_fds "));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs_f64() - value("process_start_time_seconds ");
    assert!((-2.0..86_400.0).contains(&age), "{age}");
}
