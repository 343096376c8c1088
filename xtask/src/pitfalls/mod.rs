//! `conformance/PITFALLS.md`: what an emulator of IoT Hub may get wrong, item by item, with the tests that look at it.
//!
//! `conformance/pitfalls.toml` is written by people: what the item is, which tests cover it, what is open. The page is made of it. A test fails when
//! an item is missing, has neither a test nor a reason, or names a test that is not in the tree.

mod list;
mod numbers;
mod page;
#[cfg(test)]
mod tests;
mod tree;

use std::fs;

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// The list, from the root.
const LIST: &str = "conformance/pitfalls.toml";
/// The page, from the root.
const PAGE: &str = "conformance/PITFALLS.md";

/// Writes the page, if the list is whole.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let text = page_of(workspace).map_err(Error::Unexpected)?;
    let path = workspace.root.join(PAGE);
    fs::write(&path, text).map_err(Error::io("writing", &path))
}

fn page_of(workspace: &Workspace) -> std::result::Result<String, String> {
    let path = workspace.root.join(LIST);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let list = list::List::parse(&text)?;
    list.check()?;
    let tree = tree::Tree::of(&workspace.root).map_err(|error| error.to_string())?;
    page::write(&list, &tree)
}
