//! Topics of a device, and what it subscribes to.

use drawspan_emulator_hub::connections::{LinkLine, Report, TokenLine};
use drawspan_hub::ModuleId;
use drawspan_hub_model::client_id::ClientId;
use drawspan_mqtt::topic::Sender;
use drawspan_mqtt::{HubTopic, Qos, subscriptions};

use super::device::Device;
use super::throttling::is_in_tier;

impl Device {
    /// Whether a topic names this client.
    pub(super) fn is(&self, sender: &Sender<'_>) -> bool {
        let ClientId { device, module } = &self.id;
        sender.is(device.as_str(), module.as_ref().map(ModuleId::as_str))
    }

    /// Subscribes to filters. Returns what is granted, filter by filter.
    pub(super) fn subscribe(&mut self, filters: &[(String, Qos)]) -> Vec<Option<Qos>> {
        let subscribe = |(filter, wanted): &(String, Qos)| {
            let topic = self.topic_of(filter)?;
            if !is_in_tier(&self.hub, topic) {
                return None;
            }
            let granted = subscriptions::granted(*wanted);
            self.subscriptions.set(topic, Some(granted));
            Some(granted)
        };
        let granted = filters.iter().map(subscribe).collect();
        self.subscribed();
        granted
    }

    /// Ends subscriptions.
    pub(super) fn unsubscribe(&mut self, filters: &[String]) {
        for filter in filters {
            if let Some(topic) = self.topic_of(filter) {
                self.subscriptions.set(topic, None);
            }
        }
        self.subscribed();
    }

    fn topic_of(&self, filter: &str) -> Option<HubTopic> {
        let ClientId { device, module } = &self.id;
        subscriptions::topic_of(
            filter,
            device.as_str(),
            module.as_ref().map(ModuleId::as_str),
        )
    }

    fn subscribed(&self) {
        let calls = self.subscriptions.has(HubTopic::Methods);
        self.session.set_takes_calls(calls);
        self.keep();
        if calls {
            self.hub.takes_calls();
        }
    }

    /// Its subscriptions and what it proved itself by.
    pub(super) fn report(&self) -> Report {
        let topics = [
            HubTopic::Messages,
            HubTopic::Methods,
            HubTopic::TwinAnswers,
            HubTopic::Desired,
        ];
        let line = |topic: HubTopic| {
            let qos = self.subscriptions.get(topic)?;
            Some(LinkLine {
                client: Some(self.id.clone()),
                kind: format!("{topic:?} ({qos:?})"),
                credit: None,
            })
        };
        Report {
            links: topics.into_iter().filter_map(line).collect(),
            tokens: vec![TokenLine::of(Some(self.id.clone()), &self.grant)],
        }
    }
}
