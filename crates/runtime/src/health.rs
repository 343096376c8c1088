//! The health of hubs, readable by everyone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use drawspan_fleet::{News, ServiceId};
use drawspan_gateway::{ServiceFault, Unready};
use drawspan_hub::{Failure, HostName};
use drawspan_metrics::{Metric, Page, Sample};

/// Written by the executor when something changes.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<BTreeMap<ServiceId, Service>>);

#[derive(Debug)]
struct Service {
    host: HostName,
    unreachable: Option<Why>,
    /// Silent, or failing.
    fault: Option<(ServiceFault, Why)>,
    refuses_credentials: Option<Why>,
    full: Option<Why>,
    over_quota: Option<Why>,
}

/// The description when a fault began, if known.
#[derive(Debug, Clone)]
struct Why(Option<String>);

impl Health {
    /// A service is in use, and nothing is known against it.
    pub(super) fn add(&self, id: ServiceId, host: &HostName) {
        self.services().entry(id).or_insert_with(|| Service {
            host: host.clone(),
            unreachable: None,
            fault: None,
            refuses_credentials: None,
            full: None,
            over_quota: None,
        });
    }

    /// The host of a service.
    pub(super) fn host(&self, id: ServiceId) -> Option<HostName> {
        self.services().get(&id).map(|service| service.host.clone())
    }

    /// A service changed; `failure` is the last one that it had.
    pub(super) fn news(&self, id: ServiceId, news: News, failure: Option<&Failure>) {
        let mut services = self.services();
        let Some(service) = services.get_mut(&id) else {
            return;
        };
        let why = Why(failure.map(Failure::to_string));
        match news {
            News::Unreachable => service.unreachable = Some(why),
            News::Reachable => service.unreachable = None,
            News::RefusesCredentials | News::RefusesEveryone => {
                service.refuses_credentials = Some(why);
            }
            News::TakesCredentials => service.refuses_credentials = None,
            News::QuotaExceeded => service.over_quota = Some(why),
            News::QuotaRestored => service.over_quota = None,
            News::Silent => service.fault = Some((ServiceFault::Silent, why)),
            News::Failing => service.fault = Some((ServiceFault::Failing, why)),
            News::Recovered => service.fault = None,
            News::Full => service.full = Some(why),
            News::HasRoom => service.full = None,
        }
    }

    /// Adds what is known to a page of metrics.
    pub(super) fn tell(&self, page: &mut Page) {
        let services = &*self.services();
        let each = |of: fn(&Service) -> bool| {
            services.iter().map(move |(id, it)| {
                let service = if *id == ServiceId::DPS { "dps" } else { "hub" };
                Sample::of_hub(it.host.as_str(), [service], u64::from(of(it)))
            })
        };
        page.add(
            Metric::HubReachable,
            each(|service| service.unreachable.is_none()),
        );
        page.add(
            Metric::HubTakesCredentials,
            each(|service| service.refuses_credentials.is_none()),
        );
        page.add(
            Metric::HubQuotaLasts,
            each(|service| service.over_quota.is_none()),
        );
    }

