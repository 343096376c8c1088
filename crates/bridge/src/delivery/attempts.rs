//! The beginning and end of attempts.

use std::time::Duration;

use drawspan_fleet::mutation::{Mutation, planted};

use super::breaker::{OriginNews, Sign};
use super::event::{
    AttemptOutcome, Deadline, DeliveryAttempt, Finished, Job, News, Outcome, Start,
};
use super::lane::{LaneId, Turn, UnderWay};
use super::schedule::{self, Next};
use super::{AttemptFailure, Deliveries};
use crate::limits;

impl<J: Job> Deliveries<J> {
    /// The next attempt to make, as far as there may be one more.
    pub fn begin(&mut self, now: Duration) -> Option<Start<'_, J>> {
        while self.under_way < self.config.attempts {
            let id = self.origins.next_turn(now)?;
            if let Some((attempt, timeout)) = self.begin_in(id, now) {
                let lane = self.lanes.get(&id)?;
                let event = lane.events.front()?;
                return Some(Start {
                    attempt,
                    lane: &lane.name,
                    origin: self.origins.name(event.origin)?,
                    job: &event.job,
                    timeout,
                });
            }
        }
        None
    }

    fn begin_in(&mut self, id: LaneId, now: Duration) -> Option<(DeliveryAttempt, Duration)> {
        let serial = self.serial();
        let lane = self.lanes.get_mut(&id)?;
        let event = lane.events.front_mut()?;
        let origin = event.origin;
        if event.attempts == 0
            && let Deadline::FromFirstAttempt(time) = event.deadline_rule
        {
            event.deadline = Some(now + time);
        }
        if event.deadline.is_some_and(|deadline| deadline <= now) && !planted(Mutation::LateIsTried)
        {
            // The next of its lane, if there is one, queues again.
            self.expire(id, now);
            self.origins.again(origin, now);
            return None;
        }
        event.attempts += 1;
        let left = event.deadline.map_or(limits::ATTEMPT_TIMEOUT, |deadline| {
            deadline.saturating_sub(now)
        });
        let timeout = left.min(limits::ATTEMPT_TIMEOUT);
        lane.turn = Turn::UnderWay(UnderWay {
            serial,
            origin,
            hurried: timeout < limits::TELLING_TIMEOUT,
            last: false,
        });
        self.touched.push(id);
        self.under_way += 1;
        self.origins.begins(origin, serial, now);
        Some((DeliveryAttempt { lane: id, serial }, timeout))
    }

    /// An attempt is over; the result of its event, if that is finished, too.
    pub fn done(
        &mut self,
        attempt: DeliveryAttempt,
        answer: AttemptOutcome,
        now: Duration,
    ) -> Option<Finished<J>> {
        let id = attempt.lane;
        let lane = self.lanes.get_mut(&id)?;
        let Turn::UnderWay(under_way) = lane.turn else {
            return None;
        };
        if under_way.serial != attempt.serial {
            return None;
        }
        self.under_way = self.under_way.saturating_sub(1);
        let sign = sign(&answer, under_way.hurried);
        let news = self
            .origins
            .ends(under_way.origin, under_way.serial, sign, now);
        if let Some((origin, change)) = news {
            if change == OriginNews::LeftAlone {
                // Their time runs from now on.
                self.touched.extend(self.origins.ready(under_way.origin));
            }
            let why = match &answer {
                AttemptOutcome::Failed { why, .. } => Some(why.clone()),
                AttemptOutcome::Taken | AttemptOutcome::Refused(_) => None,
            };
            self.news.push_back(News {
                origin,
                change,
                why,
            });
        }
        let end = match answer {
            AttemptOutcome::Taken => Some(Outcome::Taken),
            AttemptOutcome::Refused(status) => Some(Outcome::Refused(status)),
            AttemptOutcome::Failed { why, retry_after } => {
                self.failed(id, under_way, why, retry_after, now)
            }
        };
        let over = end.and_then(|end| self.take(id, 0).map(|event| event.finished(end)));
        if over.is_some() && !self.close_if_empty(id) {
            self.ready(id, now);
        }
        over
    }

    /// Lets the event rest, or tells its end.
    fn failed(
        &mut self,
        id: LaneId,
        under_way: UnderWay,
        why: AttemptFailure,
        retry_after: Option<Duration>,
        now: Duration,
    ) -> Option<Outcome> {
        let jitter = self.chance.draw();
        let lane = self.lanes.get_mut(&id)?;
        let event = lane.events.front_mut()?;
        let next = schedule::next(
            event.attempts,
            self.config.retry_limit,
            retry_after,
            event.deadline.unwrap_or(now),
            matches!(event.deadline_rule, Deadline::Answer(_)),
            now,
            jitter,
        );
        let until = match next {
            Next::Over => return Some(Outcome::Failed(why)),
            Next::TryAt(_) | Next::WaitForEnd(_) if under_way.last => {
                return Some(Outcome::Failed(why));
            }
            Next::TryAt(at) | Next::WaitForEnd(at) => at,
        };
        event.why = Some(why);
        if planted(Mutation::RetryOvertaken) {
            lane.events.rotate_left(1);
        }
        // It was sent elsewhere meanwhile: that place has not asked for any wait.
        let moved = lane
            .events
            .front()
            .is_some_and(|event| event.origin != under_way.origin);
        lane.turn = Turn::Resting { until };
        if moved {
            self.ready(id, now);
        }
        self.touched.push(id);
        None
    }
}

/// The meaning of an answer for its origin.
const fn sign(answer: &AttemptOutcome, hurried: bool) -> Sign {
    match answer {
        AttemptOutcome::Taken | AttemptOutcome::Refused(_) => Sign::Answers,
        AttemptOutcome::Failed {
            why: AttemptFailure::TimedOut,
            ..
        } if hurried => Sign::Nothing,
        AttemptOutcome::Failed { retry_after, .. } => Sign::Fails {
            retry_after: *retry_after,
        },
    }
}
