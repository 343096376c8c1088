use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use drawspan_api::api::Api;
use drawspan_api::server::{self, Terms};
use drawspan_gateway::ConnectionFeed;
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, UtcTime};
use drawspan_settings::ApiKeys;
use tokio::sync::oneshot;

use super::*;
use crate::cli::fake::Fake;

const KEY: &str = "k-1";

/// A bridge at a free port, or at this one.
fn serve(feed: &Arc<ConnectionFeed>, at: Option<SocketAddr>) -> (SocketAddr, oneshot::Sender<()>) {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = server::bind(at.unwrap_or(free)).unwrap();
    let address = listener.local_addr().unwrap();
    let fake = Fake {
        feed: Arc::clone(feed),
        ..Fake::default()
    };
    let api = Api::new(fake, ApiKeys::new([KEY]), Duration::from_secs(30));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let terms = Terms::new(Duration::from_secs(1));
    tokio::spawn(server::serve(listener, api, shutdown, terms));
    (address, stop)
}

fn watch(address: SocketAddr, key: &str, count: u64) -> Watch {
    let args = BridgeArgs::of(&format!("http://{address}/"), Some(key));
    let mut mistakes = Mistakes::default();
    let bridge = Bridge::new(&mut mistakes, &args);
    Watch {
        bridge: bridge.unwrap(),
        path: "/connectionStatus/stream?prefix=a-".into(),
        format: Format::Json,
        colour: false,
        left: Some(count),
        last_id: None,
        retry: Duration::from_millis(10),
    }
}

fn push(feed: &ConnectionFeed, device: &str) {
    let change = drawspan_gateway::Change {
        at: UtcTime::from_unix_ms(0),
        status: ConnectionStatus::Connected,
        reason: ConnectionStatusReason::ConnectionOk,
        cause: None,
        detail: None,
        session: None,
    };
    feed.push(DeviceId::parse(device).unwrap(), None, change);
}

/// Waits until so many follow the feed.
async fn followed(feed: &Arc<ConnectionFeed>, before: usize) {
    let followed = async {
        while Arc::strong_count(feed) <= before {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), followed).await.unwrap();
}

#[tokio::test]
async fn it_ends_after_as_many_changes_as_were_asked_for() {
    let feed = Arc::new(ConnectionFeed::new(7));
    let (address, _stop) = serve(&feed, None);
    let before = Arc::strong_count(&feed);
    let mut watch = watch(address, KEY, 2);
    let watching = tokio::spawn(async move {
        let code = watch.run().await;
        (code, watch.left, watch.last_id)
    });
    followed(&feed, before).await;
    for device in ["a-1", "b-1", "a-2"] {
        push(&feed, device);
    }
    let (code, left, _) = timeout(Duration::from_secs(10), watching)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((code, left), (ExitCode::SUCCESS, Some(0)));
}

#[tokio::test]
async fn it_goes_on_after_the_bridge_was_away() {
    let feed = Arc::new(ConnectionFeed::new(7));
    let (address, stop) = serve(&feed, None);
    let before = Arc::strong_count(&feed);
    let mut watch = watch(address, KEY, 3);
    let watching = tokio::spawn(async move { (watch.run().await, watch.left) });
    followed(&feed, before).await;
    push(&feed, "a-1");
    // The first change is certain to have come once the stream has ended.
    stop.send(()).unwrap();
    let gone = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    push(&feed, "a-2");
    let (_, _stop) = serve(&feed, Some(address));
    push(&feed, "a-3");
    let watched = timeout(Duration::from_secs(10), watching).await.unwrap();
    assert_eq!(watched.unwrap(), (ExitCode::SUCCESS, Some(0)));
}

#[tokio::test]
async fn a_wrong_key_and_a_bridge_that_never_was_there_end_it() {
    let feed = Arc::new(ConnectionFeed::new(7));
    let (address, stop) = serve(&feed, None);
    let code = watch(address, "another", 1).run().await;
    assert_eq!(code, ExitCode::FAILURE);
    drop(stop);
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    assert_eq!(watch(nowhere, KEY, 1).run().await, ExitCode::FAILURE);
}
