//! The built-in storage of uploaded files, as far as Azure Storage's clients need it to put, read, list and delete block blobs by
//! a shared access signature. Everything else is refused by name.
//!
//! Rules: Azure's REST reference "Blob service", operations Put Blob, Put Block, Put Block List, Get Blob, Get Blob Properties,
//! Delete Blob, List Blobs.

mod block_list;
mod download;
mod head;
mod list;
mod refusal;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use drawspan_emulator_hub::blobs::{BlobStore, CONTAINER};
use drawspan_emulator_hub::random;
use drawspan_emulator_hub::storage::Storage;
use drawspan_hub::storage::{Permission, query_value};

use super::caller::hub_of;
use super::{Shared, body};
use crate::limits::UPLOAD_DROPPED_BYTES;
use refusal::BlobRefusal;

/// The version of the interface that clients are answered with who name none.
const VERSION: &str = "2018-03-28";
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-ms-version");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&format!("/{CONTAINER}"), any(container))
        .route(&format!("/{CONTAINER}/"), any(container))
        .route(&format!("/{CONTAINER}/{{*blob}}"), any(blob))
}

/// A request for a blob.
struct Asked {
    store: Arc<BlobStore>,
    name: Arc<str>,
    headers: HeaderMap,
    query: String,
}

async fn blob(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let (parts, mut body) = request.into_parts();
    let answer = of_blob(&shared, &parts, &name, &mut body).await;
    finish(&parts, answer, body).await
}

async fn container(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = of_container(&shared, &parts);
    finish(&parts, answer, body).await
}

async fn of_blob(
    shared: &Shared,
    parts: &Parts,
    name: &str,
    body: &mut Body,
) -> Result<Response, BlobRefusal> {
    let asked = Asked {
        store: store(shared, parts)?,
        name: name.into(),
        headers: parts.headers.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
    };
    head::check(&asked.headers)?;
    let part = query_value(&asked.query, "comp");
    match (&parts.method, part.as_deref()) {
        (&Method::PUT, None) => upload::blob(&asked, body).await,
        (&Method::PUT, Some("block")) => upload::block(&asked, body).await,
        (&Method::PUT, Some("blocklist")) => upload::blocks(&asked, body).await,
        (&Method::GET, None) => download::contents(&asked).await,
        (&Method::HEAD, None) => download::properties(&asked),
        (&Method::DELETE, None) => {
            asked.allow(&[Permission::Delete])?;
            asked.store.delete(&asked.name).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        (method, part) => Err(BlobRefusal::not_served(method, part)),
    }
}

fn of_container(shared: &Shared, parts: &Parts) -> Result<Response, BlobRefusal> {
    let store = store(shared, parts)?;
    let query = parts.uri.query().unwrap_or_default();
    let part = query_value(query, "comp");
    match (&parts.method, part.as_deref()) {
        (&Method::GET, Some("list")) => {
            store.check(query, None, &[Permission::List])?;
            list::page(&store, query)
        }
        (method, part) => Err(BlobRefusal::not_served(method, part)),
    }
}

impl Asked {
    fn allow(&self, wanted: &[Permission]) -> Result<(), BlobRefusal> {
        Ok(self.store.check(&self.query, Some(&self.name), wanted)?)
    }
}

fn store(shared: &Shared, parts: &Parts) -> Result<Arc<BlobStore>, BlobRefusal> {
    let hub = hub_of(parts, shared).map_err(|_| BlobRefusal::NO_CONTAINER)?;
    match hub.storage() {
        Storage::BuiltIn(store) => Ok(Arc::clone(store)),
        Storage::Account(_) => Err(BlobRefusal::NO_CONTAINER),
    }
}

/// What every answer has. A sender that is refused reads why only after it has sent everything, so that is read first.
async fn finish(parts: &Parts, answer: Result<Response, BlobRefusal>, body: Body) -> Response {
    let is_head = parts.method == Method::HEAD;
    let mut response = match answer {
        Ok(response) => response,
        Err(refusal) => {
            // Too much, or nothing more: the answer is the same.
            let _ = body::drop_within(body, UPLOAD_DROPPED_BYTES).await;
            refusal.into_response()
        }
    };
    if is_head && !response.status().is_success() {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    let headers = response.headers_mut();
    let version = parts.headers.get(VERSION_HEADER).cloned();
    let version = version.unwrap_or(HeaderValue::from_static(VERSION));
    headers.insert(VERSION_HEADER, version);
    if let Some(id) = parts.headers.get(CLIENT_REQUEST_ID) {
        headers.insert(CLIENT_REQUEST_ID, id.clone());
    }
    let id = random::uuid_text().ok();
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
