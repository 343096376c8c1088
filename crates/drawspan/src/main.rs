//! Entry point of the `drawspan` command.
fn main() {}
