//! The start banner: connection strings, addresses, and how clients come to trust the authority.

use std::fmt::Write as _;
use std::path::Path;

use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_set::HubSet;

use crate::config::{Config, HTTPS_PORT, MQTTS_PORT};
use crate::server::{Addresses, Permission};

/// Connection strings of 50,000 devices would be unreadable.
const DEVICES_SHOWN: usize = 20;

/// The whole text; its last line is `ready`. Holds keys: it is for the terminal, not for a log.
pub(crate) fn text(
    config: &Config,
    hubs: &HubSet,
    dps: &Dps,
    addresses: Addresses,
    ca: &Path,
) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, config, hubs, dps, addresses, ca);
    text
}

fn write(
    out: &mut String,
    config: &Config,
    hubs: &HubSet,
    dps: &Dps,
    addresses: Addresses,
    ca: &Path,
) -> std::fmt::Result {
    for hub in hubs.hubs() {
        write_hub(out, config, hub, addresses)?;
    }
    write_dps(out, config, dps)?;
    writeln!(out, "amqps  {}", addresses.amqps)?;
    write!(out, "https  {}", addresses.https)?;
    if addresses.https_moved {
        writeln!(
            out,
            "  (instead of {HTTPS_PORT}, which is not permitted here; SDKs take no other port)"
        )?;
        writeln!(out, "{}", Permission::of(HTTPS_PORT))?;
    } else {
        writeln!(out)?;
    }
    match addresses.mqtts {
        Some(address) => writeln!(out, "mqtts  {address}")?,
        None => writeln!(
            out,
            "mqtts  not served: port {MQTTS_PORT} is taken; choose another one by --mqtts-port"
        )?,
    }
    write_ipv6(out, addresses)?;
    match &config.state {
        Some(_) => writeln!(out, "state  {}", ca.parent().unwrap_or(ca).display())?,
        None => writeln!(out, "state  in memory; --state DIR keeps it")?,
    }
    write_trust(out, config, ca)?;
    writeln!(out, "\nready")
}

fn write_ipv6(out: &mut String, addresses: Addresses) -> std::fmt::Result {
    let served = [
        ("AMQP", addresses.amqps_ipv6, true),
        ("MQTT", addresses.mqtts_ipv6, addresses.mqtts.is_some()),
        ("HTTPS", addresses.https_ipv6, true),
    ];
    if served
        .iter()
        .all(|(_, here, wanted)| here.is_some() == *wanted)
    {
        return writeln!(out, "ipv6   [::1], the same ports");
    }
    let here = served
        .iter()
        .filter_map(|(name, here, _)| here.map(|at| (name, at)));
    for (name, address) in here {
        writeln!(out, "ipv6   {address} ({name})")?;
    }
    Ok(())
}

fn write_hub(
    out: &mut String,
    config: &Config,
    hub: &Hub,
    addresses: Addresses,
) -> std::fmt::Result {
    writeln!(out, "IoT hub {}", hub.host())?;
    for connection in hub.connection_strings() {
        writeln!(
            out,
            "  {:<12} {}",
            connection.policy,
            connection.to_secret_string()
        )?;
    }
    writeln!(
        out,
        "  {:<12} {}",
        "Event Hubs",
        hub.event_hubs_connection_string()
    )?;
    write_uploads(out, hub, addresses)?;
    let devices = config.devices.iter().take(DEVICES_SHOWN);
    for connection in devices.filter_map(|id| hub.device_connection_string(id)) {
        let label = format!("device {}", connection.device_id);
        writeln!(out, "  {label:<12} {}", connection.to_secret_string())?;
    }
    let others = config.devices.len().saturating_sub(DEVICES_SHOWN);
    if others > 0 {
        let noun = if others == 1 { "device" } else { "devices" };
        writeln!(out, "  and {others} more {noun}")?;
    }
    writeln!(out)
}

/// Where uploaded files are: for users, who read and delete them.
fn write_uploads(out: &mut String, hub: &Hub, addresses: Addresses) -> std::fmt::Result {
    let storage = hub.storage();
    let port = addresses.https.port();
    let authority = match port {
        HTTPS_PORT => hub.host().to_string(),
        port => format!("{}:{port}", hub.host()),
    };
    writeln!(
        out,
        "  {:<12} {}",
        "uploads",
        storage.container_uri(&authority, hub.now_unix_ms())
    )
}

/// The name to give to SDKs, and what a fleet is configured with.
fn write_dps(out: &mut String, config: &Config, dps: &Dps) -> std::fmt::Result {
    let name = config.dps_name.as_ref().or(config.hubs.first());
    let name = name.map_or("", |name| name.as_str());
    writeln!(out, "Provisioning service {name}")?;
    writeln!(out, "  {:<12} {}", "id scope", dps.id_scope())?;
    writeln!(out, "  {:<12} HTTPS, AMQP, MQTT", "served over")?;
    for group in dps.groups() {
        let label = format!("group {}", group.name);
        let primary = group.primary.to_base64();
        writeln!(out, "  {label:<12} {primary}")?;
        let secondary = group.secondary.to_base64();
        writeln!(out, "  {:<12} {secondary}", "  secondary")?;
    }
    writeln!(out)
}

fn write_trust(out: &mut String, config: &Config, ca: &Path) -> std::fmt::Result {
    let ca = ca.display();
    writeln!(out, "\nClients must trust this emulator's own authority:")?;
    writeln!(out, "  Node             NODE_EXTRA_CA_CERTS={ca}")?;
    writeln!(out, "  Python requests  REQUESTS_CA_BUNDLE={ca}")?;
    writeln!(out, "  Python EventHubs connection_verify=\"{ca}\"")?;
    writeln!(out, "  OpenSSL          SSL_CERT_FILE={ca}")?;
    writeln!(out, "  curl             --cacert {ca}")?;
    writeln!(
        out,
        "Official SDKs connect to the name in the connection string, always at 5671 (AMQP), 8883 (MQTT) and 443"
    )?;
    writeln!(
        out,
        "(REST, WebSocket). The name must lead here, for instance by this line in /etc/hosts:"
    )?;
    let address = if config.bind.is_unspecified() {
        "127.0.0.1".to_owned()
    } else {
        config.bind.to_string()
    };
    let names: Vec<String> = config.names().iter().map(ToString::to_string).collect();
    writeln!(out, "  {address} {}", names.join(" "))
}
