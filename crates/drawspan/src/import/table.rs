//! Exports of a table: CSV in many forms, or a JSON list of objects.

use std::collections::HashMap;

use drawspan_hub::text;
use serde_json::Value;
use thiserror::Error;

/// A row: where it stands, and its cells in the order of the columns asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The line of a CSV file, the number of the object of a JSON list; from 1.
    pub(super) line: usize,
    pub(super) cells: Vec<String>,
}

/// Why a file is no export. Never repeats a cell.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Neither UTF-8 nor UTF-16.
    #[error("neither UTF-8 nor UTF-16 text")]
    NotText,
    /// It begins like JSON.
    #[error("begins like JSON and is not a list of objects: {0}")]
    NotJson(String),
    /// Columns are missing.
    #[error(
        "the columns {wanted} are expected, by their names in the first line or, without names, exactly these in this order"
    )]
    Columns {
        /// Which.
        wanted: String,
    },
    /// A quoted cell has no end.
    #[error("line {0}: a quoted cell has no end")]
    OpenQuote(usize),
}

/// Reads the rows. Column names have no case; further columns do not matter.
pub(super) fn read(bytes: &[u8], columns: &[&str]) -> Result<Vec<Row>, Malformed> {
    // `sqlcmd -u` and `bcp -w` write UTF-16.
    let text = text::decode(bytes).map_err(|_| Malformed::NotText)?;
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().starts_with(['[', '{']) {
        true => json(text, columns),
        false => csv(text, columns),
    }
}

fn json(text: &str, columns: &[&str]) -> Result<Vec<Row>, Malformed> {
    // Its message names a place and no contents.
    let invalid = |error: serde_json::Error| Malformed::NotJson(error.to_string());
    // `FOR JSON` output is folded into lines; texts contain no line breaks.
    let unfolded: String = text
        .chars()
        .filter(|letter| !matches!(letter, '\r' | '\n'))
        .collect();
    let objects: Vec<HashMap<String, Value>> = serde_json::from_str(&unfolded).map_err(invalid)?;
    let cell = |object: &HashMap<String, Value>, column: &str| {
        let found = object
            .iter()
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(column));
        found.map(|(_, value)| match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Null => String::new(),
            other => other.to_string(),
        })
    };
    let row = |(at, object): (usize, &HashMap<String, Value>)| {
        let cells = columns.iter().map(|column| cell(object, column));
        let cells = cells.collect::<Option<Vec<_>>>();
        let cells = cells.ok_or_else(|| missing(columns))?;
        Ok(Row {
            line: at + 1,
            cells,
        })
    };
    objects.iter().enumerate().map(row).collect()
}

fn missing(columns: &[&str]) -> Malformed {
    Malformed::Columns {
        wanted: columns.join(", "),
    }
}

fn csv(text: &str, columns: &[&str]) -> Result<Vec<Row>, Malformed> {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    let count = |separator: &char| first.matches(*separator).count();
    let separators = ['\t', ';', '|', ','];
    let separator = separators.into_iter().max_by_key(count).unwrap_or(',');
    let mut records = records(text, separator)?;
    records.retain(|record| !is_no_row(&record.cells));
    let places = records
        .first()
        .and_then(|record| places(&record.cells, columns));
    let places: Vec<usize> = match places {
        Some(places) => {
            records.remove(0);
            places
        }
        // `bcp` writes no names.
        None if records
            .iter()
            .all(|record| record.cells.len() == columns.len()) =>
        {
            (0..columns.len()).collect()
        }
        None => return Err(missing(columns)),
    };
    let chosen = |record: Row| Row {
        line: record.line,
        cells: places
            .iter()
            .map(|at| record.cells.get(*at).cloned().unwrap_or_default())
            .collect(),
    };
    Ok(records.into_iter().map(chosen).collect())
}

/// The positions of the columns, if these are their names.
fn places(names: &[String], columns: &[&str]) -> Option<Vec<usize>> {
    let place = |column: &&str| {
        names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column))
    };
    columns.iter().map(place).collect()
}

/// Whether a row was added by `sqlcmd`: dashes under the names, or the number of rows.
fn is_no_row(cells: &[String]) -> bool {
    let dashes = |cell: &String| !cell.is_empty() && cell.bytes().all(|byte| byte == b'-');
    match cells {
        [cell] => cell.is_empty() || dashes(cell) || cell.starts_with('(') && cell.ends_with(')'),
        cells => cells.iter().all(dashes),
    }
}

