//! Rights of a connection: the tokens that were put on it, and the certificate of its TLS handshake.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_emulator_hub::connections::TokenLine;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::HostName;
use drawspan_hub_model::access::{Denied, Grant};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::x509::Presented;
use drawspan_net::Transport;
use drawspan_segment_log::AuthKind;

use crate::limits::GRANTS_OF_POLICIES_MAX;

/// Grants by identity. A new token of an identity takes the place of its old one.
#[derive(Debug)]
pub(super) struct Access {
    clients_max: usize,
    /// Of devices and modules. Boxed, since half of a table is empty.
    clients: HashMap<ClientId, Box<Grant>>,
    policies: Vec<Grant>,
    /// No token expires before, in the hub's time.
    none_expires_before: Duration,
    certificate: Option<Arc<Presented>>,
    /// The one device or module that the certificate is taken for, once there is one.
    certified: Option<ClientId>,
}

/// The connection has as many tokens as it may have, which are so many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyTokens(pub(super) usize);

impl Access {
    /// Of a connection over `transport`.
    pub(super) fn new(
        transport: Transport,
        hub: &Limits,
        certificate: Option<Arc<Presented>>,
    ) -> Self {
        Self {
            clients_max: match transport {
                Transport::Amqps => hub.tokens_per_connection,
                Transport::WebSocket => hub.tokens_per_websocket,
            },
            clients: HashMap::new(),
            policies: Vec::new(),
            none_expires_before: Duration::MAX,
            certificate,
            certified: None,
        }
    }

    /// The certificate of the client, if it presented one.
    pub(super) const fn certificate(&self) -> Option<&Arc<Presented>> {
        self.certificate.as_ref()
    }

    /// Takes the connection's certificate for a client that has no token here. Does nothing without a certificate.
    ///
    /// # Errors
    /// When the certificate is not the client's, or is taken for another one.
    pub(super) fn certify(&mut self, hub: &Hub, client: &ClientId) -> Result<(), Denied> {
        let has_token = self.clients.contains_key(client) || !self.policies.is_empty();
        let Some(certificate) = self.certificate.as_ref().filter(|_| !has_token) else {
            return Ok(());
        };
        // Two identities may have one thumbprint; a connection is that of one of them.
        if self.certified.as_ref().is_some_and(|other| other != client) {
            return Err(Denied::MissingRight);
        }
        let grant = hub.authenticate_certificate(certificate, client)?;
        self.certified = Some(client.clone());
        self.clients.insert(client.clone(), Box::new(grant));
        Ok(())
    }

    /// Takes a verified token in.
    pub(super) fn put(&mut self, grant: Grant) -> Result<(), TooManyTokens> {
        self.none_expires_before = self.none_expires_before.min(grant.holds_until());
        let Some(client) = grant.principal.client() else {
            return self.put_policy(grant);
        };
        let full = self.clients.len() >= self.clients_max;
        if full && !self.clients.contains_key(&client) {
            return Err(TooManyTokens(self.clients_max));
        }
        self.clients.insert(client, Box::new(grant));
        Ok(())
    }

    /// Whether the same identity has a token here already.
    pub(super) fn has(&self, grant: &Grant) -> bool {
        match grant.principal.client() {
            Some(client) => self.clients.contains_key(&client),
            None => self.policies.iter().any(|other| is_same(other, grant)),
        }
    }

    /// The grant that allows `right` on a path, or the reason why no grant does.
    pub(super) fn check(
        &self,
        right: Right,
        host: &HostName,
        path: &str,
        client: Option<&ClientId>,
        elapsed: Duration,
    ) -> Result<&Grant, Denied> {
        let own = client
            .and_then(|client| self.clients.get(client))
            .map(|grant| &**grant);
        // Clients ask for themselves, so that one look-up is the rule.
        let candidates = own.into_iter().chain(&self.policies);
        let mut denied = Denied::NoToken;
        for grant in candidates {
            if !grant.is_current(elapsed) {
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

    /// What a client proved itself by.
    pub(super) fn kind_of(&self, client: &ClientId) -> AuthKind {
        match self.clients.get(client) {
            Some(grant) if grant.is_by_certificate() => AuthKind::X509,
            _ => AuthKind::Sas,
        }
    }

    /// The tokens, or the certificate, without their secrets.
    pub(super) fn lines(&self) -> Vec<TokenLine> {
        let of_clients = self.clients.iter();
        let of_clients = of_clients.map(|(client, grant)| (Some(client.clone()), &**grant));
        let of_policies = self.policies.iter().map(|grant| (None, grant));
        let line = |(client, grant): (Option<ClientId>, &Grant)| TokenLine::of(client, grant);
        of_clients.chain(of_policies).map(line).collect()
    }

    /// Whether there is no token at all.
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.policies.is_empty()
    }

    /// Takes expired tokens out. Says whether there were any.
    pub(super) fn expire(&mut self, elapsed: Duration) -> bool {
        let before = self.clients.len() + self.policies.len();
        self.clients.retain(|_, grant| grant.is_current(elapsed));
        self.policies.retain(|grant| grant.is_current(elapsed));
        let clients = self.clients.values().map(|grant| grant.holds_until());
        let policies = self.policies.iter().map(Grant::holds_until);
        self.none_expires_before = clients.chain(policies).min().unwrap_or(Duration::MAX);
        self.clients.len() + self.policies.len() < before
    }

    /// When [`expire`](Self::expire) is to be called next, in the hub's time: a token expires then, unless it was renewed.
    pub(super) const fn look_at(&self) -> Duration {
        self.none_expires_before
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
