//! CONNECT: who comes, and whether it may.

use std::time::Duration;

use drawspan_emulator_hub::dps::requests::Caller;
use drawspan_emulator_hub::faults::Operation;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_set::Served;
use drawspan_emulator_hub::refusals::Door;
use drawspan_emulator_hub::throttle_text::throttled_text;
use drawspan_hub::{DeviceId, ErrorCode, ModuleId};
use drawspan_hub_model::access::Denied;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};
use drawspan_hub_model::throttle::{Admission, ConnackRefusal, OperationClass, RateLimits};
use drawspan_mqtt::Server;
use drawspan_mqtt::server::{Connect, ConnectRefusal};
use drawspan_mqtt::user_name::{self, HubUser};

use super::{Client, Head};
use crate::mqtts::device::Device;
use crate::mqtts::registration::Registration;

impl Head {
    pub(super) fn connect(&mut self, server: &mut Server, connect: &Connect, now: Duration) {
        let user = connect.user_name.as_deref().unwrap_or_default();
        let certificate = self.reached.certificate.clone();
        if let Some(dps) = user_name::of_dps(user)
            && (user_name::of_hub(user).is_none() || self.is_scope(dps.id_scope))
        {
            let token = connect.password.as_deref();
            let caller = Caller {
                id_scope: dps.id_scope,
                registration: dps.registration,
                token: token
                    .filter(|token| !token.is_empty())
                    .and_then(|token| std::str::from_utf8(token).ok()),
                certificate: certificate.as_deref(),
                api_version: dps.api_version.as_deref(),
            };
            return self.connect_registration(server, connect, caller);
        }
        let Some(user) = user_name::of_hub(user) else {
            let reason = "the user name is neither HOST/DEVICE[/MODULE]/?api-version=… nor SCOPE/registrations/ID/api-version=…";
            return self.refuse(server, user, "BadUserName", reason);
        };
        let hub = match self
            .shared
            .hubs
            .select(Some(user.host), self.reached.sni.as_deref())
        {
            Served::Hub(hub) => hub,
            Served::Dps | Served::Nothing => {
                let reason = "there is no such hub here";
                return self.refuse(server, user.host, "HubNotFound", reason);
            }
        };
        let (what, client_id) = match user.module {
            None => (format!("device {}", user.device), user.device.to_owned()),
            Some(module) => (
                format!("module {module} of device {}", user.device),
                format!("{}/{module}", user.device),
            ),
        };
        let what = format!("{what} at {}", hub.host());
        if hub.is_failing_over() {
            return self.refuse_while_failing_over(server, &what);
        }
        if connect.client_id != client_id {
            let reason =
                "the client id is not the device, or device/module, that the user name names";
            return self.refuse(server, &what, "IdMismatch", reason);
        }
        match Device::new(
            hub.clone(),
            &user,
            connect,
            certificate.as_ref(),
            self.wake.clone(),
            (&self.shared.faults, self.connection()),
        ) {
            Ok(device) if let Some(code) = device.refusal(Operation::Connects) => {
                self.refuse_on_request(server, &what, code);
            }
            Ok(device) => match hub.throttle(Some(&device.id), OperationClass::Connects, 1, []) {
                Admission::Now => self.accept(server, device, now),
                Admission::At(at) => self.client = Client::Connecting(Box::new(device), at),
                Admission::Refused(refused) => {
                    self.refuse_for_now(server, &hub, &what, refused.code);
                }
            },
            Err(denied) => {
                hub.emit(denied_event(&user, denied));
                let code = denied.code().to_string();
                self.refuse(server, &what, &code, &denied.to_string());
            }
        }
    }

    /// Answers CONNECT when it has waited enough.
    pub(super) fn connect_in_turn(&mut self, server: &mut Server, now: Duration) {
        let due = match &self.client {
            Client::Connecting(device, at) => {
                device.hub.due_by() >= *at || device.hub.is_failing_over()
            }
            _ => false,
        };
        if !due || self.ended.is_some() {
            return;
        }
        let Client::Connecting(device, _) = std::mem::replace(&mut self.client, Client::Unknown)
        else {
            return;
        };
        let what = format!("{} at {}", device.id.described(), device.hub.host());
        if device.hub.is_failing_over() {
            return self.refuse_while_failing_over(server, &what);
        }
        // It may have been disabled meanwhile.
        if let Err(fault) = device.check() {
            return self.refuse(server, &what, &fault.code.to_string(), &fault.text);
        }
        server.restart_silence(now);
        self.accept(server, *device, now);
        self.on_events(server, now);
    }

