//! Blobs that are read.

use std::io::{self, SeekFrom};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use drawspan_emulator_hub::blobs::BlobError;
use drawspan_hub::storage::Permission;
use drawspan_hub_model::blobs::{Blob, Refused};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::refusal::BlobRefusal;
use super::{Asked, head};
use crate::https::request::text;
use crate::limits::DOWNLOAD_PIECE_BYTES;

/// `GET /{container}/{blob}`, of which a range may be asked for.
pub(super) async fn contents(asked: &Asked) -> Result<Response, BlobRefusal> {
    asked.allow(&[Permission::Read])?;
    let opened = asked.store.open(&asked.name).await;
    let (blob, mut file) = opened?;
    check_condition(asked, &blob)?;
    let range = text(&asked.headers, "x-ms-range").or(text(&asked.headers, "range"));
    let range = range.and_then(parse);
    let (from, length) = match range {
        None => (0, blob.bytes),
        Some(range) => range.of(blob.bytes).ok_or_else(|| {
            let text = "The range specified is invalid for the current size of the resource.";
            let (status, code) = (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
            BlobRefusal::new(status, code, text)
        })?,
    };
    file.seek(SeekFrom::Start(from))
        .await
        .map_err(|error| BlobRefusal::from(BlobError::Io(error)))?;
    let mut response = Body::from_stream(pieces(file, length)).into_response();
    let headers = response.headers_mut();
    head::put_properties(headers, &blob);
    headers.insert(header::CONTENT_LENGTH, length.into());
    if range.is_some() {
        let last = from + length.saturating_sub(1);
        let value = format!("bytes {from}-{last}/{}", blob.bytes);
        head::put(headers, "content-range", &value);
        // It is that of the whole.
        if let Some(md5) = headers.remove("content-md5") {
            headers.insert("x-ms-blob-content-md5", md5);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// `HEAD /{container}/{blob}`
pub(super) fn properties(asked: &Asked) -> Result<Response, BlobRefusal> {
    asked.allow(&[Permission::Read])?;
    let blob = asked.store.get(&asked.name);
    let blob = blob.ok_or(BlobError::Refused(Refused::NotFound))?;
    check_condition(asked, &blob)?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    head::put_properties(headers, &blob);
    headers.insert(header::CONTENT_LENGTH, blob.bytes.into());
    Ok(response)
}

fn check_condition(asked: &Asked, blob: &Blob) -> Result<(), BlobRefusal> {
    match text(&asked.headers, "if-match") {
        Some(etag) if etag != "*" && etag != blob.etag() => {
            Err(BlobError::Refused(Refused::ConditionNotMet).into())
        }
        _ => Ok(()),
    }
}

/// A range of bytes as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    /// `None` means to the end.
    last: Option<u64>,
}

/// `bytes={first}-{last}`. Anything else is not a range, as RFC 9110 wants it, and the whole blob is the answer.
fn parse(text: &str) -> Option<Range> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let last = match last {
        "" => None,
        last => Some(last.parse().ok().filter(|last| *last >= first)?),
    };
    Some(Range { first, last })
}

impl Range {
    /// First byte and length within so many bytes; `None` if it begins behind them.
    fn of(self, bytes: u64) -> Option<(u64, u64)> {
        let end = bytes.checked_sub(1)?;
        let last = self.last.map_or(end, |last| last.min(end));
        let length = last.checked_sub(self.first)?.checked_add(1)?;
        Some((self.first, length))
    }
}

/// A file from where it stands, as far as `left`.
fn pieces(file: File, left: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, left), async |(mut file, left)| {
        let size = left.min(DOWNLOAD_PIECE_BYTES as u64);
        if size == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; usize::try_from(size).unwrap_or(DOWNLOAD_PIECE_BYTES)];
        file.read_exact(&mut piece).await?;
        Ok(Some((Bytes::from(piece), (file, left - size))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_within_a_blob_and_beyond() {
        let check = |text: &str, bytes, expected| {
            assert_eq!(parse(text).map(|range| range.of(bytes)), expected, "{text}");
        };
        check("bytes=0-3", 10, Some(Some((0, 4))));
        check("bytes=2-", 10, Some(Some((2, 8))));
        check("bytes=2-99", 10, Some(Some((2, 8))));
        check("bytes=9-9", 10, Some(Some((9, 1))));
        check("bytes=10-", 10, Some(None));
        check("bytes=0-0", 0, Some(None));
        check("bytes=0-18446744073709551615", 10, Some(Some((0, 10))));
        for no_range in ["bytes=3-2", "bytes=-5", "bytes=a-b", "0-3", "bytes=0-1,3-4"] {
            check(no_range, 10, None);
        }
    }
}