    /// The faults of hubs and DPS.
    pub(super) fn problems(&self) -> Vec<Unready> {
        let services = self.services();
        let mut problems = Vec::new();
        let mut hubs = services.iter().filter(|(id, _)| **id != ServiceId::DPS);
        let some_hub = hubs.clone().next().is_some();
        if some_hub && hubs.all(|(_, hub)| hub.unreachable.is_some()) {
            problems.push(Unready::NoHubReachable);
        }
        for (id, service) in &*services {
            problems.extend(service.faults().map(|(fault, Why(why))| Unready::Service {
                dps: *id == ServiceId::DPS,
                host: service.host.clone(),
                fault,
                why,
            }));
        }
        problems
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<ServiceId, Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    fn faults(&self) -> impl Iterator<Item = (ServiceFault, Why)> + use<> {
        let with = |why: &Option<Why>, fault| Some((fault, why.clone()?));
        let unreachable = with(&self.unreachable, ServiceFault::Unreachable);
        let refuses = with(&self.refuses_credentials, ServiceFault::RefusesCredentials);
        let full = with(&self.full, ServiceFault::Full);
        let over_quota = with(&self.over_quota, ServiceFault::OverQuota);
        let all = [unreachable, self.fault.clone(), refuses, full, over_quota];
        all.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use drawspan_gateway::Readiness;
    use drawspan_hub::FailureKind;
    use drawspan_metrics::Format;

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    fn fault(name: &str, fault: ServiceFault, why: Option<&str>) -> Unready {
        Unready::Service {
            dps: name == "dps.net",
            host: host(name),
            fault,
            why: why.map(str::to_owned),
        }
    }

    #[test]
    fn a_hub_and_dps_of_one_name_are_told_apart() {
        let health = Health::default();
        health.add(ServiceId::DPS, &host("localhost"));
        health.add(ServiceId::of(1), &host("localhost"));
        health.news(ServiceId::DPS, News::Unreachable, None);
        let mut page = Page::default();
        health.tell(&mut page);
        let text = page.text(Format::Text);
        for sample in [
            r#"drawspan_hub_reachable{hub="localhost",service="dps"} 0"#,
            r#"drawspan_hub_reachable{hub="localhost",service="hub"} 1"#,
            r#"drawspan_hub_credentials_accepted{hub="localhost",service="dps"} 1"#,
            r#"drawspan_hub_credentials_accepted{hub="localhost",service="hub"} 1"#,
        ] {
            assert!(text.contains(sample), "{sample}: {text}");
        }
    }

    #[test]
    fn ready_while_some_hub_can_be_reached() {
        use ServiceFault as Fault;
        let (first, second) = (ServiceId::of(1), ServiceId::of(2));
        let health = Health::default();
        let readiness = || Readiness::of(health.problems());
        assert_eq!(readiness(), Readiness::READY);
        health.add(ServiceId::DPS, &host("dps.net"));
        health.add(first, &host("a.net"));
        health.add(second, &host("b.net"));

        let proxy = Failure::local(FailureKind::HubUnreachable, "the proxy said 407");
        health.news(ServiceId::DPS, News::Unreachable, Some(&proxy));
        health.news(first, News::Unreachable, None);
        let scope = Failure::local(FailureKind::Unauthorized, "not this one");
        health.news(second, News::RefusesEveryone, Some(&scope));
        health.news(second, News::Silent, Some(&proxy));
        let full = Failure::local(FailureKind::ConnectionsFull, "max_connections is 2");
        health.news(second, News::Full, Some(&full));
        assert!(readiness().ready);
        assert_eq!(
            readiness().problems,
            [
                fault("dps.net", Fault::Unreachable, Some("the proxy said 407")),
                fault("a.net", Fault::Unreachable, None),
                fault("b.net", Fault::Silent, Some("the proxy said 407")),
                fault("b.net", Fault::RefusesCredentials, Some("not this one")),
                fault("b.net", Fault::Full, Some("max_connections is 2")),
            ]
        );

        health.news(second, News::QuotaExceeded, Some(&scope));
        let over_quota = fault("b.net", Fault::OverQuota, Some("not this one"));
        assert_eq!(readiness().problems.last(), Some(&over_quota));
        let mut page = Page::default();
        health.tell(&mut page);
        let sample = r#"drawspan_hub_quota_lasts{hub="b.net",service="hub"} 0"#;
        assert!(page.text(Format::Text).contains(sample));

        health.news(second, News::Unreachable, None);
        assert!(!readiness().ready);
        for (service, news) in [
            (ServiceId::DPS, News::Reachable),
            (first, News::Reachable),
            (second, News::Reachable),
            (second, News::TakesCredentials),
            (second, News::Recovered),
            (second, News::HasRoom),
            (second, News::QuotaRestored),
        ] {
            health.news(service, news, None);
        }
        assert_eq!(readiness(), Readiness::READY);
    }
}