    fn refuse_while_failing_over(&mut self, server: &mut Server, what: &str) {
        let code = ErrorCode::HUB_FAILING_OVER.to_string();
        self.log_refusal(what, &code, "the hub is failing over to another region");
        self.sent(server.refuse(ConnectRefusal::Unavailable));
        self.end(DisconnectReason::FailingOver);
    }

    /// Refuses CONNECT because too many connect. Microsoft documents no return code for that.
    fn refuse_for_now(&mut self, server: &mut Server, hub: &Hub, what: &str, code: ErrorCode) {
        let refusals = &self.shared.refusals;
        let (code_text, reason) = (code.to_string(), throttled_text(code));
        refusals.log(Door::Connect, &code_text, self.reached.peer, what, reason);
        if hub.rate_limits(RateLimits::connack) == ConnackRefusal::Unavailable {
            self.sent(server.refuse(ConnectRefusal::Unavailable));
        }
        self.end(DisconnectReason::Throttled);
    }

    fn accept(&mut self, server: &mut Server, mut device: Device, now: Duration) {
        self.connection().set_hub(device.hub.host());
        self.stalled = device.is_stalled();
        if self.stalled {
            self.log(Door::Session, "stall", "a fault is asked for");
        }
        let session_present = device.attach();
        self.client = Client::Device(Box::new(device));
        self.sent(server.accept(session_present));
        self.sweep_soon(now);
        if let Client::Device(device) = &mut self.client {
            device.hand_out(server, now);
        }
    }

    fn connect_registration(&mut self, server: &mut Server, connect: &Connect, caller: Caller<'_>) {
        let what = format!("registration {}", caller.registration);
        if connect.client_id != caller.registration {
            let reason = "the client id is not the registration that the user name names";
            return self.refuse(server, &what, "IdMismatch", reason);
        }
        match Registration::new(&self.shared.dps, caller, self.reached.certificate.clone()) {
            Ok(registration) => {
                self.client = Client::Registration(Box::new(registration));
                self.sent(server.accept(false));
            }
            Err(refusal) => {
                let code = refusal.code.to_string();
                self.refuse(server, &what, &code, refusal.reason());
            }
        }
    }

    /// Refuses CONNECT. Clients hear no more than that they are not authorized: the reason is in the log.
    fn refuse(&mut self, server: &mut Server, what: &str, code: &str, reason: &str) {
        self.log_refusal(what, code, reason);
        self.sent(server.refuse(ConnectRefusal::NotAuthorized));
        self.end(DisconnectReason::ClientFault);
    }

    /// Refuses CONNECT because a fault is asked for.
    fn refuse_on_request(&mut self, server: &mut Server, what: &str, code: ErrorCode) {
        self.log_refusal(what, &code.to_string(), "a fault is asked for");
        let why = match code.http_status() {
            401..=404 => ConnectRefusal::NotAuthorized,
            _ => ConnectRefusal::Unavailable,
        };
        self.sent(server.refuse(why));
        self.end(DisconnectReason::FaultInjected);
    }

    fn log_refusal(&self, what: &str, code: &str, reason: &str) {
        let refusals = &self.shared.refusals;
        refusals.log(Door::Connect, code, self.reached.peer, what, reason);
    }

    fn is_scope(&self, id_scope: &str) -> bool {
        id_scope.eq_ignore_ascii_case(self.shared.dps.id_scope())
    }
}

fn denied_event(user: &HubUser<'_>, reason: Denied) -> HubEvent {
    HubEvent::AccessDenied {
        client: client_of(user),
        reason,
    }
}

fn client_of(user: &HubUser<'_>) -> Option<ClientId> {
    let module = user.module.map(ModuleId::parse).transpose().ok()?;
    let device = DeviceId::parse(user.device).ok()?;
    Some(ClientId { device, module })
}
