//! What an owner does who must not lose an event: it sets aside what found no room, and offers it again.

use std::time::Duration;

use drawspan_bridge::delivery::{Deliveries, LaneName, NoRoom};

use super::Numbered;

/// Lanes for which an event was refused, one entry each: what is offered later covers all that was refused.
#[derive(Debug, Default)]
pub(super) struct Aside(Vec<(LaneName, Until)>);

/// What takes a lane up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The end of an event that waits in the lane.
    End,
    /// A timer.
    At(Duration),
}

impl Aside {
    /// `again`: when to come back if only time helps.
    pub(super) fn put(&mut self, lane: &LaneName, no_room: NoRoom, again: Duration) {
        let until = match no_room {
            NoRoom::Lane => Until::End,
            NoRoom::Share | NoRoom::Origins => Until::At(again),
        };
        match self.0.iter_mut().find(|(of, _)| of == lane) {
            // A pending timer suffices, regardless of other work.
            Some((_, Until::At(_))) => {}
            Some((_, before)) => *before = until,
            None => self.0.push((lane.clone(), until)),
        }
    }

    /// Removes a lane whose events are not wanted any more.
    pub(super) fn forget(&mut self, lane: &LaneName) {
        self.0.retain(|(of, _)| of != lane);
    }

    /// An event of this lane is over: whether one is to be offered again.
    pub(super) fn ended(&mut self, lane: &LaneName, is_idle: bool) -> bool {
        let takes_up = is_idle && self.0.contains(&(lane.clone(), Until::End));
        if takes_up {
            self.forget(lane);
        }
        takes_up
    }

    /// The next lane whose timer has come. One where events wait is taken up when these are over.
    pub(super) fn next_due(
        &mut self,
        now: Duration,
        deliveries: &Deliveries<Numbered>,
    ) -> Option<LaneName> {
        let due = |until: Until| matches!(until, Until::At(at) if at <= now);
        while let Some(at) = self.0.iter().position(|(_, until)| due(*until)) {
            let (lane, _) = self.0.swap_remove(at);
            if deliveries.is_idle(&lane) {
                return Some(lane);
            }
            self.0.push((lane, Until::End));
        }
        None
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let timers = self.0.iter().filter_map(|(_, until)| match until {
            Until::At(at) => Some(*at),
            Until::End => None,
        });
        timers.min()
    }

    /// Whatever is set aside has a timer, or an event in its lane whose end takes it up.
    pub(super) fn holds(&self, deliveries: &Deliveries<Numbered>) -> Result<(), String> {
        let forgotten =
            |(lane, until): &&(LaneName, Until)| *until == Until::End && deliveries.is_idle(lane);
        match self.0.iter().find(forgotten) {
            Some((lane, _)) => Err(format!("{lane:?} waits for an event that never comes")),
            None => Ok(()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
