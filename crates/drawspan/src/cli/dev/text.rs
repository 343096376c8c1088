//! The text that `dev` prints at start. Commands to paste are on separate lines, indented by two spaces; the last line is `ready`.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use drawspan_emulator::tail::{Colour, Paint};
use drawspan_hub::{DeviceId, HubConnectionString, SymmetricKey};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ports::TwoProcesses;

/// The key of the bridge as a separate process, which must have one.
const KEY: &str = "dev-key";
/// Readable where it can be.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// The data for the text.
pub(super) struct Intro<'a> {
    pub(super) address: SocketAddr,
    pub(super) api_key: Option<&'a str>,
    pub(super) devices: &'a [DeviceId],
    /// Connection string for services.
    pub(super) service: &'a HubConnectionString,
    /// The hub's addresses for AMQP and for HTTPS.
    pub(super) hub_at: [SocketAddr; 2],
    /// The authority that the hub's clients must trust.
    pub(super) authority: &'a Path,
    /// The file by which `drawspan hub` gets there.
    pub(super) access: &'a Path,
    /// Whether there is a receiver of events.
    pub(super) receives: bool,
    pub(super) id_scope: &'a str,
    pub(super) group_key: &'a SymmetricKey,
    pub(super) ports: TwoProcesses,
    /// Folder of the emulator as a separate process.
    pub(super) state: &'a Path,
    /// How this program is called.
    pub(super) command: &'a str,
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
        let heading = |text| paint.with(Colour::Green, text);
        let names: Vec<_> = self.devices.iter().map(DeviceId::as_str).collect();
        let (address, service) = (self.address, self.service);
        writeln!(
            out,
            "Bridge on http://{address}, local hub {} with {}, in memory only.",
            service.host,
            names.join(", ")
        )?;
        writeln!(
            out,
            "Any other device id works, too: the device registers by itself."
        )?;
        writeln!(
            out,
            "API reference, to read and to try: http://{address}/docs"
        )?;
        writeln!(
            out,
            "Service connection string: {}",
            service.to_secret_string()
        )?;
        let [amqps, https] = self.hub_at;
        let authority = quoted(&self.authority.to_string_lossy());
        let host = &service.host;
        writeln!(
            out,
            "The hub does not use the standard ports. Commands of drawspan reach it with\n\
             --connect {host}:5671={amqps} --connect {host}:443={https} --ca {authority}\n\
             Official SDKs support only the ports 5671 and 443; see `drawspan emulator --help`."
        )?;
        writeln!(out, "\n{}", heading("Send telemetry, in another terminal:"))?;
        self.write_telemetry(out)?;
        writeln!(out, "\n{}", heading(self.down()))?;
        self.write_down(out)?;
        writeln!(
            out,
            "\n{}",
            heading("The same as two processes, each in a separate terminal:")
        )?;
        self.write_two_processes(out)?;
        writeln!(
            out,
            "\nEverything that reaches the hub or its devices is shown here. Ctrl-C ends dev."
        )?;
        writeln!(out, "ready")
    }

    const fn down(&self) -> &'static str {
        match self.receives {
            true => {
                "Send a message, call a method, set a desired property; dev subscribes for all devices and receives them:"
            }
            false => {
                "Send a message, call a method, set a desired property; your subscriptions receive them:"
            }
        }
    }

    fn write_telemetry(&self, out: &mut String) -> std::fmt::Result {
        const PLAIN: &str = r#"{"data": {"temperature": 21.5}}"#;
        const FULL: &str = r#"{"data": {"pressure": 1.013}, "properties": {"room": "12"}, "componentName": "pump", "creationTimeUtc": "2026-11-22T10:20:30Z"}"#;
        let devices = self.devices.iter().cycle();
        for (body, device) in [PLAIN, FULL].into_iter().zip(devices) {
            writeln!(out, "{}", curl(self.address, self.api_key, device, body))?;
        }
        Ok(())
    }

    fn write_down(&self, out: &mut String) -> std::fmt::Result {
        let access = quoted(&self.access.to_string_lossy());
        let command = format!("{} hub --config {access}", self.command);
        let Some(device) = self.devices.first() else {
            return Ok(());
        };
        let device = quoted(device.as_str());
        writeln!(out, "  {command} send {device} '{{\"led\": \"on\"}}'")?;
        writeln!(out, "  {command} invoke {device} blink '{{\"times\": 3}}'")?;
        writeln!(
            out,
            "  {command} twin --desired '{{\"interval\": 30}}' {device}"
        )
    }

    fn write_two_processes(&self, out: &mut String) -> std::fmt::Result {
        let Self {
            command,
            service,
            id_scope,
            ..
        } = self;
        let TwoProcesses { http, amqps, https } = self.ports;
        let host = &service.host;
        let state = quoted(&self.state.to_string_lossy());
        let authority = quoted(&self.state.join("ca.pem").to_string_lossy());
        let group_key = self.group_key.to_base64();
        write!(
            out,
            "  {command} emulator --tail --hub {host} --state {state} --group-key {group_key}"
        )?;
        write!(out, " --amqps-port {amqps} --https-port {https}")?;
        for device in self.devices {
            write!(out, " --device {}", quoted(device.as_str()))?;
        }
        write!(
            out,
            "\n  {command} serve --listen 127.0.0.1:{http} --api-key {KEY} --ca {authority}"
        )?;
        write!(
            out,
            " --connect {host}:5671=127.0.0.1:{amqps} --connect {host}:443=127.0.0.1:{https}"
        )?;
        writeln!(
            out,
            " --dps-endpoint {host} --id-scope {id_scope} --group-key {group_key}"
        )?;
        let address = SocketAddr::from(([127, 0, 0, 1], http));
        if let Some(device) = self.devices.first() {
            let body = r#"{"data": {"temperature": 21.5}}"#;
            writeln!(out, "{}", curl(address, Some(KEY), device, body))?;
        }
        Ok(())
    }
}

