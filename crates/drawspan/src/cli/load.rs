//! `drawspan load`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use super::{block_on, failed, misused, say, signals};
use crate::load::downlink::Downlink;
use crate::load::run::Progress;
use crate::load::{self, Load, LoadArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan load --url http://127.0.0.1:8080 --devices 100 --rate 50 --duration 10
  drawspan load --api-key KEY --devices 1000 --connections 64 --messages 100000 --ledger ledger.tsv --json

Messages and methods to devices, through the bridge to a receiver in this process (the bridge runs with
--allow-callbacks 127.0.0.1):
  drawspan load --devices 500 --c2d-rate 1000 --method-rate 1000 --duration 30 \\
    --hub-connection-string 'HostName=…;SharedAccessKeyName=service;SharedAccessKey=…' \\
    --ca state/ca.pem --connect hub.localtest:5671=127.0.0.1:5671 --connect hub.localtest:443=127.0.0.1:8443
  … --receiver status:503@10                      a tenth of all requests fail, and must come again
  … --bad-share 20 --bad-receiver hang            what a receiver that hangs does to the others
  … --subscribe all                               no rates: subscribe, wait until Running, say how long it took

Exit code 1 when a message is lost, a method was done twice or got a wrong answer, or nothing was answered.";

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
        let (stopper, stop) = watch::channel(false);
        tokio::spawn(async move {
            signals::shutdown().await;
            let _ = stopper.send(true);
        });
        let bar = bar(&load);
        let outcome = load::run(&load, stop, |progress| show(&bar, &load, progress)).await;
        bar.finish_and_clear();
        match outcome {
            Ok(report) if report.no_answer == report.requests => {
                let authority = &load.authority;
                failed(format_args!(
                    "no answer from {authority} to any of {} requests",
                    report.requests
                ))
            }
            Ok(report) if json => say::result(format_args!("{}\n", report.to_json())),
            Ok(report) => say::result(report),
            Err(error) => failed(format_args!("the ledger cannot be written: {error}")),
        }
    })
}

fn downlinks(load: &Load, downlink: &Downlink, json: bool) -> ExitCode {
    block_on(async move {
        let (stopper, stop) = watch::channel(false);
        tokio::spawn(async move {
            signals::shutdown().await;
            let _ = stopper.send(true);
        });
        let bar = bar_of(0);
        let show = |what: &'static str, done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(what);
        };
        let outcome = load::downlink::run(load, downlink, stop, &show).await;
        bar.finish_and_clear();
        let report = match outcome {
            Ok(report) => report,
            Err(error) => return failed(error),
        };
        let printed = match json {
            true => say::result(format_args!("{}\n", report.to_json())),
            false => say::result(&report),
        };
        match report.faults() {
            none if none.is_empty() => printed,
            faults => failed(faults.join("; ")),
        }
    })
}

/// A bar over messages if they are counted, else over seconds.
fn bar(load: &Load) -> ProgressBar {
    let length = load
        .messages
        .or(load.duration.map(|duration| duration.as_secs()))
        .unwrap_or_default();
    bar_of(length)
}

/// Nothing where nobody looks.
pub(super) fn bar_of(length: u64) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} {msg}");
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, load: &Load, progress: Progress) {
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
