//! Running a load: open the connections, send, count, report.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::connection::{Client, NoAnswer};
use super::ledger::{Entry, Ledger};
use super::options::Load;
use super::problem;
use super::rate::Pace;
use super::report::{Report, Tally};
use super::request::Requests;
use crate::limits::{MAX_ANSWER_BYTES, MAX_OPENING_LOAD_CONNECTIONS};

/// Tallies are shared by connections, so that 10,000 connections do not need 10,000 histograms.
const TALLIES: usize = 16;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Pause of a connection that could not be opened, so that a server that is away is not besieged.
const UNCONNECTED_PAUSE: Duration = Duration::from_millis(100);

/// The progress of a run, for display.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Since the first request was due.
    pub elapsed: Duration,
    /// Requests that have come to an end.
    pub done: u64,
    /// Of these, how many got 200.
    pub ok: u64,
}

struct Run {
    pace: Pace,
    requests: Requests,
    ledger: Ledger,
    tallies: [Mutex<Tally>; TALLIES],
    first_problem: OnceLock<String>,
}

/// Runs a load to its end, or until `stop` becomes true; requests under way are always waited for.
///
/// # Errors
/// The ledger cannot be written. Trouble with the server is no error but counted.
pub async fn run(
    load: &Load,
    stop: watch::Receiver<bool>,
    mut show: impl FnMut(Progress),
) -> io::Result<Report> {
    let (ledger, writer) = match &load.ledger {
        Some(path) => {
            let (ledger, writer) = Ledger::create(path, &load.device_prefix)?;
            (ledger, Some(writer))
        }
        None => (Ledger::none(), None),
    };
    let clients = open_all(load).await;
    let run = Arc::new(Run {
        pace: Pace::new(load.rate, load.messages, load.duration, stop),
        requests: Requests::new(load),
        ledger,
        tallies: Default::default(),
        first_problem: OnceLock::new(),
    });
    let mut connections = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        connections.spawn(connection(Arc::clone(&run), client, number % TALLIES));
    }
    let mut tick = interval(PROGRESS_EVERY);
    loop {
        tokio::select! {
            ended = connections.join_next() => if ended.is_none() { break },
            _ = tick.tick() => show(run.progress()),
        }
    }
    show(run.progress());
    let mut report = Report::new(load, &run.total(), run.pace.start().elapsed());
    report.first_problem = run.first_problem.get().cloned();
    drop(run);
    if let Some(writer) = writer {
        writer.await.map_err(io::Error::other)??;
    }
    Ok(report)
}

/// Opens what can be opened; the rest is tried again by the first request.
async fn open_all(load: &Load) -> Vec<Client> {
    let permits = Arc::new(Semaphore::new(MAX_OPENING_LOAD_CONNECTIONS));
    let mut opening = JoinSet::new();
    for _ in 0..load.connections {
        let mut client = Client::new(load.authority.clone(), load.timeout);
        let permits = Arc::clone(&permits);
        opening.spawn(async move {
            let _permit = permits.acquire().await;
            let _ = client.connect().await;
            client
        });
    }
    opening.join_all().await
}

async fn connection(run: Arc<Run>, mut client: Client, tally: usize) {
    while let Some(number) = run.pace.next().await {
        let (id, device) = run.requests.id_and_device(number);
        let request = run.requests.make(id, device);
        let (begun, sent_unix_ms) = (Instant::now(), unix_ms());
        let answer = client.ask_for(request, MAX_ANSWER_BYTES).await;
        let latency_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let status = match &answer {
            Ok((status, body)) => {
                if *status != 200 {
                    run.first_problem.get_or_init(|| {
                        problem::words(*status, &run.requests.name_of(device), body)
                    });
                }
                *status
            }
            Err(_) => 0,
        };
        run.tally(tally, |tally| tally.count(status, latency_us));
        if !run
            .ledger
            .add(Entry {
                id,
                device,
                status,
                latency_us,
                sent_unix_ms,
            })
            .await
        {
            return;
        }
        if answer.is_err_and(|why| why == NoAnswer::NotConnected) {
            sleep(UNCONNECTED_PAUSE).await;
        }
    }
}

/// Now, in Unix milliseconds; 0 when the clock is before 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl Run {
    fn tally<T>(&self, at: usize, use_it: impl FnOnce(&mut Tally) -> T) -> Option<T> {
        // Counts are whole after every step, so a poisoned lock does no harm.
        self.tallies
            .get(at)
            .map(|tally| use_it(&mut tally.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn progress(&self) -> Progress {
        let counts =
            (0..TALLIES).filter_map(|at| self.tally(at, |tally| (tally.requests(), tally.ok())));
        let (done, ok) = counts.fold((0, 0), |(done, ok), (more, good)| (done + more, ok + good));
        Progress {
            elapsed: self.pace.start().elapsed(),
            done,
            ok,
        }
    }

    fn total(&self) -> Tally {
        let mut total = Tally::default();
        for at in 0..TALLIES {
            self.tally(at, |tally| total.add(tally));
        }
        total
    }
}

#[cfg(test)]
mod tests;
