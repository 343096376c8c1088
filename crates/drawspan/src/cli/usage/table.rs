//! The table of today's use, with bars.

use std::fmt::Write as _;

use serde::Deserialize;

use super::Sort;

/// Width of a bar of the whole, in characters.
const BAR: usize = 20;
/// Parts of a character, from an eighth on.
const PARTS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    since: String,
    until: String,
    hubs: Vec<Hub>,
    devices: Vec<Device>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hub {
    hub: String,
    daily_blocks: Option<u64>,
    devices: u64,
    sends: u64,
    blocks: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    device_id: String,
    hub: String,
    sends: u64,
    blocks: u64,
    sends_share: f64,
    blocks_share: f64,
}

/// The bridge's answer as text.
pub(super) fn text(body: &[u8], sort: Sort) -> Result<String, serde_json::Error> {
    let report: Report = serde_json::from_slice(body)?;
    let mut text = String::new();
    for hub in &report.hubs {
        hub.line(&mut text);
    }
    if report.hubs.is_empty() {
        text.push_str("nothing was sent\n");
    }
    let _ = writeln!(
        text,
        "counted since {}, anew at {}",
        to_the_second(&report.since),
        to_the_second(&report.until)
    );
    if report.devices.is_empty() {
        return Ok(text);
    }
    text.push('\n');
    let many = report.hubs.len() > 1;
    let head = match sort {
        Sort::Blocks => "BLOCKS OF ITS HUB",
        Sort::Sends => "MESSAGES OF ITS HUB",
    };
    let mut rows = vec![["DEVICE", "MESSAGES", "BLOCKS", head, "HUB"].map(str::to_owned)];
    rows.extend(report.devices.iter().map(|device| device.cells(sort)));
    write_rows(&mut text, &rows, many);
    Ok(text)
}

impl Hub {
    fn line(&self, text: &mut String) {
        let Self {
            hub,
            devices,
            sends,
            blocks,
            ..
        } = self;
        let _ = write!(
            text,
            "{}: {sends} messages of {devices} devices, {blocks} blocks of 4 KB",
            plain(hub)
        );
        if let Some(quota) = self.daily_blocks {
            let share = *blocks as f64 / quota.max(1) as f64;
            let _ = write!(text, ", {} of {quota} a day", percent(share));
        }
        text.push('\n');
    }
}

impl Device {
    fn cells(&self, sort: Sort) -> [String; 5] {
        let share = match sort {
            Sort::Blocks => self.blocks_share,
            Sort::Sends => self.sends_share,
        };
        [
            plain(&self.device_id),
            self.sends.to_string(),
            self.blocks.to_string(),
            format!("{:>6} {}", percent(share), bar(share)),
            plain(&self.hub),
        ]
    }
}

/// In columns; numbers to the right. The hub only where there are several.
fn write_rows(text: &mut String, rows: &[[String; 5]], with_hub: bool) {
    let mut widths = [0; 5];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [device_width, sends_width, blocks_width, share_width, _] = widths;
    for [device, sends, blocks, share, hub] in rows {
        let mut line = format!(
            "{device:device_width$}  {sends:>sends_width$}  {blocks:>blocks_width$}  {share:share_width$}"
        );
        if with_hub {
            let _ = write!(line, "  {hub}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * BAR as f64 * 8.0).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    // The last one is partly filled. Everybody who sent something has a line.
    let part = match eighths {
        0 => 1,
        eighths => eighths % 8,
    };
    bar.extend(part.checked_sub(1).and_then(|part| PARTS.get(part)));
    bar
}

fn to_the_second(time: &str) -> String {
    let time = time.split('.').next().unwrap_or_default();
    format!("{}Z", plain(time.trim_end_matches('Z')))
}

/// Without what would move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"since":"2026-11-30T00:00:00.0000000Z","until":"2026-12-01T00:00:00.0000000Z","deviceRate":null,
        "deviceDailyBlocks":null,"hubs":[{"hub":"a.net","dailyBlocks":400000,"devices":3,"sends":1200,"blocks":2000}],
        "devices":[{"deviceId":"noisy","hub":"a.net","sends":1000,"blocks":1750,"sendsShare":0.8333,"blocksShare":0.875},
        {"deviceId":"a\u001b[1m","hub":"a.net","sends":2,"blocks":3,"sendsShare":0.0017,"blocksShare":0.0015}]}"#;

    #[test]
    fn a_report_becomes_a_table_with_bars() {
        let expected = "\
a.net: 1200 messages of 3 devices, 2000 blocks of 4 KB, 0.5 % of 400000 a day
counted since 2026-11-30T00:00:00Z, anew at 2026-12-01T00:00:00Z

DEVICE  MESSAGES  BLOCKS  BLOCKS OF ITS HUB
noisy       1000    1750  87.5 % █████████████████▌
a [1m          2       3   0.1 % ▏
";
        assert_eq!(text(BODY.as_bytes(), Sort::Blocks).unwrap(), expected);
        let by_sends = text(BODY.as_bytes(), Sort::Sends).unwrap();
        assert!(by_sends.contains("83.3 % ████████████████▋"), "{by_sends}");
    }

    #[test]
    fn a_day_without_messages_is_said_and_several_hubs_are_named() {
        let none = r#"{"since":"x","until":"y","hubs":[],"devices":[]}"#;
        let shown = text(none.as_bytes(), Sort::Blocks).unwrap();
        assert_eq!(shown, "nothing was sent\ncounted since xZ, anew at yZ\n");
        let hub = r#"{"hub":"b.net","dailyBlocks":null,"devices":1,"sends":1,"blocks":1}"#;
        let two = BODY.replacen("\"hubs\":[", &format!("\"hubs\":[{hub},"), 1);
        let shown = text(two.as_bytes(), Sort::Blocks).unwrap();
        assert!(shown.contains("BLOCKS OF ITS HUB          HUB"), "{shown}");
        assert!(shown.contains("b.net: 1 messages of 1 devices, 1 blocks of 4 KB\n"));
        assert!(text(b"[]", Sort::Blocks).is_err());
    }

    #[test]
    fn a_bar_is_as_long_as_the_share() {
        assert_eq!(bar(1.0).chars().count(), BAR);
        assert_eq!(bar(0.5), "█".repeat(BAR / 2));
        assert_eq!(bar(0.0), "▏");
    }
}
