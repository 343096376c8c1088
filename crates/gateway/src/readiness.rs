//! Readiness: whether the bridge can serve requests, and the faults that an operator should know.

use std::fmt;

use drawspan_hub::HostName;
use drawspan_store::{Health, StoreFault};

/// Whether requests make sense now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether to send requests here.
    pub ready: bool,
    /// The faults that an operator should know, even if the bridge is ready.
    pub problems: Vec<Unready>,
}

/// A fault that makes requests fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// The process is starting.
    Starting,
    /// The process is on its way out.
    Stopping,
    /// No hub in use can be reached.
    NoHubReachable,
    /// A hub, or DPS, has a fault.
    Service {
        /// Whether it is DPS.
        dps: bool,
        /// Its name.
        host: HostName,
        /// The fault.
        fault: ServiceFault,
        /// The description, if known.
        why: Option<String>,
    },
    /// The last requests, this many, all ran out of time.
    RequestsTimeOut(u32),
    /// The state directory has a fault.
    Store(Health),
}

/// A fault of a hub, or of DPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceFault {
    /// It cannot be reached.
    Unreachable,
    /// It does not answer.
    Silent,
    /// It answers with server errors.
    Failing,
    /// It refuses credentials, and has accepted none since the start, or refuses those of many devices.
    RefusesCredentials,
    /// All connections to it that this process may have are full, so that further devices are not connected.
    Full,
    /// Its daily quota is used up. DPS has no quota.
    OverQuota,
}

impl Readiness {
    /// All is well.
    pub const READY: Self = Self {
        ready: true,
        problems: Vec::new(),
    };

    /// Ready unless one of the problems concerns every request.
    #[must_use]
    pub fn of(problems: Vec<Unready>) -> Self {
        Self {
            ready: !problems.iter().any(Unready::concerns_everybody),
            problems,
        }
    }
}

