use super::*;
use std::collections::HashSet;
use std::path::Path;

#[test]
fn names_are_unique_and_scripts_exist() {
    let mut names = HashSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance");
    for scenario in SCENARIOS {
        assert!(
            names.insert(scenario.name),
            "{} is there twice",
            scenario.name
        );
        assert!(
            !scenario.scripts.is_empty() || scenario.drive.is_some(),
            "{} checks nothing",
            scenario.name
        );
        let mirrors = scenario.servers.iter().filter_map(|server| {
            if let Mirror(program) = server {
                Some(program)
            } else {
                None
            }
        });
        for program in scenario.scripts.iter().chain(mirrors) {
            let script = match program {
                Node(file, _) => folder.join("node").join(file),
                Python(file, _) => folder.join("python").join(file),
                Engine(_) => continue,
            };
            assert!(script.is_file(), "{} is not there", script.display());
        }
    }
}
