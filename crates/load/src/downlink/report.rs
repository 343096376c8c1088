//! The report on messages and methods to devices.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::receiver::Book;
use super::tracker::{Kind, Tracker};
use crate::histogram::Histogram;

/// Reasons that are kept apart for each kind and receiver.
const REASONS: usize = 20;
/// Lost messages that are named.
const NAMED: usize = 10;
/// The steps of the histogram, in milliseconds.
const STEPS_MS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000];

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Number of devices.
    pub devices: u32,
    /// How long subscribing took, in seconds.
    pub subscribing_s: f64,
    /// How long it took then until all devices were connected.
    pub connecting_s: f64,
    /// Of how many subscriptions it was seen that they are Running.
    pub seen_running: usize,
    /// From the first that was sent until the last, without warming up.
    pub seconds: f64,
    /// Messages to devices of the first receiver.
    pub c2d: Messages,
    /// Methods of devices of the first receiver.
    pub methods: Calls,
    /// Messages to devices of the second receiver.
    pub bad_c2d: Messages,
    /// Methods of devices of the second receiver.
    pub bad_methods: Calls,
    /// Messages and calls that arrived but were not sent in this run.
    pub strays: u64,
    /// Other events that arrived.
    pub notices: u64,
    /// Requests to the receivers that were no events.
    pub senseless: u64,
    /// The last event that could not be decoded.
    pub last_senseless: Option<String>,
    /// Ids of the first messages that were lost.
    pub lost_ids: Vec<u64>,
    /// Why subscriptions that were made are still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_subscriptions: Option<String>,
}

/// Results of messages.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Messages {
    /// Messages sent to the hub.
    pub sent: u64,
    /// Messages that the hub accepted.
    pub accepted: u64,
    /// Of unknown fate at the hub.
    pub unknown: u64,
    /// Messages that arrived at the receiver.
    pub arrived: u64,
    /// Messages that the receiver answered 2xx.
    pub taken: u64,
    /// Arrivals of one that had arrived before.
    pub again: u64,
    /// Messages that the receiver answered 2xx more than once.
    pub twice: u64,
    /// Messages that the hub accepted, and that the receiver never answered 2xx.
    pub lost: u64,
    /// Arrivals under another webhook-id than before.
    pub other_webhook_ids: u64,
    /// From before it was given to the hub until the receiver had it.
    pub latency_us: Latencies,
    /// Why the hub did not take some.
    pub reasons: BTreeMap<String, u64>,
}

/// Results of direct methods.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Calls {
    /// Calls sent to the hub.
    pub sent: u64,
    /// Answered with what the receiver said.
    pub answered: u64,
    /// Answered with something else.
    pub wrong: u64,
    /// Not answered.
    pub failed: u64,
    /// Calls that arrived at the receiver.
    pub arrived: u64,
    /// Arrivals of one that had arrived before.
    pub again: u64,
    /// Calls that the receiver answered 2xx more than once.
    pub twice: u64,
    /// Arrivals under another webhook-id than before.
    pub other_webhook_ids: u64,
    /// From before it was given to the hub until its answer.
    pub latency_us: Latencies,
    /// Why some were not answered.
    pub reasons: BTreeMap<String, u64>,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latencies {
    /// How many were measured.
    pub count: u64,
    /// All together, by their number.
    pub mean: u64,
    /// Half were faster.
    pub p50: u64,
    /// Nine of ten were faster.
    pub p90: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
    /// How many took at most so many milliseconds.
    pub within_ms: BTreeMap<u64, u64>,
}

/// How long the parts of a run took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) subscribing: Duration,
    pub(super) connecting: Duration,
    pub(super) seen_running: usize,
    pub(super) sending: Duration,
}

/// Why things came to nothing, by kind and receiver.
#[derive(Debug, Default)]
pub(super) struct Reasons([Mutex<BTreeMap<String, u64>>; 4]);

