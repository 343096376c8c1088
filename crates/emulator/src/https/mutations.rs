//! What services and devices ask, damaged: nothing panics, nothing grows, and every answer is one of HTTP.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::test_hub::damage::{Conversation, Random, damage, damage_bytes, rounds};
use drawspan_emulator_hub::test_hub::{HUB, SCOPE, dps, hub, owner, registration_token};
use hyper::body::Incoming;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A million in `cargo xtask test --full`.
const ROUNDS: usize = 3_000;
/// Conversations at one hub before it is replaced, so that its state stays small.
const ROUNDS_PER_HUB: usize = 200;
/// More than the longest list of devices.
const OUTPUT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// What requests, paths, headers and JSON are made of.
const TELLING: &[u8] = b"\r\n :/?%&=*\"{}[],.$#\\\x00\xff09eE-nt";

/// An authority of an emulator.
const AUTHORITY: &str = include_str!("../fixtures/227dcb7/ca.pem");

#[derive(Debug, Default)]
struct Seen {
    done: usize,
    refused: usize,
    not_served: usize,
}

#[tokio::test(start_paused = true)]
async fn damaged_requests_do_no_harm() {
    let rounds = rounds(ROUNDS);
    let (mut seen, mut random) = (Seen::default(), Random::new(1));
    let recorded = conversations();
    for _ in 0..rounds.div_ceil(ROUNDS_PER_HUB) {
        let hub = hub(&["d"]);
        let router = router(Shared {
            hubs: HubSet::new(vec![Arc::clone(&hub)], None),
            dps: dps(&hub, None),
            ca_pem: "".into(),
            control: Arc::new(Control::of_test()),
        });
        for _ in 0..ROUNDS_PER_HUB {
            let mut conversation = random.choice(&recorded).clone();
            for _ in 0..random.below(4) {
                let from: &Conversation = random.choice(&recorded);
                let other = random.choice(from).clone();
                damage(&mut conversation, &other, &mut random, |request, random| {
                    damage_bytes(request, 0, &other, TELLING, random);
                });
            }
            talk(&router, &conversation.concat(), &mut seen).await;
        }
    }
    // Otherwise the damage is too coarse or too fine to test anything.
    assert!(
        seen.done > rounds / 4 && seen.refused > rounds / 4,
        "{seen:?}"
    );
    assert!(seen.not_served > 0, "{seen:?}");
}

/// Everything that one client sends, and every answer to it.
async fn talk(router: &Router, sent: &[u8], seen: &mut Seen) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let router = TowerToHyperService::new(router.clone());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { router.call(request.map(Body::new)).await }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
    let asking = async {
        // It ends early where the server does.
        let _ = client.write_all(sent).await;
        let _ = client.shutdown().await;
        let mut output = Vec::new();
        let _ = client.read_to_end(&mut output).await;
        output
    };
    let (_, output) = tokio::join!(serving, asking);
    assert!(output.len() <= OUTPUT_MAX_BYTES, "{} bytes", output.len());
    let output = String::from_utf8_lossy(&output);
    for (at, _) in output.match_indices("HTTP/1.1 ") {
        match output.get(at + 9..at + 12) {
            Some("200" | "201" | "202" | "204") => seen.done += 1,
            Some("501") => seen.not_served += 1,
            Some(status) if status.starts_with('4') => seen.refused += 1,
            other => panic!("{other:?}: {sent:?} was answered {output:?}"),
        }
    }
}

