//! Opening and closing devices, as the fleet decides.

use std::time::Duration;

use drawspan_fleet::device::OpenOptions;
use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_fleet::{self as fleet, News, ServiceId};
use drawspan_hub::{AttemptId, DeviceId, Failure, FailureKind, Links};

use super::Controller;
use super::action::{Action, Location, Open};
use super::context::Member;
use super::input::Command;
use super::platform::Platform;
use super::pool::Pool;
use crate::limits;

impl<P: Platform> Controller<P> {
    /// Does what the fleet wants done. False if that was nothing.
    pub(super) fn act_for_fleet(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.fleet.action() {
            any = true;
            match action {
                fleet::Action::Provision { device, epoch } => {
                    if let Some(id) = self.fleet.id(device).cloned() {
                        let now = self.now.monotonic;
                        self.registrations.provision(id, device, epoch, now);
                        self.start_registrations();
                    }
                }
                fleet::Action::Register { registration } => self.register_now(registration),
                fleet::Action::Open {
                    attempt,
                    hub,
                    options,
                } => self.open(attempt, hub, options),
                fleet::Action::Close { attempt } => self.close(attempt),
                fleet::Action::StatusChanged {
                    device,
                    id,
                    status,
                    reason,
                    why,
                    is_new,
                    session,
                } => {
                    let words = (status, reason);
                    let change = self.connection_changed(device, &id, words, why, session);
                    if is_new {
                        self.status_changed(&id, change);
                    }
                }
                fleet::Action::News(service, news) => {
                    if news == News::QuotaRestored {
                        self.messages_taken(service);
                    }
                    let failure = self.fleet.last_failure_of(service).cloned();
                    self.act(Action::ServiceNews(service, news, failure));
                }
                fleet::Action::TurnAway(service) => self.turn_away(service),
                fleet::Action::MayWaitInVain(device) => self.refuse_hopeless(device),
                fleet::Action::TurnAwayDevice(device) => self.turn_away_device(device),
            }
        }
        any
    }

    fn open(&mut self, attempt: AttemptId, hub: ServiceId, options: OpenOptions) {
        let now = self.now;
        let index = attempt.device;
        let (Some(device), Some(id)) = (self.identity(index), self.fleet.id(index).cloned()) else {
            debug_assert!(false, "an attempt of a device that is not there");
            return;
        };
        let machine = self.fleet.machine(index);
        let permanent = machine.is_some_and(|machine| machine.is_permanent());
        let token_life_s = self.token_life(permanent);
        let wants = self.wanted_links(index);
        self.ensure_pool(hub);
        let (Some(pool), Some(context)) = (self.pools.get_mut(&hub), self.fleet.context_mut(index))
        else {
            debug_assert!(false, "a device without context");
            return;
        };
        let usual = context.key.unwrap_or(pool.key);
        let key = if options.fresh_token {
            usual.other()
        } else {
            usual
        };
        context.key = Some(key);
        context.told = wants;
        context.up = Links::default();
        pool.counters.attempts += 1;
        let not = if options.other_connection {
            context.full
        } else {
            None
        };
        let Some((connection, member)) = pool.place(index, &device, not, now.monotonic) else {
            return self.no_place(attempt, hub);
        };
        context.place = Some(Member {
            hub,
            connection,
            member,
            token_life_s: Some(token_life_s),
            session: None,
        });
        self.look_for_room(hub);
        let Some(host) = self.fleet.host(hub).cloned() else {
            debug_assert!(false, "a hub without a host");
            return;
        };
        self.act(Action::Open(Box::new(Open {
            place: Location {
                attempt,
                hub,
                connection,
                session: (),
            },
            host,
            registration: (device != id).then_some(id),
            device,
            key,
            token_life_s,
            wants,
        })));
    }

    /// All connections are full. Its callers do not wait for what an operator has to change.
    fn no_place(&mut self, attempt: AttemptId, hub: ServiceId) {
        let Some(pool) = self.pools.get_mut(&hub) else {
            return;
        };
        let (failure, is_news) = pool.no_place();
        self.note_failure(attempt.device, &failure);
        self.fleet.not_placed(attempt, &failure, self.now);
        self.refuse_hopeless(attempt.device);
        if is_news {
            self.act(Action::ServiceNews(hub, News::Full, Some(failure)));
        }
    }

    /// Reports when there is room again at a hub whose connections were full.
    pub(super) fn look_for_room(&mut self, hub: ServiceId) {
        let pool = self.pools.get_mut(&hub);
        if pool.is_some_and(Pool::has_room_again) {
            self.act(Action::ServiceNews(hub, News::HasRoom, None));
        }
    }

