//! Every operation, called with the document's own examples, answers as the document says, for all answers of the devices.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use drawspan_gateway::{
    CallbackUrl, Change, DeadLetter, Delay, DeviceError, DeviceLimit, DeviceState, DeviceUsage,
    Diagnostics, Held, HubUsage, LastFailure, ListPage, Listed, Prefix, Scope, Subscription,
    SubscriptionStatus, Usage, Used,
};
use drawspan_hub::failure::FailureKind;
use drawspan_hub::limits::Rate;
use drawspan_hub::{
    C2dMessage, ConnectionCause, ConnectionStatus, ConnectionStatusReason, DeviceId, ErrorCode,
    Failure, HostName, SubscriptionType, UtcTime,
};
use drawspan_settings::ApiKeys;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{document, entry, schema};
use crate::api::Api;
use crate::client_disconnect::{Caller, ClientDisconnect};
use crate::fake::Fake;
use crate::operation::Operation;

const TWIN: &str = r#"{"desired":{"$version":1},"reported":{"$version":1}}"#;

fn device() -> DeviceId {
    DeviceId::parse("sensor-1").unwrap()
}

fn now() -> UtcTime {
    UtcTime::from_unix_ms(1_800_000_000_000)
}

fn subscription(scope: Scope) -> Subscription {
    Subscription {
        scope,
        kind: SubscriptionType::Methods,
        callback: CallbackUrl::parse("https://example.com/events").unwrap(),
        created_at: now(),
        keep_connected: true,
    }
}

/// Devices that have something to say to every question.
fn full() -> Fake {
    let status = Some((
        ConnectionStatus::Connected,
        ConnectionStatusReason::ConnectionOk,
    ));
    let hub = HostName::parse("hub.example").ok();
    let host = HostName::parse("a.net").unwrap();
    let used = Used {
        sends: 3,
        blocks: 4,
    };
    Fake {
        usage: Some(Usage {
            since: now(),
            until: now(),
            hubs: vec![HubUsage {
                hub: host.clone(),
                daily_blocks: Some(400_000),
                devices: 1,
                used,
            }],
            devices: vec![DeviceUsage {
                device: device(),
                hub: host,
                used,
            }],
            limits: vec![DeviceLimit::Rate(Rate::per_second(5))],
        }),
        twin: TWIN,
        status,
        diagnostics: Some(Diagnostics {
            state: DeviceState::Connected,
            since: Some(now()),
            status,
            hub: hub.clone(),
            assigned_device_id: None,
            last_failure: Some(LastFailure {
                code: ErrorCode::new(401_003),
                kind: FailureKind::Unauthorized,
                tracking_id: None,
                message: "said".to_owned(),
                at: now(),
            }),
            failures: 1,
            next_attempt_at: None,
            permanent: true,
            wanted_until: Some(now()),
            connection: Some(1),
            token_slot: None,
            wanted: vec![SubscriptionType::Methods],
            refused: vec![SubscriptionType::Methods],
            history: vec![change(None), change(Some(ConnectionCause::OtherClient))],
        }),
        subscribed: Some((
            subscription(Scope::Device(device())),
            Some(SubscriptionStatus::Running),
        )),
        fleet: vec![subscription(Scope::Fleet(Prefix::default()))],
        held: Some(Held {
            lock_token: "token".to_owned(),
            locked_until: now(),
            received_at: now(),
            message: C2dMessage {
                body: Bytes::from_static(b"\xff"),
                properties: vec![("a".to_owned(), "b".to_owned())],
                ..C2dMessage::default()
            },
        }),
        page: ListPage {
            devices: vec![Listed {
                device: device(),
                status,
                hub,
                subscriptions: SubscriptionType::ALL.to_vec(),
            }],
            next: Some(device()),
        },
        letters: (1..=2).map(letter).collect(),
        ..Fake::default()
    }
}

fn change(cause: Option<ConnectionCause>) -> Change {
    Change {
        at: now(),
        status: ConnectionStatus::Connected,
        reason: ConnectionStatusReason::ConnectionOk,
        cause,
        detail: cause.map(|cause| cause.as_str().into()),
        session: cause.map(|_| Duration::from_millis(1_234)),
    }
}

