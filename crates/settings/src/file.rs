//! The configuration file: TOML, every setting a key at the top level.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::mistakes::Mistakes;
use super::provenance::{Given, Source};
use super::settings::{SETTINGS, Spec};
use super::suggest;
use crate::limits::MAX_CONFIG_FILE_BYTES;
use crate::whole_file;

/// The contents of a configuration file: settings by key.
#[derive(Debug, Default)]
pub(super) struct Contents {
    given: Vec<(&'static str, Given)>,
}

impl Contents {
    pub(super) fn get(&self, spec: &Spec) -> Vec<Given> {
        let of_setting = |(key, _): &&(&str, Given)| *key == spec.key;
        let found = self.given.iter().filter(of_setting);
        found.map(|(_, given)| given.clone()).collect()
    }
}

/// Reads a whole text file of at most `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    whole_file::read_text(path, limit).map_err(|error| error.to_string())
}

/// Reads the file; what cannot be understood becomes mistakes, and the rest counts.
pub(super) fn read(path: &Path, named_by: &Source, mistakes: &mut Mistakes) -> Contents {
    let text = read_text(path, MAX_CONFIG_FILE_BYTES);
    let Some(text) = mistakes.keep(named_by, text) else {
        mistakes.mark_incomplete();
        return Contents::default();
    };
    let path: Arc<Path> = path.into();
    let at = |offset: usize| Source::File {
        path: Arc::clone(&path),
        line: line_of(&text, offset),
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        // Not its whole display, which quotes the line: that may hold a secret.
        let offset = error.span().map_or(0, |span| span.start);
        mistakes.add(at(offset), error.message());
        mistakes.mark_incomplete();
    }
    let mut contents = Contents::default();
    for (key, value) in table.get_ref() {
        let source = at(key.span().start);
        let name: &str = key.get_ref();
        let Some((spec, in_file)) = find(name) else {
            mistakes.add(source, unknown(name, value.get_ref()));
            continue;
        };
        let Some(values) = mistakes.keep(&source, texts(name, spec, value.get_ref())) else {
            mistakes.mark_incomplete();
            continue;
        };
        let given = Given {
            values,
            source,
            in_file,
        };
        contents.given.push((spec.key, given));
    }
    contents
}

fn find(name: &str) -> Option<(&'static Spec, bool)> {
    let by_value = SETTINGS.iter().find(|spec| spec.key == name);
    by_value.map(|spec| (spec, false)).or_else(|| {
        let by_file = SETTINGS
            .iter()
            .find(|spec| spec.is_secret() && spec.file_key() == name);
        by_file.map(|spec| (spec, true))
    })
}

fn unknown(name: &str, value: &DeValue<'_>) -> String {
    if value.is_table() {
        return format!("unknown table `{name}`; all settings stand at the top level");
    }
    let keys = SETTINGS.iter().flat_map(|spec| {
        let file = spec.is_secret().then(|| spec.file_key());
        [Some(spec.key.to_owned()), file].into_iter().flatten()
    });
    match suggest::nearest(&name.replace('-', "_"), keys) {
        Some(known) => format!("unknown setting `{name}`; did you mean `{known}`?"),
        None => format!("unknown setting `{name}`; docs/operate.md lists all of them"),
    }
}

fn texts(name: &str, spec: &Spec, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    match value {
        DeValue::Array(values) if spec.is_list() => values
            .iter()
            .map(|value| text(name, spec, value.get_ref()))
            .collect(),
        value => Ok(vec![text(name, spec, value)?]),
    }
}

fn text(name: &str, spec: &Spec, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        // Not as it was written: 007 and 1_000 are other numbers than they look.
        DeValue::Integer(_) | DeValue::Float(_) if spec.is_secret() => {
            Err(format!("`{name}` must be a text, in quotes, not a number"))
        }
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(format!("`{name}` is too large a number")),
        },
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        other => Err(format!(
            "`{name}` must be a text or a number, not {}",
            match other {
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
                DeValue::Boolean(_) => "true or false",
                _ => "a date",
            }
        )),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}
