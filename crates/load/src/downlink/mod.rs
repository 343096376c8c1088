//! Messages and methods to devices, through the bridge to a receiver of events in this process: subscribes, sends as a service, and
//! reports the outcome of each.

mod receiver;
mod report;
mod send;
mod subscribe;
mod tracker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::behavior::Behavior;
use super::options::{Downlink, Load};
use super::rate::Pace;
use receiver::{Book, Receiver};
use report::{Reasons, Times};
use send::Sending;
use subscribe::{Api, Show};
use tracker::Kind;

pub use report::Report;

/// How often it is looked whether everything has arrived.
const LOOK: Duration = Duration::from_millis(100);
/// Silence after which nothing more is expected.
const QUIET: Duration = Duration::from_secs(1);

/// Runs to the end, and removes the created subscriptions in any case. When `stop` becomes true, it stops subscribing and sending.
///
/// # Errors
/// What could not be begun: a receiver, or the subscriptions.
pub async fn run(
    load: &Load,
    downlink: &Downlink,
    stop: watch::Receiver<bool>,
    show: Show<'_>,
) -> Result<Report, String> {
    let book = Arc::new(Book::new(load.first_id));
    let receivers = receivers(downlink, &book)?;
    let api = Api::new(load, downlink);
    let done = carry_out(&api, &book, receivers, stop, show).await;
    let removed = match downlink.keep_subscriptions {
        true => Ok(()),
        false => api.unsubscribe(show).await,
    };
    let left = removed
        .err()
        .map(|why| format!("not all subscriptions that were made could be removed: {why}"));
    match (done, left) {
        (Ok(mut report), left) => {
            report.left_subscriptions = left;
            Ok(report)
        }
        (Err(why), None) => Err(why),
        (Err(why), Some(left)) => Err(format!("{why}; {left}")),
    }
}

async fn carry_out(
    api: &Api<'_>,
    book: &Arc<Book>,
    [good, bad]: [Receiver; 2],
    stop: watch::Receiver<bool>,
    show: Show<'_>,
) -> Result<Report, String> {
    let Api { load, downlink, .. } = api;
    let started = Instant::now();
    let (good_url, bad_url) = (good.url(), bad.url());
    let mut stopper = stop.clone();
    let preparing = async {
        api.subscribe([&good_url, &bad_url], show).await?;
        let subscribing = started.elapsed();
        api.wait(show).await.map(|waited| (subscribing, waited))
    };
    let (subscribing, (connecting, seen_running)) = tokio::select! {
        prepared = preparing => prepared?,
        // The other end is held until everything is over.
        _ = stopper.wait_for(|stop| *stop) => return Err("stopped before anything was sent".to_owned()),
    };
    let mut times = Times {
        subscribing,
        connecting,
        seen_running,
        sending: Duration::ZERO,
    };
    let reasons = Arc::new(Reasons::default());
    if let Some(service) = &downlink.service {
        let sending = Sending::new(
            load,
            downlink,
            service,
            Arc::clone(book),
            Arc::clone(&reasons),
        );
        let measuring = async {
            sleep(downlink.warm_up).await;
            let [good_manner, bad_manner] = downlink.manners;
            good.behave(good_manner);
            bad.behave(bad_manner);
            std::future::pending().await
        };
        let began = Instant::now();
        let under_way = tokio::select! {
            () = measuring => [JoinSet::new(), JoinSet::new()],
            under_way = send(load, downlink, sending, stop) => under_way,
        };
        times.sending = began.elapsed().saturating_sub(downlink.warm_up);
        good.behave(Behavior::OK);
        bad.behave(Behavior::OK);
        for one in under_way {
            one.join_all().await;
        }
        drain(downlink, book, show).await;
    } else {
        settle(downlink, book).await;
    }
    Ok(Report::new(load.devices, times, book, &reasons))
}

fn receivers(downlink: &Downlink, book: &Arc<Book>) -> Result<[Receiver; 2], String> {
    let [good, bad] = downlink.receive.map(|address| {
        Receiver::start(address, Arc::clone(book))
            .map_err(|error| format!("the receiver cannot listen at {address}: {error}"))
    });
    Ok([good?, bad?])
}

/// Sends both kinds; gives what is under way then.
async fn send(
    load: &Load,
    downlink: &Downlink,
    sending: Sending,
    stop: watch::Receiver<bool>,
) -> [JoinSet<()>; 2] {
    let sending = Arc::new(sending);
    let duration = load.duration.map(|duration| duration + downlink.warm_up);
    let run = |kind, rate: Option<f64>| {
        let (sending, stop) = (Arc::clone(&sending), stop.clone());
        async move {
            match rate {
                Some(_) => {
                    let pace = Pace::new(rate, load.messages, duration, stop);
                    sending.run(kind, pace).await
                }
                None => JoinSet::new(),
            }
        }
    };
    let c2d = run(Kind::C2d, downlink.c2d_rate);
    let methods = run(Kind::Method, downlink.method_rate);
    tokio::join!(c2d, methods).into()
}

/// Waits for what has not arrived yet, and then until nothing has come for a while: a message that was answered just before its bridge
/// died comes again, perhaps after all others, and needs a receiver to be completed.
async fn drain(downlink: &Downlink, book: &Book, show: Show<'_>) {
    let until = Instant::now() + downlink.drain;
    let (mut seen, mut since) = (0, Instant::now());
    while Instant::now() < until {
        let counts = book.track(Kind::C2d).counts(false);
        let came = counts.arrived + counts.again;
        if came != seen {
            (seen, since) = (came, Instant::now());
        }
        if counts.missing == 0 && since.elapsed() >= QUIET {
            return;
        }
        show(
            "missing",
            usize::try_from(counts.missing).unwrap_or_default(),
            0,
        );
        sleep(LOOK).await;
    }
}

/// Receives until nothing has come for a while: devices that connect have something to tell.
async fn settle(downlink: &Downlink, book: &Book) {
    let until = Instant::now() + downlink.drain;
    let (mut seen, mut since) = (0, Instant::now());
    while Instant::now() < until && since.elapsed() < QUIET {
        let others = book.others().clone();
        let events = others.notices + others.strays + others.senseless;
        if events != seen {
            (seen, since) = (events, Instant::now());
        }
        sleep(LOOK).await;
    }
}
