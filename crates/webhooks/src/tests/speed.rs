//! Throughput of events, and the effect of a receiver that hangs or fails on others. Prints measurements without judging them:
//!
//! `cargo test --release -p drawspan --lib speed -- --ignored --nocapture --test-threads 1`

#![allow(clippy::print_stdout, reason = "its figures are for whoever runs it")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::thread;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

#[derive(Clone, Copy, PartialEq)]
enum Does {
    AnswerAfter(Duration),
    Fail,
    Hang,
}

/// A receiver in separate threads; its URL.
fn receiver(does: Does) -> String {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(http1::Builder::new().serve_connection(
                    TokioIo::new(stream),
                    service_fn(move |request| answer(request, does)),
                ));
            }
        });
    });
    format!("http://{}/events", told.recv().unwrap())
}

async fn answer(_: Request<Incoming>, does: Does) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":200}")));
    match does {
        Does::AnswerAfter(Duration::ZERO) => {}
        Does::AnswerAfter(time) => tokio::time::sleep(time).await,
        Does::Hang => std::future::pending().await,
        Does::Fail => *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE,
    }
    Ok(response)
}

/// CPU seconds of the threads that deliver.
fn cpu_s() -> f64 {
    let mut ticks = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        if let Some((name, rest)) = stat.rsplit_once(')')
            && name.contains("deliver")
        {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            ticks += fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        }
    }
    ticks / 100.0
}

struct Load {
    url: String,
    lanes: u32,
    /// Events per second; as many as go, one per lane, when absent.
    rate: Option<u32>,
}

#[derive(Default)]
struct DeliveredEvents {
    taken: usize,
    latencies: Vec<Duration>,
}

/// Delivers for so long; the results of each load.
fn deliver(loads: Vec<Load>, time: Duration) -> (Vec<DeliveredEvents>, f64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("deliver")
        .enable_all()
        .build()
        .unwrap();
    let before = cpu_s();
    let told = runtime.block_on(runtime.spawn(drive(loads, time))).unwrap();
    (told, cpu_s() - before)
}

async fn drive(loads: Vec<Load>, time: Duration) -> Vec<DeliveredEvents> {
    let mut owner = Owner::new(GuardMode::Off, vec![WebhookSecret::parse(SECRET).unwrap()]);
    let callbacks: Vec<CallbackUrl> = loads
        .iter()
        .map(|load| CallbackUrl::parse(&load.url).unwrap())
        .collect();
    let mut told: Vec<DeliveredEvents> = loads.iter().map(|_| DeliveredEvents::default()).collect();
    let mut offered = vec![0; loads.len()];
    let mut devices = HashMap::new();
    let mailbox = owner.webhooks.mailbox();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut idle: Vec<(usize, u32)> = Vec::new();
    for (at, load) in loads
        .iter()
        .enumerate()
        .filter(|(_, load)| load.rate.is_none())
    {
        idle.extend((0..load.lanes).map(|lane| (at, lane)));
    }
    while owner.started.elapsed() < time {
        let now = owner.started.elapsed();
        for (at, load) in loads.iter().enumerate() {
            let due = load
                .rate
                .map_or(0, |rate| (now.as_secs_f64() * f64::from(rate)) as u32);
            for number in offered[at]..due {
                idle.push((at, number % load.lanes));
            }
            offered[at] = due.max(offered[at]);
        }
        for (at, lane) in idle.drain(..) {
            let device = devices
                .entry((at, lane))
                .or_insert_with(|| DeviceId::parse(&format!("device-{at}-{lane}")).unwrap());
            let event = Event {
                device: device.clone(),
                callback: callbacks[at].clone(),
                webhook_id: format!("method_{at}_{lane}"),
                received_at: UtcTime::from_unix_ms(0),
                received: now,
                content: Content::Method {
                    name: "reboot".to_owned(),
                    payload: Bytes::from_static(
                        br#"{"delay":5,"reason":"a test of how fast it is"}"#,
                    ),
                },
                correlation: u32::try_from(at).unwrap(),
            };
            // A receiver that hangs has full lanes.
            let _ = owner.outbox.offer(event, now);
        }
        owner.run();
        while let Some(finished) = owner.outbox.next_finished() {
            let at = finished.event.correlation as usize;
            if matches!(finished.outcome, DeliveryOutcome::Taken { .. }) {
                told[at].taken += 1;
                told[at]
                    .latencies
                    .push(owner.started.elapsed() - finished.event.received);
            }
            if loads[at].rate.is_none() {
                let lane = finished.event.device.as_str().rsplit('-').next().unwrap();
                idle.push((at, lane.parse().unwrap()));
            }
        }
        if idle.is_empty() {
            tokio::select! {
                done = mailbox.take() => {
                    for done in done {
                        owner.done(done);
                    }
                }
                _ = ticks.tick() => {}
            }
        }
    }
    told
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn percentile(told: &mut DeliveredEvents, part: f64) -> Duration {
    told.latencies.sort_unstable();
    let at = (told.latencies.len() as f64 * part) as usize;
    told.latencies.get(at).copied().unwrap_or_default()
}

#[test]
#[ignore = "figures"]
fn how_fast_events_leave() {
    for (delay, rate) in [(0, None), (5, None), (5, Some(2_000)), (50, None)] {
        let url = receiver(Does::AnswerAfter(Duration::from_millis(delay)));
        let lanes = 2_000;
        let time = Duration::from_secs(8);
        let (mut told, cpu_s) = deliver(vec![Load { url, lanes, rate }], time);
        let told = &mut told[0];
        let per_s = told.taken as f64 / time.as_secs_f64();
        println!(
            "{delay} ms, {rate:?}/s offered: {per_s:.0}/s, {:.1} us CPU each, p50 {:?}, p99 {:?}",
            cpu_s / told.taken as f64 * 1e6,
            percentile(told, 0.5),
            percentile(told, 0.99),
        );
    }
}

#[test]
#[ignore = "figures"]
fn how_much_one_receiver_holds_up_another() {
    let good = |rate| Load {
        url: receiver(Does::AnswerAfter(Duration::from_millis(5))),
        lanes: 2_000,
        rate,
    };
    let time = Duration::from_secs(15);
    for rate in [None, Some(2_000)] {
        let mut rounds: HashMap<&str, Vec<(f64, Duration)>> = HashMap::new();
        for _ in 0..5 {
            for (name, other) in [
                ("alone", None),
                ("hangs", Some(Does::Hang)),
                ("fails", Some(Does::Fail)),
            ] {
                let mut loads = vec![good(rate)];
                loads.extend(other.map(|does| Load {
                    url: receiver(does),
                    lanes: 1_000,
                    rate: Some(500),
                }));
                let (mut told, _) = deliver(loads, time);
                let per_s = told[0].taken as f64 / time.as_secs_f64();
                let p99 = percentile(&mut told[0], 0.99);
                rounds.entry(name).or_default().push((per_s, p99));
            }
        }
        for (name, mut rounds) in rounds {
            rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
            let slowest = rounds.iter().map(|round| round.1).max();
            println!(
                "{rate:?}, other {name}: median {:?}, worst p99 {slowest:?}",
                rounds[2]
            );
        }
    }
}
