//! The check whether a device is within a key's prefix: DPS may have another id for it than its caller.

use drawspan_bridge::controller::{Names, Request as Ask};
use drawspan_gateway::{DeviceError, DeviceGateway as _, Prefix, Standing};
use drawspan_hub::DeviceId;
use tokio::time::Instant;

use super::gateway::Gateway;
use super::platform::{Caller, Profile};
use super::request::Look;

impl Gateway {
    /// Whether `device`, whose spelling begins with `within`, does so by the id that DPS has for it. `ask`: the caller is about
    /// to reach the device; DPS is asked if it was not yet.
    pub(super) async fn stand(
        &self,
        device: DeviceId,
        within: Prefix,
        ask: bool,
        deadline: Instant,
    ) -> Result<Standing, DeviceError> {
        if !matches!(self.profile, Profile::Dps) {
            return Ok(Standing::Within);
        }
        if let Some(route) = self.routes.get(&device) {
            return Ok(judge(&within, &route.identity));
        }
        let names = self.names(&device).await?;
        let assigned = match names.assigned {
            Some(assigned) => assigned,
            None if ask => return self.ask_dps(device, &within, deadline).await,
            // Subscribed to or used, but not registered yet: there is no other id for it.
            None if names.is_known => names.called,
            None => return Ok(Standing::Within),
        };
        Ok(judge(&within, &assigned))
    }

    async fn ask_dps(
        &self,
        device: DeviceId,
        within: &Prefix,
        deadline: Instant,
    ) -> Result<Standing, DeviceError> {
        match self.register(device.clone(), None, deadline).await {
            // The registration may have reached DPS, but the request itself was not begun.
            Err(DeviceError::FateUnknown) => return Err(self.delay_of(&device).await),
            registered => registered?,
        }
        let names = self.names(&device).await?;
        let standing = judge(within, &names.assigned.unwrap_or(names.called));
        if standing != Standing::Within {
            // The spelling of a caller who may not reach the device must not become its name for the others.
            let named = self.answer(|reply| Ask::RenameAsAssigned {
                device,
                caller: Caller::Done(reply),
            });
            named.await??;
        }
        Ok(standing)
    }

    /// The device's names here and at its hub.
    pub(super) async fn names(&self, device: &DeviceId) -> Result<Names, DeviceError> {
        let device = device.clone();
        self.answer(|reply| Look::Names { device, reply }).await
    }

    /// The device's name here.
    pub(super) async fn called(&self, device: DeviceId) -> Result<DeviceId, DeviceError> {
        match self.profile {
            Profile::Dps => Ok(self.names(&device).await?.called),
            Profile::Hub(_) | Profile::Listed(_) => Ok(device),
        }
    }
}

fn judge(within: &Prefix, assigned: &DeviceId) -> Standing {
    match within.covers(assigned) {
        true => Standing::Within,
        false => Standing::Outside(assigned.clone()),
    }
}
