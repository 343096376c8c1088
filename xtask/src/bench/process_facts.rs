//! What Linux says about a running process.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use crate::error::{Error, Result};

/// Length of the ticks in `/proc/PID/stat`: a hundredth of a second on every machine that Linux gives user space (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process, user and system, all threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    stat_ticks(&read(pid, "stat")?, 14)
}

/// CPU time of all children of this process that have ended and were waited for.
pub(crate) fn cpu_of_ended_children() -> Result<Duration> {
    stat_ticks(&read(std::process::id(), "stat")?, 16)
}

/// CPU time that all cores of the machine together have been busy, for any reason, including time taken by its host.
pub(crate) fn cpu_of_the_machine() -> Result<Duration> {
    let path = "/proc/stat";
    busy_ticks(&fs::read_to_string(path).map_err(Error::io("reading", path))?)
}

/// Resident memory in bytes, exactly: the counter in `status` may be off by 64 pages per core.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let text = read(pid, "smaps_rollup")?;
    field_kb(&text, "Rss:").ok_or_else(|| Error::Unexpected("no Rss in smaps_rollup".into()))
}

/// The most that ever was resident, in bytes.
pub(crate) fn peak_bytes(pid: u32) -> Result<u64> {
    let text = read(pid, "status")?;
    field_kb(&text, "VmHWM:").ok_or_else(|| Error::Unexpected("no VmHWM in status".into()))
}

/// Number of established TCP connections of a process to a port.
pub(crate) fn connections_to(pid: u32, port: u16) -> Result<usize> {
    let folder = format!("/proc/{pid}/fd");
    let own: HashSet<String> = fs::read_dir(&folder)
        .map_err(Error::io("reading", &folder))?
        .filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            Some(inode.strip_suffix(']')?.to_owned())
        })
        .collect();
    let tables = format!("{}{}", read(pid, "net/tcp")?, read(pid, "net/tcp6")?);
    Ok(established(&tables, port)
        .filter(|inode| own.contains(*inode))
        .count())
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(Error::io("reading", &path))
}

/// Sum of field `first` (as `proc_pid_stat(5)` counts) and the next.
fn stat_ticks(stat: &str, first: usize) -> Result<Duration> {
    // The second field is the program's name, in parentheses and with any characters.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut ticks = rest
        .split_whitespace()
        .skip(first - 3)
        .take(2)
        .map(str::parse::<u32>);
    match (ticks.next(), ticks.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok(TICK * user + TICK * system),
        _ => Err(Error::Unexpected(format!("/proc/PID/stat says {stat}"))),
    }
}

/// Of the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these.
fn busy_ticks(stat: &str) -> Result<Duration> {
    const IDLE: [usize; 2] = [3, 4];
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let ticks = line.unwrap_or_default().split_whitespace().take(8);
    let busy = ticks
        .enumerate()
        .filter(|(index, _)| !IDLE.contains(index))
        .map(|(_, ticks)| ticks.parse::<u32>());
    match busy.sum::<std::result::Result<u32, _>>() {
        Ok(ticks) if ticks > 0 => Ok(TICK * ticks),
        _ => Err(Error::Unexpected("/proc/stat says no CPU time".into())),
    }
}

fn field_kb(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kb: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb * 1024)
}

/// The inodes of established connections to `port`, from lines of `/proc/net/tcp`.
fn established(table: &str, port: u16) -> impl Iterator<Item = &str> {
    let suffix = format!(":{port:04X}");
    table.lines().filter_map(move |line| {
        let mut fields = line.split_whitespace();
        let remote = fields.nth(2)?;
        let state = fields.next()?;
        let inode = fields.nth(5)?;
        (remote.ends_with(&suffix) && state == "01").then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_behind_a_strange_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 10 20 0 0 150 25 3 4 20 0 5 0 100 200 300";
        assert_eq!(
            stat_ticks(stat, 14).unwrap(),
            Duration::from_millis(10 * (150 + 25))
        );
        assert_eq!(
            stat_ticks(stat, 16).unwrap(),
            Duration::from_millis(10 * (3 + 4))
        );
        assert!(stat_ticks("7 (a) S 1", 14).is_err());
    }

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  1 2 3 1000 1000 4 5 6 9 9\ncpu0 7 7 7\n";
        assert_eq!(busy_ticks(stat).unwrap(), Duration::from_millis(10 * 21));
        assert!(busy_ticks("intr 5").is_err());
    }

    #[test]
    fn memory_has_its_unit() {
        let text = "55-7f ---p [rollup]\nRss:              1234 kB\nPss: 3 kB\n";
        assert_eq!(field_kb(text, "Rss:"), Some(1234 * 1024));
        assert_eq!(field_kb(text, "VmHWM:"), None);
    }

    #[test]
    fn only_established_connections_to_the_port_count() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1627 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0
   1: 0100007F:C000 0100007F:1627 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0
   2: 0100007F:1627 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0
   3: 0100007F:C001 0100007F:1627 06 00000000:00000000 00:00000000 00000000     0        0 14 1 0
";
        assert_eq!(established(table, 5671).collect::<Vec<_>>(), ["12"]);
    }

    #[test]
    fn this_process_is_there() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(peak_bytes(pid).unwrap() > 100_000);
        assert_eq!(connections_to(pid, 1).unwrap(), 0);
        cpu(pid).unwrap();
        cpu_of_ended_children().unwrap();
        assert!(cpu_of_the_machine().unwrap() > cpu(pid).unwrap());
    }
}
