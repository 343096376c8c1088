//! What devices and modules have subscribed to over MQTT, kept for their next session: in memory, and in the store.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_store::{MqttSession, Write};

use super::Hub;
use drawspan_mqtt::Subscriptions;

/// Subscriptions of sessions that outlive their connections (CleanSession 0). At most one for each client.
#[derive(Debug, Default)]
pub(super) struct KeptSubscriptions(pub(super) Mutex<BTreeMap<ClientId, Kept>>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// `None` if the last session ended with its connection, and the store does not know that yet.
    subscriptions: Option<Subscriptions>,
    /// Whether the store has been given this state.
    stored: bool,
}

impl KeptSubscriptions {
    /// Those that were stored.
    pub(super) fn from_stored(sessions: Vec<MqttSession>) -> Self {
        let kept = |session: MqttSession| {
            let subscriptions = Some(Subscriptions::from_bits(session.subscriptions));
            let stored = true;
            let kept = Kept {
                subscriptions,
                stored,
            };
            (session.client, kept)
        };
        Self(Mutex::new(sessions.into_iter().map(kept).collect()))
    }

    pub(super) fn into_inner(self) -> BTreeMap<ClientId, Kept> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client was deleted, and its session in the store with it; so are the modules of a device.
    pub(super) fn forget(&self, client: &ClientId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = all.range(client..).map(|(of, _)| of);
        let gone: Vec<_> = from.take_while(|of| client.covers(of)).cloned().collect();
        for of in gone {
            all.remove(&of);
        }
    }
}

impl Hub {
    /// What is kept of a client's subscriptions.
    pub fn kept_subscriptions(&self, client: &ClientId) -> Option<Subscriptions> {
        let all = self.subscriptions.0.lock();
        let all = all.unwrap_or_else(PoisonError::into_inner);
        all.get(client)?.subscriptions
    }

    /// Keeps a client's subscriptions, or forgets them. Never waits: when the store cannot take the change, it is kept in memory,
    /// and handed to the store with the next one.
    pub fn keep_subscriptions(
        &self,
        client: &ClientId,
        generation_id: &str,
        subscriptions: Option<Subscriptions>,
    ) {
        // Held until the change is handed over: the client is deleted before all of this, or after it.
        let registry = self.registry();
        let generation = registry.generation_id(client);
        if generation.is_none_or(|of| **of != *generation_id) {
            return;
        }
        let all = self.subscriptions.0.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        let before = all.get(client);
        let is_stored = before.is_none_or(|kept| kept.stored);
        if is_stored && before.and_then(|kept| kept.subscriptions) == subscriptions {
            return;
        }
        let kept = Kept {
            subscriptions,
            stored: self.store_session(client, subscriptions),
        };
        if kept.subscriptions.is_none() && kept.stored {
            all.remove(client);
        } else {
            all.insert(client.clone(), kept);
        }
    }

    /// Says whether the store took it. What it took is written, if need be later.
    fn store_session(&self, client: &ClientId, subscriptions: Option<Subscriptions>) -> bool {
        let Some(store) = &self.store else {
            return true;
        };
        let Ok(slot) = store.try_slot() else {
            return false;
        };
        let client = client.clone();
        let write = match subscriptions {
            Some(subscriptions) => Write::MqttSession(MqttSession {
                client,
                subscriptions: subscriptions.bits(),
            }),
            None => Write::MqttSessionGone(client),
        };
        slot.send_then(self.host.clone(), vec![write], |_| {});
        true
    }
}