/// The line by which a device's message is sent.
fn curl(address: SocketAddr, key: Option<&str>, device: &DeviceId, body: &str) -> String {
    let key = key
        .map(|key| format!(" -H {}", quoted(&format!("x-api-key: {key}"))))
        .unwrap_or_default();
    let device = utf8_percent_encode(device.as_str(), SEGMENT);
    let body = quoted(body);
    format!(
        "  curl -i http://{address}/devices/{device}/messages/events{key} -H 'content-type: application/json' -d {body}"
    )
}

/// One word for a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
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
        let service = "HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
        let devices: Vec<_> = devices
            .iter()
            .map(|id| DeviceId::parse(id).unwrap())
            .collect();
        let intro = Intro {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            api_key,
            devices: &devices,
            service: &HubConnectionString::parse(service).unwrap(),
            hub_at: [40_001, 40_002].map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
            authority: Path::new("/tmp/x/ca.pem"),
            access: Path::new("/tmp/x/hub.toml"),
            receives: true,
            id_scope: "0ne00000001",
            group_key: &SymmetricKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZg==").unwrap(),
            ports: TwoProcesses {
                http: 8081,
                amqps: 5671,
                https: 8443,
            },
            state: Path::new("/srv/my state"),
            command: "/opt/drawspan",
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
        let expected = [
            "curl -i http://127.0.0.1:8080/devices/sensor-1/messages/events -H",
            "curl -i http://127.0.0.1:8080/devices/sensor-2/messages/events -H",
            r#"/opt/drawspan hub --config /tmp/x/hub.toml send sensor-1 '{"led": "on"}'"#,
            r#"/opt/drawspan hub --config /tmp/x/hub.toml invoke sensor-1 blink '{"times": 3}'"#,
            r#"/opt/drawspan hub --config /tmp/x/hub.toml twin --desired '{"interval": 30}' sensor-1"#,
            "/opt/drawspan emulator --tail --hub localhost --state '/srv/my state' --group-key MDEyMzQ1Njc4OWFiY2RlZg==",
            "/opt/drawspan serve --listen 127.0.0.1:8081 --api-key dev-key --ca '/srv/my state/ca.pem'",
            "curl -i http://127.0.0.1:8081/devices/sensor-1/messages/events -H 'x-api-key: dev-key'",
        ];
        assert_eq!(lines.len(), expected.len(), "{text}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}");
        }
        assert!(
            lines[5].ends_with(
                "--amqps-port 5671 --https-port 8443 --device sensor-1 --device sensor-2"
            )
        );
        assert!(lines[6].ends_with(
            "--connect localhost:5671=127.0.0.1:5671 --connect localhost:443=127.0.0.1:8443 \
             --dps-endpoint localhost --id-scope 0ne00000001 --group-key MDEyMzQ1Njc4OWFiY2RlZg=="
        ));
        assert!(text.contains("http://127.0.0.1:8080/docs\n"));
        assert!(text.contains("string: HostName=localhost;SharedAccessKeyName=service;"));
        for part in [
            "--connect localhost:5671=127.0.0.1:40001 --connect localhost:443=127.0.0.1:40002",
            "--ca /tmp/x/ca.pem\n",
            "only the ports 5671 and 443",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
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
        assert!(lines[2].contains(r"send 'a'\''b$?' '{"), "{}", lines[2]);
        assert!(lines[5].ends_with(r"--device 'a'\''b$?'"));
    }
}