/// RFC 4180, with any separator and line end. Cells lose white space at both ends unless they are quoted.
fn records(text: &str, separator: char) -> Result<Vec<Row>, Malformed> {
    let mut records = Vec::new();
    let mut reader = Reader {
        line: 1,
        begun: 1,
        cells: Vec::new(),
        cell: String::new(),
        quoted: false,
    };
    let mut letters = text.chars().peekable();
    let mut in_quotes = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if in_quotes && letters.peek() == Some(&'"') => {
                letters.next();
                reader.cell.push('"');
            }
            '"' if in_quotes => in_quotes = false,
            '"' if reader.cell.trim().is_empty() && !reader.quoted => {
                reader.cell.clear();
                (in_quotes, reader.quoted) = (true, true);
            }
            letter if in_quotes => {
                reader.line += usize::from(letter == '\n');
                reader.cell.push(letter);
            }
            letter if letter == separator => reader.end_cell(),
            '\n' => reader.end_record(&mut records),
            letter => reader.cell.push(letter),
        }
    }
    if in_quotes {
        return Err(Malformed::OpenQuote(reader.begun));
    }
    reader.end_record(&mut records);
    Ok(records)
}

struct Reader {
    line: usize,
    /// The line where the record began.
    begun: usize,
    cells: Vec<String>,
    cell: String,
    quoted: bool,
}

impl Reader {
    fn end_cell(&mut self) {
        let cell = std::mem::take(&mut self.cell);
        let quoted = std::mem::take(&mut self.quoted);
        self.cells.push(match quoted {
            true => cell,
            false => cell.trim().to_owned(),
        });
    }

    fn end_record(&mut self, records: &mut Vec<Row>) {
        self.end_cell();
        let cells = std::mem::take(&mut self.cells);
        let line = self.begun;
        self.line += 1;
        self.begun = self.line;
        records.push(Row { line, cells });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 2] = ["DeviceId", "Hub"];

    fn check(text: &str, expected: &[(usize, &str, &str)]) {
        let rows = read(text.as_bytes(), &COLUMNS).unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.line, row.cells[0].as_str(), row.cells[1].as_str()))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn csv_comes_in_many_forms() {
        check("", &[]);
        check("DeviceId,Hub\na,h\n", &[(2, "a", "h")]);
        check("\u{feff}hub;x;DEVICEID\r\nh;1;a\r\n\r\n", &[(2, "a", "h")]);
        check("DeviceId\tHub\na\th", &[(2, "a", "h")]);
        check("a,h\nb,i\n", &[(1, "a", "h"), (2, "b", "i")]);
        check(
            "DeviceId|Hub\n--------|---\na       |h  \n\n(1 rows affected)\n",
            &[(3, "a", "h")],
        );
        check(
            "\"DeviceId\",\"Hub\"\n\"a\"\"b,\nc\", \"h\"\nd,\" e\"\n",
            &[(2, "a\"b,\nc", "h"), (4, "d", " e")],
        );
    }

    #[test]
    fn json_comes_in_lines_too() {
        check("[]", &[]);
        check(
            r#" [{"deviceid":"a","Hub":"h","RenewedAt":1},{"HUB":null,"DeviceId":"b"}]"#,
            &[(1, "a", "h"), (2, "b", "")],
        );
        check("[{\"DeviceId\":\"a\",\"Hu\nb\":\"h\"}]", &[(1, "a", "h")]);
    }

    #[test]
    fn utf_16_is_read() {
        for (mark, bytes) in [
            ([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ([0xfe, 0xff], u16::to_be_bytes),
        ] {
            let text = "DeviceId,Hub\na,h\n".encode_utf16().flat_map(bytes);
            let all: Vec<u8> = mark.into_iter().chain(text).collect();
            assert_eq!(read(&all, &COLUMNS).unwrap()[0].cells, ["a", "h"]);
        }
    }

    #[test]
    fn what_is_no_export_is_named_without_its_contents() {
        let check = |bytes: &[u8], expected: &str| {
            let text = read(bytes, &COLUMNS).unwrap_err().to_string();
            assert!(
                text.contains(expected) && !text.contains("secret"),
                "{text}"
            );
        };
        check(b"\xff\x00secret", "neither UTF-8 nor UTF-16");
        check(b"[{\"secret\": ", "not a list of objects");
        check(b"{\"secret\":1}", "not a list of objects");
        check(b"[{\"secret\":1}]", "DeviceId, Hub");
        check(b"secret,secret,secret", "DeviceId, Hub");
        check(b"DeviceId,Hub\na,\"secret", "line 2: a quoted cell");
    }
}
