//! Dead letters as people read them: a line for each, in columns.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::bridge::NotDone;

/// A page, as the bridge tells it.
pub(super) struct Page {
    pub(super) letters: Vec<Letter>,
    pub(super) continuation: Option<String>,
    /// The JSON of each.
    texts: Vec<Box<RawValue>>,
}

/// What is shown of one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    pub(super) id: u64,
    device_id: String,
    subscription_type: String,
    origin: String,
    reason: String,
    attempts: u32,
    failed_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    dead_letters: Vec<Box<RawValue>>,
    continuation: Option<String>,
}

impl Page {
    pub(super) fn read(body: &[u8]) -> Result<Self, NotDone> {
        let wrong =
            |error| NotDone::Refused(format!("the answer is no list of dead letters: {error}"));
        let document: Document = serde_json::from_slice(body).map_err(wrong)?;
        let letters = document.dead_letters.iter();
        let letters = letters.map(|text| serde_json::from_str(text.get()));
        Ok(Self {
            letters: letters.collect::<Result<_, _>>().map_err(wrong)?,
            continuation: document.continuation,
            texts: document.dead_letters,
        })
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.letters.last().map(|letter| letter.id)
    }

    /// One JSON object each, without line breaks.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| text.get())
    }
}

const HEAD: [&str; 7] = [
    "NUMBER",
    "FAILED AT",
    "DEVICE",
    "TYPE",
    "TRIES",
    "RECEIVER",
    "REASON",
];

/// The table, with its head.
pub(super) fn text(letters: &[Letter]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(letters.iter().map(Letter::cells));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing into a text does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

impl Letter {
    fn cells(&self) -> [String; HEAD.len()] {
        // To the second.
        let time = self.failed_at.split('.').next().unwrap_or_default();
        [
            self.id.to_string(),
            format!("{}Z", time.trim_end_matches('Z')),
            plain(&self.device_id),
            plain(&self.subscription_type),
            self.attempts.to_string(),
            plain(&self.origin),
            plain(&self.reason),
        ]
    }
}

/// Without what would move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_a_table() {
        let body = br#"{"deadLetters":[
            {"id":7,"webhookId":"c2d_1","deviceId":"a","subscriptionType":"C2DMessages","event":{"x":[1]},
             "origin":"https://a.example:443","reason":"500\u001b[31m","attempts":6,"failedAt":"2026-11-22T10:20:30.1234567Z"},
            {"id":1234567,"webhookId":"status_2","deviceId":"long-name","subscriptionType":"ConnectionStatus","event":null,
             "origin":"http://b:80","reason":"no answer","attempts":1,"failedAt":"2026-11-22T10:20:30Z"}],
            "continuation":"1234567"}"#;
        let page = Page::read(body).unwrap();
        assert_eq!(page.last(), Some(1_234_567));
        assert_eq!(page.continuation.as_deref(), Some("1234567"));
        assert!(
            page.lines()
                .next()
                .unwrap()
                .contains(r#""event":{"x":[1]}"#)
        );
        let expected = "\
NUMBER   FAILED AT             DEVICE     TYPE              TRIES  RECEIVER               REASON
7        2026-11-22T10:20:30Z  a          C2DMessages       6      https://a.example:443  500 [31m
1234567  2026-11-22T10:20:30Z  long-name  ConnectionStatus  1      http://b:80            no answer
";
        assert_eq!(text(&page.letters), expected);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for body in ["", "{}", "[]", r#"{"deadLetters":[{"id":"x"}]}"#] {
            assert!(Page::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
