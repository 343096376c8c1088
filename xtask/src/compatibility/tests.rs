use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::conformance::{Program, SCENARIOS};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The source of the script of a program.
fn source(program: &Program) -> String {
    match program {
        Program::Node(file, _) => read(&format!("conformance/node/{file}")),
        Program::Python(file, _) => read(&format!("conformance/python/{file}")),
        Program::Engine(_) => String::new(),
    }
}

#[test]
fn the_page_is_as_it_is_written() {
    let text = read(PAGE);
    let written = page::write(&page::read(&text)).unwrap();
    assert!(
        text == written,
        "{PAGE} was changed by hand, or its words were changed in xtask: cargo xtask conformance --table"
    );
}

#[test]
fn a_script_reports_whatever_the_page_claims() {
    for (column, row) in page::read(&read(PAGE)).keys() {
        let programs = columns::column(column).unwrap().programs;
        let names = |program: &Program| {
            let source = source(program);
            source.contains(&format!("'{row}'")) || source.contains(&format!("\"{row}\""))
        };
        assert!(
            programs.iter().any(names),
            "{PAGE} claims `{row}` of {column}, which no script of that column reports"
        );
    }
}

#[test]
fn programs_that_report_are_run_by_usual_scenarios() {
    let usual = conformance_usual();
    for column in columns::all() {
        for program in column.programs {
            let runs = |scenario: &&&Scenario| scenario.scripts.contains(program);
            assert!(
                usual.iter().any(|scenario| runs(&scenario)),
                "{}: {} is in no usual scenario",
                column.id,
                crate::conformance::name(program)
            );
        }
    }
}

fn conformance_usual() -> Vec<&'static Scenario> {
    let requested = |it: &&Scenario| !crate::conformance::ON_REQUEST.contains(&it.name);
    SCENARIOS.iter().filter(requested).collect()
}

#[test]
fn versions_are_those_of_the_lock_files() {
    for client in columns::CLIENTS {
        let (file, words) = client.locked;
        if words.is_empty() {
            continue;
        }
        assert!(
            read(&format!("conformance/{file}")).contains(words),
            "{}: {file} says otherwise",
            client.name
        );
        let version = words.rsplit(['"', '=']).find(|part| !part.is_empty());
        assert!(client.name.ends_with(version.unwrap()), "{}", client.name);
    }
}

#[test]
fn reports_are_read() {
    let mut cells = Cells::new();
    for line in [
        "  something else",
        "capability: node-mqtt: telemetry",
        "capability: node-mqtt: a wrong key: UnauthorizedError",
        "capability: node-mqtt: telemetry",
    ] {
        seen::add(line, &mut cells).unwrap();
    }
    let refused = Outcome::Refused("UnauthorizedError".to_owned());
    let expected = [
        (("node-mqtt", "telemetry"), Outcome::Passed),
        (("node-mqtt", "a wrong key"), refused),
    ];
    assert_eq!(cells, Cells::from(expected));
    for line in [
        "capability: node-morse: telemetry",
        "capability: node-mqtt: telepathy",
        "capability: node-mqtt: telemetry: UnauthorizedError",
    ] {
        let error = seen::add(line, &mut cells).unwrap_err();
        assert!(error.contains(line), "{error}");
    }
}

#[test]
fn a_cell_has_an_outcome_or_a_reason_and_never_both() {
    let cells = page::read(&read(PAGE));
    let mut fewer = cells.clone();
    fewer.remove(&("node-mqtt", "telemetry")).unwrap();
    let error = page::write(&fewer).unwrap_err();
    assert!(error.contains("node-mqtt, telemetry"), "{error}");
    let mut more = cells;
    more.insert(("python-mqtt", "a will"), Outcome::Passed);
    let error = page::write(&more).unwrap_err();
    assert!(error.contains("python-mqtt, a will"), "{error}");
}
