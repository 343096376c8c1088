//! A fake implementation of devices for tests.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use drawspan_gateway::{
    ConnectionFeed, DeadLetter, DeadLetterQuery, DeadLetters, DeviceError, DeviceGateway,
    Diagnostics, Downlink, Effect, Held, ListPage, ListQuery, Listing, Prefix, Presence, Readiness,
    Scope, Standing, Subscribe, Subscribed, Subscription, SubscriptionStatus, Subscriptions, Usage,
    UsageQuery, UsageReports,
};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Outcome, SubscriptionType, Telemetry,
    UtcTime,
};
use drawspan_metrics::Page;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Calls to the devices.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Send(DeviceId, Telemetry),
    Twin(DeviceId),
    Report(DeviceId, Bytes),
    Register(DeviceId, Option<String>),
    Status(DeviceId),
    Resync(DeviceId),
    Diagnostics(DeviceId),
    Forget(DeviceId),
    Subscribe(Subscribe),
    Subscription(Scope, SubscriptionType),
    Unsubscribe(Scope, SubscriptionType),
    FleetSubscriptions,
    Receive(DeviceId),
    Settle(DeviceId, String, Outcome),
    List(ListQuery),
    Usage(UsageQuery),
    DeadLetters(DeadLetterQuery),
    Replay(u64),
    Discard(u64),
}

/// Records calls and answers as scripted.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    /// The error with which all calls fail, if set.
    pub(crate) refusal: Option<DeviceError>,
    /// The error for messages of devices whose ids begin with this.
    pub(crate) refuses: Option<(&'static str, DeviceError)>,
    pub(crate) twin: &'static str,
    pub(crate) status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    pub(crate) diagnostics: Option<Diagnostics>,
    pub(crate) readiness: Readiness,
    pub(crate) subscribed: Option<Subscribed>,
    pub(crate) fleet: Vec<Subscription>,
    /// The message that a device receives; other devices receive none, however long they wait.
    pub(crate) held: Option<Held>,
    /// The error to return.
    pub(crate) receive_refusal: Option<DeviceError>,
    pub(crate) page: ListPage,
    pub(crate) usage: Option<Usage>,
    pub(crate) letters: Vec<DeadLetter>,
    /// DPS's id for every device, and whether it is known before DPS is asked.
    pub(crate) assigned: Option<(DeviceId, bool)>,
    /// Whether ids that differ only in case are one device.
    pub(crate) folds_case: bool,
    /// The test that receives a message here decides when it is accepted.
    pub(crate) gate: Option<mpsc::Sender<oneshot::Sender<()>>>,
    /// Whether the callers of such messages are there.
    pub(crate) presences: Arc<Mutex<Vec<Presence>>>,
    /// Whether a message that waits there may be at the hub.
    pub(crate) has_effect: bool,
    pub(crate) feed: Arc<ConnectionFeed>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
            refusal: None,
            refuses: None,
            twin: "{}",
            status: None,
            diagnostics: None,
            readiness: Readiness::READY,
            folds_case: false,
            subscribed: None,
            fleet: Vec::new(),
            held: None,
            receive_refusal: None,
            page: ListPage::default(),
            usage: None,
            letters: Vec::new(),
            assigned: None,
            gate: None,
            presences: Arc::default(),
            has_effect: false,
            feed: Arc::new(ConnectionFeed::new(7)),
        }
    }
}

impl Fake {
    fn done<T>(&self, call: Call, answer: T) -> Result<T, DeviceError> {
        self.calls.lock().unwrap().push(call);
        self.refusal.clone().map_or(Ok(answer), Err)
    }
}

impl DeviceGateway for Fake {
    async fn send(
        &self,
        device: DeviceId,
        message: Telemetry,
        _: Instant,
    ) -> Result<(), DeviceError> {
        let refuses = self.refuses.clone();
        let refusal = refuses.filter(|(begin, _)| device.as_str().starts_with(begin));
        self.done(Call::Send(device, message), ())?;
        if let Some((_, error)) = refusal {
            return Err(error);
        }
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        if self.has_effect {
            Effect::begins();
        }
        self.presences.lock().unwrap().push(Effect::presence());
        let (accept, accepted) = oneshot::channel();
        let _ = gate.send(accept).await;
        accepted.await.map_err(|_| DeviceError::NotReady)
    }

    async fn twin(&self, device: DeviceId, _: Instant) -> Result<Bytes, DeviceError> {
        self.done(Call::Twin(device), Bytes::from_static(self.twin.as_bytes()))
    }

    async fn report(&self, device: DeviceId, patch: Bytes, _: Instant) -> Result<(), DeviceError> {
        self.done(Call::Report(device, patch), ())
    }

