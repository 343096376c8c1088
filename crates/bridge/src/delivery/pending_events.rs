//! Events that arrive, wait, and end without an attempt.

use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::mutation::{Mutation, planted};

use super::event::{Deadline, Job, NoRoom, Offered, Outcome, Terms};
use super::lane::{Lane, LaneId, Turn, Waiting};
use super::origin::OriginId;
use super::timers::Timer;
use super::{Deliveries, LaneName};

impl<J: Job> Deliveries<J> {
    /// Queues an event behind the others of its lane.
    pub fn offer(&mut self, name: &LaneName, job: J, terms: &Terms, now: Duration) -> Offered {
        let lane = self.index.get(name).copied();
        let room = self.room(lane, terms);
        if let Err(no_room) = room {
            if !terms.merges {
                return Offered::Full(no_room);
            }
            if let Some(id) = lane
                && self.has_replaceable(id)
            {
                self.replace(id, job, terms.size_bytes);
                return Offered::Merged;
            }
        }
        // Without room it is accepted outside the shared memory, or the changes of many devices would take the room of other
        // receivers.
        let charged_bytes = room.map_or(0, |()| terms.size_bytes);
        let Some(origin) = self.origins.add_event(&terms.origin, charged_bytes) else {
            return Offered::Full(NoRoom::Origins);
        };
        self.bytes = self.bytes.saturating_add(terms.size_bytes);
        let event = Waiting {
            job,
            origin,
            size_bytes: terms.size_bytes,
            charged_bytes,
            deadline_rule: terms.deadline,
            merges: terms.merges,
            deadline: match terms.deadline {
                Deadline::Answer(deadline) | Deadline::Until(deadline) => Some(deadline),
                Deadline::FromFirstAttempt(_) => None,
            },
            attempts: 0,
            why: None,
        };
        match lane.and_then(|id| self.lanes.get_mut(&id)) {
            Some(lane) => lane.events.push_back(event),
            None => self.open_lane(name, event, now),
        }
        self.touched.extend(self.index.get(name).copied());
        Offered::Queued
    }

    /// Events of this lane go there from now on, those that wait included; `update` tells each of them.
    /// What rested after an attempt at another origin rests no longer.
    pub fn redirect(
        &mut self,
        name: &LaneName,
        origin: &Arc<str>,
        mut update: impl FnMut(&mut J),
        now: Duration,
    ) {
        let Some(id) = self.index.get(name).copied() else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        // Taken before the old ones are given back, so that entries that stay are not dropped.
        let events = lane.events.iter();
        let moved = events.map(|event| self.origins.add_event(origin, event.charged_bytes));
        let moved: Vec<Option<OriginId>> = moved.collect();
        let head = lane.events.front().map(|event| event.origin);
        if let (Turn::Ready { place }, Some(head)) = (lane.turn, head) {
            self.origins.dequeue(head, place);
        }
        let stays =
            head == moved.first().copied().flatten() && matches!(lane.turn, Turn::Resting { .. });
        let mut left = Vec::new();
        for (event, to) in lane.events.iter_mut().zip(moved) {
            // Without room for another origin it stays with the old one's limits; the URL counts all the same.
            if let Some(to) = to {
                let from = std::mem::replace(&mut event.origin, to);
                left.push((from, event.charged_bytes));
            }
            update(&mut event.job);
        }
        for (origin, charged_bytes) in left {
            self.origins.remove_event(origin, charged_bytes);
        }
        let waits = self.lanes.get(&id).is_some_and(|lane| !lane.is_under_way());
        if waits && !stays {
            self.ready(id, now);
        }
    }

    /// The events of this lane are no longer wanted: waiting events are finished, and the one in progress is not retried.
    pub fn withdraw(&mut self, name: &LaneName) {
        let Some(id) = self.index.get(name).copied() else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let begun = lane.begun();
        if let Turn::UnderWay(under_way) = &mut lane.turn {
            under_way.last = true;
        }
        while let Some(lane) = self.lanes.get_mut(&id)
            && lane.events.len() > begun
        {
            self.remove(id, begun, Outcome::Untried);
        }
        self.close_if_empty(id);
    }

