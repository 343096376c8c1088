//! Answers that are read as they come.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::time::timeout;

use super::{HttpClient, HttpError, Kept};

/// The body of an answer, on a connection of its own that ends with it.
#[derive(Debug)]
pub struct HttpStream {
    body: Incoming,
    _connection: Kept,
}

impl HttpClient {
    /// Sends a request, over a connection of its own, whose answer is read as it comes. The time of the bounds is for the head of the
    /// answer; neither their number of connections nor their size of an answer applies.
    ///
    /// # Errors
    /// Why there is no answer. A status of any kind is an answer.
    pub async fn stream(&self, request: Request<Bytes>) -> Result<Response<HttpStream>, HttpError> {
        let limit = self.bounds.time;
        let sent = timeout(limit, self.send_anew(request.map(Full::new))).await;
        let (connection, response) = sent.unwrap_or(Err(HttpError::TimedOut(limit)))?;
        Ok(response.map(|body| HttpStream {
            body,
            _connection: connection,
        }))
    }
}

impl HttpStream {
    /// What comes next; `None` at the end of the body.
    ///
    /// # Errors
    /// The connection broke, or what came was not HTTP.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
                // Trailers are of no interest.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// All that is left, up to so many bytes.
    ///
    /// # Errors
    /// It broke off, or is larger.
    pub async fn rest(self, most: usize) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let body = Limited::new(self.body, most).collect().await?;
        Ok(body.to_bytes())
    }
}
