//! Devices that come to a hub, and those that go to another one.

use std::sync::Arc;

use drawspan_hub::DeviceId;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::device::{Authentication, AuthenticationSpec, Device, DeviceSpec};
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::registry::{Change, IfMatch, Registry};

use super::RegisterError;
use crate::hub::{ChangeError, Hub};
use crate::random;

/// Has the device at the hub. One that is there is kept as it is, but for its keys or thumbprints: it proves itself by those with
/// which it registered. They are others when the group's were exchanged, or when the device was made without the service.
///
/// The DPS article "roll X.509 device certificates" says that registering again updates the hub's identity to the enrollment's
/// credentials; no article sets identities apart that the service did not make.
pub(super) async fn ensure(
    hub: &Hub,
    id: &DeviceId,
    authentication: Authentication,
    iot_edge: bool,
) -> Result<(), RegisterError> {
    let now = hub.now_unix_ms();
    let fresh = random::fresh(now).map_err(ChangeError::from)?;
    let change = |registry: &mut Registry| {
        let result = match registry.get(id) {
            None => {
                let mut spec = DeviceSpec::new(id.clone());
                spec.authentication = AuthenticationSpec::Other(authentication);
                spec.iot_edge = iot_edge;
                registry.create(spec, fresh, now).map(Some)
            }
            Some(entry) if !entry.device.authentication.is_same_as(&authentication) => {
                let spec = with(&entry.device, authentication);
                registry.update(spec, &IfMatch::Any, fresh, now).map(Some)
            }
            Some(_) => Ok(None),
        };
        let changed = result.iter().flatten();
        let changes = changed.map(|entry| Change::Put(Arc::clone(&entry.device)));
        let changes = changes.collect();
        (result.map(drop), changes)
    };
    Ok(hub.change(change).await??)
}

/// Takes a device from its hub, whose connection ends, to another one that has the identity already: its twin goes with it, as the
/// default reprovisioning policy says ("re-provision and migrate data"; DPS article "reprovision"). Modules do not.
pub(super) async fn leave(from: &Hub, to: &Hub, id: &DeviceId) -> Result<(), ChangeError> {
    if let Some(entry) = from.entry(id) {
        let twin = entry.twin();
        let carried = to.change(|registry| {
            // One that was deleted meanwhile needs no twin.
            let put = registry.put_twin(&ClientId::from(id), twin);
            ((), put.into_iter().collect())
        });
        carried.await?;
    }
    remove(from, id).await?;
    from.emit(HubEvent::DeviceMoved {
        device: id.clone(),
        to: to.host().clone(),
    });
    tracing::info!(device = %id, from = %from.host(), to = %to.host(), "a device was moved to another hub");
    Ok(())
}

async fn remove(hub: &Hub, id: &DeviceId) -> Result<(), ChangeError> {
    hub.change(|registry| {
        let deleted = registry.delete(id, &IfMatch::Any);
        // One that is gone already is as good.
        (
            (),
            deleted
                .iter()
                .map(|()| Change::Delete(id.clone()))
                .collect(),
        )
    })
    .await
}

fn with(device: &Device, authentication: Authentication) -> DeviceSpec {
    DeviceSpec {
        id: device.id.clone(),
        status: device.status,
        status_reason: device.status_reason.clone(),
        authentication: AuthenticationSpec::Other(authentication),
        iot_edge: device.iot_edge,
    }
}
