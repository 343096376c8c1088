//! Blobs and blocks that are put.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use drawspan_emulator_hub::blobs::{BlobError, Writing};
use drawspan_hub::storage::{Permission, query_value};
use drawspan_hub_model::blobs::Blob;
use http_body_util::BodyExt as _;

use super::refusal::BlobRefusal;
use super::{Asked, block_list, head};
use crate::https::body::{Unreadable, whole};
use crate::https::request::text;
use crate::limits::{UPLOAD_LIST_BYTES, UPLOAD_PIECE_MS};

/// `PUT /{container}/{blob}`: Put Blob.
pub(super) async fn blob(asked: &Asked, body: &mut Body) -> Result<Response, BlobRefusal> {
    asked.allow(&[Permission::Write])?;
    match text(&asked.headers, "x-ms-blob-type") {
        Some("BlockBlob") => {}
        Some(_) => return Err(BlobRefusal::unsupported("blobs other than BlockBlob")),
        None => {
            let text =
                "An HTTP header that's mandatory for this request is not specified: x-ms-blob-type";
            let (status, code) = (StatusCode::BAD_REQUEST, "MissingRequiredHeader");
            return Err(BlobRefusal::new(status, code, text));
        }
    }
    let (length, expected) = (
        head::length(&asked.headers)?,
        head::blob_md5(&asked.headers)?,
    );
    let condition = head::condition(&asked.headers)?;
    let mut headers = head::kept(&asked.headers, true)?;
    let writing = asked.store.write_blob(&asked.name, length, &condition);
    let written = receive(body, writing.await?).await?.end(expected).await?;
    let md5 = written.md5.map(head::md5_text).unwrap_or_default();
    headers.push(("content-md5".to_owned(), md5.clone()));
    let put = asked.store.put(written, &asked.name, headers, &condition);
    let blob = put.await?;
    Ok(created(&blob, Some(&md5)))
}

/// `PUT /{container}/{blob}?comp=block&blockid={id}`: Put Block.
pub(super) async fn block(asked: &Asked, body: &mut Body) -> Result<Response, BlobRefusal> {
    asked.allow(&[Permission::Write])?;
    let id = query_value(&asked.query, "blockid").unwrap_or_default();
    let length = head::length(&asked.headers)?;
    let expected = head::md5(&asked.headers, &["content-md5"])?;
    let writing = asked.store.write_block(&asked.name, &id, length).await?;
    let written = receive(body, writing).await?.end(expected).await?;
    let md5 = written.md5.map(head::md5_text).unwrap_or_default();
    asked.store.put_block(written, &asked.name, &id).await?;
    let mut response = StatusCode::CREATED.into_response();
    head::put(response.headers_mut(), "content-md5", &md5);
    encrypted(&mut response);
    Ok(response)
}

/// `PUT /{container}/{blob}?comp=blocklist`: Put Block List.
pub(super) async fn blocks(asked: &Asked, body: &mut Body) -> Result<Response, BlobRefusal> {
    asked.allow(&[Permission::Write])?;
    let condition = head::condition(&asked.headers)?;
    let headers = head::kept(&asked.headers, false)?;
    let list = whole(std::mem::take(body), UPLOAD_LIST_BYTES);
    let list = tokio::time::timeout(Duration::from_millis(UPLOAD_PIECE_MS), list);
    let list = list.await.map_err(|_| too_slow())?.map_err(|error| {
        let (status, code) = match &error {
            Unreadable::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"),
            Unreadable::Broken(_) => (StatusCode::BAD_REQUEST, "InvalidInput"),
        };
        BlobRefusal::new(status, code, error.to_string())
    })?;
    let ids = block_list::ids(&list)?;
    let put = asked.store.commit(&asked.name, &ids, headers, &condition);
    let blob = put.await?;
    Ok(created(&blob, None))
}

/// Writes what comes into the file, piece by piece.
async fn receive(body: &mut Body, mut writing: Writing) -> Result<Writing, BlobRefusal> {
    loop {
        let frame = tokio::time::timeout(Duration::from_millis(UPLOAD_PIECE_MS), body.frame());
        match frame.await.map_err(|_| too_slow())? {
            None => return Ok(writing),
            // What did not come is missed at the end.
            Some(Err(_)) => return Err(BlobError::Length.into()),
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    writing.piece(piece).await?;
                }
            }
        }
    }
}

fn created(blob: &Blob, md5: Option<&str>) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    let headers = response.headers_mut();
    head::put_version(headers, blob);
    if let Some(md5) = md5 {
        head::put(headers, "content-md5", md5);
    }
    encrypted(&mut response);
    response
}

/// Clients read it without asking whether it is there.
fn encrypted(response: &mut Response) {
    let headers = response.headers_mut();
    head::put(headers, "x-ms-request-server-encrypted", "false");
}

fn too_slow() -> BlobRefusal {
    let text = "The body did not arrive in time";
    BlobRefusal::new(StatusCode::REQUEST_TIMEOUT, "OperationTimedOut", text)
}