impl Unready {
    /// The code by which programs know the problem. The list is closed; `docs/operate.md` has it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        use ServiceFault as Fault;
        match self {
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::NoHubReachable => "no-hub-reachable",
            Self::Service {
                dps: true, fault, ..
            } => match fault {
                Fault::Unreachable => "dps-unreachable",
                Fault::Silent => "dps-silent",
                Fault::Failing => "dps-failing",
                Fault::RefusesCredentials => "dps-refuses-credentials",
                Fault::Full => "connections-full",
                Fault::OverQuota => "dps-over-quota",
            },
            Self::Service { fault, .. } => match fault {
                Fault::Unreachable => "hub-unreachable",
                Fault::Silent => "hub-silent",
                Fault::Failing => "hub-failing",
                Fault::RefusesCredentials => "hub-refuses-credentials",
                Fault::Full => "connections-full",
                Fault::OverQuota => "hub-over-quota",
            },
            Self::RequestsTimeOut(_) => "requests-time-out",
            Self::Store(Health::Failing {
                reason: StoreFault::DiskFull,
            }) => "store-full",
            Self::Store(Health::Failing {
                reason: StoreFault::Damaged,
            }) => "store-damaged",
            Self::Store(Health::Missing { .. }) => "store-missing",
            Self::Store(Health::Failing { .. } | Health::Ok) => "store-failing",
        }
    }

    /// Whether no request can succeed. Part of a fleet that works is worth its requests.
    const fn concerns_everybody(&self) -> bool {
        match self {
            Self::Starting | Self::Stopping | Self::NoHubReachable => true,
            Self::Service { .. } | Self::RequestsTimeOut(_) | Self::Store(_) => false,
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the bridge is starting"),
            Self::Stopping => f.write_str("the bridge is stopping"),
            Self::NoHubReachable => f.write_str("no hub can be reached"),
            Self::Service {
                dps,
                host,
                fault,
                why,
            } => {
                let what = if *dps { "DPS at" } else { "hub" };
                write!(f, "{what} {host} {}", fault.words())?;
                if let Some(why) = why {
                    write!(f, " ({why})")?;
                }
                match (dps, fault) {
                    (true, ServiceFault::Unreachable) => {
                        f.write_str(": devices whose hub is unknown cannot connect")
                    }
                    // DPS's refusals say so themselves.
                    (false, ServiceFault::RefusesCredentials) => f.write_str(
                        ": check the key, the right DeviceConnect if it is a policy's, and this machine's clock",
                    ),
                    (_, ServiceFault::OverQuota) => f.write_str(
                        ": messages are refused until 00:00 UTC, or until one that is tried now and then is accepted; more units help",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Store(Health::Failing { reason }) => {
                write!(f, "the state directory cannot be used: {reason}")
            }
            Self::Store(Health::Missing { file }) => write!(
                f,
                "{file} of the state directory was removed or exchanged; put it back and restart"
            ),
            Self::Store(Health::Ok) => f.write_str("the state directory is well"),
            Self::RequestsTimeOut(count) => {
                write!(
                    f,
                    "the last {count} requests of devices all ran out of time"
                )
            }
        }
    }
}

impl ServiceFault {
    const fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "cannot be reached",
            Self::Silent => "does not answer",
            Self::Failing => "answers with server errors",
            Self::RefusesCredentials => "refuses credentials",
            Self::Full => "has no room for more devices",
            Self::OverQuota => "has used up its daily quota",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(dps: bool, fault: ServiceFault) -> Unready {
        Unready::Service {
            dps,
            host: HostName::parse("hub.example").unwrap(),
            fault,
            why: None,
        }
    }

    #[test]
    fn part_of_a_fleet_is_worth_its_requests() {
        use ServiceFault as Fault;
        let check = |problems: Vec<Unready>, ready| {
            assert_eq!(Readiness::of(problems.clone()).ready, ready, "{problems:?}");
        };
        check(vec![], true);
        check(vec![Unready::Starting], false);
        check(vec![Unready::Stopping], false);
        check(vec![Unready::NoHubReachable], false);
        check(vec![service(false, Fault::Unreachable)], true);
        check(vec![service(true, Fault::Unreachable)], true);
        check(vec![service(true, Fault::RefusesCredentials)], true);
        check(vec![Unready::RequestsTimeOut(12)], true);
        let stops = vec![service(true, Fault::Unreachable), Unready::Stopping];
        check(stops, false);
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_who_refuses() {
        let check = |dps, expected: &str| {
            let refusal = Unready::Service {
                dps,
                host: HostName::parse("h.example").unwrap(),
                fault: ServiceFault::RefusesCredentials,
                why: Some("401002: no".to_owned()),
            };
            assert_eq!(refusal.to_string(), expected);
        };
        check(true, "DPS at h.example refuses credentials (401002: no)");
        check(
            false,
            "hub h.example refuses credentials (401002: no): check the key, the right DeviceConnect if it is a policy's, and this machine's clock",
        );
    }

    #[test]
    fn every_code_is_documented() {
        use ServiceFault as Fault;
        let document = include_str!("../../../docs/operate.md");
        let faults = [
            Fault::Unreachable,
            Fault::Silent,
            Fault::Failing,
            Fault::RefusesCredentials,
            Fault::Full,
        ];
        let services = faults
            .iter()
            .flat_map(|it| [service(true, *it), service(false, *it)]);
        let others = [
            Unready::Starting,
            Unready::Stopping,
            Unready::NoHubReachable,
            Unready::RequestsTimeOut(10),
        ];
        let store = [StoreFault::DiskFull, StoreFault::Damaged, StoreFault::Io];
        let store = store.map(|reason| Unready::Store(Health::Failing { reason }));
        let missing = Unready::Store(Health::Missing {
            file: drawspan_store::StoreFile::Database,
        });
        let others = others.into_iter().chain(store).chain([missing]);
        let over_quota = service(false, Fault::OverQuota);
        for problem in services.chain(others).chain([over_quota]) {
            let code = problem.code();
            assert!(document.contains(&format!("`{code}`")), "{code}");
        }
    }
}
