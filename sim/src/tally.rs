//! What happened in a run, so that tests can tell that it did.

use std::collections::BTreeMap;

use drawspan_bridge::State;
use drawspan_bridge::fleet::{Action, News};
use drawspan_hub::FailureKind;

/// How often what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// How often something happened.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// Everything that happened, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, count)| (what.as_str(), *count))
    }

    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    pub(crate) fn note(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(what.to_owned(), 1);
            }
        }
    }

    pub(crate) fn failure(&mut self, kind: FailureKind) {
        self.note(failure_name(kind));
    }

    pub(crate) fn action(&mut self, action: &Action) {
        self.note(match action {
            Action::Provision { .. } => "registrations",
            Action::Register { .. } => "registrations by callers",
            Action::Open { how, .. } if how.fresh_token => "opens with a fresh token",
            Action::Open { how, .. } if how.other_connection => "opens elsewhere",
            Action::Open { .. } => "opens",
            Action::Close { .. } => "closes",
            Action::StatusChanged { .. } => "status changes",
            Action::News(_, News::Unreachable) => "news: unreachable",
            Action::News(_, News::Reachable) => "news: reachable",
            Action::News(_, News::RefusesEveryone) => "news: refuses everyone",
            Action::News(_, News::RefusesCredentials) => "news: refuses credentials",
            Action::News(_, News::TakesCredentials) => "news: takes credentials",
            Action::News(_, News::Silent) => "news: silent",
            Action::News(_, News::Failing) => "news: failing",
            Action::News(_, News::Recovered) => "news: recovered",
            Action::TurnAway(_) => "callers turned away",
        });
    }

    pub(crate) fn state(&mut self, state: State) {
        self.note(match state {
            State::Idle => "Idle",
            State::Queued => "Queued",
            State::Provisioning => "Provisioning",
            State::Connecting => "Connecting",
            State::Connected { .. } => "Connected",
            State::Waiting { firm: true, .. } => "Waiting, firmly",
            State::Waiting { .. } => "Waiting",
            State::Yielded { .. } => "Yielded",
            State::Closing => "Closing",
        });
    }
}

fn failure_name(kind: FailureKind) -> &'static str {
    use FailureKind as Kind;
    match kind {
        Kind::HubUnreachable => "failure: unreachable",
        Kind::ConnectionLost => "failure: lost",
        Kind::HubMaintenance => "failure: maintenance",
        Kind::Unauthorized => "failure: unauthorized",
        Kind::DeviceNotFound => "failure: not found",
        Kind::DeviceDisabled => "failure: disabled",
        Kind::LinkStolen => "failure: stolen",
        Kind::QuotaExceeded => "failure: quota",
        Kind::Throttled => "failure: throttled",
        Kind::TokenLimit => "failure: token limit",
        Kind::Timeout => "failure: timeout",
        Kind::ServerError => "failure: server error",
        _ => "failure: another",
    }
}
