//! `GET /metrics` reports what happened, names no devices, and is valid for Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use drawspan_api::api::Api;
use drawspan_gateway::{SubscriptionStatus, Subscriptions as _};
use drawspan_hub::SubscriptionType::{C2dMessages, ConnectionStatus, Methods};
use drawspan_metrics::{Kind, Metric};
use drawspan_runtime::Gateway;
use drawspan_settings::ApiKeys;
use drawspan_store::Store;
use tokio::time::Instant;

use crate::stand::{Stand, own, soon, until};

const KEY: &str = "key-of-callers";

struct Page {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Page {
    async fn get(api: &Api) -> Self {
        let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
        let request = request.body(Body::empty()).unwrap();
        let response = api.answer(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let text = String::from_utf8(body.unwrap().to_vec()).unwrap();
        let samples = read(&text);
        Self { text, samples }
    }

    /// The value of a sample, by its name and labels as they are written.
    fn value(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("{sample} is not in {}", self.text))
    }

    /// Asks until a sample is so.
    async fn until(api: &Api, sample: &str, holds: impl Fn(f64) -> bool) -> Self {
        let started = Instant::now();
        loop {
            let page = Self::get(api).await;
            if page.samples.get(sample).is_some_and(|value| holds(*value)) {
                return page;
            }
            let patient = started.elapsed() < Duration::from_secs(60);
            assert!(patient, "{sample} in {}", page.text);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Reads a page by the rules of OpenMetrics 1.0, as far as they matter here: each family is declared once, its samples follow it
/// with the suffixes of its type, without duplicates, and nothing follows the end.
fn read(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families: Vec<(&str, &str)> = Vec::new();
    let body = text.strip_suffix("# EOF\n").unwrap();
    for line in body.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            assert!(families.iter().all(|(known, _)| *known != name), "{line}");
            families.push((name, kind));
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (family, kind) = *families.last().unwrap();
        let name = sample.split('{').next().unwrap();
        let suffix = name.strip_prefix(family).unwrap();
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => panic!("{line}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        let before = samples.insert(sample.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "{line}");
    }
    let declared: Vec<_> = families.iter().map(|(name, _)| *name).collect();
    let mut known: Vec<_> = Metric::ALL.iter().map(|it| it.family()).collect();
    // Where there is no Linux, little is known of the process.
    known.retain(|name| !name.starts_with("process_") || declared.contains(name));
    let mut sorted = declared;
    sorted.sort_unstable();
    known.sort_unstable();
    assert_eq!(sorted, known);
    samples
}

fn api(bridge: Gateway) -> Api {
    Api::new(bridge, ApiKeys::new([KEY]), Duration::from_secs(30))
}

async fn send(api: &Api, device: &str) -> u16 {
    let request = Request::post(format!("/devices/{device}/messages/events"))
        .header("x-api-key", KEY)
        .header("content-type", "application/json");
    let request = request.body(Body::from(r#"{"data":{"secret":"payload"}}"#));
    api.answer(request.unwrap()).await.status().as_u16()
}

#[tokio::test]
async fn every_figure_is_told_and_counts_what_happened() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), &directory.path().join("keyring")).unwrap();
    let stand = Stand::start(&["pump-one", "pump-two"]).await;
    let bridge = stand.bridge(Some(&store));
    let api = api(bridge.clone());
    let fresh = Page::get(&api).await;
    assert_eq!(fresh.value("drawspan_devices{state=\"connected\"}"), 0.0);
    assert_eq!(fresh.value("drawspan_message_duration_seconds_count"), 0.0);

    for device in ["pump-one", "pump-two", "pump-two"] {
        assert_eq!(send(&api, device).await, 200);
    }
    for (kind, path) in [
        (ConnectionStatus, "/status/secret-path"),
        (C2dMessages, "/c2d/secret-path"),
        (Methods, "/methods/secret-path"),
    ] {
        let subscribe = stand.subscribe_to(own("pump-one"), kind, path);
        bridge.subscribe(subscribe, soon()).await.unwrap();
    }
    for kind in [C2dMessages, Methods] {
        until(&bridge, &own("pump-one"), kind, SubscriptionStatus::Running).await;
    }
    stand.receiver.answer("/c2d/secret-path", (400, ""));
    stand.send("pump-one", "1").await;
    assert_eq!(stand.call("pump-one").await.unwrap().status, 200);
    let refused = "drawspan_events_total{kind=\"C2DMessages\",outcome=\"refused\"}";
    let page = Page::until(&api, refused, |value| value >= 1.0).await;

    for (sample, expected) in [
        ("drawspan_devices{state=\"connected\"}", 2.0),
        ("drawspan_devices{state=\"closing\"}", 0.0),
        (
            "drawspan_http_requests_total{operation=\"SendMessage\",code=\"200\"}",
            3.0,
        ),
        ("drawspan_message_duration_seconds_count", 3.0),
        (
            "drawspan_hub_reachable{hub=\"localhost\",service=\"hub\"}",
            1.0,
        ),
        (
            "drawspan_hub_credentials_accepted{hub=\"localhost\",service=\"hub\"}",
            1.0,
        ),
        ("drawspan_hub_connections{hub=\"localhost\"}", 1.0),
        ("drawspan_hub_token_slots{hub=\"localhost\"}", 995.0),
        ("drawspan_hub_token_slots_used{hub=\"localhost\"}", 2.0),
        ("drawspan_hub_connect_queue{hub=\"localhost\"}", 0.0),
        ("drawspan_device_connects_total{hub=\"localhost\"}", 2.0),
        (
            "drawspan_events_total{kind=\"C2DMessages\",outcome=\"refused\"}",
            1.0,
        ),
        (
            "drawspan_events_total{kind=\"Methods\",outcome=\"taken\"}",
            1.0,
        ),
        ("drawspan_event_attempts_total{result=\"refused\"}", 1.0),
        ("drawspan_events_waiting", 0.0),
        ("drawspan_events_waiting_bytes", 0.0),
        ("drawspan_receivers_left_alone", 0.0),
        ("drawspan_dead_letters_total", 1.0),
        ("drawspan_store_losses_total{what=\"hubs\"}", 0.0),
    ] {
        assert_eq!(page.value(sample), expected, "{sample}: {}", page.text);
    }
    // One that the hub does not know. It is tried again now and then.
    assert_eq!(send(&api, "stranger-device").await, 502);
    let page = Page::get(&api).await;
    let refused = "drawspan_http_requests_total{operation=\"SendMessage\",code=\"502\"}";
    assert_eq!(page.value(refused), 1.0);
    let refused = "drawspan_messages_failed_total{reason=\"hub-refused\"}";
    assert_eq!(page.value(refused), 1.0);
    let failed =
        "drawspan_device_connect_failures_total{hub=\"localhost\",reason=\"deviceNotFound\"}";
    assert!(page.value(failed) >= 1.0);
    let attempts = page.value("drawspan_device_connect_attempts_total{hub=\"localhost\"}");
    assert!(attempts >= 2.0 + page.value(failed));

    for secret in [
        "pump-",
        "stranger",
        "secret-path",
        "payload",
        KEY,
        "127.0.0.1",
        "http://",
    ] {
        assert!(!page.text.contains(secret), "{secret}: {}", page.text);
    }
    // Nothing that counts goes back.
    let later = Page::get(&api).await;
    for metric in Metric::ALL.iter().filter(|it| it.kind() == Kind::Counter) {
        let samples = page
            .samples
            .iter()
            .filter(|(sample, _)| sample.split('{').next() == Some(metric.name().as_str()));
        for (sample, value) in samples {
            assert!(later.value(sample) >= *value, "{sample}");
        }
    }
}

#[tokio::test]
async fn a_hub_that_goes_away_is_seen() {
    let stand = Stand::start(&["d1"]).await;
    let api = api(stand.bridge(None));
    assert_eq!(send(&api, "d1").await, 200);
    stand.emulator.shutdown().await;
    let reachable = "drawspan_hub_reachable{hub=\"localhost\",service=\"hub\"}";
    // It is found when it is needed.
    let sending = send(&api, "d1");
    let page = tokio::select! {
        page = Page::until(&api, reachable, |value| value == 0.0) => page,
        status = sending => panic!("{status}"),
    };
    assert_eq!(page.value("drawspan_devices{state=\"connected\"}"), 0.0);
    let sum = |family: &str| -> f64 {
        let prefix = format!("{family}{{hub=\"localhost\",reason=");
        let samples = page.samples.iter();
        let samples = samples.filter(|(sample, _)| sample.starts_with(&prefix));
        samples.map(|(_, value)| value).sum()
    };
    assert_eq!(sum("drawspan_device_disconnects_total"), 1.0);
    assert!(sum("drawspan_hub_connections_ended_total") >= 2.0);
}
