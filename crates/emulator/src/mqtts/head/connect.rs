//! CONNECT: who comes, and whether it may.

use std::time::Duration;

use drawspan_emulator_hub::dps::requests::Caller;
use drawspan_emulator_hub::faults::Operation;
use drawspan_emulator_hub::hub_set::Served;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::{DeviceId, ErrorCode, ModuleId};
use drawspan_hub_model::access::Denied;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};
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
            Ok(device) => match device.refusal(Operation::Connects) {
                None => self.accept(server, device, now),
                Some(code) => self.refuse_on_request(server, &what, code),
            },
            Err(denied) => {
                hub.emit(denied_event(&user, denied));
                let code = denied.code().to_string();
                self.refuse(server, &what, &code, &denied.to_string());
            }
        }
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
        let refusals = &self.shared.refusals;
        refusals.log(Door::Connect, code, self.reached.peer, what, reason);
        self.sent(server.refuse(ConnectRefusal::NotAuthorized));
        self.end(DisconnectReason::ClientFault);
    }

    /// Refuses CONNECT because a fault is asked for.
    fn refuse_on_request(&mut self, server: &mut Server, what: &str, code: ErrorCode) {
        let refusals = &self.shared.refusals;
        let (number, peer) = (code.to_string(), self.reached.peer);
        refusals.log(Door::Connect, &number, peer, what, "a fault is asked for");
        let why = match code.http_status() {
            401..=404 => ConnectRefusal::NotAuthorized,
            _ => ConnectRefusal::Unavailable,
        };
        self.sent(server.refuse(why));
        self.end(DisconnectReason::FaultInjected);
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
