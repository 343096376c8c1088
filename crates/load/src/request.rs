//! The requests of a run: each has its own message id, in the body where readers at the hub find it.

use bytes::Bytes;
use drawspan_settings::API_KEY_HEADER;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::options::Load;

/// The characters of device ids that must be encoded in a path.
pub(super) const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'/');

/// Makes requests.
#[derive(Debug)]
pub(super) struct Requests {
    path_prefix: String,
    device_prefix: String,
    host: HeaderValue,
    api_key: Option<HeaderValue>,
    first_id: u64,
    devices: u32,
    body_bytes: usize,
}

impl Requests {
    pub(super) fn new(load: &Load) -> Self {
        let device_prefix = utf8_percent_encode(&load.device_prefix, ENCODED);
        Self {
            path_prefix: format!("{}/devices/{device_prefix}", load.base_path),
            device_prefix: load.device_prefix.clone(),
            host: load.host.clone(),
            api_key: load.api_key.clone(),
            first_id: load.first_id,
            devices: load.devices,
            body_bytes: load.body_bytes,
        }
    }

    /// The id of a device.
    pub(super) fn name_of(&self, device: u32) -> String {
        format!("{}{device}", self.device_prefix)
    }

    /// Message id and device of request `number`.
    pub(super) fn id_and_device(&self, number: u64) -> (u64, u32) {
        let device = number % u64::from(self.devices) + 1;
        (self.first_id.wrapping_add(number), device as u32)
    }

    /// `{"data":{"id":…,"pad":"…"}}`, with `data` of the size asked for if its id fits in there.
    pub(super) fn make(&self, id: u64, device: u32) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body(id)));
        *request.method_mut() = Method::POST;
        let path = PathAndQuery::try_from(format!("{}{device}/messages/events", self.path_prefix));
        // The prefix was encoded, so there is always a path.
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.api_key {
            headers.insert(HeaderName::from_static(API_KEY_HEADER), key.clone());
        }
        request
    }

    fn body(&self, id: u64) -> Bytes {
        const PAD: &str = r#","pad":""#;
        let mut body = String::with_capacity(self.body_bytes + 64);
        body.push_str(r#"{"data":{"id":"#);
        let start = r#"{"data":"#.len();
        body.push_str(&id.to_string());
        let without_pad = body.len() - start + 1;
        if let Some(pad) = self.body_bytes.checked_sub(without_pad + PAD.len() + 1) {
            body.push_str(PAD);
            body.extend(std::iter::repeat_n('x', pad));
            body.push('"');
        }
        body.push_str("}}");
        Bytes::from(body)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    fn requests(device_prefix: &str, body_bytes: usize) -> Requests {
        Requests {
            path_prefix: format!("/devices/{}", utf8_percent_encode(device_prefix, ENCODED)),
            device_prefix: device_prefix.to_owned(),
            host: HeaderValue::from_static("h"),
            api_key: Some(HeaderValue::from_static("k")),
            first_id: 1_000,
            devices: 3,
            body_bytes,
        }
    }

    #[tokio::test]
    async fn bodies_have_the_size_asked_for() {
        for (asked, expected) in [(0, 11), (11, 11), (19, 11), (20, 20), (256, 256)] {
            let body = requests("d", asked)
                .make(1234, 1)
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["data"]["id"], 1234);
            assert_eq!(body["data"].to_string().len(), expected, "{asked}");
        }
    }

    #[test]
    fn ids_are_unique_and_devices_take_turns() {
        let requests = requests("a%b?", 0);
        let turns: Vec<_> = (0..4)
            .map(|number| requests.id_and_device(number))
            .collect();
        assert_eq!(turns, [(1_000, 1), (1_001, 2), (1_002, 3), (1_003, 1)]);
        assert_eq!(
            requests.make(1, 2).uri(),
            "/devices/a%25b%3F2/messages/events"
        );
    }
}
