//! What the shell knows in figures, at one moment.

use drawspan_bridge::delivery::Load;
use drawspan_bridge::fleet::Census;
use drawspan_hub::HostName;

use super::answer::UnreadTally;
use super::tally::{ByFailure, DpsTally, HubTally};
use crate::devices::DeviceState;
use crate::metrics::{Metric, Page, Sample};
use crate::webhooks::EventTally;

/// All of it.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) census: Census,
    pub(super) hubs: Vec<HubFigures>,
    /// Registrations that wait for their turn.
    pub(super) dps_queue: usize,
    pub(super) registering: usize,
    pub(super) registrations: DpsTally,
    pub(super) load: Load,
    pub(super) events: EventTally,
    /// Events given to the dead letters.
    pub(super) letters: u64,
    /// Answers to methods that could not be read.
    pub(super) unread_answers: UnreadTally,
}

/// Of a hub.
#[derive(Debug)]
pub(super) struct HubFigures {
    pub(super) host: HostName,
    pub(super) queue: usize,
    pub(super) connections: usize,
    pub(super) slots: usize,
    pub(super) slots_used: usize,
    pub(super) tally: HubTally,
}

impl Figures {
    pub(super) fn tell(&self, page: &mut Page) {
        page.add(Metric::Devices, states(&self.census));
        self.tell_hubs(page);
        page.one(Metric::DpsQueue, self.dps_queue);
        page.one(Metric::DpsUnderWay, self.registering);
        let DpsTally { assigned, failures } = self.registrations;
        let registrations = failures.samples();
        let registrations = [Sample::of(["assigned"], assigned)]
            .into_iter()
            .chain(registrations);
        page.some(Metric::DpsRegistrations, registrations);
        self.events.tell(page);
        page.one(Metric::EventsWaiting, self.load.events);
        page.one(Metric::EventBytes, self.load.bytes);
        page.one(Metric::EventBytesMost, self.load.most_bytes);
        page.one(Metric::EventAttemptsUnderWay, self.load.under_way);
        page.one(Metric::ReceiversLeftAlone, self.load.left_alone);
        page.add(Metric::MethodAnswersUnread, self.unread_answers.samples());
        page.add(Metric::DeadLetters, [Sample::of([], self.letters)]);
    }

    fn tell_hubs(&self, page: &mut Page) {
        let each = |of: fn(&HubFigures) -> usize| {
            let hubs = self.hubs.iter();
            hubs.map(move |hub| Sample::of_hub(hub.host.as_str(), [], of(hub) as u64))
        };
        page.add(Metric::HubConnections, each(|hub| hub.connections));
        page.add(Metric::HubSlots, each(|hub| hub.slots));
        page.add(Metric::HubSlotsUsed, each(|hub| hub.slots_used));
        page.add(Metric::HubQueue, each(|hub| hub.queue));
        let each = |of: fn(&HubTally) -> u64| {
            let hubs = self.hubs.iter();
            hubs.map(move |hub| Sample::of_hub(hub.host.as_str(), [], of(&hub.tally)))
        };
        page.add(Metric::ConnectAttempts, each(|tally| tally.attempts));
        page.add(Metric::Connects, each(|tally| tally.connects));
        let each = |of: fn(&HubTally) -> ByFailure| {
            let hubs = self.hubs.iter();
            hubs.flat_map(move |hub| of(&hub.tally).of_hub(hub.host.as_str()))
        };
        page.some(Metric::ConnectFailures, each(|tally| tally.failures));
        page.some(Metric::Disconnects, each(|tally| tally.disconnects));
        page.some(Metric::HubConnectionsEnded, each(|tally| tally.ended));
    }
}

fn states(census: &Census) -> impl Iterator<Item = Sample> {
    use DeviceState as S;
    let Census {
        idle,
        queued,
        provisioning,
        connecting,
        connected,
        waiting,
        yielded,
        closing,
    } = *census;
    let states = [
        (S::Idle, idle),
        (S::Queued, queued),
        (S::Provisioning, provisioning),
        (S::Connecting, connecting),
        (S::Connected, connected),
        (S::Waiting, waiting),
        (S::Yielded, yielded),
        (S::Closing, closing),
    ];
    let sample = |(state, count): (S, usize)| Sample::of([state.as_str()], count as u64);
    states.into_iter().map(sample)
}
