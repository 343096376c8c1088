//! The reports about hubs and DPS, and the requests to them: no more than their paces allow, and one probe at a time while they are
//! down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drawspan_fleet::governor::Pace;
use drawspan_fleet::{News, ServiceId};

use crate::check::outage::Outage;
use crate::check::pace::Bucket;
use crate::check::{Violation, ensure};
use crate::scenario::Scenario;

/// All hubs, and DPS.
#[derive(Debug)]
pub(super) struct Services {
    hub_pace: Pace,
    dps_pace: Pace,
    gone_after: Duration,
    paces: BTreeMap<ServiceId, Bucket>,
    outages: BTreeMap<ServiceId, Outage>,
    /// Those that were said to refuse everyone.
    refusing: BTreeSet<ServiceId>,
    /// Those whose devices may ask DPS, since they could not be reached for long or devices moved from there.
    gone: BTreeSet<ServiceId>,
}

impl Services {
    pub(super) const fn new(scenario: &Scenario) -> Self {
        Self {
            hub_pace: scenario.hub_pace,
            dps_pace: scenario.dps_pace,
            gone_after: scenario.gone_after,
            paces: BTreeMap::new(),
            outages: BTreeMap::new(),
            refusing: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    /// An attempt starts at a hub, or at DPS.
    pub(super) fn starts(
        &mut self,
        service: ServiceId,
        who: &str,
        now: Duration,
    ) -> Result<(), Violation> {
        self.pace(service).starts(who, now)?;
        self.outages.entry(service).or_default().starts(who, now)
    }

    fn pace(&mut self, service: ServiceId) -> &mut Bucket {
        let pace = match service == ServiceId::DPS {
            true => self.dps_pace,
            false => self.hub_pace,
        };
        let bucket = self.paces.entry(service);
        bucket.or_insert_with(|| Bucket::new(pace))
    }

    /// Who queues is let through as soon as the pace allows it.
    pub(super) fn withheld(
        &mut self,
        service: ServiceId,
        queued: usize,
        now: Duration,
    ) -> Result<(), Violation> {
        let outage = self.outages.get(&service).is_some_and(Outage::lasts);
        let held_up = outage || self.refusing.contains(&service);
        let room = self.pace(service).has_room(now);
        ensure(queued == 0 || held_up || !room, "WITHHELD", || {
            format!("{queued} devices queue at {service:?}, which takes more")
        })
    }

    pub(super) fn down_for(&self, service: ServiceId, now: Duration) -> Option<Duration> {
        self.outages.get(&service)?.lasted(now)
    }

    pub(super) fn refuses(&self, service: ServiceId) -> bool {
        self.refusing.contains(&service)
    }

    pub(super) fn is_gone(&self, service: ServiceId) -> bool {
        self.gone.contains(&service)
    }

    pub(super) fn goes(&mut self, service: Option<ServiceId>) {
        self.gone.extend(service);
    }

    pub(super) fn hear(&mut self, service: ServiceId, news: News, now: Duration) {
        let outage = self.outages.entry(service).or_default();
        match news {
            News::Unreachable => outage.begins(now),
            News::Reachable => {
                // A device that was on its way there may ask still.
                if outage.lasted(now) >= Some(self.gone_after) {
                    self.gone.insert(service);
                }
                outage.ends();
            }
            News::RefusesEveryone => _ = self.refusing.insert(service),
            News::TakesCredentials => _ = self.refusing.remove(&service),
            News::RefusesCredentials
            | News::Silent
            | News::Failing
            | News::Recovered
            | News::Full
            | News::HasRoom
            | News::QuotaExceeded
            | News::QuotaRestored => {}
        }
    }
}
