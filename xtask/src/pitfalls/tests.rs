use std::fs;
use std::path::Path;

use super::list::List;
use super::tree::Tree;
use super::*;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_list_is_whole_its_tests_are_there_and_the_page_is_made_of_it() {
    let list = List::parse(&fs::read_to_string(root().join(LIST)).unwrap()).unwrap();
    list.check().unwrap_or_else(|error| panic!("{error}"));
    let tree = Tree::of(&root()).unwrap();
    let written = page::write(&list, &tree).unwrap_or_else(|error| panic!("{error}"));
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    assert!(
        page == written,
        "{PAGE} is out of date: cargo xtask pitfalls"
    );
}

#[test]
fn gaps_are_named() {
    let list = r#"
        [pitfalls]
        1 = { what = "x", by = ["a.rs::b"] }
        2 = { what = "x" }
        56 = { what = "x", open = "y" }
        [findings]
        [codes]
        "400000-400002" = { what = "x", open = "y" }
        400001 = { what = "x", open = "y" }
    "#;
    let error = List::parse(list).unwrap().check().unwrap_err();
    for gap in [
        "no pitfall 56",
        "pitfall 3 is missing",
        "pitfall 2 has neither a test nor a reason",
        "finding 24 is missing",
        "code 400001 is there twice",
        "code 400003 is missing",
        "codes 4003xx are missing",
    ] {
        assert!(error.contains(gap), "{gap}: {error}");
    }
}

#[test]
fn tests_are_found_by_the_end_of_their_path() {
    let text = "#[test]\nfn a() {}\nfn helper() {}\n#[tokio::test]\n// why\nasync fn b() {}\n";
    let tree = Tree::with(&[("crates/x/src/t.rs", text), ("crates/y/src/t.rs", text)]);
    assert_eq!(tree.find("x/src/t.rs::b").unwrap(), "crates/x/src/t.rs::b");
    for (id, why) in [
        ("src/t.rs::a", "may be any of"),
        ("z/src/t.rs::a", "not there, but in crates/x/src/t.rs"),
        ("x/src/t.rs::helper", "no such test"),
        ("x/src/t.rs::c", "no such test"),
        ("scenario nothing", "no usual scenario"),
        ("scenario soak-hour", "no usual scenario"),
        ("a", "neither"),
    ] {
        let error = tree.find(id).unwrap_err();
        assert!(error.contains(why), "{id}: {error}");
    }
    assert_eq!(tree.find("scenario paho").unwrap(), "scenario paho");
}
