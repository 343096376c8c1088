//! Counters of the HTTP side. A request costs one addition when it is answered, a message two more and a look at the clock.

use axum::http::StatusCode;
use drawspan_gateway::DeviceGateway;
use drawspan_hub::{DeviceId, Telemetry};
use drawspan_metrics::{Counter, Latency, Metric, Page, Sample};
use tokio::time::Instant;

use super::operation::Operation;
use super::problem::{Kind, Problem};

/// The statuses that are answered, the most frequent first.
const CODES: [(u16, &str); 23] = [
    (200, "200"),
    (204, "204"),
    (429, "429"),
    (503, "503"),
    (504, "504"),
    (202, "202"),
    (302, "302"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (422, "422"),
    (500, "500"),
    (502, "502"),
    // Operations answer with no other status; if one does, it is still counted.
    (0, "other"),
];

/// Requests by operation, and those that reached no operation.
const ROWS: usize = Operation::ALL.len() + 1;

type Row = [Counter; CODES.len()];

/// Counts of one API.
#[derive(Debug)]
pub(super) struct Counts {
    answers: [Row; ROWS],
    accepted: Latency,
    failed: [Counter; Kind::ALL.len()],
    replays: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            answers: std::array::from_fn(|_| Row::default()),
            accepted: Latency::default(),
            failed: std::array::from_fn(|_| Counter::default()),
            replays: Counter::default(),
        }
    }
}

impl Counts {
    /// Counts an answered request; `operation` is `None` if it reached no operation.
    pub(super) fn answered(&self, operation: Option<Operation>, status: StatusCode) {
        let row = operation.map_or(ROWS - 1, |operation| operation as usize);
        let known = CODES.iter().position(|(code, _)| *code == status.as_u16());
        let code = known.unwrap_or(CODES.len() - 1);
        if let Some(counter) = self.answers.get(row).and_then(|row| row.get(code)) {
            counter.add();
        }
    }

    /// A request was answered by what an earlier one had come to.
    pub(super) fn replayed(&self) {
        self.replays.add();
    }

    /// Sends a message, and counts its result.
    pub(super) async fn send<D: DeviceGateway>(
        &self,
        devices: &D,
        device: DeviceId,
        message: Telemetry,
        deadline: Instant,
    ) -> Result<(), Problem> {
        let begun = Instant::now();
        match devices.send(device, message, deadline).await {
            Ok(()) => {
                self.accepted.add(begun.elapsed());
                Ok(())
            }
            Err(error) => {
                let problem = Problem::from(error);
                if let Some(counter) = self.failed.get(problem.kind() as usize) {
                    counter.add();
                }
                Err(problem)
            }
        }
    }

    /// Writes all counters.
    pub(super) fn tell(&self, page: &mut Page) {
        let ids = Operation::ALL.iter().map(|operation| operation.id());
        let rows = ids.chain(["none"]).zip(&self.answers);
        let samples = rows.flat_map(|(id, row)| {
            let counts = CODES.iter().zip(row);
            counts.map(move |((_, code), counter)| Sample::of([id, *code], counter.get()))
        });
        page.some(Metric::HttpRequests, samples);
        page.spread(Metric::MessageSeconds, &self.accepted);
        let failed = Kind::ALL.iter().zip(&self.failed);
        let failed = failed.map(|(kind, counter)| Sample::of([kind.slug()], counter.get()));
        page.some(Metric::MessagesFailed, failed);
        let replays = Sample::of([], self.replays.get());
        page.add(Metric::IdempotentReplays, [replays]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_problem_has_its_count() {
        for (at, kind) in Kind::ALL.iter().enumerate() {
            let status = kind.status().as_u16();
            assert!(CODES.iter().any(|(code, _)| *code == status), "{status}");
            assert_eq!(*kind as usize, at);
        }
        for (code, text) in CODES.iter().filter(|(code, _)| *code != 0) {
            assert_eq!(code.to_string(), *text);
        }
        for (at, operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(*operation as usize, at);
        }
    }
}
