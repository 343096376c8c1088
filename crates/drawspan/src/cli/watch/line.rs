//! A change of a connection on one line of a terminal.

use std::fmt;

use serde::Deserialize;

use crate::cli::show::one_line;
use crate::limits::{SHOWN_BODY_CHARS, SHOWN_PROPERTY_CHARS};

/// A change, as the bridge tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Change {
    /// Absent in a device's own history.
    device_id: Option<String>,
    at: String,
    status: String,
    cause: Option<String>,
    detail: Option<String>,
    session_seconds: Option<f64>,
}

/// What a listener did not get.
#[derive(Debug, Deserialize)]
pub(super) struct Missed {
    missed: Option<u64>,
    detail: String,
}

impl Change {
    /// `time  device  status  cause  detail  lived`.
    pub(super) fn line(&self, colour: bool) -> String {
        let time = self.at.get(11..23).unwrap_or(&self.at);
        let device = self.device_id.as_deref().unwrap_or("-");
        let parts = [time, device].map(|text| one_line(text, SHOWN_PROPERTY_CHARS));
        format!("{}  {}", parts.join("  "), self.words(colour))
    }

    /// The same of a device that is known, with the day: `day time  status  cause  detail  lived`.
    pub(in crate::cli) fn line_of_one(&self, colour: bool) -> String {
        let at = self.at.get(..23).unwrap_or(&self.at).replace('T', " ");
        let at = one_line(&at, SHOWN_PROPERTY_CHARS);
        format!("{at}  {}", self.words(colour))
    }

    fn words(&self, colour: bool) -> String {
        let part = |text: &str| one_line(text, SHOWN_PROPERTY_CHARS);
        let status = painted(&part(&self.status), colour);
        let cause = part(self.cause.as_deref().unwrap_or("-"));
        let detail = self.detail.as_deref().unwrap_or("-");
        let detail = one_line(detail, SHOWN_BODY_CHARS);
        let mut line = format!("{status}  {cause}  {detail}");
        if let Some(seconds) = self.session_seconds {
            line += &format!("  lived {}", length(seconds));
        }
        line
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = one_line(&self.detail, SHOWN_BODY_CHARS);
        match self.missed {
            Some(missed) => write!(f, "{missed} changes are missing: {detail}"),
            None => write!(f, "changes are missing: {detail}"),
        }
    }
}

/// The status in the colour of its kind.
fn painted(status: &str, colour: bool) -> String {
    let code = match status {
        _ if !colour => return status.to_owned(),
        "Connected" => 32,
        "Disconnected_Retrying" => 33,
        "Disconnected" => 31,
        _ => 2,
    };
    format!("\u{1b}[{code}m{status}\u{1b}[0m")
}

/// A length of time in its two largest units.
fn length(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    // A session of a million years is none.
    let whole = seconds.min(1e13) as u64;
    let (minutes, hours) = (whole / 60, whole / 3_600);
    match hours {
        0 => format!("{minutes} min {} s", whole % 60),
        1..48 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(data: &str) -> Change {
        serde_json::from_str(data).unwrap()
    }

    #[test]
    fn a_change_is_one_line() {
        let stolen = change(
            r#"{"deviceId":"pump-1","at":"2026-11-30T10:20:30.1234567Z","status":"Disconnected_Retrying",
                "reason":"Communication_Error","cause":"other-client","detail":"another client\u001b[2J,\nas h says","sessionSeconds":61.234}"#,
        );
        assert_eq!(
            stolen.line(false),
            "10:20:30.123  pump-1  Disconnected_Retrying  other-client  another client\u{fffd}[2J, as h says  lived 1 min 1 s"
        );
        let connected = change(
            r#"{"deviceId":"d","at":"2026-11-30T10:20:30.1234567Z","status":"Connected","cause":null,"detail":"h.net","sessionSeconds":null}"#,
        );
        assert_eq!(
            connected.line(true),
            "10:20:30.123  d  \u{1b}[32mConnected\u{1b}[0m  -  h.net"
        );
    }

    #[test]
    fn lengths_have_two_units() {
        for (seconds, expected) in [
            (0.04, "0.0 s"),
            (59.94, "59.9 s"),
            (60.0, "1 min 0 s"),
            (3_599.0, "59 min 59 s"),
            (3_661.0, "1 h 1 min"),
            (172_800.0, "2 d 0 h"),
        ] {
            assert_eq!(length(seconds), expected);
        }
    }
}
