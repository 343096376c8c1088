//! Uploads, their ends, and what is stored of them.

use std::sync::Arc;

use drawspan_hub::{DeviceId, ErrorCode};

use super::QueuedNotification;
use crate::event::HubEvent;
use crate::limits::UPLOADS_MAX;

/// An upload that a device has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// What the device names it by. It cannot be guessed.
    pub correlation_id: Arc<str>,
    /// The device.
    pub device: DeviceId,
    /// The blob: the device's id, a slash, and the name that the device chose.
    pub blob: Arc<str>,
    /// Where its container is: host, port unless it is the usual one, path if there is one.
    pub host: Arc<str>,
    /// When it must be over, Unix milliseconds.
    pub expires_unix_ms: u64,
}

/// What a device asks for.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// A fresh name for it.
    pub correlation_id: Arc<str>,
    /// The device, which the caller knows to be there.
    pub device: DeviceId,
    /// The name of the file, as the device says it.
    pub name: String,
    /// Where its container is.
    pub host: Arc<str>,
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The blob is there.
    Stored {
        /// Its size.
        bytes: u64,
        /// When it was written, Unix milliseconds.
        modified_unix_ms: u64,
    },
    /// The device could not put it.
    Failed {
        /// The status that the storage answered, as the device says.
        status: i64,
    },
}

/// The uploads and notifications, as they are stored.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Uploads under way.
    pub uploads: Vec<Arc<Upload>>,
    /// Notifications that no service has completed, in their order.
    pub notifications: Vec<QueuedNotification>,
    /// The highest number ever given to a notification.
    pub last_number: u64,
}

/// Changes for the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// A device began an upload.
    Begun(Arc<Upload>),
    /// An upload is over.
    Over(Arc<str>),
    /// A notification for services.
    Notification(QueuedNotification),
    /// A notification was given back.
    Counted {
        /// Its number.
        number: u64,
        /// How often it has been given back by now.
        delivery_count: u32,
    },
    /// A notification is done with.
    NotificationGone(u64),
}

/// The effects of an operation.
#[derive(Debug, Default)]
pub struct Effects {
    /// Changes to store, in this order.
    pub changes: Vec<Change>,
    /// Whether there is a notification that can be handed out now.
    pub notifications: bool,
    /// Events, in order.
    pub events: Vec<HubEvent>,
}

/// Why an upload is not begun, or its end not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name of the file cannot be that of a blob.
    #[error("blobName: {0}")]
    Name(&'static str),
    /// The device has too many uploads under way.
    #[error("Number of active file upload requests cannot exceed {max}")]
    TooMany {
        /// As many as it may have.
        max: usize,
    },
    /// The emulator holds as many as it may.
    #[error("The emulator holds {UPLOADS_MAX} file uploads, and takes no more")]
    HubFull,
    /// The correlation id is not one of the device's.
    #[error("The correlation id is not that of a file upload which this device has under way")]
    UnknownId,
    /// The correlation id was the device's.
    #[error("The time for this file upload is over")]
    Expired,
}

impl Refused {
    /// The hub's code for it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Name(_) => ErrorCode::ARGUMENT_INVALID,
            Self::TooMany { .. } => ErrorCode::DEVICE_MAXIMUM_ACTIVE_FILE_UPLOAD_LIMIT_EXCEEDED,
            Self::HubFull => ErrorCode::SERVER_BUSY,
            Self::UnknownId => ErrorCode::INVALID_FILE_UPLOAD_CORRELATION_ID,
            Self::Expired => ErrorCode::EXPIRED_FILE_UPLOAD_CORRELATION_ID,
        }
    }
}
