//! Registrations at a scripted service.

mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use drawspan_hub::SymmetricKey;
use drawspan_hub::sas::Token;

use super::*;
use crate::credentials::{KeyPair, Keys};
use server::{Act, HOST, Server};

const ASSIGNING: &str = r#"{"operationId":"4.op/1","status":"assigning"}"#;
const ASSIGNED: &str = r#"{"operationId":"4.op/1","status":"assigned","registrationState":{"assignedHub":"hub.test","deviceId":"a"}}"#;

/// Nothing here takes long; this is for a client that waits for ever.
fn patience() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn group_key() -> SymmetricKey {
    SymmetricKey::from_bytes(&[7; 64]).unwrap()
}

fn client_of(connector: &Connector, keys: Keys) -> DpsClient {
    let mut client = DpsClient::new(DpsConfig {
        endpoint: HostName::parse(HOST).unwrap(),
        id_scope: "0ne 1".into(),
        connector: connector.clone(),
        credentials: Arc::new(Credentials::new(keys)),
    });
    client.second = Duration::from_millis(1);
    client
}

fn client(server: &Server) -> DpsClient {
    let keys = Keys::Group(KeyPair::single(group_key()));
    client_of(&server.connector, keys)
}

async fn register(client: &DpsClient) -> Result<Assigned, Failure> {
    let device = id("a");
    client
        .register(&device, WhichKey::Primary, None, patience())
        .await
}

fn assigned() -> Assigned {
    Assigned {
        hub: HostName::parse("hub.test").unwrap(),
        device: id("a"),
    }
}

#[tokio::test]
async fn registers_and_asks_until_the_device_is_assigned() {
    let server = Server::start(|_, before| match before {
        0 => Act::with(202, "Retry-After: 3\r\n", ASSIGNING),
        1 => Act::answer(202, ASSIGNING),
        _ => Act::answer(200, ASSIGNED),
    })
    .await;
    let payload = Some(r#"{"modelId": "dtmi:a;1"}"#);
    let client = client(&server);
    let found = client
        .register(&id("A-1"), WhichKey::Primary, payload, patience())
        .await;
    assert_eq!(found, Ok(assigned()));
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|seen| seen.line.as_str()).collect();
    let status = "GET /0ne%201/registrations/A-1/operations/4.op%2F1?api-version=2019-03-31";
    assert_eq!(
        lines,
        [
            "PUT /0ne%201/registrations/A-1/register?api-version=2019-03-31",
            status,
            status
        ]
    );
    assert_eq!(
        seen[0].body,
        r#"{"registrationId":"A-1","payload":{"modelId": "dtmi:a;1"}}"#
    );
    for seen in &seen {
        let token = Token::parse(&seen.authorization).unwrap();
        assert!(token.signed_by(&group_key().derive("A-1")));
        assert_eq!(token.resource(), "0ne 1/registrations/A-1");
    }
    assert_eq!(seen[1].body, "");
    assert_eq!(server.connections(), (1, 1), "the connection is kept");
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_unasked() {
    let server = Server::start(|_, _| Act::End).await;
    let check = async |client: &DpsClient, device: &str, payload, kind, part: &str| {
        let found = client
            .register(&id(device), WhichKey::Primary, payload, patience())
            .await;
        let failure = found.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(part), "{failure}");
        assert!(!failure.message.contains("secret"), "{failure}");
    };
    let invalid = FailureKind::InvalidRequest;
    let group = client(&server);
    let part = "a%b cannot be registered at the provisioning service: invalid registration id: \
                character '%' at position 2";
    check(&group, "a%b", None, invalid, part).await;
    check(&group, "a.", None, invalid, "must not end with '.'").await;
    let payload = Some("{\"a\":\nsecret}");
    check(&group, "a", payload, invalid, "not JSON: line 2, column 1").await;
    let large = format!("\"{}\"", "x".repeat(limits::DPS_REQUEST_BYTES));
    check(&group, "a", Some(&large), invalid, "too large").await;
    let none = client_of(&server.connector, Keys::Explicit([].into()));
    let kind = FailureKind::Unauthorized;
    check(&none, "a", None, kind, "no key for a").await;
    assert_eq!(server.connections(), (0, 0));
}

