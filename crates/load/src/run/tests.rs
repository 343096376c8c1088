use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddr};

use drawspan_api::api::Api;
use drawspan_api::server::{self, Terms};
use drawspan_ceiling::AnswerAtOnce;
use drawspan_settings::ApiKeys;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const KEY: &str = "k";

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The ceiling on a separate socket.
fn serve() -> Server {
    let listener = server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let api = Api::new(AnswerAtOnce, ApiKeys::new([KEY]), Duration::from_secs(30));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(server::serve(
        listener,
        api,
        shutdown,
        Terms::new(Duration::from_secs(5)),
    ));
    Server {
        address,
        stop,
        task,
    }
}

fn load(address: SocketAddr, key: &str) -> Load {
    Load {
        authority: address.to_string(),
        base_path: String::new(),
        host: "localhost".parse().unwrap(),
        api_key: Some(key.parse().unwrap()),
        devices: 7,
        device_prefix: "d-".into(),
        connections: 4,
        rate: None,
        duration: None,
        messages: Some(500),
        body_bytes: 256,
        timeout: Duration::from_secs(31),
        first_id: 1_000,
        ledger: None,
        allow_failures: false,
        downlink: None,
    }
}

async fn run_it(load: &Load) -> Report {
    let (_keep, stop) = watch::channel(false);
    run(load, stop, |_| {}).await.unwrap()
}

#[tokio::test]
async fn counts_and_ledger_agree() {
    let server = serve();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let before_ms = unix_ms();
    let report = run_it(&Load {
        ledger: Some(path.clone()),
        ..load(server.address, KEY)
    })
    .await;

    assert_eq!(
        (report.requests, report.ok, report.no_answer),
        (500, 500, 0)
    );
    assert_eq!(
        report.statuses.into_iter().collect::<Vec<_>>(),
        [(200, 500)]
    );
    assert!(report.latency_us.p50 > 0 && report.latency_us.p50 <= report.latency_us.max);

    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let ids: HashSet<u64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let devices: BTreeSet<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(rows.len(), 500);
    assert_eq!(ids, (1_000..1_500).collect());
    assert_eq!(
        devices,
        ["d-1", "d-2", "d-3", "d-4", "d-5", "d-6", "d-7"].into()
    );
    assert!(
        rows.iter()
            .all(|row| row.len() == 5 && row[2] == "200" && row[3].parse::<u64>().is_ok())
    );
    let during = before_ms..=unix_ms();
    assert!(
        rows.iter()
            .all(|row| during.contains(&row[4].parse().unwrap()))
    );
}

#[tokio::test]
async fn refusals_are_counted_by_status() {
    let server = serve();
    let report = run_it(&Load {
        messages: Some(20),
        ..load(server.address, "wrong")
    })
    .await;
    assert_eq!(
        (report.requests, report.ok, report.statuses.get(&401)),
        (20, 0, Some(&20))
    );
    let problem = report.first_problem.as_deref().unwrap_or_default();
    assert!(problem.starts_with("401 for device d-"), "{problem}");
    assert!(problem.contains("x-api-key"), "{problem}");
    let fault = report.fault(false).unwrap();
    assert!(fault.starts_with("none of 20 requests got 200"), "{fault}");
    assert!(fault.contains(problem), "{fault}");
}

#[tokio::test]
async fn a_server_that_is_away_is_no_answer() {
    // Bound and never listening: connections are refused.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let report = run_it(&Load {
        messages: Some(3),
        connections: 1,
        ..load(address, KEY)
    })
    .await;
    assert_eq!((report.requests, report.ok, report.no_answer), (3, 0, 3));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let address = silent.local_addr().unwrap();
    let timeout = Duration::from_millis(50);
    let report = run_it(&Load {
        messages: Some(2),
        connections: 1,
        timeout,
        ..load(address, KEY)
    })
    .await;
    assert_eq!((report.no_answer, report.requests), (2, 2));
    assert!(report.slowest_us >= 50_000);
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_the_server() {
    let server = serve();
    let mut client = Client::new(server.address.to_string(), Duration::from_secs(5));
    let requests = Requests::new(&load(server.address, KEY));
    let answer = client.ask_for(requests.make(1, 1), MAX_ANSWER_BYTES).await;
    assert!(matches!(answer, Ok((200, _))), "{answer:?}");
    server.stop.send(()).unwrap();
    // The kept connection is idle: draining must not wait for it.
    tokio::time::timeout(Duration::from_secs(3), server.task)
        .await
        .unwrap()
        .unwrap();
    // The end of the connection is noticed before anything is sent on it.
    let refused = async {
        while client.connect().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let noticed = tokio::time::timeout(Duration::from_secs(3), refused).await;
    assert_eq!(noticed, Ok(()));
}
