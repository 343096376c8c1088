//! Subscribing devices at the bridge, and waiting until the subscriptions are in effect.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::SubscriptionType;
use drawspan_settings::API_KEY_HEADER;
use drawspan_settings::plural::count;
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::behavior::is_chosen;
use crate::connection::Client;
use crate::limits::{
    MAX_ANSWER_BYTES, MAX_LIST_PAGE_BYTES, SUBSCRIBING_CONNECTIONS, SUBSCRIPTIONS_ASKED,
};
use crate::options::{Downlink, Load};
use crate::problem;
use crate::request::ENCODED;

const POLL: Duration = Duration::from_millis(250);
const LIST_LIMIT: usize = 1_000;

/// How many of how many, and of what.
pub(super) type Show<'a> = &'a (dyn Fn(&'static str, usize, usize) + Send + Sync);

/// The bridge's API.
pub(super) struct Api<'a> {
    pub(super) load: &'a Load,
    pub(super) downlink: &'a Downlink,
    prefix: String,
    /// Subscriptions that were asked for, in their order; whether the bridge made the last ones need not be known.
    begun: AtomicUsize,
}

#[derive(Deserialize)]
struct Page {
    devices: Vec<ListedDevice>,
    continuation: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedDevice {
    device_id: String,
}

#[derive(Deserialize)]
struct Subscribed {
    status: Option<String>,
}

impl<'a> Api<'a> {
    pub(super) fn new(load: &'a Load, downlink: &'a Downlink) -> Self {
        let prefix = utf8_percent_encode(&load.device_prefix, ENCODED).to_string();
        Self {
            load,
            downlink,
            prefix,
            begun: AtomicUsize::new(0),
        }
    }

    /// Makes all subscriptions: those of the second receiver's devices with the second URL.
    ///
    /// # Errors
    /// What the bridge said to the first one that it did not take.
    pub(super) async fn subscribe(&self, urls: [&str; 2], show: Show<'_>) -> Result<(), String> {
        let kinds = &self.downlink.subscribe;
        let total = self.load.devices as usize * kinds.len();
        let ask = |number: usize| {
            let (device, kind) = self.split(number, kinds)?;
            self.begun.fetch_max(number + 1, Ordering::Relaxed);
            let bad = is_chosen(device as u64, self.downlink.bad_share);
            let [url, bad_url] = urls;
            let body = json!({ "callbackUrl": if bad { bad_url } else { url } });
            let path = self.path_of(device, kind);
            Some(self.request(Method::PUT, &path, Some(body.to_string())))
        };
        let check = |status: u16, _: &[u8]| match status {
            200 => Ok(true),
            _ => Err(()),
        };
        self.each(total, "subscribed", ask, check, show).await
    }

    /// Removes what [`subscribe`](Self::subscribe) made, as far as it came.
    ///
    /// # Errors
    /// What the bridge said to the first one that it did not remove.
    pub(super) async fn unsubscribe(&self, show: Show<'_>) -> Result<(), String> {
        let kinds = &self.downlink.subscribe;
        let ask = |number: usize| {
            let (device, kind) = self.split(number, kinds)?;
            Some(self.request(Method::DELETE, &self.path_of(device, kind), None))
        };
        // A removed one may be removed once more.
        let check = |status: u16, _: &[u8]| match status {
            200..300 => Ok(true),
            _ => Err(()),
        };
        let begun = self.begun.load(Ordering::Relaxed);
        self.each(begun, "removed", ask, check, show).await
    }

    /// Waits until all devices are connected, and then until all subscriptions that were made, or are needed, are Running.
    /// Gives how long the former took, and of how many subscriptions the latter was asked.
    ///
    /// # Errors
    /// When the time is up, or the bridge's answers make no sense.
    pub(super) async fn wait(&self, show: Show<'_>) -> Result<(Duration, usize), String> {
        let started = Instant::now();
        let until = started + self.downlink.running_within;
        let kinds = self.downlink.waited();
        if kinds.is_empty() {
            return Ok((Duration::ZERO, 0));
        }
        let total = self.load.devices as usize;
        loop {
            let connected = self.connected(until).await?;
            show("connected", connected, total);
            if connected >= total {
                break;
            }
            if Instant::now() >= until {
                return Err(format!(
                    "{connected} of {} connected, and the time is up (--running-within)",
                    count(total, "device", "devices")
                ));
            }
            sleep(POLL).await;
        }
        let connected = started.elapsed();
        let all = total * kinds.len();
        let asked = all.min(SUBSCRIPTIONS_ASKED);
        let ask = |number: usize| {
            // Spread over all.
            let (device, kind) = self.split(number * all / asked.max(1), &kinds)?;
            Some(self.request(Method::GET, &self.path_of(device, kind), None))
        };
        let check = |status: u16, body: &[u8]| match serde_json::from_slice::<Subscribed>(body) {
            Ok(found) if status == 200 => Ok(found.status.as_deref() == Some("Running")),
            _ => Err(()),
        };
        let asking = self.each(asked, "running", ask, check, show);
        let asking = tokio::time::timeout_at(until, asking).await;
        asking.map_err(|_| {
            "not all subscriptions are Running, and the time is up (--running-within)".to_owned()
        })??;
        Ok((connected, asked))
    }

    /// Does `ask` for each number, over several connections, again and again until `check` is content.
    async fn each(
        &self,
        total: usize,
        what: &'static str,
        ask: impl Fn(usize) -> Option<Request<Full<Bytes>>> + Sync,
        check: impl Fn(u16, &[u8]) -> Result<bool, ()> + Sync,
        show: Show<'_>,
    ) -> Result<(), String> {
        let next = AtomicUsize::new(0);
        let worker = || async {
            let mut client = Client::new(self.load.authority.clone(), self.load.timeout);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok(());
                }
                show(what, number, total);
                loop {
                    let Some(request) = ask(number) else { break };
                    let uri = request.uri().clone();
                    let answer = client.ask_for(request, MAX_ANSWER_BYTES).await;
                    let (status, body) = answer.map_err(|_| format!("no answer to {uri}"))?;
                    match check(status, &body) {
                        Ok(true) => break,
                        Ok(false) => sleep(POLL).await,
                        // Too much at once is no mistake.
                        Err(()) if status == 503 || status == 429 => sleep(POLL).await,
                        Err(()) => return Err(unexpected(&uri, status, &body)),
                    }
                }
            }
        };
        let workers = (0..SUBSCRIBING_CONNECTIONS.min(total)).map(|_| worker());
        all(workers.collect()).await
    }

    /// How many of the devices are connected.
    async fn connected(&self, until: Instant) -> Result<usize, String> {
        let mut client = Client::new(self.load.authority.clone(), self.load.timeout);
        let mut after = String::new();
        let mut found = 0;
        loop {
            let path = format!(
                "{}/devices?prefix={}&status=Connected&limit={LIST_LIMIT}{after}",
                self.load.base_path, self.prefix
            );
            let request = self.request(Method::GET, &path, None);
            let uri = request.uri().clone();
            let answer = client.ask_for(request, MAX_LIST_PAGE_BYTES).await;
            let (status, body) = match answer {
                // A bridge that is on its way.
                Err(_) | Ok((503, _)) if Instant::now() < until => return Ok(0),
                Err(_) => return Err(format!("no answer to {uri}")),
                Ok(answer) => answer,
            };
            let page = serde_json::from_slice::<Page>(&body);
            let (200, Ok(page)) = (status, page) else {
                return Err(unexpected(&uri, status, &body));
            };
            found += page
                .devices
                .iter()
                .filter(|device| self.is_ours(&device.device_id))
                .count();
            match page.continuation {
                Some(last) => after = format!("&after={}", utf8_percent_encode(&last, ENCODED)),
                None => return Ok(found),
            }
        }
    }

    fn is_ours(&self, device: &str) -> bool {
        let number = device.strip_prefix(&self.load.device_prefix);
        let number = number.and_then(|text| text.parse::<u32>().ok());
        number.is_some_and(|number| (1..=self.load.devices).contains(&number))
    }

    /// Device (from 0) and kind of a number.
    fn split(
        &self,
        number: usize,
        kinds: &[SubscriptionType],
    ) -> Option<(usize, SubscriptionType)> {
        let kind = kinds.get(number % kinds.len().max(1))?;
        Some((number / kinds.len(), *kind))
    }

    fn path_of(&self, device: usize, kind: SubscriptionType) -> String {
        let rest = match kind {
            SubscriptionType::DesiredProperties => "twin/properties/desired/sub",
            SubscriptionType::Methods => "methods/sub",
            SubscriptionType::C2dMessages => "deviceBound/sub",
            SubscriptionType::ConnectionStatus => "connectionStatus/sub",
        };
        let (base, prefix) = (&self.load.base_path, &self.prefix);
        format!("{base}/devices/{prefix}{}/{rest}", device + 1)
    }

    fn request(&self, method: Method, path: &str, body: Option<String>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
        *request.method_mut() = method;
        // The path is valid, since its parts are encoded.
        *request.uri_mut() = PathAndQuery::try_from(path)
            .map(Uri::from)
            .unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, self.load.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.load.api_key {
            headers.insert(HeaderName::from_static(API_KEY_HEADER), key.clone());
        }
        request
    }
}

/// Polls all of them to the end, or to the first failure.
async fn all<F: Future<Output = Result<(), String>>>(futures: Vec<F>) -> Result<(), String> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(move |cx| {
        let mut failure = None;
        futures.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(result) => {
                failure = failure.take().or(result.err());
                false
            }
        });
        match failure {
            Some(failure) => std::task::Poll::Ready(Err(failure)),
            None if futures.is_empty() => std::task::Poll::Ready(Ok(())),
            None => std::task::Poll::Pending,
        }
    })
    .await
}

fn unexpected(uri: &Uri, status: u16, body: &[u8]) -> String {
    format!("{uri} was answered {status}: {}", problem::said(body))
}
