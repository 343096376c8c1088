//! What the fleet wants done.

use std::time::Duration;

use drawspan_bridge::device::How;
use drawspan_bridge::fleet::{Action, Attempt, News, ServiceId};
use drawspan_client::peer_clock;
use drawspan_client::{ConnectionConfig, Open, Owner};
use drawspan_hub::{DeviceId, Failure, FailureKind, HostName, Links};
use drawspan_net::Connector;

use super::Shell;
use crate::limits;
use crate::runtime::beside::Place;
use crate::runtime::pool::Pool;

impl Shell {
    /// Carries out everything. False if there was nothing.
    pub(super) fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.fleet.action() {
            any = true;
            match action {
                Action::Provision { device, epoch } => {
                    if let Some(id) = self.fleet.id(device).cloned() {
                        self.parts.registrations.provision(id, device, epoch);
                    }
                }
                Action::Register { registration } => {
                    if !self.parts.registrations.allowed(registration) {
                        self.fleet.registration_abandoned(self.now());
                    }
                }
                Action::Open { attempt, hub, how } => self.open(attempt, hub, how),
                Action::Close { attempt } => self.close(attempt),
                Action::StatusChanged {
                    id, status, reason, ..
                } => self.status_changed(&id, status, reason),
                Action::News(service, news) => self.news_of(service, news),
                Action::TurnAway(service) => self.turn_away(service),
            }
        }
        any
    }

    fn open(&mut self, attempt: Attempt, hub: ServiceId, how: How) {
        let now = self.now();
        let index = attempt.device;
        let (Some(identity), Some(id)) = (self.identity(index), self.fleet.id(index).cloned())
        else {
            return;
        };
        let permanent = self
            .fleet
            .machine(index)
            .is_some_and(|machine| machine.is_permanent());
        let token_life_s = self.token_life_s(permanent);
        let wants = self.wanted_links(index);
        self.ensure_pool(hub);
        let (Some(pool), Some(beside)) = (self.pools.get_mut(&hub), self.fleet.beside_mut(index))
        else {
            return;
        };
        let usual = beside.key.unwrap_or(pool.key);
        let key = if how.fresh_token {
            usual.other()
        } else {
            usual
        };
        beside.key = Some(key);
        beside.told = wants;
        beside.up = Links::default();
        pool.tally.attempts += 1;
        let not = if how.other_connection {
            beside.full
        } else {
            None
        };
        let Some(placed) = pool.place(index, &identity, not, now.monotonic) else {
            let text = "all connections to the hub that max_connections allows are full";
            let failure = Failure::local(FailureKind::QueueFull, text);
            pool.tally.failures.add(failure.kind);
            return self.fleet.ended(attempt, &failure, now);
        };
        beside.place = Some(Place {
            hub,
            connection: placed.key,
            member: placed.member,
            token_life_s: Some(token_life_s),
            session: None,
        });
        let open = Open {
            owner: owner(attempt),
            registration: (identity != id).then_some(id),
            device: identity,
            key,
            token_life_s,
            wants,
        };
        if !placed.connection.open(open) {
            let text = "the connection is over, or has too much to do";
            let failure = Failure::local(FailureKind::ConnectionLost, text);
            pool.tally.failures.add(failure.kind);
            self.leave(index, now.monotonic);
            self.fleet.ended(attempt, &failure, now);
        }
    }

    fn close(&mut self, attempt: Attempt) {
        self.forget_route(attempt.device);
        let place = self
            .fleet
            .beside(attempt.device)
            .and_then(|beside| beside.place);
        let closes = place.is_some_and(|place| {
            let pool = self.pools.get(&place.hub);
            let connection = pool.and_then(|pool| pool.get(place.connection));
            connection.is_some_and(|connection| connection.close(owner(attempt), place.session))
        });
        if !closes {
            // Nobody is left to answer; should the session still stand, the hub gives the device to the next one.
            let now = self.now();
            self.leave(attempt.device, now.monotonic);
            self.fleet.closed(attempt, now);
        }
    }

    /// The device is on no connection any more.
    pub(super) fn leave(&mut self, index: u32, now: Duration) {
        self.forget_route(index);
        let identity = self.identity(index);
        let place = self
            .fleet
            .beside_mut(index)
            .and_then(|beside| beside.place.take());
        let (Some(identity), Some(place)) = (identity, place) else {
            return;
        };
        // The token may be older than its whole life from now, never younger.
        let life = place.token_life_s.map(u64::from);
        let slot_until = life.map(|life| now + Duration::from_secs(life));
        let moved = self
            .pools
            .get_mut(&place.hub)
            .and_then(|pool| pool.leave(place.connection, place.member, &identity, slot_until));
        let moved = moved.and_then(|moved| self.fleet.beside_mut(moved)?.place.as_mut());
        if let Some(moved) = moved {
            moved.member = place.member;
        }
    }

    pub(super) fn forget_route(&mut self, index: u32) {
        let beside = self.fleet.beside_mut(index);
        let had_route = beside.is_some_and(|beside| {
            // What it held goes back to the hub.
            beside.pulls.take_if(|pulls| pulls.is_disconnected());
            beside.route.take().is_some()
        });
        if had_route && let Some(id) = self.fleet.id(index) {
            self.parts.directory.remove(id);
        }
    }

    /// The name under which the hub knows the device.
    pub(super) fn identity(&self, index: u32) -> Option<DeviceId> {
        let assigned = self.fleet.beside(index)?.assigned.clone();
        assigned.or_else(|| self.fleet.id(index).cloned())
    }

    fn ensure_pool(&mut self, hub: ServiceId) {
        if self.pools.contains_key(&hub) {
            return;
        }
        let Some(host) = self.fleet.host(hub) else {
            return;
        };
        self.parts.health.add(hub, host);
        let parts = &self.parts;
        let config = ConnectionConfig {
            pool: hub.number(),
            host: host.clone(),
            credentials: parts.credentials.clone(),
            connector: parts.connector.clone(),
            transport: parts.transport,
            clock: parts.clock,
            board: parts.board.clone(),
            inbox: parts.inbox.clone(),
        };
        let pool = Pool::new(config, parts.hub_size, parts.max_connections);
        self.pools.insert(hub, pool);
    }

    /// Devices that leave soon get short tokens, so that their slots are free soon.
    fn token_life_s(&mut self, permanent: bool) -> u32 {
        if permanent {
            return self.parts.token_life_s;
        }
        let least = Duration::from_secs(limits::TEMPORARY_TOKEN_LIFE_MIN_S.into());
        let most = Duration::from_secs(limits::TEMPORARY_TOKEN_LIFE_MAX_S.into());
        let life = self.chance.draw().between(least, most).as_secs();
        u32::try_from(life).unwrap_or(limits::TEMPORARY_TOKEN_LIFE_MAX_S)
    }

    fn news_of(&self, service: ServiceId, news: News) {
        let failure = self.fleet.trouble_of(service);
        self.parts.health.news(service, news, failure);
        let Some(host) = self.fleet.host(service) else {
            return;
        };
        let reason = failure.map(Failure::to_string).unwrap_or_default();
        match news {
            News::Unreachable => tracing::warn!(%host, %reason, "cannot be reached"),
            News::Reachable => tracing::info!(%host, "can be reached again"),
            News::RefusesCredentials => {
                tracing::warn!(%host, %reason, "refuses the credentials, and has accepted none since the start");
            }
            News::RefusesEveryone => {
                tracing::error!(%host, %reason, "refuses the credentials of many devices");
            }
            News::TakesCredentials => tracing::info!(%host, "takes credentials again"),
            News::Silent => {
                tracing::warn!(%host, %reason, "takes connections, and does not answer");
            }
            News::Failing => tracing::warn!(%host, %reason, "answers with faults of its own"),
            News::Recovered => tracing::info!(%host, "answers as it should again"),
        }
        let refuses = matches!(news, News::RefusesCredentials | News::RefusesEveryone);
        if refuses && service != ServiceId::DPS {
            tokio::spawn(look_at_clock(self.parts.connector.clone(), host.clone()));
        }
    }
}

/// An attempt as connections know it.
pub(super) const fn owner(attempt: Attempt) -> Owner {
    Owner {
        index: attempt.device,
        epoch: attempt.serial,
    }
}

/// Says which of the two it is: the clock, or the key. (DPS writes the time into each of its answers, which say so themselves.)
async fn look_at_clock(connector: Connector, host: HostName) {
    match peer_clock::skew(&connector, &host).await {
        Some(skew) if skew.matters() => {
            tracing::error!("this machine's clock is {skew} that of {host}: set it");
        }
        Some(_) => tracing::error!("the clocks of this machine and {host} agree: look at the key"),
        None => tracing::error!("look at the key for {host}, and at this machine's clock"),
    }
}
