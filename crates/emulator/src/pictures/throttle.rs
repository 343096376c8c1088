//! What a hub does with more messages than its rate: takes them for a while, delays them, refuses them.

use std::time::Duration;

use clap::Args;
use drawspan_chart::{Axis, Lines, Mark, Series};
use drawspan_hub::ErrorCode;
use drawspan_hub::limits::HubSize;
use drawspan_hub_model::throttle::{Admission, Now, OperationClass, RateLimits, Throttle};

use super::size;

/// Flags of the picture.
#[derive(Args, Clone, Debug)]
pub(super) struct ThrottleArgs {
    /// The hub's edition and units
    #[arg(long, value_name = "SKU[xUNITS]", default_value = "S1", value_parser = size)]
    sku: HubSize,
    /// Messages that devices send in each second
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds that are shown
    #[arg(long, value_name = "SECONDS", default_value_t = 240, value_parser = clap::value_parser!(u32).range(10..=3600))]
    seconds: u32,
}

/// What came of the messages of each second.
struct Seconds {
    /// Stored in that second.
    stored: Vec<u32>,
    /// Refused in that second.
    refused: Vec<u32>,
    /// When the first message had to wait.
    delayed_from: Option<Duration>,
    /// When the first message was refused, and with which code.
    refused_from: Option<(Duration, ErrorCode)>,
}

impl ThrottleArgs {
    /// The picture.
    pub(super) fn draw(&self) -> Lines {
        let Seconds {
            stored,
            refused,
            delayed_from,
            refused_from,
        } = self.send();
        let mark = |at: Duration, what: &str, code: &str| Mark {
            at: at.as_secs_f64(),
            label: format!("{what} from {:.0} s{code}", at.as_secs_f64()),
        };
        let delayed = delayed_from.map(|at| mark(at, "delayed", ""));
        let refused_mark = refused_from.map(|(at, code)| mark(at, "refused", &format!(": {code}")));
        let most = stored.iter().chain(&refused).copied().max().unwrap_or(0);
        Lines {
            title: format!("{} messages a second at a hub {}", self.rate, self.sku),
            x: Axis::to("time [s]", f64::from(self.seconds)),
            y: Axis::to("messages in a second", f64::from(most) * 1.2),
            series: vec![
                series("stored and acknowledged", &stored),
                series("refused", &refused),
            ],
            marks: delayed.into_iter().chain(refused_mark).collect(),
        }
    }

    /// Sends at the rate, evenly.
    fn send(&self) -> Seconds {
        let start = at(0, 0);
        let mut hub = Throttle::new(RateLimits::of(self.sku), start);
        let length = self.seconds as usize;
        let mut seconds = Seconds {
            stored: vec![0; length],
            refused: vec![0; length],
            delayed_from: None,
            refused_from: None,
        };
        for second in 0..self.seconds {
            for number in 0..self.rate {
                let micros = u64::from(number) * 1_000_000 / u64::from(self.rate);
                let now = at(second, micros);
                let place = match hub.admit(OperationClass::D2c, 1, [100], now) {
                    Admission::Now => seconds.stored.get_mut(second as usize),
                    Admission::At(time) => {
                        seconds.delayed_from.get_or_insert(now.elapsed);
                        let then = usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
                        seconds.stored.get_mut(then)
                    }
                    Admission::Refused(refusal) => {
                        seconds
                            .refused_from
                            .get_or_insert((now.elapsed, refusal.code));
                        seconds.refused.get_mut(second as usize)
                    }
                };
                if let Some(count) = place {
                    *count += 1;
                }
            }
        }
        seconds
    }
}

fn at(second: u32, micros: u64) -> Now {
    let elapsed = Duration::from_secs(second.into()) + Duration::from_micros(micros);
    Now {
        elapsed,
        unix_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

fn series(label: &str, counts: &[u32]) -> Series {
    let points = counts.iter().enumerate();
    Series {
        label: label.to_owned(),
        points: points
            .map(|(second, count)| (second as f64, f64::from(*count)))
            .collect(),
    }
}
