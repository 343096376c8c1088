//! The control API at a running emulator, by its own command.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use clap::Parser;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::test_hub::{HUB, dps, hub, owner};
use drawspan_hub::{DeviceId, HostName};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::ctl::{self, CtlArgs, CtlError};
use super::verbs::VERBS;
use super::{Control, access, openapi};
use crate::config::Config;
use crate::emulator::{Emulator, Running};
use crate::https::{self, Peer, Shared};

/// The command line behind `drawspan emulator ctl`.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: CtlArgs,
}

/// An emulator with a state directory, at ports of the system's choice.
pub(crate) async fn emulator(folder: &Path, devices: &[&str]) -> Running {
    start(|config| {
        config.state = Some(folder.to_path_buf());
        let devices = devices.iter();
        config.devices = devices.map(|id| DeviceId::parse(id).unwrap()).collect();
    })
    .await
}

/// An emulator at ports of the system's choice.
pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config::new(vec![HostName::parse("localhost").unwrap()]);
    config.ports.amqps = 0;
    config.ports.mqtts = Some(0);
    config.ports.https = Some(0);
    change(&mut config);
    Emulator::start(config).await.unwrap()
}

/// `drawspan emulator ctl --state FOLDER LINE`
pub(crate) async fn ctl(folder: &Path, line: &str) -> Result<String, CtlError> {
    run(&format!("--state {} {line}", folder.display())).await
}

/// `drawspan emulator ctl LINE`
pub(crate) async fn run(line: &str) -> Result<String, CtlError> {
    let words = ["ctl"].into_iter().chain(line.split_whitespace());
    ctl::run(&Line::try_parse_from(words).unwrap().args).await
}

/// The same as JSON.
pub(crate) async fn ctl_json(folder: &Path, line: &str) -> Value {
    let text = ctl(folder, &format!("{line} --format json")).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

fn shared() -> Shared {
    let hub = hub(&["d"]);
    Shared {
        hubs: HubSet::new(vec![Arc::clone(&hub)], None),
        dps: dps(&hub, None),
        ca_pem: "".into(),
        control: Arc::new(Control::of_test()),
    }
}

async fn ask(shared: &Shared, method: &str, path: &str) -> (StatusCode, Value) {
    let router = TowerToHyperService::new(https::router(shared.clone()));
    let peer = Peer(([127, 0, 0, 1], 1).into());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", HUB)
        .extension(peer)
        .body(Body::empty());
    let answer = router.call(request.unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let shared = shared();
    let (status, document) = ask(&shared, "GET", "/emulator/openapi.json").await;
    assert_eq!((status, &document), (StatusCode::OK, &openapi::document()));
    let mut described = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described += 1;
            let path = path.replace("{id}", "d").replace("{name}", "n");
            let (status, answer) = ask(&shared, &method.to_uppercase(), &path).await;
            // Those that take a body say that it is missing.
            let is_served = status != StatusCode::METHOD_NOT_ALLOWED
                && (status != StatusCode::NOT_FOUND || answer["title"].is_string());
            assert!(is_served, "{method} {path}: {status} {answer}");
        }
    }
    let operations = VERBS.iter().flat_map(|verb| verb.operations);
    assert_eq!(described, operations.count());
}

#[test]
fn the_document_describes_every_type_that_it_names() {
    let document = openapi::document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for (at, _) in text.match_indices("#/components/schemas/") {
        let rest = &text[at + "#/components/schemas/".len()..];
        let name = rest.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn words_that_are_not_understood_say_what_is() {
    let error = ctl::parse(&["fly"]).unwrap_err();
    assert!(error.contains("`fly` is no verb; there are: "), "{error}");
    for verb in VERBS {
        assert!(error.contains(verb.name), "{error}");
    }
    for verb in VERBS {
        for (form, about) in verb.usages {
            let first = form.split(' ').next().unwrap();
            assert!(first == verb.name && !about.is_empty(), "{form}");
        }
        let error = ctl::parse(&[verb.name, "no", "such", "words", "here"]).unwrap_err();
        let (form, _) = verb.usages.first().unwrap();
        assert!(error.contains(form), "{error}");
    }
}

#[test]
fn programs_on_this_machine_and_the_owner_may() {
    let hubs = shared().hubs;
    let loopback: IpAddr = [127, 0, 0, 1].into();
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
    let other: IpAddr = [192, 0, 2, 1].into();
    let check = |peer: IpAddr, host: &str, headers: &[(&'static str, &str)], expected: u16| {
        let pair = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        let map: HeaderMap = headers.iter().map(pair).collect();
        let result = access::allowed(&hubs, Some(peer), Some(host), &map);
        let status = result.map_or_else(|problem| problem.status, |()| 200);
        assert_eq!(status, expected, "{peer} {host} {headers:?}");
    };
    for host in [
        HUB,
        "localhost:8443",
        "127.0.0.1",
        "[::1]:8443",
        "LOCALHOST",
    ] {
        check(loopback, host, &[], 200);
    }
    check(mapped, HUB, &[], 200);
    check(other, HUB, &[], 401);
    for host in [
        "evil.test",
        "evil.test:443",
        "192.0.2.1",
        "",
        "localhost.evil.test",
    ] {
        check(loopback, host, &[], 403);
    }
    check(loopback, HUB, &[("origin", "https://evil.test")], 403);
    check(loopback, HUB, &[("origin", "null")], 403);
    check(loopback, HUB, &[("origin", "https://hub.localtest")], 200);
    check(loopback, HUB, &[("sec-fetch-site", "cross-site")], 403);
    check(loopback, HUB, &[("sec-fetch-site", "none")], 200);
    let owner = owner(HUB, 3600);
    check(other, "192.0.2.1", &[("authorization", &owner)], 200);
    let service = drawspan_hub::sas::sign(
        HUB,
        &drawspan_emulator_hub::test_hub::key(1),
        9_999_999_999,
        Some("service"),
    );
    check(loopback, HUB, &[("authorization", &service)], 403);
    check(loopback, HUB, &[("authorization", "Bearer x")], 401);
}

#[tokio::test]
async fn a_device_is_disabled_and_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let running = emulator(folder.path(), &["a"]).await;
    let said = ctl(folder.path(), "disable a").await.unwrap();
    assert_eq!(said, "a at localhost: disabled\n");
    let counts = running.hubs().hubs()[0].registry().counts();
    assert_eq!((counts.enabled, counts.disabled), (0, 1));
    let json = ctl_json(folder.path(), "enable a hub localhost").await;
    assert_eq!(json["hubs"][0]["status"], "enabled");
    let missing = ctl(folder.path(), "enable b").await.unwrap_err();
    assert!(!missing.is_usage(), "{missing}");
    let missing = ctl(folder.path(), "enable a hub other").await.unwrap_err();
    assert!(missing.to_string().contains("localhost"), "{missing}");
    running.shutdown().await;
    let gone = ctl(folder.path(), "enable a").await.unwrap_err();
    assert!(gone.to_string().contains("no emulator runs"), "{gone}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_that_has_the_key_is_private_and_may_be_stale() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let running = emulator(folder.path(), &["a"]).await;
    let file = folder.path().join("control.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    running.shutdown().await;
    assert!(!file.exists());
    std::fs::write(&file, kept).unwrap();
    let stale = ctl(folder.path(), "disable a").await.unwrap_err();
    assert!(stale.to_string().contains("no emulator listens"), "{stale}");
}
