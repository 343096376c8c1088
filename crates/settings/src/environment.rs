//! Variables.

use std::collections::BTreeMap;
use std::fmt;

use super::provenance::{Given, Source};
use super::settings::{Kind, SETTINGS, Spec, VARIABLE_PREFIX};
use super::suggest;

pub(super) const CONFIG_VARIABLE: &str = "DRAWSPAN_CONFIG";
/// Variables that begin as ours do and are no settings.
const OTHER_VARIABLES: [&str; 3] = [CONFIG_VARIABLE, "DRAWSPAN_LOG", "DRAWSPAN_LOG_FORMAT"];

/// The environment variables of a process. An empty one counts as absent. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Ours, but not text.
    pub(super) unreadable: Vec<String>,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => environment.set(&name, &value),
                Err(_) if name.starts_with(VARIABLE_PREFIX) => environment.unreadable.push(name),
                Err(_) => {}
            }
        }
        environment
    }

    /// Sets a variable, for this value only.
    pub fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.variables.insert(name.to_owned(), value.to_owned());
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn first(&self, names: [&str; 2]) -> Option<(String, String)> {
        let found = names
            .into_iter()
            .find_map(|name| self.get(name).map(|value| (name, value)));
        found.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    pub(super) fn given(&self, spec: &Spec) -> Vec<Given> {
        let variable = spec.variable();
        let plain = self.get(&variable).map(|value| Given {
            values: match spec.kind {
                Kind::List => value
                    .split(',')
                    .map(|part| part.trim().to_owned())
                    .collect(),
                Kind::Plain | Kind::Secret | Kind::SecretList => vec![value.to_owned()],
            },
            source: Source::Variable(variable.clone()),
            in_file: false,
        });
        let file_variable = format!("{variable}_FILE");
        let file = self.get(&file_variable).filter(|_| spec.is_secret());
        let file = file.map(|path| Given {
            values: vec![path.to_owned()],
            source: Source::Variable(file_variable.clone()),
            in_file: true,
        });
        plain.into_iter().chain(file).collect()
    }

    /// Variables that are probably meant for us, with what was meant. Others may share the prefix: container platforms name
    /// the addresses of a service called drawspan so.
    pub(super) fn misspelt(&self) -> Vec<String> {
        let known = || {
            SETTINGS.iter().flat_map(|spec| {
                let file = spec
                    .is_secret()
                    .then(|| format!("{}_FILE", spec.variable()));
                [Some(spec.variable()), file].into_iter().flatten()
            })
        };
        let ours = |name: &&String| {
            name.starts_with(VARIABLE_PREFIX)
                && !OTHER_VARIABLES.contains(&name.as_str())
                && !known().any(|known| known == **name)
        };
        let unknown = self.variables.keys().filter(ours);
        unknown
            .filter_map(|name| {
                let short = |name: &str| name.strip_prefix(VARIABLE_PREFIX).map(str::to_owned);
                let meant = suggest::nearest(&short(name)?, known().filter_map(|k| short(&k)))?;
                Some(format!(
                    "{name} is no setting; did you mean {VARIABLE_PREFIX}{meant}?"
                ))
            })
            .collect()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({})", self.variables.len())
    }
}
