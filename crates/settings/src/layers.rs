//! Precedence of flags over variables over the file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{self, Contents};
use super::flags::ServeArgs;
use super::legacy::{KV_URL, Legacy};
use super::mistakes::Mistakes;
use super::outbound::Way;
use super::provenance::{Given, Source};
use super::settings::{Kind, SETTINGS, Setting, Spec, VARIABLE_PREFIX};
use super::suggest;
use super::vault::{Ask, Vault};
use crate::limits::MAX_SECRET_FILE_BYTES;

const CONFIG_VARIABLE: &str = "DRAWSPAN_CONFIG";
/// Variables that begin as ours do and are no settings.
const OTHER_VARIABLES: [&str; 3] = [CONFIG_VARIABLE, "DRAWSPAN_LOG", "DRAWSPAN_LOG_FORMAT"];
/// The usual environment variables for a proxy.
const PROXY_VARIABLES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The environment variables of a process. An empty one counts as absent. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Ours, but not text.
    unreadable: Vec<String>,
}

impl Environment {
    /// Takes the environment of this process.
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

    fn first(&self, names: [&str; 2]) -> Option<(String, String)> {
        let found = names
            .into_iter()
            .find_map(|name| self.get(name).map(|value| (name, value)));
        found.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    fn given(&self, spec: &Spec) -> Vec<Given> {
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
    fn misspelt(&self) -> Vec<String> {
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

/// All sources, one over the other.
struct Layers<'a> {
    args: &'a ServeArgs,
    environment: &'a Environment,
    file: Contents,
    folder: Option<PathBuf>,
    original: Legacy,
}

/// The given values of each setting.
#[derive(Debug)]
pub(super) struct Values {
    values: Vec<(Setting, Value)>,
    /// Paths in the file are relative to its folder.
    folder: Option<PathBuf>,
    /// Warnings.
    pub(super) notes: Vec<String>,
    /// Names by which it is certain that the bridge is configured as the one that it replaces.
    pub(super) original: Vec<String>,
}

/// A value with where it came from; secrets have been read from their files.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) values: Vec<Text>,
    pub(super) source: Source,
    /// The places of the values in their file; empty if there is no such file.
    places: Vec<Source>,
}

/// A text that may be secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Value {
    /// The place of the value with that index, including the line if it was read from a file.
    pub(super) fn place(&self, index: usize) -> &Source {
        self.places.get(index).unwrap_or(&self.source)
    }

    /// The value of a setting that takes one.
    pub(super) fn text(&self) -> &str {
        self.values.first().map_or("", |text| text.0.as_str())
    }
}

/// Collects what flags, variables and the file say.
pub(super) fn collect(
    args: &ServeArgs,
    environment: &Environment,
    vault: Vault,
    mistakes: &mut Mistakes,
) -> Values {
    for name in &environment.unreadable {
        mistakes.add(name, "not UTF-8 text");
    }
    let by_flag = args
        .config
        .clone()
        .map(|path| (path, Source::Flag("config")));
    let by_variable = || {
        let path = environment.get(CONFIG_VARIABLE)?;
        let source = Source::Variable(CONFIG_VARIABLE.to_owned());
        Some((PathBuf::from(path), source))
    };
    let named = by_flag.or_else(by_variable);
    let (file, folder) = match &named {
        Some((path, source)) => (
            file::read(path, source, mistakes),
            path.parent().map(Path::to_path_buf),
        ),
        None => (Contents::default(), None),
    };
    let mut layers = Layers {
        args,
        environment,
        file,
        folder,
        original: Legacy::default(),
    };
    layers.original = Legacy::read(environment, layers.secrets_dir(), mistakes);
    layers.ask(vault, mistakes);
    let value = |spec: &'static Spec| Some((spec.setting, layers.value(spec, mistakes)?));
    let values = SETTINGS.iter().filter_map(value).collect();
    let mut notes = environment.misspelt();
    notes.append(&mut layers.original.notes);
    Values {
        values,
        notes,
        folder: layers.folder,
        original: layers.original.marks,
    }
}

impl Values {
    pub(super) fn get(&self, setting: Setting) -> Option<&Value> {
        let found = self.values.iter().find(|(known, _)| *known == setting);
        found.map(|(_, value)| value)
    }

    /// A path as it is meant: in the file, relative to the file.
    pub(super) fn path(&self, value: &Value) -> PathBuf {
        relative_to(self.folder.as_deref(), value.text(), &value.source)
    }
}

pub(super) fn relative_to(folder: Option<&Path>, text: &str, source: &Source) -> PathBuf {
    match (source, folder) {
        (Source::File { .. }, Some(folder)) => folder.join(text),
        _ => PathBuf::from(text),
    }
}

impl Layers<'_> {
    fn given(&self, spec: &Spec) -> Vec<Given> {
        let layers = [
            self.args.get(spec),
            self.environment.given(spec),
            self.file.get(spec),
        ];
        let mut layers = layers.into_iter();
        layers.find(|given| !given.is_empty()).unwrap_or_default()
    }

