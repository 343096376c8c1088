//! File uploads of one hub: those that devices have begun, and the notifications of those that succeeded.
//!
//! A device asks for a place for a file, puts the file there, and says how that ended. Rules: Azure article "Upload files with IoT
//! Hub", edition of February 2026: at most ten uploads of a device at a time, a correlation id that lasts as long as the signature
//! does, no notification of an upload that failed.

mod notifications;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use drawspan_hub::DeviceId;

use crate::c2d::{LockLost, LockToken, Outcome};
use crate::event::HubEvent;
use crate::limits::{
    BLOB_NAME_MAX_CHARS, Limits, UPLOAD_CORRELATION_ID_MAX_CHARS, UPLOAD_LOCK_MS,
    UPLOAD_NOTICE_DELIVERY_COUNT, UPLOAD_NOTICE_TTL_MS, UPLOAD_TTL_MS, UPLOADS_MAX,
};
use notifications::Notifications;
pub use notifications::{FileNotification, NotificationEnd, QueuedNotification};
pub use upload::{Change, Effects, End, Kept, NewUpload, Refused, Upload};

/// How a hub treats file uploads (IoT Hub's `storageEndpoints` and `fileNotifications` properties).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a device has for an upload.
    pub ttl_ms: u64,
    /// A service has a notification for this long before others may get it.
    pub notification_lock_ms: u64,
    /// How long a notification waits.
    pub notification_ttl_ms: u64,
    /// How often a service may give a notification back; the last time it is dropped.
    pub notification_max_delivery_count: u32,
}

/// The file uploads of a hub.
#[derive(Debug)]
pub struct Uploads {
    settings: Settings,
    per_device: usize,
    /// Those whose time is over stay for a while, so that their devices get to know.
    by_id: HashMap<Arc<str>, Arc<Upload>>,
    of_device: HashMap<DeviceId, Vec<Arc<str>>>,
    /// When each of them is forgotten.
    forgotten: BTreeSet<(u64, Arc<str>)>,
    notifications: Notifications,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl_ms: UPLOAD_TTL_MS,
            notification_lock_ms: UPLOAD_LOCK_MS,
            notification_ttl_ms: UPLOAD_NOTICE_TTL_MS,
            notification_max_delivery_count: UPLOAD_NOTICE_DELIVERY_COUNT,
        }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self::restore(Settings::default(), &Limits::default(), Kept::default())
    }
}

impl Uploads {
    /// Continues where the hub stopped. No notification is locked.
    pub fn restore(settings: Settings, limits: &Limits, kept: Kept) -> Self {
        let mut all = Self {
            settings,
            per_device: limits.uploads_per_device,
            by_id: HashMap::new(),
            of_device: HashMap::new(),
            forgotten: BTreeSet::new(),
            notifications: Notifications::restore(kept.notifications, kept.last_number),
        };
        for upload in kept.uploads {
            all.insert(upload);
        }
        all
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// When the device may not, or not under that name.
    pub fn begin(
        &mut self,
        new: NewUpload,
        now: u64,
        effects: &mut Effects,
    ) -> Result<Arc<Upload>, Refused> {
        let NewUpload {
            correlation_id,
            device,
            name,
            host,
        } = new;
        let blob = blob_name(&device, &name)?;
        if self.under_way(&device, now) >= self.per_device {
            let max = self.per_device;
            return Err(Refused::TooMany { max });
        }
        if self.by_id.len() >= UPLOADS_MAX {
            return Err(Refused::HubFull);
        }
        let upload = Arc::new(Upload {
            correlation_id,
            device,
            blob,
            host,
            expires_unix_ms: now.saturating_add(self.settings.ttl_ms),
        });
        effects.events.push(HubEvent::FileUploadBegun {
            device: upload.device.clone(),
            blob: Arc::clone(&upload.blob),
        });
        effects.changes.push(Change::Begun(Arc::clone(&upload)));
        self.insert(Arc::clone(&upload));
        Ok(upload)
    }

    /// A device's upload that is under way.
    ///
    /// # Errors
    /// When it is not the device's, or its time is over.
    pub fn find(&self, device: &DeviceId, id: &str, now: u64) -> Result<Arc<Upload>, Refused> {
        let upload = match id.len() <= UPLOAD_CORRELATION_ID_MAX_CHARS {
            true => self.by_id.get(id),
            false => None,
        };
        let upload = upload.filter(|upload| upload.device == *device);
        let upload = upload.ok_or(Refused::UnknownId)?;
        match upload.expires_unix_ms > now {
            true => Ok(Arc::clone(upload)),
            false => Err(Refused::Expired),
        }
    }

    /// Ends a device's upload. Services are notified if its blob is there.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn end(
        &mut self,
        device: &DeviceId,
        id: &str,
        end: End,
        now: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        let upload = self.find(device, id, now)?;
        self.remove(&upload);
        let over = Change::Over(Arc::clone(&upload.correlation_id));
        effects.changes.push(over);
        let (device, blob) = (device.clone(), Arc::clone(&upload.blob));
        match end {
            End::Failed { status } => effects.events.push(HubEvent::FileUploadFailed {
                device,
                blob,
                status,
            }),
            End::Stored {
                bytes,
                modified_unix_ms,
            } => {
                effects.events.push(HubEvent::FileUploadCompleted {
                    device: device.clone(),
                    blob: Arc::clone(&blob),
                    bytes,
                });
                let notification = FileNotification {
                    device,
                    blob,
                    host: Arc::clone(&upload.host),
                    bytes,
                    modified_unix_ms,
                    enqueued_unix_ms: now,
                };
                self.notifications
                    .add(notification, &self.settings, effects);
            }
        }
        Ok(())
    }

