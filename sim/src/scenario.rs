//! What a seed picks: how many devices, how they are known, what may go wrong.

use std::time::Duration;

use drawspan_fleet::governor::Pace;
use drawspan_fleet::limits::HUB_GONE_AFTER;
use drawspan_hub::limits::Rate;

use crate::dice::Dice;
use crate::fault::Fault;

/// How devices are known to their hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// One hub, one policy key: one token serves a whole connection.
    Policy,
    /// One hub, a key for each device.
    DeviceKeys,
    /// DPS names the hub; a key for each device.
    Dps,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where everything comes from.
    pub seed: u64,
    /// How devices are known.
    pub profile: Profile,
    /// Devices there are.
    pub devices: usize,
    /// Hubs there are.
    pub hubs: usize,
    /// Identities that a hub should take on one connection.
    pub slots: usize,
    /// Those that it takes.
    pub hub_slots: usize,
    /// Connections to one hub.
    pub max_connections: Option<usize>,
    /// How long a hub may be away before DPS is asked.
    pub gone_after: Duration,
    /// Permits of each hub.
    pub hub_pace: Pace,
    /// Permits of DPS.
    pub dps_pace: Pace,
    /// Events until the faults stop.
    pub steps: usize,
    /// From one random deed to the next, on average.
    pub gap: Duration,
    /// Longest usual way between client and hub.
    pub latency: Duration,
    /// Of 100 random deeds, how many are faults.
    pub faults_percent: usize,
    /// What may go wrong.
    pub faults: Vec<Fault>,
    /// Whether news may overtake each other.
    pub unordered: bool,
    /// Life of tokens.
    pub token_life: Duration,
    /// Seconds since 1970 at the start.
    pub epoch_unix_s: u64,
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let profiles = [
            Profile::Policy,
            Profile::DeviceKeys,
            Profile::Dps,
            Profile::Dps,
        ];
        let profile = dice.pick(&profiles).unwrap_or(Profile::Dps);
        let devices = dice.magnitude(1.0, 1_500.0) as usize;
        let devices = if dice.percent(4) {
            devices * 4
        } else {
            devices
        };
        let hubs = match profile {
            Profile::Dps => dice.within(1, 4),
            _ => 1,
        };
        let slots = dice.magnitude(2.0, 60.0) as usize;
        let steps = dice.magnitude(300.0, 60_000.0) as usize;
        // From a burst to a day.
        let span = dice.magnitude(60.0, 86_400.0);
        let faults: Vec<Fault> = Fault::ALL
            .into_iter()
            .filter(|_| dice.percent(50))
            .collect();
        let slots = if devices > 1_000 { 995 } else { slots };
        let mut scenario = Self {
            seed,
            profile,
            devices,
            hubs,
            slots,
            hub_slots: slots,
            max_connections: None,
            gone_after: HUB_GONE_AFTER,
            hub_pace: pace(&mut dice, devices),
            dps_pace: pace(&mut dice, devices),
            steps,
            gap: Duration::from_secs_f64(span * 4.0 / steps as f64),
            latency: dice.seconds(0.001, 2.0),
            faults_percent: dice.magnitude(1.0, 30.0) as usize,
            faults,
            unordered: dice.percent(30),
            token_life: dice.seconds(600.0, 3_600.0),
            epoch_unix_s: 1_700_000_000 + dice.below(86_400) as u64,
        };
        scenario.gone_after = dice.seconds(60.0, 1_800.0);
        if dice.percent(15) {
            scenario.hub_slots = dice.within(slots.div_ceil(10), slots);
        }
        // Enough for all, unless connections take no tokens for no reason.
        if dice.percent(15) && !scenario.faults.contains(&Fault::TokenLimit) {
            let enough = devices.div_ceil(scenario.hub_slots);
            scenario.max_connections = Some(enough + dice.within(0, 2));
        }
        scenario
    }
}

/// One that gives every device a permit within minutes.
fn pace(dice: &mut Dice, devices: usize) -> Pace {
    match dice.below(5) {
        0 => Pace::Unlimited,
        1 => Pace::Learned,
        _ => {
            let minutes = dice.magnitude(0.05, 5.0);
            Pace::Limited(Rate::per_minute((devices as f64 / minutes) as u64 + 1))
        }
    }
}
