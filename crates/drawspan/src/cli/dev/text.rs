//! What `dev` prints at start. Lines to paste stand alone, indented by two spaces; the last line is `ready`.

use std::fmt::Write;
use std::net::SocketAddr;

use drawspan_emulator::tail::{Colour, Paint};
use drawspan_hub::{DeviceId, HubConnectionString};

use super::ports::TwoProcesses;

/// The folder of the emulator as a process of its own.
const STATE: &str = "./drawspan-state";
/// The key of the bridge as a process of its own, which must have one.
const KEY: &str = "dev-key";

/// All that the text needs.
pub(super) struct Intro<'a> {
    pub(super) address: SocketAddr,
    pub(super) api_key: Option<&'a str>,
    pub(super) devices: &'a [DeviceId],
    pub(super) policy: &'a HubConnectionString,
    pub(super) ports: TwoProcesses,
    pub(super) command: &'static str,
}

/// How this program is called: by cargo, or as itself.
pub(super) fn command() -> &'static str {
    match (std::env::var_os("CARGO"), cfg!(debug_assertions)) {
        (Some(_), true) => "cargo run --",
        (Some(_), false) => "cargo run --release --",
        (None, _) => "drawspan",
    }
}

impl Intro<'_> {
    /// The whole text.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, paint);
        text
    }

    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let names: Vec<_> = self.devices.iter().map(DeviceId::as_str).collect();
        writeln!(
            out,
            "Bridge on http://{}, local hub with {}; all is forgotten at the end.",
            self.address,
            names.join(", ")
        )?;
        writeln!(out, "\n{}", paint.with(Colour::Green, "Send a message:"))?;
        self.write_curls(out, self.address, self.api_key)?;
        writeln!(
            out,
            "\n{}",
            paint.with(
                Colour::Green,
                "The same as two processes, each in a terminal of its own:"
            )
        )?;
        self.write_two_processes(out)?;
        writeln!(out, "\nWhat reaches the hub is shown here. Ctrl-C ends it.")?;
        writeln!(out, "ready")
    }

    fn write_two_processes(&self, out: &mut String) -> std::fmt::Result {
        let Self {
            command, policy, ..
        } = self;
        let TwoProcesses { http, amqps, https } = self.ports;
        let host = &policy.host;
        write!(
            out,
            "  {command} emulator --tail --hub {host} --state {STATE} --policy-key {}",
            policy.key.to_base64()
        )?;
        write!(out, " --amqps-port {amqps} --https-port {https}")?;
        for device in self.devices {
            write!(out, " --device {}", quoted(device.as_str()))?;
        }
        write!(
            out,
            "\n  {command} serve --listen 127.0.0.1:{http} --api-key {KEY} --ca {STATE}/ca.pem"
        )?;
        write!(out, " --connect {host}=127.0.0.1:{amqps}")?;
        writeln!(
            out,
            " --hub-connection-string {}",
            quoted(&policy.to_secret_string())
        )?;
        self.write_curls(out, SocketAddr::from(([127, 0, 0, 1], http)), Some(KEY))
    }

    fn write_curls(
        &self,
        out: &mut String,
        address: SocketAddr,
        key: Option<&str>,
    ) -> std::fmt::Result {
        const PLAIN: &str = r#"{"data": {"temperature": 21.5}}"#;
        const FULL: &str = r#"{"data": {"pressure": 1.013}, "properties": {"room": "12"}, "componentName": "pump", "creationTimeUtc": "2026-11-22T10:20:30Z"}"#;
        let key = key
            .map(|key| format!(" -H {}", quoted(&format!("x-api-key: {key}"))))
            .unwrap_or_default();
        let devices = self.devices.iter().cycle();
        for (body, device) in [PLAIN, FULL].into_iter().zip(devices) {
            let path = percent_encoding::utf8_percent_encode(
                device.as_str(),
                percent_encoding::NON_ALPHANUMERIC,
            )
            .to_string();
            // Readable where it can be.
            let path = path
                .replace("%2D", "-")
                .replace("%2E", ".")
                .replace("%5F", "_")
                .replace("%3A", ":");
            let url = format!("http://{address}/devices/{path}/messages/events");
            writeln!(
                out,
                "  curl -i {url}{key} -H 'content-type: application/json' -d {}",
                quoted(body)
            )?;
        }
        Ok(())
    }
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=+,@%".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(api_key: Option<&str>, devices: &[&str]) -> String {
        let policy = "HostName=localhost;SharedAccessKeyName=device;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
        let devices: Vec<_> = devices
            .iter()
            .map(|id| DeviceId::parse(id).unwrap())
            .collect();
        let intro = Intro {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            api_key,
            devices: &devices,
            policy: &HubConnectionString::parse(policy).unwrap(),
            ports: TwoProcesses {
                http: 8081,
                amqps: 5671,
                https: 8443,
            },
            command: "drawspan",
        };
        intro.text(Paint(false))
    }

    fn to_paste(text: &str) -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix("  "))
            .collect()
    }

    #[test]
    fn lines_to_paste_stand_alone() {
        let text = text(None, &["sensor-1", "sensor-2"]);
        let lines = to_paste(&text);
        let starts: Vec<_> = lines
            .iter()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            starts,
            [
                "curl -i",
                "curl -i",
                "drawspan emulator",
                "drawspan serve",
                "curl -i",
                "curl -i"
            ]
        );
        assert!(lines[0].contains("http://127.0.0.1:8080/devices/sensor-1/messages/events -H"));
        assert!(lines[1].contains("/devices/sensor-2/"));
        assert!(
            lines[2].ends_with(
                "--amqps-port 5671 --https-port 8443 --device sensor-1 --device sensor-2"
            )
        );
        assert!(lines[3].contains("--connect localhost=127.0.0.1:5671"));
        assert!(
            lines[3]
                .contains("'HostName=localhost;SharedAccessKeyName=device;SharedAccessKey=MDEy")
        );
        assert!(
            lines[4].contains("http://127.0.0.1:8081/")
                && lines[4].contains("-H 'x-api-key: dev-key'")
        );
        assert_eq!(text.lines().last(), Some("ready"));
    }

    #[test]
    fn odd_names_survive_shell_and_url() {
        let text = text(Some("it's"), &["a'b$?"]);
        let lines = to_paste(&text);
        assert!(
            lines[0].contains("/devices/a%27b%24%3F/messages/events -H 'x-api-key: it'\\''s'"),
            "{}",
            lines[0]
        );
        assert!(lines[2].ends_with(r"--device 'a'\''b$?'"));
    }
}
