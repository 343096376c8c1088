//! The values of the metrics page: those of the controller, and those counted elsewhere.

use std::time::Duration;

use drawspan_hub::{Failure, FailureKind};
use drawspan_metrics::{Counter, Metric, Page, Sample};
use drawspan_store::{DeadLetters, DesiredMarks, FoundLost, Health, HubCache, Store, StoreHealth};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::failed_events::InVain;
use super::request::{Look, Request};
use super::snapshot::Snapshot;
use crate::limits::MEASURE_TIMEOUT_S;

/// What is counted beside the controller, and what is lost beneath it.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) resends: Resends,
    pub(super) in_vain: InVain,
    store: Option<Losses>,
    /// One page at a time: anyone who reaches the port may request it, and must not fill the controller's queue that way.
    turn: Semaphore,
}

/// Requests that were resent, by the reason, and those for which there was no time for that.
#[derive(Debug, Default)]
pub(super) struct Resends {
    throttled: Counter,
    hub_failed: Counter,
    connection_lost: Counter,
    out_of_time_throttled: Counter,
    out_of_time_hub_failed: Counter,
}

/// The stores whose losses are counted.
#[derive(Debug)]
struct Losses {
    hubs: HubCache,
    letters: DeadLetters,
    versions: DesiredMarks,
    health: StoreHealth,
}

impl Counters {
    pub(super) fn new(store: Option<&Store>) -> Self {
        Self {
            resends: Resends::default(),
            in_vain: InVain::default(),
            store: store.map(|store| Losses {
                hubs: store.hub_cache(),
                letters: store.dead_letters(),
                versions: store.desired_marks(),
                health: store.health(),
            }),
            turn: Semaphore::new(1),
        }
    }

    pub(super) fn tell(&self, page: &mut Page) {
        let resends = [
            ("throttled", &self.resends.throttled),
            ("hubFailed", &self.resends.hub_failed),
            ("connectionLost", &self.resends.connection_lost),
        ];
        let resends = resends.map(|(reason, counter)| Sample::of([reason], counter.get()));
        page.add(Metric::Resends, resends);
        let out_of_time = [
            ("throttled", &self.resends.out_of_time_throttled),
            ("hubFailed", &self.resends.out_of_time_hub_failed),
        ];
        let out_of_time = out_of_time.map(|(reason, counter)| Sample::of([reason], counter.get()));
        page.add(Metric::ResendsOutOfTime, out_of_time);
        let none = [0; 4];
        let [hubs, letters, versions, dropped] = self.store.as_ref().map_or(none, |store| {
            let letters = &store.letters;
            [
                store.hubs.lost(),
                letters.lost(),
                store.versions.lost(),
                letters.dropped(),
            ]
        });
        let health = self.store.as_ref().map(|store| &store.health);
        let found = health.map_or_else(FoundLost::default, StoreHealth::found_lost);
        let losses = [
            ("hubs", hubs),
            ("deadLetters", letters),
            ("desiredVersions", versions),
            ("subscriptions", found.subscriptions),
            ("answers", found.answers),
            ("changes", found.changes),
        ];
        let losses = losses.map(|(what, count)| Sample::of([what], count));
        page.add(Metric::StoreLosses, losses);
        let healthy = health.map(|health| u64::from(health.now() == Health::Ok));
        page.add(Metric::StoreHealthy, healthy.map(|it| Sample::of([], it)));
        page.add(Metric::DeadLettersDropped, [Sample::of([], dropped)]);
    }

    /// What the controller says, if it does so in time.
    pub(super) async fn snapshot(&self, requests: &mpsc::Sender<Request>) -> Option<Snapshot> {
        let _turn = self.turn.acquire().await;
        let (reply, snapshot) = oneshot::channel();
        requests.try_send(Look::Measure { reply }.into()).ok()?;
        let patience = Duration::from_secs(MEASURE_TIMEOUT_S);
        timeout(patience, snapshot).await.ok()?.ok()
    }
}

impl Resends {
    /// Counts a request of a lost connection that is repeated on the next one.
    pub(super) fn connection_lost(&self) {
        self.connection_lost.add();
    }

    /// Counts a request that the hub refused temporarily and that is repeated.
    pub(super) fn refused(&self, failure: &Failure) {
        match failure.kind {
            FailureKind::Throttled => self.throttled.add(),
            _ => self.hub_failed.add(),
        }
    }

    /// Counts a request that the hub refused temporarily with too little time left to repeat it.
    pub(super) fn out_of_time(&self, failure: &Failure) {
        match failure.kind {
            FailureKind::Throttled => self.out_of_time_throttled.add(),
            _ => self.out_of_time_hub_failed.add(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_page_at_a_time_asks_the_controller_and_none_waits_for_ever() {
        let counters = Counters::new(None);
        let (sender, mut requests) = mpsc::channel(8);
        // A controller that does not come to it.
        let (first, second) = tokio::join!(counters.snapshot(&sender), counters.snapshot(&sender));
        assert!(first.is_none() && second.is_none());
        let mut asked = 0;
        while let Ok(Request::Look(Look::Measure { reply })) = requests.try_recv() {
            assert!(reply.is_closed(), "nobody waits any more");
            asked += 1;
        }
        assert_eq!(asked, 2);
        let looks = async {
            let Some(Request::Look(Look::Measure { reply })) = requests.recv().await else {
                panic!("asked for something else");
            };
            assert!(requests.is_empty(), "the other waits for its turn");
            drop(reply);
            requests.close();
        };
        tokio::join!(
            counters.snapshot(&sender),
            counters.snapshot(&sender),
            looks
        );
        assert!(
            counters.snapshot(&sender).await.is_none(),
            "the controller is gone"
        );
    }
}
