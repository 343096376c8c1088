//! Headers of requests for blobs, and those that are kept with a blob.

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_hub_model::blobs::{Blob, Condition};
use drawspan_hub_model::limits::BLOB_HEADERS_BYTES;

use super::refusal::BlobRefusal;
use crate::https::request::text;
use crate::limits::UPLOAD_REQUEST_BYTES;

/// Without them a request would mean something else.
const UNSUPPORTED: [&str; 9] = [
    "x-ms-content-crc64",
    "x-ms-copy-source",
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-immutability-policy-mode",
    "x-ms-lease-id",
    "x-ms-legal-hold",
    "x-ms-structured-body",
    "x-ms-tags",
];
/// Conditions by time, which a writer could rely on.
const UNSUPPORTED_OF_WRITERS: [&str; 2] = ["if-modified-since", "if-unmodified-since"];

const META: &str = "x-ms-meta-";
const BLOB_MD5: &str = "x-ms-blob-content-md5";
/// What is kept of a blob, by what its writer calls it in general and in requests that put a whole blob.
const KEPT: [(&str, &str, &str); 5] = [
    ("cache-control", "x-ms-blob-cache-control", "cache-control"),
    ("content-disposition", "x-ms-blob-content-disposition", ""),
    (
        "content-encoding",
        "x-ms-blob-content-encoding",
        "content-encoding",
    ),
    (
        "content-language",
        "x-ms-blob-content-language",
        "content-language",
    ),
    ("content-type", "x-ms-blob-content-type", "content-type"),
];
const DEFAULT_TYPE: &str = "application/octet-stream";

/// Refuses what the emulator does not have.
pub(super) fn check(headers: &HeaderMap) -> Result<(), BlobRefusal> {
    match UNSUPPORTED.iter().find(|name| headers.contains_key(**name)) {
        Some(name) => Err(BlobRefusal::unsupported(&format!("the header {name}"))),
        None => Ok(()),
    }
}

/// The size of what comes.
pub(super) fn length(headers: &HeaderMap) -> Result<u64, BlobRefusal> {
    let length = text(headers, header::CONTENT_LENGTH.as_str());
    let Some(length) = length.and_then(|it| it.parse::<u64>().ok()) else {
        let text = "Content-Length HTTP header was not specified.";
        let (status, code) = (StatusCode::LENGTH_REQUIRED, "MissingContentLengthHeader");
        return Err(BlobRefusal::new(status, code, text));
    };
    if length > UPLOAD_REQUEST_BYTES {
        let text = format!(
            "The request body is too large and exceeds {UPLOAD_REQUEST_BYTES} bytes, the most that the emulator takes at once; put the file in blocks"
        );
        let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge");
        return Err(BlobRefusal::new(status, code, text));
    }
    Ok(length)
}

/// The MD5 that what comes must have, by the first of these headers.
pub(super) fn md5(headers: &HeaderMap, names: &[&str]) -> Result<Option<[u8; 16]>, BlobRefusal> {
    let Some(name) = names.iter().find(|name| headers.contains_key(**name)) else {
        return Ok(None);
    };
    let value = text(headers, name).and_then(|it| STANDARD.decode(it).ok());
    let value = value.and_then(|it| <[u8; 16]>::try_from(it).ok());
    let invalid = || {
        let text =
            format!("The MD5 value specified in {name} is invalid: 128 bits in base64 are needed.");
        BlobRefusal::new(StatusCode::BAD_REQUEST, "InvalidMd5", text)
    };
    value.map(Some).ok_or_else(invalid)
}

/// The MD5 that a whole blob must have.
pub(super) fn blob_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, BlobRefusal> {
    md5(headers, &["content-md5", BLOB_MD5])
}

/// What a writer asks of the blob that is there.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, BlobRefusal> {
    let mut unsupported = UNSUPPORTED_OF_WRITERS.iter();
    if let Some(name) = unsupported.find(|name| headers.contains_key(**name)) {
        return Err(BlobRefusal::unsupported(&format!("the header {name}")));
    }
    match (text(headers, "if-none-match"), text(headers, "if-match")) {
        (None, None) => Ok(Condition::None),
        (Some("*"), None) => Ok(Condition::Absent),
        (None, Some(etag)) => Ok(Condition::Etag(etag.to_owned())),
        _ => Err(BlobRefusal::unsupported(
            "this combination of If-Match and If-None-Match",
        )),
    }
}

/// What is to be kept with a blob: of a request that has the contents, also what it says of them as HTTP does.
pub(super) fn kept(
    headers: &HeaderMap,
    has_contents: bool,
) -> Result<Vec<(String, String)>, BlobRefusal> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, own, general) in KEPT {
        let general = text(headers, general).filter(|_| has_contents);
        let value = text(headers, own).or(general);
        let value = value.or((name == "content-type").then_some(DEFAULT_TYPE));
        kept.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    for (name, value) in headers {
        let (true, Ok(value)) = (name.as_str().starts_with(META), value.to_str()) else {
            continue;
        };
        kept.push((name.as_str().to_owned(), value.to_owned()));
    }
    if !has_contents {
        let md5 = text(headers, BLOB_MD5);
        kept.extend(md5.map(|md5| ("content-md5".to_owned(), md5.to_owned())));
    }
    let bytes: usize = kept
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    match bytes <= BLOB_HEADERS_BYTES {
        true => Ok(kept),
        false => {
            let text =
                format!("The properties and metadata have more than {BLOB_HEADERS_BYTES} bytes");
            let (status, code) = (StatusCode::BAD_REQUEST, "MetadataTooLarge");
            Err(BlobRefusal::new(status, code, text))
        }
    }
}

/// The text of an MD5.
pub(super) fn md5_text(md5: [u8; 16]) -> String {
    STANDARD.encode(md5)
}

/// What an answer says of a blob's contents.
pub(super) fn put_version(headers: &mut HeaderMap, blob: &Blob) {
    put(headers, "etag", &blob.etag());
    put(headers, "last-modified", &http_date(blob.modified_unix_ms));
}

/// What a reader gets to know of a blob.
pub(super) fn put_properties(headers: &mut HeaderMap, blob: &Blob) {
    put_version(headers, blob);
    put(headers, "x-ms-blob-type", "BlockBlob");
    put(
        headers,
        "x-ms-creation-time",
        &http_date(blob.created_unix_ms),
    );
    put(headers, "x-ms-lease-status", "unlocked");
    put(headers, "x-ms-lease-state", "available");
    put(headers, "x-ms-server-encrypted", "false");
    put(headers, "accept-ranges", "bytes");
    for (name, value) in &blob.headers {
        put(headers, name, value);
    }
}

/// A header whose value is fit for one.
pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// A time as HTTP has it.
pub(super) fn http_date(unix_ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(unix_ms))
}
