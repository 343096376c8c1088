//! Settings of the bridge that Drawspan replaces: the layer of lowest precedence.
//!
//! Its variables keep their names. Its secrets, which were in a key vault, are also read from variables and from files with the
//! same names.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::file::read_text;
use super::mistakes::Mistakes;
use super::provenance::{Given, Source};
use super::settings::Setting;
use crate::limits::{MAX_CONNECT_RATE, MAX_SECRET_FILE_BYTES};

/// The variable that names the original's key vault.
pub(super) const KV_URL: &str = "KV_URL";
const BATCH_SIZE: &str = "DEVICE_CONNECTION_BATCH_SIZE";
const BATCH_INTERVAL_MS: &str = "DEVICE_CONNECTION_BATCH_INTERVAL_MS";
/// The default for one part of a batch if only the other part was given.
const DEFAULT_BATCH: (u64, u64) = (150, 1_000);

/// A secret: its name, the alternative spelling as a variable, and its setting.
struct Secret {
    name: &'static str,
    variable: &'static str,
    setting: Option<Setting>,
}

const fn secret(name: &'static str, variable: &'static str, setting: Option<Setting>) -> Secret {
    Secret {
        name,
        variable,
        setting,
    }
}

const SECRETS: &[Secret] = &[
    secret("iotc-id-scope", "IOTC_ID_SCOPE", Some(Setting::IdScope)),
    secret("iotc-sas-key", "IOTC_SAS_KEY", Some(Setting::GroupKey)),
    secret("apiKey", "API_KEY", Some(Setting::ApiKey)),
    secret("iotc-encryption-key", "IOTC_ENCRYPTION_KEY", None),
    secret("sql-server", "SQL_SERVER", None),
    secret("sql-database", "SQL_DATABASE", None),
    secret("sql-username", "SQL_USERNAME", None),
    secret("sql-password", "SQL_PASSWORD", None),
];

/// Plain settings: the variable, the setting, and whether the variable's name is unambiguous.
const VARIABLES: &[(&str, Setting, bool)] = &[
    ("PORT", Setting::Listen, false),
    ("HTTP_RETRY_LIMIT", Setting::HttpRetryLimit, false),
    ("MAX_POOL_SIZE", Setting::MaxConnections, true),
];

/// The original's settings that were found.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    given: Vec<(Setting, Given)>,
    /// Variables that only the original uses.
    pub(super) marks: Vec<String>,
    /// Ignored settings, each one line.
    pub(super) notes: Vec<String>,
}

impl Legacy {
    /// Reads variables, then the directory: the first that has a secret counts. The vault comes after them.
    pub(super) fn read(
        environment: &Environment,
        directory: Option<(PathBuf, Source)>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut original = Self::default();
        for (name, setting, is_mark) in VARIABLES {
            if let Some(value) = environment.get(name) {
                let value = match setting {
                    Setting::Listen => format!("0.0.0.0:{}", value.trim()),
                    _ => value.to_owned(),
                };
                let source = Source::Variable((*name).to_owned());
                original.give(*setting, value, source, *is_mark);
            }
        }
        original.batches(environment, mistakes);
        let mut unused = Vec::new();
        for secret in SECRETS {
            let spelt = [secret.name, secret.variable].into_iter();
            let variable = spelt
                .filter_map(|name| Some((environment.get(name)?, name)))
                .next();
            if let Some((value, name)) = variable {
                let source = Source::Variable(name.to_owned());
                original.secret(secret, value.to_owned(), source, &mut unused);
            }
        }
        if let Some((directory, source)) = directory {
            original.directory(&directory, &source, &mut unused, mistakes);
        }
        if environment.get(KV_URL).is_some() {
            original.marks.push(KV_URL.to_owned());
        }
        original.tell_unused(&unused);
        original
    }

    pub(super) fn get(&self, setting: Setting) -> Option<&Given> {
        let found = self.given.iter().find(|(known, _)| *known == setting);
        found.map(|(_, given)| given)
    }

