//! Which hubs are in trouble, as everybody may read it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use drawspan_bridge::fleet::{News, ServiceId};
use drawspan_hub::{Failure, FailureKind, HostName};

use crate::devices::{Readiness, Unready};
use crate::metrics::{Metric, Page, Sample};

/// Written by the shell when something changes.
#[derive(Debug, Default)]
pub(super) struct Health {
    services: Mutex<BTreeMap<ServiceId, Service>>,
    unreachable: AtomicUsize,
}

#[derive(Debug)]
struct Service {
    host: HostName,
    reachable: bool,
    takes_credentials: bool,
    /// What was said when it could not be reached the last time.
    why: Option<String>,
}

impl Health {
    /// A service is in use, and nothing is known against it.
    pub(super) fn add(&self, id: ServiceId, host: &HostName) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.entry(id).or_insert_with(|| Service {
            host: host.clone(),
            reachable: true,
            takes_credentials: true,
            why: None,
        });
    }

    /// An attempt ended like this; to be told before the news that come of it.
    pub(super) fn note(&self, id: ServiceId, failure: &Failure) {
        if failure.kind != FailureKind::HubUnreachable {
            return;
        }
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = services.get_mut(&id) {
            service.why = Some(failure.message.clone());
        }
    }

    /// Why it could not be reached the last time.
    pub(super) fn why(&self, id: ServiceId) -> Option<String> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.get(&id)?.why.clone()
    }

    pub(super) fn news(&self, id: ServiceId, news: News) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = services.get_mut(&id) {
            match news {
                News::Unreachable => service.reachable = false,
                News::Reachable => service.reachable = true,
                News::RefusesEveryone => service.takes_credentials = false,
                News::TakesCredentials => service.takes_credentials = true,
            }
        }
        let count = services.values().filter(|service| !service.reachable);
        self.unreachable.store(count.count(), Ordering::Relaxed);
    }

    /// Whether a hub, or DPS, cannot be reached.
    pub(super) fn any_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Relaxed) > 0
    }

    /// Adds what is known to a page of metrics.
    pub(super) fn tell(&self, page: &mut Page) {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let each = |of: fn(&Service) -> bool| {
            let services = services.values();
            services.map(move |it| Sample::of_hub(it.host.as_str(), [], u64::from(of(it))))
        };
        page.add(Metric::HubReachable, each(|service| service.reachable));
        page.add(
            Metric::HubTakesCredentials,
            each(|service| service.takes_credentials),
        );
    }

    pub(super) fn readiness(&self) -> Readiness {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = Vec::new();
        let mut hubs = services.iter().filter(|(id, _)| **id != ServiceId::DPS);
        let some_hub = hubs.clone().next().is_some();
        if some_hub && hubs.all(|(_, hub)| !hub.reachable) {
            problems.push(Unready::NoHubReachable);
        }
        for (id, service) in &*services {
            let host = || service.host.clone();
            if !service.reachable {
                let why = service.why.clone();
                problems.push(match *id == ServiceId::DPS {
                    true => Unready::DpsUnreachable(host(), why),
                    false => Unready::HubUnreachable(host(), why),
                });
            }
            if !service.takes_credentials {
                problems.push(Unready::CredentialsRefused(host()));
            }
        }
        Readiness::of(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_while_some_hub_can_be_reached() {
        let host = |text: &str| HostName::parse(text).unwrap();
        let (first, second) = (ServiceId::of(1), ServiceId::of(2));
        let health = Health::default();
        assert_eq!(health.readiness(), Readiness::READY);
        health.add(ServiceId::DPS, &host("dps.net"));
        health.add(first, &host("a.net"));
        health.add(second, &host("b.net"));

        let failure = |kind, text| Failure::local(kind, text);
        health.note(
            ServiceId::DPS,
            &failure(FailureKind::HubUnreachable, "the proxy said 407"),
        );
        health.note(ServiceId::DPS, &failure(FailureKind::Throttled, "later"));
        assert_eq!(health.why(first), None);
        health.news(ServiceId::DPS, News::Unreachable);
        health.news(first, News::Unreachable);
        health.news(second, News::RefusesEveryone);
        let readiness = health.readiness();
        assert!(readiness.ready && health.any_unreachable());
        assert_eq!(
            readiness.problems,
            [
                Unready::DpsUnreachable(host("dps.net"), Some("the proxy said 407".into())),
                Unready::HubUnreachable(host("a.net"), None),
                Unready::CredentialsRefused(host("b.net")),
            ]
        );

        health.news(second, News::Unreachable);
        assert!(!health.readiness().ready);
        for (service, news) in [
            (ServiceId::DPS, News::Reachable),
            (first, News::Reachable),
            (second, News::Reachable),
            (second, News::TakesCredentials),
        ] {
            health.news(service, news);
        }
        assert_eq!(health.readiness(), Readiness::READY);
        assert!(!health.any_unreachable());
    }
}
