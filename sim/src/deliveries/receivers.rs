//! Receivers of all kinds.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::delivery::{AttemptFailure, AttemptOutcome};

use crate::dice::Dice;

#[derive(Debug, Clone, Copy)]
enum Mood {
    Quick,
    Slow,
    Hangs,
    Fails,
    Refuses,
    AsksToWait(u64),
    Fickle,
    Absent,
}

#[derive(Debug)]
pub(super) struct Receiver {
    name: Arc<str>,
    mood: Mood,
}

impl Receiver {
    pub(super) fn new(number: usize) -> Self {
        Self {
            name: format!("http://r{number}:80").into(),
            mood: Mood::Quick,
        }
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) const fn recover(&mut self) {
        self.mood = Mood::Quick;
    }

    pub(super) const fn hang(&mut self) {
        self.mood = Mood::Hangs;
    }

    pub(super) fn change(&mut self, dice: &mut Dice) {
        self.mood = match dice.below(10) {
            0..=2 => Mood::Quick,
            3 => Mood::Slow,
            4 => Mood::Hangs,
            5 => Mood::Fails,
            6 => Mood::Refuses,
            7 => Mood::AsksToWait(dice.below(130) as u64),
            8 => Mood::Fickle,
            _ => Mood::Absent,
        };
    }

    /// How long it takes, and its result.
    pub(super) fn answer(&self, dice: &mut Dice, timeout: Duration) -> (Duration, AttemptOutcome) {
        let failed = |why, retry_after| AttemptOutcome::Failed { why, retry_after };
        let ms = |least, spread, dice: &mut Dice| {
            Duration::from_millis((least + dice.below(spread)) as u64)
        };
        let (takes, answer) = match self.mood {
            Mood::Quick => (ms(1, 10, dice), AttemptOutcome::Taken),
            Mood::Slow => (ms(100, 3_000, dice), AttemptOutcome::Taken),
            Mood::Hangs => (Duration::MAX, AttemptOutcome::Taken),
            Mood::Fails => (ms(1, 10, dice), failed(AttemptFailure::Status(503), None)),
            Mood::Refuses => (ms(1, 10, dice), AttemptOutcome::Refused(404)),
            Mood::AsksToWait(seconds) => {
                let asked = Some(Duration::from_secs(seconds));
                (ms(1, 10, dice), failed(AttemptFailure::Status(429), asked))
            }
            Mood::Fickle if dice.below(2) == 0 => (ms(1, 500, dice), AttemptOutcome::Taken),
            Mood::Fickle => (ms(1, 500, dice), failed(AttemptFailure::Status(500), None)),
            Mood::Absent => (
                Duration::ZERO,
                failed(AttemptFailure::Unreachable("refused".into()), None),
            ),
        };
        if takes >= timeout {
            return (timeout, failed(AttemptFailure::TimedOut, None));
        }
        (takes, answer)
    }
}