    /// Secrets for settings that it has not been given.
    pub(super) fn missing(&self) -> Vec<(&'static str, Setting)> {
        let secrets = SECRETS
            .iter()
            .filter_map(|secret| Some((secret.name, secret.setting?)));
        secrets
            .filter(|(_, setting)| self.get(*setting).is_none())
            .collect()
    }

    /// Uses the vault's values of these secrets, one for each.
    pub(super) fn take(&mut self, wanted: &[(&'static str, Setting)], values: Vec<Option<String>>) {
        let mut found = false;
        for ((name, setting), value) in wanted.iter().zip(values) {
            let value = value.map(|value| value.trim().to_owned());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                found = true;
                self.give(*setting, value, Source::Vault(name), false);
            }
        }
        if !found {
            let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            self.notes
                .push(format!("{KV_URL}: the vault has none of {names}"));
        }
    }

    fn give(&mut self, setting: Setting, value: String, source: Source, is_mark: bool) {
        if is_mark {
            self.marks.push(source.to_string());
        }
        if self.get(setting).is_none() {
            let given = Given {
                values: vec![value],
                source,
                in_file: false,
            };
            self.given.push((setting, given));
        }
    }

    fn secret(
        &mut self,
        secret: &Secret,
        value: String,
        source: Source,
        unused: &mut Vec<&'static str>,
    ) {
        match secret.setting {
            // Others call a key so, too.
            Some(setting) => self.give(setting, value, source, setting != Setting::ApiKey),
            None => unused.push(secret.name),
        }
    }

    /// Reads the batch settings: a number of devices per number of milliseconds.
    fn batches(&mut self, environment: &Environment, mistakes: &mut Mistakes) {
        let mut number = |name: &'static str, default: u64| {
            let text = environment.get(name)?;
            let number = text.trim().parse::<u64>().ok().filter(|number| *number > 0);
            let number = number.ok_or("not a whole number from 1");
            Some((mistakes.keep(name, number).unwrap_or(default), name))
        };
        let size = number(BATCH_SIZE, DEFAULT_BATCH.0);
        let interval = number(BATCH_INTERVAL_MS, DEFAULT_BATCH.1);
        let Some((_, name)) = size.or(interval) else {
            return;
        };
        let (size, _) = size.unwrap_or((DEFAULT_BATCH.0, name));
        let (interval, _) = interval.unwrap_or((DEFAULT_BATCH.1, name));
        let rate = size.saturating_mul(1_000) / interval;
        let rate = rate.clamp(1, MAX_CONNECT_RATE.into());
        let source = Source::Variable(name.to_owned());
        self.give(Setting::MaxConnectRate, rate.to_string(), source, true);
    }

    fn directory(
        &mut self,
        directory: &Path,
        named_by: &Source,
        unused: &mut Vec<&'static str>,
        mistakes: &mut Mistakes,
    ) {
        if !directory.is_dir() {
            let text = format!("{} is not a directory", directory.display());
            return mistakes.add(named_by, text);
        }
        let mut found = false;
        for secret in SECRETS {
            let path = directory.join(secret.name);
            if !path.exists() {
                continue;
            }
            found = true;
            let text = mistakes.keep(named_by, read_text(&path, MAX_SECRET_FILE_BYTES));
            let text = text.map(|text| text.trim().to_owned());
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.secret(secret, text, Source::Secret(path.into()), unused);
            }
        }
        if !found {
            let names: Vec<_> = SECRETS.iter().map(|secret| secret.name).collect();
            let (directory, names) = (directory.display(), names.join(", "));
            self.notes
                .push(format!("{named_by}: {directory} has none of {names}"));
        }
    }

    /// Other programs use names like SQL_SERVER: they are mentioned only if the original is certainly configured.
    fn tell_unused(&mut self, unused: &[&str]) {
        if self.marks.is_empty() {
            return;
        }
        for name in unused {
            self.notes.push(match *name {
                "iotc-encryption-key" => {
                    format!(
                        "{name} is not used: `drawspan import` takes it as --key VERSION=SECRET"
                    )
                }
                name => format!("{name} is not used: the state is in --state"),
            });
        }
    }
}
