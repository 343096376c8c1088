//! Metrics of the process from the system, under the standard names.

use super::{Metric, Page};

/// Adds what is known of this process. May block for some milliseconds where the kernel is old.
pub fn process(page: &mut Page) {
    #[cfg(unix)]
    unix(page);
    #[cfg(target_os = "linux")]
    linux(page);
}

#[cfg(unix)]
#[allow(clippy::cast_precision_loss)] // seconds of CPU time
fn unix(page: &mut Page) {
    use rustix::process::{Resource, getrlimit};
    use rustix::time::{ClockId, clock_gettime};

    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    page.real(
        Metric::ProcessCpu,
        cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
    );
    if let Some(files) = getrlimit(Resource::Nofile).current {
        page.add(Metric::ProcessFilesMax, [super::Sample::of([], files)]);
    }
}

#[cfg(target_os = "linux")]
fn linux(page: &mut Page) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (metric, member) in [
        (Metric::ProcessResident, "VmRSS:"),
        (Metric::ProcessVirtual, "VmSize:"),
    ] {
        if let Some(kib) = number_after(&status, member) {
            page.add(metric, [super::Sample::of([], kib * 1024)]);
        }
    }
    if let Some(files) = open_files() {
        page.add(Metric::ProcessFiles, [super::Sample::of([], files)]);
    }
    if let Some(start) = start() {
        page.real(Metric::ProcessStart, start);
    }
}

/// The number of a line that begins so.
#[cfg(target_os = "linux")]
fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Since Linux 6.2 the directory's size is their number; before that they must be counted.
#[cfg(target_os = "linux")]
fn open_files() -> Option<u64> {
    const FILES: &str = "/proc/self/fd";
    match std::fs::metadata(FILES).ok()?.len() {
        0 => Some(std::fs::read_dir(FILES).ok()?.count() as u64),
        count => Some(count),
    }
}

/// When the process began, in seconds since 1970.
#[cfg(target_os = "linux")]
#[allow(clippy::cast_precision_loss)] // ticks of a hundredth of a second
fn start() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // proc_pid_stat(5): the second member is a name in brackets, which may hold anything; the start is the 22nd.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: u64 = after_name.split_whitespace().nth(19)?.parse().ok()?;
    let booted = number_after(&std::fs::read_to_string("/proc/stat").ok()?, "btime")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(booted as f64 + ticks as f64 / per_second as f64)
}
