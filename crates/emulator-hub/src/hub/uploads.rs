//! File uploads of devices, and notifications of them for services.
//!
//! [`Hub::begin_upload`] and [`Hub::end_upload`] wait until they are stored. Receivers of notifications cannot wait, so they pass a
//! callback; changes of a hub's uploads are stored in the order in which they were made.

use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::c2d::{LockLost, LockToken, Outcome};
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::uploads::{
    Effects, End, NewUpload, QueuedNotification, Refused, Upload, Uploads,
};
use drawspan_hub_store::{Slot, StoreError, Write};
use tokio::sync::oneshot;

use super::kept::Kept;
use super::{Hub, SettleError, Told};
use crate::limits::{KEEP_MESSAGES_MS, KEEP_RETRY_MS};
use crate::random::{self, NoRandomness};
use crate::stop::Stop;
use crate::storage::Storage;

/// The uploads of a hub.
pub(super) type HeldUploads = Kept<Uploads>;

/// Where a device puts a file.
#[derive(Debug)]
pub struct UploadPlace {
    /// What the device names the upload by.
    pub correlation_id: Arc<str>,
    /// The storage's host, with its port unless it is the usual one.
    pub host_name: Arc<str>,
    /// The container.
    pub container: String,
    /// The blob.
    pub blob: Arc<str>,
    /// The signature for the blob, as the query of a URL. A secret until it expires.
    pub signature: String,
}

