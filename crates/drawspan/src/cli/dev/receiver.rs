//! The receiver of events that `dev` subscribes for all devices: it prints what comes, and answers methods.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use drawspan_api::server;
use drawspan_emulator::tail::{Colour, Paint};
use drawspan_hub::UtcTime;
use drawspan_load::limits::MAX_EVENT_BYTES;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::cli::show;
use crate::limits::{DEV_LINES, DEV_RECEIVER_CONNECTIONS, SHOWN_BODY_CHARS, SHOWN_PROPERTY_CHARS};

/// The relevant members of an event; see docs/webhooks.md.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    event_type: String,
    device_id: String,
    device_received_at: String,
    #[serde(borrow)]
    message_body: Option<&'a RawValue>,
    #[serde(default)]
    properties: serde_json::Map<String, serde_json::Value>,
    method_name: Option<String>,
    #[serde(borrow)]
    request_data: Option<&'a RawValue>,
    #[serde(borrow)]
    desired_properties: Option<&'a RawValue>,
}

/// Listens on loopback, and gives the URL for subscriptions. Ends with the runtime.
///
/// # Errors
/// What the system says.
pub(super) fn start(paint: Paint) -> io::Result<String> {
    let listener = server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let (lines, printed) = mpsc::channel(DEV_LINES);
    // A separate thread: a stopped terminal blocks the output, and nothing else.
    std::thread::Builder::new()
        .name("receiver-lines".to_owned())
        .spawn(move || print(printed))?;
    tokio::spawn(accept(listener, paint, lines));
    Ok(url)
}

fn print(mut lines: mpsc::Receiver<String>) {
    while let Some(line) = lines.blocking_recv() {
        let mut out = io::stdout().lock();
        if out
            .write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            // The terminal is gone.
            return;
        }
    }
}

async fn accept(listener: TcpListener, paint: Paint, lines: mpsc::Sender<String>) {
    let places = Arc::new(Semaphore::new(DEV_RECEIVER_CONNECTIONS));
    loop {
        // Never closed, so that this cannot fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let lines = lines.clone();
        tokio::spawn(async move {
            serve(stream, paint, lines).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, paint: Paint, lines: mpsc::Sender<String>) {
    // Answers are small, and waited for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, paint, &lines));
    // The bridge notices a connection that breaks.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    paint: Paint,
    lines: &mpsc::Sender<String>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Limited::new(request.into_body(), MAX_EVENT_BYTES);
    let body = body.collect().await.map(|body| body.to_bytes());
    let event = body.ok();
    let event = event
        .as_deref()
        .and_then(|bytes| serde_json::from_slice::<Event<'_>>(bytes).ok());
    let Some(event) = event else {
        let mut refused = Response::new(Full::default());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    // If too many lines wait for the terminal, this one is dropped.
    let _ = lines.try_send(line(&event, paint));
    Ok(Response::new(Full::from(word(&event))))
}

/// The answer that a device's software might give to a method.
fn word(event: &Event<'_>) -> String {
    if event.method_name.is_none() {
        return String::new();
    }
    let data = event.request_data.map_or("null", RawValue::get);
    format!("{{\"status\":200,\"payload\":{{\"received\":{data}}}}}")
}

/// `time  device  received …`, like the lines of telemetry.
fn line(event: &Event<'_>, paint: Paint) -> String {
    let time = UtcTime::parse(&event.device_received_at).map(show::time_of_day);
    let time = time.unwrap_or_else(|_| "-".to_owned());
    let json = |raw: Option<&RawValue>| {
        let text = raw.map_or("null", RawValue::get);
        show::one_line(text, SHOWN_BODY_CHARS)
    };
    let name = |text: &str| show::one_line(text, SHOWN_PROPERTY_CHARS);
    let what = match event.event_type.as_str() {
        "C2DMessage" => {
            let properties = event.properties.iter().map(|(key, value)| {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                format!("{}={}", name(key), name(&value))
            });
            let properties: Vec<_> = properties.collect();
            let body = json(event.message_body);
            match properties.is_empty() {
                true => format!("received message {body}"),
                false => {
                    let properties = paint.with(Colour::Green, properties.join(" "));
                    format!("received message {body}  {properties}")
                }
            }
        }
        "DirectMethodInvocation" => {
            let method = name(event.method_name.as_deref().unwrap_or_default());
            let data = json(event.request_data);
            format!("received method {method} {data}, answered 200")
        }
        "DesiredPropertyUpdate" => {
            format!(
                "received desired properties {}",
                json(event.desired_properties)
            )
        }
        other => format!("received {}", name(other)),
    };
    let device = name(&event.device_id);
    format!(
        "{}  {}  {what}\n",
        paint.with(Colour::Grey, time),
        paint.with(Colour::Cyan, device)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_lines_and_methods_are_answered() {
        let check = |members: &str, expected: &str, answer: &str| {
            let text = format!(
                r#"{{"deviceId":"d","deviceReceivedAt":"2026-11-22T10:20:30.1230000Z",{members}}}"#
            );
            let event: Event<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(
                line(&event, Paint(false)),
                format!("10:20:30.123  d  received {expected}\n")
            );
            assert_eq!(word(&event), answer);
        };
        check(
            r#""eventType":"C2DMessage","messageBody":{"on":true},"properties":{"room":"12"},"messageId":null"#,
            r#"message {"on":true}  room=12"#,
            "",
        );
        check(
            r#""eventType":"C2DMessage","messageBody":"aGk=","messageBodyEncoding":"base64","properties":{}"#,
            r#"message "aGk=""#,
            "",
        );
        check(
            r#""eventType":"DirectMethodInvocation","methodName":"blink","requestData":{"times":3}"#,
            r#"method blink {"times":3}, answered 200"#,
            r#"{"status":200,"payload":{"received":{"times":3}}}"#,
        );
        check(
            r#""eventType":"DirectMethodInvocation","methodName":"stop","requestData":null"#,
            "method stop null, answered 200",
            r#"{"status":200,"payload":{"received":null}}"#,
        );
        check(
            r#""eventType":"DesiredPropertyUpdate","desiredProperties":{"interval":60,"$version":7}"#,
            r#"desired properties {"interval":60,"$version":7}"#,
            "",
        );
    }
}
