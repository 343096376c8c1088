use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use drawspan_api::api::Api;
use drawspan_api::server::{self, Terms};
use drawspan_gateway::{DeadLetter, DeviceError};
use drawspan_hub::UtcTime;
use drawspan_settings::ApiKeys;

use super::*;
use crate::cli::fake::{Call, Fake};

const KEY: &str = "k-1";

struct Served {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

fn letter(id: u64) -> DeadLetter {
    DeadLetter {
        id,
        webhook_id: format!("c2d_{id}"),
        device: DeviceId::parse("dev-1").unwrap(),
        kind: SubscriptionType::C2dMessages,
        event: "{}".into(),
        origin: "https://example.com:443".into(),
        reason: "500".into(),
        attempts: 6,
        failed_at: UtcTime::from_unix_ms(0),
    }
}

/// A bridge with that many dead letters, numbered from 1.
fn serve(letters: u64, refusal: Option<DeviceError>) -> Served {
    let listener = server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let fake = Fake {
        letters: (1..=letters).map(letter).collect(),
        refusal,
        ..Fake::default()
    };
    let calls = Arc::clone(&fake.calls);
    let api = Api::new(fake, ApiKeys::new([KEY]), Duration::from_secs(30));
    tokio::spawn(server::serve(
        listener,
        api,
        std::future::pending(),
        Terms::new(Duration::from_secs(1)),
    ));
    Served { url, calls }
}

fn bridge(url: &str, key: &str) -> Bridge {
    let mut mistakes = Mistakes::default();
    let bridge = Bridge::new(&mut mistakes, &BridgeArgs::of(url, Some(key)));
    assert_eq!(mistakes.lines(), [""; 0]);
    bridge.unwrap()
}

fn chosen(url: &str, numbers: &[u64], all: bool) -> ChosenArgs {
    ChosenArgs {
        bridge: BridgeArgs::of(url, None),
        which: WhichArgs {
            device: None,
            kind: None,
        },
        numbers: numbers.to_vec(),
        all,
    }
}

#[tokio::test]
async fn all_are_sent_again_over_all_pages() {
    let served = serve(250, None);
    let args = chosen(&served.url, &[], true);
    let code = each(
        bridge(&served.url, KEY),
        String::new(),
        &args,
        Method::POST,
        "/replay",
    )
    .await;
    assert_eq!(code, ExitCode::SUCCESS);
    let calls = served.calls.lock().unwrap().clone();
    let replayed = calls.iter().filter_map(|call| match call {
        Call::Replay(id) => Some(*id),
        _ => None,
    });
    assert!(replayed.eq(1..=250));
}

#[tokio::test]
async fn the_chosen_ones_are_removed() {
    let served = serve(3, None);
    let args = chosen(&served.url, &[3, 1], false);
    let code = each(
        bridge(&served.url, KEY),
        String::new(),
        &args,
        Method::DELETE,
        "",
    )
    .await;
    assert_eq!(code, ExitCode::SUCCESS);
    let calls = served.calls.lock().unwrap().clone();
    assert_eq!(calls, [Call::Discard(3), Call::Discard(1)]);
}

#[tokio::test]
async fn what_is_not_done_is_told() {
    let ask = async |served: &Served, key: &str| {
        let bridge = bridge(&served.url, key);
        bridge.ask(&Method::DELETE, "/deadLetters/1").await
    };
    let gone = serve(0, Some(DeviceError::NoDeadLetter));
    assert!(matches!(ask(&gone, KEY).await, Err(NotDone::Gone(_))));
    assert!(
        matches!(ask(&gone, "wrong").await, Err(NotDone::Refused(why)) if why.contains("x-api-key"))
    );
    let busy = serve(0, Some(DeviceError::QueueFull { retry_after_s: 7 }));
    assert!(matches!(
        ask(&busy, KEY).await,
        Err(NotDone::Later { seconds: 7, .. })
    ));
    let nobody = Served {
        url: "http://127.0.0.1:1".into(),
        ..gone
    };
    assert!(matches!(ask(&nobody, KEY).await, Err(NotDone::NoBridge(_))));

    let args = chosen(&busy.url, &[1], false);
    let failed = each(
        bridge(&gone_url(), KEY),
        String::new(),
        &args,
        Method::DELETE,
        "",
    )
    .await;
    assert_eq!(failed, ExitCode::FAILURE);
}

fn gone_url() -> String {
    serve(0, Some(DeviceError::NoDeadLetter)).url
}

#[test]
fn mistakes_are_named() {
    let check = |url: &str, key: Option<&str>, word: &str| {
        let mut mistakes = Mistakes::default();
        let _ = Bridge::new(&mut mistakes, &BridgeArgs::of(url, key));
        assert!(mistakes.to_string().contains(word), "{mistakes}");
        assert!(!mistakes.to_string().contains("hunter"), "{mistakes}");
    };
    check("bridge", None, "--url");
    check("ftp://bridge", None, "--url");
    check("http://bridge?x=1", None, "--url");
    check("http://bridge", Some("hunter\n2"), "--api-key");
    let mut mistakes = Mistakes::default();
    let which = WhichArgs {
        device: Some("a+b c".into()),
        kind: Some("C2D".into()),
    };
    which.filter(&mut mistakes);
    assert_eq!(mistakes.lines().len(), 2, "{mistakes}");
    let which = WhichArgs {
        device: Some("a+b".into()),
        kind: Some("c2dmessages".into()),
    };
    let filter = which.filter(&mut Mistakes::default());
    assert_eq!(filter, "&deviceId=a%2Bb&subscriptionType=C2DMessages");
}
