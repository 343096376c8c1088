//! The guard of callback addresses: a caller who may subscribe must not thereby reach into our network.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use drawspan_gateway::CallbackUrl;
use drawspan_settings::callbacks::{Allowed, GuardMode, SpecialPurpose, literal, special_purpose};

use crate::limits::CALLBACK_LOOK_UP_MS;

/// Decides where events may go. It checks addresses, not names: a name can get another address at any time.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    mode: GuardMode,
    allowed: Vec<Allowed>,
    /// Hosts in lower case, with ports.
    imported: HashSet<(String, u16)>,
}

impl Guard {
    /// Lets through what `mode` does, and what is listed.
    #[must_use]
    pub fn new(mode: GuardMode, allowed: Vec<Allowed>) -> Self {
        Self {
            mode,
            allowed,
            imported: HashSet::new(),
        }
    }

    /// As the settings say.
    #[must_use]
    pub fn of_settings(settings: &drawspan_settings::Webhooks) -> Self {
        Self::new(settings.guard, settings.allow.clone()).with_imported(settings.imported.clone())
    }

    /// Events may go to these hosts (in lower case) and ports even if they are private: imported subscriptions lead there. New
    /// subscriptions to them are not allowed by this.
    #[must_use]
    pub fn with_imported(self, imported: HashSet<(String, u16)>) -> Self {
        Self { imported, ..self }
    }

    /// Whether a subscription to that URL is allowed: to the address in the URL, or to one of the current addresses of its name. A
    /// name without addresses passes, since each connection is checked again.
    ///
    /// # Errors
    /// Why not and which setting allows it: one line for the caller, with the host and nothing else of the URL.
    pub async fn check(&self, callback: &CallbackUrl) -> Result<(), String> {
        if self.mode == GuardMode::Off {
            return Ok(());
        }
        let (host, port) = (callback.host(), callback.port());
        if let Some(address) = literal(host) {
            return self.permits(self.mode, host, address);
        }
        let look_up = tokio::net::lookup_host((host, port));
        let limit = Duration::from_millis(CALLBACK_LOOK_UP_MS);
        match tokio::time::timeout(limit, look_up).await {
            Ok(Ok(addresses)) => self.choose(self.mode, host, addresses).map(|_| ()),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// The addresses of a host that events of stored subscriptions may go to.
    ///
    /// # Errors
    /// There are addresses, and none of them may be used; why, as [`check`](Self::check) says.
    pub(super) fn reachable(
        &self,
        host: &str,
        port: u16,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, String> {
        let imported = self.mode == GuardMode::Strict
            && !self.imported.is_empty()
            && self.imported.contains(&(host.to_ascii_lowercase(), port));
        let mode = match imported {
            true => GuardMode::Permissive,
            false => self.mode,
        };
        self.choose(mode, host, addresses)
    }

    fn choose(
        &self,
        mode: GuardMode,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, String> {
        let mut permitted = Vec::new();
        let mut refused = Ok(());
        for address in addresses {
            match self.permits(mode, host, address.ip()) {
                Ok(()) => permitted.push(address),
                Err(why) => refused = Err(why),
            }
        }
        if permitted.is_empty() {
            refused?;
        }
        Ok(permitted)
    }

    /// Whether events may go to this address of `host`.
    fn permits(&self, mode: GuardMode, host: &str, address: IpAddr) -> Result<(), String> {
        let Some(special) = special_purpose(address) else {
            return Ok(());
        };
        let listed = || {
            self.allowed
                .iter()
                .any(|allowed| allowed.covers(host, address))
        };
        let allowed = match mode {
            GuardMode::Off => true,
            _ if special == SpecialPurpose::Metadata => false,
            GuardMode::Permissive => special.is_private() || listed(),
            GuardMode::Strict => listed(),
        };
        if allowed {
            return Ok(());
        }
        let what = special.as_str();
        let host = host.trim_matches(['[', ']']);
        Err(match special {
            SpecialPurpose::Metadata => {
                format!("Callbacks may not point to {host}: it is {what}, which nothing allows.")
            }
            _ => format!(
                "Callbacks may not point to {host}: it is {what}. The setting allow_callbacks (serve --allow-callbacks) \
                 allows it by address range or host."
            ),
        })
    }
}
