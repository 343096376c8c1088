//! Rights of a connection: the tokens that were put on it.

use std::collections::HashMap;

use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::access::{Denied, Grant, Principal};
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::policy::Right;
use drawspan_net::Transport;

use crate::limits::GRANTS_OF_POLICIES_MAX;

/// Grants by identity. A new token of an identity takes the place of its old one.
#[derive(Debug)]
pub(super) struct Access {
    devices_max: usize,
    devices: HashMap<DeviceId, Grant>,
    policies: Vec<Grant>,
}

/// The connection has as many tokens as it may have, which are so many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyTokens(pub(super) usize);

impl Access {
    /// Of a connection over `transport`.
    pub(super) fn new(transport: Transport, hub: &Limits) -> Self {
        Self {
            devices_max: match transport {
                Transport::Amqps => hub.tokens_per_connection,
                Transport::WebSocket => hub.tokens_per_websocket,
            },
            devices: HashMap::new(),
            policies: Vec::new(),
        }
    }

    /// Takes a verified token in.
    pub(super) fn put(&mut self, grant: Grant) -> Result<(), TooManyTokens> {
        match &grant.principal {
            Principal::Device(device) => {
                let full = self.devices.len() >= self.devices_max;
                if full && !self.devices.contains_key(&device.id) {
                    return Err(TooManyTokens(self.devices_max));
                }
                self.devices.insert(device.id.clone(), grant);
            }
            Principal::Policy(_) => self.put_policy(grant)?,
        }
        Ok(())
    }

    /// Whether the same identity has a token here already.
    pub(super) fn has(&self, grant: &Grant) -> bool {
        match &grant.principal {
            Principal::Device(device) => self.devices.contains_key(&device.id),
            Principal::Policy(_) => self.policies.iter().any(|other| is_same(other, grant)),
        }
    }

    /// The grant that allows `right` on a path, or the reason why no grant does.
    pub(super) fn check(
        &self,
        right: Right,
        host: &HostName,
        path: &str,
        device: Option<&DeviceId>,
        now_unix_s: u64,
    ) -> Result<&Grant, Denied> {
        let own = device.and_then(|device| self.devices.get(device));
        // Clients ask for themselves, so that one look-up is the rule.
        let candidates = own.into_iter().chain(&self.policies);
        let mut denied = Denied::NoToken;
        for grant in candidates {
            if !grant.is_current(now_unix_s) {
                denied = Denied::Expired;
                continue;
            }
            match grant.allows(right, host, path) {
                Ok(()) => return Ok(grant),
                Err(reason) => denied = reason,
            }
        }
        Err(denied)
    }

    /// Whether there is no token at all.
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.policies.is_empty()
    }

    /// Takes expired tokens out. Says whether there were any.
    pub(super) fn expire(&mut self, now_unix_s: u64) -> bool {
        let before = self.devices.len() + self.policies.len();
        self.devices.retain(|_, grant| grant.is_current(now_unix_s));
        self.policies.retain(|grant| grant.is_current(now_unix_s));
        self.devices.len() + self.policies.len() < before
    }

    fn put_policy(&mut self, grant: Grant) -> Result<(), TooManyTokens> {
        let mut policies = self.policies.iter_mut();
        if let Some(old) = policies.find(|other| is_same(other, &grant)) {
            *old = grant;
            return Ok(());
        }
        if self.policies.len() >= GRANTS_OF_POLICIES_MAX {
            return Err(TooManyTokens(GRANTS_OF_POLICIES_MAX));
        }
        self.policies.push(grant);
        Ok(())
    }
}

/// Whether both are tokens of one policy, so that one replaces the other.
fn is_same(one: &Grant, other: &Grant) -> bool {
    one.resource() == other.resource() && one.policy() == other.policy()
}
