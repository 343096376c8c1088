//! `drawspan load`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use drawspan_load::options::Downlink;
use drawspan_load::run::Progress;
use drawspan_load::{self as load, Load, LoadArgs};
use drawspan_settings::plural::count;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::{oneshot, watch};

use super::{block_on, failed, misused, say, signals, term};

pub(super) const EXAMPLES: &str = "\
Examples:
  At `drawspan dev`:
  drawspan load --url http://127.0.0.1:8080 --devices 100 \\
    --rate 50 --duration 10

  At `drawspan serve`, as fast as it goes:
  drawspan load --api-key KEY --devices 1000 --connections 64 \\
    --messages 100000 --ledger ledger.tsv --json

  Messages and methods to devices, to a receiver in this process:
  POLICY='SharedAccessKeyName=service;SharedAccessKey=KEY'
  drawspan load --api-key KEY --devices 500 \\
    --c2d-rate 1000 --method-rate 1000 --duration 30 \\
    --hub-connection-string \"HostName=hub.localtest;$POLICY\" \\
    --ca state/ca.pem \\
    --connect hub.localtest:5671=127.0.0.1:5671 \\
    --connect hub.localtest:443=127.0.0.1:8443

`serve` accepts that receiver with --allow-callbacks 127.0.0.1. `dev` accepts it without a flag: give --url, and the connection \
string, authority (--ca) and ports (--connect) that it prints; it needs no key.

With --receiver status:503@10 a tenth of all events fail and are retried. --bad-share 20 --bad-receiver hang measures how a hanging \
receiver affects the others. --subscribe all without rates subscribes, waits until Running, and prints how long it took. \
Subscriptions that load created are removed at the end, also after Ctrl-C.

The exit code is 1 if less succeeded than was requested: a request was not answered 200, a message was refused or lost, a method \
was invoked twice, or got a wrong answer or no answer.";

pub(super) fn run(args: &LoadArgs) -> ExitCode {
    let unix_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let load = match args.check(unix_s) {
        Ok(load) => load,
        Err(mistakes) => return misused(&mistakes),
    };
    let json = args.json;
    if let Some(downlink) = load.downlink.clone() {
        return downlinks(&load, &downlink, json);
    }
    block_on(async move {
        let (stop, ended_at_once) = stops();
        let bar = bar(&load);
        let stopped = stop.clone();
        let running = load::run(&load, stop, |progress| advance(&bar, &load, progress));
        let outcome = tokio::select! {
            outcome = running => outcome,
            () = ended_at_once => return at_once(),
        };
        bar.finish_and_clear();
        let mut report = match outcome {
            Ok(report) => report,
            Err(error) => return failed(format_args!("the ledger cannot be written: {error}")),
        };
        if *stopped.borrow() {
            // If the user stops it, fewer are expected.
            report.asked = None;
        }
        let printed = match json {
            true => say::result(format_args!("{}\n", report.to_json())),
            false => say::result(&report),
        };
        match report.fault(load.allow_failures) {
            _ if report.requests > 0 && report.no_answer == report.requests => {
                let requests = count(report.requests, "request", "requests");
                let authority = &load.authority;
                failed(format_args!(
                    "no answer from {authority} to any of {requests}: does the bridge listen there? (--url)"
                ))
            }
            Some(fault) => failed(fault),
            None => printed,
        }
    })
}

fn downlinks(load: &Load, downlink: &Downlink, json: bool) -> ExitCode {
    block_on(async move {
        let (stop, ended_at_once) = stops();
        let bar = bar_of(0);
        let show = |what: &'static str, done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(what);
        };
        let running = load::downlink::run(load, downlink, stop, &show);
        let outcome = tokio::select! {
            outcome = running => outcome,
            () = ended_at_once => return at_once(),
        };
        bar.finish_and_clear();
        let report = match outcome {
            Ok(report) => report,
            Err(error) => return failed(error),
        };
        let printed = match json {
            true => say::result(format_args!("{}\n", report.to_json())),
            false => say::result(&report),
        };
        match report.faults(load.allow_failures) {
            none if none.is_empty() => printed,
            faults => failed(faults.join("; ")),
        }
    })
}

/// Becomes true at the first Ctrl-C or SIGTERM; what comes with it resolves at the second.
fn stops() -> (watch::Receiver<bool>, impl Future<Output = ()>) {
    let mut endings = signals::Endings::new();
    let (stopper, stop) = watch::channel(false);
    let (told, second) = oneshot::channel::<()>();
    tokio::spawn(async move {
        endings.next().await;
        let _ = stopper.send(true);
        endings.next().await;
        let _ = told.send(());
    });
    let second = async {
        if second.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    (stop, second)
}

fn at_once() -> ExitCode {
    failed("ended at once, as asked twice; subscriptions that were made may still be there")
}

/// A bar over messages if they are counted, else over seconds.
fn bar(load: &Load) -> ProgressBar {
    let length = load
        .messages
        .or(load.duration.map(|duration| duration.as_secs()))
        .unwrap_or_default();
    bar_of(length)
}

/// No output without a terminal.
pub(super) fn bar_of(length: u64) -> ProgressBar {
    let target = match term::is_lively(std::io::stderr().is_terminal()) {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} {msg}");
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn advance(bar: &ProgressBar, load: &Load, progress: Progress) {
    let position = if load.messages.is_some() {
        progress.done
    } else {
        progress.elapsed.as_secs()
    };
    let seconds = progress.elapsed.as_secs_f64().max(0.001);
    let other = progress.done - progress.ok.min(progress.done);
    bar.set_position(position);
    bar.set_message(format!(
        "ok {} ({:.0}/s), other {other}",
        progress.ok,
        progress.ok as f64 / seconds
    ));
}
