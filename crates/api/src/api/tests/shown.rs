//! Snapshots of what callers and Prometheus see. After an intended change, `INSTA_UPDATE=always cargo nextest run -p drawspan-api
//! shown` writes them again.

use super::*;
use crate::problem::{Kind, Problem};

#[test]
fn every_problem_document() {
    let mut text = String::new();
    for kind in Kind::ALL {
        let problem = Problem::new(*kind, "What happened.");
        let document = String::from_utf8(problem.to_json()).unwrap();
        text.push_str(&format!("{} {document}\n", problem.status().as_u16()));
    }
    let problem = Problem::new(Kind::HubRefused, "Unauthorized.")
        .from_hub(Some(401_002), Some("0123-4567".into()))
        .retry_after(60)
        .with_problems(vec![("data", "missing".into())]);
    text.push_str(&String::from_utf8(problem.to_json()).unwrap());
    insta::assert_snapshot!("problems", text);
}

#[tokio::test]
async fn the_metrics_of_a_bridge_without_devices() {
    let bench = bench(Ok(()));
    let get = request("GET", "/metrics").header("accept", "application/openmetrics-text");
    let answer = bench.ask(get.body(Body::empty()).unwrap()).await;
    let page = String::from_utf8(answer.body.to_vec()).unwrap();
    // Values differ from run to run.
    let shown = page.lines().map(|line| match line.starts_with('#') {
        true => line,
        false => line.rsplit_once(' ').map_or(line, |(sample, _)| sample),
    });
    insta::assert_snapshot!("metrics", shown.collect::<Vec<_>>().join("\n"));
}