    fn close(&mut self, attempt: AttemptId) {
        self.forget_route(attempt.device);
        let member = self
            .fleet
            .context(attempt.device)
            .and_then(|context| context.place);
        match member {
            Some(member) => self.act(Action::Close(Location {
                attempt,
                hub: member.hub,
                connection: member.connection,
                session: member.session,
            })),
            // Without a connection, there is nothing to close.
            None => self.fleet.closed(attempt, self.now),
        }
    }

    /// A command could not be given to a connection. It is over, and says so, or has too much to do.
    pub(super) fn busy(&mut self, attempt: AttemptId, command: Command) {
        if !self.fleet.is_current(attempt) {
            return;
        }
        let now = self.now;
        match command {
            Command::Open => {
                let text = "the connection is over, or has too much to do";
                let failure = Failure::own(FailureKind::ConnectionLost, text);
                let place = self.fleet.context(attempt.device).and_then(|it| it.place);
                if let Some(pool) = place.and_then(|place| self.pools.get_mut(&place.hub)) {
                    pool.counters.failures.add(failure.kind);
                }
                self.leave(attempt.device);
                self.note_failure(attempt.device, &failure);
                self.fleet.ended(attempt, &failure, now);
            }
            Command::Close => {
                // No connection is left to answer; if the session still exists, the hub gives the device to the next one.
                self.leave(attempt.device);
                self.fleet.closed(attempt, now);
            }
            Command::Want => self.want_again(attempt),
        }
    }

    /// The device is on no connection any more.
    pub(super) fn leave(&mut self, index: u32) {
        self.forget_route(index);
        let identity = self.identity(index);
        let place = self
            .fleet
            .context_mut(index)
            .and_then(|context| context.place.take());
        let (Some(identity), Some(place)) = (identity, place) else {
            return;
        };
        // The token may be older than its whole life from now, never younger.
        let life = place.token_life_s.map(u64::from);
        let slot_until = life.map(|life| self.now.monotonic + Duration::from_secs(life));
        let Some(pool) = self.pools.get_mut(&place.hub) else {
            debug_assert!(false, "a device on a connection of no pool");
            return;
        };
        let left = pool.leave(place.connection, place.member, &identity, slot_until);
        let moved = left
            .moved
            .and_then(|moved| self.fleet.context_mut(moved)?.place.as_mut());
        if let Some(moved) = moved {
            moved.member = place.member;
        }
        if left.is_empty {
            self.act(Action::Drop(place.hub, place.connection));
        }
        self.look_for_room(place.hub);
    }

    pub(super) fn forget_route(&mut self, index: u32) {
        let context = self.fleet.context_mut(index);
        let had_route = context.is_some_and(|context| {
            // A held message returns to the hub.
            context.pulls.take_if(|pulls| pulls.is_disconnected());
            context.route.take().is_some()
        });
        if had_route
            && !planted(Mutation::RouteKept)
            && let Some(id) = self.fleet.id(index).cloned()
        {
            self.act(Action::Withdraw(id));
        }
    }

    /// The name under which the hub knows the device.
    #[must_use]
    pub fn identity(&self, index: u32) -> Option<DeviceId> {
        let assigned = self.fleet.context(index)?.assigned.clone();
        assigned.or_else(|| self.fleet.id(index).cloned())
    }

    /// The place of an attempt that is not over, with its last session.
    pub(super) fn place_of(
        &self,
        attempt: AttemptId,
        session: P::Session,
    ) -> Option<Location<P::Session>> {
        if !self.fleet.is_current(attempt) {
            return None;
        }
        let member = self.fleet.context(attempt.device)?.place?;
        Some(Location {
            attempt,
            hub: member.hub,
            connection: member.connection,
            session,
        })
    }

    /// The place of a device with a session.
    pub(super) fn open_place(&self, index: u32) -> Option<Location<P::Session>> {
        let attempt = self.fleet.attempt(index)?;
        let session = self.fleet.context(index)?.place?.session?;
        self.place_of(attempt, session)
    }

    fn ensure_pool(&mut self, hub: ServiceId) {
        if self.pools.contains_key(&hub) {
            return;
        }
        let Some(host) = self.fleet.host(hub).cloned() else {
            return;
        };
        self.pools.insert(hub, Pool::new(self.pool));
        self.act(Action::Service(hub, host));
    }

    /// Devices that leave soon get short tokens, so that their slots are free soon.
    fn token_life(&mut self, permanent: bool) -> u32 {
        if permanent {
            return self.token_life_s;
        }
        let (least, most) = (
            limits::TEMPORARY_TOKEN_LIFE_MIN,
            limits::TEMPORARY_TOKEN_LIFE_MAX,
        );
        let life = self.chance.draw().between(least, most).as_secs();
        u32::try_from(life)
            .unwrap_or(self.token_life_s)
            .min(self.token_life_s)
    }
}
