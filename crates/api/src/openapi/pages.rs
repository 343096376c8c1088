//! Pages for browsers and generators: the documents, and a page that shows them. They need no key.
//!
//! The page is one file. A strict content security policy allows only its own style and script, by hash, so that nothing else runs
//! in it and nothing is loaded from elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{document, swagger};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
const FRAME: &str = include_str!("page/page.html");

/// Something that is the same until the process ends.
struct Page {
    text: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

static OPENAPI: LazyLock<Page> =
    LazyLock::new(|| Page::new(compact(&document()), "application/json", None));
static SWAGGER: LazyLock<Page> =
    LazyLock::new(|| Page::new(compact(&swagger::document()), "application/json", None));
static DOCS: LazyLock<Page> = LazyLock::new(|| {
    let text = FRAME
        .replace("/*style*/", STYLE)
        .replace("/*script*/", SCRIPT);
    Page::new(text, "text/html; charset=utf-8", Some(&policy()))
});

/// Their routes.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page =
        |page: &'static LazyLock<Page>| get(async move |headers: HeaderMap| answer(page, &headers));
    Router::new()
        .route("/openapi.json", page(&OPENAPI))
        .route("/swagger/v1/swagger.json", page(&SWAGGER))
        .route("/docs", page(&DOCS))
        .route("/", get(to_docs))
}

fn answer(page: &'static Page, headers: &HeaderMap) -> Response<Body> {
    let is_known = page.is_known(headers);
    let mut response = Response::new(Body::from(match is_known {
        true => "",
        false => page.text.as_str(),
    }));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response.headers_mut().extend(page.headers.iter().cloned());
    response
}

/// Relative, for bridges behind a proxy that adds to the path.
async fn to_docs() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("docs"));
    response
}

impl Page {
    fn new(text: String, content_type: &'static str, policy: Option<&str>) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        let mut tag = String::from("\"");
        for byte in hash.iter().take(8) {
            // Into a string: this does not fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        headers.extend(HeaderValue::from_str(&tag).map(|tag| (ETAG, tag)));
        let policy = policy.map(HeaderValue::from_str).and_then(Result::ok);
        headers.extend(policy.map(|policy| (CONTENT_SECURITY_POLICY, policy)));
        Self { text, headers }
    }

    /// Whether the client has this text already.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let Some((_, tag)) = self.headers.iter().find(|(name, _)| name == ETAG) else {
            return false;
        };
        let given = headers.get_all(IF_NONE_MATCH).iter();
        let mut given = given
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        given.any(|value| {
            let value = value.trim();
            let value = value.strip_prefix("W/").unwrap_or(value);
            value == "*" || value.as_bytes() == tag.as_bytes()
        })
    }
}

/// Without white space: it is for programs.
fn compact(document: &Value) -> String {
    document.to_string()
}

/// Only this style, this script, and requests to the page's own origin.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