/// Why an upload is not begun, or its end not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is not allowed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The device was deleted meanwhile.
    #[error("The device does not exist any more")]
    UnknownDevice,
    /// The device says that it put a file, and it is not there.
    #[error("The storage has no blob of the name that this file upload was given")]
    NoBlob,
    /// The storage does not say whether the file is there.
    #[error("The storage cannot be asked for the blob: {0}")]
    Storage(String),
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No name can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl Hub {
    /// Where the files of devices go.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Begins an upload of a device, which reached the emulator at `authority`.
    ///
    /// # Errors
    /// When the device may not, or that cannot be stored.
    pub async fn begin_upload(
        &self,
        device: &DeviceId,
        name: String,
        authority: &str,
    ) -> Result<UploadPlace, UploadError> {
        let begun = self.try_begin(device, name, authority).await;
        let upload = begun.inspect_err(|error| self.upload_refused(device, error))?;
        Ok(UploadPlace {
            correlation_id: Arc::clone(&upload.correlation_id),
            host_name: Arc::clone(&upload.host),
            container: self.storage.container().to_owned(),
            blob: Arc::clone(&upload.blob),
            signature: self.storage.sign(
                &upload.blob,
                self.signed_until(upload.expires_unix_ms) / 1000,
            ),
        })
    }

    /// When a signature that ends with an upload is to end: an account has the machine's time.
    fn signed_until(&self, unix_ms: u64) -> u64 {
        match self.storage {
            Storage::BuiltIn(_) => unix_ms,
            Storage::Account(_) => self.clock.to_machine(unix_ms),
        }
    }

    async fn try_begin(
        &self,
        device: &DeviceId,
        name: String,
        authority: &str,
    ) -> Result<Arc<Upload>, UploadError> {
        let new = NewUpload {
            correlation_id: random::hex()?.into(),
            device: device.clone(),
            name,
            host: self.storage.host_name(authority).into(),
        };
        let slot = self.upload_slot().await?;
        let (done, stored) = oneshot::channel();
        let upload = {
            // Held meanwhile, so that no upload follows the end of its device.
            let registry = self.registry();
            if registry.get(device).is_none() {
                return Err(UploadError::UnknownDevice);
            }
            let begin =
                |model: &mut Uploads, now, effects: &mut Effects| model.begin(new, now, effects);
            self.apply_upload(slot, begin, move |result| {
                // The one who waits may have given up.
                let _ = done.send(result);
            })?
        };
        stored.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(upload)
    }

    /// Ends an upload of a device: with success, which must be true, or with the status that the storage answered.
    ///
    /// # Errors
    /// When the upload is not the device's, the file is not there, or that cannot be stored.
    pub async fn end_upload(
        &self,
        device: &DeviceId,
        id: &str,
        outcome: Result<(), i64>,
    ) -> Result<(), UploadError> {
        let ended = self.try_end(device, id, outcome).await;
        ended.inspect_err(|error| self.upload_refused(device, error))
    }

    async fn try_end(
        &self,
        device: &DeviceId,
        id: &str,
        outcome: Result<(), i64>,
    ) -> Result<(), UploadError> {
        let now = self.now_unix_ms();
        // Beginning and end are a message each.
        self.charge([0]);
        let upload = self.uploads.held().model.find(device, id, now)?;
        let end = match outcome {
            Err(status) => End::Failed { status },
            Ok(()) => {
                let machine = self.clock.machine_unix_ms();
                let stat = self.storage.stat(&upload.blob, machine).await;
                let stat = stat.map_err(UploadError::Storage)?;
                let stat = stat.ok_or(UploadError::NoBlob)?;
                End::Stored {
                    bytes: stat.bytes,
                    modified_unix_ms: stat.modified_unix_ms,
                }
            }
        };
        let slot = self.upload_slot().await?;
        let (done, stored) = oneshot::channel();
        let apply = |model: &mut Uploads, now, effects: &mut Effects| {
            model.end(device, id, end, now, effects)
        };
        self.apply_upload(slot, apply, move |result| {
            let _ = done.send(result);
        })?;
        stored.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(())
    }

    /// Locks and returns the next notification.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn lock_file_notification(
        &self,
    ) -> Result<Option<(LockToken, QueuedNotification)>, NoRandomness> {
        let (token, now) = (random::lock_token()?, self.now_unix_ms());
        let mut held = self.uploads.held();
        let locked = held.model.lock(token, now);
        self.uploads.look_earlier(&held);
        Ok(locked.map(|notification| (token, notification)))
    }

    /// A notification that was handed out did not go out.
    pub fn release_file_notification(&self, token: LockToken) {
        self.uploads.held().model.release(token);
    }

    /// Takes a service's word on a notification. `done` is called once it is stored, perhaps on another thread.
    ///
    /// # Errors
    /// When the service does not have it any more, or that cannot be stored now.
    pub fn settle_file_notification(
        &self,
        token: LockToken,
        outcome: Outcome,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), SettleError> {
        let slot = self.store.as_ref().map(|store| store.try_slot());
        let slot = slot.transpose().map_err(SettleError::Store)?;
        let settle = |model: &mut Uploads, now, effects: &mut Effects| {
            model.settle(token, outcome, now, effects)
        };
        let settled = self.apply_upload(slot, settle, done);
        settled.map_err(|LockLost| SettleError::LockLost)
    }

    /// How many notifications wait for services.
    pub fn file_notification_count(&self) -> usize {
        self.uploads.held().model.waiting()
    }

    /// Has `tell` called when there are file notifications for services. Only the first one counts.
    pub fn tell_of_file_notifications(&self, tell: impl Fn() + Send + Sync + 'static) {
        // The one caller calls once.
        let _ = self.file_notifications_wait.set(Told(Box::new(tell)));
    }

    /// Does what time brings to uploads and blobs, until the emulator stops. What cannot be stored is tried again a moment later.
    pub async fn keep_uploads(self: Arc<Self>, mut stop: Stop) {
        loop {
            let (now, due) = (self.now_unix_ms(), self.uploads.look_later());
            let blobs = match &self.storage {
                Storage::BuiltIn(store) => store.deadline(),
                Storage::Account(_) => None,
            };
            // The time of day may be set meanwhile, and blocks come without a word.
            let latest = now + KEEP_MESSAGES_MS;
            let until = due.into_iter().chain(blobs).fold(latest, u64::min);
            tokio::select! {
                () = stop.stopped() => return,
                () = self.uploads.earlier.notified() => continue,
                () = self.clock.sleep_until(until) => {}
            }
            let present = self.connections.present().await;
            let ticked = self.tick_uploads().await;
            drop(present);
            match ticked {
                Ok(()) => {}
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::debug!(hub = %self.host(), %error, "file uploads are looked after a moment later");
                    tokio::select! {
                        () = stop.stopped() => return,
                        () = tokio::time::sleep(Duration::from_millis(KEEP_RETRY_MS)) => {}
                    }
                }
            }
        }
    }

    async fn tick_uploads(&self) -> Result<(), StoreError> {
        if let Storage::BuiltIn(store) = &self.storage
            && let Err(error) = store.tick().await
        {
            tracing::debug!(hub = %self.host(), %error, "blocks that nobody committed stay for a while");
        }
        let slot = self.upload_slot().await?;
        let tick = |model: &mut Uploads, now, effects: &mut Effects| {
            model.tick(now, effects);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = self.apply_upload(slot, tick, |_| {});
        Ok(())
    }

    async fn upload_slot(&self) -> Result<Option<Slot>, StoreError> {
        match &self.store {
            Some(store) => store.slot().await.map(Some),
            None => Ok(None),
        }
    }

    /// Changes the uploads and hands the changes over to the store, in one order for all.
    fn apply_upload<T, E>(
        &self,
        slot: Option<Slot>,
        change: impl FnOnce(&mut Uploads, u64, &mut Effects) -> Result<T, E>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<T, E> {
        let (now, mut effects) = (self.now_unix_ms(), Effects::default());
        let mut held = self.uploads.held();
        let result = change(&mut held.model, now, &mut effects)?;
        self.uploads.look_earlier(&held);
        for event in effects.events {
            self.emit(event);
        }
        let unstored = match slot {
            Some(slot) if !effects.changes.is_empty() => {
                let writes = effects.changes.into_iter().map(Write::from).collect();
                slot.send_then(self.host.clone(), writes, done);
                None
            }
            _ => Some(done),
        };
        drop(held);
        if let Some(done) = unstored {
            done(Ok(()));
        }
        if let (true, Some(Told(tell))) =
            (effects.notifications, self.file_notifications_wait.get())
        {
            tell();
        }
        Ok(result)
    }

    fn upload_refused(&self, device: &DeviceId, error: &UploadError) {
        self.emit(HubEvent::FileUploadRefused {
            device: device.clone(),
            code: error.code(),
        });
    }
}

impl UploadError {
    /// The hub's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::UnknownDevice => ErrorCode::DEVICE_NOT_FOUND,
            Self::NoBlob | Self::Storage(_) => ErrorCode::INVALID_STORAGE_ENDPOINT_OR_BLOB,
            Self::Store(_) | Self::Random(_) => ErrorCode::SERVER_ERROR,
        }
    }
}
