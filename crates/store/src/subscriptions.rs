//! Subscriptions of callers.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use secrecy::SecretString;

use crate::change::Change;
use crate::database::{self, subscriptions as table};
use crate::error::StoreError;
use crate::keyring::Keys;
use crate::queue::{ChangedRows, Queue};

/// A subscription as it is stored.
#[derive(Debug, Clone)]
pub struct StoredSubscription {
    /// The device, or the beginning of device ids.
    pub scope: StoredScope,
    /// The kind of events.
    pub kind: SubscriptionType,
    /// The callback URL; encrypted in the file.
    pub callback_url: SecretString,
    /// When it was made, or last replaced; kept to the millisecond.
    pub created_at: UtcTime,
    /// Whether devices stay connected for it.
    pub keep_connected: bool,
    /// Whether it came from another bridge's tables: its callback may be private.
    pub imported: bool,
    /// Whether its maker may reach only some devices: it then applies only to devices whose id at the hub begins with the prefix,
    /// too.
    pub limited: bool,
}

/// The devices that a stored subscription is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoredScope {
    /// The device of this id.
    Device(String),
    /// Devices whose ids begin so.
    Fleet(String),
}

/// Subscriptions of callers. Cheap to clone. An acknowledged change survives the end of the process and a failure of the machine.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    queue: Queue,
    path: Arc<Path>,
    keys: Arc<Keys>,
}

/// A change that was handed over; resolves once it is written. It is also written if it is not awaited.
#[derive(Debug)]
#[must_use = "it tells whether the change is written"]
pub struct Written(Result<ChangedRows, Option<StoreError>>);

impl Subscriptions {
    pub(crate) fn new(queue: Queue, path: Arc<Path>, keys: Arc<Keys>) -> Self {
        Self { queue, path, keys }
    }

    /// Shows all that were written so far, one after the other, so that they are never all in memory in this form. Blocks; about
    /// a second for a million.
    ///
    /// # Errors
    /// When the file cannot be read, or one of them cannot be decrypted: to lose one in silence would be worse.
    pub fn each(&self, then: impl FnMut(StoredSubscription)) -> Result<(), StoreError> {
        let connection = database::open_to_read(&self.path)?;
        table::each(&connection, &self.keys.ring(), then)
    }

    /// All subscriptions written so far. As [`each`](Self::each).
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn load_all(&self) -> Result<Vec<StoredSubscription>, StoreError> {
        let mut all = Vec::new();
        self.each(|subscription| all.push(subscription))?;
        Ok(all)
    }

    /// Subscriptions imported from another bridge's tables. Blocks.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn load_imported(&self) -> Result<Vec<StoredSubscription>, StoreError> {
        table::load_imported(&database::open_to_read(&self.path)?, &self.keys.ring())
    }

    /// Subscriptions of one device, without those of the fleet. Blocks for a moment.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn load_device(&self, device: &DeviceId) -> Result<Vec<StoredSubscription>, StoreError> {
        let connection = database::open_to_read(&self.path)?;
        table::load_device(&connection, &self.keys.ring(), device)
    }

    /// Creates or replaces a subscription. Changes are written in the order of these calls, which do not wait; if too many wait,
    /// the change is not written, and the result is [`StoreError::Busy`].
    pub fn put(&self, subscription: StoredSubscription) -> Written {
        self.change(Change::PutSubscription(Box::new(subscription)))
    }

    /// Removes one, if it is there. As [`put`](Self::put).
    pub fn remove(&self, scope: StoredScope, kind: SubscriptionType) -> Written {
        self.change(Change::RemoveSubscription(scope, kind))
    }

    fn change(&self, change: Change) -> Written {
        Written::new(self.queue.try_ask(change))
    }
}

impl Written {
    pub(crate) fn new(asked: Result<ChangedRows, StoreError>) -> Self {
        Self(asked.map_err(Some))
    }
}

impl Future for Written {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(StoreError::Closed)).map(drop)),
            Err(error) => Poll::Ready(Err(error.take().unwrap_or(StoreError::Closed))),
        }
    }
}
