//! The reference of settings in `docs/operate.md`, generated from the table so that the two always agree.

use std::fmt::Write as _;

use super::settings::{Kind, SETTINGS, Spec};

/// The line before the reference in the document.
pub const BEGIN: &str = "<!-- settings: written by `drawspan config reference` -->";
/// The line after it.
pub const END: &str = "<!-- end of settings -->";

/// The reference as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    let mut group = None;
    for spec in SETTINGS {
        if group != Some(spec.group) {
            group = Some(spec.group);
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n### {}\n\n| key in the file | value | default | meaning |\n|---|---|---|---|\n",
                spec.group.title()
            );
        }
        let _ = writeln!(
            text,
            "| `{}`{} | `{}` | {} | {}{} |",
            spec.key,
            if spec.is_secret() {
                format!("<br>`{}`", spec.file_key())
            } else {
                String::new()
            },
            spec.value.replace('|', "\\|"),
            default(spec),
            spec.help.replace('|', "\\|"),
            remarks(spec)
        );
    }
    text.push('\n');
    text
}

fn default(spec: &Spec) -> String {
    match spec.default {
        "" => "–".to_owned(),
        default => format!("`{default}`"),
    }
}

fn remarks(spec: &Spec) -> String {
    let mut remarks = Vec::new();
    match spec.kind {
        Kind::List => {
            remarks.push("a list in the file, commas in the variable, the flag may be repeated");
        }
        Kind::SecretList => remarks.push("a list in the file, the flag may be repeated"),
        Kind::Plain | Kind::Secret => {}
    }
    if spec.reload {
        remarks.push("changed by SIGHUP");
    }
    match remarks.is_empty() {
        true => String::new(),
        false => format!(" ({})", remarks.join("; ")),
    }
}
