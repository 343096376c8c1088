//! The list of a container's blobs.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_emulator_hub::blobs::{BlobStore, CONTAINER};
use drawspan_hub::storage::query_value;
use drawspan_hub_model::blobs::Blob;
use quick_xml::escape::escape;

use super::head;
use super::refusal::BlobRefusal;
use crate::limits::UPLOAD_LIST_PAGE;

/// `GET /{container}?restype=container&comp=list`: List Blobs. The marker of the next page is the last name of this one.
pub(super) fn page(store: &BlobStore, query: &str) -> Result<Response, BlobRefusal> {
    if query_value(query, "delimiter").is_some() {
        return Err(BlobRefusal::unsupported("a delimiter in a list of blobs"));
    }
    let text = |name| query_value(query, name).filter(|text| !text.is_empty());
    let prefix = text("prefix").unwrap_or_default();
    let wanted = match text("maxresults") {
        None => UPLOAD_LIST_PAGE,
        Some(text) => text.parse().ok().filter(|it| *it > 0).ok_or_else(|| {
            let (status, code) = (StatusCode::BAD_REQUEST, "InvalidQueryParameterValue");
            BlobRefusal::new(status, code, "maxresults must be a number above 0")
        })?,
    };
    let wanted = wanted.min(UPLOAD_LIST_PAGE);
    let mut blobs = store.list(&prefix, text("marker").as_deref(), wanted + 1);
    let more = blobs.len() > wanted;
    blobs.truncate(wanted);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{CONTAINER}\"><Prefix>{}</Prefix><MaxResults>{wanted}</MaxResults><Blobs>",
        escape(&*prefix)
    );
    for blob in &blobs {
        // Writing to a string does not fail.
        let _ = write(&mut xml, blob);
    }
    let last = blobs
        .last()
        .filter(|_| more)
        .map(|blob| escape(&*blob.name));
    let next = last.unwrap_or_default();
    xml.push_str(&format!(
        "</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    ));
    let content_type = HeaderValue::from_static("application/xml");
    Ok(([(header::CONTENT_TYPE, content_type)], xml).into_response())
}

fn write(xml: &mut String, blob: &Blob) -> std::fmt::Result {
    write!(
        xml,
        "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>{}</Etag><Content-Length>{}</Content-Length><BlobType>BlockBlob</BlobType>",
        escape(&*blob.name),
        head::http_date(blob.created_unix_ms),
        head::http_date(blob.modified_unix_ms),
        blob.etag().trim_matches('"'),
        blob.bytes,
    )?;
    for (name, tag) in [
        ("content-type", "Content-Type"),
        ("content-encoding", "Content-Encoding"),
        ("content-md5", "Content-MD5"),
    ] {
        let found = blob.headers.iter().find(|(key, _)| key == name);
        if let Some((_, value)) = found {
            write!(xml, "<{tag}>{}</{tag}>", escape(&**value))?;
        }
    }
    xml.write_str(
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties></Blob>",
    )
}