    fn secrets_dir(&self) -> Option<(PathBuf, Source)> {
        let given = self.given(Spec::of(Setting::SecretsDir)?);
        let first = given.into_iter().next()?;
        let path = first.values.first()?;
        let path = relative_to(self.folder.as_deref(), path, &first.source);
        Some((path, first.source))
    }

    /// Asks the key vault for what nothing else gives.
    fn ask(&mut self, vault: Vault, mistakes: &mut Mistakes) {
        let Some(url) = self.environment.get(KV_URL) else {
            return;
        };
        let mut wanted = self.original.missing();
        wanted.retain(|(_, setting)| Spec::of(*setting).is_some_and(|spec| self.lacks(spec)));
        if wanted.is_empty() {
            return;
        }
        // A mistake in the outbound settings is reported where they are checked.
        let values = self.way().and_then(|way| {
            let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
            let ask = Ask {
                url,
                names: &names,
                environment: self.environment,
                way,
            };
            mistakes.keep(KV_URL, vault(&ask))
        });
        match values {
            Some(values) => self.original.take(&wanted, values),
            None => mistakes.mark_incomplete(),
        }
    }

    /// The way out of this network.
    fn way(&self) -> Option<Way> {
        let mut mistakes = Mistakes::default();
        let values = [Setting::Proxy, Setting::Ca, Setting::Connect]
            .map(|setting| Spec::of(setting).and_then(|spec| self.value(spec, &mut mistakes)));
        let way = Way::of(values, self.folder.as_deref(), &mut mistakes);
        mistakes.lines().is_empty().then_some(way)
    }

    /// Whether nothing of our own says what it is, and nothing keeps what the original was given from counting.
    fn lacks(&self, spec: &Spec) -> bool {
        self.given(spec).is_empty() && self.may_be_original(spec)
    }

    /// Whether devices do not get their identity in a way that the original did not know.
    fn may_be_original(&self, spec: &Spec) -> bool {
        let is_other = |setting| Spec::of(setting).is_some_and(|spec| !self.given(spec).is_empty());
        let of_dps = matches!(spec.setting, Setting::IdScope | Setting::GroupKey);
        let others = [Setting::HubConnectionString, Setting::DevicesFile];
        !of_dps || !others.into_iter().any(is_other)
    }

    /// The settings of the original bridge.
    fn original(&self, spec: &Spec) -> Option<Given> {
        if !self.may_be_original(spec) {
            return None;
        }
        self.original.get(spec.setting).cloned()
    }

    /// The value of a setting, from the first source that has one.
    fn value(&self, spec: &Spec, mistakes: &mut Mistakes) -> Option<Value> {
        let mut given = self.given(spec);
        if given.is_empty() {
            given.extend(self.original(spec));
        }
        if given.is_empty() {
            return (spec.setting == Setting::Proxy)
                .then(|| self.usual_proxy())
                .flatten();
        }
        let second = given.get(1).map(|second| second.source.clone());
        let first = given.swap_remove(0);
        if let Some(second) = second {
            mistakes.add(
                &first.source,
                format!("also given by {second}; one is enough"),
            );
        }
        self.resolve(spec, first, mistakes)
    }

    fn resolve(&self, spec: &Spec, given: Given, mistakes: &mut Mistakes) -> Option<Value> {
        let Given {
            values,
            source,
            in_file,
        } = given;
        let mut places = Vec::new();
        let values = match values.first() {
            Some(path) if in_file => {
                let path = relative_to(self.folder.as_deref(), path, &source);
                let text = file::read_text(&path, MAX_SECRET_FILE_BYTES);
                let Some(text) = mistakes.keep(&source, text) else {
                    mistakes.mark_incomplete();
                    return None;
                };
                let numbered = (1..).zip(text.lines().map(str::trim));
                let (numbers, lines): (Vec<_>, Vec<_>) = numbered
                    .filter(|(_, line)| !line.is_empty())
                    .map(|(number, line)| (number, line.to_owned()))
                    .unzip();
                if lines.is_empty() || !spec.is_list() && lines.len() > 1 {
                    mistakes.add(
                        &source,
                        format!(
                            "{} must hold {} and nothing else",
                            path.display(),
                            if spec.is_list() {
                                "values, one per line,"
                            } else {
                                "one line"
                            }
                        ),
                    );
                    mistakes.mark_incomplete();
                    return None;
                }
                let path: Arc<Path> = path.into();
                let place = |line| Source::File {
                    path: Arc::clone(&path),
                    line,
                };
                places = numbers.into_iter().map(place).collect();
                lines
            }
            _ => values,
        };
        Some(Value {
            values: values.into_iter().map(Text).collect(),
            source,
            places,
        })
    }

    fn usual_proxy(&self) -> Option<Value> {
        if self
            .environment
            .first(NO_PROXY_VARIABLES)
            .is_some_and(|(_, hosts)| hosts.trim() == "*")
        {
            return None;
        }
        let (name, value) = self.environment.first(PROXY_VARIABLES)?;
        Some(Value {
            values: vec![Text(value)],
            source: Source::Variable(name),
            places: Vec::new(),
        })
    }
}
