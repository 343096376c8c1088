//! One seed, from its scenario to its verdict.

use std::fmt;
use std::time::Duration;

use crate::check::Violation;
use crate::scenario::Scenario;
use crate::tally::Tally;
use crate::world::World;

/// Events after which a run is not waited for, however it fares: a seed that needs so many goes round in circles.
const MOST_EVENTS: usize = 3_000_000;

/// What a run showed.
#[derive(Debug, Clone)]
pub struct Report {
    /// Devices there were.
    pub devices: usize,
    /// Events that happened.
    pub events: usize,
    /// Virtual time that passed.
    pub length: Duration,
    /// What happened.
    pub tally: Tally,
}

/// An invariant that a run broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The run.
    pub seed: u64,
    /// The event after which it was broken, from 1.
    pub step: usize,
    /// What was broken.
    pub violation: Violation,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            step,
            violation,
        } = self;
        write!(f, "seed {seed} step {step}: {violation}")
    }
}

/// Runs a scenario.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(scenario: Scenario, trace: bool) -> Result<Report, Failed> {
    let (seed, devices, steps) = (scenario.seed, scenario.devices, scenario.steps);
    let mut world = World::new(scenario, trace);
    match live(&mut world, steps) {
        Ok(()) => Ok(Report {
            devices,
            events: world.events,
            length: world.now,
            tally: std::mem::take(&mut world.process.tally),
        }),
        Err(violation) => Err(Failed {
            seed,
            step: world.events,
            violation,
        }),
    }
}

/// The longest interval between two checks, in which permanently refused devices may try.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);

fn live(world: &mut World, steps: usize) -> Result<(), Violation> {
    while world.events < steps && world.step()? {}
    world.scan()?;
    let until = world.calm();
    // That everything is in order is looked at now and then, since it takes a look at every device.
    let mut look = (0, Duration::ZERO);
    while !world.is_calm() || !world.is_settled() {
        while world.events < look.0 && world.now < look.1 {
            if !world.step()? || world.now > until || world.events > MOST_EVENTS {
                world.scan()?;
                return world.settled();
            }
        }
        look = (world.events + 64, world.now + LOOK_INTERVAL);
    }
    world.scan()?;
    world.settled()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_says_where() {
        let failed = Failed {
            seed: 1234,
            step: 567,
            violation: Violation {
                name: "PACE",
                what: "too fast".into(),
            },
        };
        assert_eq!(failed.to_string(), "seed 1234 step 567: PACE: too fast");
    }
}
