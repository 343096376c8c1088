use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use drawspan_settings::ApiKeys;
use http_body_util::BodyExt;
use serde_json::Value;

use super::document;
use crate::api::Api;
use crate::fake::Fake;

async fn get(path: &str, known: Option<&str>) -> (u16, HeaderMap, String) {
    let api = Api::new(
        Fake::default(),
        ApiKeys::new(["k"]),
        Duration::from_secs(30),
    );
    let request = Request::builder().uri(path);
    let request = known
        .into_iter()
        .fold(request, |request, tag| request.header("if-none-match", tag));
    let (parts, body) = api
        .answer(request.body(Body::empty()).unwrap())
        .await
        .into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status.as_u16(),
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn the_document_is_served_without_a_key_and_once() {
    let (status, headers, body) = get("/OpenAPI.json", None).await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (200, "application/json")
    );
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), document());
    let tag = headers["etag"].to_str().unwrap();
    for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let (status, headers, body) = get("/openapi.json", Some(&known)).await;
        assert_eq!((status, body.as_str()), (304, ""), "{known}");
        assert_eq!(headers["etag"], tag);
    }
    assert_eq!(get("/openapi.json", Some("\"other\"")).await.0, 200);
}

#[tokio::test]
async fn the_page_brings_all_that_it_needs() {
    let (status, headers, _) = get("/", None).await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (302, "docs")
    );
    for path in ["/docs", "/docs/"] {
        let (status, headers, body) = get(path, None).await;
        assert_eq!(status, 200);
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        for stranger in ["http://", "https://", " src=", "/*style*/", "/*script*/"] {
            assert!(!body.contains(stranger), "{stranger}");
        }
    }
}
