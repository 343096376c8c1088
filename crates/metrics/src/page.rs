//! One answer to `GET /metrics`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Kind, Latency, Metric};

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// Prometheus's own text format, which everything else reads.
    Text,
}

impl Format {
    /// The page's content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The values for one answer.
#[derive(Debug, Default)]
pub struct Page {
    families: Vec<(Metric, Vec<Sample>)>,
}

/// A value, and the labels that tell it from others of its metric.
#[derive(Debug)]
pub struct Sample {
    labels: Vec<Cow<'static, str>>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Whole(u64),
    Real(f64),
    Spread(f64, Vec<(f64, u64)>),
}

impl Sample {
    /// A count, or a number of things, under these labels.
    #[must_use]
    pub fn of<const N: usize>(labels: [&'static str; N], value: u64) -> Self {
        let labels = labels.map(Cow::Borrowed).to_vec();
        let value = Value::Whole(value);
        Self { labels, value }
    }

    /// The same, of a hub.
    #[must_use]
    pub fn of_hub<const N: usize>(hub: &str, labels: [&'static str; N], value: u64) -> Self {
        let mut sample = Self::of(labels, value);
        sample.labels.insert(0, Cow::Owned(hub.to_owned()));
        sample
    }
}

impl Page {
    /// Adds a metric with all its samples. Once for each metric.
    pub fn add(&mut self, metric: Metric, samples: impl IntoIterator<Item = Sample>) {
        let samples: Vec<Sample> = samples.into_iter().collect();
        let mut seen = HashSet::new();
        debug_assert!(
            samples.iter().all(|sample| seen.insert(&sample.labels)),
            "two samples of {} have the same labels",
            metric.name()
        );
        self.families.push((metric, samples));
    }

    /// Adds a metric that has no labels.
    pub fn one(&mut self, metric: Metric, value: usize) {
        self.add(metric, [Sample::of([], value as u64)]);
    }

    /// Adds one that is no whole number.
    pub fn real(&mut self, metric: Metric, value: f64) {
        let value = Value::Real(value);
        let labels = Vec::new();
        self.add(metric, [Sample { labels, value }]);
    }

    /// Adds durations.
    pub fn spread(&mut self, metric: Metric, latency: &Latency) {
        let (sum, classes) = latency.read();
        let value = Value::Spread(sum, classes);
        let labels = Vec::new();
        self.add(metric, [Sample { labels, value }]);
    }

    /// Adds samples for the non-zero values: of many labels, few are used.
    pub fn some(&mut self, metric: Metric, samples: impl IntoIterator<Item = Sample>) {
        let used = |sample: &Sample| !matches!(sample.value, Value::Whole(0));
        self.add(metric, samples.into_iter().filter(used));
    }

    /// The page.
    #[must_use]
    pub fn text(self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut page, &registry);
        match format {
            Format::OpenMetrics => page,
            Format::Text => plain(&page),
        }
    }
}

/// OpenMetrics as the older text format: that names a counter with its suffix also in the lines about it, knows neither info
/// nor units, and has no end mark.
fn plain(page: &str) -> String {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: HashMap<&str, &str> = types.filter_map(|rest| rest.split_once(' ')).collect();
    let suffix = |name| match types.get(name) {
        Some(&"counter") => "_total",
        Some(&"info") => "_info",
        _ => "",
    };
    let mut text = String::with_capacity(page.len());
    for line in page.lines() {
        let about = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|mark| Some((mark, line.strip_prefix(mark)?.split_once(' ')?)));
        match about {
            Some((mark, (name, rest))) => {
                let rest = match (mark, rest) {
                    ("# TYPE ", "info") => "gauge",
                    (_, rest) => rest,
                };
                text.extend([mark, name, suffix(name), " ", rest, "\n"]);
            }
            None if line.starts_with('#') => {}
            None => text.extend([line, "\n"]),
        }
    }
    text
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (metric, samples) in &self.families {
            let kind = match metric.kind() {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let mut family =
                encoder.encode_descriptor(metric.family(), metric.about(), None, kind)?;
            for sample in samples {
                let labels = metric.labels().iter().zip(&sample.labels);
                let labels: Vec<_> = labels.map(|(name, value)| (*name, &**value)).collect();
                match metric.kind() {
                    Kind::Info => family.encode_info(&&labels[..])?,
                    _ if labels.is_empty() => write(metric.kind(), &mut family, &sample.value)?,
                    kind => {
                        let labels = &labels[..];
                        write(kind, &mut family.encode_family(&labels)?, &sample.value)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn write(kind: Kind, encoder: &mut MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
        }
        (Kind::Counter, Value::Real(value)) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
        }
        (_, Value::Whole(value)) => encoder.encode_gauge(value),
        (_, Value::Real(value)) => encoder.encode_gauge(value),
        (_, Value::Spread(sum, classes)) => {
            let count = classes.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, classes, None)
        }
    }
}
