//! Precedence of flags over variables over the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::{CONFIG_VARIABLE, Environment};
use super::file::{self, Contents};
use super::flags::ServeArgs;
use super::legacy::{KV_URL, Legacy};
use super::mistakes::Mistakes;
use super::outbound::Way;
use super::provenance::{Given, Source};
use super::settings::{SETTINGS, Setting, Spec};
use super::value::{Text, Value, relative_to};
use super::vault::{Ask, Vault};
use crate::limits::MAX_SECRET_FILE_BYTES;

/// What most programs take for the proxy.
const PROXY_VARIABLES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

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
        let of_key = spec.setting == Setting::GroupKey;
        let replaced = of_key && is_other(Setting::GroupCertificate);
        !replaced && (!of_dps || !others.into_iter().any(is_other))
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
