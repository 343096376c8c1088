//! Devices that share a hub's rate, in virtual time.

use super::*;
use crate::fair_queue::FairQueue;
use crate::time::Chance;

const DEVICES: u32 = 100;
/// How long a message takes that does not wait.
const WAY_MS: f64 = 2.0;

/// How the rate is shared.
#[derive(Clone, Copy, PartialEq)]
enum Sharing {
    Fairly,
    InOrder,
}

/// A hub's senders. The last device sends `storm` times its share, all together the others use `load` of the rate.
struct World {
    limiter: FairLimiter,
    in_order: RateLimiter,
    queue: FairQueue<(u32, Duration)>,
    shares: Vec<Share>,
    waiting: Vec<u32>,
    /// How long the messages of the others took, in milliseconds.
    took: Vec<f64>,
    refused: u32,
    refused_of_others: u32,
}

impl World {
    fn new(per_second: u32) -> Self {
        let rate = Some(Rate::per_second(per_second));
        Self {
            limiter: FairLimiter::new(rate),
            in_order: RateLimiter::new(rate),
            queue: FairQueue::new(10 * per_second as usize),
            shares: (0..=DEVICES).map(|_| Share::default()).collect(),
            waiting: vec![0; DEVICES as usize + 1],
            took: Vec::new(),
            refused: 0,
            refused_of_others: 0,
        }
    }

    fn sends(&mut self, device: u32, sharing: Sharing, now: Duration) {
        if sharing == Sharing::InOrder {
            match self.in_order.admit(now, Duration::from_secs(10)) {
                Ok(wait) => self.sent(device, wait),
                Err(_) => self.refuse(device),
            }
            return;
        }
        let queued = self.waiting[device as usize] > 0;
        match self
            .limiter
            .admit(&self.shares[device as usize], queued, now)
        {
            Admission::Goes => self.sent(device, Duration::ZERO),
            Admission::Waits { within_share } => {
                match self.queue.push(device, within_share, (device, now)) {
                    Ok(()) => self.waiting[device as usize] += 1,
                    Err(_) => self.refuse(device),
                }
                self.limiter.note_waiting(self.queue.len());
            }
        }
    }

    fn refuse(&mut self, device: u32) {
        self.refused += 1;
        self.refused_of_others += u32::from(device < DEVICES);
    }

    fn sent(&mut self, device: u32, waited: Duration) {
        if device < DEVICES {
            self.took.push(WAY_MS + waited.as_secs_f64() * 1_000.0);
        }
    }

    /// What waits goes as there are permits.
    fn pump(&mut self, now: Duration) {
        while !self.queue.is_empty() {
            let permit = match self.queue.next_is_first() {
                true => self.limiter.take_first(now),
                false => self.limiter.take_turn(now),
            };
            if permit.is_err() {
                return;
            }
            if let Some((device, since)) = self.queue.pop(|_| false) {
                self.waiting[device as usize] -= 1;
                self.sent(device, now - since);
            }
            self.limiter.note_waiting(self.queue.len());
        }
    }

    fn p99(&mut self) -> f64 {
        self.took.sort_by(f64::total_cmp);
        self.took[self.took.len() * 99 / 100]
    }
}

/// A minute, of which the first half is not looked at.
fn run(per_second: u32, load: f64, storm: f64, sharing: Sharing) -> World {
    let mut world = World::new(per_second);
    let mut chance = Chance::new(u64::from(per_second));
    let step = Duration::from_micros(500);
    let share = f64::from(per_second) / f64::from(DEVICES + 1);
    let others = load * f64::from(per_second) * step.as_secs_f64();
    let mut noisy = 0.0;
    let mut now = Duration::from_secs(5);
    while now < Duration::from_secs(65) {
        now += step;
        if now.as_secs() == 35 && now.subsec_millis() == 0 {
            world.took.clear();
        }
        noisy += storm * share * step.as_secs_f64();
        while noisy >= 1.0 {
            noisy -= 1.0;
            world.sends(DEVICES, sharing, now);
        }
        // Each sends at random.
        for _ in 0..4 {
            let draw = chance.draw().0 as f64 / u64::MAX as f64;
            if draw < others / 4.0 {
                world.sends(chance.draw().below(DEVICES as usize) as u32, sharing, now);
            }
        }
        world.pump(now);
    }
    world
}

#[test]
fn a_storm_of_one_device_delays_the_others_by_less_than_a_fifth() {
    for per_second in [100, 1_000] {
        for load in [0.5, 0.8, 0.9] {
            let calm = run(per_second, load, 0.0, Sharing::Fairly).p99();
            let mut storm = run(per_second, load, 50.0, Sharing::Fairly);
            let stormy = storm.p99();
            let shown = format!("{per_second}/s, load {load}: {calm} to {stormy} ms");
            assert!(stormy < 1.2 * calm, "{shown}");
            assert_eq!(storm.refused_of_others, 0, "{shown}");
        }
    }
}

#[test]
fn in_order_of_their_arrival_the_others_would_wait_for_it() {
    let calm = run(100, 0.8, 0.0, Sharing::InOrder).p99();
    let mut storm = run(100, 0.8, 50.0, Sharing::InOrder);
    let stormy = storm.p99();
    assert!(stormy > 100.0 * calm, "{calm} to {stormy} ms");
    assert!(storm.refused_of_others > 0);
}

#[test]
fn what_the_others_leave_goes_to_the_one_who_wants_it() {
    let mut world = World::new(100);
    let mut now = Duration::from_secs(5);
    for _ in 0..10_000 {
        now += Duration::from_millis(1);
        world.sends(DEVICES, Sharing::Fairly, now);
        world.pump(now);
    }
    // Ten seconds' worth, and a burst.
    let sent = 10_000 - world.refused as usize - world.queue.len();
    assert!((1_000..=1_110).contains(&sent), "{sent}");
}

#[test]
fn without_a_rate_everything_goes() {
    let limiter = FairLimiter::new(None);
    let share = Share::default();
    let goes = |_| limiter.admit(&share, false, Duration::from_secs(1)) == Admission::Goes;
    assert!((0..10_000).all(goes));
}

#[test]
fn a_share_is_a_part_of_the_rate_for_each_device_that_sends() {
    let limiter = FairLimiter::new(Some(Rate::per_second(100)));
    let shares: Vec<_> = (0..50).map(|_| Share::default()).collect();
    let now = Duration::from_secs(12);
    for share in &shares {
        limiter.admit(share, false, now);
    }
    assert_eq!(limiter.senders(&shares[0], now), 50);
    // They count for the next period, and not for the one after that.
    let next = now + SENDERS_COUNTED_FOR;
    assert_eq!(limiter.senders(&shares[0], next), 50);
    let later = next + 2 * SENDERS_COUNTED_FOR;
    assert_eq!(limiter.senders(&shares[0], later), 1);
}
