//! A configuration file to start with: every setting with its meaning and default, as comments.

use std::fmt::Write as _;

use super::settings::{Kind, SETTINGS, Spec};

/// The maximum length of a line in the file, including `# `.
const LINE_CHARS: usize = 100;

const HEAD: &str = "\
# Settings of `drawspan serve --config THIS-FILE`. All of them are here, with what counts while they are not given.
# Take the `#` away in front of a setting to give it. Flags and environment variables count before this file
# (`--group-key`, `DRAWSPAN_GROUP_KEY` for `group_key`); paths are relative to it. `drawspan config check --config
# THIS-FILE` shows what the settings come to, and every mistake.
#
# Needed are api_key, and how devices connect: id_scope and group_key or group_certificate, or
# hub_connection_string, or devices_file.
";

/// The file's text: TOML in which everything is a comment.
#[must_use]
pub fn text() -> String {
    let mut text = HEAD.to_owned();
    let mut group = None;
    for spec in SETTINGS {
        if group != Some(spec.group) {
            group = Some(spec.group);
            // Writing to a string does not fail.
            let _ = write!(text, "\n## {}\n", spec.group.title());
        }
        text.push('\n');
        comment(&mut text, &about(spec));
        let _ = writeln!(text, "#{} = {}", spec.key, example(spec));
        if spec.is_secret() {
            let _ = writeln!(text, "#{} = \"FILE\"", spec.file_key());
        }
    }
    text
}

fn about(spec: &Spec) -> String {
    let mut text = format!("{}.", spec.help.trim_end_matches('.'));
    match (spec.default, spec.kind) {
        ("", _) if spec.help.contains("[default:") => {}
        ("", _) => text.push_str(" Default: none."),
        (default, _) => {
            let _ = write!(text, " Default: {default}.");
        }
    }
    if spec.is_secret() {
        let lines = match spec.kind {
            Kind::SecretList => ", one value per line",
            _ => "",
        };
        let _ = write!(text, " Better kept in a separate file{lines}.");
    }
    if spec.reload {
        text.push_str(" SIGHUP changes it.");
    }
    text
}

/// An example value of the setting: its default if it has one.
fn example(spec: &Spec) -> String {
    let value = match spec.default {
        "" => spec.value,
        default => default,
    };
    match value.parse::<u64>() {
        Ok(number) if !spec.is_list() => number.to_string(),
        _ if spec.is_list() => format!("[\"{value}\"]"),
        _ => format!("\"{value}\""),
    }
}

/// Text as lines of comment, broken between words.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > LINE_CHARS {
            out.push_str(&line);
            out.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_there_and_none_is_set() {
        let text = text();
        for spec in SETTINGS {
            let key = format!("\n#{} = ", spec.key);
            assert_eq!(text.matches(&key).count(), 1, "{}", spec.key);
            let file = format!("\n#{} = ", spec.file_key());
            assert_eq!(text.contains(&file), spec.is_secret(), "{}", spec.key);
        }
        assert!(
            text.lines()
                .all(|line| line.is_empty() || line.starts_with('#'))
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
    }

    #[test]
    fn a_setting_without_its_mark_is_toml_with_the_default() {
        let given = |line: &&str| {
            line.starts_with('#') && !line.starts_with("# ") && !line.starts_with("##")
        };
        let text = text();
        let lines: Vec<_> = text
            .lines()
            .filter(given)
            .filter_map(|line| line.strip_prefix('#'))
            .collect();
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|line| line.contains(" = "))
            .collect();
        let table: toml::Table = lines.join("\n").parse().unwrap();
        for spec in SETTINGS {
            let value = table.get(spec.key).unwrap();
            let value = match value {
                toml::Value::Array(values) if spec.is_list() => values.first().unwrap(),
                value => value,
            };
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let expected = if spec.default.is_empty() {
                spec.value
            } else {
                spec.default
            };
            assert_eq!(text, expected, "{}", spec.key);
        }
    }
}