/// Ends streams at once.
struct Gone;

impl Caller for Gone {
    fn is_to_be_answered(&self) -> bool {
        true
    }
}

fn letter(id: u64) -> DeadLetter {
    DeadLetter {
        id,
        webhook_id: "c2d_1".to_owned(),
        device: device(),
        kind: SubscriptionType::C2dMessages,
        event: Bytes::from_static(b"{}"),
        origin: "https://example.com:443".to_owned(),
        reason: "503".to_owned(),
        attempts: 6,
        failed_at: now(),
    }
}

/// The request that the document's examples make, with this query.
fn request(document: &Value, operation: Operation, query: &str) -> Request<Body> {
    let entry = entry(document, operation);
    let mut path = operation.path().to_owned();
    for name in operation.path_parameters() {
        let value = match name {
            "deviceId" => "sensor-1",
            "subscriptionType" => "Methods",
            "deadLetterId" => "7",
            _ => "token",
        };
        path = path.replace(&format!("{{{name}}}"), value);
    }
    let mut request = Request::builder()
        .method(operation.method())
        .uri(format!("{path}{query}"));
    if operation == Operation::StreamConnectionStatus {
        request = request.extension(ClientDisconnect::new(Arc::new(Gone)));
    }
    request = request.header("x-api-key", "k");
    let content = &entry["requestBody"]["content"]["application/json"];
    match content["example"] {
        Value::Null => request.body(Body::empty()).unwrap(),
        ref example => {
            assert_eq!(
                schema::mistake(document, &content["schema"], example, ""),
                None
            );
            let request = request.header("content-type", "application/json");
            request.body(Body::from(example.to_string())).unwrap()
        }
    }
}

/// Asks, and holds the answer to the document. Returns its status.
async fn check(document: &Value, operation: Operation, query: &str, fake: Fake) -> u16 {
    let api = Api::new(fake, ApiKeys::new(["k"]), Duration::from_secs(30));
    let response = api.answer(request(document, operation, query)).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let status = parts.status.as_u16();
    let described = &entry(document, operation)["responses"][status.to_string()];
    let what = format!("{operation:?} {status} {}", String::from_utf8_lossy(&body));
    assert!(described.is_object(), "{what}: not described");
    for name in ["retry-after", "www-authenticate"] {
        let headers = described["headers"].as_object();
        let named = headers
            .is_some_and(|headers| headers.keys().any(|known| known.eq_ignore_ascii_case(name)));
        assert!(
            named || !parts.headers.contains_key(name),
            "{what}: {name} is not described"
        );
    }
    if body.is_empty() {
        return status;
    }
    let media = parts.headers["content-type"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let content = &described["content"][media];
    assert!(content.is_object(), "{what}: {media} is not described");
    if media.ends_with("json") {
        let value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            schema::mistake(document, &content["schema"], &value, ""),
            None,
            "{what}"
        );
    }
    status
}

#[tokio::test]
async fn what_is_described_is_answered() {
    let document = document();
    for operation in Operation::ALL {
        let mut fake = full();
        if *operation == Operation::GetFleetSubscription {
            fake.subscribed = Some((subscription(Scope::Fleet(Prefix::default())), None));
        }
        let status = check(&document, *operation, "", fake).await;
        assert!((200..300).contains(&status), "{operation:?} {status}");
        let empty = Fake {
            twin: TWIN,
            ..Fake::default()
        };
        check(&document, *operation, "", empty).await;
    }
    assert_eq!(
        check(&document, Operation::SendMessage, "?receive=true", full()).await,
        200
    );
    assert_eq!(
        check(&document, Operation::ListDeadLetters, "?limit=1", full()).await,
        200
    );
    assert_eq!(
        check(&document, Operation::ListDeadLetters, "?limit=x", full()).await,
        400
    );
    let nothing = Fake {
        page: ListPage::default(),
        ..full()
    };
    assert_eq!(
        check(&document, Operation::ListDevices, "?prefix=s", nothing).await,
        200
    );
}

