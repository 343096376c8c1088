//! Charts as SVG: lines over an axis, and timelines.
//!
//! A chart is a value; [`Lines::svg`] and [`Timeline::svg`] draw it. The same chart gives the same text, so that a picture that is
//! checked in can be compared with what a command draws.

mod axis;
mod error;
mod lines;
mod style;
mod timeline;

pub use axis::{Axis, Mark, number};
pub use error::ChartError;
pub use lines::{Lines, Series};
pub use timeline::{Lane, Span, Timeline, Tone};
