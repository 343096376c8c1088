//! `drawspan load`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use super::{block_on, failed, files, misused, say, signals};
use crate::load::run::Progress;
use crate::load::{self, Load, LoadArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan load --url http://127.0.0.1:8080 --devices 100 --rate 50 --duration 10
  drawspan load --api-key KEY --devices 1000 --connections 64 --messages 100000 --ledger ledger.tsv --json";

pub(super) fn run(args: &LoadArgs) -> ExitCode {
    let unix_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let load = match args.check(unix_s) {
        Ok(load) => load,
        Err(mistakes) => return misused(&mistakes),
    };
    let json = args.json;
    block_on(async move {
        files::allow_many();
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

/// A bar over messages if they are counted, else over seconds; nothing where nobody looks.
fn bar(load: &Load) -> ProgressBar {
    let length = load
        .messages
        .or(load.duration.map(|duration| duration.as_secs()))
        .unwrap_or_default();
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