    /// Removes the uploads of a device that is deleted. Its blobs, and the notifications of them, stay.
    pub fn forget(&mut self, device: &DeviceId) {
        for id in self.of_device.remove(device).unwrap_or_default() {
            if let Some(upload) = self.by_id.get(&id).cloned() {
                self.remove(&upload);
            }
        }
    }

    /// How many uploads of a device are under way.
    pub fn under_way(&self, device: &DeviceId, now: u64) -> usize {
        let ids = self.of_device.get(device);
        let uploads = ids
            .into_iter()
            .flatten()
            .filter_map(|id| self.by_id.get(id));
        uploads.filter(|it| it.expires_unix_ms > now).count()
    }

    /// Locks and returns the first notification.
    pub fn lock(&mut self, token: LockToken, now: u64) -> Option<QueuedNotification> {
        self.notifications.lock(token, now, &self.settings)
    }

    /// Has a notification wait again as if it had not been handed out.
    pub fn release(&mut self, token: LockToken) {
        self.notifications.release(token);
    }

    /// Takes a service's word on a notification.
    ///
    /// # Errors
    /// When it was not handed out under this token, or too long ago.
    pub fn settle(
        &mut self,
        token: LockToken,
        outcome: Outcome,
        now: u64,
        effects: &mut Effects,
    ) -> Result<(), LockLost> {
        self.notifications
            .settle(token, outcome, now, &self.settings, effects)
    }

    /// How many notifications wait, those that services have but have not settled included.
    pub fn waiting(&self) -> usize {
        self.notifications.len()
    }

    /// When [`tick`](Self::tick) has something to do, Unix milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        let forgotten = self.forgotten.first().map(|(at, _)| *at);
        forgotten
            .into_iter()
            .chain(self.notifications.deadline())
            .min()
    }

    /// Does what is due: uploads and notifications expire, locks end.
    pub fn tick(&mut self, now: u64, effects: &mut Effects) {
        while let Some((at, id)) = self.forgotten.first().cloned() {
            if at > now {
                break;
            }
            let Some(upload) = self.by_id.get(&id).cloned() else {
                self.forgotten.pop_first();
                continue;
            };
            self.remove(&upload);
            effects.changes.push(Change::Over(id));
            effects.events.push(HubEvent::FileUploadExpired {
                device: upload.device.clone(),
                blob: Arc::clone(&upload.blob),
            });
        }
        self.notifications.tick(now, effects);
    }

    fn insert(&mut self, upload: Arc<Upload>) {
        let id = Arc::clone(&upload.correlation_id);
        self.forgotten
            .insert((self.forgotten_at(&upload), Arc::clone(&id)));
        let of_device = self.of_device.entry(upload.device.clone());
        of_device.or_default().push(Arc::clone(&id));
        self.by_id.insert(id, upload);
    }

    fn remove(&mut self, upload: &Upload) {
        let id = &upload.correlation_id;
        self.by_id.remove(id);
        self.forgotten
            .remove(&(self.forgotten_at(upload), Arc::clone(id)));
        if let Some(ids) = self.of_device.get_mut(&upload.device) {
            ids.retain(|it| it != id);
            if ids.is_empty() {
                self.of_device.remove(&upload.device);
            }
        }
    }

    /// A device may be told for as long again that it was too late.
    fn forgotten_at(&self, upload: &Upload) -> u64 {
        upload.expires_unix_ms.saturating_add(self.settings.ttl_ms)
    }
}

/// The name of a blob, within the rules of Azure Storage.
fn blob_name(device: &DeviceId, name: &str) -> Result<Arc<str>, Refused> {
    let blob = format!("{device}/{name}");
    if name.is_empty() {
        return Err(Refused::Name("it is missing"));
    }
    if blob.chars().count() > BLOB_NAME_MAX_CHARS {
        return Err(Refused::Name(
            "with the device's id in front of it, it has more than 1024 characters",
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Refused::Name("it has a control character"));
    }
    if name.ends_with(['.', '/', '\\']) {
        return Err(Refused::Name("it ends with a dot or a slash"));
    }
    Ok(blob.into())
}
