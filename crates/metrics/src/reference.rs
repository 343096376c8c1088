//! The table of metrics in `docs/operate.md`.

use std::fmt::Write as _;

use super::Metric;

/// The line before the table in the document.
pub const BEGIN: &str = "<!-- metrics: written by `drawspan config metrics` -->";
/// The line after it.
pub const END: &str = "<!-- end of metrics -->";

/// The table as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = "\n| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for metric in Metric::ALL {
        let labels: Vec<_> = metric.labels().iter().map(|it| format!("`{it}`")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            metric.name(),
            metric.kind().as_str(),
            labels.join(", "),
            metric.about(),
        );
    }
    text.push('\n');
    text
}
