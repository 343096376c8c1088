//! What happened in a run, so that tests can tell that it did.

use std::collections::BTreeMap;

use drawspan_bridge::controller::{Action, Note, Platform};
use drawspan_fleet::{News, State};
use drawspan_hub::{FailureKind, WhichKey};

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

    pub(crate) fn action<P: Platform>(&mut self, action: &Action<P>) {
        self.note(match action {
            Action::Answer(..) => "answers",
            Action::Register(registration) if registration.connects => "registrations",
            Action::Register(_) => "registrations by callers",
            Action::Open(open) if open.key == WhichKey::Secondary => "opens with the other key",
            Action::Open(_) => "opens",
            Action::Close(_) => "closes",
            Action::Drop(..) => "connections let go",
            Action::Note(Note::Status(..)) => "status changes",
            Action::Note(Note::Draining(_)) => "drained connections",
            Action::Note(Note::DeviceRefused(..)) => "refusals noted",
            Action::ServiceNews(_, News::Unreachable, _) => "news: unreachable",
            Action::ServiceNews(_, News::Reachable, _) => "news: reachable",
            Action::ServiceNews(_, News::RefusesEveryone, _) => "news: refuses everyone",
            Action::ServiceNews(_, News::RefusesCredentials, _) => "news: refuses credentials",
            Action::ServiceNews(_, News::TakesCredentials, _) => "news: takes credentials",
            Action::ServiceNews(_, News::Silent, _) => "news: silent",
            Action::ServiceNews(_, News::Failing, _) => "news: failing",
            Action::ServiceNews(_, News::QuotaExceeded, _) => "news: quota exceeded",
            Action::ServiceNews(_, News::QuotaRestored, _) => "news: quota restored",
            Action::ServiceNews(_, News::Recovered, _) => "news: recovered",
            Action::ServiceNews(_, News::Full, _) => "news: full",
            Action::ServiceNews(_, News::HasRoom, _) => "news: has room",
            _ => return,
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
