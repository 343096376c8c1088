//! The hub fails over to another region.
//!
//! What happens then is from the article "Azure IoT Hub high availability and disaster recovery" (2025-04): identities and twins stay, and
//! so does the hub's name; messages to devices that were not read, and feedback, are lost. Connections end, and new ones are refused with
//! 404012 until the hub is served again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use drawspan_hub_model::c2d::{CloudToDevice, Effects};
use drawspan_hub_model::event::HubEvent;

use super::{ChangeError, Hub, Told};
use crate::limits::FAILOVER_MAX_S;

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Messages to devices.
    pub messages: usize,
    /// Records of feedback.
    pub feedback: usize,
}

/// Why a hub does not fail over.
#[derive(Debug, thiserror::Error)]
pub enum FailoverError {
    /// It does already.
    #[error("the hub is failing over already")]
    UnderWay,
    /// For a time that is none, or too long.
    #[error("a hub fails over for 1 second to {hours} hours", hours = FAILOVER_MAX_S / 3_600)]
    Time,
    /// The loss of messages cannot be stored.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Hub {
    /// Fails over for `time` of the emulator's time. Returns when connections are being ended and the loss of messages is stored; the hub
    /// is served again by itself.
    ///
    /// # Errors
    /// When it is failing over already, or that cannot be stored; it does fail over in the latter case.
    pub async fn fail_over(self: &Arc<Self>, time: Duration) -> Result<Lost, FailoverError> {
        if !(1..=FAILOVER_MAX_S).contains(&time.as_secs()) {
            return Err(FailoverError::Time);
        }
        if self.is_failing_over.swap(true, Ordering::AcqRel) {
            return Err(FailoverError::UnderWay);
        }
        if let Some(Told(tell)) = self.failover_begins.get() {
            tell();
        }
        let hub = Arc::clone(self);
        // There is one of these at a time.
        tokio::spawn(async move {
            hub.clock.sleep(time).await;
            hub.is_failing_over.store(false, Ordering::Release);
            hub.emit(HubEvent::HubFailedOver);
            tracing::info!(hub = %hub.host, "the hub has failed over and is served again");
        });
        let lose = |model: &mut CloudToDevice, _: u64, effects: &mut Effects| model.lose(effects);
        let (messages, feedback) = self.change_messages(lose).await?;
        let seconds = time.as_secs();
        tracing::info!(hub = %self.host, seconds, messages, feedback, "the hub fails over: connections end, and messages to devices are lost");
        self.emit(HubEvent::HubFailingOver {
            seconds,
            messages,
            feedback,
        });
        Ok(Lost { messages, feedback })
    }

    /// Whether it is failing over: nobody is served then.
    pub fn is_failing_over(&self) -> bool {
        self.is_failing_over.load(Ordering::Acquire)
    }

    /// Has `tell` called when the hub begins to fail over. Only the first one counts.
    pub fn tell_of_failover(&self, tell: impl Fn() + Send + Sync + 'static) {
        // The one caller calls once.
        let _ = self.failover_begins.set(Told(Box::new(tell)));
    }
}
