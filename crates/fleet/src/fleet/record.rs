//! The record of a hub's, or DPS's, answers, as far as they concern the service itself.
//!
//! [`HubHealth`](crate::hub_health::HubHealth) tracks whether the service can be reached, and
//! [`CredentialBreaker`](crate::credential_breaker::CredentialBreaker) whether it refuses everyone. A [`Record`] tracks the
//! remaining faults that an operator needs to know: the service has refused every credential since the start, it accepts
//! connections but does not answer, it fails.

use drawspan_hub::{Failure, FailureKind};

use super::action::{News, ServiceId};
use super::contact::Contact;
use crate::limits::FAULT_AFTER;

/// The answers of a service so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) contact: Contact,
    credentials: Credentials,
    /// Attempts in a row that it left without an answer.
    timeouts: u32,
    /// Consecutive attempts that it answered with a server error.
    faults: u32,
    told: Option<Fault>,
    last: Option<Failure>,
}

/// Whether the credentials of this process are good for anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Credentials {
    /// None has been accepted, nor refused.
    #[default]
    Untried,
    /// None has been accepted, and some were refused.
    Doubted,
    /// One has been accepted.
    Accepted,
}

/// What a service does that can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Silent,
    Failing,
}

impl Record {
    /// The last failure that was the service's, or that its credentials met.
    pub(super) const fn last(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// A device was accepted.
    pub(super) fn accepted(&mut self) -> [Option<News>; 2] {
        let doubted = self.credentials == Credentials::Doubted;
        self.credentials = Credentials::Accepted;
        self.contact = Contact::Made;
        [doubted.then_some(News::TakesCredentials), self.works()]
    }

    /// An attempt failed. An answer was [`Self::reached`] before.
    pub(super) fn failed(&mut self, id: ServiceId, failure: &Failure) -> [Option<News>; 2] {
        use FailureKind as Kind;
        let fault = match failure.kind {
            // The connection's matter.
            Kind::ConnectionLost => return [None; 2],
            Kind::HubUnreachable => {
                self.last = Some(failure.clone());
                return [None; 2];
            }
            Kind::Timeout => {
                (self.timeouts, self.faults) = (self.timeouts.saturating_add(1), 0);
                (self.timeouts >= FAULT_AFTER).then_some(Fault::Silent)
            }
            Kind::ServerError
            | Kind::Protocol
            | Kind::Unknown
            | Kind::HubSuspended
            | Kind::HubMaintenance
            | Kind::HubNotFound => {
                (self.timeouts, self.faults) = (0, self.faults.saturating_add(1));
                (self.faults >= FAULT_AFTER).then_some(Fault::Failing)
            }
            Kind::Unauthorized => {
                self.last = Some(failure.clone());
                return [self.works(), None];
            }
            // DPS knows no instance of this scope, or no enrollment: it says so whatever key is shown.
            Kind::NotFound | Kind::DeviceNotFound | Kind::Forbidden if id == ServiceId::DPS => {
                let works = self.works();
                return [self.refused(failure), works];
            }
            _ => return [self.works(), None],
        };
        self.last = Some(failure.clone());
        let news = fault.filter(|fault| self.told.replace(*fault) != Some(*fault));
        [news.map(Fault::news), None]
    }

    /// It refused something for a reason that concerns everybody.
    pub(super) fn keep(&mut self, failure: &Failure) {
        self.last = Some(failure.clone());
    }

    /// It answered, with any result.
    pub(super) fn reached(&mut self) -> Option<News> {
        let before = std::mem::replace(&mut self.contact, Contact::Made);
        (before == Contact::Overdue).then(|| self.works()).flatten()
    }

    /// It has answered nothing since the start.
    pub(super) fn silent(&mut self, failure: &Failure) -> Option<News> {
        self.last = Some(failure.clone());
        let before = self.told.replace(Fault::Silent);
        (before != Some(Fault::Silent)).then_some(News::Silent)
    }

    /// A device was refused with every key. Before any was accepted, probably all are wrong.
    pub(super) fn refused(&mut self, failure: &Failure) -> Option<News> {
        self.last = Some(failure.clone());
        if self.credentials != Credentials::Untried {
            return None;
        }
        self.credentials = Credentials::Doubted;
        Some(News::RefusesCredentials)
    }

    /// It answers, and not with server errors.
    pub(super) fn works(&mut self) -> Option<News> {
        (self.timeouts, self.faults) = (0, 0);
        self.told.take().map(|_| News::Recovered)
    }
}

impl Fault {
    const fn news(self) -> News {
        match self {
            Self::Silent => News::Silent,
            Self::Failing => News::Failing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: ServiceId = ServiceId::of(1);

    fn news(record: &mut Record, id: ServiceId, kinds: &[FailureKind]) -> Vec<News> {
        let fail = |kind: &FailureKind| record.failed(id, &Failure::local(*kind, "said"));
        kinds.iter().flat_map(fail).flatten().collect()
    }

    #[test]
    fn credentials_are_doubted_once_and_only_before_one_was_accepted() {
        use FailureKind::{NotFound, Unauthorized};
        let refused = Failure::local(Unauthorized, "said");
        let mut dps = Record::default();
        assert_eq!(dps.refused(&refused), Some(News::RefusesCredentials));
        assert_eq!(dps.refused(&refused), None, "said once");
        assert_eq!(dps.last().unwrap().message, "said");
        assert_eq!(dps.accepted(), [Some(News::TakesCredentials), None]);
        assert_eq!(dps.refused(&refused), None);

        let check = |id, kinds: &[FailureKind], expected: &[News]| {
            assert_eq!(
                news(&mut Record::default(), id, kinds),
                expected,
                "{kinds:?}"
            );
        };
        // A wrong scope.
        check(ServiceId::DPS, &[NotFound], &[News::RefusesCredentials]);
        // Another key may do.
        check(HUB, &[Unauthorized; 3], &[]);
        check(HUB, &[NotFound; 9], &[]);
    }

    #[test]
    fn silence_and_faults_are_news_when_they_last_and_when_they_end() {
        use FailureKind::{DeviceDisabled, ServerError, Timeout};
        let check = |kinds: &[FailureKind], expected: &[News]| {
            assert_eq!(
                news(&mut Record::default(), HUB, kinds),
                expected,
                "{kinds:?}"
            );
        };
        check(&[Timeout], &[]);
        check(&[Timeout; 5], &[News::Silent]);
        check(&[ServerError; 5], &[News::Failing]);
        check(&[Timeout, ServerError, Timeout, ServerError], &[]);
        let mut both = vec![Timeout; 2];
        both.extend([ServerError; 2]);
        check(&both, &[News::Silent, News::Failing]);
        // Any other answer is an answer.
        check(
            &[Timeout, Timeout, DeviceDisabled],
            &[News::Silent, News::Recovered],
        );

        let mut record = Record::default();
        news(&mut record, HUB, &[ServerError; 2]);
        assert_eq!(record.accepted(), [None, Some(News::Recovered)]);
        assert_eq!(record.accepted(), [None, None]);
    }
}
