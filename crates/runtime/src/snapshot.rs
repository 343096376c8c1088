//! A snapshot of the controller's metrics. Reading it visits every connection and every receiver, but no device.

use drawspan_bridge::controller::{ByFailure, DpsCounters, HubCounters};
use drawspan_bridge::delivery::Load;
use drawspan_bridge::events::{EventCounters, UnreadCounters};
use drawspan_fleet::StateCounts;
use drawspan_gateway::DeviceState;
use drawspan_hub::HostName;
use drawspan_metrics::{Metric, Page, Sample};

use crate::platform::Controller;

/// All values of the controller.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) state_counts: StateCounts,
    pub(super) hubs: Vec<HubSnapshot>,
    /// Registrations that wait for their turn.
    pub(super) dps_queue: usize,
    pub(super) registering: usize,
    pub(super) registrations: DpsCounters,
    pub(super) load: Load,
    pub(super) events: EventCounters,
    /// Events given to the dead letters.
    pub(super) letters: u64,
    /// Answers to methods that could not be read.
    pub(super) unread_answers: UnreadCounters,
}

/// Of a hub.
#[derive(Debug)]
pub(super) struct HubSnapshot {
    pub(super) host: HostName,
    pub(super) queue: usize,
    pub(super) connections: usize,
    pub(super) own_connections: usize,
    pub(super) slots: usize,
    pub(super) slots_used: usize,
    pub(super) counters: HubCounters,
}

impl Snapshot {
    pub(crate) fn of(controller: &Controller) -> Self {
        let mut services = controller.fleet().services();
        // DPS is the first.
        let dps_queue = services.next().map_or(0, |(.., queue)| queue);
        let hubs = services.map(|(id, host, queue)| {
            let pool = controller.pool(id);
            HubSnapshot {
                host: host.clone(),
                queue,
                connections: pool.map_or(0, |pool| pool.connections()),
                own_connections: pool.map_or(0, |pool| pool.own_connections()),
                slots: pool.map_or(0, |pool| pool.slots()),
                slots_used: pool.map_or(0, |pool| pool.slots_used()),
                counters: pool.map(|pool| pool.counters).unwrap_or_default(),
            }
        });
        let (load, events) = controller.events();
        Self {
            state_counts: controller.fleet().state_counts(),
            hubs: hubs.collect(),
            dps_queue,
            registering: controller.registrations().under_way(),
            registrations: controller.registrations().counters,
            load,
            events,
            letters: controller.letters(),
            unread_answers: controller.unread_answers(),
        }
    }

    pub(crate) fn tell(&self, page: &mut Page) {
        page.add(Metric::Devices, states(&self.state_counts));
        self.tell_hubs(page);
        page.one(Metric::DpsQueue, self.dps_queue);
        page.one(Metric::DpsUnderWay, self.registering);
        let DpsCounters { assigned, failures } = self.registrations;
        let registrations = failures
            .counts()
            .map(|(kind, count)| Sample::of([kind.as_str()], count));
        let registrations = [Sample::of(["assigned"], assigned)]
            .into_iter()
            .chain(registrations);
        page.some(Metric::DpsRegistrations, registrations);
        self.tell_events(page);
        page.one(Metric::EventsWaiting, self.load.events);
        page.one(Metric::EventBytes, self.load.bytes);
        page.one(Metric::EventBytesMost, self.load.most_bytes);
        page.one(Metric::EventAttemptsUnderWay, self.load.under_way);
        page.one(Metric::ReceiversLeftAlone, self.load.left_alone);
        let unread = self.unread_answers.counts();
        let unread = unread.map(|(reason, count)| Sample::of([reason], count));
        page.add(Metric::MethodAnswersUnread, unread);
        page.add(Metric::DeadLetters, [Sample::of([], self.letters)]);
    }

    fn tell_events(&self, page: &mut Page) {
        let events = self.events.events();
        let events =
            events.map(|(kind, outcome, count)| Sample::of([kind.as_str(), outcome], count));
        page.add(Metric::Events, events);
        let attempts = self.events.attempts();
        let attempts = attempts.map(|(result, count)| Sample::of([result], count));
        page.add(Metric::EventAttempts, attempts);
        let no_room = self.events.without_room();
        let no_room = no_room.map(|(reason, count)| Sample::of([reason], count));
        page.add(Metric::EventsNoRoom, no_room);
    }

    fn tell_hubs(&self, page: &mut Page) {
        let each = |of: fn(&HubSnapshot) -> usize| {
            let hubs = self.hubs.iter();
            hubs.map(move |hub| Sample::of_hub(hub.host.as_str(), [], of(hub) as u64))
        };
        page.add(Metric::HubConnections, each(|hub| hub.connections));
        page.add(Metric::HubOwnConnections, each(|hub| hub.own_connections));
        page.add(Metric::HubSlots, each(|hub| hub.slots));
        page.add(Metric::HubSlotsUsed, each(|hub| hub.slots_used));
        page.add(Metric::HubQueue, each(|hub| hub.queue));
        let each = |of: fn(&HubCounters) -> u64| {
            let hubs = self.hubs.iter();
            hubs.map(move |hub| Sample::of_hub(hub.host.as_str(), [], of(&hub.counters)))
        };
        page.add(Metric::ConnectAttempts, each(|counters| counters.attempts));
        page.add(Metric::Connects, each(|counters| counters.connects));
        let each = |of: fn(&HubCounters) -> ByFailure| {
            let hubs = self.hubs.iter();
            hubs.flat_map(move |hub| {
                let host = hub.host.as_str();
                let counts = of(&hub.counters).counts();
                counts.map(move |(kind, count)| Sample::of_hub(host, [kind.as_str()], count))
            })
        };
        page.some(Metric::ConnectFailures, each(|counters| counters.failures));
        page.some(Metric::Disconnects, each(|counters| counters.disconnects));
        page.some(Metric::HubConnectionsEnded, each(|counters| counters.ended));
    }
}

fn states(state_counts: &StateCounts) -> impl Iterator<Item = Sample> {
    use DeviceState as S;
    let StateCounts {
        idle,
        queued,
        provisioning,
        connecting,
        connected,
        waiting,
        yielded,
        closing,
    } = *state_counts;
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
