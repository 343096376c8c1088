//! `/health`, `/livez`, `/readyz`, `/metrics`: health and metrics of the process. They need no key.

use axum::body::Body;
use axum::extract;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY};
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse as _;
use drawspan_api_types::answers;
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::{DeviceGateway, Readiness, Unready};
use drawspan_metrics::{self as metrics, Format, Metric, Page, Sample};
use tokio::task::spawn_blocking;

use super::api::json_of;
use super::problem::{Kind, Problem};
use super::request::Shared;

/// The media type by which OpenMetrics is asked for.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// Always the answer of the original.
pub(super) async fn health() -> Response<Body> {
    let mut response = Response::new(Body::from("Healthy"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The process answers: no reason to end it.
pub(super) async fn live() -> Response<Body> {
    uncached(json_of(&answers::Liveness::LIVE))
}

/// Whether requests make sense.
pub(super) async fn ready<D: DeviceGateway>(extract::State(state): Shared<D>) -> Response<Body> {
    answer(&state.devices.readiness())
}

/// Figures of the process, for Prometheus.
pub(super) async fn metrics<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    headers: HeaderMap,
) -> Response<Body> {
    let format = wanted(&headers);
    let mut page = Page::default();
    let version = Sample::of([env!("CARGO_PKG_VERSION")], 1);
    page.add(Metric::Build, [version]);
    state.counts.tell(&mut page);
    state.devices.measure(&mut page).await;
    let text = spawn_blocking(move || {
        metrics::process(&mut page);
        page.text(format)
    });
    // It does not panic, and is never aborted.
    let mut response = Response::new(Body::from(text.await.unwrap_or_default()));
    let content_type = HeaderValue::from_static(format.content_type());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(VARY, HeaderValue::from_static("accept"));
    uncached(response)
}

/// The format that a scraper prefers (RFC 9110, 12.5.1). OpenMetrics has to be asked for by its name: browsers, `curl` and
/// older scrapers get text.
fn wanted(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(ACCEPT).iter();
    let ranges = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let (mut open_metrics, mut text) = (0_u16, 0_u16);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut is_known) = (1_000, true);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => quality = thousandths(value),
                "version" if name == OPEN_METRICS => {
                    is_known = value.trim_matches('"').starts_with("1.");
                }
                _ => {}
            }
        }
        match name.as_str() {
            OPEN_METRICS if is_known => open_metrics = open_metrics.max(quality),
            "text/plain" | "text/*" | "*/*" => text = text.max(quality),
            _ => {}
        }
    }
    match open_metrics > 0 && open_metrics >= text {
        true => Format::OpenMetrics,
        false => Format::Text,
    }
}

/// A weight from 0 to 1.
fn thousandths(weight: &str) -> u16 {
    let weight = weight.trim().parse::<f32>().unwrap_or(0.0);
    // Clamped, so that it fits.
    (weight.clamp(0.0, 1.0) * 1_000.0) as u16
}

/// While the process is on its way out.
pub(super) fn stopping() -> Response<Body> {
    answer(&Readiness::of(vec![Unready::Stopping]))
}

fn answer(readiness: &Readiness) -> Response<Body> {
    let problems: Vec<_> = readiness.problems.iter().map(Unready::to_string).collect();
    let codes: Vec<_> = readiness.problems.iter().map(Unready::code).collect();
    if readiness.ready {
        return uncached(json_of(&answers::Readiness::ready(problems, codes)));
    }
    let detail = match problems.is_empty() {
        true => "Not ready.".to_owned(),
        false => format!("Not ready: {}.", problems.join("; ")),
    };
    let problem = Problem::new(Kind::NotReady, detail)
        .with_problems(codes.into_iter().zip(problems).collect())
        .retry_after(RETRY_AFTER_S);
    uncached(problem.into_response())
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
