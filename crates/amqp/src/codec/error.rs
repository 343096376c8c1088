//! Errors in encoded data.

/// Why bytes are not the value that was expected. Never holds any of the bytes beyond type codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The data ends within a value.
    #[error("the data ends within a value")]
    Truncated,
    /// No AMQP type has this constructor.
    #[error("no AMQP type has the constructor 0x{0:02x}")]
    InvalidConstructor(u8),
    /// A value of another type stands here.
    #[error("expected {expected}, found constructor 0x{found:02x}")]
    WrongType {
        /// The type that belongs here.
        expected: &'static str,
        /// The constructor that stands here.
        found: u8,
    },
    /// Nested deeper than [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    #[error("values are nested deeper than {} levels", crate::limits::MAX_DEPTH)]
    TooDeep,
    /// A list, map or array announces more items than its bytes can hold.
    #[error("more items are announced than the data can hold")]
    CountExceedsBuffer,
    /// A map has a key without a value.
    #[error("a map has a key without a value")]
    OddMap,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// A symbol is not ASCII.
    #[error("a symbol is not ASCII")]
    InvalidSymbol,
    /// A char is not a Unicode scalar value.
    #[error("a char is not a Unicode scalar value")]
    InvalidChar,
    /// A boolean is neither 0 nor 1.
    #[error("a boolean is neither 0 nor 1")]
    InvalidBool,
    /// A mandatory field is null or absent.
    #[error("the mandatory field {0} is missing")]
    MissingField(&'static str),
    /// A field is outside its domain.
    #[error("{0} is outside its domain")]
    InvalidValue(&'static str),
    /// A described type that does not belong here; `None` if the descriptor is a symbol of unknown meaning.
    #[error("a described type does not belong here (descriptor {})", match .0 { Some(code) => format!("0x{code:x}"), None => "of unknown name".into() })]
    UnknownDescriptor(Option<u64>),
    /// There are trailing bytes.
    #[error("{0} trailing bytes")]
    TrailingBytes(usize),
    /// A message has a section twice that may come once, or bodies of two kinds.
    #[error("the message section {0} may not follow the sections before it")]
    SurplusSection(&'static str),
}