/// Operations that end at the hub, or at DPS.
const AT_THE_HUB: [Operation; 8] = [
    Operation::SendMessage,
    Operation::GetTwin,
    Operation::UpdateReportedProperties,
    Operation::Register,
    Operation::ReceiveMessage,
    Operation::CompleteMessage,
    Operation::AbandonMessage,
    Operation::RejectMessage,
];

#[tokio::test]
async fn what_the_hub_says_is_described() {
    use DeviceError as E;
    use FailureKind as K;
    let retry_after_s = 5;
    let mut errors = vec![
        E::Throttled { retry_after_s },
        E::HubUnreachable {
            retry_after_s,
            why: None,
        },
        E::Delayed(Delay::Credit),
        E::RefusedUntil {
            failure: Failure::local(K::DeviceNotFound, "said"),
            retry_after_s,
        },
        E::QueueFull { retry_after_s },
        E::NotReady,
        E::NotSent,
        E::FateUnknown,
        E::NotListed,
        E::IdNotForDps(DeviceId::parse("").unwrap_err()),
    ];
    let kinds = [
        K::HubUnreachable,
        K::HubMaintenance,
        K::Unauthorized,
        K::DeviceNotFound,
        K::QuotaExceeded,
        K::Throttled,
        K::TokenLimit,
        K::ConnectionsFull,
        K::QueueFull,
        K::InvalidRequest,
        K::Timeout,
        K::ServerError,
        K::Unknown,
    ];
    errors.extend(kinds.map(|kind| E::Refused(Failure::local(kind, "said"))));
    let document = document();
    for operation in AT_THE_HUB {
        for error in &errors {
            let fake = Fake {
                refusal: Some(error.clone()),
                ..full()
            };
            check(&document, operation, "", fake).await;
        }
    }
    let too_large = E::Refused(Failure::local(K::MessageTooLarge, "said"));
    for operation in [Operation::SendMessage, Operation::UpdateReportedProperties] {
        let fake = Fake {
            refusal: Some(too_large.clone()),
            ..full()
        };
        assert_eq!(check(&document, operation, "", fake).await, 413);
    }
}

#[tokio::test]
async fn what_the_bridge_says_is_described() {
    use DeviceError as E;
    use Operation as O;
    let full_queue = || E::QueueFull { retry_after_s: 5 };
    // A write into the store, with the error that is its own.
    let write = |error| vec![error, E::NotStored(None), E::NotReady, full_queue()];
    let refused_callback = || write(E::CallbackRefused("why".to_owned()));
    let created = [400, 503, 503, 503];
    let deleted = [204, 503, 503, 503];
    let cases = [
        (
            O::CreateOrUpdateMethodsSubscription,
            refused_callback(),
            created,
        ),
        (
            O::CreateOrUpdateFleetSubscription,
            refused_callback(),
            created,
        ),
        (
            O::DeleteMethodsSubscription,
            write(E::NoSubscription),
            deleted,
        ),
        (
            O::DeleteFleetSubscription,
            write(E::NoSubscription),
            deleted,
        ),
        (
            O::ReceiveMessage,
            vec![E::Subscribed, E::NotListed, E::NotReady, full_queue()],
            [409, 404, 503, 503],
        ),
        (
            O::CompleteMessage,
            vec![E::NotListed, E::LockLost, E::NotReady, full_queue()],
            [404, 410, 503, 503],
        ),
        (
            O::ReplayDeadLetter,
            vec![
                E::NoDeadLetter,
                E::NoSubscription,
                E::NotRead(None),
                full_queue(),
            ],
            [404, 404, 503, 503],
        ),
        (
            O::DeleteDeadLetter,
            write(E::NoDeadLetter),
            [404, 503, 503, 503],
        ),
    ];
    let document = document();
    for (operation, errors, statuses) in cases {
        for (error, expected) in errors.into_iter().zip(statuses) {
            let what = format!("{operation:?} {error:?}");
            let fake = Fake {
                refusal: Some(error),
                ..full()
            };
            assert_eq!(
                check(&document, operation, "", fake).await,
                expected,
                "{what}"
            );
        }
    }
}
