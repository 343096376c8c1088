//! One connection as the hub sees it.

use drawspan_hub::AttemptId;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DeviceNo, Token, valid_until};

/// One connection as the hub sees it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Takes no new identities, although it has room.
    pub(super) refuses_tokens: bool,
    identities: BTreeMap<DeviceNo, Identity>,
    attached: usize,
}

#[derive(Debug)]
struct Identity {
    /// Its last token is valid until then; while it is attached, it is renewed.
    until: Duration,
    session: Option<(AttemptId, Token)>,
}

impl Line {
    /// Whether a device is counted.
    pub(super) fn counts(&self, device: DeviceNo, now: Duration) -> bool {
        let identity = self.identities.get(&device);
        identity.is_some_and(|identity| identity.counts(now))
    }

    pub(super) fn count(&mut self, now: Duration) -> usize {
        self.identities.retain(|_, identity| identity.counts(now));
        self.identities.len()
    }

    /// A device showed its token.
    pub(super) fn show(&mut self, device: DeviceNo, token: Token, now: Duration) {
        let until = valid_until(token, now);
        let identity = self.identities.entry(device).or_insert(Identity {
            until,
            session: None,
        });
        identity.until = identity.until.max(until);
    }

    pub(super) fn attach(
        &mut self,
        device: DeviceNo,
        attempt: AttemptId,
        token: Token,
        now: Duration,
    ) {
        self.show(device, token, now);
        if let Some(identity) = self.identities.get_mut(&device)
            && identity.session.replace((attempt, token)).is_none()
        {
            self.attached += 1;
        }
    }

    pub(super) fn detach(&mut self, device: DeviceNo, attempt: AttemptId, now: Duration) {
        let Some(identity) = self.identities.get_mut(&device) else {
            return;
        };
        if let Some((attached, token)) = identity.session
            && attached == attempt
        {
            identity.until = identity.until.max(valid_until(token, now));
            identity.session = None;
            self.attached -= 1;
        }
    }

    /// Devices and their sessions.
    pub(super) fn attached(&self) -> impl Iterator<Item = (DeviceNo, AttemptId)> {
        let all = self.identities.iter();
        all.filter_map(|(device, identity)| Some((*device, identity.session?.0)))
    }

    pub(super) const fn len(&self) -> usize {
        self.attached
    }
}

impl Identity {
    fn counts(&self, now: Duration) -> bool {
        self.session.is_some() || self.until > now
    }
}