    /// The moment for which a lane was to be woken up has come.
    pub(super) fn wake_lane(&mut self, id: LaneId, at: Duration, now: Duration) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if lane.timer != Some(at) {
            return;
        }
        lane.timer = None;
        self.touched.push(id);
        self.expire(id, now);
        let Some(lane) = self.lanes.get(&id) else {
            return;
        };
        if matches!(lane.turn, Turn::Resting { until } if until <= now) {
            self.ready(id, now);
        }
    }

    /// Late events that wait in the lane are finished.
    pub(super) fn expire(&mut self, id: LaneId, now: Duration) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let begun = lane.begun();
        let mut index = begun;
        let mut head_went = false;
        while let Some(lane) = self.lanes.get_mut(&id) {
            let Some(event) = lane.events.get_mut(index) else {
                break;
            };
            if event.deadline.is_none_or(|deadline| deadline > now)
                || planted(Mutation::LateIsTried)
            {
                index += 1;
            } else if event.attempts == 0
                && matches!(event.deadline_rule, Deadline::FromFirstAttempt(_))
                && self.origins.is_closed(event.origin)
            {
                // Its origin answers again: it has all the time that its turn takes.
                event.deadline = None;
                index += 1;
            } else {
                head_went |= index == 0;
                let end = event.end();
                self.remove(id, index, end);
            }
        }
        if !self.close_if_empty(id) && head_went {
            self.ready(id, now);
        }
    }

    /// It is the turn of the lane's first event; it gets the last place at its origin.
    pub(super) fn ready(&mut self, id: LaneId, now: Duration) {
        let place = self.serial();
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(origin) = lane.events.front().map(|event| event.origin) else {
            return;
        };
        lane.turn = Turn::Ready { place };
        self.touched.push(id);
        self.origins.enqueue(origin, place, id, now);
    }

    /// Sets the moment that the lane waits for, if it waits for any.
    pub(super) fn arm(&mut self, id: LaneId, now: Duration) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if let (Turn::Ready { .. }, Some(event)) = (lane.turn, lane.events.front_mut())
            && let Deadline::FromFirstAttempt(time) = event.deadline_rule
            && event.deadline.is_none()
            && !self.origins.is_closed(event.origin)
        {
            event.deadline = Some(now + time);
        }
        if let Some(at) = lane.next_timer()
            && lane.timer.is_none_or(|set| at < set)
        {
            lane.timer = Some(at);
            self.timers.set(at, Timer::Lane(id));
        }
    }

    /// Removes an event from its lane and reports it to the owner.
    pub(super) fn remove(&mut self, id: LaneId, index: usize, outcome: Outcome) {
        if let Some(event) = self.take(id, index) {
            self.finished.push_back(event.finished(outcome));
        }
    }

    /// Takes an event out of its lane, and what waits first out of its origin's queue with it.
    pub(super) fn take(&mut self, id: LaneId, index: usize) -> Option<Waiting<J>> {
        let lane = self.lanes.get_mut(&id)?;
        let event = lane.events.remove(index)?;
        if let (0, Turn::Ready { place }) = (index, lane.turn) {
            self.origins.dequeue(event.origin, place);
        }
        self.bytes = self.bytes.saturating_sub(event.size_bytes);
        self.origins.remove_event(event.origin, event.charged_bytes);
        Some(event)
    }

    /// Whether the lane is gone, with its last event.
    pub(super) fn close_if_empty(&mut self, id: LaneId) -> bool {
        match self.lanes.get(&id) {
            Some(lane) if lane.events.is_empty() => {}
            lane => return lane.is_none(),
        }
        if let Some(lane) = self.lanes.remove(&id) {
            self.index.remove(&lane.name);
        }
        true
    }

    fn open_lane(&mut self, name: &LaneName, event: Waiting<J>, now: Duration) {
        let id = LaneId(self.serial());
        let lane = Lane {
            name: name.clone(),
            events: [event].into(),
            turn: Turn::Ready { place: 0 },
            timer: None,
        };
        self.lanes.insert(id, Box::new(lane));
        self.index.insert(name.clone(), id);
        self.ready(id, now);
    }

    fn room(&self, lane: Option<LaneId>, terms: &Terms) -> Result<(), NoRoom> {
        let lane = lane.and_then(|id| self.lanes.get(&id));
        if lane.is_some_and(|lane| lane.events.len() >= self.config.events_per_lane) {
            return Err(NoRoom::Lane);
        }
        let most = self.config.bytes;
        match self
            .origins
            .has_share(&terms.origin, terms.size_bytes, most)
        {
            true => Ok(()),
            false if planted(Mutation::NoRoomMisnamed) => Err(NoRoom::Lane),
            false => Err(NoRoom::Share),
        }
    }

    fn has_replaceable(&mut self, id: LaneId) -> bool {
        let lane = self.lanes.get_mut(&id);
        lane.is_some_and(|lane| lane.replaceable().is_some())
    }

    fn replace(&mut self, id: LaneId, job: J, size_bytes: usize) {
        let Some(event) = self.lanes.get_mut(&id).and_then(|lane| lane.replaceable()) else {
            return;
        };
        event.job.replace(job);
        self.bytes = self.bytes.saturating_sub(event.size_bytes);
        self.bytes = self.bytes.saturating_add(size_bytes);
        event.size_bytes = size_bytes;
    }
}