/// A back end's requests, a device's, and those of one that registers.
fn conversations() -> Vec<Conversation> {
    let as_of = |token: String| {
        move |method: &str, target: &str, more: &str, body: &str| {
            let join = if target.contains('?') { '&' } else { '?' };
            format!(
                "{method} {target}{join}api-version=2021-04-12 HTTP/1.1\r\nHost: {HUB}\r\nAuthorization: {token}\r\n\
                 {more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        }
    };
    let any = "If-Match: \"*\"\r\n";
    let ask = as_of(owner(HUB, 3600));
    let registry = vec![
        ask(
            "PUT",
            "/devices/a",
            "",
            r#"{"deviceId":"a","authentication":{"type":"sas","symmetricKey":{"primaryKey":"MTIzNDU2Nzg5MDEyMzQ1Ng==","secondaryKey":"MTIzNDU2Nzg5MDEyMzQ1Ng=="}}}"#,
        ),
        ask("GET", "/devices/a", "", ""),
        ask("GET", "/devices?top=10", "", ""),
        ask(
            "POST",
            "/devices",
            "",
            r#"[{"id":"b","importMode":"create","tags":{"x":1}},{"id":"a","importMode":"updateTwin","properties":{"desired":{"y":[1]}}}]"#,
        ),
        ask(
            "PUT",
            "/devices/a",
            any,
            r#"{"deviceId":"a","status":"disabled","statusReason":"x","capabilities":{"iotEdge":true}}"#,
        ),
        ask("GET", "/statistics/devices", "", ""),
        ask("DELETE", "/devices/a", any, ""),
    ];
    let modules = vec![
        ask(
            "PUT",
            "/devices/d/modules/m",
            "",
            r#"{"deviceId":"d","moduleId":"m","managedBy":"x","authentication":{"type":"sas"}}"#,
        ),
        ask("GET", "/devices/d/modules", "", ""),
        ask("PUT", "/devices/d/modules/m", any, r#"{"moduleId":"m"}"#),
        ask(
            "POST",
            "/devices",
            "",
            r#"[{"id":"d","moduleId":"n","importMode":"create","tags":{"x":1}},{"id":"d","moduleId":"m","importMode":"updateTwin","tags":{"y":2}}]"#,
        ),
        ask(
            "PATCH",
            "/twins/d/modules/m",
            any,
            r#"{"properties":{"desired":{"x":1}}}"#,
        ),
        ask(
            "POST",
            "/devices/query",
            "x-ms-max-item-count: 1\r\n",
            r#"{"query":"SELECT * FROM devices.modules WHERE deviceId = 'd'"}"#,
        ),
        ask("DELETE", "/devices/d/modules/m", any, ""),
    ];
    let name = "/emulator/certificates/c";
    let authority = json!({ "properties": { "certificate": AUTHORITY, "isVerified": true } });
    let certificates = vec![
        ask("PUT", name, "", &authority.to_string()),
        ask("GET", "/emulator/certificates", "", ""),
        ask("POST", &format!("{name}/generateVerificationCode"), any, ""),
        ask(
            "POST",
            &format!("{name}/verify"),
            "",
            &json!({ "certificate": AUTHORITY }).to_string(),
        ),
        ask("DELETE", name, any, ""),
    ];
    let twins = vec![
        ask("GET", "/twins/d", "", ""),
        ask(
            "PATCH",
            "/twins/d",
            any,
            r#"{"tags":{"a":{"b":"c"}},"properties":{"desired":{"x":[1,2.5,{"y":true}],"z":null}}}"#,
        ),
        ask(
            "PUT",
            "/twins/d",
            any,
            r#"{"tags":{},"properties":{"desired":{"x":1}}}"#,
        ),
        ask(
            "POST",
            "/devices/query",
            "x-ms-max-item-count: 10\r\n",
            r#"{"query":"SELECT * FROM devices"}"#,
        ),
        ask(
            "POST",
            "/twins/d/methods",
            "",
            r#"{"methodName":"m","responseTimeoutInSeconds":5,"connectTimeoutInSeconds":0,"payload":{"a":1}}"#,
        ),
        ask("GET", "/jobs/v2/1", "", ""),
        ask("DELETE", "/devices/d/commands", "", ""),
    ];
    let device = vec![
        ask(
            "POST",
            "/devices/d/messages/events",
            "iothub-app-a: b\r\niothub-messageid: m\r\nContent-Type: application/json\r\n",
            "{}",
        ),
        ask(
            "POST",
            "/devices/d/messages/events",
            "Content-Type: application/vnd.microsoft.iothub.json\r\n",
            r#"[{"body":"eA==","properties":{"iothub-app-a":"b"}},{"body":"x","base64Encoded":false}]"#,
        ),
        ask("GET", "/devices/d/messages/deviceBound", "", ""),
        ask(
            "DELETE",
            "/devices/d/messages/deviceBound/03020100-0504-0706-0809-0a0b0c0d0e0f?reject",
            "",
            "",
        ),
        ask(
            "POST",
            "/devices/d/messages/deviceBound/03020100-0504-0706-0809-0a0b0c0d0e0f/abandon",
            "",
            "",
        ),
    ];
    let ask = as_of(registration_token("r", 5, 3600));
    let registration = format!("/{SCOPE}/registrations/r");
    let registering = vec![
        ask(
            "PUT",
            &format!("{registration}/register"),
            "",
            r#"{"registrationId":"r","payload":{"modelId":"dtmi:a;1"}}"#,
        ),
        ask("GET", &format!("{registration}/operations/4.x"), "", ""),
        ask("POST", &registration, "", r#"{"registrationId":"r"}"#),
    ];
    vec![registry, modules, certificates, twins, device, registering]
}
