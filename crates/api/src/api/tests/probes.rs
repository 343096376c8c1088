use drawspan_gateway::{Readiness, ServiceFault, Unready};
use drawspan_hub::HostName;

use super::*;

fn get(path: &str) -> Request<Body> {
    request("GET", path).body(Body::empty()).unwrap()
}

fn ready(problems: Vec<Unready>) -> Bench {
    with(Fake {
        readiness: Readiness::of(problems),
        ..Fake::default()
    })
}

#[tokio::test]
async fn liveness_is_open_and_says_nothing_of_hubs() {
    for path in ["/livez", "/LIVEZ", "/livez/"] {
        let answer = ready(vec![Unready::NoHubReachable]).ask(get(path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.body, r#"{"status":"live"}"#);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn readiness_is_open_and_tells_what_is_wrong() {
    let answer = ready(vec![]).ask(get("/readyz")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        r#"{"status":"ready","problems":[],"codes":[]}"#
    );

    let hub = HostName::parse("hub.example").unwrap();
    let unreachable = Unready::Service {
        dps: false,
        host: hub,
        fault: ServiceFault::Unreachable,
        why: Some("refused".into()),
    };
    let answer = ready(vec![unreachable]).ask(get("/readyz")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        document["problems"][0],
        "hub hub.example cannot be reached (refused)"
    );
    assert_eq!(document["codes"][0], "hub-unreachable");

    for problem in [Unready::Starting, Unready::NoHubReachable] {
        let (words, code) = (problem.to_string(), problem.code());
        let answer = ready(vec![problem]).ask(get("/readyz")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), Some("5"));
        let document = answer.problem();
        assert_eq!(document["problems"][0], words);
        assert_eq!(document["codes"][0], code);
        assert!(document["detail"].as_str().unwrap().contains(&words));
    }
}

#[tokio::test]
async fn probes_take_get_only() {
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            check_bad(
                request(method, path).body(Body::empty()).unwrap(),
                405,
                "method-not-allowed",
            )
            .await;
        }
    }
}

#[tokio::test]
async fn nothing_is_begun_while_stopping() {
    let check = async |request: Request<Body>, status: u16| {
        let what = request.uri().to_string();
        let bench = ready(vec![]);
        let response = bench.api.answer_stopping(request).await;
        assert_eq!(response.status().as_u16(), status, "{what}");
        assert!(bench.untouched(), "{what}");
        if status == 503 {
            assert!(response.headers().contains_key("retry-after"), "{what}");
        }
    };
    check(post(EVENTS, GOOD), 503).await;
    check(ask("GET", "/Devices/a/Twin/", Some(KEY), ""), 503).await;
    check(ask("GET", "/devices/a/twin", None, ""), 401).await;
    check(get("/readyz"), 503).await;
    check(get("/Readyz/"), 503).await;
    check(get("/livez"), 200).await;
    check(get("/health"), 200).await;
    check(get("/Metrics/"), 200).await;
    check(get("/elsewhere"), 503).await;
    check(get(&format!("/{}", "x".repeat(5000))), 414).await;
}

#[tokio::test]
async fn keys_can_be_exchanged() {
    let bench = ready(vec![]);
    bench.api.clone().replace_keys(ApiKeys::new(["k-2"]));
    let old = bench.ask(post(EVENTS, GOOD)).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    let new = bench.ask(ask("POST", EVENTS, Some("k-2"), GOOD)).await;
    assert_eq!(new.status, StatusCode::OK);
}
