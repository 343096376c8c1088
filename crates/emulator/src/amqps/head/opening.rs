//! SASL and open: who comes, and to which hub.

use std::time::Duration;

use drawspan_amqp::engine::Connection;
use drawspan_amqp::performative::{Error, SaslCode, condition};
use drawspan_amqp::value::Symbol;
use drawspan_hub::ErrorCode;

use super::Head;
use crate::amqps::error::refusal;
use crate::amqps::sasl;
use crate::hub_set::Served;

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
        let Served::Hub(hub) = self.shared.hubs.select(None, self.sni.as_deref()) else {
            return SaslCode::SysPerm;
        };
        let Some((user, token)) =
            sasl::plain(response).filter(|(user, _)| sasl::is_for(user, hub.host()))
        else {
            return SaslCode::Auth;
        };
        match hub.authenticate(token) {
            Ok(grant) => self
                .access
                .put(grant)
                .map_or(SaslCode::SysPerm, |()| SaslCode::Ok),
            Err(reason) => {
                tracing::info!(hub = %hub.host(), %user, %reason, "a token was refused");
                SaslCode::Auth
            }
        }
    }

    pub(super) fn on_opened(
        &mut self,
        connection: &mut Connection,
        hostname: Option<&str>,
        now: Duration,
    ) {
        match self.shared.hubs.select(hostname, self.sni.as_deref()) {
            Served::Hub(hub) => {
                self.hub = Some(hub);
                self.sweep_soon(now);
            }
            Served::Dps => {
                let text = "the emulator does not serve DPS over AMQP yet";
                connection.close(Some(Error::new(condition::NOT_IMPLEMENTED, text)), now);
            }
            Served::Nothing => {
                let text = format!("there is no hub {} here", hostname.unwrap_or_default());
                let error = refusal(condition::NOT_FOUND, ErrorCode::HUB_NOT_FOUND, &text);
                connection.close(Some(error), now);
            }
        }
    }
}
