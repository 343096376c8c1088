//! `/health`, `/livez`, `/readyz`, `/metrics`: for whoever runs the process. They ask for no key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Request, Response};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::api::{State, json_response};
use super::body;
use super::problem::{Kind, Problem};
use crate::devices::{Devices, Readiness, Unready};
use crate::limits::RETRY_AFTER_S;
use crate::metrics::{self, Metric, Page, Sample};

/// What the original said, whatever happened.
pub(super) async fn health(request: Request<Body>) -> Response<Body> {
    body::discard(request).await;
    let mut response = Response::new(Body::from("Healthy"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The process answers: no reason to end it.
pub(super) async fn live(request: Request<Body>) -> Response<Body> {
    body::discard(request).await;
    uncached(json_response(br#"{"status":"live"}"#.to_vec()))
}

/// Whether requests make sense.
pub(super) async fn ready<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    request: Request<Body>,
) -> Response<Body> {
    body::discard(request).await;
    answer(&state.devices.readiness())
}

/// Figures of the process, for Prometheus.
pub(super) async fn metrics<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    request: Request<Body>,
) -> Response<Body> {
    body::discard(request).await;
    let mut page = Page::default();
    let version = Sample::of([env!("CARGO_PKG_VERSION")], 1);
    page.add(Metric::Build, [version]);
    state.counts.tell(&mut page);
    state.devices.measure(&mut page).await;
    let text = spawn_blocking(move || {
        metrics::process(&mut page);
        page.text()
    });
    // It does not panic, and nobody ends it.
    let mut response = Response::new(Body::from(text.await.unwrap_or_default()));
    let open_metrics = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, open_metrics);
    uncached(response)
}

/// While the process is on its way out.
pub(super) fn stopping() -> Response<Body> {
    answer(&Readiness::of(vec![Unready::Stopping]))
}

#[derive(Serialize)]
struct Document {
    status: &'static str,
    problems: Vec<String>,
}

fn answer(readiness: &Readiness) -> Response<Body> {
    let problems: Vec<_> = readiness.problems.iter().map(Unready::to_string).collect();
    if readiness.ready {
        let document = Document {
            status: "ready",
            problems,
        };
        // Strings only: this does not fail.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        return uncached(json_response(body));
    }
    let detail = match problems.is_empty() {
        true => "Not ready.".to_owned(),
        false => format!("Not ready: {}.", problems.join("; ")),
    };
    let problem = Problem::new(Kind::NotReady, detail)
        .with_problems(problems)
        .retry_after(RETRY_AFTER_S);
    uncached(problem.into_response())
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
