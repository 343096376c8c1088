//! SASL and open: identifies the client and its hub, or the device that registers at DPS.

use std::time::Duration;

use drawspan_amqp::engine::Connection;
use drawspan_amqp::performative::{SaslCode, condition};
use drawspan_amqp::value::Symbol;
use drawspan_emulator_hub::dps::requests::Refusal;
use drawspan_emulator_hub::hub_set::Served;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::dps::Denied;

use super::Head;
use super::upkeep::failing_over;
use crate::error::refusal;
use crate::registration::{self, Identity};
use crate::sasl;

impl Head {
    pub(super) fn on_sasl(
        &mut self,
        connection: &mut Connection,
        mechanism: &Symbol,
        response: &[u8],
        now: Duration,
    ) {
        let code = if sasl::is_plain(mechanism) {
            self.plain(response)
        } else {
            SaslCode::Ok
        };
        connection.sasl_outcome(code, now);
    }

    fn plain(&mut self, response: &[u8]) -> SaslCode {
        let Some((user, token)) = sasl::plain(response) else {
            let reason = "the response of PLAIN is not user and password";
            return self.sasl_refused(SaslCode::Auth, "", reason);
        };
        if let Some((id_scope, id)) = sasl::registration(user) {
            return self.identify(Identity::by_token(id_scope, id, token));
        }
        let hub = match self.shared.hubs.select(None, self.sni.as_deref()) {
            Served::Hub(hub) => Some(hub),
            Served::Dps | Served::Nothing => None,
        };
        let refusal = sasl::refusal_of(user, hub.as_ref().map(|hub| hub.host()));
        let hub = match (hub, refusal) {
            (Some(hub), None) => hub,
            (Some(_), Some(reason)) => return self.sasl_refused(SaslCode::Auth, user, reason),
            (None, reason) => {
                let sni = self.sni.as_deref().unwrap_or_default();
                return self.sasl_refused(SaslCode::SysPerm, sni, reason.unwrap_or_default());
            }
        };
        match hub.authenticate(token) {
            Ok(grant) => self
                .access
                .put(grant)
                .map_or(SaslCode::SysPerm, |()| SaslCode::Ok),
            Err(reason) => self.sasl_refused(SaslCode::Auth, user, &reason.to_string()),
        }
    }

    pub(super) fn sasl_refused(&self, code: SaslCode, user: &str, reason: &str) -> SaslCode {
        self.refused_with(Door::Sasl, user, &format!("{code:?}"), reason);
        code
    }

    pub(super) fn on_opened(
        &mut self,
        connection: &mut Connection,
        hostname: Option<&str>,
        now: Duration,
    ) {
        match self.shared.hubs.select(hostname, self.sni.as_deref()) {
            // DPS is found by the id scope, so that the name of a hub is as good as its own.
            Served::Hub(_) | Served::Dps if self.registration.is_some() => {}
            Served::Hub(hub) if hub.is_failing_over() => {
                let error = failing_over();
                self.refused(Door::Open, hub.host().as_str(), &error);
                connection.close(Some(error), now);
            }
            Served::Hub(hub) => {
                self.connection().set_hub(hub.host());
                self.hub = Some(hub);
            }
            // The address of its first link says who it is.
            Served::Dps if self.access.certificate().is_some() => {}
            Served::Dps => {
                let text = "a device comes to DPS by SASL PLAIN with a token, or by a certificate";
                let refusal = Refusal::from(Denied::NoToken);
                let code = refusal.code.to_string();
                self.refused_with(Door::Open, hostname.unwrap_or_default(), &code, text);
                connection.close(Some(registration::error(&refusal)), now);
            }
            Served::Nothing => {
                self.registration = None;
                let text = format!("there is no hub {} here", hostname.unwrap_or_default());
                let error = refusal(condition::NOT_FOUND, ErrorCode::HUB_NOT_FOUND, &text);
                self.refused(Door::Open, "", &error);
                connection.close(Some(error), now);
            }
        }
    }
}
