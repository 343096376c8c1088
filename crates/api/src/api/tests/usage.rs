//! Who used how much today, and devices above their limits.

use drawspan_gateway::{
    DeviceLimit, DeviceUsage, HubUsage, Prefix, Usage, UsageOrder, UsageQuery, Used,
};
use drawspan_hub::limits::Rate;
use drawspan_hub::{DeviceId, HostName, UtcTime};
use drawspan_settings::ApiKey;
use serde_json::json;

use super::paths::*;
use super::*;

fn host() -> HostName {
    HostName::parse("a.net").unwrap()
}

fn used(sends: u64, blocks: u64) -> Used {
    Used { sends, blocks }
}

fn fake() -> Fake {
    Fake {
        usage: Some(Usage {
            since: UtcTime::from_unix_ms(0),
            until: UtcTime::from_unix_ms(86_400_000),
            hubs: vec![HubUsage {
                hub: host(),
                daily_blocks: Some(400_000),
                devices: 3,
                used: used(30, 90),
            }],
            devices: vec![DeviceUsage {
                device: DeviceId::parse("a-1").unwrap(),
                hub: host(),
                used: used(10, 60),
            }],
            limits: vec![
                DeviceLimit::Rate(Rate::per_minute(30)),
                DeviceLimit::DailyBlocks(1_000),
            ],
        }),
        ..Fake::default()
    }
}

fn query(prefix: &str, order: UsageOrder, limit: usize) -> Call {
    Call::Usage(UsageQuery {
        prefix: Prefix::parse(prefix).unwrap(),
        order,
        limit,
    })
}

#[tokio::test]
async fn it_is_told_with_shares_and_limits() {
    let bench = with(fake());
    let answer = bench
        .ask(with_key("GET", "/usage?sort=SENDS&limit=7", ""))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = json!({
        "since": "1970-01-01T00:00:00.0000000Z", "until": "1970-01-02T00:00:00.0000000Z",
        "deviceRate": 0.5, "deviceDailyBlocks": 1000,
        "hubs": [{"hub": "a.net", "dailyBlocks": 400_000, "devices": 3, "sends": 30, "blocks": 90}],
        "devices": [{"deviceId": "a-1", "hub": "a.net", "sends": 10, "blocks": 60, "sendsShare": 0.3333, "blocksShare": 0.6667}],
    });
    assert_eq!(found, expected);
    assert_eq!(only_call(&bench), query("", UsageOrder::Sends, 7));
}

#[tokio::test]
async fn it_is_sorted_by_blocks_and_wrong_parameters_are_named() {
    let bench = with(fake());
    bench.ask(with_key("GET", "/usage?prefix=a-", "")).await;
    assert_eq!(only_call(&bench), query("a-", UsageOrder::Blocks, 20));
    for (path, words) in [
        ("/usage?sort=bytes", "blocks, sends"),
        ("/usage?limit=0", "`limit`"),
        ("/usage?limit=1001", "`limit`"),
    ] {
        let answer = with(fake()).ask(with_key("GET", path, "")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        let text = std::str::from_utf8(&answer.body).unwrap();
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_key_with_a_prefix_sees_its_own_devices() {
    let ask = async |path: &str| {
        let fake = fake();
        let key = ApiKey::entry(KEY, Some("read"), Some("a-"), None).unwrap();
        let keys = [key].into_iter().collect();
        let api = Api::new(fake.clone(), keys, Duration::from_secs(30));
        let answer = api.answer(with_key("GET", path, "")).await;
        let calls = fake.calls.lock().unwrap().clone();
        (answer.status().as_u16(), calls)
    };
    let own = query("a-", UsageOrder::Blocks, 20);
    assert_eq!(ask("/usage").await, (200, vec![own]));
    assert_eq!(ask("/usage?prefix=b").await, (403, vec![]));
}

#[tokio::test]
async fn a_device_above_its_limit_is_told_which_and_when() {
    let check = async |limit, retry_after_s: u64, slug: &str, words: &str| {
        let refusal = DeviceError::OverLimit {
            limit,
            retry_after_s,
        };
        let answer = bench(Err(refusal))
            .ask(post(
                "/devices/a-1/messages/events",
                r#"{"data": {"a": 1}}"#,
            ))
            .await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        let seconds = retry_after_s.to_string();
        assert_eq!(answer.header("retry-after"), Some(&*seconds));
        let problem = answer.problem();
        assert_eq!(problem["type"], format!("urn:drawspan:problem:{slug}"));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    };
    let rate = DeviceLimit::Rate(Rate::per_second(5));
    check(rate, 1, "device-rate", "5 messages per second").await;
    let blocks = DeviceLimit::DailyBlocks(100);
    let words = "100 blocks of 4 KB per day; nothing was sent";
    check(blocks, 7_200, "device-daily-blocks", words).await;
}