impl Reasons {
    pub(super) fn count(&self, kind: Kind, bad: bool, reason: &str) {
        if let Some(reasons) = self.0.get(index(kind, bad)) {
            let mut reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
            let known = reasons.len() < REASONS || reasons.contains_key(reason);
            let reason = if known { reason } else { "others" };
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }

    fn of(&self, kind: Kind, bad: bool) -> BTreeMap<String, u64> {
        let reasons = self.0.get(index(kind, bad));
        reasons.map_or_else(BTreeMap::new, |reasons| {
            reasons
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
    }
}

/// The most frequent one.
fn first(reasons: &BTreeMap<String, u64>) -> Option<&str> {
    let most = reasons.iter().max_by_key(|(_, count)| **count);
    most.map(|(reason, _)| reason.as_str())
}

fn index(kind: Kind, bad: bool) -> usize {
    usize::from(kind == Kind::Method) * 2 + usize::from(bad)
}

impl Report {
    pub(super) fn new(devices: u32, times: Times, book: &Book, reasons: &Reasons) -> Self {
        let others = book.others().clone();
        let c2d = book.track(Kind::C2d);
        let methods = book.track(Kind::Method);
        let messages = |bad| Messages::of(&c2d, bad, reasons.of(Kind::C2d, bad));
        let calls = |bad| Calls::of(&methods, bad, reasons.of(Kind::Method, bad));
        let lost = c2d.missing(false, NAMED);
        Self {
            devices,
            subscribing_s: times.subscribing.as_secs_f64(),
            connecting_s: times.connecting.as_secs_f64(),
            seen_running: times.seen_running,
            seconds: times.sending.as_secs_f64(),
            c2d: messages(false),
            methods: calls(false),
            bad_c2d: messages(true),
            bad_methods: calls(true),
            strays: others.strays,
            notices: others.notices,
            senseless: others.senseless,
            last_senseless: others.last_senseless,
            lost_ids: lost.into_iter().map(|number| book.id(number)).collect(),
            left_subscriptions: None,
        }
    }

    /// Why the run failed, if it did: messages that were refused or lost, methods that were invoked twice, got a wrong answer or no
    /// answer, or one event under two ids. Events of the second receiver do not count. Where failures are allowed, only losses and
    /// duplicates count, as long as anything succeeded.
    #[must_use]
    pub fn faults(&self, allow_failures: bool) -> Vec<String> {
        let (c2d, methods) = (&self.c2d, &self.methods);
        let nothing = |sent: u64, done: u64| sent > 0 && done == 0;
        let tolerated = |failed: u64, nothing: bool| match allow_failures && !nothing {
            true => 0,
            false => failed,
        };
        let not_taken = tolerated(c2d.sent - c2d.accepted, nothing(c2d.sent, c2d.accepted));
        let not_answered = tolerated(methods.failed, nothing(methods.sent, methods.answered));
        let faults = [
            (
                not_taken,
                "message was",
                "messages were",
                "not taken by the hub",
                first(&c2d.reasons),
            ),
            (
                not_answered,
                "method was",
                "methods were",
                "not answered",
                first(&methods.reasons),
            ),
            (c2d.lost, "message is", "messages are", "lost", None),
            (
                methods.twice,
                "method was",
                "methods were",
                "done twice",
                None,
            ),
            (
                methods.wrong,
                "method has",
                "methods have",
                "a wrong answer",
                None,
            ),
            (
                c2d.other_webhook_ids + methods.other_webhook_ids,
                "event",
                "events",
                "came again under another webhook-id",
                None,
            ),
            (
                self.senseless,
                "request to the receiver was",
                "requests to the receiver were",
                "no event",
                self.last_senseless.as_deref(),
            ),
        ];
        let faults = faults.into_iter().filter(|(count, ..)| *count > 0);
        let faults = faults.map(|(count, one, many, what, example)| {
            let who = if count == 1 { one } else { many };
            let example = example.map(|example| format!(" ({example})"));
            format!("{count} {who} {what}{}", example.unwrap_or_default())
        });
        faults.chain(self.left_subscriptions.clone()).collect()
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and texts only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Messages {
    fn of(track: &Tracker, bad: bool, reasons: BTreeMap<String, u64>) -> Self {
        let counts = track.counts(bad);
        let group = track.group(bad);
        Self {
            sent: counts.sent,
            accepted: counts.ok,
            unknown: counts.unknown,
            arrived: counts.arrived,
            taken: counts.taken,
            again: counts.again,
            twice: counts.twice,
            lost: counts.missing,
            other_webhook_ids: group.other_ids,
            latency_us: Latencies::of(&group.latencies),
            reasons,
        }
    }
}

impl Calls {
    fn of(track: &Tracker, bad: bool, reasons: BTreeMap<String, u64>) -> Self {
        let counts = track.counts(bad);
        let group = track.group(bad);
        Self {
            sent: counts.sent,
            answered: counts.ok,
            wrong: counts.wrong,
            failed: counts.failed + counts.unknown,
            arrived: counts.arrived,
            again: counts.again,
            twice: counts.twice,
            other_webhook_ids: group.other_ids,
            latency_us: Latencies::of(&group.latencies),
            reasons,
        }
    }
}

impl Latencies {
    fn of(histogram: &Histogram) -> Self {
        let steps = STEPS_MS.map(|ms| (ms, histogram.count_within(ms * 1_000)));
        Self {
            count: histogram.count(),
            mean: histogram.mean_us(),
            p50: histogram.percentile_us(50),
            p90: histogram.percentile_us(90),
            p99: histogram.percentile_us(99),
            max: histogram.max_us(),
            within_ms: steps.into_iter().collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  devices    {}, subscribed in {:.1} s, connected {:.1} s later (subscriptions seen Running: {})",
            self.devices, self.subscribing_s, self.connecting_s, self.seen_running
        )?;
        writeln!(f, "  measured   {:.1} s", self.seconds)?;
        for (name, messages) in [
            ("messages", &self.c2d),
            ("messages to the second receiver", &self.bad_c2d),
        ] {
            messages.show(f, name)?;
        }
        for (name, calls) in [
            ("methods", &self.methods),
            ("methods to the second receiver", &self.bad_methods),
        ] {
            calls.show(f, name)?;
        }
        if self.strays + self.notices + self.senseless > 0 {
            writeln!(
                f,
                "other events: of an earlier run {}, notices {}, senseless {}",
                self.strays, self.notices, self.senseless
            )?;
        }
        if let Some(what) = &self.last_senseless {
            writeln!(f, "  the last senseless one: {what}")?;
        }
        if !self.lost_ids.is_empty() {
            writeln!(f, "  lost, for instance: {:?}", self.lost_ids)?;
        }
        Ok(())
    }
}

impl Messages {
    fn show(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        if self.sent == 0 && self.reasons.is_empty() {
            return Ok(());
        }
        let Self {
            sent,
            accepted,
            unknown,
            arrived,
            taken,
            again,
            twice,
            lost,
            ..
        } = self;
        writeln!(f, "{name}")?;
        writeln!(
            f,
            "  sent       {sent}, taken by the hub {accepted}, of unknown fate {unknown}"
        )?;
        writeln!(
            f,
            "  arrived    {arrived}, answered 2xx {taken}, of those that the hub took not {lost}"
        )?;
        writeln!(
            f,
            "  again      {again}, of these answered 2xx before {twice}, other webhook-id {}",
            self.other_webhook_ids
        )?;
        self.latency_us.show(f)?;
        show_reasons(f, &self.reasons)
    }
}

impl Calls {
    fn show(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        if self.sent == 0 && self.reasons.is_empty() {
            return Ok(());
        }
        let Self {
            sent,
            answered,
            wrong,
            failed,
            arrived,
            again,
            twice,
            ..
        } = self;
        writeln!(f, "{name}")?;
        writeln!(
            f,
            "  sent       {sent}, answered {answered}, wrong {wrong}, failed {failed}"
        )?;
        writeln!(
            f,
            "  arrived    {arrived}, again {again}, done twice {twice}, other webhook-id {}",
            self.other_webhook_ids
        )?;
        self.latency_us.show(f)?;
        show_reasons(f, &self.reasons)
    }
}

impl Latencies {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| format!("{:.2} ms", us as f64 / 1_000.0);
        writeln!(
            f,
            "  latency    mean {}  p50 {}  p90 {}  p99 {}  max {}",
            ms(self.mean),
            ms(self.p50),
            ms(self.p90),
            ms(self.p99),
            ms(self.max)
        )?;
        let mut before = 0;
        for (step, count) in &self.within_ms {
            if *count > before {
                let percent = *count as f64 * 100.0 / self.count.max(1) as f64;
                writeln!(f, "    ≤ {step:>5} ms  {percent:6.2} %")?;
            }
            before = *count;
        }
        Ok(())
    }
}

fn show_reasons(f: &mut fmt::Formatter<'_>, reasons: &BTreeMap<String, u64>) -> fmt::Result {
    for (reason, count) in reasons {
        writeln!(f, "  {count} × {reason}")?;
    }
    Ok(())
}
