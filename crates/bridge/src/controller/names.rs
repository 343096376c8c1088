//! Names of devices: maps every spelling of an id to its device.

use drawspan_hub::DeviceId;

use super::Controller;
use super::action::Action;
use super::input::Request;
use super::platform::Platform;
use super::spellings::Spellings;
use crate::subscriptions::Scope;

/// The names of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Here.
    pub called: DeviceId,
    /// At its hub, once DPS has said so.
    pub assigned: Option<DeviceId>,
    /// Whether it is used, subscribed to or remembered.
    pub is_known: bool,
}

impl<P: Platform> Controller<P> {
    /// The same request, about the device by the id that it goes by here.
    pub(super) fn spelt(&mut self, mut request: Request<P>) -> Request<P> {
        if !self.spellings.fold() {
            return request;
        }
        let Some((device, makes_known)) = subject(&mut request) else {
            return request;
        };
        *device = self.called(device);
        if makes_known {
            self.spellings.call(device);
            self.throw_out_spellings();
        }
        request
    }

    /// The device's name here.
    #[must_use]
    pub fn called(&self, device: &DeviceId) -> DeviceId {
        self.spellings.of(device, |lower| self.is_known(lower))
    }

    fn is_known(&self, device: &DeviceId) -> bool {
        self.fleet.find(device).is_some()
            || self.table.has_own(device)
            || self.cache.get(device).is_some()
            || self.registrations.is_asked_for(device)
    }

    fn throw_out_spellings(&mut self) {
        if self.spellings.are_many() {
            let mut spellings = std::mem::replace(&mut self.spellings, Spellings::new(true));
            spellings.keep(|device| self.is_known(device));
            self.spellings = spellings;
        }
    }

    /// The device's name here and at its hub, if known.
    #[must_use]
    pub fn names(&self, device: &DeviceId) -> Names {
        let called = self.called(device);
        let index = self.fleet.find(&called);
        let located = index.filter(|index| {
            let machine = self.fleet.machine(*index);
            machine.is_some_and(|machine| machine.hub().is_some())
        });
        let cached = || {
            let cached = self.cache.get(&called)?;
            Some(cached.assigned.clone().unwrap_or_else(|| called.clone()))
        };
        Names {
            assigned: located.and_then(|it| self.identity(it)).or_else(cached),
            is_known: self.is_known(&called),
            called,
        }
    }

    /// Renames a device that a caller registered who may not reach it: it goes by the id that DPS has for it. A device that is in
    /// use keeps its name.
    pub(super) fn rename_as_assigned(&mut self, device: &DeviceId) {
        let called = self.called(device);
        if self.fleet.find(&called).is_some() || self.table.has_own(&called) {
            return;
        }
        let assigned = self.cache.get(&called);
        let Some(assigned) = assigned.and_then(|cached| cached.assigned.clone()) else {
            return;
        };
        if assigned.to_lower_case() == called.to_lower_case() {
            let changes = self.cache.rename(&called, &assigned);
            for change in changes.into_iter().flatten() {
                self.act(Action::StoreHub(change));
            }
            self.table.note_assigned(&called, None);
            self.spellings.call(&assigned);
        }
    }
}

/// The device that a request is about, and whether the request makes it known here.
fn subject<P: Platform>(request: &mut Request<P>) -> Option<(&mut DeviceId, bool)> {
    Some(match request {
        Request::Connect { device, .. }
        | Request::Receive { device, .. }
        | Request::Register { device, .. } => (device, true),
        Request::Subscribe { scope, .. } => (own(scope)?, true),
        Request::Unsubscribe { scope, .. } => (own(scope)?, false),
        Request::Resync(device)
        | Request::Forget { device, .. }
        | Request::Settle { device, .. } => (device, false),
        Request::Replay { letter, .. } => (&mut letter.device, false),
        Request::RenameAsAssigned { .. } | Request::Relist(_) => return None,
    })
}

fn own(scope: &mut Scope) -> Option<&mut DeviceId> {
    match scope {
        Scope::Device(device) => Some(device),
        Scope::Fleet(_) => None,
    }
}
