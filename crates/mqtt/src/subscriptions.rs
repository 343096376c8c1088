//! The subscriptions of one device at its hub.

use crate::Qos;
use crate::topic::Filter;

/// A kind of message that a hub sends to devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HubTopic {
    /// Cloud-to-device messages.
    Messages,
    /// Method calls.
    Methods,
    /// Answers to requests about the twin.
    TwinAnswers,
    /// Changes of desired properties.
    Desired,
}

/// The topics that a device has subscribed to, each with the QoS that was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions([Option<Qos>; 4]);

impl Subscriptions {
    /// The form in which they are stored: two bits for each topic, 0 for none, 1 for QoS 0, 2 for QoS 1.
    #[must_use]
    pub fn bits(&self) -> u8 {
        let bits = |granted: &Option<Qos>| match granted {
            None => 0,
            Some(Qos::AtMostOnce) => 1,
            Some(_) => 2,
        };
        self.0
            .iter()
            .rev()
            .fold(0, |all, granted| all << 2 | bits(granted))
    }

    /// Reads the stored form.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        let granted = |topic: u8| match bits >> (2 * topic) & 3 {
            0 => None,
            1 => Some(Qos::AtMostOnce),
            _ => Some(Qos::AtLeastOnce),
        };
        Self([0, 1, 2, 3].map(granted))
    }

    /// The QoS with which the device gets what is sent to a topic, if it does.
    #[must_use]
    pub fn get(&self, topic: HubTopic) -> Option<Qos> {
        self.0.get(topic as usize).copied().flatten()
    }

    /// Whether the device gets what is sent to a topic.
    #[must_use]
    pub fn has(&self, topic: HubTopic) -> bool {
        self.get(topic).is_some()
    }

    /// Subscribes, or ends a subscription.
    pub fn set(&mut self, topic: HubTopic, granted: Option<Qos>) {
        if let Some(subscription) = self.0.get_mut(topic as usize) {
            *subscription = granted;
        }
    }
}

/// The kind of message that a filter covers for a device, or for a module of it; `None` if the hub sends it nothing there.
#[must_use]
pub fn topic_of(filter: &str, device: &str, module: Option<&str>) -> Option<HubTopic> {
    match Filter::parse(filter)? {
        Filter::Messages(addressee) => {
            (module.is_none() && addressee.covers(device)).then_some(HubTopic::Messages)
        }
        Filter::Methods => Some(HubTopic::Methods),
        Filter::TwinAnswers => Some(HubTopic::TwinAnswers),
        Filter::Desired => Some(HubTopic::Desired),
        Filter::Inputs | Filter::RegistrationAnswers => None,
    }
}

/// The QoS that a hub grants: at most 1.
#[must_use]
pub fn granted(wanted: Qos) -> Qos {
    wanted.min(Qos::AtLeastOnce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_is_subscribed_to_by_itself() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.set(HubTopic::Desired, Some(granted(Qos::ExactlyOnce)));
        subscriptions.set(HubTopic::Methods, Some(Qos::AtMostOnce));
        assert_eq!(subscriptions.get(HubTopic::Desired), Some(Qos::AtLeastOnce));
        assert!(!subscriptions.has(HubTopic::Messages));
        subscriptions.set(HubTopic::Methods, None);
        assert!(!subscriptions.has(HubTopic::Methods) && subscriptions.has(HubTopic::Desired));
    }

    #[test]
    fn what_is_stored_comes_back() {
        let qos = [None, Some(Qos::AtMostOnce), Some(Qos::AtLeastOnce)];
        let mut seen = std::collections::HashSet::new();
        for number in 0..81_usize {
            let of = |place: u32| qos[number / 3_usize.pow(place) % 3];
            let subscriptions = Subscriptions([0, 1, 2, 3].map(of));
            let bits = subscriptions.bits();
            assert_eq!(Subscriptions::from_bits(bits), subscriptions, "{bits:08b}");
            seen.insert(bits);
        }
        assert_eq!(seen.len(), 81);
        assert_eq!(Subscriptions::default().bits(), 0);
        let mut messages = Subscriptions::default();
        messages.set(HubTopic::Messages, Some(Qos::AtLeastOnce));
        assert_eq!(messages.bits(), 2);
    }

    #[test]
    fn a_device_gets_nothing_of_another_one() {
        let filter = "devices/a/messages/devicebound/#";
        assert_eq!(topic_of(filter, "a", None), Some(HubTopic::Messages));
        assert_eq!(topic_of(filter, "b", None), None);
        assert_eq!(topic_of(filter, "a", Some("m")), None);
        let methods = topic_of("$iothub/methods/POST/#", "a", Some("m"));
        assert_eq!(methods, Some(HubTopic::Methods));
    }
}
