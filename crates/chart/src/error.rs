//! Why a chart cannot be drawn.

/// The chart has nothing to show, or a value that has no place on an axis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// An axis has no length: it ends where it begins, or at a value that is not finite.
    #[error("the axis \"{0}\" has no length")]
    NoLength(String),
    /// The library could not draw it.
    #[error("the chart cannot be drawn: {0}")]
    Drawing(String),
}
