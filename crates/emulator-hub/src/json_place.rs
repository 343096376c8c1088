//! Where JSON is not what is expected, for logs.

/// What may be logged of an error in a body: where it is, without what stands there.
pub fn place_in_body(error: &serde_json::Error) -> String {
    format!(
        "the body is not what is expected at line {}, column {}",
        error.line(),
        error.column()
    )
}
