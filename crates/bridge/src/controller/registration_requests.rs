//! Registrations at DPS for attempts of devices and for callers.

use std::time::Duration;

use drawspan_fleet::{CallerId, ServiceId};
use drawspan_hub::{DeviceId, Failure, FailureKind, HostName, WhichKey};

use super::action::Action;
use super::input::Assigned;
use super::platform::Platform;
use super::registrations::Origin;
use super::response::Response;
use super::{Controller, Profile};

impl<P: Platform> Controller<P> {
    /// A caller asks for a registration.
    pub(super) fn register(
        &mut self,
        device: DeviceId,
        (who, payload, deadline): (CallerId, Option<String>, Duration),
        caller: P::Caller,
    ) {
        let refused = match self.profile {
            Profile::Dps => {
                let silence = self.fleet.refusal_of(ServiceId::DPS, self.now).cloned();
                let has_enough = self.fleet.has_probes_enough(ServiceId::DPS);
                silence.or_else(|| has_enough.then(|| self.untried(ServiceId::DPS).failure))
            }
            Profile::Hub(_) | Profile::Listed(_) => {
                let text = "there is no DPS to register at";
                Some(Failure::local(FailureKind::InvalidRequest, text))
            }
        };
        if let Some(failure) = refused {
            self.answer(caller, Response::Registered(Err(failure)));
            // It is made all the same if no other one finds out whether DPS answers by now.
            if matches!(self.profile, Profile::Dps) && self.registrations.is_idle() {
                let number = self.registrations.ask_unheard(device, payload, deadline);
                self.fleet.register(number, who);
            }
            return;
        }
        match self.registrations.ask(device, payload, deadline, caller) {
            Ok(number) => self.fleet.register(number, who),
            Err((caller, failure)) => self.answer(caller, Response::Registered(Err(failure))),
        }
    }

    /// It is its turn.
    pub(super) fn register_now(&mut self, number: u64) {
        if self.registrations.gives_way(number) {
            return self.fleet.registration_gives_way(number, self.now);
        }
        if !self.registrations.allowed(number, self.now.monotonic) {
            self.fleet.registration_abandoned(self.now);
        }
        self.start_registrations();
    }

    pub(super) fn start_registrations(&mut self) {
        for registration in self.registrations.take_starts() {
            self.act(Action::Register(Box::new(registration)));
        }
    }

    /// A registration is over.
    pub(super) fn registered(
        &mut self,
        number: u64,
        key: WhichKey,
        answer: &Result<Assigned, Failure>,
    ) {
        let now = self.now;
        let over = self.registrations.ended(number, key, answer, now.monotonic);
        self.start_registrations();
        for job in over {
            if let Ok(assigned) = answer {
                self.assigned(&job.device, assigned);
            }
            let hub = answer.as_ref().map(|assigned| assigned.hub.clone());
            match job.origin {
                Origin::Attempt { device, epoch } => {
                    if let Err(failure) = answer {
                        self.note_failure_at(device, failure.clone(), Some(ServiceId::DPS));
                    }
                    self.fleet.assigned(device, epoch, hub, now);
                    if let Err(failure) = answer {
                        self.note_refusal(device, failure);
                    }
                    self.refuse_hopeless(device);
                }
                Origin::Caller(caller) | Origin::HungUp(caller) => {
                    self.asked_registration_ended(&job.device, hub);
                    let answer = answer.as_ref().map(|_| ()).map_err(Failure::clone);
                    self.answer(caller, Response::Registered(answer));
                }
                Origin::Answered => self.asked_registration_ended(&job.device, hub),
            }
        }
    }

    fn asked_registration_ended(&mut self, device: &DeviceId, hub: Result<HostName, &Failure>) {
        let device = self.fleet.find(device);
        self.fleet.registration_ended(device, hub, self.now);
    }

    fn assigned(&mut self, device: &DeviceId, assigned: &Assigned) {
        let name = (assigned.device != *device).then(|| assigned.device.clone());
        let index = self.fleet.find(device);
        let context = index.and_then(|index| self.fleet.context_mut(index));
        if let Some(context) = context {
            if context.removed {
                return;
            }
            // While it is on a connection it is there under the name that it had.
            if context.place.is_none() {
                context.assigned.clone_from(&name);
            }
        }
        self.remember_hub(device, assigned.hub.clone(), name);
    }

    /// A device connected to a hub that DPS did not name: from then on it is known, like one that DPS has assigned.
    pub(super) fn remember_connected(&mut self, index: u32, device: &DeviceId) {
        let removed = self.fleet.context(index).is_none_or(|it| it.removed);
        if removed || matches!(self.profile, Profile::Dps) {
            return;
        }
        let hub = self.fleet.machine(index).and_then(|machine| machine.hub());
        let known = self.cache.get(device).map(|cached| &cached.hub);
        if let Some(hub) = hub.filter(|hub| known != Some(hub)).cloned() {
            self.remember_hub(device, hub, None);
        }
    }

    fn remember_hub(&mut self, device: &DeviceId, hub: HostName, name: Option<DeviceId>) {
        self.table.note_assigned(device, name.as_ref());
        let change = self.cache.put(device, hub, name, self.now.unix_s);
        self.act(Action::StoreHub(change));
    }
}
