//! The ports: at the configured address, and at the IPv6 loopback address.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tokio::net::TcpListener;

use crate::config::{Config, HTTPS_PORT, HTTPS_PORT_UNPRIVILEGED, MQTTS_PORT};
use crate::start_error::StartError;

/// The addresses of a running emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// AMQP over TLS.
    pub amqps: SocketAddr,
    /// MQTT over TLS, unless its usual port is taken.
    pub mqtts: Option<SocketAddr>,
    /// HTTPS.
    pub https: SocketAddr,
    /// Whether HTTPS had to go to another port, because the usual one is not permitted.
    pub https_moved: bool,
    /// AMQP over TLS at the IPv6 loopback address, if it is served there too.
    pub amqps_ipv6: Option<SocketAddr>,
    /// MQTT over TLS at the IPv6 loopback address, if it is served there too.
    pub mqtts_ipv6: Option<SocketAddr>,
    /// HTTPS at the IPv6 loopback address, if it is served there too.
    pub https_ipv6: Option<SocketAddr>,
}

/// The listeners of each protocol.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) amqps: Vec<TcpListener>,
    pub(crate) mqtts: Vec<TcpListener>,
    pub(crate) https: Vec<TcpListener>,
    pub(crate) addresses: Addresses,
}

/// How a port that only the administrator may use is had all the same. Displays as what to add to an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Permission {
    pub(crate) port: u16,
    pub(crate) program: PathBuf,
}

/// Listens at the configured ports.
pub(crate) fn listen(config: &Config) -> Result<Listeners, StartError> {
    let (amqps, amqps_address) = listen_at(config, "AMQP", config.ports.amqps)?;
    let mqtts = listen_for_mqtt(config)?;
    let mqtts_address = mqtts.as_ref().map(|(_, address)| *address);
    let wanted = config.ports.https.unwrap_or(HTTPS_PORT);
    let (https, https_address) = match listen_at(config, "HTTPS", wanted) {
        Err(StartError::NotPermitted { .. }) if config.ports.https.is_none() => {
            listen_at(config, "HTTPS", HTTPS_PORT_UNPRIVILEGED)?
        }
        result => result?,
    };
    let https_moved = wanted != 0 && https_address.port() != wanted;
    let beside = |address| match has_ipv6_beside(config.bind) {
        true => loopback_ipv6(address),
        false => None,
    };
    let (amqps_ipv6, https_ipv6) = (beside(amqps_address), beside(https_address));
    let mqtts_ipv6 = mqtts_address.and_then(beside);
    let address = |listener: &TcpListener| listener.local_addr().ok();
    let addresses = Addresses {
        amqps: amqps_address,
        mqtts: mqtts_address,
        https: https_address,
        https_moved,
        amqps_ipv6: amqps_ipv6.as_ref().and_then(address),
        mqtts_ipv6: mqtts_ipv6.as_ref().and_then(address),
        https_ipv6: https_ipv6.as_ref().and_then(address),
    };
    Ok(Listeners {
        amqps: [amqps].into_iter().chain(amqps_ipv6).collect(),
        mqtts: mqtts
            .into_iter()
            .map(|(it, _)| it)
            .chain(mqtts_ipv6)
            .collect(),
        https: [https].into_iter().chain(https_ipv6).collect(),
        addresses,
    })
}

/// Without a port of the user's choice: the usual one, unless another program has it.
fn listen_for_mqtt(config: &Config) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let listening = listen_at(config, "MQTT", config.ports.mqtts.unwrap_or(MQTTS_PORT));
    match listening {
        Err(StartError::Listen { address, cause, .. }) if config.ports.mqtts.is_none() => {
            tracing::warn!(%address, %cause, "MQTT is not served: choose another port by --mqtts-port");
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// Clients look `localhost` up as `::1` too, and some try nothing else.
fn has_ipv6_beside(bind: IpAddr) -> bool {
    [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].contains(&match bind {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => return false,
    })
}

/// The same port at `::1`. Without it the emulator is reached over IPv4 alone, which is enough for most.
fn loopback_ipv6(beside: SocketAddr) -> Option<TcpListener> {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, beside.port()));
    match drawspan_net::listen(address) {
        Ok(listener) => Some(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(%address, "another program has the port at the IPv6 loopback address: clients may reach that");
            None
        }
        Err(error) => {
            tracing::debug!(%address, %error, "not at the IPv6 loopback address");
            None
        }
    }
}

fn listen_at(
    config: &Config,
    protocol: &'static str,
    port: u16,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = SocketAddr::new(config.bind, port);
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::PermissionDenied => StartError::NotPermitted {
            protocol,
            address,
            permission: Permission::of(port).to_string(),
        },
        _ => StartError::Listen {
            protocol,
            address,
            cause,
        },
    };
    let listener = drawspan_net::listen(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Permission {
    /// For this program.
    pub(crate) fn of(port: u16) -> Self {
        Self {
            port,
            program: std::env::current_exe().unwrap_or_else(|_| "drawspan".into()),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, program } = self;
        if !cfg!(target_os = "linux") {
            return write!(f, "  run as administrator, or give another port");
        }
        writeln!(
            f,
            "  to allow it to this program:  sudo setcap cap_net_bind_service=+ep {}",
            program.display()
        )?;
        write!(
            f,
            "  to allow it to everybody:     sudo sysctl net.ipv4.ip_unprivileged_port_start={port}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_stand_for_this_machine_have_one_beside() {
        for (bind, expected) in [
            ("127.0.0.1", true),
            ("0.0.0.0", true),
            ("127.0.0.2", false),
            ("192.0.2.1", false),
            ("::1", false),
            ("::", false),
        ] {
            assert_eq!(has_ipv6_beside(bind.parse().unwrap()), expected, "{bind}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_that_is_not_permitted_comes_with_lines_to_paste() {
        let permission = Permission {
            port: 443,
            program: "/usr/bin/drawspan".into(),
        };
        let text = permission.to_string();
        let commands: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(":  "))
            .collect();
        let commands: Vec<_> = commands.iter().map(|(_, command)| command.trim()).collect();
        assert_eq!(
            commands,
            [
                "sudo setcap cap_net_bind_service=+ep /usr/bin/drawspan",
                "sudo sysctl net.ipv4.ip_unprivileged_port_start=443",
            ]
        );
    }
}
