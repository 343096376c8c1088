//! The hub that a connection is for.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use drawspan_hub::HostName;
use tokio::sync::watch;

use crate::hub::Hub;

/// All hubs of one emulator, and the name of its DPS.
#[derive(Clone, Debug)]
pub struct HubSet {
    hubs: Arc<[Arc<Hub>]>,
    dps_name: Option<HostName>,
    /// How many failovers have begun.
    failovers: watch::Receiver<u64>,
}

/// Says when one of the hubs begins to fail over.
#[derive(Clone, Debug)]
pub struct Failovers(watch::Receiver<u64>);

/// The meaning of a name.
#[derive(Clone, Debug)]
pub enum Served {
    /// A hub.
    Hub(Arc<Hub>),
    /// The provisioning service.
    Dps,
    /// The name is not served.
    Nothing,
}

impl HubSet {
    /// These hubs, with the provisioning service at a name of its own or at every name.
    pub fn new(hubs: Vec<Arc<Hub>>, dps_name: Option<HostName>) -> Self {
        let (begun, failovers) = watch::channel(0);
        let begun = Arc::new(begun);
        for hub in &hubs {
            let begun = Arc::clone(&begun);
            hub.tell_of_failover(move || begun.send_modify(|count| *count += 1));
        }
        Self {
            hubs: hubs.into(),
            dps_name,
            failovers,
        }
    }

    /// Notice of failovers from now on.
    pub fn failovers(&self) -> Failovers {
        let mut failovers = self.failovers.clone();
        failovers.mark_unchanged();
        Failovers(failovers)
    }

    /// All hubs, in the order of the configuration.
    pub fn hubs(&self) -> &[Arc<Hub>] {
        &self.hubs
    }

    /// The hub of exactly that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Hub>> {
        let name = without_port(name);
        self.hubs
            .iter()
            .find(|hub| hub.host().as_str().eq_ignore_ascii_case(name))
    }

    /// The target of a client that sends `named` (a `Host` header, an AMQP `open.hostname`; the port is ignored) over a TLS
    /// connection that it opened to `sni`.
    ///
    /// `localhost` and addresses are not names of hubs: they stand for the name that the connection was opened to, or else for the
    /// first hub. So does a client that sends no name. A name shared by a hub and the provisioning service means the hub here:
    /// requests for the service are recognized by their path.
    pub fn select(&self, named: Option<&str>, sni: Option<&str>) -> Served {
        let mut names = [named, sni].into_iter().flatten().map(without_port);
        let stands_for_any = |name: &str| self.find(name).is_none() && is_local(name);
        match names.find(|name| !stands_for_any(name)) {
            Some(name) => match self.find(name) {
                Some(hub) => Served::Hub(Arc::clone(hub)),
                None if self.is_dps(name) => Served::Dps,
                None => Served::Nothing,
            },
            None => self
                .hubs
                .first()
                .cloned()
                .map_or(Served::Nothing, Served::Hub),
        }
    }

    /// Whether `named` (a `Host` header; the port is ignored) is a name that only this emulator has or that always means this machine:
    /// a hub's, the provisioning service's, `localhost` or a loopback address.
    pub fn is_own_name(&self, named: &str) -> bool {
        let name = without_port(named);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        self.find(name).is_some()
            || self.is_dps(name)
            || name.eq_ignore_ascii_case("localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    fn is_dps(&self, name: &str) -> bool {
        self.dps_name
            .as_ref()
            .is_some_and(|dps| dps.as_str().eq_ignore_ascii_case(name))
    }
}

impl Failovers {
    /// Waits for the next one. Safe to be dropped and called again.
    pub async fn begun(&mut self) {
        if self.0.changed().await.is_err() {
            // The hubs are gone.
            std::future::pending::<()>().await;
        }
    }
}

fn is_local(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn without_port(name: &str) -> &str {
    if name.parse::<Ipv6Addr>().is_ok() {
        return name;
    }
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

#[cfg(test)]
#[path = "hub_set_tests.rs"]
mod tests;