    async fn register(
        &self,
        device: DeviceId,
        model_id: Option<String>,
        _: Instant,
    ) -> Result<(), DeviceError> {
        self.done(Call::Register(device, model_id), ())
    }

    async fn connection_status(
        &self,
        device: DeviceId,
    ) -> Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError> {
        self.done(Call::Status(device), self.status)
    }

    fn resync(&self, device: DeviceId) -> Result<(), DeviceError> {
        self.done(Call::Resync(device), ())
    }

    async fn diagnostics(&self, device: DeviceId) -> Result<Option<Diagnostics>, DeviceError> {
        self.done(Call::Diagnostics(device), self.diagnostics.clone())
    }

    async fn forget(&self, device: DeviceId, _: Instant) -> Result<(), DeviceError> {
        self.done(Call::Forget(device), ())
    }

    async fn measure(&self, _: &mut Page) {}

    async fn standing(
        &self,
        _: DeviceId,
        within: Prefix,
        ask: bool,
        _: Instant,
    ) -> Result<Standing, DeviceError> {
        let assigned = self.assigned.iter().find(|(_, known)| *known || ask);
        Ok(match assigned {
            Some((id, _)) if !within.covers(id) => Standing::Outside(id.clone()),
            _ => Standing::Within,
        })
    }

    fn identity(&self, device: &DeviceId) -> DeviceId {
        match self.folds_case {
            true => device.to_lower_case(),
            false => device.clone(),
        }
    }

    fn connection_feed(&self) -> Arc<ConnectionFeed> {
        Arc::clone(&self.feed)
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
}

impl Subscriptions for Fake {
    async fn subscribe(&self, subscribe: Subscribe, _: Instant) -> Result<Subscribed, DeviceError> {
        let made = Subscription {
            scope: subscribe.scope.clone(),
            kind: subscribe.kind,
            callback: subscribe.callback.clone(),
            created_at: UtcTime::from_unix_ms(0),
            keep_connected: subscribe.keep_connected,
        };
        let answer = (made, Some(SubscriptionStatus::Starting));
        self.done(Call::Subscribe(subscribe), answer)
    }

    async fn subscription(
        &self,
        scope: Scope,
        kind: SubscriptionType,
    ) -> Result<Option<Subscribed>, DeviceError> {
        self.done(Call::Subscription(scope, kind), self.subscribed.clone())
    }

    async fn unsubscribe(
        &self,
        scope: Scope,
        kind: SubscriptionType,
        _: Instant,
    ) -> Result<(), DeviceError> {
        self.done(Call::Unsubscribe(scope, kind), ())
    }

    async fn fleet_subscriptions(&self) -> Result<Vec<Subscription>, DeviceError> {
        self.done(Call::FleetSubscriptions, self.fleet.clone())
    }
}

impl Downlink for Fake {
    async fn receive(
        &self,
        device: DeviceId,
        wait_until: Instant,
        _: Instant,
    ) -> Result<Option<Held>, DeviceError> {
        let held = self.done(Call::Receive(device), self.held.clone())?;
        if let Some(error) = &self.receive_refusal {
            return Err(error.clone());
        }
        if held.is_none() {
            sleep_until(wait_until).await;
        }
        Ok(held)
    }

    async fn settle(
        &self,
        device: DeviceId,
        lock_token: String,
        outcome: Outcome,
        _: Instant,
    ) -> Result<(), DeviceError> {
        self.done(Call::Settle(device, lock_token, outcome), ())
    }
}

impl Listing for Fake {
    async fn list(&self, query: ListQuery) -> Result<ListPage, DeviceError> {
        self.done(Call::List(query), self.page.clone())
    }
}

impl DeadLetters for Fake {
    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, DeviceError> {
        let found = self.letters.iter();
        let found = found.filter(|letter| query.after.is_none_or(|after| letter.id > after));
        let found = found.filter(|letter| query.prefix.covers(&letter.device));
        let found = found.take(query.limit).cloned().collect();
        self.done(Call::DeadLetters(query), found)
    }

    async fn replay(&self, id: u64, _: Instant) -> Result<(), DeviceError> {
        self.done(Call::Replay(id), ())
    }

    async fn discard(&self, id: u64, _: Instant) -> Result<(), DeviceError> {
        self.done(Call::Discard(id), ())
    }
}

impl UsageReports for Fake {
    async fn usage(&self, query: UsageQuery) -> Result<Usage, DeviceError> {
        self.done(Call::Usage(query), ())?;
        self.usage.clone().ok_or(DeviceError::NotReady)
    }
}
