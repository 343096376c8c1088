//! Charts as SVG: lines over an axis, and timelines.
//!
//! A chart is a value; [`Lines::svg`] and [`Timeline::svg`] draw it. The same chart gives the same text, so that a picture that is
//! checked in can be compared with what a command draws.

mod error;
mod lines;
mod style;
mod timeline;

pub use error::ChartError;
pub use lines::{Axis, Lines, Mark, Series, number};
pub use timeline::{Lane, Span, Timeline, Tone};