#[tokio::test]
async fn a_refusal_is_told_as_the_service_worded_it() {
    let body = r#"{"errorCode":429001,"trackingId":"t-1","message":"Slow down","info":{}}"#;
    let server = Server::start(move |_, _| Act::with(429, "retry-after: 17\r\n", body)).await;
    let failure = register(&client(&server)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Throttled);
    assert_eq!(failure.code.map(|code| code.number()), Some(429_001));
    assert_eq!(failure.tracking_id.as_deref(), Some("t-1"));
    assert_eq!(failure.retry_after_s, Some(17));
    assert_eq!(server.seen().len(), 1, "nothing is tried again");
}

#[tokio::test]
async fn an_operation_is_followed_through_passing_trouble() {
    let server = Server::start(|_, before| match before {
        0 => Act::answer(202, ASSIGNING),
        1 => Act::with(429, "Retry-After: 1\r\n", ""),
        2 => Act::answer(503, ""),
        3 => Act::End,
        4 => Act::answer(202, ASSIGNING),
        5..=8 => Act::answer(500, ""),
        _ => Act::answer(200, ASSIGNED),
    })
    .await;
    assert_eq!(register(&client(&server)).await, Ok(assigned()));
}

#[tokio::test]
async fn an_operation_is_given_up_when_trouble_stays() {
    let server = Server::start(|_, before| match before {
        0 => Act::answer(202, ASSIGNING),
        _ => Act::answer(500, ""),
    })
    .await;
    let failure = register(&client(&server)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ServerError);
    assert_eq!(
        server.seen().len(),
        1 + limits::DPS_STATUS_FAILURES as usize
    );

    let server = Server::start(|_, before| match before {
        0 => Act::answer(202, ASSIGNING),
        _ => Act::answer(404, r#"{"errorCode":404001}"#),
    })
    .await;
    assert!(register(&client(&server)).await.is_err());
    assert_eq!(server.seen().len(), 2, "a refusal is final");
}

#[tokio::test]
async fn nobody_there_is_the_services_state() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    drop(listener);
    let server = Server::start(|_, _| Act::End).await;
    let failure = register(&client(&server)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::HubUnreachable, "{failure}");
    let keys = Keys::Group(KeyPair::single(group_key()));
    let client = client_of(&server.elsewhere(to), keys);
    let failure = register(&client).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::HubUnreachable, "{failure}");
}

#[tokio::test]
async fn the_deadline_ends_a_registration() {
    let server = Server::start(|_, before| match before {
        0 => Act::answer(202, ASSIGNING),
        _ => Act::Hang,
    })
    .await;
    let client = client(&server);
    let soon = Instant::now() + Duration::from_millis(200);
    let found = client
        .register(&id("a"), WhichKey::Primary, None, soon)
        .await;
    assert_eq!(found.unwrap_err().kind, FailureKind::Timeout);
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_it_may_be() {
    let large = format!("\"{}\"", "x".repeat(limits::HTTPS_ANSWER_BYTES));
    let server = Server::start(move |_, _| Act::answer(200, &large)).await;
    let failure = register(&client(&server)).await.unwrap_err();
    assert!(failure.message.contains("limit"), "{failure}");
}

#[tokio::test]
async fn a_connection_that_the_service_ended_is_replaced() {
    let server = Server::start(|_, _| Act::AnswerAndEnd {
        status: 200,
        body: ASSIGNED.into(),
    })
    .await;
    let client = client(&server);
    for _ in 0..20 {
        assert_eq!(register(&client).await, Ok(assigned()));
    }
    assert_eq!(server.connections().0, 20);
}

#[tokio::test]
async fn registrations_that_wait_hold_no_connection() {
    const MANY: usize = 4 * limits::DPS_CONNECTIONS;
    let registered = AtomicUsize::new(0);
    // The server assigns hubs only once all have registered.
    let server = Server::start(move |seen, _| {
        let is_new = seen.line.starts_with("PUT");
        let registered = registered.fetch_add(usize::from(is_new), Ordering::SeqCst);
        match is_new || registered < MANY {
            true => Act::with(202, "Retry-After: 1\r\n", ASSIGNING),
            false => Act::answer(200, ASSIGNED),
        }
    })
    .await;
    let client = client(&server);
    let client = Arc::new(client);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..MANY {
        let client = Arc::clone(&client);
        tasks.spawn(async move { register(&client).await });
    }
    for found in tasks.join_all().await {
        assert_eq!(found, Ok(assigned()));
    }
    let (opened, at_once) = server.connections();
    assert!(at_once <= limits::DPS_CONNECTIONS, "{at_once}");
    assert!(opened <= limits::DPS_CONNECTIONS, "{opened} are kept");
}
