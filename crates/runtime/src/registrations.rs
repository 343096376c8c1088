//! Registrations at DPS, each in its own task.

use std::sync::Arc;

use drawspan_bridge::controller::{Assigned, Registration};
use drawspan_client::Credentials;
use drawspan_client::dps::DpsClient;
use drawspan_hub::{Failure, FailureKind};
use drawspan_net::Clock;
use drawspan_net::Mailbox;

use super::platform::Input;

/// The way to DPS.
#[derive(Debug)]
pub(super) struct Registrations {
    pub(super) client: Option<Arc<DpsClient>>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) clock: Clock,
    pub(super) completions: Arc<Mailbox<Input>>,
}

impl Registrations {
    /// Asks DPS, with the other key if the first one is refused.
    pub(super) fn register(&self, registration: Registration) {
        let completions = Arc::clone(&self.completions);
        let number = registration.number;
        let mut key = registration.key;
        let Some(client) = self.client.clone() else {
            let failure = Failure::local(FailureKind::InvalidRequest, "there is no DPS");
            return completions.post(Input::Registered {
                number,
                key,
                answer: Err(failure),
            });
        };
        let has_secondary = self.credentials.has_secondary();
        let deadline = self.clock.instant(registration.deadline);
        tokio::spawn(async move {
            let (device, payload) = (&registration.device, registration.payload.as_deref());
            let answers = || completions.post(Input::DpsAnswers);
            let register = |key| client.register_with(device, (key, payload, deadline), answers);
            let mut answer = register(key).await;
            let refused = matches!(&answer, Err(it) if it.kind == FailureKind::Unauthorized);
            if refused && has_secondary {
                key = key.other();
                answer = register(key).await;
            }
            let answer = answer.map(|assigned| Assigned {
                hub: assigned.hub,
                device: assigned.device,
            });
            completions.post(Input::Registered {
                number,
                key,
                answer,
            });
        });
    }
}
