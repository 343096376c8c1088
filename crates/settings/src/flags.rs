//! Settings given on a command line.

use std::fmt;
use std::path::PathBuf;

use super::provenance::{Given, Source};
use super::settings::{SETTINGS, Spec};

/// The flags of a command line. Texts, so that all mistakes can be reported at once. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct ServeArgs {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Whether a store that lost something is used all the same. Meant for one start, so it is a flag and no setting.
    pub accept_empty_store: bool,
    pub(super) given: Vec<(&'static str, Given)>,
}

impl ServeArgs {
    /// The values of a setting on the command line: as value, as file.
    pub(super) fn get(&self, spec: &Spec) -> Vec<Given> {
        let of_setting = |(key, _): &&(&str, Given)| *key == spec.key;
        let found = self.given.iter().filter(of_setting);
        found.map(|(_, given)| given.clone()).collect()
    }

    /// With one more flag; for programs and tests that have no command line.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        for spec in SETTINGS {
            if spec.flag == flag {
                self.push(spec, vec![value.to_owned()], false);
            } else if spec.is_secret() && spec.file_flag == flag {
                self.push(spec, vec![value.to_owned()], true);
            }
        }
        self
    }

    /// Adds values of a flag: of the setting itself, or with `in_file` of the file that holds it.
    pub fn push(&mut self, spec: &'static Spec, values: Vec<String>, in_file: bool) {
        let flag = if in_file { spec.file_flag } else { spec.flag };
        let source = Source::Flag(flag);
        let known = self
            .given
            .iter_mut()
            .find(|(key, given)| *key == spec.key && given.source == source);
        match known {
            Some((_, given)) => given.values.extend(values),
            None => self.given.push((
                spec.key,
                Given {
                    values,
                    source,
                    in_file,
                },
            )),
        }
    }
}

impl fmt::Debug for ServeArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeArgs")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
